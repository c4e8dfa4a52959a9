"""The file of outlines: what is nearest is found, what is deleted is gone, and what is damaged is written anew."""

from __future__ import annotations

import numpy as np
import pytest

from bot.finding import outline_file
from bot.finding.finder import PictureFinder
from bot.finding.outline_file import HEADER, RECORD, OutlineFile
from db.connection import Connection
from db.picture_index import Fingerprints, Outlines, PictureIndex

CHANNEL, HIDDEN, PERSON, OTHER = 10**18 + 1, 10**18 + 2, 10**18 + 3, 10**18 + 4
NOBODY = 0


@pytest.fixture
def outlines_path(tmp_path):
    return tmp_path / "outlines"


@pytest.fixture
def outlines(outlines_path, monkeypatch):
    monkeypatch.setattr(outline_file, "BLOCK", 7)  # so that a few jobs fill several blocks
    return OutlineFile(outlines_path)


def directions(count):
    """Return outlines that point into different directions."""
    return np.random.default_rng(1).integers(-60, 60, (count, 24), np.int8)


def job(number, tiles, channel=CHANNEL, person=PERSON):
    return Outlines(number, f"{number:012x}", channel, person, tiles.tobytes())


async def test_the_nearest_visible_tiles_are_found(outlines):
    rows = directions(40)
    outlines.add([job(n, rows[4 * n - 4 : 4 * n]) for n in range(1, 6)])
    outlines.add([job(n, rows[4 * n - 4 : 4 * n], channel=HIDDEN, person=OTHER) for n in range(6, 11)])
    for number in range(40):
        found = outlines.search(rows[number : number + 1], {CHANNEL}, NOBODY, 1)
        own = f"{number // 4 + 1:012x}"
        assert (found == [own]) == (number < 20)
        assert outlines.search(rows[number : number + 1], {CHANNEL}, OTHER, 1) == [own]
    assert outlines.search(rows[:1], set(), NOBODY, 9) == []
    assert len(outlines.search(rows[:3], {CHANNEL, HIDDEN}, NOBODY, 40)) == 10


async def test_nothing_of_a_deleted_job_stays_in_the_file(outlines, outlines_path):
    rows = directions(40)
    outlines.add([job(n, rows[4 * n - 4 : 4 * n]) for n in range(1, 11)])
    outlines.remove(["000000000003", "00000000000a", "ffffffffffff"])
    assert outlines.count_jobs() == 8
    data = outlines_path.read_bytes()
    assert not any(row.tobytes() in data for row in (*rows[8:12], *rows[36:]))
    assert "000000000003" not in outlines.search(rows[8:9], {CHANNEL}, NOBODY, 40)
    outlines.remove([f"{n:012x}" for n in range(4, 10)])
    assert len(outlines_path.read_bytes()) == len(HEADER) + 8 * RECORD.itemsize  # most of it was empty
    assert sorted(outlines.search(rows[:8], {CHANNEL}, NOBODY, 40)) == ["000000000001", "000000000002"]


@pytest.mark.parametrize("damage", ["cut off", "another version", "deleted"])
async def test_a_damaged_file_is_read_as_far_as_it_is_whole(outlines, outlines_path, damage):
    rows = directions(8)
    outlines.add([job(1, rows[:4]), job(2, rows[4:])])
    match damage:
        case "cut off":
            outlines_path.write_bytes(outlines_path.read_bytes()[:-1])
        case "another version":
            outlines_path.write_bytes(b"atelier outlines 0".ljust(len(HEADER)) + b"x" * 99)
        case "deleted":
            outlines_path.unlink()
    outlines.add([job(3, rows[:1])])
    assert outlines.count_jobs() == (3 if damage == "cut off" else 1)
    assert "000000000003" in outlines.search(rows[:1], {CHANNEL}, NOBODY, 9)


class EveryJob:
    """A gallery in which everything is visible."""

    async def visible(self, _, job_ids):
        return set(job_ids)


@pytest.fixture
async def connection(tmp_path):
    async with Connection.open(tmp_path / "atelier.sqlite3") as connection:
        yield connection


@pytest.fixture
def index(connection):
    return PictureIndex(connection)


@pytest.fixture
def make_finder(index, outlines):
    return lambda: PictureFinder(index, EveryJob(), None, outlines)


async def add_fingerprints(index, connection, number):
    """Add a job with fingerprints, as the indexer does."""
    job_id = f"{number:012x}"
    await connection.write(
        """INSERT INTO jobs (id, state, action, params, asker_id, asker_name, channel_id, asked_at, by_channel,
                             token, token_expires_at, upload_limit)
           VALUES (:id, 'answered', 'imagine', '{}', 3, 'ada', 2, 1.0, 0, '', 0, 1)""",
        {"id": job_id},
    )
    vectors = np.random.default_rng(number).integers(-40, 40, 192, np.int8).tobytes()
    found = Fingerprints(
        job_id=job_id, guild_id=1, channel_id=CHANNEL, person_id=PERSON, outlines=vectors[:24], vectors=vectors
    )
    await index.add(job_id, [], found)
    return job_id


async def test_the_file_follows_the_database(index, connection, outlines, make_finder):
    finder = make_finder()
    jobs = [await add_fingerprints(index, connection, number) for number in range(1, 8)]
    await finder.update()
    assert outlines.count_jobs() == 7
    await connection.write("UPDATE jobs SET deleted_at = 1 WHERE id = :id", {"id": jobs[2]})
    jobs.append(await add_fingerprints(index, connection, 8))
    await finder.update()
    assert outlines.count_jobs() == 7
    assert await connection.fetch_all("SELECT * FROM outline_changes") == []


@pytest.mark.parametrize("fault", ["lost", "from another database", "applied twice"])
async def test_a_file_that_differs_from_the_database_is_written_anew(
    index, connection, outlines, outlines_path, make_finder, fault
):
    for number in range(1, 8):
        await add_fingerprints(index, connection, number)
    await make_finder().update()
    match fault:
        case "lost":
            outlines_path.unlink()
        case "from another database":
            outlines.add([job(99, directions(4))])
        case "applied twice":
            outlines.add([job(1, directions(1))])
    await make_finder().update()  # as after a restart
    assert outlines.count_jobs() == 7
    assert sorted(outlines.search(directions(1), {CHANNEL}, NOBODY, 99)) == [f"{n:012x}" for n in range(1, 8)]
