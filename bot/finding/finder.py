"""Find the job that made a picture, and pictures like it."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from PIL import Image

from bot.finding.cutouts import CutOut, cut_outs
from bot.finding.outline_table import Candidate, OutlineTable
from bot.images.thumbnails import Thumbnails
from db.gallery import Gallery, View
from db.picture_index import Fingerprints, Outlines, PictureIndex
from generation.errors import UserError
from generation.files.fingerprint import Bytes, likenesses, outline, unpacked
from generation.params import Tile

CANDIDATES = 400  # tiles whose fingerprints are compared
COMPARED = 20  # tiles that are compared as pictures
MAX_RESULTS = 25
SAME, SIMILAR = 0.95, 0.8  # likeness of pictures
ALIKE = 0.6  # likeness of fingerprints below which pictures have nothing in common
MAX_TABLES_BYTES = 256 * 2**20
IDLE_S = 600.0  # after which a table is dropped
_UNIT = 254.0**2  # the product of a fingerprint with itself


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
    """Search fingerprints. A table of outlines is loaded at the first search, and dropped when it is idle."""

    def __init__(self, index: PictureIndex, gallery: Gallery, thumbnails: Thumbnails) -> None:
        self._index, self._gallery, self._thumbnails = index, gallery, thumbnails
        self._tables: OrderedDict[tuple[str, int], OutlineTable] = OrderedDict()
        self._used: dict[tuple[str, int], float] = {}
        self._searching = asyncio.Lock()  # each search takes all of a core for a moment

    async def find(self, png: bytes, view: View | None, person_id: int, hints: Sequence[str] = ()) -> list[Match]:
        """Return the visible pictures that a file shows, the likeliest first; `hints` are job ids that its name has."""
        async with self._searching:
            parts = await asyncio.to_thread(cut_outs, png)
            vectors = np.stack([part.vector for part in parts])
            scored = await self._scored(vectors, view, person_id, hints)
            return await self._compare(parts, scored[:COMPARED])

    async def like(self, tile: Tile, view: View | None, person_id: int) -> list[Match]:
        """Return visible pictures that look like a tile, the likeliest first, without those of its own job."""
        vector = await self._index.vector(tile)
        if vector is None:
            return []
        async with self._searching:
            scored = await self._scored(unpacked(vector), view, person_id, ())
        others = [each for each in scored if each.tile.job_id != tile.job_id and each.score > ALIKE]
        return [Match(tile=each.tile, likeness=each.score, verdict=Verdict.SIMILAR) for each in others[:MAX_RESULTS]]

    def add(self, row: int | None, found: Fingerprints) -> None:
        """Add new fingerprints to the tables in memory."""
        keys = [("person", found.person_id), *([("guild", found.guild_id)] if found.guild_id is not None else [])]
        for table in (self._tables.get(key) for key in keys):
            if table is not None and row is not None:
                table.add([Outlines(id=row, channel_id=found.channel_id, outlines=found.outlines)])

    def forget_idle(self) -> None:
        """Drop the tables that nobody has searched for a while."""
        before = time.monotonic() - IDLE_S
        for key in [key for key in self._tables if self._used.get(key, before) < before]:
            del self._tables[key]

    async def _scored(self, vectors: Bytes, view: View | None, person_id: int, hints: Sequence[str]) -> list[_Scored]:
        """Return visible tiles by the likeness of their fingerprints; those of `hints` come first."""
        queries = outline(vectors)
        candidates: set[Candidate] = set()
        if view is not None:
            table = await self._table(("guild", view.guild_id))
            candidates |= set(await asyncio.to_thread(table.search, queries, view.channels, CANDIDATES))
        if person_id:
            table = await self._table(("person", person_id))
            candidates |= set(await asyncio.to_thread(table.search, queries, None, CANDIDATES))
        found = await self._index.vectors({row for row, _ in candidates})
        found += [each for each in await self._index.vectors_of_jobs(hints) if each[0] not in {row for row, _ in found}]
        visible = await self._visible([each for _, each in found], view, person_id)
        return _rank([each for _, each in found if each.job_id in visible], vectors, hints)

    async def _visible(self, found: Iterable[Fingerprints], view: View | None, person_id: int) -> set[str]:
        jobs = {each.job_id: each for each in found}
        visible = {job_id for job_id, each in jobs.items() if person_id and each.person_id == person_id}
        if view is not None:
            visible |= await self._gallery.visible(view, jobs.keys() - visible)
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

    async def _table(self, key: tuple[str, int]) -> OutlineTable:
        self.forget_idle()
        if (table := self._tables.get(key)) is None:
            table = self._tables[key] = OutlineTable()  # here before it is loaded, so that nothing new is missed
            try:
                await self._load(table, key)
            except BaseException:
                self._tables.pop(key, None)
                raise
        self._used[key] = time.monotonic()
        self._tables.move_to_end(key)
        await asyncio.to_thread(table.merge)
        self._drop_least_used()
        return table

    async def _load(self, table: OutlineTable, key: tuple[str, int]) -> None:
        kind, owner = key
        chunks = self._index.outlines(guild_id=owner) if kind == "guild" else self._index.outlines(person_id=owner)
        async for chunk in chunks:
            await asyncio.to_thread(table.add, chunk)

    def _drop_least_used(self) -> None:
        while len(self._tables) > 1 and sum(table.size for table in self._tables.values()) > MAX_TABLES_BYTES:
            self._tables.popitem(last=False)


def _rank(found: Sequence[Fingerprints], vectors: Bytes, hints: Sequence[str]) -> list[_Scored]:
    queries = vectors.astype(np.float32).T
    scored: list[_Scored] = []
    for each in found:
        scores = unpacked(each.vectors).astype(np.float32) @ queries / _UNIT
        scored += [
            _Scored(Tile(each.job_id, index), float(row.max()), int(row.argmax())) for index, row in enumerate(scores)
        ]
    return sorted(scored, key=lambda each: (each.tile.job_id not in hints, -each.score))


def _compared(image: Image.Image, pictures: dict[Tile, Image.Image]) -> list[Match]:
    if not pictures:
        return []
    scores = zip(pictures, likenesses(image, list(pictures.values())), strict=True)
    return [
        Match(tile=tile, likeness=likeness, verdict=Verdict.SAME if likeness >= SAME else Verdict.SIMILAR)
        for tile, likeness in scores
        if likeness >= SIMILAR
    ]
