"""The pictures on disk: whole files only, written off the event loop."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
from pathlib import Path

from generation.messages import Grid
from generation.params import Picture, Tile, Upload

_NAME = re.compile(r"[0-9A-Za-z-]+")


class Pictures:
    """Keep tiles, sheets and uploads below one folder, in sub-folders that stay small."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def save(self, job_id: str, grid: Grid) -> None:
        """Keep a job's tiles and its sheet; saving again replaces them."""
        files = {self.path(Tile(job_id, index)): tile for index, tile in enumerate(grid.tiles)}
        await asyncio.to_thread(_write_all, files | {self.sheet(job_id, grid.suffix): grid.sheet})

    async def take_in(self, data: bytes) -> Upload:
        """Keep a picture that somebody brought."""
        upload = Upload(await asyncio.to_thread(_digest, data))
        await asyncio.to_thread(_write_all, {self.path(upload): data})
        return upload

    async def read(self, picture: Picture) -> bytes:
        """Give a picture's PNG; raises FileNotFoundError when it is no longer kept."""
        return await asyncio.to_thread(self.path(picture).read_bytes)

    async def read_sheet(self, job_id: str, suffix: str) -> bytes:
        """Give a job's sheet; raises FileNotFoundError when it is no longer kept."""
        return await asyncio.to_thread(self.sheet(job_id, suffix).read_bytes)

    def path(self, picture: Picture) -> Path:
        """Tell where a picture is, or would be; raises ValueError for a name that would lead elsewhere."""
        match picture:
            case Tile():
                return self._place("tiles", str(picture), "png")
            case Upload(digest=digest):
                return self._place("uploads", digest, "png")

    def sheet(self, job_id: str, suffix: str) -> Path:
        """Tell where a job's sheet is, or would be; raises ValueError for a name that would lead elsewhere."""
        return self._place("sheets", job_id, suffix)

    def _place(self, kind: str, stem: str, suffix: str) -> Path:
        if not _NAME.fullmatch(stem) or not _NAME.fullmatch(suffix):
            raise ValueError(f"not the name of a picture: {stem!r}, {suffix!r}")
        return self._folder / kind / stem[:2] / f"{stem}.{suffix}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write_all(files: dict[Path, bytes]) -> None:
    # A job is only called drawn once its pictures survive a power cut: the data, and the way to it.
    for path, data in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, data)
    for folder in {folder for path in files for folder in path.parents[:3]}:
        _sync_folder(folder)


def _write(path: Path, data: bytes) -> None:
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.partial")  # the same picture may come twice at once
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
