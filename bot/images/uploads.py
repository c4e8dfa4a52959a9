"""Import images that users attach or link: fetch, sanitize and save them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from urllib.parse import urlsplit

import discord

from bot.discord_calls import TRANSPORT_ERRORS
from bot.images.link_fetcher import LinkFetcher
from bot.ui.i18n import error_text, tr
from bot.ui.text import escape_markdown, truncate
from db.image_files import ImageStore
from generation.errors import UserError
from generation.files import sanitize
from generation.files.job_name import named_job
from generation.params import Upload

MAX_CONCURRENT = 2  # each takes memory and a thread of the shared pool
DOWNLOAD_TIMEOUT_S = 60.0  # seconds
MAX_NAME_LENGTH = 100  # characters of a file name or link in an error message


class UploadImporter:
    """Import images, a few at a time."""

    def __init__(self, images: ImageStore, fetcher: LinkFetcher) -> None:
        self._images, self._fetcher = images, fetcher
        self._semaphore = asyncio.Semaphore(MAX_CONCURRENT)

    async def import_attachment(self, image: discord.Attachment) -> Upload:
        """Save an attachment; raises UserError if it is not an image."""
        return (await self.import_named_attachment(image))[0]

    async def import_named_attachment(self, image: discord.Attachment) -> tuple[Upload, str | None]:
        """Save an attachment, and return it with the job that its file names, as above."""
        if image.size > sanitize.MAX_BYTES:
            raise UserError(
                tr(
                    "`{file}` is too large: I take pictures of up to {limit} MiB.",
                    file=image.filename,
                    limit=sanitize.MAX_BYTES >> 20,
                )
            )
        try:
            async with self._semaphore, asyncio.timeout(DOWNLOAD_TIMEOUT_S):
                data = await image.read()
                png = await asyncio.to_thread(sanitize.sanitize_image, data)
        except TRANSPORT_ERRORS:
            raise UserError(
                tr("I could not download `{file}` from Discord. Please try again.", file=image.filename)
            ) from None
        return await self._images.save_upload(png), named_job(data, image.filename)

    async def import_link(self, link: str, person_id: int = 0) -> Upload:
        """Save the image behind a person's link; raises UserError if it cannot be fetched or is not an image."""
        return (await self.import_named_link(link, person_id))[0]

    async def import_named_link(self, link: str, person_id: int = 0) -> tuple[Upload, str | None]:
        """Save the image behind a person's link, and return it with the job that its file names, as above."""
        data = await self._fetcher.fetch(link, person_id)
        try:
            async with self._semaphore:
                png = await asyncio.to_thread(sanitize.sanitize_image, data)
        except UserError as error:
            raise UserError(f"{escape_markdown(truncate(link, MAX_NAME_LENGTH))}\\: {error_text(error)}") from None
        return await self._images.save_upload(png), named_job(data, urlsplit(link).path)

    async def import_attachments(self, images: Iterable[discord.Attachment]) -> list[Upload]:
        """Save several attachments and return them in the same order."""
        return list(await asyncio.gather(*map(self.import_attachment, images)))

    async def import_links(self, links: Iterable[str], person_id: int = 0) -> list[Upload]:
        """Save the images behind a person's links and return them in the same order."""
        return list(await asyncio.gather(*(self.import_link(link, person_id) for link in links)))
