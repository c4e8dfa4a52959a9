"""Find the job that made a picture, and pictures like it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from PIL import Image

from bot.finding.cutouts import CutOut, cut_outs
from bot.finding.outline_file import UNFINISHED, OutlineFile
from bot.images.thumbnails import Thumbnails
from db.finding.gallery import Gallery, View
from db.finding.picture_index import Fingerprints, PictureIndex
from generation.errors import UserError
from generation.files.fingerprint import LENGTH, Bytes, is_copy, likenesses, outline, unpacked
from generation.params import Tile

CANDIDATES = 400  # tiles whose fingerprints are compared
MAX_TILES = 4  # of a job
COMPARED = 20  # tiles that are compared as pictures
MAX_RESULTS = 25
SAME, SIMILAR = 0.95, 0.8  # likeness of pictures
ALIKE = 0.6  # likeness of fingerprints below which pictures have nothing in common
_UNIT = 254.0**2  # the product of a fingerprint with itself

log = logging.getLogger(__name__)


class Verdict(StrEnum):
    """How sure it is that a picture is the one that was searched for."""

    SAME = "same"
    SIMILAR = "similar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A tile that was found, and its likeness, up to 1."""

    tile: Tile
    likeness: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class _Scored:
    tile: Tile
    score: float
    query: int  # the number of the cut-out that it is like


class PictureFinder:
    """Search fingerprints: the outlines of all pictures first, then what the database has of the likeliest ones."""

    def __init__(self, index: PictureIndex, gallery: Gallery, thumbnails: Thumbnails, outlines: OutlineFile) -> None:
        self._index, self._gallery, self._thumbnails, self._outlines = index, gallery, thumbnails, outlines
        self._searching = asyncio.Lock()  # each search takes all of a core for a moment

    async def find(self, png: bytes, view: View | None, person_id: int, named_job: str | None = None) -> list[Match]:
        """Return the visible pictures that a file shows, the likeliest first.

        The job that the file names is the answer if its picture is the same: anybody can write a name into a file.
        """
        parts = await asyncio.to_thread(cut_outs, png)
        if named_job is not None and (matches := await self._find_named(parts, named_job, view, person_id)):
            return matches
        async with self._searching:
            vectors = np.stack([part.vector for part in parts])
            scored = await self._scored(vectors, view, person_id)
            return await self._compare(parts, scored[:COMPARED])

    async def like(self, tile: Tile, view: View | None, person_id: int) -> list[Match]:
        """Return visible pictures that look like a tile, the likeliest first, without those of its own job."""
        vector = await self._index.vector(tile)
        if vector is None:
            return []
        async with self._searching:
            scored = await self._scored(unpacked(vector), view, person_id)
        others = [each for each in scored if each.tile.job_id != tile.job_id and each.score > ALIKE]
        return [Match(tile=each.tile, likeness=each.score, verdict=Verdict.SIMILAR) for each in others[:MAX_RESULTS]]

    async def update(self) -> None:
        """Bring the file of outlines up to date; write it anew if it is not that of this database."""
        async with self._searching:
            await self._update()

    async def _update(self) -> None:
        stamp = await asyncio.to_thread(self._outlines.stamp)
        if stamp == UNFINISHED or stamp != await self._index.outline_stamp():
            await self._write_anew()
        await self._apply_changes()

    async def _apply_changes(self, *, anew: bool = False) -> None:
        while (changes := await self._index.outline_changes()) is not None:
            # In a file that has just been written anew, what comes may be there already.
            gone = [*changes.gone, *((each.job_id for each in changes.come) if anew else ())]
            stamp = UNFINISHED if anew else _new_stamp()
            await asyncio.to_thread(self._outlines.change, changes.come, gone, stamp)
            await self._index.changes_done(changes.number, stamp)

    async def _write_anew(self) -> None:
        log.info("the outlines of all pictures are written anew, for searches by picture")
        await asyncio.to_thread(self._outlines.clear)
        async for chunk in self._index.all_outlines():
            await asyncio.to_thread(self._outlines.change, chunk, (), UNFINISHED)
        await self._apply_changes(anew=True)
        stamp = _new_stamp()
        await asyncio.to_thread(self._outlines.change, (), (), stamp)
        await self._index.changes_done(0, stamp)

    async def _find_named(self, parts: Sequence[CutOut], job_id: str, view: View | None, person_id: int) -> list[Match]:
        """Return the tiles of a visible job that a file has unchanged or nearly so, also those without details."""
        found = await self._index.vectors_of_jobs([job_id])
        if job_id not in await self._visible([job_id], found, view, person_id):
            return []
        tiles = [Tile(job_id, index) for index in range(MAX_TILES)]
        pictures = {tile: picture for tile in tiles if (picture := await self._picture(tile)) is not None}
        return await asyncio.to_thread(_copied, parts, pictures)

    async def _scored(self, vectors: Bytes, view: View | None, person_id: int) -> list[_Scored]:
        """Return visible tiles by the likeness of their fingerprints."""
        await self._update()
        channels = view.channels if view is not None else frozenset[int]()
        job_ids = await asyncio.to_thread(self._outlines.search, outline(vectors), channels, person_id, CANDIDATES)
        found = await self._index.vectors_of_jobs(job_ids)
        visible = await self._visible(job_ids, found, view, person_id)
        return _rank([each for each in found if each.job_id in visible], vectors)

    async def _visible(
        self, job_ids: Iterable[str], found: Iterable[Fingerprints], view: View | None, person_id: int
    ) -> set[str]:
        """Return those of some jobs that are the person's own, by what was found of them, or visible to them."""
        visible = {each.job_id for each in found if person_id and each.person_id == person_id}
        if view is not None:
            visible |= await self._gallery.visible(view, set(job_ids) - visible)
        return visible

    async def _compare(self, parts: Sequence[CutOut], scored: Sequence[_Scored]) -> list[Match]:
        """Compare the pictures themselves, and return those that are alike."""
        matches: list[Match] = []
        for query in {each.query for each in scored}:
            tiles = [each.tile for each in scored if each.query == query]
            pictures = {tile: picture for tile in tiles if (picture := await self._picture(tile)) is not None}
            matches += await asyncio.to_thread(_compared, parts[query].image, pictures)
        return sorted(matches, key=lambda match: -match.likeness)

    async def _picture(self, tile: Tile) -> Image.Image | None:
        try:
            return await self._thumbnails.picture(tile)
        except (OSError, UserError):  # deleted, or damaged
            return None


