"""Reach the messages of a job: by the channel, by the interaction's token while it lives, or by direct message."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any, TypeVar

import aiohttp
import discord

from generation.errors import Complaint
from generation.job import Job

log = logging.getLogger(__name__)
T = TypeVar("T")

TOKEN_MARGIN = 30.0  # seconds before a token's end from which it is no longer relied upon
RETRY_PAUSES = (1, 5, 30, 120)  # seconds, the last for ever; discord.py has by then tried five times itself
REQUEST_TOO_LARGE = 40005
INVALID_TOKEN = 50027
NOBODY = discord.AllowedMentions.none()


class Undeliverable(Complaint):
    """Neither the channel nor the token nor a direct message could be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A result as it is posted: the text, one picture and the buttons."""

    content: str
    picture: bytes
    filename: str
    view: discord.ui.View

    def file(self) -> discord.File:
        """Give the picture as a fresh file: discord.py uses each one up."""
        return discord.File(io.BytesIO(self.picture), self.filename)


class Delivery:
    """Post results and edit notices, whichever way is open."""

    def __init__(self, client: discord.Client, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock

    def token_lives(self, job: Job) -> bool:
        """Tell whether the interaction's token can still be relied upon."""
        return self._clock() < job.destination.token_expires_at - TOKEN_MARGIN

    async def edit_notice(self, job: Job, notice_id: int, **changes: Any) -> None:
        """Change the job's notice; raises discord.HTTPException when no way is open."""
        if self.token_lives(job) or not job.destination.by_channel:
            try:
                await self._webhook(job).edit_message(notice_id, allowed_mentions=NOBODY, **changes)
                return
            except discord.HTTPException as error:
                if error.code != INVALID_TOKEN or not job.destination.by_channel:
                    raise
        message = self._channel(job).get_partial_message(notice_id)
        await message.edit(allowed_mentions=NOBODY, **changes)

    async def remove_notice(self, job: Job, notice_id: int) -> None:
        """Delete the job's notice; one that is gone already is as good."""
        try:
            if self.token_lives(job):
                await self._webhook(job).delete_message(notice_id)
            else:
                await self._channel(job).get_partial_message(notice_id).delete()
        except discord.NotFound:
            pass
        except discord.HTTPException:
            log.warning("job %s: could not delete the notice", job.id, exc_info=True)

    async def post(self, job: Job, notice_id: int | None, answer: Answer) -> int:
        """Post the result so that the person is told of it, and give the message's id.

        Where the channel can be used, the result is a new message whose nonce is the job's id, so that Discord drops a
        second one; elsewhere the notice becomes the result. Raises Undeliverable, or discord.HTTPException with code
        40005 when the picture is too large.
        """
        ways = (self._post_by_channel, self._post_by_token, self._post_by_dm)
        for way in ways:
            message_id = await way(job, notice_id, answer)
            if message_id is not None:
                return message_id
        raise Undeliverable("It is drawn, but I may neither post it here nor send you a direct message.")

    async def find_answer(self, job: Job, since: int) -> int | None:
        """Look for a result posted by an earlier life of the bot, in messages newer than the id `since`."""
        if not job.destination.by_channel or self._client.user is None:
            return None
        try:
            newer = self._channel(job).history(limit=200, after=discord.Object(since), oldest_first=False)
            async for message in newer:
                if message.author.id == self._client.user.id and _shows_tiles_of(job, message):
                    return message.id
        except discord.HTTPException:
            log.info("job %s: the channel's history cannot be read", job.id)
        return None

    async def _post_by_channel(self, job: Job, _: int | None, answer: Answer) -> int | None:
        if not job.destination.by_channel:
            return None
        fields: dict[str, Any] = {"nonce": job.id, "allowed_mentions": _only_the_asker(job)}
        if job.destination.reply_to is not None:
            fields["reference"] = discord.MessageReference(
                message_id=job.destination.reply_to, channel_id=job.destination.channel_id, fail_if_not_exists=False
            )
        channel = self._channel(job)
        try:
            message = await persist(
                lambda: channel.send(answer.content, file=answer.file(), view=answer.view, **fields)
            )
        except (discord.Forbidden, discord.NotFound) as error:
            log.warning("job %s: cannot post in channel %s: %s", job.id, job.destination.channel_id, error)
            return None
        return message.id

    async def _post_by_token(self, job: Job, notice_id: int | None, answer: Answer) -> int | None:
        if not self.token_lives(job):
            return None
        try:
            if notice_id is not None:
                return await self._turn_notice_into(job, notice_id, answer)
            return await self._follow_up(job, answer)
        except discord.NotFound:
            return await self._follow_up(job, answer)
        except discord.HTTPException as error:
            if error.code == INVALID_TOKEN:
                return None
            raise

    async def _turn_notice_into(self, job: Job, notice_id: int, answer: Answer) -> int:
        message = await persist(
            lambda: self._webhook(job).edit_message(
                notice_id,
                content=answer.content,
                attachments=[answer.file()],
                view=answer.view,
                allowed_mentions=NOBODY,
            )
        )
        return message.id

    async def _follow_up(self, job: Job, answer: Answer) -> int | None:
        try:
            message = await persist(
                lambda: self._webhook(job).send(
                    answer.content,
                    file=answer.file(),
                    view=answer.view,
                    allowed_mentions=_only_the_asker(job),
                    wait=True,
                )
            )
        except discord.NotFound:
            return None
        return message.id

    async def _post_by_dm(self, job: Job, _: int | None, answer: Answer) -> int | None:
        try:
            channel = await self._client.create_dm(discord.Object(job.asker.id))
            message = await persist(
                lambda: channel.send(
                    f"{answer.content}\n-# I could not answer in <#{job.destination.channel_id}>.",
                    file=answer.file(),
                    view=answer.view,
                    nonce=job.id,
                )
            )
        except (discord.Forbidden, discord.NotFound) as error:
            log.warning("job %s: cannot send %s a direct message: %s", job.id, job.asker.id, error)
            return None
        return message.id

    def _webhook(self, job: Job) -> discord.Webhook:
        assert self._client.application_id is not None, "only used once logged in"
        return discord.Webhook.partial(self._client.application_id, job.destination.token, client=self._client)

    def _channel(self, job: Job) -> discord.PartialMessageable:
        return self._client.get_partial_messageable(job.destination.channel_id, guild_id=job.destination.guild_id)


async def persist(call: Callable[[], Awaitable[T]]) -> T:
    """Make a call until Discord and the line to it are up again: a finished picture is not given up for an outage."""
    for pause in chain(RETRY_PAUSES, repeat(RETRY_PAUSES[-1])):
        try:
            return await call()
        except (discord.DiscordServerError, discord.RateLimited, aiohttp.ClientError, OSError) as error:
            log.warning("Discord cannot be reached (%s); trying again in %s s", error, pause)
        except discord.HTTPException as error:
            if error.status != 429:
                raise
            log.warning("Discord asks to wait; trying again in %s s", pause)
        await asyncio.sleep(pause)
    raise AssertionError("the pauses never end")


def _only_the_asker(job: Job) -> discord.AllowedMentions:
    return discord.AllowedMentions(
        everyone=False, roles=False, users=[discord.Object(job.asker.id)], replied_user=False
    )


def _shows_tiles_of(job: Job, message: discord.Message) -> bool:
    rows = (row for row in message.components if isinstance(row, discord.ActionRow))
    ids = (getattr(item, "custom_id", None) or "" for row in rows for item in row.children)
    return any(f":{job.id}-" in custom_id for custom_id in ids)
