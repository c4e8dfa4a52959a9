"""What owners put beside the models: the files of a folder, by the names under which they are used."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from generation.catalogue import Family, bare
from generation.errors import Complaint
from generation.features import Feature
from generation.lora import Lora, describe_lora
from generation.models import CONVERT, PICKLED, TEXT_WIDTHS, Model
from generation.params import Params
from generation.textual_inversion import TextualInversion, describe_inversion

T = TypeVar("T", Lora, TextualInversion)


@dataclass(frozen=True, slots=True)
class Additions:
    """The LoRAs and the words learnt by textual inversion that prompts may name; of a kind, all names differ."""

    loras: tuple[Lora, ...] = ()
    inversions: tuple[TextualInversion, ...] = ()

    def find(self, name: str) -> Lora | None:
        """Give the LoRA of that name; case, spaces and dashes do not matter."""
        return next((lora for lora in self.loras if bare(lora.name) == bare(name)), None)

    def meant(self, typed: str) -> tuple[Lora, ...]:
        """Give the LoRAs that somebody may mean by a name, or else by the beginning of one."""
        if named := self.find(typed):
            return (named,)
        beginning = bare(typed)
        return tuple(lora for lora in self.loras if beginning and bare(lora.name).startswith(beginning))

    def learnt(self, word: str) -> TextualInversion | None:
        """Give the learnt word of that name; case does not matter."""
        return next((each for each in self.inversions if each.name.casefold() == word.casefold()), None)

    def for_model(self, model: Model) -> Additions:
        """Give those that `model` can be drawn with, as far as is known."""
        return Additions(
            tuple(lora for lora in self.loras if fits(lora, model)),
            tuple(word for word in self.inversions if fits(word, model)),
        )

    def used(self, params: Params) -> tuple[tuple[Lora, float], ...]:
        """Give the LoRAs that `params` are drawn with, and how strongly; raises Complaint for one that is gone."""
        return tuple((self._there(use.name), use.weight) for use in params.lora_set)

    def _there(self, name: str) -> Lora:
        if (lora := self.find(name)) is None:
            raise Complaint(f"This was drawn with the LoRA {name}, which is not here any more.")
        return lora


NO_ADDITIONS = Additions()


def fits(addition: Lora | TextualInversion, model: Model) -> bool:
    """Say whether `model` can be drawn with it, as far as is known before both are loaded."""
    known = addition.text_width is not None and model.text_width is not None
    return Feature.ADDITIONS in model.features and (not known or addition.text_width == model.text_width)


def misfit(addition: Lora | TextualInversion, model: Model) -> str:
    """Say why `model` cannot be drawn with it, as the end of a sentence."""
    return f"with {model.name}: it is made for {family_of(addition) or 'another kind of model'}"


def family_of(addition: Lora | TextualInversion) -> Family | None:
    """Give the family of the models that it was made for; None where that cannot be told."""
    return next((family for family, width in TEXT_WIDTHS.items() if width == addition.text_width), None)


def additions_in(loras: Path | None, embeddings: Path | None) -> tuple[Additions, tuple[str, ...]]:
    """Describe what lies in the folders for LoRAs and for learnt words, and say why files are left out.

    Raises FileNotFoundError for a folder that is not there.
    """
    all_loras, bad_loras = look_through(loras, describe_lora) if loras else ((), ())
    inversions, bad_inversions = look_through(embeddings, describe_inversion) if embeddings else ((), ())
    return Additions(all_loras, inversions), (*bad_loras, *bad_inversions)


def look_through(folder: Path, describe: Callable[[Path, str], T]) -> tuple[tuple[T, ...], tuple[str, ...]]:
    """Describe the files in `folder` and in those within it, by name, and say why others are left out.

    Only safetensors files and pickled ones are looked at. Raises FileNotFoundError where there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder at {folder}")
    found: dict[str, T] = {}
    refused = []
    for path in sorted(folder.rglob("*")):
        try:
            thing = _described(path, describe)
        except Complaint as complaint:
            refused.append(str(complaint))
            continue
        if thing and (twin := found.setdefault(bare(thing.name), thing)) is not thing:
            refused.append(
                f"{path} would be called {thing.name}, and there is {twin.name} already: rename one of them."
            )
    return tuple(sorted(found.values(), key=lambda thing: thing.name.casefold())), tuple(refused)


def _described(path: Path, describe: Callable[[Path, str], T]) -> T | None:
    if path.suffix.lower() in PICKLED:
        raise Complaint(f"{path} is pickled: a file that could run any program. {CONVERT}")
    if path.suffix.lower() != ".safetensors" or not path.is_file():
        return None
    return describe(path, word_of(path.stem) or "unnamed")


def word_of(text: str) -> str:
    """Make one word of a file's name, which no rule of the prompt's language takes for anything else."""
    return re.sub(r"[^\w.]+", "-", text).strip("-.")
