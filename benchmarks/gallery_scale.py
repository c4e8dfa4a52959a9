"""Time the gallery's pages and searches with a million results in one server, and the memory of a search by picture.

`python -m benchmarks.gallery_scale` creates the database in the temporary folder, which takes some minutes, and keeps
it for the next run. The results lie in 500 channels; a visitor may view one of them, fifty, or all.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import io
import os
import resource
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.database_scale import GUILD, make_database
from benchmarks.harness import table
from bot.finding.finder import PictureFinder
from bot.finding.outline_file import OutlineFile
from bot.gallery.session_pages import FAMILY_WINDOW
from bot.images.thumbnails import Thumbnails
from db.connection import Connection, read_migrations
from db.finding.gallery import Gallery, Page, PictureQuery, View
from db.finding.picture_index import PictureIndex
from db.finding.shown_sessions import ShownSessions
from db.image_files import ImageStore
from db.jobs import JobStore
from db.together.sessions import SessionKind
from generation.files.fingerprint import LENGTH, outlines
from generation.params import Tile

CHANNELS, PAGE_SIZE, TILES, BATCH = 500, 40, 4, 10_000
REPEATS = 5
PAGE_TARGET_S, SEARCH_TARGET_S = 0.3, 0.5

# Every third result goes on from one of the 500 before it. Sessions draw results of these channels.
FILL_FAMILIES_AND_SESSIONS = f"""
    INSERT OR IGNORE INTO lineage
    SELECT child.job_id, parent.job_id, 0, 'made' FROM shown AS child
    JOIN shown AS parent ON parent.id = child.id - 1 - abs(child.id * 7919) % 500 WHERE child.id % 3 = 0;
    INSERT INTO collab_sessions (id, kind, guild_id, channel_id, host_id, phase, settings, made_at, ended_at)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 12000)
    SELECT printf('%012x', n), CASE WHEN n % 24 = 0 THEN 'contest' WHEN n % 12 = 1 THEN 'canvas'
               WHEN n % 2 = 0 THEN 'jam' ELSE 'telephone' END,
           {GUILD}, 1 + abs(n * 7919) % {CHANNELS}, 2, 'ended', '{{"theme": "word123 by the sea"}}', n, n + 1
    FROM numbers;
    INSERT INTO collab_rounds (session, round, job_id, facts)
    SELECT collab_sessions.id, number.value, job_id, '{{"theme": "word123", "words": "by the sea"}}'
    FROM collab_sessions, json_each('[1, 2, 3, 4, 5]') AS number
    JOIN shown ON shown.id = collab_sessions.made_at * 60 + number.value;
    INSERT INTO contest_entries (session, person, job_id, tile_index, at, place, rank)
    SELECT collab_sessions.id, shown.person_id, job_id, 0, 1, shown.id % 40 + 1, shown.id % 40 + 1
    FROM collab_sessions JOIN shown ON shown.id BETWEEN made_at * 60 AND made_at * 60 + 39 WHERE kind = 'contest';
    INSERT INTO canvases (session, columns, rows, cell, neighbours)
    SELECT id, 8, 8, 256, 1 FROM collab_sessions WHERE kind = 'canvas';
    INSERT INTO canvas_pieces (session, person, name, x, y, words, job_id, tile_index, placed_at)
    SELECT collab_sessions.id, shown.person_id, 'somebody', shown.id % 7, shown.id / 7 % 7, 'a harbour', job_id, 0, 1
    FROM collab_sessions JOIN shown ON shown.id BETWEEN made_at * 60 AND made_at * 60 + 48 WHERE kind = 'canvas';
    INSERT OR IGNORE INTO canvas_cells SELECT session, x, y, number FROM canvas_pieces;
