"""A contact sheet: numbered thumbnails of several results as one picture."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import discord
from PIL import Image

from bot.client import Interaction
from bot.images.numbered_pictures import draw_contact_sheet, thumbnail
from bot.policy.visibility import allows_nsfw, is_nsfw_withheld
from bot.services import Services
from bot.ui.i18n import tr
from bot.ui.job_text import MAX_DESCRIPTION_LENGTH, image_description
from bot.ui.text import truncate
from db.jobs import JobRecord
from generation.errors import UserError
from generation.params import Tile

NO_TILES: Mapping[str, Tile] = MappingProxyType({})
MAX_NAME_LENGTH = 80  # characters of each prompt in the alternative text


async def contact_sheet(
    interaction: Interaction, job_ids: Sequence[str], tiles: Mapping[str, Tile] = NO_TILES
) -> discord.File:
    """Return the results' grids as one picture; what may not be shown here, or is deleted, leaves its cell empty.

    Of the jobs in `tiles`, that tile is shown instead.
    Sensitive pictures put it behind a spoiler where Discord would hide them.
    """
    client, services = interaction.client, interaction.client.services
    found = await services.db.jobs.get_many(job_ids)
    records = [found.get(job_id) for job_id in job_ids]
    withheld = await is_nsfw_withheld(services.policy, client, interaction.guild_id, interaction.channel_id)
    shown = [
        record if record and not (withheld and record.sensitive) and _is_visible(record, interaction) else None
        for record in records
    ]
    thumbnails = [await _thumbnail(services, record, tiles) for record in shown]
    sheet = await asyncio.to_thread(draw_contact_sheet, thumbnails)
    sensitive = any(record is not None and record.sensitive for record in shown)
    return discord.File(
        io.BytesIO(sheet),
        "pictures.jpg",
        spoiler=sensitive and not allows_nsfw(client, interaction.channel_id),
        description=_description(shown, services),
    )


def _is_visible(record: JobRecord, interaction: Interaction) -> bool:
    return record.job.requester.id == interaction.user.id or not record.job.destination.private


async def _thumbnail(services: Services, record: JobRecord | None, tiles: Mapping[str, Tile]) -> Image.Image | None:
    if record is None or record.suffix is None:
        return None
    try:
        if tile := tiles.get(record.job.id):
            return await asyncio.to_thread(thumbnail, await services.images.thumbnails.get(tile))
        return await asyncio.to_thread(thumbnail, await services.images.files.read_grid(record.job.id, record.suffix))
    except (OSError, UserError):  # deleted, or damaged
        return None


def _description(records: Sequence[JobRecord | None], services: Services) -> str:
    prompts = [
        truncate(image_description(record.job, services.registry), MAX_NAME_LENGTH) if record else tr("not shown")
        for record in records
    ]
    numbered = ", ".join(f"{number}: {prompt}" for number, prompt in enumerate(prompts, 1))
    return truncate(numbered, MAX_DESCRIPTION_LENGTH)
