"""Canvases in SQLite: one holder of a place, one piece of a cell, and pixels that never change."""

from __future__ import annotations

import asyncio
import io
import random
import time
from dataclasses import replace

import pytest
from PIL import Image

from cogs.together.canvas.geometry import cells_of, middle, open_places, touch
from cogs.together.canvas.pictures import CanvasPictures
from db.image_files import ImageStore
from db.jobs import JobStore
from db.privacy import PersonalData
from db.together.canvases import PAINTING, Canvas, CanvasStore, Claim
from db.together.sessions import SessionKind, SessionStore
from generation.params import Tile
from tests.support.jobs import make_job
from tests.support.sessions import make_session

SIDE = 64
PAUSE_S = 30.0


@pytest.fixture
async def canvas(connection):
    store = CanvasStore(connection)
    session = make_session(id="0123456789ab", kind=SessionKind.CANVAS, phase=PAINTING, round=0)
    assert await SessionStore(connection).add(session, most=1)
    made = Canvas(session_id=session.id, columns=16, rows=16, cell=SIDE // 2, neighbours=False)
    await store.add(made)
    assert await store.get(session.id) == made
    return made


@pytest.fixture
def store(connection):
    return CanvasStore(connection)


def claim_of(canvas, place, person=11, number=0, at=1000.0):
    return Claim(
        session_id=canvas.session_id,
        person_id=person,
        name=f"person {person}",
        x=place[0],
        y=place[1],
        words="a boat",
        job_id=f"{number:012x}",
        at=at,
        until=at + 600,
    )


async def place_first(store, canvas, person=11):
    claim = claim_of(canvas, middle(canvas.columns, canvas.rows), person)
    assert await store.claim(claim, PAUSE_S)
    assert await store.place(claim, 0, 1000.0, sensitive=False)


async def test_of_a_hundred_who_want_touching_places_one_gets_it(store, canvas):
    await place_first(store, canvas)
    for attempt in range(5):
        at = 2000.0 + attempt
        places = open_places(16, 16, {(cell.x, cell.y) for cell in await store.cells(canvas.session_id)}, [])
        wanted = [place for place in places if touch(place, places[0])]
        asked = [
            claim_of(canvas, wanted[number % len(wanted)], 100 + number, 1000 * attempt + number + 1, at)
            for number in range(100)
        ]
        got = await asyncio.gather(*(store.claim(claim, PAUSE_S) for claim in asked))
        held = await store.claims(canvas.session_id)
        for one in held:
            assert not any(other != one and touch((one.x, one.y), (other.x, other.y)) for other in held)
        assert len(held) == sum(got)
        assert sum(touch((claim.x, claim.y), places[0]) for claim in held) == 1
        await store.free_all(canvas.session_id)


async def test_a_place_must_go_on_from_what_is_painted(store, canvas):
    assert not await store.claim(claim_of(canvas, (0, 0)), PAUSE_S)
    await place_first(store, canvas)
    first = middle(16, 16)
    later = {"person": 12, "number": 9, "at": 2000.0}
    assert not await store.claim(claim_of(canvas, first, **later), PAUSE_S), "it is full"
    assert not await store.claim(claim_of(canvas, (0, 0), **later), PAUSE_S), "nothing is painted there"
    assert not await store.claim(claim_of(canvas, (15, 7), **later), PAUSE_S), "outside"
    assert await store.claim(claim_of(canvas, (first[0] + 1, first[1]), **later), PAUSE_S)
    (claim,) = await store.claims(canvas.session_id)
    assert claim.cells == ((1, 0), (1, 1))


async def test_a_person_has_one_place_and_waits_after_a_piece(store, canvas):
    await place_first(store, canvas)
    right, left = (middle(16, 16)[0] + 1, 7), (middle(16, 16)[0] - 1, 7)
    assert not await store.claim(claim_of(canvas, right, 11, 1, at=1029.0), PAUSE_S)
    assert await store.claim(claim_of(canvas, right, 11, 1, at=1031.0), PAUSE_S)
    assert not await store.claim(claim_of(canvas, left, 11, 2, at=1031.0), PAUSE_S)


async def test_two_presses_place_one_candidate(store, canvas):
    claim = claim_of(canvas, middle(16, 16))
    assert await store.claim(claim, PAUSE_S)
    placed = await asyncio.gather(*(store.place(claim, index, 1000.0, sensitive=False) for index in range(4)))
    assert sum(placed) == 1
    assert len(await store.pieces(canvas.session_id)) == 1
    assert len(await store.cells(canvas.session_id)) == 4
    assert await store.claims(canvas.session_id) == []


async def test_nothing_is_placed_after_the_end(connection, store, canvas):
    claim = claim_of(canvas, middle(16, 16))
    assert await store.claim(claim, PAUSE_S)
    await SessionStore(connection).end(canvas.session_id, 1500.0)
    assert not await store.place(claim, 0, 1600.0, sensitive=False)
    assert await store.cells(canvas.session_id) == []


async def test_time_goes_on_while_candidates_are_drawn(connection, store, canvas):
    claim = claim_of(canvas, middle(16, 16))
    assert await store.claim(claim, PAUSE_S)
    assert await store.free_expired(canvas.session_id, 1500.0, more=120.0, most=3600.0) == 0
    await JobStore(connection, lambda: 1000.0).add_job(replace(make_job(), id=claim.job_id))
    assert await store.free_expired(canvas.session_id, 1700.0, more=120.0, most=3600.0) == 0
    assert (await store.claim_of_job(claim.job_id)).until == 1820.0
    assert await store.free_expired(canvas.session_id, 5000.0, more=120.0, most=3600.0) == 1


async def test_with_neighbours_nobody_paints_beside_their_own_last_piece(connection, store, canvas):
    await connection.write("UPDATE canvases SET neighbours = 1", {})
    await place_first(store, canvas)
    beside = (middle(16, 16)[0] + 1, 7)
    assert not await store.claim(claim_of(canvas, beside, 11, 1, at=2000.0), PAUSE_S)
    other = claim_of(canvas, beside, 12, 2, at=2000.0)
    assert await store.claim(other, PAUSE_S)
    assert await store.place(other, 0, 2000.0, sensitive=False)
    assert await store.claim(claim_of(canvas, (beside[0] + 1, 7), 11, 3, at=3000.0), PAUSE_S)


async def test_64_pieces_by_four_people_never_change_a_placed_pixel(tmp_path, store, canvas):
    files, dice = ImageStore(tmp_path), random.Random(5)
    pictures, seen = CanvasPictures(files), {}
    for number in range(64):
        person, at = 11 + number % 4, 1000.0 + 100 * number
        painted = {(cell.x, cell.y) for cell in await store.cells(canvas.session_id)}
        place = dice.choice(open_places(16, 16, painted, []))
        claim = claim_of(canvas, place, person, number + 1, at)
        assert await store.claim(claim, PAUSE_S)
        claim = await store.claim_of_job(claim.job_id)
        tile = Tile(claim.job_id, number % 4)
        await files.save_tile(tile, png(dice))
        await pictures.cut(canvas, claim, tile)
        await pictures.cut(canvas, claim, Tile(claim.job_id, tile.index))  # after a crash before it was placed
        assert await store.place(claim, tile.index, at, sensitive=False)
        now = files_of(files, await store.cells(canvas.session_id), canvas)
        assert seen.items() <= now.items()
        assert len(now) == len(painted) + len(claim.cells)
        seen = now
    assert len(await store.pieces(canvas.session_id)) == 64
    assert await store.painters(canvas.session_id, 10) == [14, 13, 12, 11]
    whole = await pictures.whole(canvas, await store.cells(canvas.session_id))
    for (x, y), data in seen.items():
        box = (x * canvas.cell, y * canvas.cell, (x + 1) * canvas.cell, (y + 1) * canvas.cell)
        assert whole.crop(box).tobytes() == Image.open(io.BytesIO(data)).convert("RGB").tobytes()


def png(dice, side=SIDE):
    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), dice.randbytes(3 * side * side)).save(file, "PNG")
    return file.getvalue()


