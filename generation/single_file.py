"""What can be known of a checkpoint in the layout of the first Stable Diffusion releases, from its file's header."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from generation.catalogue import Family
from generation.errors import Complaint
from generation.header import Header, read_header

UNET, VAE = "model.diffusion_model.", "first_stage_model."
CLIP, OPEN_CLIP = "cond_stage_model.transformer.", "cond_stage_model.model."
CLIP_OF_XL, OPEN_CLIP_OF_XL = "conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."
OPEN_CLIP_OF_REFINER = "conditioner.embedders.0.model."
USUAL_SIZE = {Family.SD1: 512, Family.SD2: 512, Family.SDXL: 1024}
SIZE_OF_VELOCITIES = {Family.SD2: 768}

_LORA = re.compile(r"lora_|.*\.lora_(up|down|A|B)\.")
_SIDES = re.compile(r"(\d{2,4})x(\d{2,4})")


@dataclass(frozen=True, slots=True)
class SingleFile:
    """A whole model in one file.

    `predicts_v` says that its UNet was trained to predict velocities, not noise, and `ends_in_noise` that it was shown
    noise with nothing of a picture left in it.
    """

    path: Path
    family: Family
    native_size: int
    predicts_v: bool
    ends_in_noise: bool = False


def describe_file(path: Path) -> SingleFile:
    """Read which model is in the file at `path`; raises Complaint for one that cannot be drawn.

    The keys tell the family. What they cannot tell, the kind of prediction and the size, is read from a mark among them
    (`v_pred`), from the notes (`modelspec.…`) or from the `.yaml` beside the file, as AUTOMATIC1111 has it; else it is
    what is usual.
    """
    try:
        header = read_header(path)
        family = _family(path, header.shapes)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise Complaint(f"{path} is no safetensors file, or damaged.") from error
    predicts_v = _predicts_v(path, header, family)
    usual = SIZE_OF_VELOCITIES.get(family, USUAL_SIZE[family]) if predicts_v else USUAL_SIZE[family]
    sides = _SIDES.fullmatch(header.notes.get("modelspec.resolution", ""))
    return SingleFile(path, family, int(sides[1]) if sides else usual, predicts_v, "ztsnr" in header.shapes)


def _family(path: Path, shapes: dict[str, tuple[int, ...]]) -> Family:
    if any(_LORA.match(key) for key in shapes):
        raise Complaint(f"{path} is a LoRA, which changes a model but is none.")
    if any(key.startswith(OPEN_CLIP_OF_REFINER) for key in shapes):
        raise Complaint(f"{path} is a refiner: it goes over pictures of {Family.SDXL}, and draws none by itself.")
    if any(key.startswith("edm_") for key in shapes):
        raise Complaint(f"{path} was trained with a noise of its own (EDM), which is not drawn.")
    first = shapes.get(f"{UNET}input_blocks.0.0.weight")
    if first is None:
        raise Complaint(f"{path} holds no Stable Diffusion model in the original layout.")
    if first[1] != 4:
        raise Complaint(f"{path} is made for inpainting or editing only ({first[1]} input channels).")
    if f"{VAE}decoder.conv_in.weight" not in shapes:
        raise Complaint(f"{path} has no VAE. Take the version of it that has one (“baked in”).")
    if all(any(key.startswith(part) for key in shapes) for part in (CLIP_OF_XL, OPEN_CLIP_OF_XL)):
        return Family.SDXL
    if f"{OPEN_CLIP}token_embedding.weight" in shapes:
        return Family.SD2
    if any(key.startswith(CLIP) for key in shapes):
        return Family.SD1
    raise Complaint(f"{path} has no text encoder.")


def _predicts_v(path: Path, header: Header, family: Family) -> bool:
    if "v_pred" in header.shapes:  # an empty tensor, as ComfyUI has it
        return True
    if noted := header.notes.get("modelspec.prediction_type"):
        return noted.lower().startswith("v")
    beside = path.with_suffix(".yaml")
    if beside.is_file():
        return re.search(r"""parameterization:\s*["']?v\b""", beside.read_text("utf-8", "replace")) is not None
    return family is Family.SD2
