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

from bot.doctor.finding import Finding, Verdict, bad, fine, unknown
from generation.errors import UserError
from generation.models.catalogue import PIPELINE_ONLY, Family
from generation.models.model import CONVERT_HINT, Model, describe_model
from generation.models.registry import ModelRegistry
from generation.models.safetensors_header import read_header

# The parts of a Stable Diffusion pipeline, and what each must hold besides weights.
PARTS = {
    "tokenizer": ("tokenizer.json", "vocab.json"),
    "tokenizer_2": ("tokenizer.json", "vocab.json"),
    "text_encoder": ("config.json",),
    "text_encoder_2": ("config.json",),
    "unet": ("config.json",),
    "vae": ("config.json",),
    "scheduler": ("scheduler_config.json",),
}
WEIGHTS = {
    "text_encoder": "model.safetensors",
    "text_encoder_2": "model.safetensors",
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
}
OF_XL = ("tokenizer_2", "text_encoder_2")
OF_TEXT = ("tokenizer", "text_encoder")
# Of the families that are drawn whole: parts that are never loaded, and kinds of parts that are no networks.
UNUSED = ("safety_checker", "feature_extractor", "image_processor", "watermarker")
NO_NETWORKS = ("Tokenizer", "TokenizerFast", "Scheduler")
PICKLED = ("*.bin", "*.ckpt", "*.pt", "*.pth")
AGAIN = "Download the model again; a clone by git needs git-lfs."


class _Fault(Exception):
    """What is wrong with a model's files, and what mends it."""

    def __init__(self, text: str, mend: str = AGAIN) -> None:
        super().__init__(text)
        self.mend = mend


def check_models(refs: Sequence[str]) -> list[Finding]:
    """Check the files of each model that MODEL names, and that a prompt can tell them apart."""
    found = [finding for ref in refs for finding in check_model(ref)]
    if any(finding.verdict is Verdict.BAD for finding in found):
        return found
    try:
        ModelRegistry.from_refs(refs)
    except UserError as complaint:
        found.append(bad("model", str(complaint), "Give one of them another name, or leave it out of MODEL."))
    return found


def check_model(ref: str) -> list[Finding]:
    """Check the files of one model that MODEL names."""
    try:
        model = describe_model(ref)
        weights = list(_check_all(model))
    except LocalEntryNotFoundError:  # one of the FileNotFoundErrors
        commands = " and ".join(f"`hf download {ref}`" for ref in filter(None, (model.ref, model.base, model.partner)))
        mend = f"Start the bot, or run {commands}, and look again."
        return [unknown("model", f"{model.ref} is not on this machine yet: it is downloaded at the first start", mend)]
    except (FileNotFoundError, UserError) as error:
        return [
            bad(
                "model",
                str(error),
                "Set MODEL to a name of the catalogue, a hub id, a diffusers folder or a safetensors file.",
            )
        ]
    except _Fault as fault:
        return [bad("model", str(fault), fault.mend)]
    size = sum(path.stat().st_size for path in weights)
    return [fine("model", f"{model.name} is complete, with {size / 2**20:.0f} MiB of weights")]


def most_weights(refs: Sequence[str]) -> int:
    """Give how many numbers the weights of the largest of the models are, as far as their files can be read."""
    return max(map(_count_weights, refs), default=0)


def _count_weights(ref: str) -> int:
    try:
        files = list(_check_all(describe_model(ref)))
        return sum(math.prod(shape) for file in files for shape in read_header(file).shapes.values())
    except (OSError, UserError, _Fault):  # what is wrong is said by `check_model`
        return 0


def _check_all(model: Model) -> Iterator[Path]:
    """Check every part, and give the files of weights."""
    if Path(model.ref).is_file():
        _check_weights(Path(model.ref))
        yield Path(model.ref)
        return
    if model.family in PIPELINE_ONLY:
        yield from _check_whole(model)
        return
    folder = _folder(model.base or model.ref)
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    is_xl = index.get("text_encoder_2", (None, None))[1] is not None
    for part in PARTS:
        if (is_xl or part not in OF_XL) and not (model.base and part == "unet"):
            yield from _check_part(folder, index, part)
    if model.base:
        yield from _check_lone_unet(model)


