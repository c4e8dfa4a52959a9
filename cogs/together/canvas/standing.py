"""The standing message of a canvas: edited by each placed piece, and posted anew once an hour at most."""

from __future__ import annotations

import asyncio
import io
import logging
from weakref import WeakValueDictionary

import discord

from bot.client import Client
from bot.discord_calls import NO_MENTIONS, TRANSPORT_ERRORS, post_once, retry_until_available
from bot.policy.visibility import allows_nsfw
from bot.ui.i18n import tr
from cogs.together.canvas import messages
from cogs.together.canvas.messages import Standing
from cogs.together.canvas.pictures import CanvasPictures
from db.together.sessions import Session

MAX_AGE_S = 55 * 60.0  # Discord lets messages that are older than an hour be edited seldom
log = logging.getLogger(__name__)


def needs_spoiler(client: discord.Client, standing: Standing) -> bool:
    """Return whether pictures of a canvas are hidden behind a spoiler where it is painted."""
    is_sensitive = any(piece.sensitive for piece in standing.pieces)
    return is_sensitive and not allows_nsfw(client, standing.session.channel_id)


class StandingMessage:
    """Shows the newest state of canvases, each in one message."""

    def __init__(self, client: Client, pictures: CanvasPictures) -> None:
        self._client, self._pictures = client, pictures
        self._sessions, self._canvases = client.services.db.sessions, client.services.db.canvases
        self._wanted: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def refresh(self, session_id: str) -> None:
        """Show the newest state soon; what comes while a picture is being sent is shown after it."""
        self._wanted.add(session_id)
        if session_id not in self._tasks:
            task = asyncio.create_task(self._refresh_while_wanted(session_id))
            self._tasks[session_id] = task
            task.add_done_callback(lambda _: self._tasks.pop(session_id, None))

    async def stop(self) -> None:
        """Show nothing more; a restart shows the newest state."""
        for task in list(self._tasks.values()):
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks.values()))

    async def standing(self, session: Session) -> Standing | None:
        """Return everything about a canvas; None if it is not stored any more."""
        canvas = await self._canvases.get(session.id)
        if canvas is None:
            return None
        pieces, db = await self._canvases.pieces(session.id), self._client.services.db
        people = {piece.person_id for piece in pieces}
        asked = [each for each in await self._canvases.painters(session.id, messages.PAINTERS_ASKED) if each]
        agreed = await db.ballots.voters_for(session.id, 0, "finish", "yes")
        return Standing(
            session=session,
            canvas=canvas,
            cells=await self._canvases.cells(session.id),
            pieces=pieces,
            claims=await self._canvases.claims(session.id),
            agreed=len(set(agreed) & set(asked)),
            asked=len(asked),
            hidden=await db.guilds.blocked_among(session.guild_id, people),
        )

    async def picture(self, standing: Standing) -> discord.File:
        """Return the overview of a canvas."""
        busy = [(claim.x, claim.y) for claim in standing.claims] if standing.session.ended_at is None else []
        data = await self._pictures.overview(standing.canvas, standing.cells, {}, busy)
        spoiler = needs_spoiler(self._client, standing)
        return discord.File(io.BytesIO(data), "canvas.webp", spoiler=spoiler, description=tr("The canvas so far"))

    async def _refresh_while_wanted(self, session_id: str) -> None:
        while session_id in self._wanted:
            self._wanted.discard(session_id)
            try:
                await self.show(session_id)
            except TRANSPORT_ERRORS as error:
                log.info("canvas %s: its message could not be updated: %s", session_id, error)
            except Exception:
                log.exception("canvas %s: its message could not be updated", session_id)

    async def show(self, session_id: str) -> None:
        """Show the present state: in the message, or in a new one if that is gone or too old."""
        async with self._locks.setdefault(session_id, asyncio.Lock()):  # an earlier state is never shown later
            await self._show(session_id)

    async def _show(self, session_id: str) -> None:
        session = await self._sessions.get(session_id)
        standing = await self.standing(session) if session is not None else None
        if session is None or standing is None:
            return
        await self._client.sessions.set_locale(session.guild_id)
        if not self._needs_new_message(session):
            try:
                await self._edit(session, standing)
                return
            except discord.HTTPException as error:
                if session.ended_at is not None or error.status not in (400, 404):
                    raise
        await self._post(session, standing)

    def _needs_new_message(self, session: Session) -> bool:
        if session.message_id is None:
            return True
        posted_at = discord.utils.snowflake_time(session.message_id).timestamp()
        return session.ended_at is None and self._client.services.clock() - posted_at > MAX_AGE_S

    async def _edit(self, session: Session, standing: Standing) -> None:
        assert session.message_id is not None, "otherwise a new one is posted"
        place = self._client.get_partial_messageable(session.place_id, guild_id=session.guild_id)
        await place.get_partial_message(session.message_id).edit(
            content=messages.standing_text(standing),
            attachments=[await self.picture(standing)],
            view=messages.standing_view(session),
            allowed_mentions=NO_MENTIONS,
        )

    async def _post(self, session: Session, standing: Standing) -> None:
        """Post the message and delete the earlier one; a message that an earlier process has posted is taken over."""
        place, old = (
            self._client.get_partial_messageable(session.place_id, guild_id=session.guild_id),
            session.message_id,
        )
        since = discord.utils.snowflake_time(old).timestamp() if old else session.made_at
        custom_id = messages.paint_id(session.id)

        def is_newer(message: discord.Message) -> bool:
            return message.id != old and custom_id in _custom_ids(message)

        async def send() -> int:
            message = await place.send(
                messages.standing_text(standing),
                file=await self.picture(standing),
                view=messages.standing_view(session),
                allowed_mentions=NO_MENTIONS,
            )
            return message.id

        posted = await post_once(place, since, is_newer, send, search_first=True)
        await self._sessions.set_place(session.id, session.thread_id, posted)
        if old is not None:
            try:
                await retry_until_available(lambda: place.get_partial_message(old).delete())
            except discord.HTTPException as error:
                log.info("canvas %s: its earlier message could not be deleted: %s", session.id, error)


def _custom_ids(message: discord.Message) -> list[str]:
    rows = (row for row in message.components if isinstance(row, discord.ActionRow))
    return [getattr(item, "custom_id", None) or "" for row in rows for item in row.children]
