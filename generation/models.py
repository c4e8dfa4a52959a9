"""What the bot must know of a model before any weights are loaded."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from generation.catalogue import WHOLE, Entry, Family, bare, look_up, typical
from generation.errors import Complaint
from generation.features import FEATURES, Feature
from generation.samplers import SAMPLERS, recognise
from generation.single_file import describe_file

EMBEDDED = str(Path(__file__).resolve().parent.parent / "models" / "storybook")

HUB_ID = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)?")
PICKLED = (".ckpt", ".pt", ".pth", ".bin")
SAMPLER_OF_FILES = "dpmpp_2m_karras"  # a single file does not say what it is drawn best with
SAMPLER_OF_FEW_STEPS = "euler"  # Karras' steps are too fine at the end for so few, and too coarse where all is noise
CONVERT = "Convert it to safetensors once, as docs/models.md shows under “Pickled models”."
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
    "sampler": (str, 0),
    "partner": (str, 0),
}
# What is usual where a model does not say it: SDXL knows only sizes of multiples of 64, since it is told them.
_USUAL: dict[Family, dict[str, Any]] = {Family.SDXL: {"size_multiple": 64, "guidance_scale": 6.0}}
_GUIDES_ITSELF: dict[str, Any] = {"num_inference_steps": 4, "guidance_scale": 8.0}
FEW_STEPS = 8
TEXT_WIDTHS = {Family.SD1: 768, Family.SD2: 1024, Family.SDXL: 2048}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model's name, where it is (`ref`: a folder or a hub id), and the defaults that fill a prompt's gaps.

    `native_size` is the side in pixels of the square it was trained on; sides are multiples of `size_multiple`,
    and neither side may be more than `max_aspect` times the other. `trigger_words` are its house style: what has to be
    said for it to draw as it is meant to. `sampler` is its own one, by the name in `SAMPLERS` or its class; None while
    that is not known. `family` says what its networks are like, and `text_width` how wide the texts are that its UNet
    is told, where there is one and that is known; `partner` is where the other half of a model is that comes in two.
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
    text_width: int | None = None
    base: str = ""
    unet_file: str = ""
    partner: str = ""

    @property
    def features(self) -> frozenset[Feature]:
        """Say what it can do besides drawing from words."""
        return FEATURES[self.family]

    @property
    def is_distilled(self) -> bool:
        """Say whether it was made to draw in very few steps."""
        return self.num_inference_steps <= FEW_STEPS


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
    index = _read(folder / "model_index.json")
    own = _own_facts(folder / "atelier.json")
    defaults: dict[str, Any] = {
        "name": folder.resolve().name,
        "native_size": _trained_size(folder),
        "sampler": _own_sampler(folder),
        **usual(_read(folder / "unet" / "config.json")),
    }
    if family := WHOLE.get(str(index.get("_class_name"))):
        defaults |= facts_of(family if _is_guided(folder) else Family.FLUX_SCHNELL)
        own |= {"partner": _partner(folder, own.get("partner", ""))}
    return Model(ref=ref, **defaults | own | {"examples": tuple(own.get("examples", ()))})


def facts_of(family: Family) -> dict[str, Any]:
    """Give what goes for every model of a family that is drawn whole."""
    entry = typical(family)
    return {
        "family": family,
        "native_size": entry.native_size,
        "size_multiple": entry.size_multiple,
        "num_inference_steps": entry.num_inference_steps,
        "guidance_scale": entry.guidance_scale,
        "sampler": None,
    }


def _is_guided(folder: Path) -> bool:
    """Say whether a model can be told how closely to follow the prompt: of FLUX.1 schnell that was distilled away."""
    return _read(folder / "transformer" / "config.json").get("guidance_embeds") is not False


def _partner(folder: Path, named: str) -> str:
    """Give where the other half is; a folder is named as seen from this one."""
    beside = folder / named
    return str(beside.resolve()) if named and beside.is_dir() else named


def _without_folder(ref: str) -> Model:
    path = Path(ref)
    if path.suffix.lower() in PICKLED:
        raise Complaint(f"{ref} is pickled: a file that could run any program. {CONVERT}")
    if path.exists():
        return _of_file(path)
    if bare(ref) == bare(Path(EMBEDDED).name):
        return describe(EMBEDDED)
    if entry := look_up(ref):
        return _of_entry(entry)
    if path.suffix.lower() == ".safetensors":  # which no id on the hub ends in
        raise FileNotFoundError(f"no file at {ref}")
    if not HUB_ID.fullmatch(ref):
        raise FileNotFoundError(f"no model folder at {ref}, and none of that name in the catalogue")
    return Model(name=ref.rpartition("/")[2], ref=ref)


def _of_file(path: Path) -> Model:
    if path.suffix.lower() != ".safetensors":
        raise FileNotFoundError(f"no model folder at {path}, and no safetensors file")
    own, file = _own_facts(path.with_suffix(".atelier.json")), describe_file(path)
    in_few_steps = own.get("num_inference_steps", FEW_STEPS + 1) <= FEW_STEPS
    defaults: dict[str, Any] = {
        "name": path.stem,
        "native_size": file.native_size,
        "sampler": SAMPLER_OF_FEW_STEPS if in_few_steps or file.ends_in_noise else SAMPLER_OF_FILES,
        "family": file.family,
        "text_width": TEXT_WIDTHS[file.family],
        **_USUAL.get(file.family, {}),
    }
    return Model(ref=str(path), **defaults | own | {"examples": tuple(own.get("examples", ()))})


def _of_entry(entry: Entry) -> Model:
    return Model(
        name=entry.name,
        ref=entry.hub_id,
        native_size=entry.native_size,
        num_inference_steps=entry.num_inference_steps,
        guidance_scale=entry.guidance_scale,
        trigger_words=entry.trigger_words,
        sampler=entry.sampler,
        family=entry.family,
        text_width=TEXT_WIDTHS.get(entry.family),
        size_multiple=_USUAL.get(entry.family, {}).get("size_multiple", entry.size_multiple),
        base=entry.base,
        unet_file=entry.unet_file,
        partner=entry.partner,
    )


def usual(unet: Mapping[str, Any]) -> dict[str, Any]:
    """Give what follows for a model from its UNet's configuration: its family, and defaults that are usual with it."""
    width = unet.get("cross_attention_dim")
    family = Family.SD2 if width == TEXT_WIDTHS[Family.SD2] else Family.SD1
    if unet.get("addition_embed_type") == "text_time":
        family = Family.SDXL
    distilled = _GUIDES_ITSELF if unet.get("time_cond_proj_dim") is not None else {}
    text_width = width if isinstance(width, int) else None
    return {"family": family, "text_width": text_width, **_USUAL.get(family, {}), **distilled}


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
    if facts.get("sampler", SAMPLER_OF_FILES) not in SAMPLERS:
        raise Complaint(f"{path} is damaged: there is no sampler {facts['sampler']}; there are {', '.join(SAMPLERS)}")
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
