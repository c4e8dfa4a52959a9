"""Detect the family of a hub model that is not in the catalogue."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers

from generation.models.catalogue import PIPELINE_FAMILIES, Family, find_entry
from generation.models.model import Model, defaults_for_family


def detect_family(model: Model) -> Model:
    """Return the model with its actual family, which `describe_model` only guesses for an unknown hub id.

    Raises OSError if it does not exist.
    """
    if Path(model.ref).exists() or find_entry(model.ref):
        return model
    index: Any = diffusers.DiffusionPipeline.load_config(model.ref)
    family = PIPELINE_FAMILIES.get(str(index.get("_class_name")))
    if family is Family.FLUX and not _has_guidance_embeds(model.ref):
        family = Family.FLUX_SCHNELL
    return model if family is None else replace(model, **defaults_for_family(family))


def _has_guidance_embeds(ref: str) -> bool:
    config: Any = diffusers.FluxTransformer2DModel.load_config(ref, subfolder="transformer")
    return bool(config["guidance_embeds"])
