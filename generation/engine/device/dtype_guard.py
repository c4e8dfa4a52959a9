"""Pause steps while loading changes torch's default dtype, which is global to the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class StepGate:
    """Counts the steps in progress, on any number of threads; while it is paused, no step begins."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._active_steps = 0
        self._is_paused = False

    @contextmanager
    def step(self) -> Iterator[None]:
        """Run the block as a step."""
        self._begin()
        try:
            yield
        finally:
            self._end()

    def yield_point(self) -> None:
        """Let a waiting `pause` take effect between two steps of one block."""
        self._end()
        self._begin()

    def pause(self) -> None:
        """Let no step begin, and wait for those in progress."""
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
    """Pause steps while diffusers or transformers have changed torch's default dtype.

    They change it for every thread while they build a network in half precision, a fraction of the loading time. A step
    that sampled its noise in that moment would sample it in half precision.
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
        guarded_set_default_dtype(default_dtype)  # after an error they do not restore it
        torch.set_default_dtype = set_default_dtype
