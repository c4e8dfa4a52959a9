"""Thumbnails of tiles: made when a result is posted, or when one is asked for."""

from __future__ import annotations

import asyncio
import io

from PIL import Image

from db.image_files import ImageStore
from generation.params import Tile

SIDE = 320  # pixels of the longer side
QUALITY = 82  # of the WebP
MAX_CONCURRENT = 2  # each takes the memory of a whole tile


class Thumbnails:
    """Read and make thumbnails, a few at a time."""

    def __init__(self, images: ImageStore) -> None:
        self._images = images
        self._semaphore = asyncio.Semaphore(MAX_CONCURRENT)

    async def get(self, tile: Tile) -> bytes:
        """Return a tile's thumbnail as WebP; raises FileNotFoundError and UserError as `ImageStore.read` does."""
        try:
            return await self._images.read_thumbnail(tile)
        except FileNotFoundError:
            return await self.make(tile)

    async def make(self, tile: Tile) -> bytes:
        """Make and store a tile's thumbnail; raises like `get`."""
        async with self._semaphore:
            png = await self._images.read(tile)
            data = await asyncio.to_thread(_thumbnail, png)
        await self._images.save_thumbnail(tile, data)
        if not await asyncio.to_thread(self._images.path(tile).exists):  # it was deleted meanwhile
            await self._images.delete_thumbnail(tile)
            raise FileNotFoundError(f"{tile} is deleted")
        return data

    async def picture(self, tile: Tile) -> Image.Image:
        """Return a tile's thumbnail as an image; raises like `get`."""
        return await asyncio.to_thread(_decode, await self.get(tile))


def _thumbnail(png: bytes) -> bytes:
    with Image.open(io.BytesIO(png)) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "WEBP", quality=QUALITY)
    return file.getvalue()


def _decode(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as opened:
        return opened.convert("RGB")
