"""The outlines of all pictures in one file, searched by brute force.

The file is a cache of the database: it can be deleted at any time. Its head and the database have the same stamp, a
random number that each change replaces: so a file that lacks a change, or is that of another database, is known by its
head. A search reads the file in blocks, so its memory does not grow with the number of pictures; the operating system
keeps the file in memory as long as there is room.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterator, Sequence
from io import BufferedRandom
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from db.finding.picture_index import Outlines
from generation.files.fingerprint import OUTLINE_LENGTH, Bytes, unpacked_outlines

OUTLINES_FILE = "outlines"  # in DATA_DIR
BLOCK = 32_768  # records read at a time
BATCH = 512  # outlines in a product
# A channel and a person are stored as remainders of this prime. So a search passes over nearly everything that it may
# not show in a moment; what it finds is looked up in the database anyway.
SLOTS = 65_521
MAX_EMPTY = 0.5  # share of empty records above which the file is written anew
# `key` is the job's id in its upper 48 bits and the tile's number, from 1, in the lower 16; 0 marks an empty record.
RECORD = np.dtype([("outline", "i1", (OUTLINE_LENGTH,)), ("key", "<u8"), ("channel", "<u2"), ("person", "<u2")])
HEADER = struct.Struct("<20sQQ")  # the version, how many records are whole, and the stamp
VERSION = b"atelier outlines 2\n"
UNFINISHED = 0  # the stamp of a file that is being written anew

Records = NDArray[np.void]


class OutlineFile:
    """One record per tile, in the order in which they came. Its methods block, and only one may run at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def stamp(self) -> int:
        """Return the stamp of the last change."""
        with self._open() as file:
            return _read_header(file)[1]

    def clear(self) -> None:
        """Begin an empty file."""
        self._path.write_bytes(_header(0, UNFINISHED))

    def change(self, come: Sequence[Outlines], gone: Collection[str], stamp: int) -> None:
        """Remove jobs, add others that are not in the file, and set the stamp last.

        After a crash the file has its earlier stamp, and the same change can be made again.
        """
        self._remove(gone)
        with self._open() as file:
            records = _read_header(file)[0]
            file.seek(0, os.SEEK_END)
            new = _records(come)
            file.write(new.tobytes())
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            file.write(_header(records + len(new), stamp))

    def _remove(self, job_ids: Collection[str]) -> None:
        """Overwrite the records of jobs with zeros, and write the file anew if most of it is empty."""
        gone = np.array([int(job_id, 16) for job_id in job_ids], np.uint64)
        if not len(gone):
            return
        records = empty = 0
        with self._open() as file:
            for block in _blocks(file):
                if (removed := np.isin(block["key"] >> np.uint64(16), gone)).any():
                    block[removed] = 0
                    file.seek(-block.nbytes, os.SEEK_CUR)
                    file.write(block.tobytes())
                records, empty = records + len(block), empty + int((block["key"] == 0).sum())
        if empty > MAX_EMPTY * records:
            self._compact(records - empty)

    def search(self, queries: Bytes, channels: Collection[int], person_id: int, limit: int) -> list[str]:
        """Return the jobs with the tiles most like one of `queries`: those in `channels`, and those of a person.

        At most `limit` tiles are compared; a few of other channels may be among them.
        """
        wanted, best = queries.astype(np.float32), _Best(limit)
        allowed = np.zeros(SLOTS, bool)
        allowed[[channel % SLOTS for channel in channels]] = True
        with self._open() as file:
            for block in _blocks(file):
                kept = allowed[block["channel"]] & (block["key"] != 0)
                if person_id:
                    kept |= block["person"] == person_id % SLOTS
                places = np.flatnonzero(kept)
                best.add(_scores(wanted, block["outline"], places), block["key"][places])
        return list(dict.fromkeys(f"{key >> 16:012x}" for key in best.keys.tolist()))

    def _compact(self, records: int) -> None:
        new = self._path.with_suffix(".new")
        with self._open() as old, new.open("wb") as file:
            file.write(_header(records, _read_header(old)[1]))
            for block in _blocks(old):
                file.write(block[block["key"] != 0].tobytes())
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)

    def _open(self) -> BufferedRandom:
        """Open the file after its head; one that is missing, cut off or of another version is begun anew."""
        if not self._path.exists():
            self.clear()
        file = self._path.open("r+b")
        records, _ = _read_header(file)
        whole = HEADER.size + records * RECORD.itemsize
        if records < 0 or self._path.stat().st_size < whole:
            file.close()
            self.clear()
            file = self._path.open("r+b")
            whole = HEADER.size
        file.truncate(whole)  # what a crash has left behind it
        file.seek(HEADER.size)
        return file


