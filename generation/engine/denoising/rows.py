"""The rows of a UNet call: what every row has, and named columns that only some jobs use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from generation.engine.networks.control import ControlNetwork
from generation.engine.networks.image_attention import PicturedRows

POOLED, TIME_IDS = "pooled", "time_ids"  # SDXL's embedding of the whole text, and its `Windows.time_ids`
GUIDANCE = "guidance"  # the embedded guidance scale of UNets with distilled guidance
# How many rows before a row its leader is, and how much the leader counts (see `SharedAttentionUnet`).
LEADER, SHARE = "leader", "share"
ORIGINAL = "original"  # the latents of the picture that a UNet for edits changes; it sees zeros for none


@dataclass(frozen=True, slots=True)
class ControlledRows:
    """Consecutive rows of a call, from `start`, that a ControlNet guides: their embedded pictures, and its weight."""

    network: ControlNetwork
    start: int
    pictures: Tensor
    weight: float

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def places(self) -> slice:
        """Return the places of the rows in the call."""
        return slice(self.start, self.start + len(self))


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a UNet call's batch.

    A column is a tensor with one entry for each row. Zeros in it change nothing: rows of a job that does not use a
    column get zeros beside rows of one that does, and a column that no row uses is left out. `controls` name the rows
    that ControlNets guide, so that only these go through them; `images` name those that attend to images.
    """

    latents: Tensor
    timesteps: Tensor
    embeddings: Tensor
    columns: Mapping[str, Tensor]
    controls: tuple[ControlledRows, ...] = ()
    images: tuple[PicturedRows, ...] = ()

    def __len__(self) -> int:
        return len(self.latents)

    def inputs(self, channels: int) -> Tensor:
        """Return the input of a UNet of so many channels: those that are not the noisy latents' see the original."""
        missing = channels - self.latents.shape[1]
        if not missing:
            return self.latents
        original = self.columns.get(ORIGINAL)
        return torch.cat([self.latents, torch.zeros_like(self.latents) if original is None else original], dim=1)

    @property
    def conditions(self) -> dict[str, Any]:
        """Return UNet2DConditionModel's arguments, except latents and timesteps, or those of a SharedAttentionUnet."""
        pooled = self.columns.get(POOLED)
        added = None if pooled is None else {"text_embeds": pooled, "time_ids": self.columns[TIME_IDS]}
        return {
            "encoder_hidden_states": self.embeddings,
            "timestep_cond": self.columns.get(GUIDANCE),
            "added_cond_kwargs": added,
        } | self._leaders

    @property
    def _leaders(self) -> dict[str, Any]:
        """Return the index of each row's leader, and how much it counts, if one of the rows has one."""
        if LEADER not in self.columns:
            return {}
        indices = torch.arange(len(self), device=self.latents.device) - self.columns[LEADER]
        return {"leaders": {"indices": indices, "shares": self.columns[SHARE]}}


Place = TypeVar("Place", ControlledRows, PicturedRows)


def text_columns(pooled: Tensor, time_ids: Tensor, guidance: Tensor) -> dict[str, Tensor]:
    """Return the columns that a model's rows have beside their texts, without those of no width: it takes none.

    `guidance` (1×width) is the same for all rows.
    """
    columns = {GUIDANCE: guidance.expand(len(pooled), -1)} if guidance.shape[1] else {}
    return columns | {POOLED: pooled, TIME_IDS: time_ids} if pooled.shape[1] else columns


def join_rows(parts: Sequence[Rows]) -> Rows:
    """Return the rows of several jobs as one batch."""
    samples = {name: column for part in parts for name, column in part.columns.items()}
    return Rows(
        torch.cat([part.latents for part in parts]),
        torch.cat([part.timesteps for part in parts]),
        torch.cat([part.embeddings for part in parts]),
        {name: torch.cat([_column(part, name, sample) for part in parts]) for name, sample in samples.items()},
        tuple(_placed(parts, lambda rows: rows.controls)),
        tuple(_placed(parts, lambda rows: rows.images)),
    )


def _placed(parts: Sequence[Rows], own: Callable[[Rows], tuple[Place, ...]]) -> Iterator[Place]:
    """Yield what all parts name some of their rows for, by their places in the joined rows."""
    before = 0
    for part in parts:
        yield from (replace(each, start=before + each.start) for each in own(part))
        before += len(part)


def _column(rows: Rows, name: str, sample: Tensor) -> Tensor:
    """Return a column of `rows`, zeros of the sample's kind if they do not use it."""
    column = rows.columns.get(name)
    return sample.new_zeros(len(rows), *sample.shape[1:]) if column is None else column
