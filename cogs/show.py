"""/show and /favourites: post an earlier result again, with working buttons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.discord_calls import NO_MENTIONS
from bot.jobs.destination import is_private
from bot.policy.context import context_from
from bot.policy.policy import JobRequest
from bot.policy.visibility import can_everybody_view, can_view_job, is_nsfw_withheld, nsfw_message
from bot.ui.dynamic_items import PersistentItem, persistent_view, selected_values
from bot.ui.errors import respond_ephemeral
from bot.ui.i18n import audience, tr
from bot.ui.job_views import LIKE
from bot.ui.text import truncate
from cogs.contact_sheet import contact_sheet
from cogs.own_pictures import MAX_CHOICE_LENGTH, as_choices, not_found, resolve, suggest_own
from db.finding.search import SearchHit
from db.jobs import JobRecord
from generation.errors import UserError
from generation.job import Action, Job
from generation.params import Tile

MAX_THUMBNAILS = 12  # on a contact sheet
PICTURES = "show:pick"  # the custom_id of the select below it


class Show(commands.Cog):
    """Post results again."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.services = client.services

    @app_commands.command(description="Post one of your earlier results again, with its buttons")
    @app_commands.describe(job="Words of the prompt, or the job's id; without it, choose from your newest")
    async def show(self, interaction: Interaction, job: app_commands.Range[str, 1, 100] | None = None) -> None:
        hits = await self.services.db.search.by_prompt(interaction.user.id, job or "")
        if job is None:
            if not hits:
                raise UserError(tr("You have no pictures yet: `/imagine` draws some."))
            await self._offer(interaction, hits, tr("**Your newest pictures:** which one should I post again?"))
            return
        await repost(interaction, await resolve(interaction, job, hits))

    @app_commands.command(description="Post one of your favourites again, with its buttons")
    @app_commands.describe(picture="Words of its prompt; without them, choose from your newest favourites")
    async def favourites(
        self, interaction: Interaction, picture: app_commands.Range[str, 1, 100] | None = None
    ) -> None:
        hits = await self.services.db.search.favourites(interaction.user.id, "")
        if not hits:
            raise UserError(tr("You have no favourites yet: press ❤️ below a picture."))
        if picture is None:
            await self._offer(interaction, hits, tr("**Your newest favourites:** which one should I post again?"))
            return
        favourite_ids = {each.job_id for each in hits}
        if picture not in favourite_ids:
            hits = await self.services.db.search.favourites(interaction.user.id, picture)
        record = await resolve(interaction, picture, hits)
        # The typed id may belong to anyone's job.
        is_favourite = await self.services.db.favourites.has_any(interaction.user.id, record.job.id)
        await repost(interaction, record, is_favourite=is_favourite)

    @show.autocomplete("job")
    async def _complete_job(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return await suggest_own(interaction, typed)

    @favourites.autocomplete("picture")
    async def _complete_favourite(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return as_choices(interaction, await self.services.db.search.favourites(interaction.user.id, typed))

    async def _offer(self, interaction: Interaction, hits: Sequence[SearchHit], heading: str) -> None:
        """Show a contact sheet of the newest results privately, with a select that posts one of them."""
        await self.services.policy.check_access(context_from(interaction))
        await self.client.deferrals.defer(interaction, ephemeral=True)
        newest = hits[:MAX_THUMBNAILS]
        names = [choice.name for choice in as_choices(interaction, newest)]
        options = [
            discord.SelectOption(label=truncate(f"{number}. {name}", MAX_CHOICE_LENGTH), value=hit.job_id)
            for number, (hit, name) in enumerate(zip(newest, names, strict=True), 1)
        ]
        view = persistent_view(discord.ui.Select[Any](custom_id=PICTURES, options=options))
        sheet = await contact_sheet(interaction, [each.job_id for each in newest])
        await interaction.edit_original_response(content=heading, attachments=[sheet], view=view)


class PictureSelect(PersistentItem, template=PICTURES):
    """Posts the result that was chosen from a contact sheet."""

    async def run(self, interaction: Interaction) -> None:
        db, job_id = interaction.client.services.db, selected_values(interaction)[0]
        record = await db.jobs.get(job_id)
        if record is None or record.suffix is None:
            raise not_found()
        await repost(interaction, record, is_favourite=await db.favourites.has_any(interaction.user.id, job_id))


async def repost(
    interaction: Interaction, record: JobRecord, *, is_favourite: bool = False, found: bool = False
) -> None:
    """Post a result again, if the user may see it here.

    What a search `found` may be seen by the user, and is posted for everybody if everybody here may see it.
    """
    client, services = interaction.client, interaction.client.services
    job, suffix = record.job, record.suffix or ""
    if not (found or can_view_job(interaction, job) or (is_favourite and not job.destination.private)):
        raise not_found()
    await services.policy.authorize(context_from(interaction), JobRequest(action=Action.PICK, params=job.params))
    if record.sensitive and await is_nsfw_withheld(
        services.policy, client, interaction.guild_id, interaction.channel_id
    ):
        raise UserError(nsfw_message())
    preferences = await services.db.preferences.get(interaction.user.id)
    # Another user's result from another channel stays private here.
    is_own_or_same_channel = (
        job.requester.id == interaction.user.id or job.destination.channel_id == interaction.channel_id
    )
    may_share = is_own_or_same_channel or (found and can_everybody_view(interaction, job))
    private = is_private(interaction, None, preferences, job) or not may_share
    await client.deferrals.defer(interaction, ephemeral=private)
    try:
        image = await services.images.files.read_grid(job.id, suffix)
    except FileNotFoundError:
        fields = {"view": _unfavourite_view(job)} if is_favourite else {}
        await respond_ephemeral(interaction, tr("This picture is no longer stored."), **fields)
        return
    image, suffix = await services.images.resizer.fit_to_limit(image, suffix, interaction.filesize_limit, job)
    with audience(private=private):
        message = await client.jobs.runner.build_result_message(job, image, suffix, interaction.channel_id)
    await interaction.edit_original_response(
        content=message.content,
        attachments=message.files(),
        embeds=message.embeds(),
        view=message.view,
        allowed_mentions=NO_MENTIONS,
    )


def _unfavourite_view(job: Job) -> discord.ui.View:
    """Return the button that removes a favourite: the message with the usual button may be deleted."""
    button: discord.ui.Button[discord.ui.View] = discord.ui.Button(
        label=tr("Remove from your favourites"), custom_id=f"{LIKE}:{Tile(job.id, 0)}"
    )
    return persistent_view(button)


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this."""
    await client.add_cog(Show(client))
    client.add_dynamic_items(PictureSelect)
