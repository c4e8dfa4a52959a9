"""Extend text encoders with embeddings trained by textual inversion."""

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

from generation.engine.networks.pipeline_loader import Pipeline
from generation.engine.networks.weight_sharing import clone_sharing_weights
from generation.errors import UserError
from generation.models.files.textual_inversion import TextualInversion
from generation.text import Text


class ExtendedTokenizer:
    """A tokenizer that maps `<name>` to a negative id for each vector, starting at −1.

    CLIP finds the end of a text by its largest id, so the new ids must not exceed the encoder's own.
    """

    def __init__(self, tokenizer: Any, token_ids: Mapping[str, range | UserError]) -> None:
        self._tokenizer, self._token_ids = tokenizer, token_ids
        names = sorted(map(re.escape, token_ids), key=len, reverse=True)
        self._token_pattern = re.compile(rf"<({'|'.join(names)})>", re.IGNORECASE)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def __call__(self, text: str, **settings: Any) -> Any:
        """Return the ids of a text; raises UserError for an embedding whose file cannot be read."""
        pieces = self._token_pattern.split(text)
        ids: list[int] = []
        for plain, token in zip(pieces[::2], [*pieces[1::2], None], strict=True):
            ids += self._tokenizer(plain, **settings).input_ids
            ids += self._ids(token) if token else ()
        return SimpleNamespace(input_ids=ids)

    def _ids(self, token: str) -> Iterable[int]:
        ids = self._token_ids[token.casefold()]
        if isinstance(ids, UserError):
            raise ids
        return (-vector for vector in ids)


class ExtendedEmbedding(Module):
    """An encoder's own token embedding, and `extra` vectors: id −1 is row 1 of them; row 0 is unused."""

    def __init__(self, base: Embedding, extra: Tensor) -> None:
        super().__init__()
        self.base = base
        self.extra: Tensor
        self.register_buffer("extra", extra.to(base.weight.device, base.weight.dtype))

    def forward(self, ids: Tensor) -> Tensor:
        """Return the vector of each id."""
        extra = self.extra[(-ids).clamp(min=0)]
        return torch.where((ids < 0)[..., None], extra, self.base(ids.clamp(min=0)))


def with_embeddings(pipeline: Pipeline, inversions: Iterable[TextualInversion]) -> Pipeline:
    """Return a pipeline whose prompts may use those of `inversions` that fit its text encoders' widths.

    A missing or damaged file raises UserError only when a prompt uses its token.
    """
    widths = tuple(encoder.config.hidden_size for encoder in pipeline.text_encoders)
    token_ids: dict[str, range | UserError] = {}
    tables = [[torch.zeros(1, width, dtype=torch.float32)] for width in widths]
    next_id = 1
    for inversion in inversions:
        if inversion.widths != widths:
            continue
        try:
            vectors = _load_vectors(inversion)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError):
            token_ids[inversion.name.casefold()] = UserError(
                Text("The file of <{embedding}> is missing or damaged.", embedding=inversion.name)
            )
            continue
        for table, extra in zip(tables, vectors, strict=True):
            table.append(extra)
        token_ids[inversion.name.casefold()] = range(next_id, next_id + inversion.vectors)
        next_id += inversion.vectors
    return _extended_pipeline(pipeline, token_ids, tables) if token_ids else pipeline


def _load_vectors(inversion: TextualInversion) -> list[Tensor]:
    vectors = [load_file(path)[key].float() for path, key in inversion.sources]
    if not all(each.isfinite().all() for each in vectors):
        raise ValueError("not a number")
    return [each.reshape(inversion.vectors, width) for each, width in zip(vectors, inversion.widths, strict=True)]


def _extended_pipeline(
    pipeline: Pipeline, token_ids: Mapping[str, range | UserError], tables: list[list[Tensor]]
) -> Pipeline:
    encoders = [_extended_encoder(*each) for each in zip(pipeline.text_encoders, tables, strict=True)]
    tokenizers = [ExtendedTokenizer(tokenizer, token_ids) for tokenizer in pipeline.tokenizers]
    parts: dict[str, Any] = {"text_encoder": encoders[0], "tokenizer": tokenizers[0]}
    if len(encoders) > 1:
        parts |= {"text_encoder_2": encoders[1], "tokenizer_2": tokenizers[1]}
    return replace(pipeline, **parts)


def _extended_encoder(encoder: Any, table: list[Tensor]) -> Any:
    clone = clone_sharing_weights(encoder)
    clone.set_input_embeddings(ExtendedEmbedding(clone.get_input_embeddings(), torch.cat(table)))
    return clone
