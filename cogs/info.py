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
from cogs.jobs import Interaction, get_job_service
from db.search import LifetimeTotals
from db.usage import UsageTotals
from generation.errors import UserError
from generation.job import Job

MAX_OPTIONS = 25  # of a select, by Discord's rules
MAX_LINES = 10  # of jobs, so that all fits into a message also in German and where escaping doubles the prompts
MAX_LINE_LENGTH = 45  # characters of a prompt; escaping may double them


class Info(commands.Cog):
    """Tell people where they stand."""

    def __init__(self, studio: Services) -> None:
        self.services = studio

    @app_commands.command(description="Your mode, what you have had drawn, and your jobs in the queue")
    async def info(self, interaction: Interaction) -> None:
        text, view = await overview(self.services, interaction)
        await interaction.response.send_message(text, view=view, ephemeral=True)


class CancelSelect(discord.ui.DynamicItem[discord.ui.Select[discord.ui.View]], template="info:cancel"):
    """Cancel a job, chosen from a list."""

    def __init__(self, jobs: list[Job] | None = None) -> None:
        options = [
            discord.SelectOption(
                label=truncate(_plain_prompt(job), 100) or job.id, value=job.id, description=f"Job {job.id}"
            )
            for job in (jobs or [])[:MAX_OPTIONS]
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


async def overview(services: Services, interaction: Interaction) -> tuple[str, discord.ui.View]:
    """Give the text and the controls of a person's overview."""
    person_id, defaults = interaction.user.id, await load_prompt_defaults(services, interaction)
    running = [job for job in services.queue.running if job.requester.id == person_id]
    waiting = [job for job in services.queue.waiting if job.requester.id == person_id]
    lifetime, usage = await services.search.lifetime(person_id), await services.policy.usage(context_from(interaction))
    lines = [f"- {_job_label(job)}: being drawn" for job in running]
    lines += [f"- {_job_label(job)}: {_queue_position(services, job)}" for job in waiting]
    more = [f"- … and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
    queued = ["**Your jobs now**", *lines[:MAX_LINES], *more] if lines else ["You have no jobs in the queue."]
    view = discord.ui.View(timeout=None)
    if lines:
        view.add_item(CancelSelect([*running, *waiting]))
    return "\n".join([*_profile_lines(defaults, lifetime), *_quota_lines(*usage), *queued]), view


async def _cancel(interaction: Interaction, job_id: str) -> None:
    job_service, services = get_job_service(interaction.client), interaction.client.services
    try:
        record, end_message = await job_service.cancel(job_id, interaction.user.id)
    except UserError as error:  # it has ended meanwhile, so that the list is old news
        text, view = await overview(services, interaction)
        await interaction.response.edit_message(content=f"{text}\n-# {error}", view=view)
        return
    text, view = await overview(services, interaction)
    await interaction.response.edit_message(content=text, view=view)
    await job_service.report_end(record.job, record.status_message_id, end_message)


def _profile_lines(defaults: PromptDefaults, lifetime: LifetimeTotals) -> list[str]:
    visibility = "stealth (only you see your pictures)" if defaults.preferences.private else "public"
    model = escape_markdown(truncate(defaults.model.name, MAX_LINE_LENGTH))
    return [
        "## You in the studio",
        f"Mode: **{defaults.preferences.speed}** · Visibility: **{visibility}** · Model: **{model}**",
        f"Drawn for you so far: {_pluralize(lifetime.images, 'picture')} in {_pluralize(lifetime.jobs, 'job')}, "
        f"{_duration(lifetime.seconds)} of drawing",
    ]


def _quota_lines(usage: UsageTotals, limits: RoleLimits) -> list[str]:
    """Say what is left where the server sets bounds."""
    jobs_used = limits.jobs_a_day is not None and f"{usage.jobs:,} of {_pluralize(limits.jobs_a_day, 'job')}"
    time_used = limits.gpu_seconds_a_day is not None and (
        f"{_duration(usage.seconds)} of {_duration(limits.gpu_seconds_a_day)} of drawing"
    )
    parts = [part for part in (jobs_used, time_used) if part]
    return [f"Used here in the last 24 hours: {' · '.join(parts)}"] if parts else []


def _pluralize(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _job_label(job: Job) -> str:
    return f"**{escape_markdown(truncate(_plain_prompt(job), MAX_LINE_LENGTH)) or job.id}**"


def _plain_prompt(job: Job) -> str:
    return " ".join(" ".join(part.text for part in job.params.parts).split())


def _queue_position(services: Services, job: Job) -> str:
    position = services.queue.position(job.id)
    return "waiting" if position is None else job_text.format_queue_position(position)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:,.0f} h"


async def setup(client: Client) -> None:
    """Add the cog and its select; discord.py calls this, after the road's."""
    await client.add_cog(Info(client.services))
    client.add_dynamic_items(CancelSelect)
