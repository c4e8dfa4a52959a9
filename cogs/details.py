"""Details: everything about a picture, for who wants to make it again."""

from __future__ import annotations

from dataclasses import replace

import discord
from discord.ext import commands

from bot.client import Client
from bot.ui import job_text
from bot.ui.prompt_block import format_prompt_block
from bot.ui.text import escape_markdown, truncate
from cogs.buttons import DETAILS
from cogs.road import Interaction, Road, road_of
from db.jobs import JobRecord
from generation.errors import UserError
from generation.job import Action
from generation.models.registry import ModelRegistry
from generation.params import PromptPart, Tile
from generation.planning.actions import size_of
from generation.prompt import format_prompt

MOST_ANCESTORS = 4  # that are named; a picture may have a hundred
LONGEST_PARAMETERS = 500  # characters


class Details(commands.Cog):
    """Answer privately what a picture is made of and made from."""

    def __init__(self, client: Client, road: Road) -> None:
        self.studio = client.services
        road.doors[DETAILS] = self.show

    async def show(self, interaction: Interaction, tile: Tile) -> None:
        """Answer with everything about a picture."""
        record = await self.studio.store.get(tile.job_id)
        if record is None:
            raise UserError("I do not know this picture any more.")
        ancestors = await self._ancestors(record)
        repertoire = self.studio.registry
        says = "\n".join([*facts(record, repertoire), *_lineage(ancestors, interaction.user.id)])
        content, files = format_prompt_block(says, format_prompt(record.job.params, repertoire, seed=True))
        await interaction.response.send_message(
            content, files=files, ephemeral=True, allowed_mentions=discord.AllowedMentions.none(), suppress_embeds=True
        )

    async def _ancestors(self, record: JobRecord) -> list[JobRecord]:
        """Give what a job descends from, the nearest first, and one more than is named."""
        found: list[JobRecord] = []
        parent = record.job.parent
        while parent is not None and len(found) <= MOST_ANCESTORS:
            known = await self.studio.store.get(parent.job_id)
            if known is None:
                break
            found.append(known)
            parent = known.job.parent
        return found


def facts(record: JobRecord, repertoire: ModelRegistry) -> list[str]:
    """Say what is known of a picture, besides its prompt."""
    job, (width, height) = record.job, size_of(record.job.params)
    model = repertoire.model_name(job.params)
    drawn = "" if job.action is Action.PICK or record.seconds is None else f" · drawn in {record.seconds:.1f} s"
    parameters = format_prompt(replace(job.params, parts=(PromptPart(""),), model=""), None)  # whose name is told above
    return [
        f"{job_text.attribution(job)} <t:{job.asked_at:.0f}:R>",
        f"Job `{job.id}` · seed {job.params.seed} · {width} × {height} · {escape_markdown(model)}{drawn}",
        f"-# {escape_markdown(truncate(parameters, LONGEST_PARAMETERS))}",
    ]


def _lineage(ancestors: list[JobRecord], person_id: int) -> list[str]:
    lines = [f"-# ↳ {_named(record, person_id)}" for record in ancestors[:MOST_ANCESTORS]]
    return lines + ["-# ↳ …"] * (len(ancestors) > MOST_ANCESTORS)


def _named(record: JobRecord, person_id: int) -> str:
    to, origin = record.job.destination, job_text.attribution(record.job)
    if record.result_message_id is None or (to.private and record.job.requester.id != person_id):
        return origin
    link = f"https://discord.com/channels/{to.guild_id or '@me'}/{to.result_channel_id}/{record.result_message_id}"
    return f"{origin} · [go there]({link})"


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this, after the road's."""
    await client.add_cog(Details(client, road_of(client)))