def files_of(files, cells, canvas):
    return {
        (cell.x, cell.y): files.cell_path(f"{canvas.session_id}-{cell.tile}-{cell.x}-{cell.y}", "png").read_bytes()
        for cell in cells
    }


async def fill(store, canvas, files, count, side=SIDE):
    """Paint the first `count` cells from the upper left, as fast as the tables allow."""
    pictures, dice = CanvasPictures(files), random.Random(7)
    tile = Tile("f" * 12, 0)
    await files.save_tile(tile, png(dice, side))
    claim = replace(claim_of(canvas, (0, 0)), cells=((0, 0),))
    numbers = [(number % canvas.columns, number // canvas.columns) for number in range(count)]
    for x, y in numbers:
        await pictures.cut(replace(canvas, cell=side // 2), replace(claim, x=x, y=y), tile)
    await store._connection.write(
        """INSERT INTO canvas_pieces (session, person, name, x, y, words, job_id, tile_index, placed_at)
           VALUES (:session, 11, 'x', 0, 0, 'x', :job, 0, 0)""",
        {"session": canvas.session_id, "job": tile.job_id},
    )
    for x, y in numbers:
        await store._connection.write(
            "INSERT INTO canvas_cells SELECT :session, :x, :y, max(number) FROM canvas_pieces",
            {"session": canvas.session_id, "x": x, "y": y},
        )


async def test_a_square_is_composed_from_its_cells_and_those_beside_it(tmp_path, store, canvas):
    files, margin = ImageStore(tmp_path), SIDE // 4
    await fill(store, canvas, files, 4)
    cells = await store.cells_around(canvas.session_id, 0, 0)
    assert [(cell.x, cell.y) for cell in cells] == [(0, 0), (1, 0), (2, 0)]
    square, mask = await CanvasPictures(files).square_to_paint(canvas, SIDE + 2 * margin, (0, 0), cells)
    with Image.open(io.BytesIO(mask)) as opened:
        assert opened.size == (SIDE + 2 * margin,) * 2
        painted = (margin, margin, SIDE + 2 * margin, margin + SIDE // 2)
        assert opened.crop(painted).getextrema() == (0, 0)
        assert opened.histogram()[0] == (SIDE + margin) * SIDE // 2
    with Image.open(io.BytesIO(square)) as opened:
        kept = opened.crop((margin, margin, margin + SIDE // 2, margin + SIDE // 2)).tobytes()
        beside = opened.crop((margin + SIDE, margin, SIDE + 2 * margin, margin + SIDE // 2)).tobytes()
    for cell, part, box in ((cells[0], kept, None), (cells[2], beside, (0, 0, margin, SIDE // 2))):
        with Image.open(files.cell_path(f"{canvas.session_id}-{cell.tile}-{cell.x}-0", "png")) as opened:
            assert part == opened.convert("RGB").crop(box).tobytes()


async def test_a_canvas_from_before_the_margins_goes_on_without_them(tmp_path, store, canvas):
    files = ImageStore(tmp_path)
    await fill(store, canvas, files, 4)
    cells = await store.cells_around(canvas.session_id, 0, 0)
    square, mask = await CanvasPictures(files).square_to_paint(canvas, SIDE, (0, 0), cells)
    with Image.open(io.BytesIO(mask)) as opened:
        assert opened.size == (SIDE, SIDE)
        assert opened.crop((0, 0, SIDE, SIDE // 2)).getextrema() == (0, 0)
        assert opened.crop((0, SIDE // 2, SIDE, SIDE)).getextrema() == (255, 255)
    with Image.open(io.BytesIO(square)) as opened:
        assert opened.size == (SIDE, SIDE)
        kept = opened.crop((0, 0, SIDE // 2, SIDE // 2)).tobytes()
    with Image.open(files.cell_path(f"{canvas.session_id}-{cells[0].tile}-0-0", "png")) as cell:
        assert kept == cell.convert("RGB").tobytes()


async def test_a_piece_reads_as_many_cells_on_a_full_canvas(tmp_path, store, canvas, monkeypatch):
    files = ImageStore(tmp_path)
    await fill(store, canvas, files, 4)
    reads = []
    original = type(files.cell_path("a-b", "png")).read_bytes
    monkeypatch.setattr(
        type(files.cell_path("a-b", "png")), "read_bytes", lambda path: reads.append(path) or original(path)
    )
    pictures = CanvasPictures(files)
    await pictures.square_to_paint(canvas, SIDE, (3, 0), await store.cells_around(canvas.session_id, 3, 0))
    few = len(reads)
    monkeypatch.undo()
    await fill_rest(store, canvas, files)
    reads.clear()
    monkeypatch.setattr(
        type(files.cell_path("a-b", "png")), "read_bytes", lambda path: reads.append(path) or original(path)
    )
    await pictures.square_to_paint(canvas, SIDE, (3, 0), await store.cells_around(canvas.session_id, 3, 0))
    assert (few, len(reads)) == (2, 12)


async def fill_rest(store, canvas, files):
    pictures, tile = CanvasPictures(files), Tile("f" * 12, 0)
    claim = replace(claim_of(canvas, (0, 0)), cells=((0, 0),))
    for number in range(4, canvas.columns * canvas.rows):
        x, y = number % canvas.columns, number // canvas.columns
        await pictures.cut(canvas, replace(claim, x=x, y=y), tile)
        await store._connection.write(
            "INSERT INTO canvas_cells SELECT :session, :x, :y, max(number) FROM canvas_pieces",
            {"session": canvas.session_id, "x": x, "y": y},
        )


async def test_the_overview_of_256_cells_is_drawn_in_less_than_300_ms(tmp_path, store, canvas):
    files = ImageStore(tmp_path)
    await fill(store, canvas, files, 256, side=256)
    pictures, cells = CanvasPictures(files), await store.cells(canvas.session_id)
    times = []
    while len(times) < 5 and min(times, default=1) >= 0.3:
        begun = time.process_time()
        picture = await pictures.overview(canvas, cells, {(3, 3): 1}, [(7, 7)])
        times.append(time.process_time() - begun)
    assert min(times) < 0.3, "of processor time, which a busy machine does not lengthen much"
    with Image.open(io.BytesIO(picture)) as opened:
        assert opened.size == (1024, 1024)


async def test_a_look_at_256_cells_reads_their_small_copies(tmp_path, store, canvas):
    files = ImageStore(tmp_path)
    await fill(store, canvas, files, 4, side=1024)
    cells = await store.cells(canvas.session_id)
    for cell in cells:
        files.cell_path(f"{canvas.session_id}-{cell.tile}-{cell.x}-{cell.y}", "png").unlink()
    picture = await CanvasPictures(files).window(canvas, cells, (0, 0), 16, 16)
    with Image.open(io.BytesIO(picture)) as opened:
        assert opened.size == (1024, 1024)
        assert len(opened.convert("RGB").getcolors(1024 * 1024)) > 1, "the painted cells are shown"


@pytest.mark.parametrize("leaves", [False, True])
async def test_erasure_frees_the_cells_or_leaves_them_without_a_name(connection, store, canvas, leaves):
    await place_first(store, canvas, person=12)
    assert await store.claim(claim_of(canvas, (8, 7), 12, 5, at=5000.0), PAUSE_S)
    personal = PersonalData(connection)
    assert (await personal.summary(12)).pieces == 1
    assert (await personal.export_rows(12))["pieces"][0]["words"] == "a boat"
    assert len((await personal.export_rows(12))["claims"]) == 1
    await personal.begin_erasure(12, 6000.0, leaves_entries=leaves)
    assert await stale(connection) == {canvas.session_id: 1}
    assert await store.claims(canvas.session_id) == []
    pieces = await store.pieces(canvas.session_id)
    assert [(piece.person_id, piece.name) for piece in pieces] == ([(0, "")] if leaves else [])
    assert len(await store.cells(canvas.session_id)) == (4 if leaves else 0)


async def stale(connection):
    return {session.id: session.stale for session in await SessionStore(connection).stale()}


async def test_an_erasure_while_a_canvas_is_drawn_again_is_not_lost(connection, store, canvas):
    personal = PersonalData(connection)
    await place_first(store, canvas, person=12)
    assert await store.claim(claim_of(canvas, (8, 7), 13, 5, at=5000.0), PAUSE_S)
    assert await store.place(claim_of(canvas, (8, 7), 13, 5, at=5000.0), 0, 5000.0, sensitive=False)
    await personal.begin_erasure(12, 6000.0)
    sessions = SessionStore(connection)
    (seen,) = await sessions.stale()
    await personal.begin_erasure(13, 6000.0)
    await sessions.set_fresh(seen)
    (seen,) = await sessions.stale()
    await sessions.set_fresh(seen)
    assert await sessions.stale() == []


async def test_a_piece_that_is_taken_out_is_still_shown_until_it_is_drawn_again(connection, store, canvas):
    await place_first(store, canvas)
    (piece,) = await store.pieces(canvas.session_id)
    assert await store.take_out(canvas.session_id, piece.number)
    assert await stale(connection) == {canvas.session_id: 1}
    assert not await store.take_out(canvas.session_id, piece.number)
    assert await stale(connection) == {canvas.session_id: 1}


async def test_undo_is_too_late_after_ten_minutes_or_when_others_went_on(store, canvas):
    await place_first(store, canvas)
    (piece,) = await store.pieces(canvas.session_id)
    assert not await store.undo(piece, since=1000.0)
    other = claim_of(canvas, (8, 7), 12, 5, at=1010.0)
    assert await store.claim(other, PAUSE_S)
    assert not await store.undo(piece, since=900.0), "somebody paints beside it"
    await store.free(other.job_id)
    assert not await store.undo(replace(piece, person_id=12), since=900.0), "it is not theirs"
    assert await store.undo(piece, since=900.0)
    assert await store.cells(canvas.session_id) == []


def test_the_first_place_is_the_middle_and_the_next_ones_go_around_it():
    assert open_places(8, 8, set(), []) == [(3, 3)]
    painted = set(cells_of((3, 3)))
    places = open_places(8, 8, painted, [])
    assert len(places) == 8
    assert all(0 < len(painted & set(cells_of(place))) < 4 for place in places)
    assert open_places(8, 8, painted, [(2, 3)]) == [place for place in places if not touch(place, (2, 3))]
