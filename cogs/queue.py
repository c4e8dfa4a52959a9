"""/queue: the running and waiting jobs, and when the last one starts."""

from __future__ import annotations

from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.discord_calls import NO_MENTIONS
from bot.policy.visibility import can_view_job
from bot.services import Services
from bot.ui import job_text
from bot.ui.i18n import tr
from bot.ui.text import escape_markdown, truncate
from generation.job import Job
from generation.prompt import format_prompt
from generation.queue.queue import QueuePosition

MAX_SHOWN = 12
MAX_PROMPT_LENGTH = 50  # characters; escaping may double them


class QueueCommand(commands.Cog):
    """Show the queue."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @app_commands.command(description="The jobs that are running or waiting, and how long they will take")
    async def queue(self, interaction: Interaction) -> None:
        await interaction.response.send_message(
            overview(self.services, interaction), ephemeral=True, allowed_mentions=NO_MENTIONS
        )


def overview(services: Services, interaction: Interaction) -> str:
    """Return the queue as text; a prompt is shown only to users who can view its job."""
    running, waiting = services.queue.running, services.queue.waiting
    if not running and not waiting:
        return tr("The queue is empty: your next job starts at once.")
    lines = [f"- {tr('being drawn')}: {_job_line(job, services, interaction)}" for job in running[:MAX_SHOWN]]
    free_lines = MAX_SHOWN - len(lines)
    lines += [
        f"- {_position_text(services.queue.position(job.id))}: {_job_line(job, services, interaction)}"
        for job in waiting[:free_lines]
    ]
    hidden = len(running) + len(waiting) - len(lines)
    if hidden:
        lines.append(tr("-# and {number} more", number=hidden))
    heading = tr("**{running} being drawn, {waiting} waiting**", running=len(running), waiting=len(waiting))
    return "\n".join([heading, *lines, *_last_start(services)])


def _last_start(services: Services) -> list[str]:
    positions = [position for job in services.queue.waiting if (position := services.queue.position(job.id))]
    last = max((place.seconds for place in positions if place.seconds is not None), default=None)
    return [] if last is None else [tr("-# The last one starts in {time}.", time=job_text.format_duration(last))]


def _position_text(position: QueuePosition | None) -> str:
    return tr("waiting") if position is None else job_text.format_queue_position(position)


def _job_line(job: Job, services: Services, interaction: Interaction) -> str:
    if job.requester.id == interaction.user.id:
        return f"{tr('yours')}{_prompt_suffix(job, services)}"
    if job.destination.guild_id is None or job.destination.guild_id != interaction.guild_id:
        return tr("someone's, in another place")
    return (
        f"<@{job.requester.id}>{_prompt_suffix(job, services) if can_view_job(interaction, job) else tr(' (private)')}"
    )


def _prompt_suffix(job: Job, services: Services) -> str:
    prompt = escape_markdown(truncate(format_prompt(job.params, services.registry), MAX_PROMPT_LENGTH))
    return f", **{prompt}**" if prompt else ""


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this."""
    await client.add_cog(QueueCommand(client.services))
