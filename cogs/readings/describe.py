"""/describe: prompts that could have drawn a picture; what the file itself tells comes first."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.discord_calls import TRANSPORT_ERRORS
from bot.finding.finder import Verdict
from bot.finding.views import view_of
from bot.jobs.describing import description_params
from bot.jobs.destination import is_private
from bot.jobs.prompt_defaults import load_prompt_defaults
from bot.policy.context import context_from
from bot.policy.visibility import can_everybody_view, is_nsfw_withheld
from bot.ui.dynamic_items import JOB_PATTERN, PersistentItem
from bot.ui.i18n import tr
from bot.ui.reading_text import DESCRIBE_AGAIN, DRAW_ALL
from cogs.autocomplete import available_models
from cogs.batch import confirm_requests, submit_requests
from cogs.imagine import submit_prompt
from cogs.readings.buttons import require_reading
from generation.errors import UserError
from generation.files.prompt_text import prompt_text
from generation.job import Action
from generation.params import Upload
from generation.prompt import convert_infotext, format_prompt
from generation.prompt.characters import remove_invisible
from generation.prompt.infotext.finding import find_infotext

MAX_LINK_LENGTH = 1000
CONFIRM_ALL = "describe_all_confirmed"  # a custom_id's prefix


class Describe(commands.Cog):
    """Say in words what a picture shows."""

    @app_commands.command(description="Prompts that could have drawn a picture")
    @app_commands.describe(image="The picture to describe", link="Or a link to it")
    async def describe(
        self,
        interaction: Interaction,
        image: discord.Attachment | None = None,
        link: app_commands.Range[str, 1, MAX_LINK_LENGTH] | None = None,
    ) -> None:
        if (image is None) == (link is None):
            raise UserError(tr("Attach a picture or give a link to one, not both."))
        client = interaction.client
        await client.services.policy.check_access(context_from(interaction))
        client.services.queue.check_limits(interaction.user.id)
        uploads = client.services.images.uploads
        async with client.deferrals.deferred_if_slow(interaction, ephemeral=await _is_private(interaction)):
            if image is not None:
                upload, told = await uploads.import_attachment(image), await _told_by(interaction, image)
            else:
                upload, told = await uploads.import_link(link or "", interaction.user.id), ""
            await describe_upload(interaction, upload, told)


class DescribeAgainButton(PersistentItem, template=rf"{DESCRIBE_AGAIN}:{JOB_PATTERN}"):
    """Describes the picture again, with other noise."""

    async def run(self, interaction: Interaction) -> None:
        await require_reading(interaction, self.job_id)
        record = await interaction.client.services.db.jobs.get(self.job_id)
        assert record is not None, "its reading is there"
        params = record.job.params
        params = replace(params, seed=params.seed + 1)
        private = True if record.job.destination.private else None
        await interaction.client.jobs.submit(interaction, Action.DESCRIBE, params, private=private)


class DrawAllButton(PersistentItem, template=rf"{DRAW_ALL}:{JOB_PATTERN}"):
    """All: asks whether to draw every prompt."""

    async def run(self, interaction: Interaction) -> None:
        stored = await require_reading(interaction, self.job_id)
        if len(stored.prompts) == 1:
            await submit_prompt(interaction, stored.prompts[0], None)
            return
        requests = await interaction.client.prompts.parse_all(interaction, stored.prompts)
        await confirm_requests(interaction, f"{CONFIRM_ALL}:{self.job_id}", requests)


class ConfirmAllButton(PersistentItem, template=rf"{CONFIRM_ALL}:{JOB_PATTERN}"):
    """Draw all: submits a job for every prompt."""

    async def run(self, interaction: Interaction) -> None:
        assert interaction.message is not None
        stored = await require_reading(interaction, self.job_id)
        requests = await interaction.client.prompts.parse_all(interaction, stored.prompts)
        await submit_requests(interaction, requests, None, interaction.message.id)


async def describe_upload(interaction: Interaction, upload: Upload, told: str = "") -> None:
    """Submit the job that describes a picture; `told` is the prompt that its file has in itself."""
    client = interaction.client
    known = told or await _found_prompt(interaction, upload)
    preferred = (await load_prompt_defaults(client.services, interaction)).model
    allowed = await available_models(client.services, interaction.guild_id)
    params = await description_params(client.services, upload, preferred, allowed, known)
    await client.jobs.submit(interaction, Action.DESCRIBE, params)


async def _is_private(interaction: Interaction) -> bool:
    preferred = await interaction.client.services.db.preferences.get(interaction.user.id)
    return is_private(interaction, None, preferred)


async def _told_by(interaction: Interaction, image: discord.Attachment) -> str:
    """Return the prompt that an attachment's own file tells, as it is typed here; empty if it tells none."""
    try:
        text = await asyncio.to_thread(prompt_text, await image.read())
    except TRANSPORT_ERRORS:  # it was read before, so it is not worth an error
        return ""
    if find_infotext(text) is None:
        return ""
    return remove_invisible(convert_infotext(text, interaction.client.services.registry)[0])


async def _found_prompt(interaction: Interaction, upload: Upload) -> str:
    """Return the prompt of the job that made a picture, if everybody who reads the answer may see that job."""
    client, services = interaction.client, interaction.client.services
    png = await services.images.files.read(upload)
    matches = await client.finder.find(png, view_of(interaction), interaction.user.id)
    if not matches or matches[0].verdict is not Verdict.SAME:
        return ""
    record = await services.db.jobs.get(matches[0].tile.job_id)
    if record is None or record.deleted:
        return ""
    is_own = record.job.requester.id == interaction.user.id
    only_they_read = interaction.context.dm_channel or await _is_private(interaction)
    if not (can_everybody_view(interaction, record.job) or (is_own and only_they_read)):
        return ""
    if record.sensitive and await is_nsfw_withheld(
        services.policy, client, interaction.guild_id, interaction.channel_id
    ):
        return ""
    return format_prompt(record.job.params, services.registry)


async def setup(client: Client) -> None:
    """Add the cog and its buttons; discord.py calls this."""
    await client.add_cog(Describe())
    client.add_dynamic_items(DescribeAgainButton, DrawAllButton, ConfirmAllButton)
