"""Pictures that people bring, attached or by link: fetched, made harmless, kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import discord

from bot.delivery import TROUBLE
from bot.fetch import Fetcher
from db.image_files import ImageStore
from generation.display import escape, shorten
from generation.errors import UserError
from generation.files import sanitize
from generation.params import Upload

MOST_AT_ONCE = 2  # each takes memory, and a thread that others wait for
DOWNLOAD_TIMEOUT = 60.0  # seconds
LONGEST_NAME = 100  # characters of a file's name or a link in a complaint


class TakingIn:
    """Take in pictures, a few at a time."""

    def __init__(self, pictures: ImageStore, fetcher: Fetcher) -> None:
        self._pictures, self._fetcher = pictures, fetcher
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    async def attachment(self, image: discord.Attachment) -> Upload:
        """Keep what somebody attached; raises Complaint for what is no picture."""
        if image.size > sanitize.MAX_BYTES:
            raise UserError(
                f"`{image.filename}` is too large: I take pictures of up to {sanitize.MAX_BYTES >> 20} MiB."
            )
        try:
            async with self._places, asyncio.timeout(DOWNLOAD_TIMEOUT):
                png = await asyncio.to_thread(sanitize.sanitize_image, await image.read())
        except TROUBLE:
            raise UserError(f"Discord did not give me `{image.filename}`: please try again.") from None
        return await self._pictures.save_upload(png)

    async def link(self, link: str) -> Upload:
        """Keep what lies behind a link; raises Complaint for what is no picture, or is not to be had."""
        data = await self._fetcher.fetch(link)
        try:
            async with self._places:
                png = await asyncio.to_thread(sanitize.sanitize_image, data)
        except UserError as complaint:
            raise UserError(f"{escape(shorten(link, LONGEST_NAME))}\\: {complaint}") from None
        return await self._pictures.save_upload(png)

    async def attachments(self, images: Iterable[discord.Attachment]) -> list[Upload]:
        """Keep several attached pictures, in their order."""
        return list(await asyncio.gather(*map(self.attachment, images)))

    async def links(self, links: Iterable[str]) -> list[Upload]:
        """Keep what lies behind several links, in their order."""
        return list(await asyncio.gather(*map(self.link, links)))
