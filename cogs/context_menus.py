"""The menu of a message: Cancel job, DM results, Use as image prompt, Remix this, Report."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.policy.context import context_from
from bot.policy.moderation import can_moderate
from bot.ui.job_views import job_ids
from bot.ui.modals import ModalValues, PersistentModal, modals
from cogs.direct_messages import image_messages, send_images
from cogs.image_buttons.remix import open_remix_modal, remix_tile
from cogs.prompt_modal import PromptTarget, open_prompt_modal
from db.jobs import JobRecord
from generation.errors import UserError
from generation.job import Action
from generation.params import Tile, Upload

REPORT_MODAL = "report"  # the kind of the form
REASON_FIELD = "reason"
MAX_REASON_LENGTH = 500
FETCH_TIMEOUT_S = 2.0  # seconds to fetch a picture before the form is shown, with three for the answer
MAX_REQUEST_BYTES = 24 * 2**20  # bytes of all files of one message, by Discord's rules, with some for the rest


class ContextMenus(commands.Cog):
    """Do what is chosen in the menu of a message; each finds the job by the message."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.services = client.services

    async def cancel_job(self, interaction: Interaction, message: discord.Message) -> None:
        """Cancel the job that a message is about."""
        record = await self._require_record(message)
        may_cancel = partial(can_moderate, interaction)
        cancelled, end_message = await self.client.jobs.cancel(record.job.id, interaction.user.id, may_cancel)
        await interaction.response.send_message("It is cancelled.", ephemeral=True)
        await self.client.jobs.runner.report_end(cancelled.job, cancelled.status_message_id, end_message)

    async def dm_results(self, interaction: Interaction, message: discord.Message) -> None:
        """Send a result's pictures by direct message, or give them privately where that is not possible."""
        record = await self._require_record(message)
        if record.suffix is None:
            raise UserError("This is not drawn yet: try again when it is.")
        await interaction.response.defer(thinking=True, ephemeral=True)
        try:
            await send_images(self.client, record, interaction.user.id)
        except discord.Forbidden:
            limit = min(interaction.filesize_limit, MAX_REQUEST_BYTES // record.job.params.count)
            messages = [message async for message in image_messages(self.services, record, limit)]
            await interaction.edit_original_response(
                content=f"You take no direct messages from me, so here they are.\n{messages[0].content}",
                attachments=[each.file() for each in messages],
            )
        else:
            await interaction.edit_original_response(content="They are in your direct messages.")

    async def use_as_image_prompt(self, interaction: Interaction, message: discord.Message) -> None:
        """Open the form of a new prompt that begins with a message's picture, whoever wrote the message."""
        await self.services.policy.check_access(context_from(interaction))
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                upload = await self._import_image(message)
        except TimeoutError:
            raise UserError(
                "It takes too long to fetch this picture: save it, and attach it with the `image` option of `/imagine`."
            ) from None
        await open_prompt_modal(interaction, PromptTarget(Action.IMAGINE, payload=upload.digest), "")

    async def remix_this(self, interaction: Interaction, message: discord.Message) -> None:
        """Open the form of a remix: of a single picture, or of a grid's prompt."""
        record = await self._require_record(message)
        tile = Tile(record.job.id, 0)
        if record.job.params.count == 1:
            await remix_tile(interaction, tile)
        else:
            parent = await self.client.jobs.require_parent(tile)
            await open_remix_modal(interaction, Action.REROLL, parent, tile)

    async def report(self, interaction: Interaction, message: discord.Message) -> None:
        """Open the form that reports a picture, with a reason, to the owners of the server."""
        record = await self._require_record(message)
        if interaction.guild_id is None:
            raise UserError("Reports go to the moderators of a server, and there are none here.")
        if record.job.destination.guild_id != interaction.guild_id:
            raise UserError("This picture comes from elsewhere. Who may delete messages here can delete this one.")
        reason: discord.ui.TextInput[Any] = discord.ui.TextInput(
            custom_id=REASON_FIELD, style=discord.TextStyle.paragraph, max_length=MAX_REASON_LENGTH, required=True
        )
        field: discord.ui.Label[Any] = discord.ui.Label(
            text="What is wrong with it?", description="The moderators of this server read it.", component=reason
        )
        await interaction.response.send_modal(
            PersistentModal(f"{REPORT_MODAL}:{record.job.id}", "Report this picture", field)
        )

    async def _require_record(self, message: discord.Message) -> JobRecord:
        if message.author != self.client.user:
            raise UserError("This is not a message of mine: choose a picture that I have drawn.")
        job_id = next(iter(job_ids(message)), None) or await self.services.db.search.by_message(message.id)
        record = await self.services.db.jobs.get(job_id) if job_id else None
        if record is None:
            raise UserError("There is no job of mine in this message, or I do not know it any more.")
        return record

    async def _import_image(self, message: discord.Message) -> Upload:
        for attachment in message.attachments:
            if (attachment.content_type or "").startswith("image/"):
                return await self.client.services.images.uploads.import_attachment(attachment)
        for embed in message.embeds:
            if url := embed.image.url or embed.thumbnail.url:
                return await self.client.services.images.uploads.import_link(url)
        raise UserError("There is no picture in this message.")


@modals.route(REPORT_MODAL)
async def on_report(interaction: Interaction, job_id: str, values: ModalValues) -> None:
    """Store a report."""
    assert interaction.guild_id is not None
    report = await interaction.client.services.db.reports.add(
        interaction.guild_id, job_id, interaction.user.id, values.texts[REASON_FIELD].strip()
    )
    thanks = "Thank you: the moderators will see your report."
    await interaction.response.send_message(
        thanks if report else "You have reported this already, and the moderators will see it.", ephemeral=True
    )
    if report:
        interaction.client.dispatch("reported", report)


async def setup(client: Client) -> None:
    """Add the cog and its menus; discord.py calls this."""
    menus = ContextMenus(client)
    await client.add_cog(menus)
    for name, callback in {
        "Cancel job": menus.cancel_job,
        "DM results": menus.dm_results,
        "Use as image prompt": menus.use_as_image_prompt,
        "Remix this": menus.remix_this,
        "Report": menus.report,
    }.items():
        client.tree.add_command(app_commands.ContextMenu(name=name, callback=callback))
