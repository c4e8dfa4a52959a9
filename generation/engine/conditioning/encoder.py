"""Encode a job's texts into the UNet's conditioning: embeddings and guidance weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from generation.engine.conditioning.prompt_drift import drift_targets
from generation.engine.device.transfer import to_device
from generation.engine.networks.pipeline_loader import Pipeline
from generation.params import Params
from generation.planning.emphasis import read_emphasis
from generation.planning.film_pictures import walk_end
from generation.planning.guidance import ConditioningText, append_text, guidance_weights
from generation.planning.holding import held_stages, holds
from generation.planning.prompt_stages import prompt_stages

MAX_CACHED_TEXTS = 512


class PromptEmbedding(NamedTuple):
    """An encoded text: `states` (1 × length × width) and a `pooled` vector (1 × width; its width may be 0)."""

    states: Tensor
    pooled: Tensor


class _Chunk(NamedTuple):
    """The tokens of one call of an encoder, and the weight of each."""

    ids: list[int]
    weights: list[float]


@dataclass(frozen=True, slots=True)
class Conditioning:
    """The distinct texts of a job, as `embeddings` (embeddings × length × width) and `guidance_weights` (texts).

    The guided prediction is the sum of the texts' predictions times their weights. Where a picture is held, each tile
    has weights of its own (texts × tiles). `embedding_indices` names the embedding of each row of the prediction,
    ordered by text, then tile. A text that chaos perturbs has an embedding for each tile; others share one between
    tiles. `pooled` (embeddings × width) is SDXL's embedding of the whole text. `guidance` (1 × width) is the embedded
    guidance scale, for UNets with distilled guidance. Both have width 0 for other models. `sees_original` (texts) is 1
    for texts with which the UNet sees the picture that it edits, else 0.
    """

    embeddings: Tensor
    pooled: Tensor
    guidance_weights: Tensor
    embedding_indices: Tensor
    guidance: Tensor
    sees_original: Tensor

    @property
    def holds(self) -> bool:
        """Return whether it is that of a picture that is held, and then of as many tiles with other words."""
        return self.guidance_weights.ndim == 2

    @property
    def attracts(self) -> Tensor:
        """Return for each text whether it attracts a tile, rather than pushing all away."""
        return (self.guidance_weights if not self.holds else self.guidance_weights.amax(1)) > 0

    def of_other_words(self) -> Conditioning:
        """Return the conditioning of the tiles with other words alone."""
        if not self.holds:
            return self
        indices = self.embedding_indices.view(self.guidance_weights.shape).chunk(2, dim=1)[1]
        weights = self.guidance_weights[:, -1]
        used = weights != 0
        return replace(
            self,
            guidance_weights=weights[used],
            embedding_indices=indices[used].flatten(),
            sees_original=self.sees_original[used],
        )


class Stage(NamedTuple):
    """The conditioning of a job from a step on."""

    first_step: int
    conditioning: Conditioning


_Embeddings = dict[ConditioningText, list[PromptEmbedding]]
_Weights = list[float] | list[list[float]]  # of each text, or of each text for each tile


class PromptEncoder:
    """Encodes texts and caches the latest embeddings."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._tokenizers, self._text_encoders = pipeline.tokenizers, pipeline.text_encoders
        self._device = pipeline.device
        self._dtype: torch.dtype = pipeline.unet.dtype
        self._context_length = min(
            *(tokenizer.model_max_length for tokenizer in self._tokenizers),
            *(encoder.config.max_position_embeddings for encoder in self._text_encoders),
        )
        self._force_zeros_for_empty_prompt = pipeline.force_zeros_for_empty_prompt
        self._guidance_width: int | None = pipeline.unet.config.time_cond_proj_dim
        self._cached_embed = lru_cache(MAX_CACHED_TEXTS)(self._embed)

    def encode(self, params: Params, places: Sequence[float], steps: int) -> tuple[Stage, ...]:
        """Return the conditioning for a prompt, for each stage of one whose words change; all are equally long.

        With `places`, tile *i* is at places[i] of the way from this prompt, at 0, to the other end of its walk, at 1.
        If the params hold a picture, there are twice the tiles: its own, then those with other words. Raises UserError
        if no part of the prompt has a weight above 0.
        """
        if holds(params):
            stages = [(first, *self._embed_held(pair, params)) for first, *pair in held_stages(params, steps)]
        else:
            stages = [(first, *self._embed_stage(each, params, places)) for first, each in prompt_stages(params, steps)]
        chunks = self._longest([each for _, _, texts in stages for own in texts.values() for each in own])
        return tuple(
            Stage(first, self._conditioning(params, weights, embeddings, chunks))
            for first, weights, embeddings in stages
        )

    def _embed_stage(self, stage: Params, params: Params, places: Sequence[float]) -> tuple[_Weights, _Embeddings]:
        """Return the weights and embeddings of a stage's texts; `params` say how chaos and weird perturb them."""
        weights = self._weights(stage)
        if places:
            return [*weights.values()], self._walk(weights, guidance_weights(walk_end(stage)), params, places)
        return [*weights.values()], {text: self._embeddings(text, params) for text in weights}

    def _embed_held(self, stages: Sequence[Params], params: Params) -> tuple[_Weights, _Embeddings]:
        """Return `_embed_stage` of two stages that are drawn together; the weights are those of each tile."""
        weights = [self._weights(stage) for stage in stages]
        texts = dict.fromkeys(text for each in weights for text in each)
        of_tiles = [[each.get(text, 0.0) for each in weights for _ in range(params.count)] for text in texts]
        return of_tiles, {text: self._embeddings(text, params) for text in texts}

    def _weights(self, stage: Params) -> dict[ConditioningText, float]:
        has_guidance_embedding = self._guidance_width is not None
        return guidance_weights(replace(stage, guidance_scale=1.0) if has_guidance_embedding else stage)

    def _conditioning(self, params: Params, weights: _Weights, embeddings: _Embeddings, chunks: int) -> Conditioning:
        tiles = 2 * params.count if holds(params) else params.count
        embedded = [self._pad(embedding, chunks) for own in embeddings.values() for embedding in own]
        mask = self._tensor([not self._is_zeroed(text) for text, own in embeddings.items() for _ in own])[:, None]
        return Conditioning(
            embeddings=(torch.cat([embedding.states for embedding in embedded]) * mask[..., None]).to(self._dtype),
            pooled=(torch.cat([embedding.pooled for embedding in embedded]) * mask).to(self._dtype),
            guidance_weights=self._tensor(weights).float(),
            embedding_indices=self._tensor(_embedding_indices([len(own) for own in embeddings.values()], tiles)),
            guidance=self.embed_guidance(params.guidance_scale),
            sees_original=self._tensor([float(text.sees_original) for text in embeddings]),
        )

    def embed_guidance(self, scale: float) -> Tensor:
        """Return the embedding of a guidance scale (1 × width), of width 0 for UNets that take none."""
        return to_device(_guidance_embedding(scale, self._guidance_width or 0), self._device, self._dtype)

    def chunk_count(self, text: str) -> int:
        """Return the number of chunks that a text takes."""
        return max(len(self._chunks(tokenizer, text)) for tokenizer in self._tokenizers)

    def text_length(self, chunks: int) -> int:
        """Return the length of the embedding of so many chunks."""
        length: int = chunks * self._context_length
        return length

    def embed_texts(self, texts: Sequence[str], chunks: int) -> PromptEmbedding:
        """Return the embeddings of plain texts (texts × length × width), each padded to this number of chunks."""
        padded = [self._pad(self._cached_embed(text), chunks) for text in texts]
        mask = self._tensor([not self._is_zeroed(ConditioningText(text)) for text in texts])[:, None]
        states, pooled = (torch.cat(values) for values in zip(*padded, strict=True))
        return PromptEmbedding((states * mask[..., None]).to(self._dtype), (pooled * mask).to(self._dtype))

    def _tensor(self, values: list[Any]) -> Tensor:
        return to_device(torch.tensor(values), self._device)

    def _is_zeroed(self, text: ConditioningText) -> bool:
        """Return whether the model was trained with zeros in place of this text's embedding."""
        return self._force_zeros_for_empty_prompt and not text.text and not text.perturbed

    def _walk(
        self,
        texts: Iterable[ConditioningText],
        others: Iterable[ConditioningText],
        params: Params,
        places: Sequence[float],
    ) -> _Embeddings:
        """Return an embedding for each place of a text that changes; both ends have texts of the same weights."""
        end = walk_end(params)
        between = {}
        for text, other in zip(texts, others, strict=True):
            first, last = self._embeddings(text, replace(params, count=1)), self._embeddings(other, end)
            if text == other and not text.perturbed:
                between[text] = first
            else:
                start, goal = self._padded([first[0], last[0]])
                between[text] = [_between(start, goal, place) for place in places]
        return between

    def _embeddings(self, weighted_text: ConditioningText, params: Params) -> list[PromptEmbedding]:
        """Return one embedding of a text for all tiles, or one for each tile."""
        if not weighted_text.perturbed:
            return [self._cached_embed(weighted_text.text)]
        tiles = range(params.count if params.chaos else 1)
        return [self._perturbed(weighted_text.text, params, tile) for tile in tiles]

    def _perturbed(self, text: str, params: Params, tile: int) -> PromptEmbedding:
        shares, phrases = zip(*drift_targets(params, tile), strict=True)
        base, *targets = self._padded([self._cached_embed(append_text(text, phrase)) for phrase in ("", *phrases)])
        perturbed = base
        for share, target in zip(shares, targets, strict=True):
            perturbed = PromptEmbedding(
                *(value + share * (end - start) for value, end, start in zip(perturbed, target, base, strict=True))
            )
        return perturbed

    def _embed(self, text: str) -> PromptEmbedding:
        """Embed a text of any length; the chunks of a long one are concatenated (as AUTOMATIC1111 does)."""
        states, pooled = zip(
            *(self._embed_with(*pair, text) for pair in zip(self._tokenizers, self._text_encoders, strict=True)),
            strict=True,
        )
        return PromptEmbedding(torch.cat(states, dim=-1), pooled[-1])

    def _embed_with(self, tokenizer: Any, encoder: Any, text: str) -> PromptEmbedding:
        """Embed with one encoder; a word of weight w is at w of the way from the empty text to it, as in ComfyUI."""
        chunks = self._chunks(tokenizer, text)
        embedded = self._run(encoder, [chunk.ids for chunk in chunks])
        weights = [weight for chunk in chunks for weight in chunk.weights]
        if all(weight == 1 for weight in weights):
            return embedded
        empty = self._run(encoder, [chunk.ids for chunk in self._chunks(tokenizer, "")]).states
        ways = self._tensor(weights)[None, :, None].to(empty.dtype)
        return embedded._replace(states=torch.lerp(empty.tile(1, len(chunks), 1), embedded.states, ways))

    def _run(self, encoder: Any, chunks: list[list[int]]) -> PromptEmbedding:
        """Run one encoder; models with two use the penultimate layer, and pool the first chunk only."""
        ids = self._tensor(chunks)
        if len(self._text_encoders) == 1:
            states: Tensor = encoder(ids)[0]
            return PromptEmbedding(states.reshape(1, -1, states.shape[-1]), states.new_zeros(1, 0))
        encoded = encoder(ids, output_hidden_states=True)
        states = encoded.hidden_states[-2]
        return PromptEmbedding(states.reshape(1, -1, states.shape[-1]), encoded[0][:1])

    def _chunks(self, tokenizer: Any, text: str) -> list[_Chunk]:
        limit = self._context_length - 2
        tokens = [
            (token, weight)
            for piece, weight in read_emphasis(text)
            for token in tokenizer(piece, add_special_tokens=False, verbose=False).input_ids
        ]
        pieces = [tokens[start : start + limit] for start in range(0, len(tokens), limit)] or [[]]
        return [_chunk(tokenizer, piece, limit) for piece in pieces]

    def _padded(self, embeddings: list[PromptEmbedding]) -> list[PromptEmbedding]:
        """Pad all embeddings to the length of the longest."""
        chunks = self._longest(embeddings)
        return [self._pad(embedding, chunks) for embedding in embeddings]

    def _longest(self, embeddings: Iterable[PromptEmbedding]) -> int:
        """Return how many chunks the longest embedding has."""
        length: int = max(embedding.states.shape[1] for embedding in embeddings) // self._context_length
        return length

    def _pad(self, embedding: PromptEmbedding, chunks: int) -> PromptEmbedding:
        missing = chunks - embedding.states.shape[1] // self._context_length
        if not missing:
            return embedding
        return embedding._replace(
            states=torch.cat([embedding.states, *[self._cached_embed("").states] * missing], dim=1)
        )


