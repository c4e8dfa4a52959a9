"""Whether the model's files are all there, whole, and of the kind that is loaded."""

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

# The parts of a Stable Diffusion pipeline, and what each must hold besides weights.
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
# Of the families that are drawn whole: parts that are never loaded, and kinds of parts that are no networks.
UNUSED_COMPONENTS = ("safety_checker", "feature_extractor", "image_processor", "watermarker")
NON_NETWORK_SUFFIXES = ("Tokenizer", "TokenizerFast", "Scheduler")
PICKLED_PATTERNS = ("*.bin", "*.ckpt", "*.pt", "*.pth")
FIX_DOWNLOAD = "Download the model again; a clone by git needs git-lfs."


class _ModelFilesError(Exception):
    """What is wrong with a model's files, and what mends it."""

    def __init__(self, text: str, fix: str = FIX_DOWNLOAD) -> None:
        super().__init__(text)
        self.fix = fix


def check_models(refs: Sequence[str]) -> list[CheckResult]:
    """Check the files of each model that MODEL names, and that a prompt can tell them apart."""
    results = [result for ref in refs for result in check_model(ref)]
    if any(finding.status is CheckStatus.FAILED for finding in results):
        return results
    try:
        ModelRegistry.from_refs(refs)
    except UserError as complaint:
        results.append(failed("model", str(complaint), "Give one of them another name, or leave it out of MODEL."))
    return results


def check_model(ref: str) -> list[CheckResult]:
    """Check the files of one model that MODEL names."""
    try:
        model = describe_model(ref)
        weights = list(_check_model_files(model))
    except LocalEntryNotFoundError:  # one of the FileNotFoundErrors
        commands = " and ".join(f"`hf download {ref}`" for ref in filter(None, (model.ref, model.base, model.partner)))
        fix = f"Start the bot, or run {commands}, and look again."
        return [skipped("model", f"{model.ref} is not on this machine yet: it is downloaded at the first start", fix)]
    except (FileNotFoundError, UserError) as error:
        return [
            failed(
                "model",
                str(error),
                "Set MODEL to a name of the catalogue, a hub id, a diffusers folder or a safetensors file.",
            )
        ]
    except _ModelFilesError as error:
        return [failed("model", str(error), error.fix)]
    size = sum(path.stat().st_size for path in weights)
    return [passed("model", f"{model.name} is complete, with {size / 2**20:.0f} MiB of weights")]


def largest_parameter_count(refs: Sequence[str]) -> int:
    """Give how many numbers the weights of the largest of the models are, as far as their files can be read."""
    return max(map(_count_parameters, refs), default=0)


def _count_parameters(ref: str) -> int:
    try:
        files = list(_check_model_files(describe_model(ref)))
        return sum(math.prod(shape) for file in files for shape in read_header(file).shapes.values())
    except (OSError, UserError, _ModelFilesError):  # what is wrong is said by `check_model`
        return 0


def _check_model_files(model: Model) -> Iterator[Path]:
    """Check every part, and give the files of weights."""
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
    """Check the one or two halves of a model that diffusers' own pipelines draw with."""
    yield from _check_pipeline_folder(_local_folder(model.ref))
    if model.partner:
        read_once = (
            TEXT_COMPONENTS if model.family is Family.IF else ()
        )  # its second half goes by the first one's reading
        yield from _check_pipeline_folder(_local_folder(model.partner), read_once)


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
    """Check the files of the model that tells sensitive pictures, where there is one."""
    if not ref:
        return [passed("classifier", "none is set, so sensitive pictures are not told from others")]
    fix = f"Start the bot, or run `hf download {ref}`, and look again."
    try:
        folder = _local_folder(ref)
        if not (folder / "config.json").is_file():
            raise _ModelFilesError(
                f"{folder} has no config.json", "Set SENSITIVE_CLASSIFIER to a model's folder or hub id."
            )
        for path in _weight_files(folder, "model.safetensors"):
            _check_safetensors(path)
    except LocalEntryNotFoundError:
        return [skipped("classifier", f"{ref} is not on this machine yet: it is downloaded at the first start", fix)]
    except HFValidationError:
        return [failed("classifier", f"there is no {ref}", "Set SENSITIVE_CLASSIFIER to a model's folder or hub id.")]
    except _ModelFilesError as error:
        return [failed("classifier", str(error), error.fix)]
    return [passed("classifier", f"{ref} is complete")]


def _local_folder(ref: str) -> Path:
    return Path(ref) if Path(ref).is_dir() else Path(snapshot_download(ref, local_files_only=True))


def _check_component(folder: Path, index: Mapping[str, Any], component: str) -> Iterator[Path]:
    """Check one part, and give its files of weights."""
    if not index.get(component) or index[component][1] is None:
        raise _ModelFilesError(
            f"{folder} has no {component}, so it is not of Stable Diffusion's shape", "Choose another MODEL."
        )
    if not any((folder / component / name).is_file() for name in COMPONENT_FILES[component]):
        raise _ModelFilesError(f"{folder / component} has no {' or '.join(COMPONENT_FILES[component])}")
    if component in WEIGHT_FILES:
        for path in _weight_files(folder / component, WEIGHT_FILES[component]):
            _check_safetensors(path)
            yield path


def _weight_files(folder: Path, name: str) -> list[Path]:
    """Give the files of a network's weights, in full or in half precision: one, or those that an index lists."""
    for path in (folder / name, (folder / name).with_suffix(".fp16.safetensors")):
        if path.is_file():
            return [path]
    for index in (folder / f"{name}.index.json", folder / f"{name}.index.fp16.json"):
        if index.is_file():
            names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            return [folder / shard for shard in sorted(names)]
    if any(path for pattern in PICKLED_PATTERNS for path in folder.glob(pattern)):
        text = f"{folder} has pickled weights only, which could run any program and are not loaded"
        raise _ModelFilesError(text, f"Choose a version of the model with safetensors. {CONVERT_HINT}")
    raise _ModelFilesError(f"{folder / name} is missing")


def _check_safetensors(path: Path) -> None:
    """Read the header, which tells how long the file must be."""
    try:
        with safe_open(path, "numpy"):
            pass
    except FileNotFoundError:
        raise _ModelFilesError(f"{path} is missing") from None
    except (SafetensorError, OSError) as error:
        raise _ModelFilesError(f"{path} is damaged: {error}") from None
