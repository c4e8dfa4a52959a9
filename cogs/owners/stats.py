"""/config stats: a server's numbers, as a picture and in words."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime

import discord

from bot.discord_calls import NO_MENTIONS
from bot.services import Services
from bot.ui.text import escape_markdown
from cogs.owners.chart import Period, draw, duration
from cogs.road import Interaction
from db.stats import Percentiles, Statistics

HOUR, DAY = 3600.0, 86_400.0
PERIODS = {"day": (24, HOUR), "week": (7, DAY), "month": (30, DAY)}  # how many bars, and what each stands for


async def answer(interaction: Interaction, studio: Services, period: str) -> None:
    """Answer with the numbers of the last day, week or month."""
    assert interaction.guild_id is not None
    await interaction.response.defer(ephemeral=True, thinking=True)
    parts, width = PERIODS[period]
    now = studio.clock()
    statistics = await studio.stats.for_guild(interaction.guild_id, now - parts * width, now, parts)
    picture = await asyncio.to_thread(draw, statistics, _period(period, now))
    text = in_words(statistics, period)
    file = discord.File(io.BytesIO(picture), f"stats_{period}.png", description=text[:1024])
    await interaction.edit_original_response(content=text, attachments=[file], allowed_mentions=NO_MENTIONS)


def in_words(statistics: Statistics, period: str) -> str:
    """Say what matters most, also for who cannot see the picture."""
    lines = [
        f"**The last {period}:** {statistics.jobs:,} jobs of {statistics.people:,} people, "
        f"{duration(statistics.seconds)} of drawing; {statistics.failed:,} failed, {statistics.cancelled:,} cancelled.",
        f"Waiting: {_within(statistics.queue_time)}. Drawing: {_within(statistics.generation_time)}.",
    ]
    lines += [f"-# {jobs:,} × {escape_markdown(reason)}…" for reason, jobs in statistics.failures.items()]
    return "\n".join(lines)


def _within(times: Percentiles | None) -> str:
    if times is None:
        return "none"
    return f"half within {duration(times.median)}, nine of ten within {duration(times.p90)}"


def _period(name: str, now: float) -> Period:
    parts, width = PERIODS[name]
    how = "%H:%M UTC" if width == HOUR else "%d %b"
    first, last = (datetime.fromtimestamp(at, UTC).strftime(how) for at in (now - parts * width, now))
    return Period(f"The last {name}", "by hour" if width == HOUR else "by day", first, last)
