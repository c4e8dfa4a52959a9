"""Describe a model before its weights are loaded."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from generation.errors import UserError
from generation.models.capabilities import Capability, model_capabilities
from generation.models.catalogue import (
    PIPELINE_FAMILIES,
    CatalogueEntry,
    Family,
    catalogue_names,
    find_entry,
    normalize_name,
    reference_entry,
)
from generation.models.files.attention_layers import OF_FAMILY, count_in_config
from generation.models.files.checkpoint import inspect_checkpoint
from generation.models.files.config_types import read_config, read_index
from generation.models.files.errors import report_damage
from generation.models.files.json_files import read_json
from generation.models.files.ldm_layout import EDITOR_CHANNELS
from generation.models.files.safetensors_header import CONVERT_HINT
from generation.models.samplers import SAMPLERS, sampler_for
from generation.models.words.vocabulary import Vocabulary

EMBEDDED = str(Path(__file__).resolve().parents[2] / "models" / "storybook")

_CACHED_REPOSITORY = re.compile(r"models--(.+)")
MAX_NATIVE_SIZE = 4096  # pixels
HUB_ID = re.compile(r"\w[\w.-]*(?:/\w[\w.-]*)?")
PICKLE_SUFFIXES = (".ckpt", ".pt", ".pth", ".bin")
DEFAULT_CHECKPOINT_SAMPLER = "dpmpp_2m_karras"  # a single file does not name its best sampler
DISTILLED_SAMPLER = "euler"  # for few steps, Karras' are too fine at the end and too coarse at high noise
# The keys of atelier.json: the type, and the minimum of a number.
_ATELIER_JSON_KEYS: dict[str, tuple[Any, float]] = {
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
    "known": (dict, 0),
    "synonyms": (dict, 0),
    "unsupported": (list, 0),
    "steps_with_other_samplers": (int, 1),
}
# Defaults if a model does not set them; SDXL is conditioned on the size and was trained on multiples of 64 only.
_FAMILY_DEFAULTS: dict[Family, dict[str, Any]] = {Family.SDXL: {"size_multiple": 64, "guidance_scale": 6.0}}
_LCM_DEFAULTS: dict[str, Any] = {"num_inference_steps": 4, "guidance_scale": 8.0}
DISTILLED_STEPS = 8
CROSS_ATTENTION_DIMS = {Family.SD1: 768, Family.SD2: 1024, Family.SDXL: 2048}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model's name, its location (`ref`: a folder, a file or a hub id), and the defaults for prompts.

    `native_size` is the side in pixels of the square it was trained on. Sides are multiples of `size_multiple`, and
    neither may be more than `max_aspect` times the other. `trigger_words` are its house style: the words that make it
    generate in its intended style. `vocabulary` has the words that it knows, None if it is not limited to any;
    `unsupported` are capabilities of its family that it lacks. `sampler` is its own, by its name in `SAMPLERS` or its
    class; None if unknown. Others take `steps_with_other_samplers`, if it is set, instead of `num_inference_steps`.
    `family` is its architecture. `cross_attention_dim` is the width of its UNet's text embeddings, None if it has no
    UNet or the width is unknown, and `attention_layers` is the number of its layers that attend to them. An
    `is_editor` changes pictures as words say. `base`, `unet_file`, `lora_file` and `partner` are those of its
    `CatalogueEntry`.
    """

    name: str
    ref: str
    native_size: int = 512
    size_multiple: int = 8
    max_aspect: float = 3.0
    num_inference_steps: int = 25
    steps_with_other_samplers: int | None = None
    guidance_scale: float = 7.5
    examples: tuple[str, ...] = ()
    trigger_words: str = ""
    vocabulary: Vocabulary | None = None
    unsupported: frozenset[Capability] = frozenset()
    sampler: str | None = None
    family: Family = Family.SD1
    cross_attention_dim: int | None = None
    attention_layers: int | None = None
    is_editor: bool = False
    base: str = ""
    unet_file: str = ""
    lora_file: str = ""
    partner: str = ""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Return what the model can do beyond plain text-to-image."""
        return model_capabilities(self.family, is_editor=self.is_editor) - self.unsupported

    @property
    def is_distilled(self) -> bool:
        """Return whether the model was made for very few steps."""
        return self.num_inference_steps <= DISTILLED_STEPS


def describe_model(ref: str) -> Model:
    """Describe the model at `ref`: a folder by its JSON files, a name or hub id by the catalogue.

    A single safetensors file is described by its header and the `.atelier.json` beside it. A hub id that is not in the
    catalogue gets Stable Diffusion's defaults. Raise FileNotFoundError for a path without a model, and UserError for
    damaged or pickled files and for unsupported models.
    """
    folder = Path(ref)
    if not folder.is_dir():
        return _describe_non_folder(ref)
    if not (folder / "model_index.json").is_file():
        raise FileNotFoundError(f"{ref} has no model_index.json, so it is not a diffusers model folder")
    with report_damage(folder, "a diffusers model folder"):
        return _describe_folder(folder, ref)


def _describe_folder(folder: Path, ref: str) -> Model:
    index = read_index(folder / "model_index.json")
    overrides = _read_atelier_json(folder / "atelier.json")
    defaults: dict[str, Any] = {
        "name": folder_name(folder.resolve()),
        "native_size": _native_size(folder),
        "sampler": _scheduler_sampler(folder),
        **defaults_from_unet(read_config(folder / "unet" / "config.json")),
    }
    if family := PIPELINE_FAMILIES.get(str(index.get("_class_name"))):
        defaults |= defaults_for_family(family if _has_guidance_embeds(folder) else Family.FLUX_SCHNELL)
        overrides |= {"partner": _resolve_partner(folder, overrides.get("partner", ""))}
    return Model(ref=ref, **defaults | overrides)


def folder_name(folder: Path) -> str:
    """Return the name of a model's folder; a snapshot in the hub's cache is called as its repository there."""
    cached = _CACHED_REPOSITORY.fullmatch(folder.parent.parent.name) if folder.parent.name == "snapshots" else None
    return cached[1].rpartition("--")[2] if cached else folder.name


def defaults_for_family(family: Family) -> dict[str, Any]:
    """Return the defaults of a family that runs through diffusers' own pipelines."""
    entry = reference_entry(family)
    return {
        "family": family,
        "native_size": entry.native_size,
        "size_multiple": entry.size_multiple,
        "num_inference_steps": entry.num_inference_steps,
        "guidance_scale": entry.guidance_scale,
        "sampler": None,
    }


