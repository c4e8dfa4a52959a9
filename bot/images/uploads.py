"""Pictures that people bring, attached or by link: fetched, made harmless, kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import discord

from bot.discord_calls import TRANSPORT_ERRORS
from bot.images.link_fetcher import LinkFetcher
from bot.ui.text import escape_markdown, truncate
from db.image_files import ImageStore
from generation.errors import UserError
from generation.files import sanitize
from generation.params import Upload

MAX_CONCURRENT = 2  # each takes memory, and a thread that others wait for
DOWNLOAD_TIMEOUT_S = 60.0  # seconds
MAX_NAME_LENGTH = 100  # characters of a file's name or a link in a complaint


class UploadImporter:
    """Take in pictures, a few at a time."""

    def __init__(self, images: ImageStore, fetcher: LinkFetcher) -> None:
        self._images, self._fetcher = images, fetcher
        self._semaphore = asyncio.Semaphore(MAX_CONCURRENT)

    async def import_attachment(self, image: discord.Attachment) -> Upload:
        """Keep what somebody attached; raises Complaint for what is no picture."""
        if image.size > sanitize.MAX_BYTES:
            raise UserError(
                f"`{image.filename}` is too large: I take pictures of up to {sanitize.MAX_BYTES >> 20} MiB."
            )
        try:
            async with self._semaphore, asyncio.timeout(DOWNLOAD_TIMEOUT_S):
                png = await asyncio.to_thread(sanitize.sanitize_image, await image.read())
        except TRANSPORT_ERRORS:
            raise UserError(f"Discord did not give me `{image.filename}`: please try again.") from None
        return await self._images.save_upload(png)

    async def import_link(self, link: str) -> Upload:
        """Keep what lies behind a link; raises Complaint for what is no picture, or is not to be had."""
        data = await self._fetcher.fetch(link)
        try:
            async with self._semaphore:
                png = await asyncio.to_thread(sanitize.sanitize_image, data)
        except UserError as complaint:
            raise UserError(f"{escape_markdown(truncate(link, MAX_NAME_LENGTH))}\\: {complaint}") from None
        return await self._images.save_upload(png)

    async def import_attachments(self, images: Iterable[discord.Attachment]) -> list[Upload]:
        """Keep several attached pictures, in their order."""
        return list(await asyncio.gather(*map(self.import_attachment, images)))

    async def import_links(self, links: Iterable[str]) -> list[Upload]:
        """Keep what lies behind several links, in their order."""
        return list(await asyncio.gather(*map(self.import_link, links)))
