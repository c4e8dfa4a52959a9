"""Details: everything about a picture, for who wants to make it again."""

from __future__ import annotations

from dataclasses import replace

import discord
from discord.ext import commands

from bot.client import Client
from bot.ui import job_text
from bot.ui.prompt_block import format_prompt_block
from bot.ui.text import escape_markdown, truncate
from cogs.image_buttons.buttons import DETAILS
from cogs.jobs import Interaction, JobService, get_job_service
from db.jobs import JobRecord
from generation.errors import UserError
from generation.job import Action
from generation.models.registry import ModelRegistry
from generation.params import PromptPart, Tile
from generation.planning.actions import size_of
from generation.prompt import format_prompt

MAX_ANCESTORS = 4  # that are named; a picture may have a hundred
MAX_PARAMETERS_LENGTH = 500  # characters


class Details(commands.Cog):
    """Answer privately what a picture is made of and made from."""

    def __init__(self, client: Client, jobs: JobService) -> None:
        self.services = client.services
        jobs.button_handlers[DETAILS] = self.show

    async def show(self, interaction: Interaction, tile: Tile) -> None:
        """Answer with everything about a picture."""
        record = await self.services.store.get(tile.job_id)
        if record is None:
            raise UserError("I do not know this picture any more.")
        ancestors = await self._ancestors(record)
        registry = self.services.registry
        text = "\n".join([*facts(record, registry), *_lineage(ancestors, interaction.user.id)])
        content, files = format_prompt_block(text, format_prompt(record.job.params, registry, seed=True))
        await interaction.response.send_message(
            content, files=files, ephemeral=True, allowed_mentions=discord.AllowedMentions.none(), suppress_embeds=True
        )

    async def _ancestors(self, record: JobRecord) -> list[JobRecord]:
        """Give what a job descends from, the nearest first, and one more than is named."""
        ancestors: list[JobRecord] = []
        parent = record.job.parent
        while parent is not None and len(ancestors) <= MAX_ANCESTORS:
            ancestor = await self.services.store.get(parent.job_id)
            if ancestor is None:
                break
            ancestors.append(ancestor)
            parent = ancestor.job.parent
        return ancestors


def facts(record: JobRecord, registry: ModelRegistry) -> list[str]:
    """Say what is known of a picture, besides its prompt."""
    job, (width, height) = record.job, size_of(record.job.params)
    model = registry.model_name(job.params)
    duration = "" if job.action is Action.PICK or record.seconds is None else f" · drawn in {record.seconds:.1f} s"
    parameters = format_prompt(replace(job.params, parts=(PromptPart(""),), model=""), None)  # whose name is told above
    return [
        f"{job_text.attribution(job)} <t:{job.asked_at:.0f}:R>",
        f"Job `{job.id}` · seed {job.params.seed} · {width} × {height} · {escape_markdown(model)}{duration}",
        f"-# {escape_markdown(truncate(parameters, MAX_PARAMETERS_LENGTH))}",
    ]


def _lineage(ancestors: list[JobRecord], person_id: int) -> list[str]:
    lines = [f"-# ↳ {_ancestor_line(record, person_id)}" for record in ancestors[:MAX_ANCESTORS]]
    return lines + ["-# ↳ …"] * (len(ancestors) > MAX_ANCESTORS)


def _ancestor_line(record: JobRecord, person_id: int) -> str:
    destination, origin = record.job.destination, job_text.attribution(record.job)
    if record.result_message_id is None or (destination.private and record.job.requester.id != person_id):
        return origin
    place = f"{destination.guild_id or '@me'}/{destination.result_channel_id}"
    jump_url = f"https://discord.com/channels/{place}/{record.result_message_id}"
    return f"{origin} · [go there]({jump_url})"


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this, after the road's."""
    await client.add_cog(Details(client, get_job_service(client)))
