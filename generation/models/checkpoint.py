"""Inspect single-file checkpoints in the original Stable Diffusion (LDM) layout by their header."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from generation.errors import UserError
from generation.models.catalogue import Family
from generation.models.safetensors_header import SafetensorsHeader, read_header

UNET, VAE = "model.diffusion_model.", "first_stage_model."
CLIP, OPEN_CLIP = "cond_stage_model.transformer.", "cond_stage_model.model."
SDXL_CLIP, SDXL_OPEN_CLIP = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."
REFINER_OPEN_CLIP = "conditioner.embedders.0.model."
NATIVE_SIZE = {Family.SD1: 512, Family.SD2: 512, Family.SDXL: 1024}
V_PREDICTION_SIZE = {Family.SD2: 768}

_LORA = re.compile(r"lora_|.*\.lora_(up|down|A|B)\.")
_SIDES = re.compile(r"(\d{2,4})x(\d{2,4})")


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """A complete model in one file.

    With `v_prediction` its UNet predicts velocities instead of noise. With `zero_terminal_snr` it was trained up to
    pure noise, with no trace of an image left.
    """

    path: Path
    family: Family
    native_size: int
    v_prediction: bool
    zero_terminal_snr: bool = False


def inspect_checkpoint(path: Path) -> CheckpointInfo:
    """Detect the model in the file at `path`; raise UserError for one that is not supported.

    The keys determine the family. The prediction type and the size are read from a marker key (`v_pred`), from the
    metadata (`modelspec.…`) or from the `.yaml` beside the file, as in AUTOMATIC1111; otherwise the family's defaults
    apply.
    """
    try:
        header = read_header(path)
        family = _detect_family(path, header.shapes)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise UserError(f"{path} is damaged or not a safetensors file.") from error
    v_prediction = _detect_v_prediction(path, header, family)
    default_size = V_PREDICTION_SIZE.get(family, NATIVE_SIZE[family]) if v_prediction else NATIVE_SIZE[family]
    sides = _SIDES.fullmatch(header.metadata.get("modelspec.resolution", ""))
    return CheckpointInfo(
        path, family, int(sides[1]) if sides else default_size, v_prediction, "ztsnr" in header.shapes
    )


def _detect_family(path: Path, shapes: dict[str, tuple[int, ...]]) -> Family:
    if any(_LORA.match(key) for key in shapes):
        raise UserError(f"{path} is a LoRA, not a model: put it into the folder for LoRAs.")
    if any(key.startswith(REFINER_OPEN_CLIP) for key in shapes):
        raise UserError(f"{path} is a refiner: it refines images of {Family.SDXL} and cannot generate its own.")
    if any(key.startswith("edm_") for key in shapes):
        raise UserError(f"{path} was trained with EDM noise, which is not supported.")
    first = shapes.get(f"{UNET}input_blocks.0.0.weight")
    if first is None:
        raise UserError(f"{path} contains no Stable Diffusion model in the original layout.")
    if first[1] != 4:
        raise UserError(f"{path} is made for inpainting or editing only ({first[1]} input channels).")
    if f"{VAE}decoder.conv_in.weight" not in shapes:
        raise UserError(f"{path} has no VAE. Use a version with the VAE “baked in”.")
    if all(any(key.startswith(part) for key in shapes) for part in (SDXL_CLIP, SDXL_OPEN_CLIP)):
        return Family.SDXL
    if f"{OPEN_CLIP}token_embedding.weight" in shapes:
        return Family.SD2
    if any(key.startswith(CLIP) for key in shapes):
        return Family.SD1
    raise UserError(f"{path} has no text encoder.")


def _detect_v_prediction(path: Path, header: SafetensorsHeader, family: Family) -> bool:
    if "v_pred" in header.shapes:  # an empty tensor, a convention of ComfyUI
        return True
    if declared := header.metadata.get("modelspec.prediction_type"):
        return declared.lower().startswith("v")
    config = path.with_suffix(".yaml")
    if config.is_file():
        return re.search(r"""parameterization:\s*["']?v\b""", config.read_text("utf-8", "replace")) is not None
    return family is Family.SD2
