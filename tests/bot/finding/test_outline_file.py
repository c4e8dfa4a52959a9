"""The file of outlines: what is nearest is found, what is deleted is gone, and what is damaged is written anew."""

from __future__ import annotations

import numpy as np
import pytest

from bot.finding import outline_file
from bot.finding.finder import PictureFinder
from bot.finding.outline_file import HEADER, RECORD, UNFINISHED, OutlineFile
from db.connection import Connection
from db.finding.picture_index import Fingerprints, Outlines, PictureIndex

CHANNEL, HIDDEN, PERSON, OTHER = 10**18 + 1, 10**18 + 2, 10**18 + 3, 10**18 + 4
NOBODY = 0


@pytest.fixture
def outlines_path(tmp_path):
    return tmp_path / "outlines"


@pytest.fixture
def outlines(outlines_path, monkeypatch):
    monkeypatch.setattr(outline_file, "BLOCK", 7)  # so that a few jobs fill several blocks
    return OutlineFile(outlines_path)


def add(outlines, jobs, stamp=1):
    outlines.change(jobs, (), stamp)


def keys_in(outlines):
    """Return the jobs in the file, each as often as it has records."""
    with outlines._open() as file:
        keys = [int(key) for block in outline_file._blocks(file) for key in block["key"]]
    return sorted(f"{key >> 16:012x}" for key in keys if key)


def directions(count):
    """Return outlines that point into different directions."""
    return np.random.default_rng(1).integers(-60, 60, (count, 24), np.int8)


def job(number, tiles, channel=CHANNEL, person=PERSON):
    return Outlines(number, f"{number:012x}", channel, person, tiles.tobytes())


async def test_the_nearest_visible_tiles_are_found(outlines):
    rows = directions(40)
    add(outlines, [job(n, rows[4 * n - 4 : 4 * n]) for n in range(1, 6)])
    add(outlines, [job(n, rows[4 * n - 4 : 4 * n], channel=HIDDEN, person=OTHER) for n in range(6, 11)])
    for number in range(40):
        found = outlines.search(rows[number : number + 1], {CHANNEL}, NOBODY, 1)
        own = f"{number // 4 + 1:012x}"
        assert (found == [own]) == (number < 20)
        assert outlines.search(rows[number : number + 1], {CHANNEL}, OTHER, 1) == [own]
    assert outlines.search(rows[:1], set(), NOBODY, 9) == []
    assert len(outlines.search(rows[:3], {CHANNEL, HIDDEN}, NOBODY, 40)) == 10


async def test_nothing_of_a_deleted_job_stays_in_the_file(outlines, outlines_path):
    rows = directions(40)
    add(outlines, [job(n, rows[4 * n - 4 : 4 * n]) for n in range(1, 11)])
    outlines.change((), ["000000000003", "00000000000a", "ffffffffffff"], 2)
    assert len(set(keys_in(outlines))) == 8
    data = outlines_path.read_bytes()
    assert not any(row.tobytes() in data for row in (*rows[8:12], *rows[36:]))
    assert "000000000003" not in outlines.search(rows[8:9], {CHANNEL}, NOBODY, 40)
    outlines.change((), [f"{n:012x}" for n in range(4, 10)], 3)
    assert len(outlines_path.read_bytes()) == HEADER.size + 8 * RECORD.itemsize  # most of it was empty
    assert sorted(outlines.search(rows[:8], {CHANNEL}, NOBODY, 40)) == ["000000000001", "000000000002"]


@pytest.mark.parametrize("damage", ["cut off", "another version", "deleted"])
async def test_a_damaged_file_is_begun_anew_and_has_no_stamp(outlines, outlines_path, damage):
    rows = directions(8)
    add(outlines, [job(1, rows[:4]), job(2, rows[4:])], stamp=77)
    assert outlines.stamp() == 77
    match damage:
        case "cut off":
            outlines_path.write_bytes(outlines_path.read_bytes()[:-1])
        case "another version":
            outlines_path.write_bytes(b"atelier outlines 1\n".ljust(HEADER.size) + b"x" * 99)
        case "deleted":
            outlines_path.unlink()
    assert outlines.stamp() == UNFINISHED
    add(outlines, [job(3, rows[:1])])
    assert keys_in(outlines) == ["000000000003"]


async def test_what_a_crash_left_behind_the_head_is_written_again(outlines, outlines_path):
    rows = directions(8)
    add(outlines, [job(1, rows[:4])], stamp=7)
    head = outlines_path.read_bytes()[: HEADER.size]
    add(outlines, [job(2, rows[4:])], stamp=8)
    outlines_path.write_bytes(head + outlines_path.read_bytes()[HEADER.size :])  # the head was to be written last
    assert outlines.stamp() == 7
    add(outlines, [job(2, rows[4:])], stamp=8)
    assert keys_in(outlines) == ["000000000001"] * 4 + ["000000000002"] * 4


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
    assert len(keys_in(outlines)) == 7
    await connection.write("UPDATE jobs SET deleted_at = 1 WHERE id = :id", {"id": jobs[2]})
    jobs.append(await add_fingerprints(index, connection, 8))
    await finder.update()
    assert len(keys_in(outlines)) == 7
    assert await connection.fetch_all("SELECT * FROM outline_changes") == []


async def lose(path, **_):
    path.unlink()


async def replace_with_another(path, **_):
    OutlineFile(path).clear()
    OutlineFile(path).change([job(n, directions(1)) for n in range(1, 8)], (), 5)  # as many jobs as the right one


async def stop_while_writing(path, **_):
    OutlineFile(path).change([job(99, directions(4))], (), UNFINISHED)


async def restore_a_backup(index, connection, **_):
    """Bring the database into an earlier state, with as many pictures as now."""
    stamp = await index.outline_stamp()
    await connection.write("UPDATE jobs SET deleted_at = 1 WHERE id = :id", {"id": f"{8:012x}"})
    await connection.write("DELETE FROM outline_changes", {})
    await index.changes_done(0, stamp - 1 or 2)
    await add_fingerprints(index, connection, 7)


@pytest.mark.parametrize("fault", [lose, replace_with_another, stop_while_writing, restore_a_backup])
async def test_a_file_that_differs_from_the_database_is_written_anew(
    index, connection, outlines, outlines_path, make_finder, fault
):
    numbers = [1, 2, 3, 4, 5, 6, 8 if fault is restore_a_backup else 7]
    for number in numbers:
        await add_fingerprints(index, connection, number)
    await make_finder().update()
    await fault(path=outlines_path, index=index, connection=connection)
    await make_finder().update()
    assert keys_in(outlines) == [f"{n:012x}" for n in range(1, 8)]


async def test_a_change_that_a_crash_repeats_is_in_the_file_once(index, connection, outlines, make_finder, monkeypatch):
    await add_fingerprints(index, connection, 1)
    await make_finder().update()
    await add_fingerprints(index, connection, 2)

    async def crash(*_):
        raise RuntimeError("killed before the database knows")

    with monkeypatch.context() as patch:
        patch.setattr(index, "changes_done", crash)
        with pytest.raises(RuntimeError):
            await make_finder().update()
    await make_finder().update()
    assert keys_in(outlines) == ["000000000001", "000000000002"]


async def test_a_right_file_is_not_written_anew(index, connection, outlines, make_finder, monkeypatch):
    await add_fingerprints(index, connection, 1)
    await make_finder().update()
    monkeypatch.setattr(outlines, "clear", None)
    await add_fingerprints(index, connection, 2)
    await make_finder().update()
    assert len(keys_in(outlines)) == 2
