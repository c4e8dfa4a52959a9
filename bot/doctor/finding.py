"""What a check finds, and how long it may look."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class Verdict(StrEnum):
    """What came of a check; the value is how its line begins."""

    FINE = "ok"
    BAD = "bad"
    UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `mend` says what to do about it."""

    verdict: Verdict
    subject: str
    text: str
    mend: str = ""

    def __str__(self) -> str:
        line = f"{self.verdict:<4} {self.subject}: {self.text}"
        return f"{line}\n     → {self.mend}" if self.mend else line


def fine(subject: str, text: str) -> Finding:
    """Find that all is well."""
    return Finding(Verdict.FINE, subject, text)


def bad(subject: str, text: str, mend: str) -> Finding:
    """Find something that has to be mended."""
    return Finding(Verdict.BAD, subject, text, mend)


def unknown(subject: str, text: str, mend: str = "") -> Finding:
    """Find that the check could not be made."""
    return Finding(Verdict.UNKNOWN, subject, text, mend)


async def within(seconds: float, subject: str, check: Awaitable[list[Finding]]) -> list[Finding]:
    """Give what a check finds; one that takes too long, or fails itself, finds that it could not be made."""
    try:
        async with asyncio.timeout(seconds):
            return await check
    except TimeoutError:
        return [unknown(subject, f"gave up after {seconds:g} s", "Try again when the machine has less to do.")]
    except Exception as error:
        return [unknown(subject, f"could not be checked: {type(error).__name__}: {error}")]


async def aside(call: Callable[[], T]) -> T:
    """Make a call in a thread that is left behind when nobody waits for it any more, as on a disk that hangs."""
    loop, outcome = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)

    def work() -> None:
        result, failed = None, None
        try:
            result = call()
        except BaseException as error:
            failed = error
        with suppress(RuntimeError):  # the event loop is closed
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=work, name="doctor", daemon=True).start()
    return await outcome  # type: ignore[no-any-return]
