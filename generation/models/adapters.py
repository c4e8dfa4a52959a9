"""What owners put beside the models: the files of a folder, by the names under which they are used."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from generation.errors import UserError
from generation.models.capabilities import Capability
from generation.models.catalogue import Family, normalize_name
from generation.models.lora import Lora, describe_lora
from generation.models.model import CONVERT_HINT, CROSS_ATTENTION_DIMS, PICKLE_SUFFIXES, Model
from generation.models.textual_inversion import TextualInversion, describe_embedding
from generation.params import Params

T = TypeVar("T", Lora, TextualInversion)


@dataclass(frozen=True, slots=True)
class Adapters:
    """The LoRAs and the words learnt by textual inversion that prompts may name; of a kind, all names differ."""

    loras: tuple[Lora, ...] = ()
    embeddings: tuple[TextualInversion, ...] = ()

    def find_lora(self, name: str) -> Lora | None:
        """Give the LoRA of that name; case, spaces and dashes do not matter."""
        return next((lora for lora in self.loras if normalize_name(lora.name) == normalize_name(name)), None)

    def match_loras(self, typed: str) -> tuple[Lora, ...]:
        """Give the LoRAs that somebody may mean by a name, or else by the beginning of one."""
        if named := self.find_lora(typed):
            return (named,)
        prefix = normalize_name(typed)
        return tuple(lora for lora in self.loras if prefix and normalize_name(lora.name).startswith(prefix))

    def find_embedding(self, token: str) -> TextualInversion | None:
        """Give the learnt word of that name; case does not matter."""
        return next((each for each in self.embeddings if each.name.casefold() == token.casefold()), None)

    def compatible_with(self, model: Model) -> Adapters:
        """Give those that `model` can be drawn with, as far as is known."""
        return Adapters(
            tuple(lora for lora in self.loras if is_compatible(lora, model)),
            tuple(word for word in self.embeddings if is_compatible(word, model)),
        )

    def resolve_loras(self, params: Params) -> tuple[tuple[Lora, float], ...]:
        """Give the LoRAs that `params` are drawn with, and how strongly; raises Complaint for one that is gone."""
        return tuple((self._require_lora(use.name), use.weight) for use in params.lora_set)

    def _require_lora(self, name: str) -> Lora:
        if (lora := self.find_lora(name)) is None:
            raise UserError(f"This was drawn with the LoRA {name}, which is not here any more.")
        return lora


NO_ADAPTERS = Adapters()


def is_compatible(adapter: Lora | TextualInversion, model: Model) -> bool:
    """Say whether `model` can be drawn with it, as far as is known before both are loaded."""
    known = adapter.cross_attention_dim is not None and model.cross_attention_dim is not None
    return Capability.ADAPTERS in model.capabilities and (
        not known or adapter.cross_attention_dim == model.cross_attention_dim
    )


def incompatibility(adapter: Lora | TextualInversion, model: Model) -> str:
    """Say why `model` cannot be drawn with it, as the end of a sentence."""
    return f"with {model.name}: it is made for {target_family(adapter) or 'another kind of model'}"


def target_family(adapter: Lora | TextualInversion) -> Family | None:
    """Give the family of the models that it was made for; None where that cannot be told."""
    return next(
        (family for family, width in CROSS_ATTENTION_DIMS.items() if width == adapter.cross_attention_dim), None
    )


def scan_adapters(loras: Path | None, embeddings: Path | None) -> tuple[Adapters, tuple[str, ...]]:
    """Describe what lies in the folders for LoRAs and for learnt words, and say why files are left out.

    Raises FileNotFoundError for a folder that is not there.
    """
    found_loras, rejected_loras = scan_folder(loras, describe_lora) if loras else ((), ())
    found_embeddings, rejected_embeddings = scan_folder(embeddings, describe_embedding) if embeddings else ((), ())
    return Adapters(found_loras, found_embeddings), (*rejected_loras, *rejected_embeddings)


def scan_folder(folder: Path, describe: Callable[[Path, str], T]) -> tuple[tuple[T, ...], tuple[str, ...]]:
    """Describe the files in `folder` and in those within it, by name, and say why others are left out.

    Only safetensors files and pickled ones are looked at. Raises FileNotFoundError where there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder at {folder}")
    found: dict[str, T] = {}
    rejected = []
    for path in sorted(folder.rglob("*")):
        try:
            adapter = _describe(path, describe)
        except UserError as error:
            rejected.append(str(error))
            continue
        if adapter and (existing := found.setdefault(normalize_name(adapter.name), adapter)) is not adapter:
            rejected.append(
                f"{path} would be called {adapter.name}, and there is {existing.name} already: rename one of them."
            )
    return tuple(sorted(found.values(), key=lambda thing: thing.name.casefold())), tuple(rejected)


def _describe(path: Path, describe: Callable[[Path, str], T]) -> T | None:
    if path.suffix.lower() in PICKLE_SUFFIXES:
        raise UserError(f"{path} is pickled: a file that could run any program. {CONVERT_HINT}")
    if path.suffix.lower() != ".safetensors" or not path.is_file():
        return None
    return describe(path, token_name(path.stem) or "unnamed")


def token_name(text: str) -> str:
    """Make one word of a file's name, which no rule of the prompt's language takes for anything else."""
    return re.sub(r"[^\w.]+", "-", text).strip("-.")
