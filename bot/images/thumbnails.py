"""Thumbnails of tiles: the engine makes those of a grid; others are made when one is asked for."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence

from PIL import Image

from db.image_files import ImageStore
from generation.files.fingerprint import fingerprints
from generation.files.thumbnail import encode_thumbnail
from generation.params import Tile

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
            return await self._images.make_thumbnail(tile, _encode)

    async def picture(self, tile: Tile) -> Image.Image:
        """Return a tile's thumbnail as an image; raises like `get`."""
        return await asyncio.to_thread(_decode, await self.get(tile))

    async def fingerprints(self, tiles: Sequence[Tile]) -> bytes:
        """Return the fingerprints of tiles, which are those of their thumbnails; raises like `get`."""
        try:
            return await asyncio.to_thread(self._stored_fingerprints, tiles)  # at once: each change of threads costs
        except FileNotFoundError:
            return await asyncio.to_thread(fingerprints, [await self.picture(tile) for tile in tiles])

    def _stored_fingerprints(self, tiles: Sequence[Tile]) -> bytes:
        return fingerprints([_decode(self._images.thumbnail_path(tile).read_bytes()) for tile in tiles])


def _encode(png: bytes) -> bytes:
    with Image.open(io.BytesIO(png)) as opened:
        return encode_thumbnail(opened)


def _decode(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as opened:
        return opened.convert("RGB")
