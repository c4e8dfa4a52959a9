"""From a job's texts to what the UNet is told: embeddings, and how strongly each pulls."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from generation.engine.wander import aims
from generation.guidance import Told, coefficients, with_words
from generation.params import Params

REMEMBERED_TEXTS = 512


@dataclass(frozen=True, slots=True)
class Conditioning:
    """The distinct texts of a job: `embeddings` (texts × length × width) and a `coefficients` entry for each.

    The guided prediction is the sum of the predictions for the texts, times their coefficients. `rows` names the
    embedding that each row of the prediction is told, text by text and in each of them tile by tile: a text that chaos
    scatters has an embedding for each tile, all others are shared.
    """

    embeddings: Tensor
    coefficients: Tensor
    rows: Tensor


class PromptEncoder:
    """Turns texts into embeddings and remembers the latest."""

    def __init__(self, tokenizer: Any, text_encoder: Any) -> None:
        self._tokenizer = tokenizer
        self._text_encoder = text_encoder
        self._context = min(tokenizer.model_max_length, text_encoder.config.max_position_embeddings)
        self._remembered = lru_cache(REMEMBERED_TEXTS)(self._embed)

    def condition(self, params: Params) -> Conditioning:
        """Give what the UNet is to be told; raises Complaint if nothing in the prompt pulls."""
        pulls = coefficients(params)
        told = [self._tell(text, params) for text in pulls]
        embedded = self._padded([embedding for of_text in told for embedding in of_text])
        device = self._text_encoder.device
        return Conditioning(
            embeddings=torch.cat(embedded),
            coefficients=torch.tensor(list(pulls.values()), device=device, dtype=torch.float32),
            rows=torch.tensor(_rows([len(of_text) for of_text in told], params.count), device=device),
        )

    def _tell(self, told: Told, params: Params) -> list[Tensor]:
        """Give the one embedding of a text for all tiles, or one for each."""
        if not told.astray:
            return [self._remembered(told.text)]
        tiles = range(params.count if params.chaos else 1)
        return [self._astray(told.text, params, tile) for tile in tiles]

    def _astray(self, text: str, params: Params, tile: int) -> Tensor:
        shares, words = zip(*aims(params, tile), strict=True)
        here, *there = self._padded([self._remembered(with_words(text, more)) for more in ("", *words)])
        moved = here
        for share, aim in zip(shares, there, strict=True):
            moved = moved + share * (aim - here)
        return moved

    def _embed(self, text: str) -> Tensor:
        """Embed a text of any length, as many encoder passes side by side as it takes (as AUTOMATIC1111 does)."""
        ids = torch.tensor(self._chunks(text), device=self._text_encoder.device)
        states: Tensor = self._text_encoder(ids)[0]
        return states.reshape(1, -1, states.shape[-1])

    def _chunks(self, text: str) -> list[list[int]]:
        tokenizer, room = self._tokenizer, self._context - 2
        ids = tokenizer(text, add_special_tokens=False, verbose=False).input_ids
        parts = [ids[start : start + room] for start in range(0, len(ids), room)] or [[]]
        return [
            [tokenizer.bos_token_id, *part, tokenizer.eos_token_id, *[tokenizer.pad_token_id] * (room - len(part))]
            for part in parts
        ]

    def _padded(self, embeddings: list[Tensor]) -> list[Tensor]:
        """Make all as long as the longest."""
        chunks = max(embedding.shape[1] // self._context for embedding in embeddings)
        return [self._pad(embedding, chunks) for embedding in embeddings]

    def _pad(self, embedding: Tensor, chunks: int) -> Tensor:
        missing = chunks - embedding.shape[1] // self._context
        return torch.cat([embedding, *[self._remembered("")] * missing], dim=1) if missing else embedding


def _rows(embeddings: list[int], tiles: int) -> list[int]:
    """Give the place of each row's embedding, where every text has so many of them: one, or one for each tile."""
    rows, start = [], 0
    for own in embeddings:
        rows += [start + tile % own for tile in range(tiles)]
        start += own
    return rows
