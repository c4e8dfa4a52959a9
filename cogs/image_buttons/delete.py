"""Delete: take a picture's message and its files away for good."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import cast

import discord
from discord.ext import commands

from bot.client import Client
from bot.ui.modals import ModalValues, PersistentModal
from cogs.image_buttons.buttons import DELETE
from cogs.jobs import Interaction, JobService, can_moderate, get_job_service, log_moderation
from cogs.modal_router import ModalRouter, get_modal_router
from db.jobs import JobRecord
from generation.errors import UserError
from generation.params import Tile

log = logging.getLogger(__name__)


class DeleteImages(commands.Cog):
    """Delete pictures for their owners and for moderators."""

    def __init__(self, client: Client, jobs: JobService, modals: ModalRouter) -> None:
        self.services = client.services
        self.delivery = client.delivery
        jobs.button_handlers[DELETE] = self.open_confirm_modal
        modals.handlers[DELETE] = self.on_confirm

    async def open_confirm_modal(self, interaction: Interaction, tile: Tile) -> None:
        """Ask whether the picture is really to be deleted; raises Complaint for who may not."""
        await self._require_deletable(interaction, tile.job_id)
        text = "The message and the picture's files go for good. What was made from it stays."
        await interaction.response.send_modal(
            PersistentModal(f"{DELETE}:{tile}", "Delete this picture?", discord.ui.TextDisplay(text))
        )

    async def on_confirm(self, interaction: Interaction, rest: str, _: ModalValues) -> None:
        """Delete the picture below which the button was pressed, and that message."""
        record = await self._require_deletable(interaction, Tile.parse(rest).job_id)
        await interaction.response.defer()
        await self._delete_files(record)
        with suppress(discord.NotFound):  # somebody was quicker
            await interaction.delete_original_response()  # the message with the button, which no right is needed for
        if interaction.message is None or interaction.message.id != record.result_message_id:
            await self._delete_result_message(record)
        await self.services.store.mark_purged(record.job.id)
        await log_moderation(self.services, record.job, interaction.user.id, "deleted")
        await interaction.followup.send("The picture and its files are deleted.", ephemeral=True)

    async def delete(self, record: JobRecord) -> None:
        """Remove a job's files and the message with its result."""
        await self._delete_files(record)
        await self._delete_result_message(record)
        await self.services.store.mark_purged(record.job.id)

    @commands.Cog.listener()
    async def on_connect(self) -> None:
        """Go on with what was being deleted when the bot stopped."""
        for record in await self.services.store.pending_purge():
            self.services.spawn(record.job.id, self.delete(record))

    async def _delete_files(self, record: JobRecord) -> None:
        await self.services.store.mark_deleted(record.job.id)
        await self.services.images.delete(record.job.id)
        log.info("job %s: deleted", record.job.id)

    async def _delete_result_message(self, record: JobRecord) -> None:
        if record.result_message_id is not None:
            await self.delivery.delete_result(record.job, record.result_message_id)

    async def _require_deletable(self, interaction: Interaction, job_id: str) -> JobRecord:
        record = await self.services.store.get(job_id)
        if record is None:
            raise UserError(
                "I do not know this picture any more. Whoever may delete messages here can delete this one."
            )
        if interaction.user.id != record.job.requester.id and not can_moderate(interaction, record.job):
            raise UserError(f"Only <@{record.job.requester.id}> or a moderator can delete this.")
        return record


def get_delete_images(client: discord.Client) -> DeleteImages:
    """Give the cog to another."""
    return cast(DeleteImages, cast(Client, client).get_cog("DeleteImages"))


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this, after the road's and the forms'."""
    await client.add_cog(DeleteImages(client, get_job_service(client), get_modal_router(client)))