def _chunk(tokenizer: Any, tokens: Sequence[tuple[int, float]], limit: int) -> _Chunk:
    """Return tokens between those that begin and end a text, padded; those have the weight 1."""
    padding = limit - len(tokens)
    ids = [token for token, _ in tokens]
    return _Chunk(
        [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id, *[tokenizer.pad_token_id] * padding],
        [1.0, *(weight for _, weight in tokens), *[1.0] * (padding + 1)],
    )


def _between(start: PromptEmbedding, end: PromptEmbedding, place: float) -> PromptEmbedding:
    """Return the embedding at `place` of the straight way, exactly the start at 0 and the end at 1."""
    if place in (0, 1):
        return end if place else start
    return PromptEmbedding(*(first + place * (last - first) for first, last in zip(start, end, strict=True)))


def _embedding_indices(counts: list[int], tiles: int) -> list[int]:
    """Return the embedding index of each row; tiles take turns with as many embeddings as `counts` says of a text."""
    rows, start = [], 0
    for own in counts:
        rows += [start + tile % own for tile in range(tiles)]
        start += own
    return rows


def _guidance_embedding(scale: float, width: int) -> Tensor:
    """Return the sinusoidal embedding of a guidance scale (1 × width), as LatentConsistencyModelPipeline does."""
    half = width // 2
    if not half:
        return torch.zeros(1, 0)
    frequencies = torch.exp(torch.arange(half) * -(math.log(10000.0) / (half - 1)))
    angles = (max(1.0, scale) - 1) * 1000 * frequencies[None]
    return torch.nn.functional.pad(torch.cat([angles.sin(), angles.cos()], dim=1), (0, width % 2))
