"""The engine protocol of the GPU process. Imports no torch, so that a worker can name the type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from generation.messages import Event, Generate
from generation.models.model import Model

Emit = Callable[[Event], None]


class Engine(Protocol):
    """What the GPU process's loop needs of an engine; its events go through `emit`, from any thread."""

    @property
    def model(self) -> Model:
        """The loaded model with its actual settings; with several models, the default."""

    @property
    def device(self) -> str:
        """The name of the device that it runs on."""

    @property
    def busy(self) -> bool:
        """Whether there is a step to make."""

    def add(self, request: Generate) -> None:
        """Accept a job, which then ends in exactly one Finished, Read or Failed."""

    def cancel(self, job_id: str) -> None:
        """End a job at the next step; unknown ids are ignored."""

    def step(self) -> None:
        """Make one denoising step for the running jobs."""

    def close(self) -> None:
        """Stop the engine's threads and free its memory; running jobs are dropped."""
