"""/show and /favourites: post an earlier result again, with working buttons."""

from __future__ import annotations

import re
from collections.abc import Iterable

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.discord_calls import NO_MENTIONS
from bot.jobs.destination import is_private
from bot.policy.context import context_from
from bot.policy.policy import JobRequest
from bot.policy.visibility import can_view_job, is_nsfw_withheld, nsfw_message
from bot.ui.dynamic_items import persistent_view
from bot.ui.errors import respond_ephemeral
from bot.ui.i18n import tr, trn
from bot.ui.job_views import LIKE
from bot.ui.text import truncate
from db.jobs import JobRecord
from db.search import SearchHit
from generation.errors import UserError
from generation.job import Action, Job
from generation.models.registry import ModelRegistry
from generation.params import Tile
from generation.prompt import format_prompt

MAX_CHOICE_LENGTH = 100  # characters, by Discord's rules


class Show(commands.Cog):
    """Post results again."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.services = client.services

    @app_commands.command(description="Post one of your earlier results again, with its buttons")
    @app_commands.describe(job="Words of the prompt, or the job's id")
    async def show(self, interaction: Interaction, job: app_commands.Range[str, 1, 100]) -> None:
        await self.repost(interaction, await self.find(interaction, job))

    async def find(self, interaction: Interaction, typed: str) -> JobRecord:
        """Return a job by its id, or the user's newest with these words in its prompt; raise UserError otherwise."""
        return await self._resolve_job(typed, await self.services.db.search.by_prompt(interaction.user.id, typed))

    async def complete(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        """Suggest the user's jobs with these words in their prompts."""
        return self._choices(await self.services.db.search.by_prompt(interaction.user.id, typed))

    @app_commands.command(description="Post one of your favourites again, with its buttons")
    @app_commands.describe(picture="Words of the prompt of a picture that you marked with ❤️")
    async def favourites(self, interaction: Interaction, picture: app_commands.Range[str, 1, 100]) -> None:
        hits = await self.services.db.search.favourites(interaction.user.id, "")
        if not hits:
            raise UserError(tr("You have no favourites yet: press ❤️ below a picture."))
        favourite_ids = {each.job_id for each in hits}
        if picture not in favourite_ids:
            hits = await self.services.db.search.favourites(interaction.user.id, picture)
        record = await self._resolve_job(picture, hits)
        # The typed id may belong to anyone's job.
        is_favourite = await self.services.db.favourites.has_any(interaction.user.id, record.job.id)
        await self.repost(interaction, record, is_favourite=is_favourite)

    @show.autocomplete("job")
    async def _complete_job(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return await self.complete(interaction, typed)

    @favourites.autocomplete("picture")
    async def _complete_favourite(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return self._choices(await self.services.db.search.favourites(interaction.user.id, typed))

    def _choices(self, hits: Iterable[SearchHit]) -> list[app_commands.Choice[str]]:
        now, registry = self.services.clock(), self.services.registry
        return [app_commands.Choice(name=_choice_name(each, registry, now), value=each.job_id) for each in hits]

    async def _resolve_job(self, typed: str, hits: list[SearchHit]) -> JobRecord:
        """Return the chosen job, or the first hit if the user typed without choosing."""
        job_id = typed.strip().lower()
        if not re.fullmatch(r"[0-9a-f]{12}", job_id) and hits:
            job_id = hits[0].job_id
        record = await self.services.db.jobs.get(job_id)
        if record is None or record.suffix is None:
            raise _not_found()
        return record

    async def repost(self, interaction: Interaction, record: JobRecord, *, is_favourite: bool = False) -> None:
        """Respond with a job's result and its buttons; raise UserError if the user may not see it here."""
        job, suffix = record.job, record.suffix or ""
        if not (can_view_job(interaction, job) or (is_favourite and not job.destination.private)):
            raise _not_found()
        await self.services.policy.authorize(
            context_from(interaction), JobRequest(action=Action.PICK, params=job.params)
        )
        if record.sensitive and await is_nsfw_withheld(
            self.services.policy, self.client, interaction.guild_id, interaction.channel_id
        ):
            raise UserError(nsfw_message())
        preferences = await self.services.db.preferences.get(interaction.user.id)
        # Another user's result from another channel stays private here.
        is_own_or_same_channel = (
            job.requester.id == interaction.user.id or job.destination.channel_id == interaction.channel_id
        )
        private = is_private(interaction, None, preferences, job) or not is_own_or_same_channel
        await interaction.client.deferrals.defer(interaction, ephemeral=private)
        try:
            image = await self.services.images.files.read_grid(job.id, suffix)
        except FileNotFoundError:
            fields = {"view": _unfavourite_view(job)} if is_favourite else {}
            await respond_ephemeral(interaction, tr("This picture is no longer stored."), **fields)
            return
        image, suffix = await self.services.images.resizer.fit_to_limit(image, suffix, interaction.filesize_limit, job)
        message = await self.client.jobs.runner.build_result_message(job, image, suffix, interaction.channel_id)
        await interaction.edit_original_response(
            content=message.content, attachments=[message.file()], view=message.view, allowed_mentions=NO_MENTIONS
        )


def _not_found() -> UserError:
    return UserError(
        tr("I found no picture with this name that you may see. Pick one from the list that appears as you type.")
    )


def _unfavourite_view(job: Job) -> discord.ui.View:
    """Return the button that removes a favourite: the message with the usual button may be deleted."""
    button: discord.ui.Button[discord.ui.View] = discord.ui.Button(
        label=tr("Remove from your favourites"), custom_id=f"{LIKE}:{Tile(job.id, 0)}"
    )
    return persistent_view(button)


def _choice_name(hit: SearchHit, registry: ModelRegistry, now: float) -> str:
    """Return the name of a choice: the prompt, the action and the age of a job."""
    what = "" if hit.action is Action.IMAGINE else f" · {hit.action.replace('_', ' ')}"
    end = f"{what} · {_format_age(now - hit.asked_at)}"
    prompt = " ".join(format_prompt(hit.params, registry).split())
    return truncate(prompt or tr("(pictures)"), MAX_CHOICE_LENGTH - len(end)) + end


def _format_age(seconds: float) -> str:
    minutes = max(0, int(seconds)) // 60
    if minutes < 1:
        return tr("just now")
    if minutes < 60:
        return tr("{minutes} min ago", minutes=minutes)
    if minutes < 48 * 60:
        return tr("{hours} h ago", hours=minutes // 60)
    return trn("{n} day ago", "{n} days ago", minutes // (24 * 60))


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this."""
    await client.add_cog(Show(client))
