"""/privacy: what is kept about a person, all of it as files, and all of it gone."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from pathlib import Path

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.discord_calls import TRANSPORT_ERRORS
from bot.images import data_export
from bot.images.data_export import ArchivePart
from bot.ui.dynamic_items import PersistentItem, persistent_view
from bot.ui.errors import report_errors
from bot.ui.modals import ModalValues, PersistentModal, modals
from bot.ui.text import pluralize
from cogs.image_buttons.delete import delete_job
from db.privacy import START_CURSOR, Cursor, DataSummary
from db.retention import effective_days
from generation.errors import UserError
from generation.params import Upload

log = logging.getLogger(__name__)

BATCH_SIZE = 50  # jobs that are erased together
CANCEL_MESSAGE = "Cancelled: everything of yours is being deleted."
CONSEQUENCES = (
    "This deletes your pictures, prompts, settings, custom options and favourites, the pictures you brought, and the "
    "messages with your results; jobs that wait are cancelled. It cannot be taken back.\n\n"
    "What stays: what others made from your pictures, which is theirs; what moderators noted (blocks, their log); "
    "reports you made, without your name; for a day how much you drew, since limits would be none otherwise; and "
    "backups that whoever runs me made before."
)


class PrivacyCommand(commands.Cog):
    """Show what is stored about a user, and finish interrupted erasures."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.services = client.services

    @app_commands.command(description="What I keep about you: see it, get all of it, or delete it")
    async def privacy(self, interaction: Interaction) -> None:
        summary = await self.services.db.personal_data.summary(interaction.user.id)
        settings = await self.services.policy.settings(interaction.guild_id)
        days = effective_days(settings.retention_days, self.services.config.retention_days)
        await interaction.response.send_message(summary_text(summary, days), view=_view(), ephemeral=True)

    @commands.Cog.listener()
    async def on_connect(self) -> None:
        """Resume erasures that were interrupted when the bot stopped."""
        for person_id, up_to in (await self.services.db.personal_data.pending_erasures()).items():
            if _task_name(person_id) not in self.client.tasks:
                self.client.tasks.spawn(_task_name(person_id), _resume_erasure(self.client, person_id, up_to))


_exporting: set[int] = set()  # the users whose files are being packed


async def send_export(interaction: Interaction, number: int, after: Cursor) -> None:
    """Answer privately with the next few archives of a user's images and prompts."""
    person_id = interaction.user.id
    if person_id in _exporting:
        raise UserError("I am putting your files together already.")
    _exporting.add(person_id)
    try:
        await interaction.response.defer(ephemeral=True, thinking=True)
        with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
            await _send_parts(interaction, number, after, Path(folder))
    finally:
        _exporting.discard(person_id)


async def _send_parts(interaction: Interaction, number: int, after: Cursor, folder: Path) -> None:
    services, limit = interaction.client.services, min(interaction.filesize_limit, data_export.MAX_PART_BYTES)
    last = number + data_export.MAX_PARTS_PER_REQUEST - 1
    for nth in range(number, last + 1):
        part = await data_export.write_archive_part(
            services.db.personal_data,
            services.images.files,
            services.images.resizer,
            interaction.user.id,
            after,
            limit,
            folder / f"{nth}.zip",
        )
        view = _more_view(nth + 1, part.next_cursor if nth == last else None)
        file = discord.File(part.path, f"my-pictures-{nth}.zip")
        if nth == number:
            await interaction.edit_original_response(content=_part_text(part, nth), attachments=[file], view=view)
        else:
            await interaction.followup.send(_part_text(part, nth), file=file, view=view, ephemeral=True)
        if part.next_cursor is None:
            return
        after = part.next_cursor


async def open_confirm_modal(interaction: Interaction) -> None:
    """Ask whether everything should really be deleted."""
    await interaction.response.send_modal(
        PersistentModal("privacy", "Delete everything of yours?", discord.ui.TextDisplay(CONSEQUENCES))
    )


@modals.route("privacy")
async def on_confirm(interaction: Interaction, _: str, __: ModalValues) -> None:
    """Delete everything of a user, and say when that is done."""
    client, person_id = interaction.client, interaction.user.id
    up_to = client.services.clock()
    await interaction.response.defer(ephemeral=True, thinking=True)
    await client.services.db.personal_data.begin_erasure(person_id, up_to)
    client.tasks.spawn(_task_name(person_id), _erase_and_report(interaction, person_id, up_to))


async def _erase_and_report(interaction: Interaction, person_id: int, up_to: float) -> None:
    async with report_errors(interaction):
        erased = await erase(interaction.client, person_id, up_to)
        try:
            await interaction.edit_original_response(content=f"Everything of yours is deleted: {erased:,} jobs.")
        except TRANSPORT_ERRORS:  # it took longer than Discord lets a response be edited
            log.info("person %s could not be told", person_id, exc_info=True)


