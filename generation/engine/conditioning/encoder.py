"""From a job's texts to what the UNet is told: embeddings, and how strongly each pulls."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from generation.engine.conditioning.prompt_drift import drift_targets
from generation.engine.networks.pipeline_loader import Pipeline
from generation.params import Params
from generation.planning.guidance import ConditioningText, append_text, guidance_weights

MAX_CACHED_TEXTS = 512


class PromptEmbedding(NamedTuple):
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
    guidance_weights: Tensor
    embedding_indices: Tensor
    guidance: Tensor


class PromptEncoder:
    """Turns texts into embeddings and remembers the latest."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._tokenizers, self._text_encoders = pipeline.tokenizers, pipeline.text_encoders
        self._device, self._dtype = pipeline.device, pipeline.unet.dtype
        self._context_length = min(
            *(tokenizer.model_max_length for tokenizer in self._tokenizers),
            *(encoder.config.max_position_embeddings for encoder in self._text_encoders),
        )
        self._force_zeros_for_empty_prompt = pipeline.force_zeros_for_empty_prompt
        self._guidance_width = pipeline.unet.config.time_cond_proj_dim
        self._cached_embed = lru_cache(MAX_CACHED_TEXTS)(self._embed)

    def encode(self, params: Params) -> Conditioning:
        """Give what the UNet is to be told; raises Complaint if nothing in the prompt pulls."""
        has_guidance_embedding = self._guidance_width is not None
        weights = guidance_weights(replace(params, guidance_scale=1.0) if has_guidance_embedding else params)
        embeddings = {text: self._embeddings(text, params) for text in weights}
        embedded = self._padded([embedding for of_text in embeddings.values() for embedding in of_text])
        mask = self._tensor([not self._is_zeroed(text) for text, own in embeddings.items() for _ in own])[:, None]
        return Conditioning(
            embeddings=(torch.cat([embedding.states for embedding in embedded]) * mask[..., None]).to(self._dtype),
            pooled=(torch.cat([embedding.pooled for embedding in embedded]) * mask).to(self._dtype),
            guidance_weights=self._tensor(list(weights.values())).float(),
            embedding_indices=self._tensor(_embedding_indices([len(own) for own in embeddings.values()], params.count)),
            guidance=guidance_embedding(params.guidance_scale, self._guidance_width or 0).to(self._device, self._dtype),
        )

    def _tensor(self, values: list[Any]) -> Tensor:
        return torch.tensor(values, device=self._device)

    def _is_zeroed(self, text: ConditioningText) -> bool:
        """Say whether the model was trained to be told zeros instead of this text."""
        return self._force_zeros_for_empty_prompt and text == ConditioningText("")

    def _embeddings(self, weighted_text: ConditioningText, params: Params) -> list[PromptEmbedding]:
        """Give the one embedding of a text for all tiles, or one for each."""
        if not weighted_text.perturbed:
            return [self._cached_embed(weighted_text.text)]
        tiles = range(params.count if params.chaos else 1)
        return [self._perturbed(weighted_text.text, params, tile) for tile in tiles]

    def _perturbed(self, text: str, params: Params, tile: int) -> PromptEmbedding:
        shares, words = zip(*drift_targets(params, tile), strict=True)
        here, *there = self._padded([self._cached_embed(append_text(text, more)) for more in ("", *words)])
        moved = here
        for share, aim in zip(shares, there, strict=True):
            moved = PromptEmbedding(
                *(at + share * (to - start) for at, to, start in zip(moved, aim, here, strict=True))
            )
        return moved

    def _embed(self, text: str) -> PromptEmbedding:
        """Embed a text of any length, as many encoder passes side by side as it takes (as AUTOMATIC1111 does)."""
        states, pooled = zip(
            *(self._embed_with(*pair, text) for pair in zip(self._tokenizers, self._text_encoders, strict=True)),
            strict=True,
        )
        return PromptEmbedding(torch.cat(states, dim=-1), pooled[-1])

    def _embed_with(self, tokenizer: Any, encoder: Any, text: str) -> PromptEmbedding:
        """Embed with one encoder. Of two, all layers but the last count, and the second sums up the first piece."""
        ids = torch.tensor(self._chunks(tokenizer, text), device=self._device)
        if len(self._text_encoders) == 1:
            states: Tensor = encoder(ids)[0]
            return PromptEmbedding(states.reshape(1, -1, states.shape[-1]), states.new_zeros(1, 0))
        encoded = encoder(ids, output_hidden_states=True)
        states = encoded.hidden_states[-2]
        return PromptEmbedding(states.reshape(1, -1, states.shape[-1]), encoded[0][:1])

    def _chunks(self, tokenizer: Any, text: str) -> list[list[int]]:
        room = self._context_length - 2
        ids = tokenizer(text, add_special_tokens=False, verbose=False).input_ids
        parts = [ids[start : start + room] for start in range(0, len(ids), room)] or [[]]
        return [
            [tokenizer.bos_token_id, *part, tokenizer.eos_token_id, *[tokenizer.pad_token_id] * (room - len(part))]
            for part in parts
        ]

    def _padded(self, embeddings: list[PromptEmbedding]) -> list[PromptEmbedding]:
        """Make all as long as the longest."""
        chunks = max(embedding.states.shape[1] // self._context_length for embedding in embeddings)
        return [self._pad(embedding, chunks) for embedding in embeddings]

    def _pad(self, embedding: PromptEmbedding, chunks: int) -> PromptEmbedding:
        missing = chunks - embedding.states.shape[1] // self._context_length
        if not missing:
            return embedding
        return embedding._replace(
            states=torch.cat([embedding.states, *[self._cached_embed("").states] * missing], dim=1)
        )


def _embedding_indices(counts: list[int], tiles: int) -> list[int]:
    """Give the place of each row's embedding, where every text has so many of them: one, or one for each tile."""
    rows, start = [], 0
    for own in counts:
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