class _Best:
    """The keys with the greatest scores so far."""

    def __init__(self, limit: int) -> None:
        self._limit, self._least = limit, -np.inf
        self._scores, self.keys = np.empty(0, np.float32), np.empty(0, np.uint64)

    def add(self, scores: NDArray[np.float32], keys: NDArray[np.uint64]) -> None:
        better = np.flatnonzero(scores > self._least)
        self._scores = np.concatenate((self._scores, scores[better]))
        self.keys = np.concatenate((self.keys, keys[better]))
        if len(self.keys) > self._limit:
            kept = np.argpartition(-self._scores, self._limit - 1)[: self._limit]
            self._scores, self.keys = self._scores[kept], self.keys[kept]
            self._least = float(self._scores.min())


def _scores(wanted: NDArray[np.float32], outlines: Bytes, places: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return how much the outlines at `places` are like the likest of `wanted`.

    Products of a few hundred outlines each: of larger ones, numpy's library divides the work among threads, and these
    spend far more time on waiting for each other than the product takes.
    """
    batches = -(-len(places) // BATCH)
    chosen = np.zeros((batches * BATCH, OUTLINE_LENGTH), np.float32)
    chosen[: len(places)] = outlines[places]
    products = wanted @ chosen.reshape(batches, BATCH, OUTLINE_LENGTH).transpose(0, 2, 1)
    return np.asarray(products.max(axis=1).reshape(-1)[: len(places)], np.float32)


def _header(records: int, stamp: int) -> bytes:
    return HEADER.pack(VERSION, records, stamp)


def _read_header(file: BufferedRandom) -> tuple[int, int]:
    """Return the number of records and the stamp, and be behind them; the number is -1 in a file of another version."""
    file.seek(0)
    data = file.read(HEADER.size)
    if len(data) < HEADER.size or not data.startswith(VERSION):
        return -1, UNFINISHED
    _, records, stamp = HEADER.unpack(data)
    return records, stamp


def _blocks(file: BufferedRandom) -> Iterator[Records]:
    """Yield the records from where the file is on."""
    while True:
        block = np.empty(BLOCK, RECORD)
        if not (size := file.readinto(block.view(np.uint8).data)):
            return
        yield block[: size // RECORD.itemsize]


def _records(jobs: Sequence[Outlines]) -> NDArray[Any]:
    if not jobs:
        return np.zeros(0, RECORD)
    counts = [len(each.outlines) // OUTLINE_LENGTH for each in jobs]
    records = np.zeros(sum(counts), RECORD)
    records["outline"] = unpacked_outlines(b"".join(each.outlines for each in jobs))
    records["key"] = np.repeat(np.array([int(each.job_id, 16) << 16 for each in jobs], np.uint64), counts)
    records["key"] += np.concatenate([np.arange(1, count + 1, dtype=np.uint64) for count in counts])
    records["channel"] = np.repeat(np.array([each.channel_id % SLOTS for each in jobs], np.uint16), counts)
    records["person"] = np.repeat(np.array([each.person_id % SLOTS for each in jobs], np.uint16), counts)
    return records
