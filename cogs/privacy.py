"""/privacy: show, export and delete the data that is stored about a user."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.discord_calls import TRANSPORT_ERRORS, retry_until_available
from bot.images import data_export
from bot.images.data_export import ArchivePart
from bot.jobs.deletion import delete_job, delete_result_message
from bot.jobs.thread_names import rename_own_thread
from bot.ui.dynamic_items import PersistentItem, persistent_view
from bot.ui.errors import report_errors
from bot.ui.i18n import audience, tr, trn
from bot.ui.modals import ModalValues, PersistentModal, modals
from db.jobs import JobRecord
from db.privacy import START_CURSOR, Cursor, DataSummary
from db.upkeep.retention import effective_days
from generation.errors import UserError
from generation.params import Upload

log = logging.getLogger(__name__)

ENTRIES, LEAVE = "entries", "leave"  # the choice about pictures in contests and on canvases
BATCH_SIZE = 50  # jobs erased at a time


class PrivacyCommand(commands.Cog):
    """Show what is stored about a user, and finish interrupted erasures."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.services = client.services

    @app_commands.command(description="Your stored data: see it, download it, or delete it")
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
        raise UserError(tr("I am already preparing your files."))
    _exporting.add(person_id)
    try:
        await interaction.client.deferrals.defer(interaction, ephemeral=True)
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
        file = discord.File(part.path, f"my-pictures-{nth}.zip", description=tr("Your data and your pictures"))
        if nth == number:
            await interaction.edit_original_response(content=_part_text(part, nth), attachments=[file], view=view)
        else:
            await interaction.followup.send(_part_text(part, nth), file=file, view=view, ephemeral=True)
        if part.next_cursor is None:
            return
        after = part.next_cursor


async def open_confirm_modal(interaction: Interaction) -> None:
    """Ask whether all data should really be deleted."""
    fields: list[discord.ui.Item[Any]] = [discord.ui.TextDisplay(_consequences())]
    summary = await interaction.client.services.db.personal_data.summary(interaction.user.id)
    if summary.entries or summary.pieces:
        fields.append(_entries_field())
    await interaction.response.send_modal(PersistentModal("privacy", tr("Delete all your data?"), *fields))


def _entries_field() -> discord.ui.Label[Any]:
    select = discord.ui.Select[Any](custom_id=ENTRIES)
    select.add_option(label=tr("Delete them too"), value="delete", default=True)
    select.add_option(label=tr("Leave them, without my name"), value=LEAVE)
    return discord.ui.Label(
        text=tr("Your pictures in contests and on canvases"),
        description=tr("A picture that stays keeps its prompt."),
        component=select,
    )


def _consequences() -> str:
    return "\n".join(
        [
            tr(
                "This deletes your pictures, prompts, settings, custom options and favourites, the pictures you "
                "uploaded, and the messages with your results."
            ),
            tr("Waiting jobs are cancelled. This cannot be undone.") + "\n",
            tr("What stays:"),
            tr("- pictures that others made from yours: they belong to them"),
            tr("- your part in pictures that people made together, and themes that you named, without your name"),
            tr("- what moderators recorded: blocks and their log"),
            tr("- reports that you made, without your name"),
            tr("- for one day, how much you drew, so that daily limits still apply"),
            tr("- backups that the bot operator made before"),
        ]
    )


@modals.route("privacy")
async def on_confirm(interaction: Interaction, _: str, values: ModalValues) -> None:
    """Delete all data of a user, and report when that is done."""
    client, person_id = interaction.client, interaction.user.id
    up_to = client.services.clock()
    await client.services.db.personal_data.date_back_jobs(person_id, up_to)
    await interaction.client.deferrals.defer(interaction, ephemeral=True)
    leaves = values.selected.get(ENTRIES) == LEAVE
    await client.services.db.personal_data.begin_erasure(person_id, up_to, leaves_entries=leaves)
    client.sessions.timer.wake()  # sessions that the person started end
    client.sessions.redrawer.wake()
    name = _task_name(person_id)
    client.tasks.spawn(name, _erase_and_report(interaction, person_id, up_to))
    if name in client.tasks:  # the deferral is open until then
        await asyncio.wait({client.tasks[name]})


