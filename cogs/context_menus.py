"""The context menus of a message: Cancel job, DM results, Remix this, Report. `use_picture` has the fifth."""

from __future__ import annotations

from functools import partial
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.policy.moderation import can_moderate
from bot.ui.i18n import tr
from bot.ui.job_views import job_ids
from bot.ui.modals import ModalValues, PersistentModal, modals
from cogs.direct_messages import image_messages, send_images
from cogs.image_buttons.remix import open_remix_modal, remix_tile
from db.jobs import JobRecord
from generation.errors import UserError
from generation.job import Action
from generation.params import Tile

REPORT_MODAL = "report"  # the custom_id prefix of the modal
REASON_FIELD = "reason"
MAX_REASON_LENGTH = 500
MAX_REQUEST_BYTES = 24 * 2**20  # bytes of all files of a message: Discord's limit of 25 MiB less the other fields


class ContextMenus(commands.Cog):
    """Handle the context menus; each finds the job from the message."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.services = client.services

    async def cancel_job(self, interaction: Interaction, message: discord.Message) -> None:
        """Cancel the job of a message."""
        record = await self._require_record(message)
        may_cancel = partial(can_moderate, interaction)
        cancelled, end_message = await self.client.jobs.cancel(record.job.id, interaction.user.id, may_cancel)
        await interaction.response.send_message(tr("The job is cancelled."), ephemeral=True)
        await self.client.jobs.runner.report_end(cancelled.job, cancelled.status_message_id, end_message)

    async def dm_results(self, interaction: Interaction, message: discord.Message) -> None:
        """Send a result's images by direct message, or privately here if the user does not accept one."""
        record = await self._require_record(message)
        if record.suffix is None:
            raise UserError(tr("This is not drawn yet. Try again when it is finished."))
        await interaction.client.deferrals.defer(interaction, ephemeral=True)
        try:
            await send_images(self.client, record, interaction.user.id)
        except discord.Forbidden:
            limit = min(interaction.filesize_limit, MAX_REQUEST_BYTES // record.job.params.count)
            messages = [message async for message in image_messages(self.services, record, limit)]
            reason = tr("I could not DM you, so here they are.")
            await interaction.edit_original_response(
                content=f"{reason}\n{messages[0].content}", attachments=[each.file() for each in messages]
            )
        else:
            await interaction.edit_original_response(content=tr("They are in your direct messages."))

    async def remix_this(self, interaction: Interaction, message: discord.Message) -> None:
        """Open the remix modal of a single image, or the prompt of a grid."""
        record = await self._require_record(message)
        tile = Tile(record.job.id, 0)
        if record.job.params.count == 1:
            await remix_tile(interaction, tile)
        else:
            parent = await self.client.jobs.require_parent(tile)
            await open_remix_modal(interaction, Action.REROLL, parent, tile)

    async def report(self, interaction: Interaction, message: discord.Message) -> None:
        """Open the modal that reports an image to the moderators, with a reason."""
        record = await self._require_record(message)
        if interaction.guild_id is None:
            raise UserError(tr("Reports go to the moderators of a server, and there are none here."))
        if record.job.destination.guild_id != interaction.guild_id:
            raise UserError(
                tr("This picture comes from elsewhere. Moderators who can delete messages here can delete this one.")
            )
        reason: discord.ui.TextInput[Any] = discord.ui.TextInput(
            custom_id=REASON_FIELD, style=discord.TextStyle.paragraph, max_length=MAX_REASON_LENGTH, required=True
        )
        field: discord.ui.Label[Any] = discord.ui.Label(
            text=tr("What is wrong with it?"),
            description=tr("The moderators of this server read this."),
            component=reason,
        )
        await interaction.response.send_modal(
            PersistentModal(f"{REPORT_MODAL}:{record.job.id}", tr("Report this picture"), field)
        )

    async def _require_record(self, message: discord.Message) -> JobRecord:
        if message.author != self.client.user:
            raise UserError(tr("This message is not mine: choose a picture that I drew."))
        job_id = next(iter(job_ids(message)), None) or await self.services.db.search.by_message(message.id)
        record = await self.services.db.jobs.get(job_id) if job_id else None
        if record is None:
            raise UserError(tr("I found no job for this message; it may be deleted."))
        return record


@modals.route(REPORT_MODAL)
async def on_report(interaction: Interaction, job_id: str, values: ModalValues) -> None:
    """Store a report."""
    assert interaction.guild_id is not None
    report = await interaction.client.services.db.reports.add(
        interaction.guild_id, job_id, interaction.user.id, values.texts[REASON_FIELD].strip()
    )
    thanks = tr("Thank you: the moderators will see your report.")
    repeated = tr("You have already reported this. The moderators will see it.")
    await interaction.response.send_message(thanks if report else repeated, ephemeral=True)
    if report:
        interaction.client.dispatch("reported", report)


async def setup(client: Client) -> None:
    """Add the cog and its menus; discord.py calls this."""
    menus = ContextMenus(client)
    await client.add_cog(menus)
    for name, callback in {
        "Cancel job": menus.cancel_job,
        "DM results": menus.dm_results,
        "Remix this": menus.remix_this,
        "Report": menus.report,
    }.items():
        client.tree.add_command(app_commands.ContextMenu(name=name, callback=callback))
