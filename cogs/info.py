"""/info: a user's mode, totals and queued jobs, with a select that cancels one."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.jobs.prompt_defaults import PromptDefaults, load_prompt_defaults
from bot.policy.context import context_from
from bot.policy.settings import RoleLimits
from bot.services import Services
from bot.ui import job_text
from bot.ui.dynamic_items import PersistentItem, persistent_view, selected_values
from bot.ui.i18n import error_text, tr, trn
from bot.ui.text import escape_markdown, progress_bar, truncate
from db.finding.search import LifetimeTotals
from db.usage import UsageTotals
from generation.errors import UserError
from generation.job import Job

MAX_OPTIONS = 25  # of a select, by Discord's rules
MAX_LINES = 10  # of jobs: they fit into a message in German too, even where escaping doubles the prompts
MAX_LINE_LENGTH = 45  # characters of a prompt; escaping may double them


class Info(commands.Cog):
    """Show users their mode, totals and jobs."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @app_commands.command(description="Your mode, totals and queued jobs")
    async def info(self, interaction: Interaction) -> None:
        text, view = await overview(self.services, interaction)
        await interaction.response.send_message(text, view=view, ephemeral=True)


class CancelSelect(PersistentItem, template="info:cancel"):
    """Cancels a job, chosen from a list."""

    async def run(self, interaction: Interaction) -> None:
        await _cancel(interaction, selected_values(interaction)[0])


def _cancel_select(jobs: list[Job]) -> discord.ui.Select[discord.ui.View]:
    options = [
        discord.SelectOption(
            label=truncate(_plain_prompt(job), 100) or job.id,
            value=job.id,
            description=tr("Job {job_id}", job_id=job.id),
        )
        for job in jobs[:MAX_OPTIONS]
    ]
    return discord.ui.Select(custom_id="info:cancel", placeholder=tr("Cancel a job …"), options=options)


async def overview(services: Services, interaction: Interaction) -> tuple[str, discord.ui.View]:
    """Return the text and the controls of a user's overview."""
    person_id, defaults = interaction.user.id, await load_prompt_defaults(services, interaction)
    running = [job for job in services.queue.running if job.requester.id == person_id]
    waiting = [job for job in services.queue.waiting if job.requester.id == person_id]
    lifetime, usage = (
        await services.db.search.lifetime(person_id),
        await services.policy.usage(context_from(interaction)),
    )
    lines = [f"- {_job_label(job)}: {tr('being drawn')}" for job in running]
    lines += [f"- {_job_label(job)}: {_queue_position(services, job)}" for job in waiting]
    more = [tr("- … and {number} more", number=len(lines) - MAX_LINES)] if len(lines) > MAX_LINES else []
    queued = [tr("**Your jobs now**"), *lines[:MAX_LINES], *more] if lines else [tr("You have no jobs in the queue.")]
    view = persistent_view(*([_cancel_select([*running, *waiting])] if lines else []))
    return "\n".join([*_profile_lines(defaults, lifetime), *_quota_lines(*usage), *queued]), view


async def _cancel(interaction: Interaction, job_id: str) -> None:
    jobs, services = interaction.client.jobs, interaction.client.services
    try:
        record, end_message = await jobs.cancel(job_id, interaction.user.id)
    except UserError as error:  # the job has ended meanwhile, so the list is refreshed
        text, view = await overview(services, interaction)
        await interaction.response.edit_message(content=f"{text}\n-# {error_text(error)}", view=view)
        return
    text, view = await overview(services, interaction)
    await interaction.response.edit_message(content=text, view=view)
    await jobs.runner.report_end(record.job, record.status_message_id, end_message)


def _profile_lines(defaults: PromptDefaults, lifetime: LifetimeTotals) -> list[str]:
    visibility = tr("stealth (only you see your pictures)") if defaults.preferences.private else tr("public")
    model = escape_markdown(truncate(defaults.model.name, MAX_LINE_LENGTH))
    return [
        tr("## Your overview"),
        tr(
            "Mode: **{speed}** · Visibility: **{visibility}** · Model: **{model}**",
            speed=defaults.preferences.speed,
            visibility=visibility,
            model=model,
        ),
        tr(
            "Drawn for you so far: {pictures} in {jobs}, {time} of drawing",
            pictures=trn("{n:,} picture", "{n:,} pictures", lifetime.images),
            jobs=trn("{n:,} job", "{n:,} jobs", lifetime.jobs),
            time=_duration(lifetime.seconds),
        ),
    ]


def _quota_lines(usage: UsageTotals, limits: RoleLimits) -> list[str]:
    """Return the line about the daily limits, if the server sets any."""
    parts = []
    if limits.jobs_a_day is not None:
        jobs = trn("{used:,} of {n:,} job", "{used:,} of {n:,} jobs", limits.jobs_a_day, used=usage.jobs)
        parts.append(f"{_used_bar(usage.jobs, limits.jobs_a_day)} {jobs}")
    if limits.gpu_seconds_a_day is not None:
        used, most = _duration(usage.seconds), _duration(limits.gpu_seconds_a_day)
        drawing = tr("{used} of {most} of drawing", used=used, most=most)
        parts.append(f"{_used_bar(usage.seconds, limits.gpu_seconds_a_day)} {drawing}")
    return [tr("Used here in the last 24 hours: {used}", used=" · ".join(parts))] if parts else []


def _used_bar(used: float, limit: float) -> str:
    return progress_bar(used / limit if limit else 1.0)


def _job_label(job: Job) -> str:
    return f"**{escape_markdown(truncate(_plain_prompt(job), MAX_LINE_LENGTH)) or job.id}**"


def _plain_prompt(job: Job) -> str:
    return " ".join(" ".join(part.text for part in job.params.parts).split())


def _queue_position(services: Services, job: Job) -> str:
    position = services.queue.position(job.id)
    if position is None:
        return tr("waiting")
    return job_text.format_queue_position(position, is_ready=services.fleet.is_open)


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return tr("{seconds:.0f} s", seconds=seconds)
    if minutes < 120:
        return tr("{minutes} min", minutes=minutes)
    return tr("{hours:,.0f} h", hours=minutes / 60)


async def setup(client: Client) -> None:
    """Add the cog and its select; discord.py calls this."""
    await client.add_cog(Info(client.services))
    client.add_dynamic_items(CancelSelect)
