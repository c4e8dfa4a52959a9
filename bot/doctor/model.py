"""Check that the files of the models are complete, undamaged and loadable."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open

from bot.doctor.result import CheckResult, CheckStatus, failed, passed, skipped
from generation.errors import UserError
from generation.models.catalogue import PIPELINE_ONLY, Family
from generation.models.model import CONVERT_HINT, Model, describe_model
from generation.models.registry import ModelRegistry
from generation.models.safetensors_header import read_header

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
WEIGHT_FILES = {
    "text_encoder": "model.safetensors",
    "text_encoder_2": "model.safetensors",
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
}
XL_COMPONENTS = ("tokenizer_2", "text_encoder_2")
TEXT_COMPONENTS = ("tokenizer", "text_encoder")
# For pipeline families: components that are never loaded, and class name suffixes of components without weights.
UNUSED_COMPONENTS = ("safety_checker", "feature_extractor", "image_processor", "watermarker")
NON_NETWORK_SUFFIXES = ("Tokenizer", "TokenizerFast", "Scheduler")
PICKLED_PATTERNS = ("*.bin", "*.ckpt", "*.pt", "*.pth")
FIX_DOWNLOAD = "Download the model again; git clone needs git-lfs."


class _ModelFilesError(Exception):
    """A problem with a model's files, and its fix."""

    def __init__(self, text: str, fix: str = FIX_DOWNLOAD) -> None:
        super().__init__(text)
        self.fix = fix


def check_models(refs: Sequence[str]) -> list[CheckResult]:
    """Check the files of each model that MODEL names, and that their names are distinct."""
    results = [result for ref in refs for result in check_model(ref)]
    if any(result.status is CheckStatus.FAILED for result in results):
        return results
    try:
        ModelRegistry.from_refs(refs)
    except UserError as error:
        results.append(failed("model", str(error), "Rename one of them, or remove it from MODEL."))
    return results


def check_model(ref: str) -> list[CheckResult]:
    """Check the files of one model that MODEL names."""
    try:
        model = describe_model(ref)
        weights = list(_check_model_files(model))
    except LocalEntryNotFoundError:  # before FileNotFoundError, its base class
        commands = " and ".join(f"`hf download {ref}`" for ref in filter(None, (model.ref, model.base, model.partner)))
        fix = f"Start the bot or run {commands}, then check again."
        return [
            skipped("model", f"{model.ref} is not on this machine yet: the bot downloads it at its first start", fix)
        ]
    except (FileNotFoundError, UserError) as error:
        return [
            failed(
                "model",
                str(error),
                "Set MODEL to a catalogue name, a hub id, a diffusers folder or a .safetensors file.",
            )
        ]
    except _ModelFilesError as error:
        return [failed("model", str(error), error.fix)]
    size = sum(path.stat().st_size for path in weights)
    return [passed("model", f"{model.name} is complete, with {size / 2**20:.0f} MiB of weights")]


def largest_parameter_count(refs: Sequence[str]) -> int:
    """Return the parameter count of the largest model whose files can be read, or 0."""
    return max(map(_count_parameters, refs), default=0)


def _count_parameters(ref: str) -> int:
    try:
        files = list(_check_model_files(describe_model(ref)))
        return sum(math.prod(shape) for file in files for shape in read_header(file).shapes.values())
    except (OSError, UserError, _ModelFilesError):  # `check_model` reports it
        return 0


def _check_model_files(model: Model) -> Iterator[Path]:
    """Check every component, and yield the weight files."""
    if Path(model.ref).is_file():
        _check_safetensors(Path(model.ref))
        yield Path(model.ref)
        return
    if model.family in PIPELINE_ONLY:
        yield from _check_pipelines(model)
        return
    folder = _local_folder(model.base or model.ref)
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    is_xl = index.get("text_encoder_2", (None, None))[1] is not None
    for component in COMPONENT_FILES:
        if (is_xl or component not in XL_COMPONENTS) and not (model.base and component == "unet"):
            yield from _check_component(folder, index, component)
    if model.base:
        yield from _check_unet_folder(model)