"""

Call = Callable[[], Awaitable[Any]]


def make_gallery(jobs: int) -> Path:
    """Return the path of a database with `jobs` jobs in the index of pictures, created once per version."""
    version = hashlib.sha256("".join(read_migrations()).encode()).hexdigest()[:8]
    path = Path(tempfile.gettempdir()) / f"atelier-gallery-{version}-{jobs}.sqlite3"
    if not path.exists():
        partial = path.with_suffix(".partial")
        shutil.copy(make_database(jobs), partial)
        _fill_index(partial)
        partial.rename(path)
    return path


def _fill_index(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        # So that no query profits from all results lying in the same channel.
        database.execute(
            """INSERT INTO shown
               SELECT row_number() OVER (ORDER BY asked_at), id, guild_id, 1 + abs(rowid * 7919) % :most, NULL,
                      asker_id, asked_at
               FROM jobs WHERE state = 'answered'""",
            {"most": CHANNELS},
        )
        database.execute(
            """INSERT INTO shown_words (rowid, place, author, model, prompt)
               SELECT shown.id, 'g' || shown.guild_id || ' c' || shown.channel_id, asker_name,
                      coalesce(model, ''), prompt
               FROM shown JOIN jobs ON jobs.id = shown.job_id ORDER BY shown.id"""
        )
        database.executemany("INSERT INTO fingerprints VALUES (?, ?, ?, ?, ?, ?, ?)", _fingerprints(database))
        database.execute("DELETE FROM outline_changes")  # the file of outlines is written anew in the first run
        database.executescript(FILL_FAMILIES_AND_SESSIONS)
        database.commit()


def _fingerprints(database: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of random fingerprints, which have a few common shapes as pictures have."""
    random = np.random.default_rng(1)
    shapes = random.normal(size=(50, LENGTH))
    cursor = database.execute("SELECT id, job_id, guild_id, channel_id, person_id FROM shown ORDER BY id").fetchall()
    for start in range(0, len(cursor), BATCH):
        rows = cursor[start : start + BATCH]
        vectors = shapes[random.integers(len(shapes), size=len(rows) * TILES)]
        vectors = vectors + random.normal(scale=0.7, size=vectors.shape)
        vectors *= 254 / np.linalg.norm(vectors, axis=1, keepdims=True)
        packed = np.clip(np.rint(vectors), -127, 127).astype(np.int8)
        low = np.frombuffer(outlines(packed.tobytes()), np.int8).reshape(len(packed), -1)
        for number, row in enumerate(rows):
            own = slice(number * TILES, (number + 1) * TILES)
            yield (*row, low[own].tobytes(), packed[own].tobytes())


class DrawnThumbnails(Thumbnails):
    """Thumbnails of pictures that are stored nowhere."""

    def __init__(self) -> None:
        super().__init__(ImageStore(Path("nothing")))

    async def picture(self, tile: Tile) -> Image.Image:
        return await asyncio.to_thread(_decoded, _encoded(int(tile.job_id, 16) % 20, "WEBP", 320))


@cache
def _encoded(seed: int, form: str, side: int) -> bytes:
    """Return a file with a picture of soft shapes."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 255, (10, 10, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC).save(file, form, quality=82)
    return file.getvalue()


def _decoded(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


async def measure(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Return the seconds that each page or search took, and those of a core, by its name, `REPEATS` times."""
    async with Connection.open(path) as connection:
        gallery, index = Gallery(connection), PictureIndex(connection)
        outlines = OutlineFile(path.with_suffix(".outlines"))
        finder = PictureFinder(index, gallery, DrawnThumbnails(), outlines)
        before = time.perf_counter()
        await finder.update()
        print(f"the file of outlines was checked or written anew in {time.perf_counter() - before:.1f} s")
        ((job_id, person),) = [
            (row["job_id"], row["person_id"])
            for row in await connection.fetch_all(
                "SELECT job_id, person_id FROM shown ORDER BY id LIMIT 1 OFFSET 77777"
            )
        ]
        calls = _calls(connection, gallery, index, finder, job_id, person)
        return {name: [await _timed(call) for _ in range(REPEATS)] for name, call in calls.items()}


