"""Which family a model is of that nobody has described yet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers

from generation.catalogue import WHOLE, Family, look_up
from generation.models import Model, facts_of


def settled(model: Model) -> Model:
    """Correct what `describe` could only guess of a hub id that it does not know: which family it is of.

    Raises OSError where it is not there.
    """
    if Path(model.ref).exists() or look_up(model.ref):
        return model
    index: Any = diffusers.DiffusionPipeline.load_config(model.ref)
    family = WHOLE.get(str(index.get("_class_name")))
    if family is Family.FLUX and not _is_guided(model.ref):
        family = Family.FLUX_SCHNELL
    return model if family is None else replace(model, **facts_of(family))


def _is_guided(ref: str) -> bool:
    config: Any = diffusers.FluxTransformer2DModel.load_config(ref, subfolder="transformer")
    return bool(config["guidance_embeds"])
