"""How the work for a text grows with its length: a ratio in one run, which a slow machine does not change."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

SHORT, LONG = 1500, 6000  # characters; the longest prompt has as many as the longer one
ENOUGH_S = 0.012  # under that, a ratio says nothing
MOST = 9  # times as long for a text of four times the length; a square makes it 16


def assert_grows_linearly(read: Callable[[str], object], unit: str, prefix: str = "") -> None:
    """Fail unless reading a prefix and a unit repeated takes time in proportion to the length, in one of three tries.

    Each try compares the shortest times until then.
    """
    long, short = text_of(LONG, unit, prefix), text_of(SHORT, unit, prefix)
    longest = shortest = float("inf")
    for _ in range(3):
        longest = min(longest, _seconds(read, long))
        if longest < ENOUGH_S:
            return
        shortest = min(shortest, _seconds(read, short))
        if longest < MOST * shortest + ENOUGH_S:
            return
    raise AssertionError(f"{prefix!r} and {unit!r} repeated: {longest:.3f} s, a quarter of it {shortest:.3f} s")


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
