"""/privacy: what is kept about a person, all of it as files, and all of it gone."""

from __future__ import annotations

import asyncio
import logging
import re
import tempfile
from pathlib import Path
from typing import Any, Self, cast

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client
from bot.discord_calls import TRANSPORT_ERRORS
from bot.images import data_export
from bot.images.data_export import ArchivePart
from bot.ui.errors import report_errors
from bot.ui.modals import ModalValues, PersistentModal
from cogs.image_buttons.delete import DeleteImages, get_delete_images
from cogs.jobs import Interaction, JobService, get_job_service
from cogs.modal_router import ModalRouter, get_modal_router
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
    """Tell, hand out and erase what is kept about a person."""

    def __init__(self, client: Client, jobs: JobService, delete_images: DeleteImages, modals: ModalRouter) -> None:
        self.services = client.services
        self.jobs = jobs
        self.delete_images = delete_images
        self.exporting: set[int] = set()  # the people whose files are being put together
        modals.handlers["privacy"] = self.on_confirm

    @app_commands.command(description="What I keep about you: see it, get all of it, or delete it")
    async def privacy(self, interaction: Interaction) -> None:
        summary = await self.services.personal_data.summary(interaction.user.id)
        settings = await self.services.policy.settings(interaction.guild_id)
        days = effective_days(settings.retention_days, self.services.config.retention_days)
        await interaction.response.send_message(summary_text(summary, days), view=_view(), ephemeral=True)

    async def send_export(self, interaction: Interaction, number: int, after: Cursor) -> None:
        """Answer privately with the next few files of a person's pictures and prompts."""
        person_id = interaction.user.id
        if person_id in self.exporting:
            raise UserError("I am putting your files together already.")
        self.exporting.add(person_id)
        try:
            await interaction.response.defer(ephemeral=True, thinking=True)
            with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
                await self._send_parts(interaction, number, after, Path(folder))
        finally:
            self.exporting.discard(person_id)

    async def _send_parts(self, interaction: Interaction, number: int, after: Cursor, folder: Path) -> None:
        limit = min(interaction.filesize_limit, data_export.MAX_PART_BYTES)
        for nth in range(number, number + data_export.MAX_PARTS_PER_REQUEST):
            part = await data_export.write_archive_part(
                self.services.personal_data,
                self.services.images,
                self.services.resizer,
                interaction.user.id,
                after,
                limit,
                folder / f"{nth}.zip",
            )
            view = _more_view(
                nth + 1, part.next_cursor if nth == number + data_export.MAX_PARTS_PER_REQUEST - 1 else None
            )
            file = discord.File(part.path, f"my-pictures-{nth}.zip")
            if nth == number:
                await interaction.edit_original_response(content=_part_text(part, nth), attachments=[file], view=view)
            else:
                await interaction.followup.send(_part_text(part, nth), file=file, view=view, ephemeral=True)
            if part.next_cursor is None:
                return
            after = part.next_cursor

    async def open_confirm_modal(self, interaction: Interaction) -> None:
        """Ask whether everything is really to be deleted."""
        await interaction.response.send_modal(
            PersistentModal("privacy", "Delete everything of yours?", discord.ui.TextDisplay(CONSEQUENCES))
        )

    async def on_confirm(self, interaction: Interaction, _: str, __: ModalValues) -> None:
        """Delete everything of a person's, and say when that is done."""
        person_id, up_to = interaction.user.id, self.services.clock()
        await interaction.response.defer(ephemeral=True, thinking=True)
        await self.services.personal_data.begin_erasure(person_id, up_to)
        self.services.spawn(_task_name(person_id), self._erase_and_report(interaction, person_id, up_to))

    async def _erase_and_report(self, interaction: Interaction, person_id: int, up_to: float) -> None:
        async with report_errors(interaction):
            erased = await self.erase(person_id, up_to)
            try:
                await interaction.edit_original_response(content=f"Everything of yours is deleted: {erased:,} jobs.")
            except TRANSPORT_ERRORS:  # it took longer than Discord lets an answer be changed
                log.info("person %s could not be told", person_id, exc_info=True)

    async def erase(self, person_id: int, up_to: float) -> int:
        """Delete everything that a person asked for up to a time (Unix seconds), and tell how many jobs that were."""
        await self._cancel_unfinished(person_id, up_to)
        erased = 0
        while job_ids := await self.services.personal_data.jobs_to_erase(person_id, up_to, BATCH_SIZE):
            for job_id in job_ids:
                await self._erase_job(job_id)
            erased += len(job_ids)
        await self.services.personal_data.end_erasure(person_id, up_to)
        log.info("person %s: %d jobs erased", person_id, erased)
        return erased

    async def _cancel_unfinished(self, person_id: int, up_to: float) -> None:
        for job_id in await self.services.personal_data.unfinished_jobs(person_id, up_to):
            ended = await self.services.store.cancel(job_id, CANCEL_MESSAGE) or await self.services.store.mark_failed(
                job_id, CANCEL_MESSAGE
            )
            if ended and (record := await self.services.store.get(job_id)):
                await self.services.cancel(job_id)
                await self.jobs.report_end(record.job, record.status_message_id, CANCEL_MESSAGE)

    async def _erase_job(self, job_id: str) -> None:
        # The row goes last: should this be interrupted, it is found again.
        if record := await self.services.store.get(job_id):
            await self.delete_images.delete(record)
        orphans = await self.services.personal_data.erase_job(job_id)
        for digest in orphans:
            await asyncio.to_thread(self.services.images.path(Upload(digest)).unlink, missing_ok=True)

    @commands.Cog.listener()
    async def on_connect(self) -> None:
        """Go on with what an earlier life of the bot had begun to erase."""
        for person_id, up_to in (await self.services.personal_data.pending_erasures()).items():
            if _task_name(person_id) not in self.services.tasks:
                self.services.spawn(_task_name(person_id), self._resume_erasure(person_id, up_to))

    async def _resume_erasure(self, person_id: int, up_to: float) -> None:
        try:
            await self.erase(person_id, up_to)
        except Exception:
            log.exception("what person %s wants erased is left for the next start", person_id)


class PrivacyButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=r"privacy:(?P<act>get|delete)(?::(?P<number>\d+):(?P<at>[\d.]+):(?P<job_id>[0-9a-f]{12}))?",
):
    """Get everything, from a place on; or delete everything."""

    def __init__(self, action: str, number: int = 1, after: Cursor = START_CURSOR) -> None:
        self.action, self.number, self.after = action, number, after
        place = "" if after == START_CURSOR else f":{number}:{after.asked_at!r}:{after.job_id}"
        if action == "get":
            label, style = ("Get my data" if not place else "Next files"), discord.ButtonStyle.primary
        else:
            label, style = "Delete everything", discord.ButtonStyle.danger
        super().__init__(discord.ui.Button(label=label, style=style, custom_id=f"privacy:{action}{place}"))

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], match: re.Match[str]) -> Self:
        if match["number"] is None:
            return cls(match["act"])
        return cls(match["act"], int(match["number"]), Cursor(float(match["at"]), match["job_id"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            cog = cast(PrivacyCommand, interaction.client.get_cog("PrivacyCommand"))
            if self.action == "get":
                await cog.send_export(interaction, self.number, self.after)
            else:
                await cog.open_confirm_modal(interaction)


def summary_text(summary: DataSummary, days: int) -> str:
    """Say what is kept about a person; `days` is how long, 0 for ever."""
    if summary.jobs and summary.first_at and summary.last_at:
        period = f"from <t:{int(summary.first_at)}:D> to <t:{int(summary.last_at)}:D>"
        jobs = (
            f"{_pluralize(summary.jobs, 'job')}, {period}: what, where and when; pictures of {summary.drawn:,} of them"
        )
    else:
        jobs = "no jobs"
    lines = [
        "## What I keep about you",
        f"- {jobs}",
        f"- {_pluralize(summary.uploads, 'picture')} that you brought",
        f"- {_pluralize(summary.favourites, 'favourite')}, {_pluralize(summary.options, 'custom option')}, "
        f"{'settings of your own' if summary.preferences else 'no settings of your own'}",
        f"- {_pluralize(summary.reports, 'report')} that you made, {_pluralize(summary.blocks, 'block')} by moderators",
        f"-# Pictures and prompts from here are kept {f'for {days} days' if days else 'until somebody deletes them'}.",
    ]
    return "\n".join(lines)


def _part_text(part: ArchivePart, number: int) -> str:
    more = "" if part.next_cursor is None else " There is more."
    return f"Part {number}: {_pluralize(part.jobs, 'job')}, {_pluralize(part.images, 'picture')}.{more}"


def _pluralize(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _view() -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    view.add_item(PrivacyButton("get"))
    view.add_item(PrivacyButton("delete"))
    return view


def _more_view(number: int, after: Cursor | None) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    if after is not None:
        view.add_item(PrivacyButton("get", number, after))
    return view


def _task_name(person_id: int) -> str:
    return f"erasure {person_id}"


async def setup(client: Client) -> None:
    """Add the cog and its buttons; discord.py calls this, after the road's, the forms' and Delete's."""
    await client.add_cog(
        PrivacyCommand(client, get_job_service(client), get_delete_images(client), get_modal_router(client))
    )
    client.add_dynamic_items(PrivacyButton)
