"""Keep what loading switches for the whole process away from the steps that go on meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class StepGate:
    """The steps that are being made, on any number of threads; while somebody holds them up, none is begun."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._active_steps = 0
        self._is_paused = False

    @contextmanager
    def step(self) -> Iterator[None]:
        """Make a step in this block."""
        self._begin()
        try:
            yield
        finally:
            self._end()

    def yield_point(self) -> None:
        """Let whoever waits hold up the steps, between two that are made in one block."""
        self._end()
        self._begin()

    def pause(self) -> None:
        """Wait for the steps under way, and let none begin."""
        with self._condition:
            self._condition.wait_for(lambda: not self._is_paused)
            self._is_paused = True
            self._condition.wait_for(lambda: not self._active_steps)

    def resume(self) -> None:
        """Let steps begin again."""
        with self._condition:
            self._is_paused = False
            self._condition.notify_all()

    def _begin(self) -> None:
        with self._condition:
            self._condition.wait_for(lambda: not self._is_paused)
            self._active_steps += 1

    def _end(self) -> None:
        with self._condition:
            self._active_steps -= 1
            self._condition.notify_all()


@contextmanager
def guard_default_dtype(gate: StepGate) -> Iterator[None]:
    """Hold up the steps while diffusers or transformers have changed torch's default precision.

    They do so while they make a network in half precision, for every thread and until it is made, which is a fraction
    of the time that loading takes. A step that drew its noise in that moment would draw it in half precision.
    """
    set_default_dtype, default_dtype = torch.set_default_dtype, torch.get_default_dtype()
    is_paused = False

    def guarded_set_default_dtype(dtype: torch.dtype) -> None:
        nonlocal is_paused
        if dtype != default_dtype and not is_paused:
            is_paused = True
            gate.pause()
        set_default_dtype(dtype)
        if dtype == default_dtype and is_paused:
            is_paused = False
            gate.resume()

    torch.set_default_dtype = guarded_set_default_dtype
    try:
        yield
    finally:
        guarded_set_default_dtype(default_dtype)  # after an error they leave it as it is
        torch.set_default_dtype = set_default_dtype
