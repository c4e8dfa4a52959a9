"""The outlines of many pictures in memory, searched by brute force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db.picture_index import Outlines
from generation.files.fingerprint import OUTLINE_LENGTH, Bytes, unpacked_outlines

BLOCK = 100_000  # outlines compared at a time

Candidate = tuple[int, int]  # the row of the fingerprints, and the number of the tile


class OutlineTable:
    """A growing table with one row per tile. What was deleted stays in it, so what is found must be looked up."""

    def __init__(self) -> None:
        self._outlines = np.empty((0, OUTLINE_LENGTH), np.int8)
        self._rows = np.empty(0, np.int64)
        self._tiles = np.empty(0, np.int8)
        self._channels = np.empty(0, np.int32)
        self._channel_ids: dict[int, int] = {}
        self._added: list[_Part] = []

    @property
    def size(self) -> int:
        """Return the bytes that the table takes."""
        return self._outlines.nbytes + self._rows.nbytes + self._tiles.nbytes + self._channels.nbytes

    def add(self, jobs: Sequence[Outlines]) -> None:
        """Add jobs; the table grows at the next search."""
        if jobs:
            rows, channels, outlines = zip(*jobs, strict=True)
            counts = [len(each) // OUTLINE_LENGTH for each in outlines]
            codes = [self._channel_ids.setdefault(channel, len(self._channel_ids)) for channel in channels]
            self._added.append(
                (
                    unpacked_outlines(b"".join(outlines)),
                    np.repeat(np.array(rows, np.int64), counts),
                    np.concatenate([np.arange(count, dtype=np.int8) for count in counts]),
                    np.repeat(np.array(codes, np.int32), counts),
                )
            )

    def merge(self) -> None:
        """Put what was added into the table."""
        parts, self._added = self._added, []
        if parts:
            own: _Part = (self._outlines, self._rows, self._tiles, self._channels)
            self._outlines, self._rows, self._tiles, self._channels = (
                np.concatenate(column) for column in zip(own, *parts, strict=True)
            )

    def search(self, queries: Bytes, channels: frozenset[int] | None, limit: int) -> list[Candidate]:
        """Return the tiles that are most like one of `queries`, only those of `channels` unless that is None."""
        wanted = queries.astype(np.float32)
        allowed = self._allowed(channels)
        best_scores, best_places = np.empty(0, np.float32), np.empty(0, np.int64)
        for start in range(0, len(self._rows), BLOCK):
            # A row per query, since numpy finds the greatest of long rows much faster than that of short columns.
            scores = (wanted @ self._outlines[start : start + BLOCK].astype(np.float32).T).max(axis=0)
            scores[~allowed[self._channels[start : start + BLOCK]]] = -np.inf
            best_scores = np.concatenate((best_scores, scores))
            best_places = np.concatenate((best_places, np.arange(start, start + len(scores))))
            best_scores, best_places = _top(best_scores, best_places, limit)
        found = best_places[np.isfinite(best_scores)]
        return list(zip(self._rows[found].tolist(), self._tiles[found].tolist(), strict=True))

    def _allowed(self, channels: frozenset[int] | None) -> NDArray[np.bool_]:
        return np.array([channels is None or channel in channels for channel in self._channel_ids], dtype=bool)


_Part = tuple[Bytes, NDArray[np.int64], NDArray[np.int8], NDArray[np.int32]]


def _top(scores: NDArray[np.float32], places: NDArray[np.int64], limit: int) -> tuple[NDArray[Any], NDArray[Any]]:
    if len(scores) <= limit:
        return scores, places
    kept = np.argpartition(-scores, limit)[:limit]
    return scores[kept], places[kept]
