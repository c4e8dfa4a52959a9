"""/show and /favourites: an earlier result again, with buttons that work."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client
from bot.discord_calls import NO_MENTIONS
from bot.jobs.destination import is_private
from bot.policy.context import context_from
from bot.policy.policy import JobRequest
from bot.policy.visibility import NSFW_MESSAGE, can_view_job, is_nsfw_withheld
from bot.ui.errors import respond_ephemeral
from bot.ui.text import truncate
from cogs.buttons import LIKE, TileButton
from cogs.road import Interaction, Road, road_of
from db.jobs import JobRecord
from db.search import SearchHit
from generation.errors import UserError
from generation.job import Action, Job
from generation.models.registry import ModelRegistry
from generation.params import Tile
from generation.prompt import format_prompt

LONGEST_CHOICE = 100  # characters, by Discord's rules
UNKNOWN = "I know no picture of this name that you may see. Choose one of those that are offered as you type."


class Show(commands.Cog):
    """Post results again."""

    def __init__(self, client: Client, road: Road) -> None:
        self.client = client
        self.studio = client.services
        self.road = road

    @app_commands.command(description="Post one of your earlier results again, with its buttons")
    @app_commands.describe(job="Words of the prompt, or the job's id")
    async def show(self, interaction: Interaction, job: app_commands.Range[str, 1, 100]) -> None:
        found = await self.studio.search.by_prompt(interaction.user.id, job)
        await self._post_again(interaction, await self._chosen(job, found))

    @app_commands.command(description="Post one of your favourites again, with its buttons")
    @app_commands.describe(picture="Words of the prompt of a picture that you marked with ❤️")
    async def favourites(self, interaction: Interaction, picture: app_commands.Range[str, 1, 100]) -> None:
        found = await self.studio.search.favourites(interaction.user.id, "")
        if not found:
            raise UserError("You have no favourites yet: press ❤️ below a picture.")
        liked = {each.job_id for each in found}
        if picture not in liked:
            found = await self.studio.search.favourites(interaction.user.id, picture)
        record = await self._chosen(picture, found)
        is_favourite = await self.studio.favourites.has_any(
            interaction.user.id, record.job.id
        )  # an id may be anybody's
        await self._post_again(interaction, record, is_favourite=is_favourite)

    @show.autocomplete("job")
    async def _prompts(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return self._choices(await self.studio.search.by_prompt(interaction.user.id, typed))

    @favourites.autocomplete("picture")
    async def _favourites(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return self._choices(await self.studio.search.favourites(interaction.user.id, typed))

    def _choices(self, found: Iterable[SearchHit]) -> list[app_commands.Choice[str]]:
        now, repertoire = self.studio.clock(), self.studio.registry
        return [app_commands.Choice(name=_in_a_line(each, repertoire, now), value=each.job_id) for each in found]

    async def _chosen(self, given: str, found: list[SearchHit]) -> JobRecord:
        """Give the job that was chosen, or the first that fits what was typed without choosing."""
        job_id = given.strip().lower()
        if not re.fullmatch(r"[0-9a-f]{12}", job_id) and found:
            job_id = found[0].job_id
        record = await self.studio.store.get(job_id)
        if record is None or record.suffix is None:
            raise UserError(UNKNOWN)
        return record

    async def _post_again(self, interaction: Interaction, record: JobRecord, *, is_favourite: bool = False) -> None:
        job, suffix = record.job, record.suffix or ""
        if not (can_view_job(interaction, job) or (is_favourite and not job.destination.private)):
            raise UserError(UNKNOWN)
        await self.studio.policy.authorize(context_from(interaction), JobRequest(action=Action.PICK, params=job.params))
        if record.sensitive and await is_nsfw_withheld(
            self.studio, self.client, interaction.guild_id, interaction.channel_id
        ):
            raise UserError(NSFW_MESSAGE)
        preferences = await self.studio.preferences.get(interaction.user.id)
        # What was drawn for somebody else in another place is not spread any further.
        is_at_home = job.requester.id == interaction.user.id or job.destination.channel_id == interaction.channel_id
        private = is_private(interaction, None, preferences, job) or not is_at_home
        await interaction.response.defer(thinking=True, ephemeral=private)
        try:
            sheet = await self.studio.images.read_grid(job.id, suffix)
        except FileNotFoundError:
            await respond_ephemeral(
                interaction, "This picture is not kept any more.", **_way_out(job) if is_favourite else {}
            )
            return
        sheet, suffix = await self.studio.resizer.fit_to_limit(sheet, suffix, interaction.filesize_limit, job)
        shown = await self.road.compose_answer(job, sheet, suffix, interaction.channel_id)
        await interaction.edit_original_response(
            content=shown.content, attachments=[shown.file()], view=shown.view, allowed_mentions=NO_MENTIONS
        )


def _way_out(job: Job) -> dict[str, Any]:
    """Give the button that takes a picture out of the favourites: the one below the picture may be gone with it."""
    take_out = TileButton(LIKE, Tile(job.id, 0), "Take it out of your favourites", 0)
    return {"view": discord.ui.View(timeout=None).add_item(take_out)}


def _in_a_line(found: SearchHit, repertoire: ModelRegistry, now: float) -> str:
    """Describe a job in the words of a choice: the prompt, what was done, and how long ago."""
    what = "" if found.action is Action.IMAGINE else f" · {found.action.replace('_', ' ')}"
    end = f"{what} · {_ago(now - found.asked_at)}"
    prompt = " ".join(format_prompt(found.params, repertoire).split())
    return truncate(prompt or "(pictures)", LONGEST_CHOICE - len(end)) + end


def _ago(seconds: float) -> str:
    minutes = max(0, int(seconds)) // 60
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days ago"


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this, after the road's."""
    await client.add_cog(Show(client, road_of(client)))
