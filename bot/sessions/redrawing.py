"""Draw again what messages of sessions show although it was deleted, erased or taken out, or its author was blocked."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from bot.discord_calls import TRANSPORT_ERRORS
from db.together.sessions import Session, SessionStore
from generation.errors import UserError

log = logging.getLogger(__name__)

PAUSE_S = 10.0  # a deleted picture is on other messages as long at most
RETRY_S = 600.0  # after Discord could not be reached, or has refused


class Redrawer:
    """Call `redraw` for each session that the database marks as stale, until its messages are drawn again.

    `redraw` returns False if that has to wait, such as for a picture that is being finished.
    """

    def __init__(self, store: SessionStore, redraw: Callable[[Session], Awaitable[bool]]) -> None:
        self._store, self._redraw = store, redraw
        self._changed = asyncio.Event()
        self._retry_at: dict[str, float] = {}  # by the ids of sessions that could not be drawn again

    def wake(self) -> None:
        """Look for stale sessions now."""
        self._changed.set()

    async def run(self) -> None:
        """Draw stale sessions again until cancelled."""
        while True:
            try:
                self._changed.clear()
                await self._redraw_stale()
            except Exception:
                log.exception("the stale sessions could not be read")
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSE_S):
                    await self._changed.wait()

    async def _redraw_stale(self) -> None:
        for stale in await self._store.stale():
            if self._retry_at.get(stale.id, 0.0) > time.monotonic():
                continue
            session = await self._store.get(stale.id)  # it may have gone on while others were drawn again
            if session is not None:
                await self._redraw_or_postpone(session)

    async def _redraw_or_postpone(self, session: Session) -> None:
        try:
            is_shown = await self._redraw(session)
        except (UserError, *TRANSPORT_ERRORS) as error:
            log.warning("session %s could not be drawn again: %s", session.id, error)
        except Exception:
            log.exception("session %s could not be drawn again", session.id)
        else:
            self._retry_at.pop(session.id, None)
            if is_shown:
                await self._store.set_fresh(session)
            return
        self._retry_at[session.id] = time.monotonic() + RETRY_S
