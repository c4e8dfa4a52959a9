"""Delete: permanently delete an image's message and files."""

from __future__ import annotations

from contextlib import suppress

import discord
from discord.ext import commands

from bot.client import Client, Interaction
from bot.jobs.deletion import delete_files, delete_job, delete_result_message
from bot.policy.moderation import can_moderate, log_moderation
from bot.ui.dynamic_items import PersistentItem
from bot.ui.i18n import tr
from bot.ui.job_views import DELETE
from bot.ui.modals import ModalValues, PersistentModal, modals
from db.jobs import JobRecord
from generation.errors import UserError
from generation.params import TILE_PATTERN, Tile


class DeleteButton(PersistentItem, template=rf"{DELETE}:{TILE_PATTERN}"):
    """Asks whether the image should really be deleted."""

    async def run(self, interaction: Interaction) -> None:
        await _require_deletable(interaction, self.job_id)
        text = tr("The message and the picture's files are permanently deleted. Pictures made from it stay.")
        await interaction.response.send_modal(
            PersistentModal(f"{DELETE}:{self.tile}", tr("Delete this picture?"), discord.ui.TextDisplay(text))
        )


class DeleteImages(commands.Cog):
    """Resume deletions that were interrupted when the bot stopped."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @commands.Cog.listener()
    async def on_connect(self) -> None:
        """Delete the files and messages of jobs that are already marked as deleted."""
        for record in await self.client.services.db.jobs.pending_purge():
            self.client.tasks.spawn(record.job.id, delete_job(self.client.services, self.client.delivery, record))


@modals.route(DELETE)
async def on_confirm(interaction: Interaction, rest: str, _: ModalValues) -> None:
    """Delete the image and the message with its button."""
    record = await _require_deletable(interaction, Tile.parse(rest).job_id)
    client, services = interaction.client, interaction.client.services
    await interaction.response.defer()
    await delete_files(services, record)
    with suppress(discord.NotFound):  # someone else deleted it first
        # An interaction may delete its own message without further permissions.
        await interaction.delete_original_response()
    if interaction.message is None or interaction.message.id != record.result_message_id:
        await delete_result_message(client.delivery, record)
    await services.db.jobs.mark_purged(record.job.id)
    await log_moderation(services.db.guilds, record.job, interaction.user.id, "deleted", services.clock())
    await interaction.followup.send(tr("The picture and its files are deleted."), ephemeral=True)


async def _require_deletable(interaction: Interaction, job_id: str) -> JobRecord:
    record = await interaction.client.services.db.jobs.get(job_id)
    if record is None:
        raise UserError(
            tr("I no longer know this picture. Moderators who can delete messages here can delete this one.")
        )
    if interaction.user.id != record.job.requester.id and not can_moderate(interaction, record.job):
        if not record.job.requester.id:  # who had their data erased
            raise UserError(tr("Only a moderator can do this."))
        raise UserError(tr("Only {whom} or a moderator can delete this.", whom=f"<@{record.job.requester.id}>"))
    return record


async def setup(client: Client) -> None:
    """Add the cog and the button; discord.py calls this."""
    await client.add_cog(DeleteImages(client))
    client.add_dynamic_items(DeleteButton)
