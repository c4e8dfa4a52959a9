"""Export a person's images and prompts as zip files, each small enough to send and with its own list of jobs."""

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

from bot.images.resizing import ImageResizer
from bot.ui.text import slugify
from db.image_files import ImageStore
from db.privacy import START_CURSOR, Cursor, PersonalData
from generation.files.grid_image import reencode
from generation.job import Action
from generation.params import ImageRef, Params, Tile, Upload, from_dict

MAX_PART_BYTES = 24 * 2**20  # bytes; Discord takes requests of 25 MiB
MAX_PARTS_PER_REQUEST = 4  # Discord allows five follow-up messages where the bot is not a member
BATCH_SIZE = 50  # jobs read from the database at a time
ZIP_ENTRY_OVERHEAD = 300  # bytes of a zip entry beyond its content; the name is stored twice
GENERATED_FOLDER = "pictures/"
ACTIONS_WITH_UPLOADS = (Action.IMAGINE, Action.BLEND, Action.EDIT)  # other actions reuse these uploads


@dataclass(frozen=True, slots=True)
class ArchivePart:
    """A zip file on disk; `next_cursor` is where the next part starts, or None after the last part."""

    path: Path
    jobs: int
    images: int
    next_cursor: Cursor | None


@dataclass(frozen=True, slots=True)
class _JobFiles:
    """A job's entry in jobs.json, its files by their name in the zip, and the bytes that all of it takes."""

    entry: dict[str, Any]
    files: dict[str, Path | bytes]
    size: int


async def write_archive_part(
    personal_data: PersonalData,
    images: ImageStore,
    resizer: ImageResizer,
    person_id: int,
    after: Cursor,
    limit: int,
    target: Path,
) -> ArchivePart:
    """Write a zip of at most `limit` bytes to `target`, with a person's jobs that come after the cursor `after`."""
    with zipfile.ZipFile(target, "w") as archive:
        writer = _ArchiveWriter(archive, limit)
        if after == START_CURSOR:
            writer.add_text("you.json", await personal_data.export_rows(person_id))
        next_cursor = await _fill(writer, personal_data, images, resizer, person_id, after)
        await asyncio.to_thread(writer.add_text, "jobs.json", writer.entries)
    return ArchivePart(target, len(writer.entries), len(writer.names), next_cursor)


async def _fill(
    writer: _ArchiveWriter,
    personal_data: PersonalData,
    images: ImageStore,
    resizer: ImageResizer,
    person_id: int,
    after: Cursor,
) -> Cursor | None:
    while jobs := await personal_data.export_jobs(person_id, after, BATCH_SIZE):
        for job in jobs:
            job_files = await asyncio.to_thread(_collect_job_files, job, images, resizer, writer.limit // 2)
            if not writer.has_room(job_files):
                return after
            await asyncio.to_thread(writer.add, job_files)
            after = Cursor(job["asked_at"], job["id"])
    return None


class _ArchiveWriter:
    """Write jobs to a zip file and track its size."""

    def __init__(self, archive: zipfile.ZipFile, limit: int) -> None:
        self.limit = limit
        self.entries: list[dict[str, Any]] = []
        self.names: set[str] = set()
        self._archive = archive
        self._size = ZIP_ENTRY_OVERHEAD  # of the content so far, with room for jobs.json

    def has_room(self, job_files: _JobFiles) -> bool:
        """Return whether a job's files still fit; the first job always fits."""
        return not self.entries or self._size + job_files.size <= self.limit

    def add(self, job_files: _JobFiles) -> None:
        """Add a job's files, except those that another job has already added."""
        self.entries.append(job_files.entry)
        self._size += job_files.size
        for name in job_files.files.keys() - self.names:
            content = job_files.files[name]
            with suppress(FileNotFoundError):  # deleted since it was listed
                if isinstance(content, bytes):
                    self._archive.writestr(name, content)
                else:
                    self._archive.write(content, name)
                self.names.add(name)

    def add_text(self, name: str, values: Any) -> None:
        """Add plain values as a JSON file."""
        self._archive.writestr(name, json.dumps(values, ensure_ascii=False, indent=1), zipfile.ZIP_DEFLATED)
        self._size += self._archive.getinfo(name).compress_size + ZIP_ENTRY_OVERHEAD


def _collect_job_files(job: dict[str, Any], images: ImageStore, resizer: ImageResizer, limit: int) -> _JobFiles:
    """Collect a job's existing files, shrunk if they take more than `limit` bytes together."""
    paths = {name: images.path(image) for name, image in _job_images(job)} | dict(_film_file(job, images))
    files: dict[str, Path | bytes] = {name: path for name, path in paths.items() if path.exists()}
    if _total_size(files) > limit:
        files = dict(_shrink_images(job, paths, resizer, limit // len(files) - ZIP_ENTRY_OVERHEAD))
    entry = job | {"asked_at": datetime.fromtimestamp(job["asked_at"], UTC).isoformat(), "files": sorted(files)}
    return _JobFiles(entry, files, _total_size(files) + len(json.dumps(entry, indent=1).encode()))


def _job_images(job: dict[str, Any]) -> Iterator[tuple[str, ImageRef]]:
    params = from_dict(job["params"])
    if job["suffix"] and not _is_taken_out(job):
        for index in range(params.count if params.film is None else params.film.steps):
            tile = Tile(job["id"], index)
            yield f"{_generated_name(job, params)}_{tile}.png", tile
    if job["action"] in ACTIONS_WITH_UPLOADS:
        style = params.style if job["brought_style"] else None
        control = params.control if job["brought_control"] else None
        character = params.character if job["brought_character"] else None
        given = params.source, params.mask, *params.blended, *params.image_prompts, params.original
        for image in (*given, style, control, character):
            if isinstance(image, Upload):
                yield f"brought/{image.digest[:16]}.png", image


def _film_file(job: dict[str, Any], images: ImageStore) -> Iterator[tuple[str, Path]]:
    """Yield the name and path of a job's film, if it made one."""
    params = from_dict(job["params"])
    if params.film is not None and job["suffix"] and not _is_taken_out(job):
        yield f"{_generated_name(job, params)}_film.{job['suffix']}", images.grid_path(job["id"], job["suffix"])


def _is_taken_out(job: dict[str, Any]) -> bool:
    """Return whether a job's image is a tile of another job's grid."""
    return job["action"] == Action.PICK and job["parent_job"] is not None


def _generated_name(job: dict[str, Any], params: Params) -> str:
    day = datetime.fromtimestamp(job["asked_at"], UTC).date()
    return f"{GENERATED_FOLDER}{day}_{slugify(params.parts[0].text)}"


def _shrink_images(
    job: dict[str, Any], paths: dict[str, Path], resizer: ImageResizer, limit: int
) -> Iterator[tuple[str, bytes]]:
    """Yield files of at most `limit` bytes each; a shrunk file gets a new name.

    Uploads are not AI-generated, so they are shrunk without a signature.
    """
    params = from_dict(job["params"])
    for name, path in paths.items():
        with suppress(FileNotFoundError):
            data = path.read_bytes()
            if len(data) > limit:
                is_generated = name.startswith(GENERATED_FOLDER)
                data, suffix = resizer.shrink(data, limit, params, job["id"]) if is_generated else reencode(data, limit)
                name = f"{name.removesuffix('.png')}_smaller.{suffix}"
            yield name, data


def _total_size(files: dict[str, Path | bytes]) -> int:
    return sum(
        ZIP_ENTRY_OVERHEAD + (len(each) if isinstance(each, bytes) else _file_size(each)) for each in files.values()
    )


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
