"""/config words: the words and phrases that prompts may not hold."""

from __future__ import annotations

import asyncio
import io
from typing import Literal

import discord
from discord import app_commands

from bot.discord_calls import NO_MENTIONS, TRANSPORT_ERRORS
from bot.policy.word_filter import MAX_WORDS, WordRule, check_phrase
from bot.services import Services
from cogs.owners.acts import act_of, guild_of
from cogs.road import Interaction
from generation.errors import UserError

MODES = {
    "refuse": WordRule.REFUSE,
    "warn privately": WordRule.WARN,
    "refuse, but allow after --no": WordRule.EXCEPT_NO,
}
MODE_WORDS = {mode: words for words, mode in MODES.items()}
LARGEST_FILE = 1 << 20  # bytes
Said = Literal["refuse", "warn privately", "refuse, but allow after --no"]


class WordsGroup(app_commands.Group):
    """Block words, allow them again, list them."""

    def __init__(self, studio: Services) -> None:
        super().__init__(name="words", description="Words and phrases that prompts may not hold")
        self.studio = studio

    @app_commands.command(description="Block words or phrases, with commas between them; `word*` takes what begins so")
    @app_commands.describe(
        words="For instance: gore, naked man, zomb*",
        mode="What becomes of a prompt with one of them",
        file="A text file with a word or phrase a line",
    )
    async def block(
        self,
        interaction: Interaction,
        words: app_commands.Range[str, 1, 4000] = "",
        mode: Said = "refuse",
        file: discord.Attachment | None = None,
    ) -> None:
        if file is not None:  # which takes a while to fetch
            await interaction.response.defer(ephemeral=True, thinking=True)
        phrases = await asyncio.to_thread(_checked, await _phrases(words, file))
        known = await self.studio.guilds.blocked_words(guild_of(interaction))
        if len(known.keys() | set(phrases)) > MAX_WORDS:
            raise UserError(f"There can be {MAX_WORDS:,} blocked words, and there are {len(known):,} now.")
        act = act_of(interaction, "words", f"blocked ({mode}): {_listed(phrases)}")
        await self.studio.guilds.block_words(act, dict.fromkeys(phrases, MODES[mode]))
        await _answer(interaction, f"Blocked {_count(phrases)} ({mode}): {_listed(phrases)}")

    @app_commands.command(description="Allow words or phrases again, with commas between them")
    @app_commands.describe(words="As they stand in the list")
    async def allow(self, interaction: Interaction, words: app_commands.Range[str, 1, 4000]) -> None:
        phrases = _checked(await _phrases(words, None))
        known = await self.studio.guilds.blocked_words(guild_of(interaction))
        if unknown := [phrase for phrase in phrases if phrase not in known]:
            raise UserError(f"Not blocked, so nothing was changed: {_listed(unknown)}")
        await self.studio.guilds.unblock_words(act_of(interaction, "words", f"allowed: {_listed(phrases)}"), phrases)
        await _answer(interaction, f"Allowed {_count(phrases)} again: {_listed(phrases)}")

    @app_commands.command(name="list", description="Everything that is blocked, as a file")
    async def show(self, interaction: Interaction) -> None:
        known = await self.studio.guilds.blocked_words(guild_of(interaction))
        if not known:
            await _answer(interaction, "No words are blocked. `/config words block` blocks some.")
            return
        lines = (f"{phrase}\t{MODE_WORDS[WordRule(mode)]}" for phrase, mode in known.items())
        file = discord.File(io.BytesIO("\n".join(lines).encode()), "blocked-words.txt")
        await interaction.response.send_message(f"{_count(list(known))} blocked.", file=file, ephemeral=True)


async def _phrases(words: str, file: discord.Attachment | None) -> list[str]:
    typed = [phrase for phrase in words.split(",") if phrase.strip()]
    if file is not None:
        typed += [line for line in (await _text(file)).splitlines() if line.strip()]
    if not typed:
        raise UserError("Give `words`, or a text file with a word or phrase a line.")
    if len(typed) > MAX_WORDS:
        raise UserError(f"These are {len(typed):,} words, and there can be {MAX_WORDS:,}: nothing was changed.")
    return typed


def _checked(typed: list[str]) -> list[str]:
    return list(dict.fromkeys(check_phrase(phrase) for phrase in typed))


async def _text(file: discord.Attachment) -> str:
    if file.size > LARGEST_FILE:
        raise UserError(f"`{file.filename}` is too large: a list of words has at most 1 MiB.")
    try:
        return (await file.read()).decode("utf-8-sig")
    except TRANSPORT_ERRORS:
        raise UserError(f"Discord did not give me `{file.filename}`: please try again.") from None
    except UnicodeDecodeError:
        raise UserError(f"`{file.filename}` is no text file: save it as UTF-8.") from None


async def _answer(interaction: Interaction, text: str) -> None:
    if interaction.response.is_done():
        await interaction.edit_original_response(content=text, allowed_mentions=NO_MENTIONS)
    else:
        await interaction.response.send_message(text, ephemeral=True, allowed_mentions=NO_MENTIONS)


def _listed(phrases: list[str]) -> str:
    shown = ", ".join(f"`{phrase}`" for phrase in phrases[:10])
    return f"{shown} and {len(phrases) - 10:,} more" if len(phrases) > 10 else shown


def _count(phrases: list[str]) -> str:
    return f"{len(phrases):,} word{'' if len(phrases) == 1 else 's'}"
