"""Helpers for calls to Discord: retries during outages, error classes, and mentions that ping nobody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import chain, count, repeat
from typing import TypeVar

import aiohttp
import discord
from discord.abc import Messageable

log = logging.getLogger(__name__)

T = TypeVar("T")
IsPosted = Callable[[discord.Message], bool]

RETRY_PAUSES = (1, 5, 30, 120)  # seconds; the last repeats forever; discord.py has already tried five times
REQUEST_TOO_LARGE = 40005
THREAD_IS_ARCHIVED = 50083
SEARCH_LIMIT = 2000  # messages of a channel to search for one that may have been posted
CLOCK_MARGIN_S = 60.0  # the bot's clock and Discord's may differ
NO_MENTIONS = discord.AllowedMentions.none()
TRANSPORT_ERRORS = (discord.HTTPException, discord.RateLimited, aiohttp.ClientError, OSError)  # raised by failed calls


async def post_once(
    channel: Messageable,
    since: float,
    is_posted: IsPosted,
    send: Callable[[], Awaitable[int]],
    *,
    search_first: bool = False,
) -> int:
    """Post a message and return its id, also if an outage hides whether an earlier attempt reached Discord.

    Discord drops a second message with the same nonce, but remembers a nonce for some minutes only. So the channel is
    searched before each further attempt for a message that `is_posted` recognises. With `search_first`, an earlier
    process may have posted it.
    """
    attempts = count(2 if search_first else 1)

    async def attempt() -> int:
        if next(attempts) > 1 and (posted := await find_message(channel, since, is_posted)):
            return posted
        return await send()

    return await retry_until_available(attempt)


async def find_message(channel: Messageable, since: float, matches: IsPosted) -> int | None:
    """Return the id of the first message since a time (Unix seconds) that matches; None if there is none to be read."""
    after = discord.Object(discord.utils.time_snowflake(datetime.fromtimestamp(since - CLOCK_MARGIN_S, UTC)))
    try:
        async for message in channel.history(limit=SEARCH_LIMIT, after=after):
            if matches(message):
                return message.id
    except discord.HTTPException as error:
        if is_outage(error):
            raise
        log.info("could not read the history of a channel: %s", error)
    return None


async def retry_until_available(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call until Discord can be reached again, so that an outage does not lose a finished image."""
    for pause in chain(RETRY_PAUSES, repeat(RETRY_PAUSES[-1])):
        try:
            return await call()
        except Exception as error:
            if not is_outage(error):
                raise
            log.warning("Discord cannot be reached (%s); trying again in %s s", error, pause)
        await asyncio.sleep(pause)
    raise AssertionError("the pauses never end")


def is_outage(error: BaseException) -> bool:
    """Return whether Discord is unreachable or rate-limits the bot, so that the same call may succeed later."""
    if isinstance(error, discord.HTTPException):
        return error.status == 429 or error.status >= 500
    return isinstance(error, TRANSPORT_ERRORS)


def is_archived(error: discord.HTTPException) -> bool:
    """Return whether Discord refused to edit a message because its thread is archived."""
    return error.code == THREAD_IS_ARCHIVED


def is_too_large(error: discord.HTTPException) -> bool:
    """Return whether Discord refused a file because of its size."""
    return error.status == 413 or error.code == REQUEST_TOO_LARGE
