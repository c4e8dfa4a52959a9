"""Wait for a disk that is full or a database that is locked, so that neither ends a job."""

from __future__ import annotations

import asyncio
import errno
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from itertools import chain, repeat
from typing import TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

STORAGE_PAUSES = (1, 5, 15)  # seconds; the last repeats
_SQLITE_CODES = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOMEM,
}
_SQLITE_WORDS = ("full", "locked", "disk I/O", "readonly")  # of an error without a code
_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def is_storage_outage(error: BaseException) -> bool:
    """Return whether a write failed for lack of room or access, so that the same write may succeed later."""
    if isinstance(error, sqlite3.OperationalError):
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            return any(words in str(error) for words in _SQLITE_WORDS)
        return code & 0xFF in _SQLITE_CODES  # the rest of the code says more of the same
    return isinstance(error, OSError) and error.errno in _ERRNOS


def is_disk_full(error: BaseException) -> bool:
    """Return whether a storage outage is a lack of room."""
    if isinstance(error, sqlite3.OperationalError):
        code = getattr(error, "sqlite_errorcode", None)
        return "full" in str(error) if code is None else code & 0xFF == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


async def retry_until_stored(
    write: Callable[[], Awaitable[T]], on_wait: Callable[[], Awaitable[None]] | None = None
) -> T:
    """Repeat a write until there is room for it and nobody else locks the database.

    `on_wait` is called once, before the second of several pauses: most locks last for a moment only.
    """
    for number, pause in enumerate(chain(STORAGE_PAUSES, repeat(STORAGE_PAUSES[-1]))):
        try:
            return await write()
        except Exception as error:
            if not is_storage_outage(error):
                raise
            log.warning("cannot write to the disk (%s); trying again in %s s", error, pause)
        if on_wait is not None and number == 1:
            await on_wait()
        await asyncio.sleep(pause)
    raise AssertionError("the pauses never end")
