"""Results of checks, and running checks with a timeout."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class CheckStatus(StrEnum):
    """The outcome of a check; the value begins its line of output."""

    PASSED = "ok"
    FAILED = "bad"
    SKIPPED = "?"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check; `fix` is what to do about a problem."""

    status: CheckStatus
    subject: str
    text: str
    fix: str = ""

    def __str__(self) -> str:
        line = f"{self.status:<4} {self.subject}: {self.text}"
        return f"{line}\n     → {self.fix}" if self.fix else line


def passed(subject: str, text: str) -> CheckResult:
    """Return the result of a check that found no problem."""
    return CheckResult(CheckStatus.PASSED, subject, text)


def failed(subject: str, text: str, fix: str) -> CheckResult:
    """Return the result of a check that found a problem."""
    return CheckResult(CheckStatus.FAILED, subject, text, fix)


def skipped(subject: str, text: str, fix: str = "") -> CheckResult:
    """Return the result of a check that could not be made."""
    return CheckResult(CheckStatus.SKIPPED, subject, text, fix)


async def with_timeout(seconds: float, subject: str, check: Awaitable[list[CheckResult]]) -> list[CheckResult]:
    """Return the results of a check; skipped if it takes too long or raises an exception."""
    try:
        async with asyncio.timeout(seconds):
            return await check
    except TimeoutError:
        return [skipped(subject, f"gave up after {seconds:g} s", "Try again when the machine is less busy.")]
    except Exception as error:
        return [skipped(subject, f"could not be checked: {type(error).__name__}: {error}")]


async def in_daemon_thread(call: Callable[[], T]) -> T:
    """Run `call` in a daemon thread, which can be abandoned if it hangs, for example on a dead disk."""
    loop, future = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    def set_outcome(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    def run() -> None:
        result, raised = None, None
        try:
            result = call()
        except BaseException as error:
            raised = error
        with suppress(RuntimeError):  # the event loop is closed
            loop.call_soon_threadsafe(set_outcome, result, raised)

    threading.Thread(target=run, name="doctor", daemon=True).start()
    return await future  # type: ignore[no-any-return]
