"""/queue: the running and waiting jobs, and when the last one starts."""

from __future__ import annotations

from collections.abc import Sequence

from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.discord_calls import NO_MENTIONS
from bot.policy.visibility import can_view_job
from bot.services import Services
from bot.ui import job_text
from bot.ui.i18n import tr
from bot.ui.text import escape_markdown, fit_lines, progress_bar, truncate
from cogs.together.jam.handler import progress_text
from db.together.sessions import SessionKind
from generation.job import Job
from generation.messages import Loading, Ready
from generation.prompt import format_prompt
from generation.queue.queue import QueuePosition
from generation.worker.worker import Broken, Restarting, Worker

MAX_SHOWN = 12
MAX_WORKERS_SHOWN = 8
MAX_PROMPT_LENGTH = 50  # characters; escaping may double them


class QueueCommand(commands.Cog):
    """Show the queue."""

    @app_commands.command(description="The jobs that are running or waiting, and how long they will take")
    async def queue(self, interaction: Interaction) -> None:
        hosted = await interaction.client.services.db.sessions.active_of_host(interaction.user.id)
        jams = [progress_text(each) for each in hosted if each.kind is SessionKind.JAM]
        text = fit_lines([*overview(interaction).splitlines(), *jams])
        await interaction.response.send_message(text, ephemeral=True, allowed_mentions=NO_MENTIONS)


def overview(interaction: Interaction) -> str:
    """Return the queue as text; a prompt is shown only to users who can view its job."""
    services = interaction.client.services
    running, waiting = services.queue.running, _in_order(services)
    if not running and not waiting:
        at_once = tr("The queue is empty: your next job starts at once.")
        drained = all(worker.draining for worker in services.fleet.workers)  # or there is none
        empty = tr("The queue is empty.") if drained else at_once
        return "\n".join([empty, *_worker_line(services)])
    now = [_running_line(job, interaction) for job in running[:MAX_SHOWN]]
    later = [_waiting_line(job, place, interaction) for job, place in waiting[: MAX_SHOWN - len(now)]]
    hidden = len(running) + len(waiting) - len(now) - len(later)
    return "\n".join(
        [
            *([tr("**Now** ({number} being drawn)", number=len(running)), *now] if now else []),
            *([tr("**Next** ({number} waiting)", number=len(waiting)), *later] if later else []),
            *([tr("-# and {number} more", number=hidden)] if hidden else []),
            *_last_start([place for _, place in waiting]),
            *_worker_line(services),
        ]
    )


def _in_order(services: Services) -> list[tuple[Job, QueuePosition]]:
    places = [(job, place) for job in services.queue.waiting if (place := services.queue.position(job.id))]
    return sorted(places, key=lambda each: each[1].position)


def _last_start(places: list[QueuePosition]) -> list[str]:
    last = max((place.seconds for place in places if place.seconds is not None), default=None)
    return [] if last is None else [tr("-# The last one starts in {time}.", time=job_text.format_duration(last))]


def _worker_line(services: Services) -> list[str]:
    """Return what each of several workers does; if there are many, those that do not work come first."""
    workers = services.fleet.workers
    if not workers:
        return [tr("-# No machine that draws is connected at the moment.")]
    if len(workers) == 1 and not workers[0].name:
        return []
    shown: Sequence[Worker] = workers
    if len(workers) > MAX_WORKERS_SHOWN:
        shown = sorted(workers, key=lambda worker: isinstance(worker.state, Ready))[:MAX_WORKERS_SHOWN]
    texts = [_worker_text(worker, len(services.queue.running_on(worker))) for worker in shown]
    hidden = len(workers) - len(shown)
    return [f"-# {' · '.join([*texts, *([tr('and {number} more', number=hidden)] if hidden else [])])}"]


def _worker_text(worker: Worker, jobs: int) -> str:
    if worker.draining:
        return tr("{worker} gets no more pictures to draw", worker=worker.name)
    match worker.state:
        case Ready() if jobs:
            return tr("{worker} draws {number}", worker=worker.name, number=jobs)
        case Ready():
            return tr("{worker} is free", worker=worker.name)
        case Loading():
            return tr("{worker} is starting", worker=worker.name)
        case Restarting():
            return tr("{worker} is being started again", worker=worker.name)
        case Broken():
            return tr("{worker} is out of order", worker=worker.name)


def _running_line(job: Job, interaction: Interaction) -> str:
    progress = interaction.client.jobs.runner.progress.get(job.id)
    percent = 0 if progress is None else progress.percent
    return f"- {progress_bar(percent / 100)} {percent}% · {_job_label(job, interaction)}"


def _waiting_line(job: Job, place: QueuePosition, interaction: Interaction) -> str:
    wait = job_text.format_wait(place, is_ready=interaction.client.services.fleet.is_open)
    return f"{place.position}. {_job_label(job, interaction)}{f' · {wait}' if wait else ''}"


def _job_label(job: Job, interaction: Interaction) -> str:
    """Return whose job it is, and its prompt; the user's own is bold."""
    registry = interaction.client.services.registry
    prompt = escape_markdown(truncate(format_prompt(job.params, registry), MAX_PROMPT_LENGTH))
    if job.requester.id == interaction.user.id:
        return f"**{tr('yours')}{f': {prompt}' if prompt else ''}**"
    if job.destination.guild_id is None or job.destination.guild_id != interaction.guild_id:
        return tr("someone's, in another place")
    if not can_view_job(interaction, job):
        return f"<@{job.requester.id}>{tr(' (private)')}"
    return f"<@{job.requester.id}>{f': {prompt}' if prompt else ''}"


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this."""
    await client.add_cog(QueueCommand())
