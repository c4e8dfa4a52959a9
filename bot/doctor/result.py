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


class CheckStatus(StrEnum):
    """What came of a check; the value is how its line begins."""

    PASSED = "ok"
    FAILED = "bad"
    SKIPPED = "?"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found; `mend` says what to do about it."""

    status: CheckStatus
    subject: str
    text: str
    fix: str = ""

    def __str__(self) -> str:
        line = f"{self.status:<4} {self.subject}: {self.text}"
        return f"{line}\n     → {self.fix}" if self.fix else line


def passed(subject: str, text: str) -> CheckResult:
    """Find that all is well."""
    return CheckResult(CheckStatus.PASSED, subject, text)


def failed(subject: str, text: str, fix: str) -> CheckResult:
    """Find something that has to be mended."""
    return CheckResult(CheckStatus.FAILED, subject, text, fix)


def skipped(subject: str, text: str, fix: str = "") -> CheckResult:
    """Find that the check could not be made."""
    return CheckResult(CheckStatus.SKIPPED, subject, text, fix)


async def with_timeout(seconds: float, subject: str, check: Awaitable[list[CheckResult]]) -> list[CheckResult]:
    """Give what a check finds; one that takes too long, or fails itself, finds that it could not be made."""
    try:
        async with asyncio.timeout(seconds):
            return await check
    except TimeoutError:
        return [skipped(subject, f"gave up after {seconds:g} s", "Try again when the machine has less to do.")]
    except Exception as error:
        return [skipped(subject, f"could not be checked: {type(error).__name__}: {error}")]


async def in_daemon_thread(call: Callable[[], T]) -> T:
    """Make a call in a thread that is left behind when nobody waits for it any more, as on a disk that hangs."""
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
