"""/info: how somebody's jobs are run, what they have had so far, and what waits, with a way to cancel each."""

from __future__ import annotations

from typing import Any, Self

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client
from bot.jobs.prompt_defaults import PromptDefaults, load_prompt_defaults
from bot.policy.context import context_from
from bot.policy.settings import RoleLimits
from bot.services import Services
from bot.ui import job_text
from bot.ui.errors import report_errors
from bot.ui.text import escape_markdown, truncate
from cogs.road import Interaction, road_of
from db.search import LifetimeTotals
from db.usage import UsageTotals
from generation.errors import UserError
from generation.job import Job

MOST_CHOICES = 25  # of a select, by Discord's rules
MOST_LINES = 10  # of jobs, so that all fits into a message also in German and where escaping doubles the prompts
LONGEST_LINE = 45  # characters of a prompt; escaping may double them


class Info(commands.Cog):
    """Tell people where they stand."""

    def __init__(self, studio: Services) -> None:
        self.studio = studio

    @app_commands.command(description="Your mode, what you have had drawn, and your jobs in the queue")
    async def info(self, interaction: Interaction) -> None:
        text, view = await overview(self.studio, interaction)
        await interaction.response.send_message(text, view=view, ephemeral=True)


class CancelSelect(discord.ui.DynamicItem[discord.ui.Select[discord.ui.View]], template="info:cancel"):
    """Cancel a job, chosen from a list."""

    def __init__(self, jobs: list[Job] | None = None) -> None:
        options = [
            discord.SelectOption(label=truncate(_plain(job), 100) or job.id, value=job.id, description=f"Job {job.id}")
            for job in (jobs or [])[:MOST_CHOICES]
        ]
        select: discord.ui.Select[discord.ui.View] = discord.ui.Select(
            custom_id="info:cancel", placeholder="Cancel a job …", options=options
        )
        super().__init__(select)

    @classmethod
    async def from_custom_id(cls, *_: Any) -> Self:
        return cls()

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            await _cancel(interaction, self.item.values[0])


async def overview(studio: Services, interaction: Interaction) -> tuple[str, discord.ui.View]:
    """Give the text and the controls of a person's overview."""
    person_id, habits = interaction.user.id, await load_prompt_defaults(studio, interaction)
    running = [job for job in studio.queue.running if job.requester.id == person_id]
    waiting = [job for job in studio.queue.waiting if job.requester.id == person_id]
    lifetime, used = await studio.search.lifetime(person_id), await studio.policy.usage(context_from(interaction))
    lines = [f"- {_named(job)}: being drawn" for job in running]
    lines += [f"- {_named(job)}: {_place(studio, job)}" for job in waiting]
    more = [f"- … and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
    queued = ["**Your jobs now**", *lines[:MOST_LINES], *more] if lines else ["You have no jobs in the queue."]
    view = discord.ui.View(timeout=None)
    if lines:
        view.add_item(CancelSelect([*running, *waiting]))
    return "\n".join([*_about(habits, lifetime), *_left(*used), *queued]), view


async def _cancel(interaction: Interaction, job_id: str) -> None:
    road, studio = road_of(interaction.client), interaction.client.services
    try:
        record, ending = await road.call_off(job_id, interaction.user.id)
    except UserError as complaint:  # it has ended meanwhile, so that the list is old news
        text, view = await overview(studio, interaction)
        await interaction.response.edit_message(content=f"{text}\n-# {complaint}", view=view)
        return
    text, view = await overview(studio, interaction)
    await interaction.response.edit_message(content=text, view=view)
    await road.tell_ending(record.job, record.status_message_id, ending)


def _about(habits: PromptDefaults, lifetime: LifetimeTotals) -> list[str]:
    visibility = "stealth (only you see your pictures)" if habits.preferences.private else "public"
    model = escape_markdown(truncate(habits.model.name, LONGEST_LINE))
    return [
        "## You in the studio",
        f"Mode: **{habits.preferences.speed}** · Visibility: **{visibility}** · Model: **{model}**",
        f"Drawn for you so far: {_count(lifetime.images, 'picture')} in {_count(lifetime.jobs, 'job')}, "
        f"{_duration(lifetime.seconds)} of drawing",
    ]


def _left(used: UsageTotals, bounds: RoleLimits) -> list[str]:
    """Say what is left where the server sets bounds."""
    of_jobs = bounds.jobs_a_day is not None and f"{used.jobs:,} of {_count(bounds.jobs_a_day, 'job')}"
    of_time = bounds.gpu_seconds_a_day is not None and (
        f"{_duration(used.seconds)} of {_duration(bounds.gpu_seconds_a_day)} of drawing"
    )
    parts = [part for part in (of_jobs, of_time) if part]
    return [f"Used here in the last 24 hours: {' · '.join(parts)}"] if parts else []


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _named(job: Job) -> str:
    return f"**{escape_markdown(truncate(_plain(job), LONGEST_LINE)) or job.id}**"


def _plain(job: Job) -> str:
    return " ".join(" ".join(part.text for part in job.params.parts).split())


def _place(studio: Services, job: Job) -> str:
    place = studio.queue.position(job.id)
    return "waiting" if place is None else job_text.format_queue_position(place)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:,.0f} h"


async def setup(client: Client) -> None:
    """Add the cog and its select; discord.py calls this, after the road's."""
    await client.add_cog(Info(client.services))
    client.add_dynamic_items(CancelSelect)
