"""The pictures on disk: whole files only, written off the event loop."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

from generation.messages import Grid
from generation.params import Picture, Tile, Upload


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
        upload = Upload(hashlib.sha256(data).hexdigest())
        await asyncio.to_thread(_write_all, {self.path(upload): data})
        return upload

    async def read(self, picture: Picture) -> bytes:
        """Give a picture's PNG; raises FileNotFoundError when it is no longer kept."""
        return await asyncio.to_thread(self.path(picture).read_bytes)

    async def read_sheet(self, job_id: str, suffix: str) -> bytes:
        """Give a job's sheet; raises FileNotFoundError when it is no longer kept."""
        return await asyncio.to_thread(self.sheet(job_id, suffix).read_bytes)

    def path(self, picture: Picture) -> Path:
        """Tell where a picture is, or would be."""
        match picture:
            case Tile(job_id=job_id):
                return self._folder / "tiles" / job_id[:2] / f"{picture}.png"
            case Upload(digest=digest):
                return self._folder / "uploads" / digest[:2] / f"{digest}.png"

    def sheet(self, job_id: str, suffix: str) -> Path:
        """Tell where a job's sheet is, or would be."""
        return self._folder / "sheets" / job_id[:2] / f"{job_id}.{suffix}"


def _write_all(files: dict[Path, bytes]) -> None:
    for path, data in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # a job is only called drawn once its pictures survive a power cut
        partial.replace(path)
