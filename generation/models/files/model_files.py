"""Check a model's files before they are loaded: the one check of the bot, the GPU process and the doctor."""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from generation.models.catalogue import PIPELINE_ONLY, Family
from generation.models.files.config_types import read_config, read_index
from generation.models.files.errors import MissingFileError, ModelFileError, report_damage
from generation.models.files.json_files import read_json
from generation.models.files.pipeline_config import XL_PARTS, is_xl, require_supported_classes, require_supported_family
from generation.models.files.safetensors_header import CONVERT_HINT, read_header, require_plain_weights
from generation.models.model import Model

# The components of a Stable Diffusion pipeline; each must have one of these files, apart from weights.
COMPONENT_FILES = {
    "tokenizer": ("tokenizer.json", "vocab.json"),
    "tokenizer_2": ("tokenizer.json", "vocab.json"),
    "text_encoder": ("config.json",),
    "text_encoder_2": ("config.json",),
    "unet": ("config.json",),
    "vae": ("config.json",),
    "scheduler": ("scheduler_config.json",),
}
DIFFUSERS_WEIGHTS, TRANSFORMERS_WEIGHTS = "diffusion_pytorch_model.safetensors", "model.safetensors"
WEIGHT_FILES = {
    "text_encoder": TRANSFORMERS_WEIGHTS,
    "text_encoder_2": TRANSFORMERS_WEIGHTS,
    "unet": DIFFUSERS_WEIGHTS,
    "vae": DIFFUSERS_WEIGHTS,
}
TEXT_COMPONENTS = ("tokenizer", "text_encoder")
TWO_PART_FAMILIES = (Family.KANDINSKY, Family.CASCADE, Family.WUERSTCHEN, Family.IF)
# For pipeline families: components that are never loaded, and class name suffixes of components without weights.
UNUSED_COMPONENTS = ("safety_checker", "feature_extractor", "image_processor", "watermarker")
NON_NETWORK_SUFFIXES = ("Tokenizer", "TokenizerFast", "Scheduler")
PICKLED_PATTERNS = ("*.bin", "*.ckpt", "*.pt", "*.pth")
MAX_LISTED_FILES = 8
# The JSON files of a part that diffusers and transformers read; others, such as macOS' “._config.json”, do not matter.
_READ_FILES = re.compile(r"(?!\.)(.*config|tokenizer|vocab|special_tokens_map|added_tokens|.*\.index.*)\.json")


def check_model_files(model: Model) -> list[Path]:
    """Return a model's weight files, each opened once.

    Raise ModelFileError for a missing, damaged or unsupported part, and LocalEntryNotFoundError for a model of the hub
    that is not on this machine.
    """
    if Path(model.ref).is_file():
        read_header(Path(model.ref))
        return [Path(model.ref)]
    with report_damage(Path(model.ref), "a diffusers model folder"):
        return list(_check_pipelines(model) if model.family in PIPELINE_ONLY else _check_components(model))


def require_local_files(model: Model) -> None:
    """Raise ModelFileError if a model in a folder or file on this machine cannot be loaded."""
    if all(Path(ref).exists() for ref in (model.ref, model.base, model.partner) if ref):
        check_model_files(model)


def check_classifier_files(ref: str) -> None:
    """Raise ModelFileError for a classifier with missing or damaged files, and like `local_folder`."""
    folder = local_folder(ref)
    if not (folder / "config.json").is_file():
        raise ModelFileError(f"{folder} has no config.json", "Set SENSITIVE_CLASSIFIER to a model's folder or hub id.")
    _check_json(folder)
    for path in weight_files(folder, TRANSFORMERS_WEIGHTS):
        read_header(path)


def _check_components(model: Model) -> Iterator[Path]:
    folder = local_folder(model.base or model.ref)
    index = read_index(folder / "model_index.json")
    require_supported_classes(model.ref, index)
    for component in COMPONENT_FILES:
        if (is_xl(index) or component not in XL_PARTS) and not (model.base and component == "unet"):
            yield from _check_component(folder, component)
    if model.base:
        yield from _check_unet_folder(model)
        return
    configs = {part: read_config(folder / part / "config.json") for part in ("unet", "vae")}
    scheduler = read_config(folder / "scheduler" / "scheduler_config.json")
    require_supported_family(model.ref, index, configs["unet"], configs["vae"], scheduler)


def _check_component(folder: Path, component: str) -> Iterator[Path]:
    """Check one component, and yield its weight files."""
    if not any((folder / component / name).is_file() for name in COMPONENT_FILES[component]):
        raise MissingFileError(f"{folder / component} has no {' or '.join(COMPONENT_FILES[component])}")
    _check_json(folder / component)
    if component in WEIGHT_FILES:
        for path in weight_files(folder / component, WEIGHT_FILES[component]):
            require_plain_weights(path, read_header(path))
            yield path


def _check_json(folder: Path) -> None:
    """Check the JSON files that diffusers and transformers will read, which is in UTF-8 only."""
    for path in sorted(folder.glob("*.json")):
        if not _READ_FILES.fullmatch(path.name):
            continue
        _require_not_quantised(path, read_config(path) if "config" in path.name else read_json(path))
        with path.open("rb") as file:
            start = file.read(len(BOM_UTF8))
        if start.startswith((BOM_UTF8, BOM_UTF16_LE, BOM_UTF16_BE)):
            fix = "Save it as UTF-8 without a byte order mark, in Notepad as “UTF-8”."
            raise ModelFileError(f"{path} begins with a byte order mark, which diffusers cannot read", fix)


