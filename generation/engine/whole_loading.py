"""Load a stock pipeline part by part, in one half or two, from folders or hub ids."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

import diffusers
import torch
import transformers

from generation.catalogue import Family
from generation.engine.recipes import RECIPES, Half, Recipe
from generation.errors import Complaint
from generation.messages import Loading
from generation.models import CONVERT, Model

LIBRARIES = {"diffusers": diffusers, "transformers": transformers}


def load_recipe(
    model: Model, device: torch.device, precision: torch.dtype, report: Callable[[Loading], None]
) -> Recipe:
    """Load a model of a family that is drawn whole onto `device`, telling which part comes next.

    `precision` is the one that suits the device; a family may need another.

    Raises Complaint for what is not there in full or cannot be read, OSError for what is not there at all.
    """
    diffusers.utils.logging.set_verbosity_error()  # it would log the end of a prompt that is too long
    transformers.utils.logging.disable_progress_bar()
    kind = RECIPES[model.family]
    precision = precision_of(model.family, precision)
    halves = [_Half(ref, half) for ref, half in zip(_places(model, kind), kind.halves, strict=True)]
    parts = sum(len(half.parts) for half in halves)
    done = 0
    pipelines = []
    for half in halves:
        loaded = {}
        for part in half.parts:
            report(Loading(part.replace("_", " "), done, parts, model.name))
            loaded[part] = half.load(part, precision, device)
            done += 1
        pipelines.append(half.assemble(loaded))
    recipe = kind(*pipelines)
    for pipeline in recipe.pipelines:
        pipeline.set_progress_bar_config(disable=True)
    return recipe


def precision_of(family: Family, of_device: torch.dtype) -> torch.dtype:
    """Give the 16 bits that a family can bear where the device has them."""
    half = RECIPES[family].half_precision
    if of_device is torch.float16:
        return half if half is of_device or torch.cuda.is_bf16_supported() else of_device
    return of_device if of_device is half else torch.float32


def _places(model: Model, kind: type[Recipe]) -> list[str]:
    if len(kind.halves) == 1:
        return [model.ref]
    if not model.partner:
        raise Complaint(
            f"{model.ref} is one half of a model: name the other as `partner` in {model.ref}/atelier.json, "
            f"the folder of a {kind.halves[1].kind.__name__} or its id on the hub."
        )
    return [model.ref, model.partner]


class _Half:
    """A folder or hub id with a subfolder for each part of one pipeline."""

    def __init__(self, ref: str, half: Half) -> None:
        self._ref, self._kind = ref, half.kind
        self._index: Any = diffusers.DiffusionPipeline.load_config(ref)
        self._wanted = inspect.signature(half.kind.__init__).parameters
        named = str(self._index.get("_class_name"))
        if named != half.kind.__name__:
            raise Complaint(f"{ref} is a {named}, where a {half.kind.__name__} is wanted.")
        brought = [name for name in self._wanted if isinstance(self._index.get(name), list | tuple)]
        self.parts = [name for name in brought if name not in half.without and self._index[name][1] is not None]

    def load(self, part: str, precision: torch.dtype, device: torch.device) -> Any:
        """Load one part, a network onto the device."""
        kind: Any = self._class_of(*self._index[part])
        try:
            if not issubclass(kind, torch.nn.Module):
                return kind.from_pretrained(self._ref, subfolder=part)
            network = kind.from_pretrained(self._ref, subfolder=part, dtype=precision, use_safetensors=True)
        except (ImportError, ValueError) as error:
            if not part.startswith("tokenizer") or _reads_sentencepiece():
                raise
            text = f"The {part} of {self._ref} needs what is not installed here: `pip install sentencepiece protobuf`."
            raise Complaint(text) from error
        except OSError as error:
            if "file named" not in str(error):  # so diffusers and transformers put it, of a folder and of the hub
                raise
            text = f"{self._ref} has no safetensors weights for its {part}. If it has pickled ones: {CONVERT}"
            raise Complaint(text) from error
        return network.to(device).eval()

    def assemble(self, loaded: dict[str, Any]) -> Any:
        """Make the pipeline of its parts."""
        settings = {name: self._index[name] for name in self._wanted if name in self._index and name not in loaded}
        plain = {name: value for name, value in settings.items() if not isinstance(value, list | tuple)}
        missing = {name: None for name in self._wanted if name != "self" and self._is_empty(name, loaded)}
        return self._kind(**loaded, **missing, **plain)

    def _is_empty(self, name: str, loaded: dict[str, Any]) -> bool:
        required = self._wanted[name].default is inspect.Parameter.empty
        return required and name not in loaded and not isinstance(self._index.get(name), int | float | str)

    def _class_of(self, library: str, name: str) -> type[Any]:
        """Find the class of a part; what belongs to one pipeline alone stands in that pipeline's own module.

        Where diffusers keeps such a module has changed since these models were published.
        """
        found: type[Any] = getattr(LIBRARIES.get(library, sys.modules[self._kind.__module__]), name)
        return found


def _reads_sentencepiece() -> bool:
    """Say whether a tokenizer that comes as `spiece.model` alone can be read; most bring a `tokenizer.json`."""
    return bool(transformers.utils.is_sentencepiece_available() and transformers.utils.is_protobuf_available())
