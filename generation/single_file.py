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

_LORA = re.compile(r"lora_|.*\.lora_(up|down|A|B)\.")
_SIDES = re.compile(r"(\d{2,4})x(\d{2,4})")


@dataclass(frozen=True, slots=True)
class SingleFile:
    """A whole model in one file; `predicts_v` says that its UNet was trained to predict velocities, not noise."""

    path: Path
    family: Family
    native_size: int
    predicts_v: bool


def describe_file(path: Path) -> SingleFile:
    """Read which model is in the file at `path`; raises Complaint for one that cannot be drawn.

    The keys tell the family. What they cannot tell, the kind of prediction and the size, is read from the notes
    (`modelspec.…`) or from the `.yaml` beside the file, as AUTOMATIC1111 has it; else it is what is usual.
    """
    try:
        header = read_header(path)
        family = _family(path, header.shapes)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise Complaint(f"{path} is no safetensors file, or damaged.") from error
    predicts_v = _predicts_v(path, header, family)
    usual = 768 if family is Family.SD2 and predicts_v else 512
    sides = _SIDES.fullmatch(header.notes.get("modelspec.resolution", ""))
    return SingleFile(path, family, int(sides[1]) if sides else usual, predicts_v)


def _family(path: Path, shapes: dict[str, tuple[int, ...]]) -> Family:
    if any(_LORA.match(key) for key in shapes):
        raise Complaint(f"{path} is a LoRA, which changes a model but is none.")
    if any(key.startswith("conditioner.embedders.") for key in shapes):
        raise Complaint(f"{path} is of the {Family.SDXL} family, which is not drawn yet.")
    first = shapes.get(f"{UNET}input_blocks.0.0.weight")
    if first is None:
        raise Complaint(f"{path} holds no Stable Diffusion 1.x or 2.x model in the original layout.")
    if first[1] != 4:
        raise Complaint(f"{path} is made for inpainting or editing only ({first[1]} input channels).")
    if f"{VAE}decoder.conv_in.weight" not in shapes:
        raise Complaint(f"{path} has no VAE. Take the version of it that has one (“baked in”).")
    if f"{OPEN_CLIP}token_embedding.weight" in shapes:
        return Family.SD2
    if any(key.startswith(CLIP) for key in shapes):
        return Family.SD1
    raise Complaint(f"{path} has no text encoder.")


def _predicts_v(path: Path, header: Header, family: Family) -> bool:
    if noted := header.notes.get("modelspec.prediction_type"):
        return noted.lower().startswith("v")
    beside = path.with_suffix(".yaml")
    if beside.is_file():
        return re.search(r"""parameterization:\s*["']?v\b""", beside.read_text("utf-8", "replace")) is not None
    return family is Family.SD2