async def erase(client: Client, person_id: int, up_to: float) -> int:
    """Delete everything that a user requested up to a time (Unix seconds); return the number of jobs."""
    personal_data = client.services.db.personal_data
    await _cancel_unfinished(client, person_id, up_to)
    erased = 0
    while job_ids := await personal_data.jobs_to_erase(person_id, up_to, BATCH_SIZE):
        for job_id in job_ids:
            await _erase_job(client, job_id)
        erased += len(job_ids)
    await personal_data.end_erasure(person_id, up_to)
    log.info("person %s: %d jobs erased", person_id, erased)
    return erased


async def _cancel_unfinished(client: Client, person_id: int, up_to: float) -> None:
    jobs = client.services.db.jobs
    for job_id in await client.services.db.personal_data.unfinished_jobs(person_id, up_to):
        ended = await jobs.cancel(job_id, CANCEL_MESSAGE) or await jobs.mark_failed(job_id, CANCEL_MESSAGE)
        if ended and (record := await jobs.get(job_id)):
            await client.tasks.cancel(job_id)
            await client.jobs.runner.report_end(record.job, record.status_message_id, CANCEL_MESSAGE)


async def _erase_job(client: Client, job_id: str) -> None:
    # The row goes last: if this is interrupted, the job is found again.
    services = client.services
    if record := await services.db.jobs.get(job_id):
        await delete_job(client, record)
    orphans = await services.db.personal_data.erase_job(job_id)
    for digest in orphans:
        await asyncio.to_thread(services.images.files.path(Upload(digest)).unlink, missing_ok=True)


async def _resume_erasure(client: Client, person_id: int, up_to: float) -> None:
    try:
        await erase(client, person_id, up_to)
    except Exception:
        log.exception("the erasure of person %s is left for the next start", person_id)


class PrivacyButton(
    PersistentItem,
    template=r"privacy:(?P<action>get|delete)(?::(?P<number>\d+):(?P<at>[\d.]+):(?P<job_id>[0-9a-f]{12}))?",
):
    """Sends everything, starting at a cursor; or asks whether to delete everything."""

    async def run(self, interaction: Interaction) -> None:
        match = self.match
        if match["action"] == "delete":
            await open_confirm_modal(interaction)
        elif match["number"] is None:
            await send_export(interaction, 1, START_CURSOR)
        else:
            await send_export(interaction, int(match["number"]), Cursor(float(match["at"]), match["job_id"]))


def summary_text(summary: DataSummary, days: int) -> str:
    """Say what is kept about a person; `days` is how long, 0 for ever."""
    if summary.jobs and summary.first_at and summary.last_at:
        period = f"from <t:{int(summary.first_at)}:D> to <t:{int(summary.last_at)}:D>"
        jobs = (
            f"{pluralize(summary.jobs, 'job')}, {period}: what, where and when; pictures of {summary.drawn:,} of them"
        )
    else:
        jobs = "no jobs"
    lines = [
        "## What I keep about you",
        f"- {jobs}",
        f"- {pluralize(summary.uploads, 'picture')} that you brought",
        f"- {pluralize(summary.favourites, 'favourite')}, {pluralize(summary.options, 'custom option')}, "
        f"{'settings of your own' if summary.preferences else 'no settings of your own'}",
        f"- {pluralize(summary.reports, 'report')} that you made, {pluralize(summary.blocks, 'block')} by moderators",
        f"-# Pictures and prompts from here are kept {f'for {days} days' if days else 'until somebody deletes them'}.",
    ]
    return "\n".join(lines)


def _part_text(part: ArchivePart, number: int) -> str:
    more = "" if part.next_cursor is None else " There is more."
    return f"Part {number}: {pluralize(part.jobs, 'job')}, {pluralize(part.images, 'picture')}.{more}"


def _view() -> discord.ui.View:
    return persistent_view(
        discord.ui.Button(label="Get my data", style=discord.ButtonStyle.primary, custom_id="privacy:get"),
        discord.ui.Button(label="Delete everything", style=discord.ButtonStyle.danger, custom_id="privacy:delete"),
    )


def _more_view(number: int, after: Cursor | None) -> discord.ui.View:
    if after is None:
        return persistent_view()
    custom_id = f"privacy:get:{number}:{after.asked_at!r}:{after.job_id}"
    return persistent_view(
        discord.ui.Button(label="Next files", style=discord.ButtonStyle.primary, custom_id=custom_id)
    )


def _task_name(person_id: int) -> str:
    return f"erasure {person_id}"


async def setup(client: Client) -> None:
    """Add the cog and its buttons; discord.py calls this."""
    await client.add_cog(PrivacyCommand(client))
    client.add_dynamic_items(PrivacyButton)