def _calls(
    connection: Connection, gallery: Gallery, index: PictureIndex, finder: PictureFinder, job_id: str, person: int
) -> Mapping[str, Call]:
    jobs, sessions = JobStore(connection), ShownSessions(connection)

    async def page_of(load: Awaitable[Page]) -> None:
        page = await load
        await jobs.get_many(page.job_ids)
        await gallery.favourite_tiles(person, page.job_ids)

    async def families_of(view: View) -> None:
        page = await gallery.page(view, PictureQuery(), None, FAMILY_WINDOW)
        await sessions.families(view, page.job_ids)

    views = {
        name: View(guild_id=GUILD, channels=frozenset(range(1, number + 1)), person_id=person)
        for name, number in (("one", 1), ("fifty", 50), ("all", CHANNELS))
    }
    calls: dict[str, Call] = {}
    for name, view in views.items():
        for kind, query in (
            ("newest", PictureQuery()),
            ("a common word", PictureQuery(words=("wor",))),
            ("a rare word", PictureQuery(words=("word2999",))),
            ("two words", PictureQuery(words=("word1234", "word789"))),
            ("nobody's words", PictureQuery(words=("word123", "nonsense"))),
            ("author and time", PictureQuery(author=("somebody",), since=1_790_000_000.0)),
        ):
            calls[f"{kind}, {name} of 500 channels"] = lambda view=view, query=query: page_of(
                gallery.page(view, query, None, PAGE_SIZE)
            )
        for kind in SessionKind:
            calls[f"list: {kind}, {name} of 500 channels"] = partial(sessions.page, view, kind, None, 12)
            calls[f"{kind}:sea, {name} of 500 channels"] = lambda view=view, kind=kind: page_of(
                gallery.page(view, PictureQuery(session_kind=kind, about=("sea",)), None, PAGE_SIZE)
            )
        calls[f"jam: and a common word, {name} of 500 channels"] = lambda view=view: page_of(
            gallery.page(view, PictureQuery(session_kind=SessionKind.JAM, words=("wor",)), None, PAGE_SIZE)
        )
        calls[f"families, {name} of 500 channels"] = lambda view=view: families_of(view)
        calls[f"one session, {name} of 500 channels"] = partial(
            sessions.get, view, SessionKind.CONTEST, f"{11976:012x}"
        )
    calls["far down, all channels"] = lambda: page_of(gallery.page(views["all"], PictureQuery(), "1000", PAGE_SIZE))
    calls["mine"] = lambda: page_of(gallery.own(person, None, PAGE_SIZE))
    calls["mine by words"] = lambda: page_of(gallery.own_by_words(person, ("wor",), None, PAGE_SIZE))
    calls["one picture"] = lambda: index.find_shown(job_id)
    for kind, png in (("a file", _encoded(1, "PNG", 1024)), ("a screenshot", _screenshot())):
        calls[f"by picture: {kind}"] = partial(finder.find, png, views["all"], person)
    calls["by picture, one channel"] = lambda: finder.find(_screenshot(), views["one"], person)
    calls["like this"] = lambda: finder.like(Tile(job_id, 0), views["all"], person)
    return calls


def _screenshot() -> bytes:
    page = Image.new("RGB", (1280, 800), "#313338")
    page.paste(_decoded(_encoded(2, "PNG", 512)), (300, 200))
    file = io.BytesIO()
    page.save(file, "PNG")
    return file.getvalue()


async def _timed(call: Call) -> tuple[float, float]:
    """Return how long a call took, and for how long it kept a core busy."""
    before, busy = time.perf_counter(), time.process_time()
    await call()
    return time.perf_counter() - before, time.process_time() - busy


def main() -> int:
    """Print the times and the memory; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    path = make_gallery(parser.parse_args().jobs)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = asyncio.run(measure(path))
    rows = {name: _summary(each) for name, each in times.items()}
    print(table("page or search", ("median", "the slowest of five", "a core's time"), rows, "ms"))
    used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"\nmemory of the searches: {used:.0f} MiB; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    pages_fit = all(median < PAGE_TARGET_S for name, (median, _, _) in rows.items() if _is_page(name))
    return 0 if pages_fit and all(median < SEARCH_TARGET_S for median, _, _ in rows.values()) else 1


def _is_page(name: str) -> bool:
    return name.startswith(("newest", "list: ", "families", "one ", "far down", "mine"))


def _summary(times: list[tuple[float, float]]) -> tuple[float, float, float]:
    taken, busy = zip(*times, strict=True)
    return statistics.median(taken), max(taken), statistics.median(busy)


if __name__ == "__main__":
    sys.exit(main())
