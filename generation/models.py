"""What the bot must know of a model before any weights are loaded."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from generation.catalogue import CATALOGUE, DRAWN, Entry, Family, look_up
from generation.errors import Complaint
from generation.samplers import recognise
from generation.single_file import describe_file

EMBEDDED = str(Path(__file__).resolve().parent.parent / "models" / "storybook")

_HUB_ID = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)?")
PICKLED = (".ckpt", ".pt", ".pth", ".bin")
SAMPLER_OF_FILES = "dpmpp_2m_karras"  # a single file does not say what it is drawn best with
CONVERT = "Convert it to safetensors once, as docs/self-hosting.md shows under “Pickled models”."
# What a model folder may say of itself in atelier.json: the type, and the least where it is a number.
_FACTS: dict[str, tuple[Any, float]] = {
    "name": (str, 0),
    "native_size": (int, 1),
    "size_multiple": (int, 1),
    "max_aspect": (int | float, 1),
    "num_inference_steps": (int, 1),
    "guidance_scale": (int | float, 0),
    "examples": (list, 0),
    "trigger_words": (str, 0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model's name, where it is (`ref`: a folder or a hub id), and the defaults that fill a prompt's gaps.

    `native_size` is the side in pixels of the square it was trained on; sides are multiples of `size_multiple`,
    and neither side may be more than `max_aspect` times the other. `trigger_words` are its house style: what has to be
    said for it to draw as it is meant to. `sampler` is its own one, by the name in `SAMPLERS` or its class; None while
    that is not known. `family` says what its networks are like.
    """

    name: str
    ref: str
    native_size: int = 512
    size_multiple: int = 8
    max_aspect: float = 3.0
    num_inference_steps: int = 25
    guidance_scale: float = 7.5
    examples: tuple[str, ...] = ()
    trigger_words: str = ""
    sampler: str | None = None
    family: Family = Family.SD1


def describe(ref: str) -> Model:
    """Describe the model at `ref`: a folder, from its small JSON files; a name or hub id, from the catalogue.

    A single safetensors file is described by its header, and by an `.atelier.json` beside it; a hub id that is not in
    the catalogue gets Stable Diffusion's defaults. Raises FileNotFoundError for a path that is no model, and Complaint
    for one whose files are damaged or pickled, and for what the engine cannot draw.
    """
    folder = Path(ref)
    if not folder.is_dir():
        return _without_folder(ref)
    if not (folder / "model_index.json").is_file():
        raise FileNotFoundError(f"{ref} has no model_index.json, so it is not a diffusers model folder")
    _read(folder / "model_index.json")
    own = _own_facts(folder / "atelier.json")
    defaults: dict[str, Any] = {
        "name": folder.resolve().name,
        "native_size": _trained_size(folder),
        "sampler": _own_sampler(folder),
    }
    return Model(ref=ref, **defaults | own | {"examples": tuple(own.get("examples", ()))})


def _without_folder(ref: str) -> Model:
    path = Path(ref)
    if path.suffix.lower() in PICKLED:
        raise Complaint(f"{ref} is pickled: a file that could run any program. {CONVERT}")
    if path.exists():
        return _of_file(path)
    if entry := look_up(ref):
        return _of_entry(entry)
    if not _HUB_ID.fullmatch(ref):
        raise FileNotFoundError(f"no model folder at {ref}, and none of that name in the catalogue")
    return Model(name=ref.rpartition("/")[2], ref=ref)


def _of_file(path: Path) -> Model:
    if path.suffix.lower() != ".safetensors":
        raise FileNotFoundError(f"no model folder at {path}, and no safetensors file")
    own = _own_facts(path.with_suffix(".atelier.json"))
    defaults: dict[str, Any] = {
        "name": path.stem,
        "native_size": describe_file(path).native_size,
        "sampler": SAMPLER_OF_FILES,
    }
    return Model(ref=str(path), **defaults | own | {"examples": tuple(own.get("examples", ()))})


def _of_entry(entry: Entry) -> Model:
    if entry.family not in DRAWN:
        known = ", ".join(each.name for each in CATALOGUE if each.family in DRAWN)
        raise Complaint(f"{entry.name} is of the {entry.family} family, which is not drawn yet. There is {known}.")
    return Model(
        name=entry.name,
        ref=entry.hub_id,
        native_size=entry.native_size,
        num_inference_steps=entry.num_inference_steps,
        guidance_scale=entry.guidance_scale,
        trigger_words=entry.trigger_words,
        sampler=entry.sampler,
        family=entry.family,
    )


def size_for(model: Model, aspect: tuple[int, int], *, draft: bool = False) -> tuple[int, int]:
    """Give the width and height in pixels of `aspect`, or the nearest the model can do, at about its native area.

    A draft has half the native size for each side.
    """
    if draft:
        return size_for(replace(model, native_size=model.native_size // 2), aspect)
    ratio = min(max(aspect[0] / aspect[1], 1 / model.max_aspect), model.max_aspect)
    width, height = _rounded(model, math.sqrt(ratio)), _rounded(model, 1 / math.sqrt(ratio))
    return min(width, _longest(model, height)), min(height, _longest(model, width))


def _rounded(model: Model, share: float) -> int:
    return max(1, round(model.native_size * share / model.size_multiple)) * model.size_multiple


def _longest(model: Model, other: int) -> int:
    return int(model.max_aspect * other / model.size_multiple) * model.size_multiple


def _trained_size(folder: Path) -> int:
    unet, vae = _read(folder / "unet" / "config.json"), _read(folder / "vae" / "config.json")
    sample_size, blocks = unet.get("sample_size", 64), vae.get("block_out_channels", (0, 0, 0, 0))
    return sample_size * 2 ** (len(blocks) - 1) if isinstance(sample_size, int) else 512


def _own_sampler(folder: Path) -> str | None:
    settings = _read(folder / "scheduler" / "scheduler_config.json")
    return recognise(str(settings["_class_name"]), settings) if "_class_name" in settings else None


def _own_facts(path: Path) -> dict[str, Any]:
    facts = {name: value for name, value in _read(path).items() if name in _FACTS}
    for name, value in facts.items():
        if not _makes_sense(value, *_FACTS[name]):
            raise Complaint(f"{path} is damaged: `{name}` cannot be {json.dumps(value)}")
    return facts


def _makes_sense(value: object, kind: Any, least: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, kind):
        return False
    return not isinstance(value, int | float) or least <= value < math.inf


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise Complaint(f"{path} is damaged: {error}") from None
    if not isinstance(values, dict):
        raise Complaint(f"{path} is damaged: it holds no JSON object")
    return values
