"""Results by direct message: for who asks for them, and for who wants all of theirs so."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

import discord
from discord.ext import commands
from discord.utils import DEFAULT_FILE_SIZE_LIMIT_BYTES

from bot.client import Client
from bot.discord_calls import NO_MENTIONS, retry_until_available
from bot.images.metadata import filename_stem
from bot.ui.text import escape_markdown, truncate
from cogs.jobs import JobService, get_job_service
from db.jobs import JobRecord
from generation.errors import UserError
from generation.job import Job
from generation.params import Tile
from generation.prompt import format_prompt

log = logging.getLogger(__name__)

MAX_PROMPT_LENGTH = 800  # characters shown; escaping may double them


@dataclass(frozen=True, slots=True)
class ImageMessage:
    """One picture of a result with what is to be known of it."""

    content: str
    image: bytes
    filename: str
    spoiler: bool

    def file(self) -> discord.File:
        """Give the picture as a fresh file: discord.py uses each one up."""
        return discord.File(io.BytesIO(self.image), self.filename, spoiler=self.spoiler)


class DirectMessages(commands.Cog):
    """Send people pictures by direct message."""

    def __init__(self, client: Client, jobs: JobService) -> None:
        self.client = client
        self.services = client.services
        self.jobs = jobs

    async def send(self, record: JobRecord, person_id: int) -> None:
        """Send a job's pictures one by one; raises discord.Forbidden where the person takes no direct messages."""
        channel = await self.client.create_dm(discord.Object(person_id))
        async for message in self.image_messages(record, DEFAULT_FILE_SIZE_LIMIT_BYTES):
            await _send(channel, message)

    async def image_messages(self, record: JobRecord, limit: int) -> AsyncIterator[ImageMessage]:
        """Give each picture of a job in at most `limit` bytes; raises Complaint when they are not kept any more."""
        for index in range(record.job.params.count):
            yield await self._image_message(record, Tile(record.job.id, index), limit)

    @commands.Cog.listener()
    async def on_result_posted(self, job: Job, _: int) -> None:
        """Send a copy to who wants all results so, unless this one was posted there anyway."""
        was_posted_by_dm = job.destination.guild_id is None and job.destination.by_channel
        if was_posted_by_dm or not (await self.services.preferences.get(job.requester.id)).auto_dm:
            return
        try:
            await self._send_copy(job)
        except discord.Forbidden:
            log.info("job %s: its owner takes no direct messages", job.id)

    async def _send_copy(self, job: Job) -> None:
        record = await self.services.store.get(job.id)
        if record is None or record.suffix is None:
            return
        sheet = await self.services.images.read_grid(job.id, record.suffix)
        sheet, suffix = await self.services.resizer.fit_to_limit(
            sheet, record.suffix, DEFAULT_FILE_SIZE_LIMIT_BYTES, job
        )
        message = await self.jobs.build_result_message(job, sheet, suffix, None)
        channel = await self.client.create_dm(discord.Object(job.requester.id))
        await retry_until_available(
            lambda: channel.send(message.content, file=message.file(), view=message.view, allowed_mentions=NO_MENTIONS)
        )

    async def _image_message(self, record: JobRecord, tile: Tile, limit: int) -> ImageMessage:
        job = record.job
        try:
            image = await self.services.images.read(tile)
        except FileNotFoundError:
            raise UserError("This picture is not kept any more.") from None
        image, suffix = await self.services.resizer.fit_to_limit(image, "png", limit, job)
        prompt = escape_markdown(truncate(format_prompt(job.params, self.services.registry), MAX_PROMPT_LENGTH))
        number = f" · image #{tile.index + 1} of {job.params.count}" if job.params.count > 1 else ""
        facts = f"-# Job `{job.id}`{number} · seed {job.params.seed_of(tile.index)}{_jump_link(record)}"
        stem = filename_stem(self.services.config, job.params)
        return ImageMessage(
            f"**{prompt}**\n{facts}" if prompt else facts, image, f"{stem}_{tile}.{suffix}", record.sensitive
        )


async def _send(channel: discord.DMChannel, message: ImageMessage) -> None:
    await retry_until_available(
        lambda: channel.send(message.content, file=message.file(), allowed_mentions=NO_MENTIONS, suppress_embeds=True)
    )


def _jump_link(record: JobRecord) -> str:
    destination = record.job.destination
    if record.result_message_id is None or destination.guild_id is None or not destination.by_channel:
        return ""
    return f" · https://discord.com/channels/{destination.guild_id}/{destination.result_channel_id}/{record.result_message_id}"


def get_direct_messages(client: discord.Client) -> DirectMessages:
    """Give the cog to another."""
    return cast(DirectMessages, cast(Client, client).get_cog("DirectMessages"))


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this, after the road's."""
    await client.add_cog(DirectMessages(client, get_job_service(client)))
