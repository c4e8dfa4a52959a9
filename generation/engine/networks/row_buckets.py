"""The few numbers of rows that UNet calls have on a GPU: each number is compiled and planned for separately."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

ROW_BUCKETS = (2, 4, 8, 16, 24, 32)  # a call is padded to the next


class BatchShape(NamedTuple):
    """The shape of a padded call: its rows, the shape of a row's latents, and the length of its text."""

    rows: int
    latents: tuple[int, ...]
    text_length: int


def batch_shape(latents: Tensor, conditions: dict[str, Any]) -> BatchShape | None:
    """Return the shape to which a call is padded; None for one that is too large."""
    rows = bucket_of(len(latents))
    if rows is None:
        return None
    return BatchShape(rows, tuple(latents.shape[1:]), conditions["encoder_hidden_states"].shape[1])


def bucket_of(rows: int) -> int | None:
    """Return the rows to which a call of `rows` is padded; None for more than there is a bucket for."""
    return next((bucket for bucket in ROW_BUCKETS if bucket >= rows), None)


def call_padded(
    unet: Any, target: int, latents: Tensor, timesteps: Tensor, conditions: dict[str, Any]
) -> tuple[Tensor, ...]:
    """Call a UNet with `target` rows, and return the output for the rows that were given."""
    rows = len(latents)
    latents, timesteps, conditions = (_pad_rows(each, rows, target) for each in (latents, timesteps, conditions))
    return tuple(part[:rows] for part in unet(latents, timesteps, **conditions))


def _pad_rows(value: Any, rows: int, target: int) -> Any:
    """Repeat the last row of every tensor in `value`; predictions for the copies are dropped."""
    if isinstance(value, tuple):
        return tuple(_pad_rows(part, rows, target) for part in value)
    if isinstance(value, dict):
        return {key: _pad_rows(part, rows, target) for key, part in value.items()}
    if not isinstance(value, Tensor) or rows == target:
        return value
    return torch.cat([value, value[-1:].expand(target - rows, *value.shape[1:])])
