"""Send results by direct message, on request or always."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

import discord
from discord.ext import commands
from discord.utils import DEFAULT_FILE_SIZE_LIMIT_BYTES

from bot.client import Client
from bot.discord_calls import NO_MENTIONS, retry_until_available
from bot.images.metadata import filename_stem
from bot.services import Services
from bot.ui import job_text
from bot.ui.i18n import tr
from bot.ui.text import escape_markdown, jump_url, truncate
from db.jobs import JobRecord
from generation.errors import UserError
from generation.job import Job
from generation.params import Tile
from generation.prompt import format_prompt

log = logging.getLogger(__name__)

MAX_PROMPT_LENGTH = 800  # characters shown; escaping may double them


@dataclass(frozen=True, slots=True)
class ImageMessage:
    """One image of a result with its text."""

    content: str
    image: bytes
    filename: str
    spoiler: bool
    description: str

    def file(self) -> discord.File:
        """Return the image as a new file: discord.py uses each one up."""
        return discord.File(io.BytesIO(self.image), self.filename, spoiler=self.spoiler, description=self.description)


class DirectMessages(commands.Cog):
    """Send copies of their results to those who want them all."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.services = client.services

    @commands.Cog.listener()
    async def on_result_posted(self, job: Job, _: int) -> None:
        """Send a copy to a user who wants all results, unless this one was posted by direct message anyway."""
        was_posted_by_dm = job.destination.guild_id is None and job.destination.by_channel
        if was_posted_by_dm or not (await self.services.db.preferences.get(job.requester.id)).auto_dm:
            return
        try:
            await self._send_copy(job)
        except discord.Forbidden:
            log.info("job %s: its requester does not accept direct messages", job.id)

    async def _send_copy(self, job: Job) -> None:
        record = await self.services.db.jobs.get(job.id)
        if record is None or record.suffix is None:
            return
        image = await self.services.images.files.read_grid(job.id, record.suffix)
        image, suffix = await self.services.images.resizer.fit_to_limit(
            image, record.suffix, DEFAULT_FILE_SIZE_LIMIT_BYTES, job
        )
        message = await self.client.jobs.runner.build_result_message(job, image, suffix, None)
        channel = await self.client.create_dm(discord.Object(job.requester.id))
        await retry_until_available(
            lambda: channel.send(message.content, file=message.file(), view=message.view, allowed_mentions=NO_MENTIONS)
        )


async def send_images(client: Client, record: JobRecord, person_id: int) -> None:
    """Send a job's images one by one; raise discord.Forbidden where the user does not accept direct messages."""
    channel = await client.create_dm(discord.Object(person_id))
    async for message in image_messages(client.services, record, DEFAULT_FILE_SIZE_LIMIT_BYTES):
        await _send(channel, message)


async def image_messages(services: Services, record: JobRecord, limit: int) -> AsyncIterator[ImageMessage]:
    """Yield each image of a job in at most `limit` bytes; raise UserError if they are deleted."""
    for index in range(record.job.params.count):
        yield await _image_message(services, record, Tile(record.job.id, index), limit)


async def _image_message(services: Services, record: JobRecord, tile: Tile, limit: int) -> ImageMessage:
    job = record.job
    try:
        image = await services.images.files.read(tile)
    except FileNotFoundError:
        raise UserError(tr("This picture is no longer stored.")) from None
    image, suffix = await services.images.resizer.fit_to_limit(image, "png", limit, job)
    prompt = escape_markdown(truncate(format_prompt(job.params, services.registry), MAX_PROMPT_LENGTH))
    facts = "-# " + " · ".join([*_facts(job, tile.index), *_jump_link(record)])
    stem = filename_stem(services.config, job.params)
    return ImageMessage(
        f"**{prompt}**\n{facts}" if prompt else facts,
        image,
        f"{stem}_{tile}.{suffix}",
        record.sensitive,
        job_text.image_description(job, services.registry),
    )


async def _send(channel: discord.DMChannel, message: ImageMessage) -> None:
    await retry_until_available(
        lambda: channel.send(message.content, file=message.file(), allowed_mentions=NO_MENTIONS, suppress_embeds=True)
    )


def _facts(job: Job, index: int) -> list[str]:
    number = (
        [tr("image #{number} of {count}", number=index + 1, count=job.params.count)] if job.params.count > 1 else []
    )
    return [tr("Job `{job_id}`", job_id=job.id), *number, tr("seed {seed}", seed=job.params.seed_of(index))]


def _jump_link(record: JobRecord) -> list[str]:
    destination = record.job.destination
    if record.result_message_id is None or destination.guild_id is None or not destination.by_channel:
        return []
    return [jump_url(destination.guild_id, destination.result_channel_id, record.result_message_id)]


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this."""
    await client.add_cog(DirectMessages(client))
