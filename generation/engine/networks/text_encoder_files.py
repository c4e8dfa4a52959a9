"""Load text encoders from folders with one weight file, as nearly all have, without transformers' general loader.

That loader first prepares for every network that transformers knows, and builds this one on a device without values.
For the latter torch imports its compiler. Together it takes a second of a core, this a tenth of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch.overrides import TorchFunctionMode

from generation.models.files.model_files import TRANSFORMERS_WEIGHTS, variant_order, weight_variants

PREFIX = "text_model."  # of the names in some files, and in some versions of transformers
# While transformers builds a network inside another, its own functions stand in the place of torch's.
INITIALIZERS = (torch.nn.init.__name__, "transformers.initialization")


class SkipInitialization(TorchFunctionMode):
    """Builds networks without sampling weights in the block, for those that get theirs from a file at once."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Return the tensor that a function of `torch.nn.init` is called with; call any other function."""
        kwargs = kwargs or {}
        if getattr(func, "__module__", "") in INITIALIZERS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def load_text_encoder(kind: Any, folder: Path, precision: torch.dtype) -> Any | None:
    """Return the text encoder of class `kind` in a folder; None if it needs transformers' general loader."""
    if not folder.is_dir():
        return None
    variant = next(iter(variant_order(folder, TRANSFORMERS_WEIGHTS, half=precision is torch.float16)), None)
    files = weight_variants(folder, TRANSFORMERS_WEIGHTS).get(variant, [])
    if len(files) != 1 or not (folder / "config.json").is_file():
        return None
    with SkipInitialization():
        network = kind(kind.config_class.from_pretrained(folder))
    names = network.state_dict().keys()
    weights = {_own_name(name, names): weight for name, weight in load_file(files[0]).items()}
    if names - weights.keys():
        return None
    # Copied, so that each begins at an even address: elsewhere products may differ in the last digit.
    own = {name: weights[name].to(precision, copy=True) for name in names}
    network.load_state_dict(own, assign=True)
    return network


def _own_name(name: str, names: Any) -> str:
    """Return what the network calls a weight of the file."""
    candidates = (name, name.removeprefix(PREFIX), PREFIX + name)
    return next((each for each in candidates if each in names), name)
