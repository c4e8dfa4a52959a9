"""/queue: what is drawn now, who waits, and how long it will take."""

from __future__ import annotations

from discord import app_commands
from discord.ext import commands

from bot.client import Client
from bot.discord_calls import NO_MENTIONS
from bot.policy.visibility import can_view_job
from bot.services import Services
from bot.ui import job_text
from bot.ui.i18n import tr
from bot.ui.text import escape_markdown, truncate
from cogs.road import Interaction
from generation.job import Job
from generation.prompt import format_prompt
from generation.queue.queue import QueuePosition

MOST_SHOWN = 12
LONGEST_PROMPT = 50  # characters; escaping may double them


class Queue(commands.Cog):
    """Show everybody the queue."""

    def __init__(self, studio: Services) -> None:
        self.studio = studio

    @app_commands.command(description="What is drawn now, who waits, and how long it will take")
    async def queue(self, interaction: Interaction) -> None:
        await interaction.response.send_message(
            overview(self.studio, interaction), ephemeral=True, allowed_mentions=NO_MENTIONS
        )


def overview(studio: Services, interaction: Interaction) -> str:
    """Give the queue in words, with as much about each job as this person could see of it anyway."""
    running, waiting = studio.queue.running, studio.queue.waiting
    if not running and not waiting:
        return tr("The queue is empty: what you ask for now is drawn at once.")
    lines = [f"- {tr('being drawn')}: {_job(job, studio, interaction)}" for job in running[:MOST_SHOWN]]
    room = MOST_SHOWN - len(lines)
    lines += [f"- {_place(studio.queue.position(job.id))}: {_job(job, studio, interaction)}" for job in waiting[:room]]
    left_out = len(running) + len(waiting) - len(lines)
    if left_out:
        lines.append(tr("-# and {number} more", number=left_out))
    heading = tr("**{running} being drawn, {waiting} waiting**", running=len(running), waiting=len(waiting))
    return "\n".join([heading, *lines, *_until_the_last(studio)])


def _until_the_last(studio: Services) -> list[str]:
    places = [place for job in studio.queue.waiting if (place := studio.queue.position(job.id))]
    last = max((place.seconds for place in places if place.seconds is not None), default=None)
    return [] if last is None else [tr("-# The last of them starts in {time}.", time=job_text.format_duration(last))]


def _place(place: QueuePosition | None) -> str:
    return tr("waiting") if place is None else job_text.format_queue_position(place)


def _job(job: Job, studio: Services, interaction: Interaction) -> str:
    if job.requester.id == interaction.user.id:
        return f"{tr('yours')}{_prompt(job, studio)}"
    if job.destination.guild_id is None or job.destination.guild_id != interaction.guild_id:
        return tr("somebody's elsewhere")
    return f"<@{job.requester.id}>{_prompt(job, studio) if can_view_job(interaction, job) else tr(' (private)')}"


def _prompt(job: Job, studio: Services) -> str:
    prompt = escape_markdown(truncate(format_prompt(job.params, studio.registry), LONGEST_PROMPT))
    return f", **{prompt}**" if prompt else ""


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this."""
    await client.add_cog(Queue(client.services))
