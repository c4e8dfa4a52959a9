"""How the work for a text grows with its length: a ratio in one run, which a slow machine does not change."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

SHORT, LONG = 1500, 6000  # characters; the longest prompt has as many as the longer one
ENOUGH_S = 0.012  # under that, a ratio says nothing
MOST = 9  # times as long for a text of four times the length; a square makes it 16


def assert_grows_linearly(read: Callable[[str], object], unit: str, prefix: str = "") -> None:
    """Fail unless reading a prefix and a unit repeated takes time in proportion to the length."""
    long = seconds(read, text_of(LONG, unit, prefix))
    if long >= ENOUGH_S:
        assert long < MOST * seconds(read, text_of(SHORT, unit, prefix)) + ENOUGH_S, (prefix, unit)


def text_of(length: int, unit: str, prefix: str = "") -> str:
    """Return a text of about that many characters."""
    return prefix + unit * (length // len(unit))


def seconds(read: Callable[[str], object], text: str) -> float:
    """Return the shortest of three times, or the first that is short enough."""
    taken: list[float] = []
    while len(taken) < 3 and (not taken or taken[-1] >= ENOUGH_S):
        taken.append(_seconds(read, text))
    return min(taken)


def _seconds(read: Callable[[str], object], text: str) -> float:
    gc.disable()  # what other tests left is not this text's work
    try:
        start = time.thread_time()
        read(text)
        return time.thread_time() - start
    finally:
        gc.enable()