async def _erase_and_report(interaction: Interaction, person_id: int, up_to: float) -> None:
    async with report_errors(interaction):
        erased = await erase(interaction.client, person_id, up_to)
        try:
            text = trn("All your data is deleted: {n:,} job.", "All your data is deleted: {n:,} jobs.", erased)
            await interaction.edit_original_response(content=text)
        except TRANSPORT_ERRORS:  # it took longer than Discord lets a response be edited
            log.info("person %s could not be notified of the erasure", person_id, exc_info=True)


async def erase(client: Client, person_id: int, up_to: float) -> int:
    """Delete everything that a user requested up to a time (Unix seconds); return the number of jobs."""
    personal_data = client.services.db.personal_data
    await _cancel_unfinished(client, person_id, up_to)
    erased = 0
    while job_ids := await personal_data.jobs_to_erase(person_id, up_to, BATCH_SIZE):
        for job_id in job_ids:
            await _erase_job(client, job_id)
        erased += len(job_ids)
    for thread_id in await client.services.db.threads.of_person(person_id):  # in which no result may be left
        await _rename_thread(client, thread_id)
    await personal_data.end_erasure(person_id, up_to)
    log.info("person %s: %d jobs erased", person_id, erased)
    return erased


async def _cancel_unfinished(client: Client, person_id: int, up_to: float) -> None:
    jobs, message = client.services.db.jobs, tr("Cancelled: all your data is being deleted.")
    for job_id in await client.services.db.personal_data.unfinished_jobs(person_id, up_to):
        ended = await jobs.cancel(job_id, message) or await jobs.mark_failed(job_id, message)
        if ended and (record := await jobs.get(job_id)):
            await client.tasks.cancel(job_id)
            await client.jobs.runner.report_end(record.job, record.status_message_id, message)


async def _erase_job(client: Client, job_id: str) -> None:
    # The row goes last: if this is interrupted, the job is found again.
    services = client.services
    is_left, record = await services.db.personal_data.is_left(job_id), await services.db.jobs.get(job_id)
    if record is not None and record.suffix is not None and record.result_message_id is None:
        record = await _find_result(client, record)
    if record is not None and is_left:
        await delete_result_message(client.delivery, record)
    elif record is not None:
        await delete_job(services, client.delivery, record)
    if record is not None and record.job.destination.post_in is not None:
        await _rename_thread(client, record.job.destination.post_in)
    personal_data = services.db.personal_data
    orphans = await (personal_data.leave_job(job_id) if is_left else personal_data.erase_job(job_id))
    for digest in orphans:
        await asyncio.to_thread(services.images.files.path(Upload(digest)).unlink, missing_ok=True)


async def _find_result(client: Client, record: JobRecord) -> JobRecord:
    """Return a drawn job with the result that Discord may have, although its posting was interrupted."""
    if not record.job.destination.is_held:
        with suppress(discord.HTTPException):
            return replace(record, result_message_id=await client.delivery.find_result(record.job))
    return record


async def _rename_thread(client: Client, channel_id: int) -> None:
    """Take the prompt or the name of a user out of the name of a thread that was made for their results."""
    with audience(private=False):
        name = tr("Pictures")
    try:
        await retry_until_available(lambda: rename_own_thread(client, channel_id, name))
    except discord.DiscordException as error:  # the erasure goes on, whatever is wrong with a thread
        log.info("thread %s keeps its name: %s", channel_id, error)


async def _resume_erasure(client: Client, person_id: int, up_to: float) -> None:
    try:
        await erase(client, person_id, up_to)
    except Exception:
        log.exception("the erasure of person %s is left for the next start", person_id)


class PrivacyButton(
    PersistentItem,
    template=r"privacy:(?P<action>get|delete)(?::(?P<number>\d+):(?P<at>[\d.]+):(?P<job_id>[0-9a-f]{12}))?",
):
    """Sends a user's data, starting at a cursor; or asks whether to delete it."""

    async def run(self, interaction: Interaction) -> None:
        match = self.match
        if match["action"] == "delete":
            await open_confirm_modal(interaction)
        elif match["number"] is None:
            await send_export(interaction, 1, START_CURSOR)
        else:
            await send_export(interaction, int(match["number"]), Cursor(float(match["at"]), match["job_id"]))


