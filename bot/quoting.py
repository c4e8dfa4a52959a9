"""A typed prompt inside a message of the bot's: given back whole, and found there again."""

from __future__ import annotations

import asyncio
import io
import re

import discord

from bot.delivery import TROUBLE
from generation.errors import UserError

LONGEST_QUOTE = 1500  # characters of a prompt that stand in the message itself; a longer one comes as a file
FILE = "prompt.txt"
PATIENCE = 2.0  # seconds to wait for that file, with three for the answer
_BLOCK = re.compile(r"(?s)(?:^|\n)```\n(.*)\n```$")


def quote(says: str, prompt: str) -> tuple[str, list[discord.File]]:
    """Put a prompt below what is said about it, or beside it as a file; `says` is cut where it is too long for both."""
    if len(prompt) <= LONGEST_QUOTE and "```" not in prompt and len(says) + len(prompt) <= 1980:
        return f"{says}\n```\n{prompt}\n```", []
    return says, [discord.File(io.BytesIO(prompt.encode()), FILE)]


async def quoted(message: discord.Message) -> str:
    """Give the prompt that `quote` put into a message; raises Complaint when it cannot be read."""
    if found := _BLOCK.search(message.content):
        return found[1]
    try:
        async with asyncio.timeout(PATIENCE):
            return (await message.attachments[0].read()).decode()
    except (IndexError, *TROUBLE):
        raise UserError("Discord does not give me this text: copy it, and use the command again.") from None
