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
from cogs.road import Road, road_of
from db.jobs import JobRecord
from generation.errors import UserError
from generation.job import Job
from generation.params import Tile
from generation.prompt import format_prompt

log = logging.getLogger(__name__)

LONGEST_PROMPT = 800  # characters shown; escaping may double them


@dataclass(frozen=True, slots=True)
class Letter:
    """One picture of a result with what is to be known of it."""

    content: str
    picture: bytes
    filename: str
    hidden: bool

    def file(self) -> discord.File:
        """Give the picture as a fresh file: discord.py uses each one up."""
        return discord.File(io.BytesIO(self.picture), self.filename, spoiler=self.hidden)


class Sending(commands.Cog):
    """Send people pictures by direct message."""

    def __init__(self, client: Client, road: Road) -> None:
        self.client = client
        self.studio = client.services
        self.road = road

    async def send(self, record: JobRecord, person_id: int) -> None:
        """Send a job's pictures one by one; raises discord.Forbidden where the person takes no direct messages."""
        channel = await self.client.create_dm(discord.Object(person_id))
        async for letter in self.letters(record, DEFAULT_FILE_SIZE_LIMIT_BYTES):
            await _send(channel, letter)

    async def letters(self, record: JobRecord, limit: int) -> AsyncIterator[Letter]:
        """Give each picture of a job in at most `limit` bytes; raises Complaint when they are not kept any more."""
        for index in range(record.job.params.count):
            yield await self._letter(record, Tile(record.job.id, index), limit)

    @commands.Cog.listener()
    async def on_job_answered(self, job: Job, _: int) -> None:
        """Send a copy to who wants all results so, unless this one was posted there anyway."""
        is_there_already = job.destination.guild_id is None and job.destination.by_channel
        if is_there_already or not (await self.studio.preferences.get(job.requester.id)).auto_dm:
            return
        try:
            await self._send_copy(job)
        except discord.Forbidden:
            log.info("job %s: its owner takes no direct messages", job.id)

    async def _send_copy(self, job: Job) -> None:
        record = await self.studio.store.get(job.id)
        if record is None or record.suffix is None:
            return
        sheet = await self.studio.images.read_grid(job.id, record.suffix)
        sheet, suffix = await self.studio.resizer.fit_to_limit(sheet, record.suffix, DEFAULT_FILE_SIZE_LIMIT_BYTES, job)
        answer = await self.road.compose_answer(job, sheet, suffix, None)
        channel = await self.client.create_dm(discord.Object(job.requester.id))
        await retry_until_available(
            lambda: channel.send(answer.content, file=answer.file(), view=answer.view, allowed_mentions=NO_MENTIONS)
        )

    async def _letter(self, record: JobRecord, tile: Tile, limit: int) -> Letter:
        job = record.job
        try:
            picture = await self.studio.images.read(tile)
        except FileNotFoundError:
            raise UserError("This picture is not kept any more.") from None
        picture, suffix = await self.studio.resizer.fit_to_limit(picture, "png", limit, job)
        prompt = escape_markdown(truncate(format_prompt(job.params, self.studio.registry), LONGEST_PROMPT))
        number = f" · image #{tile.index + 1} of {job.params.count}" if job.params.count > 1 else ""
        facts = f"-# Job `{job.id}`{number} · seed {job.params.seed_of(tile.index)}{_whereabouts(record)}"
        words = filename_stem(self.studio.config, job.params)
        return Letter(
            f"**{prompt}**\n{facts}" if prompt else facts, picture, f"{words}_{tile}.{suffix}", record.sensitive
        )


async def _send(channel: discord.DMChannel, letter: Letter) -> None:
    await retry_until_available(
        lambda: channel.send(letter.content, file=letter.file(), allowed_mentions=NO_MENTIONS, suppress_embeds=True)
    )


def _whereabouts(record: JobRecord) -> str:
    to = record.job.destination
    if record.result_message_id is None or to.guild_id is None or not to.by_channel:
        return ""
    return f" · https://discord.com/channels/{to.guild_id}/{to.result_channel_id}/{record.result_message_id}"


def sending_of(client: discord.Client) -> Sending:
    """Give the cog to another."""
    return cast(Sending, cast(Client, client).get_cog("Sending"))


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this, after the road's."""
    await client.add_cog(Sending(client, road_of(client)))
