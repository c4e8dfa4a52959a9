"""Run collaborative sessions: hand each step to its kind of session, and resume them after a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Protocol, TypeVar

import discord

from bot.discord_calls import NO_MENTIONS, TRANSPORT_ERRORS, is_archived, retry_until_available
from bot.jobs.tasks import STOP_TIMEOUT_S
from bot.services import Services
from bot.sessions.redrawing import Redrawer
from bot.sessions.timer import SessionTimer
from bot.ui.i18n import ENGLISH, set_locale, tr
from db.together.sessions import ABANDONED, RESTORED, Session, SessionKind

H = TypeVar("H", bound="SessionHandler")
log = logging.getLogger(__name__)


class SessionHandler(Protocol):
    """The steps of one kind of session."""

    @property
    def kind(self) -> SessionKind:
        """Return which kind that is."""

    async def step(self, session: Session) -> None:
        """Take the step that is due; it must change the session's phase, round or time."""

    async def resume(self, session: Session) -> None:
        """Do what the current phase needs and a crash may have left undone; repeating it changes nothing."""

    async def close(self, session: Session, reason: str) -> None:
        """Show in Discord that a session has ended, which is stored already."""

    async def redraw(self, session: Session) -> bool:
        """Show the present state where something that is gone may be shown; returns False if that has to wait."""


class SessionService:
    """The sessions of one client."""

    def __init__(self, client: discord.Client, services: Services) -> None:
        self.client, self.services = client, services
        self.timer = SessionTimer(services.db.sessions, services.clock, self._step)
        self.redrawer = Redrawer(services.db.sessions, self._redraw)
        self._handlers: dict[SessionKind, SessionHandler] = {}
        self._task: asyncio.Task[None] | None = None
        self._spawned = set[asyncio.Task[None]]()

    def register(self, handler: SessionHandler) -> None:
        """Let `handler` take the steps of its kind of session."""
        self._handlers[handler.kind] = handler

    def handler(self, wanted: type[H]) -> H:
        """Return the registered handler of a class."""
        return next(each for each in self._handlers.values() if isinstance(each, wanted))

    def start(self) -> None:
        """Resume the sessions that go on, then take their steps by the clock; a second call changes nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="sessions")

    async def stop(self) -> None:
        """Take no more steps; what a step has left undone is resumed at the next start.

        It does not wait for a description that takes long: closing the worker ends that.
        """
        tasks = self._spawned | ({self._task} if self._task is not None else set())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_TIMEOUT_S)

    def spawn(self, work: Coroutine[Any, Any, object], failure: str) -> None:
        """Begin work that nobody waits for; if it fails, `failure` is logged."""
        task = asyncio.create_task(self._run_or_log(work, failure))
        self._spawned.add(task)
        task.add_done_callback(self._spawned.discard)
        task.add_done_callback(lambda _: work.close())  # a task cancelled before its first step has not started it

    async def _run_or_log(self, work: Coroutine[Any, Any, object], failure: str) -> None:
        try:
            await work
        except Exception:
            log.exception("%s", failure)

    async def end(self, session: Session, reason: str) -> bool:
        """End a session and show why; returns False if it has ended already."""
        if not await self.services.db.sessions.end(session.id, self.services.clock()):
            return False
        if handler := self._handlers.get(session.kind):
            await handler.close(session, reason)
        else:
            await self.say(session, reason)
        return True

    async def say(self, session: Session, text: str) -> int | None:
        """Post a text where a session takes place; returns the message's id, or None if that is not possible."""
        place = self.client.get_partial_messageable(session.place_id, guild_id=session.guild_id)
        try:
            message = await retry_until_available(lambda: place.send(text, allowed_mentions=NO_MENTIONS))
        except discord.HTTPException as error:
            log.info("session %s: could not post in its channel: %s", session.id, error)
            return None
        return message.id

    async def set_locale(self, guild_id: int) -> None:
        """Set the language of a server for this task."""
        settings = await self.services.policy.settings(guild_id)
        guild = self.client.get_guild(guild_id)
        set_locale(settings.language or str(guild.preferred_locale if guild else ENGLISH).partition("-")[0])

    async def end_in_channel(self, channel_id: int) -> None:
        """End the sessions of a channel or thread that was deleted: there is nowhere to say so."""
        for session in await self.services.db.sessions.active():
            if channel_id in (session.channel_id, session.thread_id):
                await self.services.db.sessions.end(session.id, self.services.clock())

    async def _run(self) -> None:
        await asyncio.gather(self._resume_all_and_go_on(), self.redrawer.run())

    async def _resume_all_and_go_on(self) -> None:
        # All at once: a film that one still has to make delays the others only as long as it takes.
        await asyncio.gather(*(self._resume(session) for session in await self.services.db.sessions.active()))
        await self.timer.run()

    async def _resume(self, session: Session) -> None:
        handler = self._handlers.get(session.kind)
        if handler is None or session.phase in (RESTORED, ABANDONED):
            return
        try:
            await self.set_locale(session.guild_id)
            await handler.resume(session)
        except Exception:
            log.exception("session %s could not be resumed", session.id)

    async def _redraw(self, session: Session) -> bool:
        handler = self._handlers.get(session.kind)
        await self.set_locale(session.guild_id)
        try:
            return handler is None or await self._redraw_in_place(handler, session)
        except discord.NotFound:
            return True  # the message is gone, and with it what it showed

    async def _redraw_in_place(self, handler: SessionHandler, session: Session) -> bool:
        """Call a handler's `redraw`. Discord edits no messages in an archived thread, so that is opened meanwhile."""
        try:
            return await handler.redraw(session)
        except discord.HTTPException as error:
            if not is_archived(error):
                raise
        thread = await self.client.fetch_channel(session.place_id)
        if not isinstance(thread, discord.Thread):
            return True
        await thread.edit(archived=False)
        try:
            return await handler.redraw(session)
        finally:
            with suppress(*TRANSPORT_ERRORS):
                await thread.edit(archived=True)

    async def _step(self, session: Session) -> None:
        await self.set_locale(session.guild_id)
        if session.phase == RESTORED:
            await self.end(session, tr("I was restored from a backup, so this ends here."))
        elif session.phase == ABANDONED:
            await self.end(session, tr("This ends here: the person who started it had their data deleted."))
        elif handler := self._handlers.get(session.kind):
            await handler.step(session)
        else:
            await self.end(session, tr("I no longer know this kind of session, so it ends here."))
