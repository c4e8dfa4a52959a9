"""Text encoders that know more words: those that were learnt by textual inversion."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import Embedding, Module

from generation.engine.loading import Pipeline
from generation.engine.twins import twin_of
from generation.errors import Complaint
from generation.textual_inversion import TextualInversion


class Vocabulary:
    """A tokenizer that gives `<name>` an id below zero for each vector, −1 for the first of all.

    CLIP finds the end of a text by the largest id in it, so they must not be above the encoder's own.
    """

    def __init__(self, tokenizer: Any, places: Mapping[str, range | Complaint]) -> None:
        self._tokenizer, self._places = tokenizer, places
        names = sorted(map(re.escape, places), key=len, reverse=True)
        self._word = re.compile(rf"<({'|'.join(names)})>", re.IGNORECASE)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def __call__(self, text: str, **settings: Any) -> Any:
        """Give the ids of a text; raises Complaint for a word whose file cannot be read."""
        pieces = self._word.split(text)
        ids: list[int] = []
        for plain, word in zip(pieces[::2], [*pieces[1::2], None], strict=True):
            ids += self._tokenizer(plain, **settings).input_ids
            ids += self._ids(word) if word else ()
        return SimpleNamespace(input_ids=ids)

    def _ids(self, word: str) -> Iterable[int]:
        place = self._places[word.casefold()]
        if isinstance(place, Complaint):
            raise place
        return (-vector for vector in place)


class MoreWords(Module):
    """An encoder's own table of words, and the learnt ones: the id −1 is the vector number 1, number 0 is not used."""

    def __init__(self, own: Embedding, learnt: Tensor) -> None:
        super().__init__()
        self.own = own
        self.learnt: Tensor
        self.register_buffer("learnt", learnt.to(own.weight.device, own.weight.dtype))

    def forward(self, ids: Tensor) -> Tensor:
        """Give the vector of each id."""
        learnt = self.learnt[(-ids).clamp(min=0)]
        return torch.where((ids < 0)[..., None], learnt, self.own(ids.clamp(min=0)))


def with_words(pipeline: Pipeline, inversions: Iterable[TextualInversion]) -> Pipeline:
    """Give a pipeline whose prompts may hold those of `inversions` that were learnt for encoders like its own.

    A file that is gone or damaged is complained of when somebody uses its word.
    """
    widths = tuple(encoder.config.hidden_size for encoder in pipeline.text_encoders)
    places: dict[str, range | Complaint] = {}
    tables = [[torch.zeros(1, width, dtype=torch.float32)] for width in widths]
    learnt = 1
    for inversion in inversions:
        if inversion.widths != widths:
            continue
        try:
            vectors = _read(inversion)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError):
            places[inversion.name.casefold()] = Complaint(f"The file of <{inversion.name}> is gone or damaged.")
            continue
        for table, of_encoder in zip(tables, vectors, strict=True):
            table.append(of_encoder)
        places[inversion.name.casefold()] = range(learnt, learnt + inversion.vectors)
        learnt += inversion.vectors
    return _taught(pipeline, places, tables) if places else pipeline


def _read(inversion: TextualInversion) -> list[Tensor]:
    tensors = load_file(inversion.path)
    shapes = [(inversion.vectors, width) for width in inversion.widths]
    return [tensors[key].float().reshape(shape) for key, shape in zip(inversion.keys, shapes, strict=True)]


def _taught(pipeline: Pipeline, places: Mapping[str, range | Complaint], tables: list[list[Tensor]]) -> Pipeline:
    encoders = [_knowing(*each) for each in zip(pipeline.text_encoders, tables, strict=True)]
    tokenizers = [Vocabulary(tokenizer, places) for tokenizer in pipeline.tokenizers]
    parts: dict[str, Any] = {"text_encoder": encoders[0], "tokenizer": tokenizers[0]}
    if len(encoders) > 1:
        parts |= {"text_encoder_2": encoders[1], "tokenizer_2": tokenizers[1]}
    return replace(pipeline, **parts)


def _knowing(encoder: Any, table: list[Tensor]) -> Any:
    twin = twin_of(encoder)
    twin.set_input_embeddings(MoreWords(twin.get_input_embeddings(), torch.cat(table)))
    return twin
