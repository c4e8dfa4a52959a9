"""A typed prompt inside a message of the bot's: given back whole, and found there again."""

from __future__ import annotations

import asyncio
import io
import re

import discord

from bot.discord_calls import TRANSPORT_ERRORS
from generation.errors import UserError

MAX_INLINE_PROMPT = 1500  # characters of a prompt that stand in the message itself; a longer one comes as a file
FILENAME = "prompt.txt"
DOWNLOAD_TIMEOUT_S = 2.0  # seconds to wait for that file, with three for the answer
_BLOCK = re.compile(r"(?s)(?:^|\n)```\n(.*)\n```$")


def format_prompt_block(text: str, prompt: str) -> tuple[str, list[discord.File]]:
    """Put a prompt below what is said about it, or beside it as a file; `says` is cut where it is too long for both."""
    if len(prompt) <= MAX_INLINE_PROMPT and "```" not in prompt and len(text) + len(prompt) <= 1980:
        return f"{text}\n```\n{prompt}\n```", []
    return text, [discord.File(io.BytesIO(prompt.encode()), FILENAME)]


async def extract_prompt(message: discord.Message) -> str:
    """Give the prompt that `quote` put into a message; raises Complaint when it cannot be read."""
    if found := _BLOCK.search(message.content):
        return found[1]
    try:
        async with asyncio.timeout(DOWNLOAD_TIMEOUT_S):
            return (await message.attachments[0].read()).decode()
    except (IndexError, *TRANSPORT_ERRORS):
        raise UserError("Discord does not give me this text: copy it, and use the command again.") from None
