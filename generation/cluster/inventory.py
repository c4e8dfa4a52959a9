"""What a machine can generate with, by fingerprints, so that the same name means the same weights everywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from generation.models.adapters import Adapters
from generation.models.model import Model
from generation.models.registry import ModelRegistry

WEIGHTS_SUFFIX = ".safetensors"
HASHED_SUFFIXES = (".json", ".txt", ".model")  # settings, vocabularies and merges
# Two checkpoints of one family have the same header, so parts of the weights are read too: 1 MB of a file in all.
SAMPLES, SAMPLE_BYTES = 64, 16 << 10


@dataclass(frozen=True, slots=True)
class Inventory:
    """Fingerprints by name; empty for a classifier, an upscaler or a captioner that is not used."""

    models: Mapping[str, str]
    loras: Mapping[str, str] = field(default_factory=dict)
    embeddings: Mapping[str, str] = field(default_factory=dict)
    controls: Mapping[str, str] = field(default_factory=dict)
    image_adapters: Mapping[str, str] = field(default_factory=dict)
    classifier: str = ""
    upscaler: str = ""
    captioner: str = ""

    def problems(self, bot: Inventory) -> list[str]:
        """Return why the machine with this inventory cannot generate for the bot at all."""
        found = []
        if self.classifier != bot.classifier:
            found.append("set SENSITIVE_CLASSIFIER there to the same model as on the bot's machine")
        if self.upscaler != bot.upscaler:
            found.append("set UPSCALER there to the same file as on the bot's machine")
        if not common(self.models, bot.models):
            found.append(f"it has none of the bot's models: copy {', '.join(bot.models)} there, and name it in MODEL")
        return found

    def differences(self, bot: Inventory) -> list[str]:
        """Return what of the bot's the machine lacks or has with other weights; it generates without that."""
        kinds = (
            ("model", self.models, bot.models),
            ("LoRA", self.loras, bot.loras),
            ("embedding", self.embeddings, bot.embeddings),
            ("ControlNet", self.controls, bot.controls),
            ("IP-Adapter", self.image_adapters, bot.image_adapters),
        )
        found = []
        for kind, own, wanted in kinds:
            found += [f"it has another file as the {kind} {name}" for name in sorted(_others(own, wanted))]
            found += [f"it lacks the {kind} {name}" for name in sorted(wanted.keys() - own.keys())]
        if bot.captioner and not self.has_captioner_of(bot):
            found.append("set DESCRIBER there to the same captioner as on the bot's machine")
        return found

    def has_captioner_of(self, bot: Inventory) -> bool:
        """Return whether the machine has the captioner that the bot uses."""
        return bool(bot.captioner) and self.captioner == bot.captioner


def common(own: Mapping[str, str], others: Mapping[str, str]) -> frozenset[str]:
    """Return the names with the same fingerprint in both."""
    return frozenset(name for name, fingerprint in own.items() if others.get(name) == fingerprint)


def _others(own: Mapping[str, str], wanted: Mapping[str, str]) -> frozenset[str]:
    return frozenset(own.keys() & wanted.keys()) - common(own, wanted)


def take_inventory(
    registry: ModelRegistry, classifier: str = "", upscaler: Path | None = None, captioner: str = ""
) -> Inventory:
    """Return the inventory of a machine with these models and files."""
    return Inventory(
        {model.name: _model_fingerprint(model) for model in registry.models},
        **_adapter_fingerprints(registry.adapters),
        classifier=_fingerprint(classifier) if classifier else "",
        upscaler=_fingerprint(str(upscaler)) if upscaler else "",
        captioner=_fingerprint(captioner) if captioner else "",
    )


def _model_fingerprint(model: Model) -> str:
    parts = [_fingerprint(ref) for ref in (model.ref, model.partner) if ref]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _adapter_fingerprints(adapters: Adapters) -> dict[str, dict[str, str]]:
    embeddings = {
        each.name: _combined({path for path, _ in each.sources}) + "".join(each.keys) for each in adapters.embeddings
    }
    controls = {each.key: _combined(set(each.weight_files)) for each in adapters.controls}
    loras = {lora.name: _combined({lora.path}) for lora in adapters.loras}
    images = {each.key: _combined(set(each.weight_files)) for each in adapters.images}
    return {"loras": loras, "embeddings": embeddings, "controls": controls, "image_adapters": images}


def _fingerprint(ref: str) -> str:
    """Return the fingerprint of a folder, a file with the description beside it, or a model of the hub."""
    path = Path(ref)
    if path.is_dir():
        suffixes = (WEIGHTS_SUFFIX, *HASHED_SUFFIXES)
        return _combined({file for file in path.rglob("*") if file.suffix in suffixes and file.is_file()}, path)
    if path.is_file():
        beside = path.with_suffix(".atelier.json")
        return _combined({path, beside} if beside.is_file() else {path})
    return f"hub {ref}"


def _combined(files: set[Path], folder: Path | None = None) -> str:
    digest = hashlib.sha256()
    for file in sorted(files):
        name = file.relative_to(folder).as_posix() if folder else file.suffix
        digest.update(f"{name}\0".encode())
        _add_file(digest, file)
    return digest.hexdigest()


def _add_file(digest: hashlib._Hash, file: Path) -> None:
    size = file.stat().st_size
    digest.update(f"{size}\0".encode())
    with file.open("rb") as opened:
        if size <= SAMPLES * SAMPLE_BYTES or file.suffix != WEIGHTS_SUFFIX:
            digest.update(opened.read())
            return
        header = 8 + int.from_bytes(opened.read(8), "little")
        opened.seek(0)
        digest.update(opened.read(min(header, size)))
        for sample in range(SAMPLES):
            opened.seek(header + (size - header - SAMPLE_BYTES) * sample // (SAMPLES - 1))
            digest.update(opened.read(SAMPLE_BYTES))
