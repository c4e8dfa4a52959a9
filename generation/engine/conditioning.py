"""From a job's texts to what the UNet is told: embeddings, and how strongly each pulls."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from generation.engine.loading import Pipeline
from generation.engine.wander import aims
from generation.guidance import Told, coefficients, with_words
from generation.params import Params

REMEMBERED_TEXTS = 512


class Embedding(NamedTuple):
    """What the encoders make of a text: `states` (1 × length × width), and one `pooled` vector (1 × width, maybe 0)."""

    states: Tensor
    pooled: Tensor


@dataclass(frozen=True, slots=True)
class Conditioning:
    """The distinct texts of a job: `embeddings` (texts × length × width) and a `coefficients` entry for each.

    The guided prediction is the sum of the predictions for the texts, times their coefficients. `rows` names the
    embedding that each row of the prediction is told, text by text and in each of them tile by tile: a text that chaos
    scatters has an embedding for each tile, all others are shared. `pooled` (texts × width) is what SDXL is told of a
    text as a whole, and `guidance` (1 × width) how strongly texts shall be followed, where that was distilled into
    the UNet; for all others their width is 0.
    """

    embeddings: Tensor
    pooled: Tensor
    coefficients: Tensor
    rows: Tensor
    guidance: Tensor


class PromptEncoder:
    """Turns texts into embeddings and remembers the latest."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._tokenizers, self._text_encoders = pipeline.tokenizers, pipeline.text_encoders
        self._device, self._dtype = pipeline.device, pipeline.unet.dtype
        self._context = min(
            *(tokenizer.model_max_length for tokenizer in self._tokenizers),
            *(encoder.config.max_position_embeddings for encoder in self._text_encoders),
        )
        self._is_zero_when_empty = pipeline.is_zero_when_empty
        self._guidance_width = pipeline.unet.config.time_cond_proj_dim
        self._remembered = lru_cache(REMEMBERED_TEXTS)(self._embed)

    def condition(self, params: Params) -> Conditioning:
        """Give what the UNet is to be told; raises Complaint if nothing in the prompt pulls."""
        guides_itself = self._guidance_width is not None
        pulls = coefficients(replace(params, guidance_scale=1.0) if guides_itself else params)
        told = {text: self._tell(text, params) for text in pulls}
        embedded = self._padded([embedding for of_text in told.values() for embedding in of_text])
        means = self._tensor([not self._means_nothing(text) for text, own in told.items() for _ in own])[:, None]
        return Conditioning(
            embeddings=(torch.cat([embedding.states for embedding in embedded]) * means[..., None]).to(self._dtype),
            pooled=(torch.cat([embedding.pooled for embedding in embedded]) * means).to(self._dtype),
            coefficients=self._tensor(list(pulls.values())).float(),
            rows=self._tensor(_rows([len(own) for own in told.values()], params.count)),
            guidance=guidance_embedding(params.guidance_scale, self._guidance_width or 0).to(self._device, self._dtype),
        )

    def _tensor(self, values: list[Any]) -> Tensor:
        return torch.tensor(values, device=self._device)

    def _means_nothing(self, told: Told) -> bool:
        """Say whether the model was trained to be told zeros instead of this text."""
        return self._is_zero_when_empty and told == Told("")

    def _tell(self, told: Told, params: Params) -> list[Embedding]:
        """Give the one embedding of a text for all tiles, or one for each."""
        if not told.astray:
            return [self._remembered(told.text)]
        tiles = range(params.count if params.chaos else 1)
        return [self._astray(told.text, params, tile) for tile in tiles]

    def _astray(self, text: str, params: Params, tile: int) -> Embedding:
        shares, words = zip(*aims(params, tile), strict=True)
        here, *there = self._padded([self._remembered(with_words(text, more)) for more in ("", *words)])
        moved = here
        for share, aim in zip(shares, there, strict=True):
            moved = Embedding(*(at + share * (to - start) for at, to, start in zip(moved, aim, here, strict=True)))
        return moved

    def _embed(self, text: str) -> Embedding:
        """Embed a text of any length, as many encoder passes side by side as it takes (as AUTOMATIC1111 does)."""
        states, pooled = zip(
            *(self._embed_with(*pair, text) for pair in zip(self._tokenizers, self._text_encoders, strict=True)),
            strict=True,
        )
        return Embedding(torch.cat(states, dim=-1), pooled[-1])

    def _embed_with(self, tokenizer: Any, encoder: Any, text: str) -> Embedding:
        """Embed with one encoder. Of two, all layers but the last count, and the second sums up the first piece."""
        ids = torch.tensor(self._chunks(tokenizer, text), device=self._device)
        if len(self._text_encoders) == 1:
            states: Tensor = encoder(ids)[0]
            return Embedding(states.reshape(1, -1, states.shape[-1]), states.new_zeros(1, 0))
        encoded = encoder(ids, output_hidden_states=True)
        states = encoded.hidden_states[-2]
        return Embedding(states.reshape(1, -1, states.shape[-1]), encoded[0][:1])

    def _chunks(self, tokenizer: Any, text: str) -> list[list[int]]:
        room = self._context - 2
        ids = tokenizer(text, add_special_tokens=False, verbose=False).input_ids
        parts = [ids[start : start + room] for start in range(0, len(ids), room)] or [[]]
        return [
            [tokenizer.bos_token_id, *part, tokenizer.eos_token_id, *[tokenizer.pad_token_id] * (room - len(part))]
            for part in parts
        ]

    def _padded(self, embeddings: list[Embedding]) -> list[Embedding]:
        """Make all as long as the longest."""
        chunks = max(embedding.states.shape[1] // self._context for embedding in embeddings)
        return [self._pad(embedding, chunks) for embedding in embeddings]

    def _pad(self, embedding: Embedding, chunks: int) -> Embedding:
        missing = chunks - embedding.states.shape[1] // self._context
        if not missing:
            return embedding
        return embedding._replace(states=torch.cat([embedding.states, *[self._remembered("").states] * missing], dim=1))


def _rows(embeddings: list[int], tiles: int) -> list[int]:
    """Give the place of each row's embedding, where every text has so many of them: one, or one for each tile."""
    rows, start = [], 0
    for own in embeddings:
        rows += [start + tile % own for tile in range(tiles)]
        start += own
    return rows


def guidance_embedding(scale: float, width: int) -> Tensor:
    """Give how far guidance goes beyond none in waves (1 × width), as LatentConsistencyModelPipeline does."""
    half = width // 2
    if not half:
        return torch.zeros(1, 0)
    frequencies = torch.exp(torch.arange(half) * -(math.log(10000.0) / (half - 1)))
    angles = (max(1.0, scale) - 1) * 1000 * frequencies[None]
    return torch.nn.functional.pad(torch.cat([angles.sin(), angles.cos()], dim=1), (0, width % 2))
