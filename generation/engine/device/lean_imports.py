"""Import diffusers and transformers without the parts of torch that are not used here.

Both import torch's compiler and its distributed tensors, for a few decorators and checks. That takes as long as the
rest of both libraries together, and half as long as drawing the first grid with the embedded model.
"""

from __future__ import annotations

import gc
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

COMPILER = "torch._dynamo"
# Packages that import all their modules, or read all their files, to give each name: 150 networks, 480 families.
LAZY_PACKAGES = (
    "diffusers.models.autoencoders",
    "diffusers.models.transformers",
    "diffusers.models.unets",
    "transformers.models",
)
DECORATORS = ("allow_in_graph", "assume_constant_result", "disable")  # what both libraries take from the compiler


def import_libraries() -> None:
    """Import what Stable Diffusion needs of both libraries, without torch's compiler and its distributed tensors.

    This is for a process of its own that draws on one device and compiles nothing. The compiler is imported as usual
    when something asks for it later. Distributed tensors stay away, as in the builds of torch that have none.
    """
    import torch

    torch.distributed.is_available = lambda: False
    with _compiler_left_out():
        for name in LAZY_PACKAGES:
            _import_lazily(name)
        from diffusers import AutoencoderKL, UNet2DConditionModel  # noqa: F401
        from transformers import CLIPTextModel  # noqa: F401


def _import_lazily(name: str) -> None:
    """Import a package that runs its own code only when it is asked for more than its modules."""
    spec = importlib.util.find_spec(name)
    if name not in sys.modules and spec is not None:
        sys.modules[name] = importlib.util.module_from_spec(spec)
        sys.modules[name].__class__ = _LazyPackage


class _LazyPackage(ModuleType):
    """A package that has run nothing yet; its modules can be imported."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        assert self.__spec__ is not None and self.__spec__.loader is not None
        self.__spec__.loader.exec_module(self)
        return getattr(sys.modules[self.__name__], name)


@contextmanager
def _compiler_left_out() -> Iterator[None]:
    """Put a stand-in in the compiler's place while the block imports other modules."""
    if COMPILER in sys.modules:
        yield
        return
    stand_in = sys.modules[COMPILER] = _StandIn()
    try:
        yield
    finally:
        if sys.modules[COMPILER] is stand_in:
            del sys.modules[COMPILER]


class _StandIn(ModuleType):
    """Stands for the package `torch._dynamo`, with decorators that change nothing; anything else is the real one's."""

    def __init__(self) -> None:
        super().__init__(COMPILER)
        spec = importlib.util.find_spec(COMPILER)
        assert spec is not None
        self.__path__ = spec.submodule_search_locations or []  # transformers imports one of its modules

    def __getattr__(self, name: str) -> Any:
        if name in DECORATORS:
            return _unchanged
        if name.startswith("__"):
            raise AttributeError(name)
        del sys.modules[COMPILER]
        return getattr(importlib.import_module("torch._dynamo"), name)


def _unchanged(function: Any = None, *_args: Any, **_settings: Any) -> Any:
    """Decorate nothing: these decorators only tell the compiler what to leave alone."""
    return function if callable(function) else lambda decorated: decorated


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Import in the block without looking for garbage, which takes a tenth of the time and finds next to none."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # what was imported stays, so later collections need not look at it
        gc.enable()
