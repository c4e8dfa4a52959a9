"""The steps of a video: the clean latents that they predicted, kept as few small tensors until they are decoded."""

from __future__ import annotations

from collections.abc import Sequence

import safetensors.torch
import torch
from torch import Tensor

MAX_FRAMES = 24  # of a video: the finished picture, and as many steps before it as there are left
MAX_BYTES = 32 << 20  # of a job's trail


class Trail:
    """Keeps some of a job's steps, evenly spread over its progress, in at most MAX_BYTES.

    `frame_bytes` is what the largest of them takes.
    """

    def __init__(self, frame_bytes: int) -> None:
        self._limit = max(1, min(MAX_FRAMES - 1, MAX_BYTES // max(1, frame_bytes)))
        self._latents: list[Tensor] = []
        self._due = 0

    def wants(self, step: int, total: int) -> bool:
        """Return whether a step is kept, and count it if it is."""
        due = self._limit * step // max(1, total)
        is_due, self._due = due > self._due, due
        return is_due

    def add(self, latents: Tensor) -> None:
        """Keep the latents of a step."""
        self._latents.append(latents.to(torch.float16))

    @property
    def latents(self) -> Sequence[Tensor]:
        """Return the latents of the steps in order; those of a second pass are larger."""
        return self._latents


def pack_trail(latents: Sequence[Tensor]) -> bytes:
    """Return latents, which are on the CPU, as a safetensors file; empty without any."""
    if not latents:
        return b""
    return safetensors.torch.save({f"{number:04}": each.contiguous() for number, each in enumerate(latents)})


def unpack_trail(data: bytes) -> list[Tensor]:
    """Return the latents of `pack_trail`, in order."""
    named = safetensors.torch.load(data)
    return [named[name] for name in sorted(named)]
