"""A person's pictures and prompts as zip files, each small enough to be sent, each with its own list of jobs."""

from __future__ import annotations

import asyncio
import json
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.fitting import Fitting
from bot.studio import Studio
from db.privacy import START_CURSOR, Cursor
from generation.display import slug
from generation.files.grid_image import reencode
from generation.job import Action
from generation.params import ImageRef, Tile, Upload, from_dict

LARGEST_PART = 24 * 2**20  # bytes; Discord takes requests of 25 MiB
PARTS_AT_ONCE = 4  # Discord allows five further answers where the bot is no member
BITE = 50  # jobs that are looked at together
ENTRY = 300  # bytes that a file takes in a zip besides what it holds, its name included twice
DRAWN = "pictures/"
BRINGING = (Action.IMAGINE, Action.BLEND)  # what a person can bring pictures to; the rest takes them over


@dataclass(frozen=True, slots=True)
class Part:
    """A zip file on disk; `after` is where the next one goes on, or None when there is nothing more."""

    path: Path
    jobs: int
    pictures: int
    after: Cursor | None


@dataclass(frozen=True, slots=True)
class _Piece:
    """A job with its files by the names they get, and the bytes that all of it will take."""

    entry: dict[str, Any]
    files: dict[str, Path | bytes]
    size: int


async def pack(studio: Studio, person_id: int, after: Cursor, limit: int, target: Path) -> Part:
    """Write what of a person's jobs comes `after` a place, and fits into `limit` bytes, to a zip at `target`."""
    with zipfile.ZipFile(target, "w") as archive:
        packing = _Packing(archive, limit)
        if after == START_CURSOR:
            packing.add_text("you.json", await studio.privacy.export_rows(person_id))
        next_ = await _fill(packing, studio, person_id, after)
        await asyncio.to_thread(packing.add_text, "jobs.json", packing.entries)
    return Part(target, len(packing.entries), len(packing.names), next_)


async def _fill(packing: _Packing, studio: Studio, person_id: int, after: Cursor) -> Cursor | None:
    while jobs := await studio.privacy.export_jobs(person_id, after, BITE):
        for job in jobs:
            piece = await asyncio.to_thread(_piece, job, studio, packing.limit // 2)
            if not packing.has_room(piece):
                return after
            await asyncio.to_thread(packing.add, piece)
            after = Cursor(job["asked_at"], job["id"])
    return None


class _Packing:
    """A zip file that is being filled."""

    def __init__(self, archive: zipfile.ZipFile, limit: int) -> None:
        self.limit = limit
        self.entries: list[dict[str, Any]] = []
        self.names: set[str] = set()
        self._archive = archive
        self._size = ENTRY  # of what is in it, and of the list that is still to come

    def has_room(self, piece: _Piece) -> bool:
        """Tell whether a piece fits as well; the first always does."""
        return not self.entries or self._size + piece.size <= self.limit

    def add(self, piece: _Piece) -> None:
        """Put a job's files in, but for those that another job has brought already."""
        self.entries.append(piece.entry)
        self._size += piece.size
        for name in piece.files.keys() - self.names:
            content = piece.files[name]
            with suppress(FileNotFoundError):  # deleted in this moment
                if isinstance(content, bytes):
                    self._archive.writestr(name, content)
                else:
                    self._archive.write(content, name)
                self.names.add(name)

    def add_text(self, name: str, values: Any) -> None:
        """Put plain values in, as JSON."""
        self._archive.writestr(name, json.dumps(values, ensure_ascii=False, indent=1), zipfile.ZIP_DEFLATED)
        self._size += self._archive.getinfo(name).compress_size + ENTRY


def _piece(job: dict[str, Any], studio: Studio, most: int) -> _Piece:
    """Gather a job's files as far as they are kept; where they are more than `most` bytes, smaller ones."""
    paths = {name: studio.pictures.path(picture) for name, picture in _pictures(job)}
    kept: dict[str, Path | bytes] = {name: path for name, path in paths.items() if path.exists()}
    if _size(kept) > most:
        kept = dict(_made_smaller(job, paths, studio.fitting, most // len(kept) - ENTRY))
    entry = job | {"asked_at": datetime.fromtimestamp(job["asked_at"], UTC).isoformat(), "files": sorted(kept)}
    return _Piece(entry, kept, _size(kept) + len(json.dumps(entry, indent=1).encode()))


def _pictures(job: dict[str, Any]) -> Iterator[tuple[str, ImageRef]]:
    params = from_dict(job["params"])
    day = datetime.fromtimestamp(job["asked_at"], UTC).date()
    if job["suffix"] and job["action"] != Action.PICK:  # a picked picture is one of the grid's
        words = slug(params.parts[0].text)
        for index in range(params.count):
            tile = Tile(job["id"], index)
            yield f"{DRAWN}{day}_{words}_{tile}.png", tile
    if job["action"] in BRINGING:
        for picture in (params.source, params.mask, *params.blended):
            if isinstance(picture, Upload):
                yield f"brought/{picture.digest[:16]}.png", picture


def _made_smaller(
    job: dict[str, Any], paths: dict[str, Path], fitting: Fitting, most: int
) -> Iterator[tuple[str, bytes]]:
    """Give pictures of at most `most` bytes each, with another name where that takes another picture.

    No machine made those that somebody brought, so nothing says so in them.
    """
    params = from_dict(job["params"])
    for name, path in paths.items():
        with suppress(FileNotFoundError):
            data = path.read_bytes()
            if len(data) > most:
                ours = name.startswith(DRAWN)
                data, suffix = fitting.smaller(data, most, params) if ours else reencode(data, most)
                name = f"{name.removesuffix('.png')}_smaller.{suffix}"
            yield name, data


def _size(files: dict[str, Path | bytes]) -> int:
    return sum(ENTRY + (len(each) if isinstance(each, bytes) else _length(each)) for each in files.values())


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
