"""What the GPU process asks of an engine. Imports no torch, so that a worker can name the type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from generation.messages import Event, Generate
from generation.models.model import Model

Emit = Callable[[Event], None]


class Engine(Protocol):
    """What the loop asks of an engine; it answers through the `emit` that it was loaded with, from any thread."""

    @property
    def model(self) -> Model:
        """The loaded model as it really is; of several, the default."""

    @property
    def device(self) -> str:
        """The name of the device that it draws on."""

    @property
    def busy(self) -> bool:
        """Whether another step is wanted."""

    def add(self, request: Generate) -> None:
        """Take a job, which from now on ends in exactly one Finished or Failed."""

    def cancel(self, job_id: str) -> None:
        """Let a job end at the next step; unknown ids are ignored."""

    def step(self) -> None:
        """Make one denoising step for the running jobs."""

    def close(self) -> None:
        """End the engine's threads and let go of its memory; jobs that still run are dropped."""
