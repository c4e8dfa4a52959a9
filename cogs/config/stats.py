"""/config stats: a server's statistics, as a chart and as text."""

from __future__ import annotations

import asyncio
import io
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

import discord

from bot.client import Interaction
from bot.discord_calls import NO_MENTIONS
from bot.services import Services
from bot.ui import job_text
from bot.ui.i18n import find_template, tr, trn
from bot.ui.text import escape_markdown, strip_markdown, truncate
from cogs.config.stats_chart import PALETTES, ChartLabels, draw_chart, duration
from db.stats import Percentiles, Statistics

MAX_REASONS_SHOWN, MAX_REASON_LENGTH = 3, 60
MAX_RECOGNISED_LENGTH = 500  # characters of a reason
HOUR, DAY = 3600.0, 86_400.0
PERIOD_TITLES = {"day": "The last day", "week": "The last week", "month": "The last month"}
PERIODS = {"day": (24, HOUR), "week": (7, DAY), "month": (30, DAY)}  # number of bars, and seconds of each


async def send_stats(interaction: Interaction, services: Services, period: str, theme: str) -> None:
    """Respond with the statistics of the last day, week or month, as a chart of a theme."""
    assert interaction.guild_id is not None
    await interaction.client.deferrals.defer(interaction, ephemeral=True)
    buckets, width = PERIODS[period]
    now = services.clock()
    statistics = await services.db.stats.for_guild(interaction.guild_id, now - buckets * width, now, buckets)
    image = await asyncio.to_thread(draw_chart, statistics, _chart_labels(period, now), PALETTES[theme])
    text = await asyncio.to_thread(summary_text, statistics, period)
    file = discord.File(
        io.BytesIO(image),
        f"stats_{period}.png",
        description=truncate(strip_markdown(text), job_text.MAX_DESCRIPTION_LENGTH),
    )
    await interaction.edit_original_response(content=text, attachments=[file], allowed_mentions=NO_MENTIONS)


def summary_text(statistics: Statistics, period: str) -> str:
    """Return the main numbers as text; it is also the chart's alt text."""
    lines = [
        tr(
            "**{period}:** {jobs} by {people}, {time} of drawing; {failed:,} failed, {cancelled:,} cancelled.",
            period=tr(PERIOD_TITLES[period]),
            jobs=trn("{n:,} job", "{n:,} jobs", statistics.jobs),
            people=trn("{n:,} person", "{n:,} people", statistics.people),
            time=duration(statistics.seconds),
            failed=statistics.failed,
            cancelled=statistics.cancelled,
        ),
        tr(
            "Waiting: {waiting}. Drawing: {drawing}.",
            waiting=_format_times(statistics.queue_time),
            drawing=_format_times(statistics.generation_time),
        ),
    ]
    lines += [f"-# {jobs:,} × {escape_markdown(reason)}" for reason, jobs in _top_reasons(statistics.failures)]
    return "\n".join(lines)


def _top_reasons(failures: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return the most frequent reasons in the current language; a reason counts once, whatever it was told in."""
    counted: Counter[str] = Counter()
    for sentence, jobs in failures.items():
        counted[_reason(sentence)] += jobs
    return counted.most_common(MAX_REASONS_SHOWN)


def _reason(sentence: str) -> str:
    """Return the sentence of a failure without its names and numbers."""
    template = find_template(sentence) if len(sentence) <= MAX_RECOGNISED_LENGTH else None
    if template is None:
        return truncate(sentence, MAX_REASON_LENGTH)
    return re.sub(r"\{[^{}]*\}", "…", tr(template))


def _format_times(times: Percentiles | None) -> str:
    if times is None:
        return tr("none")
    return tr("median {median}, 90th percentile {p90}", median=duration(times.median), p90=duration(times.p90))


def _chart_labels(name: str, now: float) -> ChartLabels:
    buckets, width = PERIODS[name]
    date_format = "%H:%M" if width == HOUR else tr("%d %b")  # without names of months where they are not English
    begins = (now - (buckets - number) * width for number in range(buckets))
    ticks = [datetime.fromtimestamp(at, UTC).strftime(date_format) for at in begins]
    jobs = tr("Jobs by hour (UTC)") if width == HOUR else tr("Jobs by day")
    return ChartLabels(tr(PERIOD_TITLES[name]), jobs, ticks)