def _require_not_quantised(path: Path, settings: Mapping[str, Any]) -> None:
    if quantisation := settings.get("quantization_config"):
        method = quantisation.get("quant_method") if isinstance(quantisation, dict) else quantisation
        text = f"{path.parent} is quantised in a way that is not supported ({method})"
        raise ModelFileError(text, "Take the model without quantisation.")


def _check_pipelines(model: Model) -> Iterator[Path]:
    """Check the one or two pipelines of a model that a stock diffusers pipeline runs."""
    if model.family in TWO_PART_FAMILIES and not model.partner:
        fix = f"Set `partner` in {model.ref}/atelier.json to the folder or hub id of the other half."
        raise ModelFileError(f"{model.ref} is one half of a model", fix)
    yield from _check_pipeline_folder(local_folder(model.ref))
    if model.partner:
        # The second stage of IF uses the text embeddings of the first.
        unused = TEXT_COMPONENTS if model.family is Family.IF else ()
        yield from _check_pipeline_folder(local_folder(model.partner), unused)


def _check_pipeline_folder(folder: Path, unused: Sequence[str] = ()) -> Iterator[Path]:
    index = read_index(folder / "model_index.json")
    components = {part: named for part, named in index.items() if isinstance(named, list) and named[1] is not None}
    for component in components.keys() - {*UNUSED_COMPONENTS, *unused}:
        library, class_name = components[component]
        if not (folder / component).is_dir():
            raise MissingFileError(f"{folder / component} is missing")
        _check_json(folder / component)
        if not str(class_name).endswith(NON_NETWORK_SUFFIXES):
            name = TRANSFORMERS_WEIGHTS if library == "transformers" else DIFFUSERS_WEIGHTS
            for path in weight_files(folder / component, name):
                require_plain_weights(path, read_header(path))
                yield path


def _check_unet_folder(model: Model) -> Iterator[Path]:
    folder = local_folder(model.ref)
    own_file = model.unet_file or model.lora_file
    for path in [folder / own_file] if own_file else weight_files(folder, DIFFUSERS_WEIGHTS):
        read_header(path)
        yield path


def local_folder(ref: str) -> Path:
    """Return a model's folder; raise LocalEntryNotFoundError if it must be downloaded, HFValidationError for a path."""
    if Path(ref).is_dir():
        return Path(ref)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(ref, local_files_only=True))


def weight_files(folder: Path, name: str) -> list[Path]:
    """Return the weight files of a component: one file, or the shards of an index, of the first complete variant."""
    variants = weight_variants(folder, name)
    if variants:
        return next(iter(variants.values()))
    if any(path for pattern in PICKLED_PATTERNS for path in folder.glob(pattern)):
        text = f"{folder} has only pickled weights, which could run any program and are not loaded"
        raise ModelFileError(text, f"Choose a version of the model with safetensors. {CONVERT_HINT}")
    raise MissingFileError(_describe_missing(folder, name))


def weight_variants(folder: Path, name: str) -> dict[str | None, list[Path]]:
    """Return the complete sets of weight files in a folder by diffusers' name of the variant, such as `fp16`.

    The plain one is None and comes first, then half precision.
    """
    stem = name.removesuffix(".safetensors")
    found: dict[str | None, list[Path]] = {}
    for path in sorted(folder.glob(f"{stem}*.safetensors")):
        variant = path.stem.removeprefix(stem).removeprefix(".")
        if "." not in variant and "-of-" not in variant and path.stem in (stem, f"{stem}.{variant}"):
            found[variant or None] = [path]
    for index in sorted(folder.glob(f"{name}.index*.json")):
        variant = index.name.removeprefix(f"{name}.index").removesuffix(".json").removeprefix(".")
        shards = _shards(index)
        if all(shard.is_file() for shard in shards):
            found.setdefault(variant or None, shards)
    return dict(sorted(found.items(), key=lambda each: (each[0] is not None, each[0] != "fp16", each[0] or "")))


def variant_order(folder: Path, name: str, *, half: bool) -> list[str | None]:
    """Return the variants of a network's weights to try, the one in the fitting precision first.

    Of a folder on this machine they are those that are there.
    """
    preferred = ["fp16", None] if half else [None, "fp16"]
    if not folder.is_dir():
        return preferred
    present = weight_variants(folder, name)
    return [each for each in preferred if each in present] + [each for each in present if each not in preferred]


def _shards(index: Path) -> list[Path]:
    with report_damage(index, "an index of weights"):
        return [index.with_name(shard) for shard in sorted(set(read_config(index)["weight_map"].values()))]


def _describe_missing(folder: Path, name: str) -> str:
    """Return which weight file is missing, and which files are there."""
    for index in sorted(folder.glob(f"{name}.index*.json")):
        shards = _shards(index)
        if missing := [shard.name for shard in shards if not shard.is_file()]:
            there = len(shards) - len(missing)
            return (
                f"{folder} has {there} of the {len(shards)} files that {index.name} lists: {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} missing"
            )
    files = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    listed = ", ".join(files[:MAX_LISTED_FILES]) + (", …" if len(files) > MAX_LISTED_FILES else "")
    return f"{folder / name} is missing; the folder has {listed or 'no files'}"
