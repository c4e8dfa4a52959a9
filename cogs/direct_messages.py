"""Send results by direct message, on request or always."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

import discord
from discord.ext import commands
from discord.utils import DEFAULT_FILE_SIZE_LIMIT_BYTES

from bot.client import Client
from bot.discord_calls import NO_MENTIONS, post_once, retry_until_available
from bot.images.metadata import filename_stem
from bot.jobs.delivery import is_result_message
from bot.jobs.films.drawing import is_film
from bot.services import Services
from bot.ui import job_text
from bot.ui.i18n import audience, tr
from bot.ui.text import escape_markdown, jump_url, truncate
from db.direct_messages import DirectMessage, DirectMessageKind
from db.jobs import JobRecord
from generation.errors import UserError
from generation.job import Job
from generation.params import Tile
from generation.prompt import format_prompt

log = logging.getLogger(__name__)

MAX_PROMPT_LENGTH = 800  # characters shown; escaping may double them


@dataclass(frozen=True, slots=True)
class ImageMessage:
    """One image of a result, or its film, with its text."""

    content: str
    image: bytes
    filename: str
    spoiler: bool
    description: str

    def file(self) -> discord.File:
        """Return the image as a new file: discord.py uses each one up."""
        return discord.File(io.BytesIO(self.image), self.filename, spoiler=self.spoiler, description=self.description)


class DirectMessages(commands.Cog):
    """Send copies of their results to those who want them all, and resume what a restart interrupted."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.services = client.services
        self._unsent: list[DirectMessage] = []

    async def cog_load(self) -> None:
        self._unsent = await self.services.db.direct_messages.all()

    @commands.Cog.listener()
    async def on_connect(self) -> None:
        """Send the rest of what earlier clients had begun to send."""
        while self._unsent:
            self._spawn(self._unsent.pop(), resumed=True)

    @commands.Cog.listener()
    async def on_copy_wanted(self, job: Job) -> None:
        """Send the copy of a result."""
        for message in await self.services.db.direct_messages.copies(job.id):
            self._spawn(message, resumed=False)

    def _spawn(self, message: DirectMessage, *, resumed: bool) -> None:
        name = f"{message.kind} of {message.job_id} for {message.person_id}"
        self.client.tasks.spawn(name, self._send(message, resumed=resumed))

    async def _send(self, message: DirectMessage, *, resumed: bool) -> None:
        try:
            await send(self.client, message, resumed=resumed)
        except discord.Forbidden:
            log.info("job %s: its requester does not accept direct messages", message.job_id)
        except Exception:
            log.exception("job %s: its images could not be sent by direct message", message.job_id)


async def send_images(client: Client, record: JobRecord, person_id: int) -> None:
    """Send a job's images one by one; raise discord.Forbidden where the user does not accept direct messages."""
    message = await client.services.db.direct_messages.add(record.job.id, person_id, DirectMessageKind.IMAGES)
    if message is None:
        raise UserError(tr("I am already sending you these pictures."))
    await send(client, message, resumed=False)


async def send(client: Client, message: DirectMessage, *, resumed: bool) -> None:
    """Send a stored direct message and remove it from the store, unless the bot stops first.

    If it is `resumed`, what the user already has is not sent again.
    """
    try:
        await _send_all(client, message, resumed=resumed)
    except Exception:
        await client.services.db.direct_messages.remove(message)
        raise
    await client.services.db.direct_messages.remove(message)


async def _send_all(client: Client, message: DirectMessage, *, resumed: bool) -> None:
    record = await client.services.db.jobs.get(message.job_id)
    if record is None or record.suffix is None:
        return
    channel = await retry_until_available(lambda: client.create_dm(discord.Object(message.person_id)))
    if message.kind is DirectMessageKind.COPY:
        await _send_copy(client, channel, record, message, resumed=resumed)
        return
    for index in range(record.job.params.count):
        tile = Tile(record.job.id, index)
        image = await _image_message(client.services, record, tile, DEFAULT_FILE_SIZE_LIMIT_BYTES)
        nonce = f"{tile}-{int(message.asked_at * 1000) % 10**8}"  # another request for the same images has another
        await post_once(
            channel,
            message.asked_at,
            partial(_has_file_of, tile),
            partial(_post, channel, image, nonce),
            search_first=resumed,
        )


async def _send_copy(
    client: Client, channel: discord.DMChannel, record: JobRecord, message: DirectMessage, *, resumed: bool
) -> None:
    job, services = record.job, client.services
    image = await services.images.files.read_grid(job.id, record.suffix or "")
    image, suffix = await services.images.resizer.fit_to_limit(
        image, record.suffix or "", DEFAULT_FILE_SIZE_LIMIT_BYTES, job
    )
    with audience(private=True):
        result = await client.jobs.runner.build_result_message(job, image, suffix, None)

    async def post() -> int:
        sent = await channel.send(
            result.content,
            files=result.files(),
            embeds=result.embeds(),
            view=result.view,
            allowed_mentions=NO_MENTIONS,
            nonce=f"{job.id}-copy",
        )
        return sent.id

    # A private result may have become a direct message itself, and then needs no copy.
    may_be_there = resumed or not job.destination.by_channel
    await post_once(channel, job.asked_at, partial(is_result_message, job), post, search_first=may_be_there)


async def _post(channel: discord.DMChannel, image: ImageMessage, nonce: str) -> int:
    sent = await channel.send(
        image.content, file=image.file(), allowed_mentions=NO_MENTIONS, suppress_embeds=True, nonce=nonce
    )
    return sent.id


def _has_file_of(tile: Tile, message: discord.Message) -> bool:
    return any(f"_{tile}." in attachment.filename for attachment in message.attachments)


async def image_messages(services: Services, record: JobRecord, limit: int) -> AsyncIterator[ImageMessage]:
    """Yield each image of a job in at most `limit` bytes; raise UserError if they are deleted."""
    for index in range(record.job.params.count):
        yield await _image_message(services, record, Tile(record.job.id, index), limit)


async def _image_message(services: Services, record: JobRecord, tile: Tile, limit: int) -> ImageMessage:
    job = record.job
    files, suffix = services.images.files, record.suffix or ""
    try:
        if is_film(job):
            image = await files.read_grid(job.id, suffix)
        else:
            image, suffix = await files.read(tile), "png"
    except FileNotFoundError:
        raise UserError(tr("This picture is no longer stored.")) from None
    image, suffix = await services.images.resizer.fit_to_limit(image, suffix, limit, job)
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
