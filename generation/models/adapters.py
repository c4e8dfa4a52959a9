"""The LoRAs and embeddings found in the configured folders, by name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from generation.errors import UserError
from generation.models.capabilities import Capability
from generation.models.catalogue import Family, normalize_name
from generation.models.lora import Lora, bundled_embeddings, describe_lora
from generation.models.model import CROSS_ATTENTION_DIMS, PICKLE_SUFFIXES, Model
from generation.models.safetensors_header import CONVERT_HINT
from generation.models.textual_inversion import TextualInversion, bundled_embedding, describe_embedding, join_halves
from generation.params import Params
from generation.text import Text

MACOS_PREFIX = "._"  # of the files that macOS writes beside others on foreign disks

T = TypeVar("T", Lora, TextualInversion)


@dataclass(frozen=True, slots=True)
class Adapters:
    """The LoRAs and embeddings that prompts may name; no two of a kind share a name."""

    loras: tuple[Lora, ...] = ()
    embeddings: tuple[TextualInversion, ...] = ()

    def find_lora(self, name: str) -> Lora | None:
        """Return the LoRA of this name; case, spaces and dashes do not matter."""
        return next((lora for lora in self.loras if normalize_name(lora.name) == normalize_name(name)), None)

    def match_loras(self, typed: str) -> tuple[Lora, ...]:
        """Return the LoRA of this name, else those whose names start with it."""
        if exact := self.find_lora(typed):
            return (exact,)
        prefix = normalize_name(typed)
        return tuple(lora for lora in self.loras if prefix and normalize_name(lora.name).startswith(prefix))

    def find_embedding(self, token: str) -> TextualInversion | None:
        """Return the embedding of this name; case does not matter."""
        return next((each for each in self.embeddings if each.name.casefold() == token.casefold()), None)

    def compatible_with(self, model: Model) -> Adapters:
        """Return the adapters that `model` can use, as far as is known."""
        return Adapters(
            tuple(lora for lora in self.loras if is_compatible(lora, model)),
            tuple(embedding for embedding in self.embeddings if is_compatible(embedding, model)),
        )

    def resolve_loras(self, params: Params) -> tuple[tuple[Lora, float], ...]:
        """Return the LoRAs of `params` with their weights; raise UserError for one that is no longer installed."""
        return tuple((self._require_lora(use.name), use.weight) for use in params.lora_set)

    def _require_lora(self, name: str) -> Lora:
        if (lora := self.find_lora(name)) is None:
            raise UserError(Text("This was drawn with the LoRA {lora}, which is no longer installed.", lora=name))
        return lora


NO_ADAPTERS = Adapters()


def is_compatible(adapter: Lora | TextualInversion, model: Model) -> bool:
    """Return whether `model` can use the adapter, as far as is known before both are loaded."""
    known = adapter.cross_attention_dim is not None and model.cross_attention_dim is not None
    return Capability.ADAPTERS in model.capabilities and (
        not known or adapter.cross_attention_dim == model.cross_attention_dim
    )


def incompatibility(adapter: Lora | TextualInversion) -> Text:
    """Return why a model cannot use the adapter, as the end of a sentence about the adapter."""
    if family := target_family(adapter):
        return Text("it is made for {family}", family=family)
    return Text("it is made for another kind of model")


def target_family(adapter: Lora | TextualInversion) -> Family | None:
    """Return the family of the models that the adapter is made for; None if unknown."""
    return next(
        (family for family, width in CROSS_ATTENTION_DIMS.items() if width == adapter.cross_attention_dim), None
    )


def scan_adapters(loras: Path | None, embeddings: Path | None) -> tuple[Adapters, tuple[str, ...]]:
    """Describe the files in the folders for LoRAs and embeddings; also return why files were rejected.

    Raise FileNotFoundError if a folder does not exist.
    """
    found_loras, rejected_loras = scan_folder(loras, describe_lora) if loras else ((), ())
    found_embeddings, rejected_embeddings = scan_folder(embeddings, describe_embedding) if embeddings else ((), ())
    bundled, rejected_bundled = _bundled_embeddings(found_loras, found_embeddings)
    everything = tuple(sorted((*found_embeddings, *bundled), key=_by_name))
    return Adapters(found_loras, everything), (*rejected_loras, *rejected_embeddings, *rejected_bundled)


def _bundled_embeddings(
    loras: Iterable[Lora], embeddings: Iterable[TextualInversion]
) -> tuple[list[TextualInversion], list[str]]:
    """Return the embeddings inside the files of LoRAs, which were trained together, and why some are left out."""
    known = {normalize_name(each.name): each for each in embeddings}
    found, rejected = [], []
    for lora in loras:
        for word, keys in bundled_embeddings(lora.path).items():
            name = token_name(word) or lora.name
            if (existing := known.get(normalize_name(name))) is not None:
                rejected.append(f"{lora.path} has the word <{name}>, but {existing.path} already has one of this name.")
                continue
            try:
                found.append(bundled_embedding(lora.path, name, keys))
            except UserError as error:
                rejected.append(str(error))
                continue
            known[normalize_name(name)] = found[-1]
    return found, rejected


def _by_name(adapter: Lora | TextualInversion) -> str:
    return adapter.name.casefold()


def scan_folder(folder: Path, describe: Callable[[Path, str], T]) -> tuple[tuple[T, ...], tuple[str, ...]]:
    """Describe the files in `folder` and its subfolders, sorted by name; also return why files were rejected.

    Only safetensors and pickled files are considered. Raise FileNotFoundError if the folder does not exist.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder at {folder}")
    found: dict[str, T] = {}
    rejected: list[str] = []
    paths, unreadable = _files(folder)
    rejected += unreadable
    for path in paths:
        try:
            adapter = _describe(path, describe)
        except UserError as error:
            rejected.append(str(error))
            continue
        if adapter and (existing := found.setdefault(normalize_name(adapter.name), adapter)) is not adapter:
            if joined := _joined(existing, adapter):
                found[normalize_name(adapter.name)] = joined
                continue
            rejected.append(
                f"{path} would be called {adapter.name}, but {existing.name} already exists: rename one of the files."
            )
    return tuple(sorted(found.values(), key=_by_name)), tuple(rejected)


def _files(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the files in a folder and its subfolders, also linked ones, and which folders cannot be read."""
    found: list[Path] = []
    errors: list[OSError] = []
    seen: set[str] = set()
    for place, subfolders, names in os.walk(folder, onerror=errors.append, followlinks=True):
        if (real := os.path.realpath(place)) in seen:  # a link to a folder above
            subfolders.clear()
            continue
        seen.add(real)
        found += [Path(place, name) for name in names if not name.startswith(MACOS_PREFIX)]
    return sorted(found), [f"{error.filename} cannot be read: {error.strerror}." for error in errors]


def _joined(existing: T, adapter: T) -> T | None:
    if isinstance(existing, TextualInversion) and isinstance(adapter, TextualInversion):
        return join_halves(existing, adapter)
    return None


def _describe(path: Path, describe: Callable[[Path, str], T]) -> T | None:
    if path.suffix.lower() in PICKLE_SUFFIXES:
        raise UserError(f"{path} is pickled: loading it could run any program. {CONVERT_HINT}")
    if path.suffix.lower() != ".safetensors":
        return None
    if path.is_symlink() and not path.exists():
        raise UserError(f"{path} is a link to a file that is missing.")
    if not path.is_file():
        return None
    return describe(path, token_name(path.stem) or "unnamed")


def token_name(text: str) -> str:
    """Turn a file name into one word without characters that are special in a prompt."""
    return re.sub(r"[^\w.]+", "-", text).strip("-.")
