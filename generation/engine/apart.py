"""Keep what loading switches for the whole process away from the steps that go on meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Steps:
    """The steps that are being made, on any number of threads; while somebody holds them up, none is begun."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._under_way = 0
        self._held_up = False

    @contextmanager
    def one(self) -> Iterator[None]:
        """Make a step in this block."""
        self._begin()
        try:
            yield
        finally:
            self._end()

    def between(self) -> None:
        """Let whoever waits hold up the steps, between two that are made in one block."""
        self._end()
        self._begin()

    def hold_up(self) -> None:
        """Wait for the steps under way, and let none begin."""
        with self._news:
            self._news.wait_for(lambda: not self._held_up)
            self._held_up = True
            self._news.wait_for(lambda: not self._under_way)

    def go_on(self) -> None:
        """Let steps begin again."""
        with self._news:
            self._held_up = False
            self._news.notify_all()

    def _begin(self) -> None:
        with self._news:
            self._news.wait_for(lambda: not self._held_up)
            self._under_way += 1

    def _end(self) -> None:
        with self._news:
            self._under_way -= 1
            self._news.notify_all()


@contextmanager
def apart_from(steps: Steps) -> Iterator[None]:
    """Hold up the steps while diffusers or transformers have changed torch's default precision.

    They do so while they make a network in half precision, for every thread and until it is made, which is a fraction
    of the time that loading takes. A step that drew its noise in that moment would draw it in half precision.
    """
    switch, usual = torch.set_default_dtype, torch.get_default_dtype()
    is_alone = False

    def switch_alone(precision: torch.dtype) -> None:
        nonlocal is_alone
        if precision != usual and not is_alone:
            is_alone = True
            steps.hold_up()
        switch(precision)
        if precision == usual and is_alone:
            is_alone = False
            steps.go_on()

    torch.set_default_dtype = switch_alone
    try:
        yield
    finally:
        switch_alone(usual)  # after an error they leave it as it is
        torch.set_default_dtype = switch