def _has_guidance_embeds(folder: Path) -> bool:
    """Return whether a FLUX model takes a guidance scale; FLUX.1 schnell does not, since it was distilled without."""
    return read_config(folder / "transformer" / "config.json").get("guidance_embeds") is not False


def _resolve_partner(folder: Path, named: str) -> str:
    """Return the location of a model's second part; a folder is given relative to this one."""
    relative = folder / named
    return str(relative.resolve()) if named and relative.is_dir() else named


def _describe_non_folder(ref: str) -> Model:
    path = Path(ref)
    if path.suffix.lower() in PICKLE_SUFFIXES:
        raise UserError(f"{ref} is pickled: loading it could run any program. {CONVERT_HINT}")
    if path.exists():
        return _from_checkpoint(path)
    if normalize_name(ref) == normalize_name(Path(EMBEDDED).name):
        return describe_model(EMBEDDED)
    if entry := find_entry(ref):
        return _from_catalogue(entry)
    if path.suffix.lower() == ".safetensors":  # no hub id ends in this
        raise FileNotFoundError(f"no file at {ref}")
    if not HUB_ID.fullmatch(ref) or "/" not in ref:
        raise FileNotFoundError(
            f"no model folder at {ref}, and no model of this name in the catalogue{_suggestion(ref)}"
        )
    return Model(name=ref.rpartition("/")[2], ref=ref)


def _suggestion(ref: str) -> str:
    """Return the names of models that resemble what was typed, as the end of a sentence."""
    wanted = normalize_name(ref)
    names = {normalize_name(name): name for name in (Path(EMBEDDED).name, *catalogue_names())}
    close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.7)
    close += [name for name in names if len(wanted) > 2 and wanted in name and name not in close]
    listed = " or ".join(f"`{names[name]}`" for name in close[:3])
    return f": did you mean {listed}?" if listed else "; a model of the hub is `owner/name`"


def _from_checkpoint(path: Path) -> Model:
    if path.suffix.lower() != ".safetensors":
        raise FileNotFoundError(f"{path} is neither a model folder nor a safetensors file")
    with report_damage(path):
        return _describe_checkpoint(path)


def _describe_checkpoint(path: Path) -> Model:
    overrides, checkpoint = _read_atelier_json(path.with_suffix(".atelier.json")), inspect_checkpoint(path)
    is_distilled = overrides.get("num_inference_steps", DISTILLED_STEPS + 1) <= DISTILLED_STEPS
    defaults: dict[str, Any] = {
        "name": path.stem,
        "native_size": checkpoint.native_size,
        "sampler": DISTILLED_SAMPLER if is_distilled or checkpoint.zero_terminal_snr else DEFAULT_CHECKPOINT_SAMPLER,
        "family": checkpoint.family,
        "cross_attention_dim": CROSS_ATTENTION_DIMS[checkpoint.family],
        "attention_layers": checkpoint.attention_layers,
        "is_editor": checkpoint.is_editor,
        **_FAMILY_DEFAULTS.get(checkpoint.family, {}),
    }
    return Model(ref=str(path), **defaults | overrides)


def _from_catalogue(entry: CatalogueEntry) -> Model:
    return Model(
        name=entry.name,
        ref=entry.hub_id,
        native_size=entry.native_size,
        num_inference_steps=entry.num_inference_steps,
        guidance_scale=entry.guidance_scale,
        trigger_words=entry.trigger_words,
        sampler=entry.sampler,
        family=entry.family,
        cross_attention_dim=CROSS_ATTENTION_DIMS.get(entry.family),
        attention_layers=OF_FAMILY.get(entry.family),
        size_multiple=_FAMILY_DEFAULTS.get(entry.family, {}).get("size_multiple", entry.size_multiple),
        is_editor=entry.is_editor,
        base=entry.base,
        unet_file=entry.unet_file,
        lora_file=entry.lora_file,
        partner=entry.partner,
    )


