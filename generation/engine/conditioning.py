"""From a job's texts to what the UNet is told: embeddings, and how strongly each pulls."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from generation.errors import Complaint
from generation.params import Params

REMEMBERED_TEXTS = 512


@dataclass(frozen=True, slots=True)
class Conditioning:
    """The distinct texts of a job: `embeddings` (texts × length × width) and a `coefficients` entry for each.

    The guided prediction is the sum of the predictions for the texts, times their coefficients.
    """

    embeddings: Tensor
    coefficients: Tensor


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
        embedded = [self._remembered(text) for text in pulls]
        chunks = max(embedding.shape[1] // self._context for embedding in embedded)
        device = self._text_encoder.device
        return Conditioning(
            embeddings=torch.cat([self._pad(embedding, chunks) for embedding in embedded]),
            coefficients=torch.tensor(list(pulls.values()), device=device, dtype=torch.float32),
        )

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

    def _pad(self, embedding: Tensor, chunks: int) -> Tensor:
        missing = chunks - embedding.shape[1] // self._context
        return torch.cat([embedding, *[self._remembered("")] * missing], dim=1)


def coefficients(params: Params) -> dict[str, float]:
    """Give each distinct text's share in the guided prediction.

    `u + g · Σ wᵢ (cᵢ − u)`, gathered by text: `g · wᵢ` for each cᵢ and `1 − g · Σ wᵢ` for u, the empty or the negative
    prompt. What has no share is left out, so a lone prompt without guidance costs one row, as in diffusers, where a
    scale up to 1 means none.
    """
    if not any(part.weight > 0 for part in params.parts):
        raise Complaint("Nothing in the prompt has a weight above 0, so there is nothing to draw.")
    guidance = max(1.0, params.guidance_scale)
    pulls: dict[str, float] = defaultdict(float)
    for part in params.weighted_parts:
        pulls[part.text] += guidance * part.weight
    pulls[params.negative_prompt or ""] += 1 - sum(pulls.values())
    return {text: pull for text, pull in pulls.items() if abs(pull) > 1e-6}
