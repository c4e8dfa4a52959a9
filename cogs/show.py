"""/show and /favourites: an earlier result again, with buttons that work."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.discord_calls import NO_MENTIONS
from bot.jobs.destination import is_private
from bot.policy.context import context_from
from bot.policy.policy import JobRequest
from bot.policy.visibility import NSFW_MESSAGE, can_view_job, is_nsfw_withheld
from bot.ui.dynamic_items import persistent_view
from bot.ui.errors import respond_ephemeral
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
NOT_FOUND = "I know no picture of this name that you may see. Choose one of those that are offered as you type."


class Show(commands.Cog):
    """Post results again."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.services = client.services

    @app_commands.command(description="Post one of your earlier results again, with its buttons")
    @app_commands.describe(job="Words of the prompt, or the job's id")
    async def show(self, interaction: Interaction, job: app_commands.Range[str, 1, 100]) -> None:
        hits = await self.services.db.search.by_prompt(interaction.user.id, job)
        await self._repost(interaction, await self._resolve_job(job, hits))

    @app_commands.command(description="Post one of your favourites again, with its buttons")
    @app_commands.describe(picture="Words of the prompt of a picture that you marked with ❤️")
    async def favourites(self, interaction: Interaction, picture: app_commands.Range[str, 1, 100]) -> None:
        hits = await self.services.db.search.favourites(interaction.user.id, "")
        if not hits:
            raise UserError("You have no favourites yet: press ❤️ below a picture.")
        favourite_ids = {each.job_id for each in hits}
        if picture not in favourite_ids:
            hits = await self.services.db.search.favourites(interaction.user.id, picture)
        record = await self._resolve_job(picture, hits)
        is_favourite = await self.services.db.favourites.has_any(
            interaction.user.id, record.job.id
        )  # an id may be anybody's
        await self._repost(interaction, record, is_favourite=is_favourite)

    @show.autocomplete("job")
    async def _complete_job(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return self._choices(await self.services.db.search.by_prompt(interaction.user.id, typed))

    @favourites.autocomplete("picture")
    async def _complete_favourite(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return self._choices(await self.services.db.search.favourites(interaction.user.id, typed))

    def _choices(self, hits: Iterable[SearchHit]) -> list[app_commands.Choice[str]]:
        now, registry = self.services.clock(), self.services.registry
        return [app_commands.Choice(name=_choice_name(each, registry, now), value=each.job_id) for each in hits]

    async def _resolve_job(self, typed: str, hits: list[SearchHit]) -> JobRecord:
        """Give the job that was chosen, or the first that fits what was typed without choosing."""
        job_id = typed.strip().lower()
        if not re.fullmatch(r"[0-9a-f]{12}", job_id) and hits:
            job_id = hits[0].job_id
        record = await self.services.db.jobs.get(job_id)
        if record is None or record.suffix is None:
            raise UserError(NOT_FOUND)
        return record

    async def _repost(self, interaction: Interaction, record: JobRecord, *, is_favourite: bool = False) -> None:
        job, suffix = record.job, record.suffix or ""
        if not (can_view_job(interaction, job) or (is_favourite and not job.destination.private)):
            raise UserError(NOT_FOUND)
        await self.services.policy.authorize(
            context_from(interaction), JobRequest(action=Action.PICK, params=job.params)
        )
        if record.sensitive and await is_nsfw_withheld(
            self.services.policy, self.client, interaction.guild_id, interaction.channel_id
        ):
            raise UserError(NSFW_MESSAGE)
        preferences = await self.services.db.preferences.get(interaction.user.id)
        # What was drawn for somebody else in another place is not spread any further.
        is_own_or_same_channel = (
            job.requester.id == interaction.user.id or job.destination.channel_id == interaction.channel_id
        )
        private = is_private(interaction, None, preferences, job) or not is_own_or_same_channel
        await interaction.response.defer(thinking=True, ephemeral=private)
        try:
            sheet = await self.services.images.files.read_grid(job.id, suffix)
        except FileNotFoundError:
            await respond_ephemeral(
                interaction, "This picture is not kept any more.", **_unfavourite_button(job) if is_favourite else {}
            )
            return
        sheet, suffix = await self.services.images.resizer.fit_to_limit(sheet, suffix, interaction.filesize_limit, job)
        message = await self.client.jobs.runner.build_result_message(job, sheet, suffix, interaction.channel_id)
        await interaction.edit_original_response(
            content=message.content, attachments=[message.file()], view=message.view, allowed_mentions=NO_MENTIONS
        )


def _unfavourite_button(job: Job) -> dict[str, Any]:
    """Give the button that takes a picture out of the favourites: the one below the picture may be gone with it."""
    button: discord.ui.Button[discord.ui.View] = discord.ui.Button(
        label="Remove from your favourites", custom_id=f"{LIKE}:{Tile(job.id, 0)}"
    )
    return {"view": persistent_view(button)}


def _choice_name(hit: SearchHit, registry: ModelRegistry, now: float) -> str:
    """Describe a job in the words of a choice: the prompt, what was done, and how long ago."""
    what = "" if hit.action is Action.IMAGINE else f" · {hit.action.replace('_', ' ')}"
    end = f"{what} · {_format_age(now - hit.asked_at)}"
    prompt = " ".join(format_prompt(hit.params, registry).split())
    return truncate(prompt or "(pictures)", MAX_CHOICE_LENGTH - len(end)) + end


def _format_age(seconds: float) -> str:
    minutes = max(0, int(seconds)) // 60
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days ago"


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this."""
    await client.add_cog(Show(client))
