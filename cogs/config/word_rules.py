"""/config words: words and phrases that are blocked in prompts."""

from __future__ import annotations

import asyncio
import io
from typing import Literal

import discord
from discord import app_commands

from bot.client import Interaction
from bot.discord_calls import NO_MENTIONS, TRANSPORT_ERRORS
from bot.policy.word_filter import MAX_WORDS, WordRule, check_phrase
from bot.services import Services
from bot.ui.i18n import tr, trn
from cogs.config.audit import audit_entry, in_english, require_guild_id
from generation.errors import UserError

RULE_CHOICES = {
    "refuse": WordRule.REFUSE,
    "warn privately": WordRule.WARN,
    "refuse, but allow after --no": WordRule.EXCEPT_NO,
}
RULE_LABELS = {rule: label for label, rule in RULE_CHOICES.items()}
MAX_FILE_BYTES = 1 << 20  # bytes
RuleName = Literal["refuse", "warn privately", "refuse, but allow after --no"]


class WordsGroup(app_commands.Group):
    """Block words, allow them again, list them."""

    def __init__(self, services: Services) -> None:
        super().__init__(name="words", description="Words and phrases that are blocked in prompts")
        self.services = services

    @app_commands.command(
        description="Block words or phrases, separated by commas; `word*` matches anything that starts with it"
    )
    @app_commands.describe(
        words="For example: gore, naked man, zomb*",
        mode="What happens to a prompt that contains one",
        file="A text file with one word or phrase per line",
    )
    async def block(
        self,
        interaction: Interaction,
        words: app_commands.Range[str, 1, 4000] = "",
        mode: RuleName = "refuse",
        file: discord.Attachment | None = None,
    ) -> None:
        if file is not None:  # the download can take longer than Discord waits for a response
            await interaction.client.deferrals.defer(interaction, ephemeral=True)
        phrases = await asyncio.to_thread(_validate_phrases, await _read_phrases(words, file))
        blocked = await self.services.db.guilds.blocked_words(require_guild_id(interaction))
        if len(blocked.keys() | set(phrases)) > MAX_WORDS:
            raise UserError(
                trn(
                    "There can be up to {limit:,} blocked words, and there is {n:,} now.",
                    "There can be up to {limit:,} blocked words, and there are {n:,} now.",
                    len(blocked),
                    limit=MAX_WORDS,
                )
            )
        details = in_english(lambda: f"blocked ({mode}): {_format_phrases(phrases)}")
        entry = audit_entry(interaction, "words", details)
        await self.services.db.guilds.block_words(entry, dict.fromkeys(phrases, RULE_CHOICES[mode]))
        text = trn(
            "Blocked {n:,} word ({rule}): {words}",
            "Blocked {n:,} words ({rule}): {words}",
            len(phrases),
            rule=tr(mode),
            words=_format_phrases(phrases),
        )
        await _respond(interaction, text)

    @app_commands.command(description="Allow words or phrases again, separated by commas")
    @app_commands.describe(words="As shown in the list")
    async def allow(self, interaction: Interaction, words: app_commands.Range[str, 1, 4000]) -> None:
        phrases = _validate_phrases(await _read_phrases(words, None))
        blocked = await self.services.db.guilds.blocked_words(require_guild_id(interaction))
        if unknown := [phrase for phrase in phrases if phrase not in blocked]:
            raise UserError(tr("Not blocked, so nothing was changed: {words}", words=_format_phrases(unknown)))
        details = in_english(lambda: f"allowed: {_format_phrases(phrases)}")
        await self.services.db.guilds.unblock_words(audit_entry(interaction, "words", details), phrases)
        text = trn(
            "Allowed {n:,} word again: {words}",
            "Allowed {n:,} words again: {words}",
            len(phrases),
            words=_format_phrases(phrases),
        )
        await _respond(interaction, text)

    @app_commands.command(name="list", description="All blocked words, as a file")
    async def show(self, interaction: Interaction) -> None:
        blocked = await self.services.db.guilds.blocked_words(require_guild_id(interaction))
        if not blocked:
            await _respond(interaction, tr("No words are blocked. Use `/config words block` to block some."))
            return
        lines = (f"{phrase}\t{tr(RULE_LABELS[WordRule(mode)])}" for phrase, mode in blocked.items())
        data = io.BytesIO("\n".join(lines).encode())
        file = discord.File(data, "blocked-words.txt", description=tr("The blocked words, one per line"))
        text = trn("{n:,} word blocked.", "{n:,} words blocked.", len(blocked))
        await interaction.response.send_message(text, file=file, ephemeral=True)


async def _read_phrases(words: str, file: discord.Attachment | None) -> list[str]:
    typed = [phrase for phrase in words.split(",") if phrase.strip()]
    if file is not None:
        typed += [line for line in (await _read_text(file)).splitlines() if line.strip()]
    if not typed:
        raise UserError(tr("Give `words`, or a text file with one word or phrase per line."))
    if len(typed) > MAX_WORDS:
        raise UserError(
            tr(
                "These are {number:,} words, but there can be only {limit:,}. Nothing was changed.",
                number=len(typed),
                limit=MAX_WORDS,
            )
        )
    return typed


def _validate_phrases(typed: list[str]) -> list[str]:
    return list(dict.fromkeys(check_phrase(phrase) for phrase in typed))


async def _read_text(file: discord.Attachment) -> str:
    if file.size > MAX_FILE_BYTES:
        raise UserError(tr("`{file}` is too large: the limit is 1 MiB.", file=file.filename))
    try:
        return (await file.read()).decode("utf-8-sig")
    except TRANSPORT_ERRORS:
        raise UserError(
            tr("I could not download `{file}` from Discord. Please try again.", file=file.filename)
        ) from None
    except UnicodeDecodeError:
        raise UserError(tr("`{file}` is not a text file. Save it as UTF-8.", file=file.filename)) from None


async def _respond(interaction: Interaction, text: str) -> None:
    if interaction.response.is_done():
        await interaction.edit_original_response(content=text, allowed_mentions=NO_MENTIONS)
    else:
        await interaction.response.send_message(text, ephemeral=True, allowed_mentions=NO_MENTIONS)


def _format_phrases(phrases: list[str]) -> str:
    shown = ", ".join(f"`{phrase}`" for phrase in phrases[:10])
    left_out = len(phrases) - 10
    return tr("{named} and {number} more", named=shown, number=f"{left_out:,}") if left_out > 0 else shown
