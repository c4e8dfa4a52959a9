"""Image files on disk, written atomically and off the event loop."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
import secrets
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

from generation.errors import UserError
from generation.files.completeness import require_complete
from generation.messages import Grid
from generation.params import ImageRef, Tile, Upload

ImageKind = Literal["tiles", "sheets", "uploads", "cells"]

FolderName = ImageKind | Literal["thumbnails", "trails"]

# Names of folders on disk; "sheets" are grid images, "cells" are parts of a canvas.
IMAGE_KINDS: tuple[ImageKind, ...] = get_args(ImageKind)
THUMBNAILS: Literal["thumbnails"] = "thumbnails"  # of tiles; no backup has them, since they can be made again
TRAILS: Literal["trails"] = "trails"  # of videos that are being made; no backup has them either
PARTIAL_SUFFIX = ".partial"  # of a file that is still being written
TRAIL_SUFFIX = "safetensors"
_NAME = re.compile(r"[0-9A-Za-z-]+")
NO_FILES: Mapping[Path, bytes] = MappingProxyType({})


log = logging.getLogger(__name__)


class ImageStore:
    """Store tiles, grid images and uploads below one folder, in subfolders that stay small."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._replace_lock = threading.Lock()  # so that `delete_older` never deletes a file just written again
        self._saves: dict[asyncio.Future[None], str] = {}  # which go on if their caller is cancelled, with their jobs

    async def save(self, job_id: str, grid: Grid) -> None:
        """Store a job's tiles, their thumbnails and the grid image; saving again replaces them."""
        files = {self.path(Tile(job_id, index)): tile for index, tile in enumerate(grid.tiles)}
        if grid.trail:
            files[self._trail_path(job_id)] = grid.trail
        files[self.grid_path(job_id, grid.suffix)] = grid.image
        small = {self.thumbnail_path(Tile(job_id, index)): data for index, data in enumerate(grid.thumbnails)}
        await self._save(job_id, files, small)

    async def save_tile(self, tile: Tile, data: bytes) -> None:
        """Store one tile; a picture of a film may have a number that no other tile has."""
        await self._save(tile.job_id, {self.path(tile): data})

    async def save_grid(self, job_id: str, suffix: str, data: bytes) -> None:
        """Store a job's result in another format, beside its grid image."""
        await self._save(job_id, {self.grid_path(job_id, suffix): data})

    async def save_upload(self, data: bytes) -> Upload:
        """Store an uploaded image under its SHA-256 digest."""
        upload = Upload(await asyncio.to_thread(_digest, data))
        await asyncio.to_thread(self._write_all, {self.path(upload): data})
        return upload

    async def save_cells(self, cells: Mapping[Path, bytes]) -> None:
        """Store the files of cells by their paths, see `cell_path`; writing one again replaces it."""
        await asyncio.to_thread(self._write_all, dict(cells))

    async def delete_cells(self, session_id: str, kept: Collection[str]) -> int:
        """Delete the files of a canvas but those with the stems `kept`; return their number."""
        folder = self._file_path("cells", session_id, "png").parent

        def delete() -> int:
            files = [path for path in _job_files(folder, session_id) if path.stem not in kept]
            return _unlink_all(files)

        return await asyncio.to_thread(delete)

    async def read(self, image: ImageRef) -> bytes:
        """Return an image as PNG; raises FileNotFoundError if it was deleted, and UserError if it is damaged."""
        return await asyncio.to_thread(self._read, self.path(image))

    async def read_grid(self, job_id: str, suffix: str) -> bytes:
        """Return a job's grid image; raises like `read`."""
        return await asyncio.to_thread(self._read, self.grid_path(job_id, suffix))

    async def make_thumbnail(self, tile: Tile, encode: Callable[[bytes], bytes]) -> bytes:
        """Make the thumbnail of a tile, store it and return it; raises like `read`."""
        return await asyncio.to_thread(self._make_thumbnail, tile, encode)

    async def delete_thumbnail(self, tile: Tile) -> None:
        """Delete the thumbnail of a tile, if there is one."""
        await asyncio.to_thread(self.thumbnail_path(tile).unlink, missing_ok=True)

    async def read_thumbnail(self, tile: Tile) -> bytes:
        """Return the thumbnail of a tile; raises FileNotFoundError if there is none yet."""
        return await asyncio.to_thread(self.thumbnail_path(tile).read_bytes)

    async def has_trail(self, job_id: str) -> bool:
        """Return whether a job's trail is stored."""
        return await asyncio.to_thread(self._trail_path(job_id).exists)

    async def read_trail(self, job_id: str) -> bytes | None:
        """Return a job's trail, or None without one."""
        with suppress(FileNotFoundError):
            return await asyncio.to_thread(self._trail_path(job_id).read_bytes)
        return None

    async def delete_trail(self, job_id: str) -> None:
        """Delete a job's trail, if there is one."""
        await asyncio.to_thread(self._trail_path(job_id).unlink, missing_ok=True)

    async def trails(self) -> list[str]:
        """Return the jobs whose trails are stored."""
        return await asyncio.to_thread(
            lambda: [path.stem for folder in self.folders(TRAILS) for path in folder.glob(f"*.{TRAIL_SUFFIX}")]
        )

    async def delete(self, job_id: str) -> int:
        """Delete a job's tiles, grid images, thumbnails and trail; return the number of files."""
        while saves := [save for save, of_job in self._saves.items() if of_job == job_id]:
            await asyncio.wait(saves)
        tile = Tile(job_id, 0)
        paths = (self.path(tile), self.grid_path(job_id, "png"), self.thumbnail_path(tile), self._trail_path(job_id))
        folders = tuple(path.parent for path in paths)
        return await asyncio.to_thread(_unlink_all, (path for folder in folders for path in _job_files(folder, job_id)))

    async def delete_older(self, paths: Iterable[Path], before: float) -> int:
        """Delete those of `paths` that were written before a time (Unix seconds); return their number."""
        return await asyncio.to_thread(self._delete_older, paths, before)

    def folders(self, kind: FolderName) -> list[Path]:
        """Return the subfolders with images of one kind."""
        return sorted(path for path in (self._folder / kind).glob("*") if path.is_dir())

    def path(self, image: ImageRef) -> Path:
        """Return the path of an image, which need not exist; raises ValueError for a name that leaves the folder."""
        match image:
            case Tile():
                return self._file_path("tiles", str(image), "png")
            case Upload(digest=digest):
                return self._file_path("uploads", digest, "png")

    def grid_path(self, job_id: str, suffix: str) -> Path:
        """Return the path of a job's grid image, which need not exist; raises ValueError as `path` does."""
        return self._file_path("sheets", job_id, suffix)

    def cell_path(self, stem: str, suffix: str) -> Path:
        """Return the path of a cell, a "png" or a small "jpg", by its stem from `cell_stem`."""
        return self._file_path("cells", stem, suffix)

    def thumbnail_path(self, tile: Tile) -> Path:
        """Return the path of a tile's thumbnail, which need not exist; raises ValueError as `path` does."""
        return self._file_path(THUMBNAILS, str(tile), "webp")

    def _trail_path(self, job_id: str) -> Path:
        return self._file_path(TRAILS, job_id, TRAIL_SUFFIX)

    async def _save(self, job_id: str, files: Mapping[Path, bytes], small: Mapping[Path, bytes] = NO_FILES) -> None:
        # No cancellation ends a thread: `delete` waits for its end, or some of the files would stay for ever.
        saving = asyncio.ensure_future(asyncio.to_thread(self._write_all, files, small))
        self._saves[saving] = job_id
        saving.add_done_callback(self._saves.pop)
        await asyncio.shield(saving)

    def _make_thumbnail(self, tile: Tile, encode: Callable[[bytes], bytes]) -> bytes:
        path = self.thumbnail_path(tile)
        data = encode(self._read(self.path(tile)))
        self._write_thumbnail(path, data)
        if not self.path(tile).exists():  # it was deleted meanwhile
            path.unlink(missing_ok=True)
            raise FileNotFoundError(f"{tile} is deleted")
        return data

    def _write_thumbnail(self, path: Path, data: bytes) -> None:
        # It need not survive a power cut.
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
        try:
            partial.write_bytes(data)
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def _read(self, path: Path) -> bytes:
        data = path.read_bytes()
        try:
            require_complete(data)
        except UserError:
            log.error("%s is damaged: restore it from a backup, and check the disk", path)
            raise
        return data

    def _write_all(self, files: Mapping[Path, bytes], thumbnails: Mapping[Path, bytes] = NO_FILES) -> None:
        # A job only counts as generated once its images survive a power cut, and so do their directory entries.
        for path, data in thumbnails.items():
            self._write_thumbnail(path, data)
        for folder in {path.parent for path in files}:
            folder.mkdir(parents=True, exist_ok=True)
        for path, data in files.items():
            self._write(path, data)
        for folder in {folder for path in files for folder in path.parents[:3]}:
            fsync_folder(folder)

    def _write(self, path: Path, data: bytes) -> None:
        # The same upload may be written twice at the same time.
        partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
        try:
            with partial.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            with self._replace_lock:
                partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def _delete_older(self, paths: Iterable[Path], before: float) -> int:
        deleted = 0
        for path in paths:
            with self._replace_lock:
                deleted += _is_older(path, before) and _unlink(path)
        return deleted

    def _file_path(self, kind: FolderName, stem: str, suffix: str) -> Path:
        if not _NAME.fullmatch(stem) or not _NAME.fullmatch(suffix):
            raise ValueError(f"not a valid image name: {stem!r}, {suffix!r}")
        return self._folder / kind / stem[:2] / f"{stem}.{suffix}"


def cell_stem(session_id: str, tile: Tile, x: int, y: int) -> str:
    """Return the name of a canvas's cell that was cut from a tile: another candidate never overwrites it."""
    return f"{session_id}-{tile}-{x}-{y}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _job_files(folder: Path, job_id: str) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [Path(entry) for entry in entries if entry.name.startswith((f"{job_id}-", f"{job_id}."))]
    except FileNotFoundError:
        return []


def _unlink_all(paths: Iterable[Path]) -> int:
    return sum(map(_unlink, paths))


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _is_older(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except FileNotFoundError:
        return False


def fsync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that files just created or renamed in it survive a power cut."""
    if os.name == "nt":  # which flushes them itself, and cannot open a folder
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
