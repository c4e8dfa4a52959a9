"""Helpers for calls to Discord: retries during outages, error classes, and mentions that ping nobody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import chain, repeat
from typing import TypeVar

import aiohttp
import discord

log = logging.getLogger(__name__)

T = TypeVar("T")

RETRY_PAUSES = (1, 5, 30, 120)  # seconds; the last repeats forever; discord.py has already tried five times
REQUEST_TOO_LARGE = 40005
NO_MENTIONS = discord.AllowedMentions.none()
TRANSPORT_ERRORS = (discord.HTTPException, discord.RateLimited, aiohttp.ClientError, OSError)  # raised by failed calls


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


def is_too_large(error: discord.HTTPException) -> bool:
    """Return whether Discord refused a file because of its size."""
    return error.status == 413 or error.code == REQUEST_TOO_LARGE