def _check_pipelines(model: Model) -> Iterator[Path]:
    """Check the one or two pipelines of a model that a stock diffusers pipeline runs."""
    yield from _check_pipeline_folder(_local_folder(model.ref))
    if model.partner:
        # The second stage of IF uses the text embeddings of the first.
        unused = TEXT_COMPONENTS if model.family is Family.IF else ()
        yield from _check_pipeline_folder(_local_folder(model.partner), unused)


def _check_pipeline_folder(folder: Path, unused: Sequence[str] = ()) -> Iterator[Path]:
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    components = {part: named for part, named in index.items() if isinstance(named, list) and named[1] is not None}
    for component in components.keys() - {*UNUSED_COMPONENTS, *unused}:
        library, class_name = components[component]
        if not (folder / component).is_dir():
            raise _ModelFilesError(f"{folder / component} is missing")
        if not class_name.endswith(NON_NETWORK_SUFFIXES):
            name = "model.safetensors" if library == "transformers" else "diffusion_pytorch_model.safetensors"
            for path in _weight_files(folder / component, name):
                _check_safetensors(path)
                yield path


def _check_unet_folder(model: Model) -> Iterator[Path]:
    folder = _local_folder(model.ref)
    for path in [folder / model.unet_file] if model.unet_file else _weight_files(folder, WEIGHT_FILES["unet"]):
        _check_safetensors(path)
        yield path


def check_classifier(ref: str) -> list[CheckResult]:
    """Check the files of the NSFW classifier, if one is set."""
    if not ref:
        return [passed("classifier", "none is set, so sensitive pictures are not detected")]
    fix = f"Start the bot or run `hf download {ref}`, then check again."
    try:
        folder = _local_folder(ref)
        if not (folder / "config.json").is_file():
            raise _ModelFilesError(
                f"{folder} has no config.json", "Set SENSITIVE_CLASSIFIER to a model's folder or hub id."
            )
        for path in _weight_files(folder, "model.safetensors"):
            _check_safetensors(path)
    except LocalEntryNotFoundError:
        return [
            skipped("classifier", f"{ref} is not on this machine yet: the bot downloads it at its first start", fix)
        ]
    except HFValidationError:
        return [
            failed("classifier", f"{ref} does not exist", "Set SENSITIVE_CLASSIFIER to a model's folder or hub id.")
        ]
    except _ModelFilesError as error:
        return [failed("classifier", str(error), error.fix)]
    return [passed("classifier", f"{ref} is complete")]


def _local_folder(ref: str) -> Path:
    return Path(ref) if Path(ref).is_dir() else Path(snapshot_download(ref, local_files_only=True))


def _check_component(folder: Path, index: Mapping[str, Any], component: str) -> Iterator[Path]:
    """Check one component, and yield its weight files."""
    if not index.get(component) or index[component][1] is None:
        raise _ModelFilesError(
            f"{folder} has no {component}, so it is not a Stable Diffusion model", "Choose another MODEL."
        )
    if not any((folder / component / name).is_file() for name in COMPONENT_FILES[component]):
        raise _ModelFilesError(f"{folder / component} has no {' or '.join(COMPONENT_FILES[component])}")
    if component in WEIGHT_FILES:
        for path in _weight_files(folder / component, WEIGHT_FILES[component]):
            _check_safetensors(path)
            yield path


def _weight_files(folder: Path, name: str) -> list[Path]:
    """Return the weight files of a component, in full or half precision: one file, or the shards of an index."""
    for path in (folder / name, (folder / name).with_suffix(".fp16.safetensors")):
        if path.is_file():
            return [path]
    for index in (folder / f"{name}.index.json", folder / f"{name}.index.fp16.json"):
        if index.is_file():
            names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            return [folder / shard for shard in sorted(names)]
    if any(path for pattern in PICKLED_PATTERNS for path in folder.glob(pattern)):
        text = f"{folder} has only pickled weights, which could run any program and are not loaded"
        raise _ModelFilesError(text, f"Choose a version of the model with safetensors. {CONVERT_HINT}")
    raise _ModelFilesError(f"{folder / name} is missing")


def _check_safetensors(path: Path) -> None:
    """Open a file, which checks its header against its length."""
    try:
        with safe_open(path, "numpy"):
            pass
    except FileNotFoundError:
        raise _ModelFilesError(f"{path} is missing") from None
    except (SafetensorError, OSError) as error:
        raise _ModelFilesError(f"{path} is damaged: {error}") from None
