"""Whether the model's files are all there, whole, and of the kind that is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open

from bot.doctor.finding import Finding, Verdict, bad, fine, unknown
from generation.errors import Complaint
from generation.models import CONVERT, describe
from generation.repertoire import Repertoire

# The parts of a Stable Diffusion pipeline, and what each must hold besides weights.
PARTS = {
    "tokenizer": ("tokenizer.json", "vocab.json"),
    "text_encoder": ("config.json",),
    "unet": ("config.json",),
    "vae": ("config.json",),
    "scheduler": ("scheduler_config.json",),
}
WEIGHTS = {
    "text_encoder": "model.safetensors",
    "unet": "diffusion_pytorch_model.safetensors",
    "vae": "diffusion_pytorch_model.safetensors",
}
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
        Repertoire.of(refs)
    except Complaint as complaint:
        found.append(bad("model", str(complaint), "Give one of them another name, or leave it out of MODEL."))
    return found


def check_model(ref: str) -> list[Finding]:
    """Check the files of one model that MODEL names."""
    try:
        model = describe(ref)
        weights = list(_check_all(model.ref))
    except LocalEntryNotFoundError:  # one of the FileNotFoundErrors
        mend = f"Start the bot, or run `hf download {model.ref}`, and look again."
        return [unknown("model", f"{model.ref} is not on this machine yet: it is downloaded at the first start", mend)]
    except (FileNotFoundError, Complaint) as error:
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


def _check_all(ref: str) -> Iterator[Path]:
    """Check every part, and give the files of weights."""
    if Path(ref).is_file():
        _check_weights(Path(ref))
        yield Path(ref)
        return
    folder = _folder(ref)
    for part in PARTS:
        yield from _check_part(folder, part)


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


def _check_part(folder: Path, part: str) -> Iterator[Path]:
    """Check one part, and give its files of weights."""
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    if not index.get(part) or index[part][1] is None:
        raise _Fault(f"it has no {part}, so it is not of Stable Diffusion's shape", "Choose another MODEL.")
    if not any((folder / part / name).is_file() for name in PARTS[part]):
        raise _Fault(f"{folder / part} has no {' or '.join(PARTS[part])}")
    if part in WEIGHTS:
        for path in _weights(folder / part, WEIGHTS[part]):
            _check_weights(path)
            yield path


def _weights(folder: Path, name: str) -> list[Path]:
    """Give the files of a network's weights: one, or those that an index lists."""
    if (folder / name).is_file():
        return [folder / name]
    index = folder / f"{name}.index.json"
    if index.is_file():
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        return [folder / shard for shard in sorted(names)]
    if any(path for pattern in PICKLED for path in folder.glob(pattern)):
        text = f"{folder} has pickled weights only, which could run any program and are not loaded"
        raise _Fault(text, f"Choose a version of the model with safetensors. {CONVERT}")
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
