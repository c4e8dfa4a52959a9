"""Give work that is no job of its own to a worker once more if its process ends meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from generation.errors import WorkerCrashed

ATTEMPTS = 2

log = logging.getLogger(__name__)

T = TypeVar("T")


async def retry_after_crash(job_id: str, work: Callable[[], Awaitable[T]]) -> T:
    """Return the result of work for a job; raise WorkerCrashed if the worker ended at each attempt."""
    for _ in range(ATTEMPTS - 1):
        try:
            return await work()
        except WorkerCrashed as crash:
            log.warning("job %s: its work is done again: %s", job_id, crash)
    return await work()