def _check_whole(model: Model) -> Iterator[Path]:
    """Check the one or two halves of a model that diffusers' own pipelines draw with."""
    yield from _check_half(_folder(model.ref))
    if model.partner:
        read_once = OF_TEXT if model.family is Family.IF else ()  # its second half goes by the first one's reading
        yield from _check_half(_folder(model.partner), read_once)


def _check_half(folder: Path, unused: Sequence[str] = ()) -> Iterator[Path]:
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    parts = {part: named for part, named in index.items() if isinstance(named, list) and named[1] is not None}
    for part in parts.keys() - {*UNUSED, *unused}:
        library, kind = parts[part]
        if not (folder / part).is_dir():
            raise _Fault(f"{folder / part} is missing")
        if not kind.endswith(NO_NETWORKS):
            name = "model.safetensors" if library == "transformers" else "diffusion_pytorch_model.safetensors"
            for path in _weights(folder / part, name):
                _check_weights(path)
                yield path


def _check_lone_unet(model: Model) -> Iterator[Path]:
    folder = _folder(model.ref)
    for path in [folder / model.unet_file] if model.unet_file else _weights(folder, WEIGHTS["unet"]):
        _check_weights(path)
        yield path


def check_classifier(ref: str) -> list[Finding]:
    """Check the files of the model that tells sensitive pictures, where there is one."""
    if not ref:
        return [fine("classifier", "none is set, so sensitive pictures are not told from others")]
    mend = f"Start the bot, or run `hf download {ref}`, and look again."
    try:
        folder = _folder(ref)
        if not (folder / "config.json").is_file():
            raise _Fault(f"{folder} has no config.json", "Set SENSITIVE_CLASSIFIER to a model's folder or hub id.")
        for path in _weights(folder, "model.safetensors"):
            _check_weights(path)
    except LocalEntryNotFoundError:
        return [unknown("classifier", f"{ref} is not on this machine yet: it is downloaded at the first start", mend)]
    except HFValidationError:
        return [bad("classifier", f"there is no {ref}", "Set SENSITIVE_CLASSIFIER to a model's folder or hub id.")]
    except _Fault as fault:
        return [bad("classifier", str(fault), fault.mend)]
    return [fine("classifier", f"{ref} is complete")]


def _folder(ref: str) -> Path:
    return Path(ref) if Path(ref).is_dir() else Path(snapshot_download(ref, local_files_only=True))


def _check_part(folder: Path, index: Mapping[str, Any], part: str) -> Iterator[Path]:
    """Check one part, and give its files of weights."""
    if not index.get(part) or index[part][1] is None:
        raise _Fault(f"{folder} has no {part}, so it is not of Stable Diffusion's shape", "Choose another MODEL.")
    if not any((folder / part / name).is_file() for name in PARTS[part]):
        raise _Fault(f"{folder / part} has no {' or '.join(PARTS[part])}")
    if part in WEIGHTS:
        for path in _weights(folder / part, WEIGHTS[part]):
            _check_weights(path)
            yield path


def _weights(folder: Path, name: str) -> list[Path]:
    """Give the files of a network's weights, in full or in half precision: one, or those that an index lists."""
    for path in (folder / name, (folder / name).with_suffix(".fp16.safetensors")):
        if path.is_file():
            return [path]
    for index in (folder / f"{name}.index.json", folder / f"{name}.index.fp16.json"):
        if index.is_file():
            names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            return [folder / shard for shard in sorted(names)]
    if any(path for pattern in PICKLED for path in folder.glob(pattern)):
        text = f"{folder} has pickled weights only, which could run any program and are not loaded"
        raise _Fault(text, f"Choose a version of the model with safetensors. {CONVERT_HINT}")
    raise _Fault(f"{folder / name} is missing")


def _check_weights(path: Path) -> None:
    """Read the header, which tells how long the file must be."""
    try:
        with safe_open(path, "numpy"):
            pass
    except FileNotFoundError:
        raise _Fault(f"{path} is missing") from None
    except (SafetensorError, OSError) as error:
        raise _Fault(f"{path} is damaged: {error}") from None