def _new_stamp() -> int:
    return secrets.randbelow(2**62) + 1


def _rank(found: Sequence[Fingerprints], vectors: Bytes) -> list[_Scored]:
    if not found:
        return []
    tiles = [Tile(each.job_id, index) for each in found for index in range(len(each.vectors) // LENGTH)]
    stored = unpacked(b"".join(each.vectors for each in found)).astype(np.float32)
    scores = stored @ vectors.astype(np.float32).T / _UNIT
    best = zip(tiles, scores.max(axis=1).tolist(), scores.argmax(axis=1).tolist(), strict=True)
    scored = [_Scored(tile, score, query) for tile, score, query in best]
    return sorted(scored, key=lambda each: -each.score)


def _copied(parts: Sequence[CutOut], pictures: dict[Tile, Image.Image]) -> list[Match]:
    return [
        Match(tile=tile, likeness=1.0, verdict=Verdict.SAME)
        for tile, picture in pictures.items()
        if any(is_copy(part.image, picture) for part in parts)
    ]


def _compared(image: Image.Image, pictures: dict[Tile, Image.Image]) -> list[Match]:
    if not pictures:
        return []
    scores = zip(pictures, likenesses(image, list(pictures.values())), strict=True)
    return [
        Match(tile=tile, likeness=likeness, verdict=Verdict.SAME if likeness >= SAME else Verdict.SIMILAR)
        for tile, likeness in scores
        if likeness >= SIMILAR
    ]
