"""Put a prompt into a message of the bot, and read it from there again."""

from __future__ import annotations

import asyncio
import io
import re

import discord

from bot.discord_calls import TRANSPORT_ERRORS
from bot.ui.i18n import tr
from generation.errors import UserError

MAX_INLINE_PROMPT = 1500  # characters; a longer prompt is attached as a file
FILENAME = "prompt.txt"
DOWNLOAD_TIMEOUT_S = 2.0  # seconds to wait for that file; the response must be sent within three
_BLOCK = re.compile(r"(?s)(?:^|\n)```\n(.*)\n```$")


def format_prompt_block(text: str, prompt: str) -> tuple[str, list[discord.File]]:
    """Return a message of `text` and a prompt: as a code block, or as a file if the prompt does not fit."""
    if len(prompt) <= MAX_INLINE_PROMPT and "```" not in prompt and len(text) + len(prompt) <= 1980:
        return f"{text}\n```\n{prompt}\n```", []
    return text, [discord.File(io.BytesIO(prompt.encode()), FILENAME, description=tr("The whole prompt"))]


async def extract_prompt(message: discord.Message) -> str:
    """Return the prompt that `format_prompt_block` put into a message; raise UserError if it cannot be read."""
    if found := _BLOCK.search(message.content):
        return found[1]
    try:
        async with asyncio.timeout(DOWNLOAD_TIMEOUT_S):
            return (await message.attachments[0].read()).decode()
    except (IndexError, *TRANSPORT_ERRORS):
        raise UserError(tr("Discord does not give me this text: copy it, and use the command again.")) from None