def summary_text(summary: DataSummary, days: int) -> str:
    """Return what is stored about a user; `days` is the retention period, 0 for unlimited."""
    settings = tr("settings of your own") if summary.preferences else tr("no settings of your own")
    favourites = trn("{n:,} favourite", "{n:,} favourites", summary.favourites)
    options = trn("{n:,} custom option", "{n:,} custom options", summary.options)
    reports = trn("{n:,} report that you made", "{n:,} reports that you made", summary.reports)
    blocks = trn("{n:,} block by moderators", "{n:,} blocks by moderators", summary.blocks)
    lines = [
        tr("## What I store about you"),
        _jobs_line(summary),
        trn("- {n:,} picture that you uploaded", "- {n:,} pictures that you uploaded", summary.uploads),
        f"- {favourites}, {options}, {settings}",
        f"- {reports}, {blocks}",
        _together_line(summary),
        _retention_line(days),
    ]
    return "\n".join(lines)


def _together_line(summary: DataSummary) -> str:
    sessions = trn("{n:,} session that you started", "{n:,} sessions that you started", summary.sessions)
    votes = trn("{n:,} vote", "{n:,} votes", summary.ballots)
    offers = trn(
        "words that you offered to {n:,} session", "words that you offered to {n:,} sessions", summary.suggestions
    )
    entries = trn("{n:,} picture in contests", "{n:,} pictures in contests", summary.entries)
    pieces = trn("{n:,} piece of canvases", "{n:,} pieces of canvases", summary.pieces)
    games = trn("a place in {n:,} picture telephone", "places in {n:,} picture telephones", summary.telephones)
    return f"- {sessions}, {votes}, {offers}, {entries}, {pieces}, {games}"


def _jobs_line(summary: DataSummary) -> str:
    if not (summary.jobs and summary.first_at and summary.last_at):
        return tr("- no jobs")
    return trn(
        "- {n:,} job, from {start} to {end}: what, where and when; pictures of {drawn:,} of them",
        "- {n:,} jobs, from {start} to {end}: what, where and when; pictures of {drawn:,} of them",
        summary.jobs,
        start=f"<t:{int(summary.first_at)}:D>",
        end=f"<t:{int(summary.last_at)}:D>",
        drawn=summary.drawn,
    )


def _retention_line(days: int) -> str:
    if not days:
        return tr("-# Pictures and prompts from here are kept until someone deletes them.")
    return trn(
        "-# Pictures and prompts from here are kept for {n} day.",
        "-# Pictures and prompts from here are kept for {n} days.",
        days,
    )


def _part_text(part: ArchivePart, number: int) -> str:
    jobs = trn("{n:,} job", "{n:,} jobs", part.jobs)
    images = trn("{n:,} picture", "{n:,} pictures", part.images)
    text = tr("Part {number}: {jobs}, {images}.", number=number, jobs=jobs, images=images)
    return text if part.next_cursor is None else f"{text} {tr('There is more.')}"


def _view() -> discord.ui.View:
    return persistent_view(
        discord.ui.Button(label=tr("Get my data"), style=discord.ButtonStyle.primary, custom_id="privacy:get"),
        discord.ui.Button(label=tr("Delete everything"), style=discord.ButtonStyle.danger, custom_id="privacy:delete"),
    )


def _more_view(number: int, after: Cursor | None) -> discord.ui.View:
    if after is None:
        return persistent_view()
    custom_id = f"privacy:get:{number}:{after.asked_at!r}:{after.job_id}"
    return persistent_view(
        discord.ui.Button(label=tr("Next files"), style=discord.ButtonStyle.primary, custom_id=custom_id)
    )


def _task_name(person_id: int) -> str:
    return f"erasure {person_id}"


async def setup(client: Client) -> None:
    """Add the cog and its buttons; discord.py calls this."""
    await client.add_cog(PrivacyCommand(client))
    client.add_dynamic_items(PrivacyButton)
