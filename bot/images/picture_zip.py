"""Zip files of pictures with their prompts as CSV, made while they are sent: one picture is in memory at a time."""

from __future__ import annotations

import asyncio
import csv
import io
import zipfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bot.ui.text import slugify
from db.image_files import ImageStore
from generation.errors import UserError
from generation.job import Job
from generation.models.registry import ModelRegistry
from generation.params import Tile
from generation.prompt import format_prompt

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

MAX_PICTURES = 500
ENTRY_OVERHEAD = 400  # bytes of an entry beyond its content; the name is stored twice
COLUMNS = ("file", "prompt", "seed", "model", "width", "height", "author", "date", "job")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet would run


@dataclass(frozen=True, slots=True, kw_only=True)
class ZippedPicture:
    """A picture of a zip, and its line in the table; `name` is that of its file."""

    tile: Tile
    name: str
    row: tuple[str, ...]

    @classmethod
    def of(cls, job: Job, tile: Tile, registry: ModelRegistry, *, with_name: bool) -> Self:
        """Return a job's tile; `with_name` says whether its table may name the requester."""
        params = job.params
        stem = slugify(params.parts[0].text if params.parts else "")
        row = (
            format_prompt(params, registry),
            str(params.seed_of(tile.index)),
            registry.model_name(params),
            str(params.width),
            str(params.height),
            job.requester.name if with_name else "",
            datetime.fromtimestamp(job.asked_at, UTC).isoformat(timespec="seconds"),
            job.id,
        )
        return cls(tile=tile, name=f"{stem}_{tile}.png", row=row)


async def stream_zip(images: ImageStore, pictures: Iterable[ZippedPicture]) -> AsyncIterator[bytes]:
    """Yield a zip of pictures with `prompts.csv`; pictures that are no longer stored are left out.

    Nothing is compressed: images are already, and a reader gets each file byte for byte.
    """
    sink = _Sink()
    rows: list[tuple[str, ...]] = []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for picture in pictures:
            with suppress(FileNotFoundError, UserError):
                data = await images.read(picture.tile)
                await asyncio.to_thread(archive.writestr, picture.name, data)
                rows.append((picture.name, *picture.row))
                yield sink.take()
        archive.writestr("prompts.csv", prompts_csv(rows))
    yield sink.take()


async def write_zip(images: ImageStore, pictures: Sequence[ZippedPicture], limit: int, target: Path) -> int:
    """Write a zip of at most `limit` bytes; return how many of the pictures are in it, the first ones."""
    chosen = await asyncio.to_thread(_fitting, images, pictures, limit)
    with target.open("wb") as file:
        async for chunk in stream_zip(images, chosen):
            await asyncio.to_thread(file.write, chunk)
    return len(chosen)


def _fitting(images: ImageStore, pictures: Sequence[ZippedPicture], limit: int) -> list[ZippedPicture]:
    """Return the first pictures that fit into a zip of `limit` bytes, those that are still stored."""
    size, chosen = ENTRY_OVERHEAD, list[ZippedPicture]()
    for picture in pictures[:MAX_PICTURES]:
        with suppress(FileNotFoundError):
            size += images.path(picture.tile).stat().st_size + ENTRY_OVERHEAD + len(prompts_csv([picture.row]))
            if size > limit:
                break
            chosen.append(picture)
    return chosen


def prompts_csv(rows: Iterable[tuple[str, ...]]) -> bytes:
    """Return the table of a zip, for spreadsheets too: they would run a prompt that begins like a formula."""
    file = io.StringIO(newline="")
    table = csv.writer(file)
    table.writerow(COLUMNS)
    table.writerows([_plain(cell) for cell in row] for row in rows)
    return b"\xef\xbb\xbf" + file.getvalue().encode()


def _plain(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


class _Sink(io.RawIOBase):
    """Collect what is written until it is taken; it cannot seek, so the zip never asks for what was sent."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        part = bytes(data)
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        """Return everything since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)