def defaults_from_unet(unet: Mapping[str, Any]) -> dict[str, Any]:
    """Return the family and its defaults, as derived from the UNet's configuration."""
    width = unet.get("cross_attention_dim")
    family = Family.SD2 if width == CROSS_ATTENTION_DIMS[Family.SD2] else Family.SD1
    if unet.get("addition_embed_type") == "text_time":
        family = Family.SDXL
    distilled = _LCM_DEFAULTS if unet.get("time_cond_proj_dim") is not None else {}
    cross_attention_dim = width if isinstance(width, int) else None
    return {
        "family": family,
        "cross_attention_dim": cross_attention_dim,
        "attention_layers": count_in_config(unet),
        "is_editor": unet.get("in_channels") == EDITOR_CHANNELS,
        **_FAMILY_DEFAULTS.get(family, {}),
        **distilled,
    }


def size_for(model: Model, aspect: tuple[int, int], *, draft: bool = False) -> tuple[int, int]:
    """Return the width and height in pixels for `aspect`, or the nearest supported ratio, at about the native area.

    A draft has half the native size on each side.
    """
    if draft:
        return size_for(replace(model, native_size=model.native_size // 2), aspect)
    if aspect[0] < aspect[1]:  # so that portrait is exactly landscape turned, however the sides are rounded
        height, width = size_for(model, (aspect[1], aspect[0]))
        return width, height
    ratio = min(aspect[0] / aspect[1], model.max_aspect)
    width, height = _rounded(model, math.sqrt(ratio)), _rounded(model, 1 / math.sqrt(ratio))
    return min(width, _longest(model, height)), min(height, _longest(model, width))


def _rounded(model: Model, share: float) -> int:
    return max(1, round(model.native_size * share / model.size_multiple)) * model.size_multiple


def _longest(model: Model, other: int) -> int:
    return int(model.max_aspect * other / model.size_multiple) * model.size_multiple


def _native_size(folder: Path) -> int:
    unet, vae = read_config(folder / "unet" / "config.json"), read_config(folder / "vae" / "config.json")
    sample_size, blocks = unet.get("sample_size", 64), vae.get("block_out_channels", (0, 0, 0, 0))
    return _bounded_size(sample_size * 2 ** (len(blocks) - 1)) if isinstance(sample_size, int) else 512


def _bounded_size(size: int) -> int:
    """Return a native size; one that no model can have would only end in a lack of memory."""
    if not 0 < size <= MAX_NATIVE_SIZE:
        raise ValueError(f"a native size of {size} pixels")
    return size


def _scheduler_sampler(folder: Path) -> str | None:
    settings = read_config(folder / "scheduler" / "scheduler_config.json")
    return sampler_for(str(settings["_class_name"]), settings) if "_class_name" in settings else None


def _read_atelier_json(path: Path) -> dict[str, Any]:
    """Return the fields of `Model` that an atelier.json sets; raise UserError if it is damaged."""
    values = {name: value for name, value in read_json(path).items() if name in _ATELIER_JSON_KEYS}
    for name, value in values.items():
        if not _is_valid(value, *_ATELIER_JSON_KEYS[name]):
            raise UserError(f"{path} is damaged: `{name}` cannot be {json.dumps(value)}")
    if values.get("sampler", DEFAULT_CHECKPOINT_SAMPLER) not in SAMPLERS:
        raise UserError(f"{path} is damaged: there is no sampler {values['sampler']}. Available: {', '.join(SAMPLERS)}")
    if "native_size" in values:
        with report_damage(path, "a description of a model"):
            _bounded_size(values["native_size"])
    return _without_word_lists(values) | _read_words(values, path)


def _without_word_lists(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in ("known", "synonyms")}


def _read_words(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the fields made of lists of words."""
    fields: dict[str, Any] = {"examples": tuple(_checked_words(values.get("examples", []), "examples", path))}
    known, synonyms = (
        {key: _checked_words(words, name, path) for key, words in values.get(name, {}).items()}
        for name in ("known", "synonyms")
    )
    if known:
        fields["vocabulary"] = Vocabulary.from_json(known, synonyms)
    names = _checked_words(values.get("unsupported", []), "unsupported", path)
    if wrong := [name for name in names if name.upper() not in Capability.__members__]:
        available = ", ".join(name.lower() for name in Capability.__members__)
        raise UserError(f"{path} is damaged: there is no capability {wrong[0]}. Available: {available}")
    return fields | {"unsupported": frozenset(Capability[name.upper()] for name in names)}


def _checked_words(words: object, name: str, path: Path) -> list[str]:
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise UserError(f"{path} is damaged: `{name}` must contain lists of words")
    return words


def _is_valid(value: object, kind: Any, minimum: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, kind):
        return False
    return not isinstance(value, int | float) or minimum <= value < math.inf
