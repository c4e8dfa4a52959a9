"""Store canvases: who is painting where, the pieces that were placed, and which cells they painted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from db.connection import Connection
from generation.params import Tile

PAINTING = "painting"  # the phase in which pieces are placed; it is stored and never changes

# One statement, so that of many people who want a place exactly one gets it. A square that touches one that is being
# painted is locked too: otherwise both sides of their border would be painted at once, and not fit.
CLAIM = """
    INSERT INTO canvas_claims (session, person, name, x, y, cells, words, job_id, at, until)
    SELECT :session, :person, :name, :x, :y, (
            SELECT json_group_array(json(square.value)) FROM json_each('[[0,0],[1,0],[0,1],[1,1]]') AS square
            WHERE NOT EXISTS (SELECT 1 FROM canvas_cells WHERE session = :session
                AND x = :x + json_extract(square.value, '$[0]') AND y = :y + json_extract(square.value, '$[1]'))
        ), :words, :job, :at, :until
    FROM collab_sessions JOIN canvases ON canvases.session = collab_sessions.id
    WHERE collab_sessions.id = :session AND phase = :phase AND ended_at IS NULL
      AND :x BETWEEN 0 AND columns - 2 AND :y BETWEEN 0 AND rows - 2
      AND NOT EXISTS (SELECT 1 FROM canvas_claims WHERE session = :session
          AND x BETWEEN :x - 2 AND :x + 2 AND y BETWEEN :y - 2 AND :y + 2)
      AND NOT EXISTS (SELECT 1 FROM canvas_pieces WHERE person = :person AND session = :session
          AND placed_at > :at - :pause)
      AND CASE WHEN EXISTS (SELECT 1 FROM canvas_cells WHERE session = :session)
          THEN (SELECT count(*) FROM canvas_cells WHERE session = :session
                AND x BETWEEN :x AND :x + 1 AND y BETWEEN :y AND :y + 1) BETWEEN 1 AND 3
          ELSE :x = (columns - 2) / 2 AND :y = (rows - 2) / 2 END
      AND (NOT neighbours OR NOT EXISTS (
          SELECT 1 FROM canvas_pieces
          WHERE number = (SELECT max(number) FROM canvas_pieces WHERE session = :session) AND person = :person
            AND x BETWEEN :x - 2 AND :x + 2 AND y BETWEEN :y - 2 AND :y + 2))
    ON CONFLICT (session, person) DO NOTHING
"""
PLACE = """
    INSERT INTO canvas_pieces (session, person, name, x, y, words, job_id, tile_index, sensitive, placed_at)
    SELECT canvas_claims.session, person, name, x, y, words, job_id, :index, :sensitive, :at
    FROM canvas_claims JOIN collab_sessions ON collab_sessions.id = canvas_claims.session
    WHERE job_id = :job AND person = :person AND phase = :phase AND ended_at IS NULL
    ON CONFLICT (job_id) DO NOTHING
"""
PLACE_CELLS = """
    INSERT INTO canvas_cells (session, x, y, piece)
    SELECT canvas_pieces.session, canvas_pieces.x + json_extract(square.value, '$[0]'),
           canvas_pieces.y + json_extract(square.value, '$[1]'), number
    FROM canvas_pieces JOIN canvas_claims ON canvas_claims.job_id = canvas_pieces.job_id, json_each(cells) AS square
    WHERE canvas_pieces.job_id = :job AND changes() = 1
"""
PLACED_CLAIM = """
    DELETE FROM canvas_claims WHERE job_id = :job AND EXISTS (SELECT 1 FROM canvas_pieces WHERE job_id = :job)
"""
# A claim whose candidates are still being drawn goes on for a while: nobody loses a place to a long queue.
EXTEND_WHILE_DRAWN = """
    UPDATE canvas_claims SET until = :now + :more
    WHERE session = :session AND until <= :now AND at > :now - :most AND EXISTS (
        SELECT 1 FROM jobs WHERE id = canvas_claims.job_id AND state IN ('waiting', 'drawing', 'drawn'))
"""
SET_DUE = """
    UPDATE collab_sessions SET due_at = min(
        coalesce((SELECT min(until) FROM canvas_claims WHERE session = :session), 1e12),
        coalesce((SELECT max(placed_at) FROM canvas_pieces WHERE session = :session), made_at) + :idle)
    WHERE id = :session AND phase = :phase AND ended_at IS NULL
"""
# Its cells go with it. It stays if somebody paints beside it, or has painted on from it.
UNDO = """
    DELETE FROM canvas_pieces
    WHERE number = :number AND person = :person AND session = :session AND placed_at > :since
      AND number = (SELECT max(number) FROM canvas_pieces WHERE person = :person AND session = :session)
      AND EXISTS (SELECT 1 FROM collab_sessions WHERE id = :session AND phase = :phase AND ended_at IS NULL)
      AND NOT EXISTS (SELECT 1 FROM canvas_claims AS other WHERE other.session = :session
          AND other.x BETWEEN canvas_pieces.x - 2 AND canvas_pieces.x + 2
          AND other.y BETWEEN canvas_pieces.y - 2 AND canvas_pieces.y + 2)
      AND NOT EXISTS (SELECT 1 FROM canvas_pieces AS later WHERE later.session = :session
          AND later.number > canvas_pieces.number
          AND later.x BETWEEN canvas_pieces.x - 2 AND canvas_pieces.x + 2
          AND later.y BETWEEN canvas_pieces.y - 2 AND canvas_pieces.y + 2)
"""
CELLS = """
    SELECT canvas_cells.x, canvas_cells.y, piece, job_id, tile_index
    FROM canvas_cells JOIN canvas_pieces ON canvas_pieces.number = canvas_cells.piece
    WHERE canvas_cells.session = :session
"""
# Each painter with the number of the newest piece.
PAINTERS = """
    SELECT person, max(number) AS newest FROM canvas_pieces WHERE session = :session
    GROUP BY person ORDER BY newest DESC LIMIT :most
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """The size of a canvas in cells, and of a cell in pixels; with `neighbours` people take turns side by side."""

    session_id: str
    columns: int
    rows: int
    cell: int
    neighbours: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A place that a person is painting: the square at `x`, `y`, of which `cells` are new, as steps right and down."""

    session_id: str
    person_id: int
    name: str
    x: int
    y: int
    words: str
    job_id: str
    at: float
    until: float
    cells: Sequence[tuple[int, int]] = ()
    drawn: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece that was placed; a person of 0 had their data erased."""

    number: int
    session_id: str
    person_id: int
    name: str
    x: int
    y: int
    words: str
    tile: Tile
    sensitive: bool
    placed_at: float


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """A painted cell, the number of its piece, and the tile that it was cut from."""

    x: int
    y: int
    piece: int
    tile: Tile


class CanvasStore:
    """Store canvases in SQLite."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, canvas: Canvas) -> None:
        """Store a new canvas, whose session is stored already."""
        await self._connection.write(
            """INSERT INTO canvases (session, columns, rows, cell, neighbours)
               VALUES (:session_id, :columns, :rows, :cell, :neighbours)""",
            asdict(canvas),
        )

    async def get(self, session_id: str) -> Canvas | None:
        """Return a canvas."""
        rows = await self._connection.fetch_all("SELECT * FROM canvases WHERE session = :id", {"id": session_id})
        return next(
            (
                Canvas(
                    session_id=row["session"],
                    columns=row["columns"],
                    rows=row["rows"],
                    cell=row["cell"],
                    neighbours=bool(row["neighbours"]),
                )
                for row in rows
            ),
            None,
        )

    async def claim(self, claim: Claim, pause: float) -> bool:
        """Store a claim; returns False if its place may not be painted now, or not by this person.

        The person must not have placed a piece in the last `pause` seconds.
        """
        values = _claim_values(claim) | {"pause": pause, "phase": PAINTING}
        return await self._connection.write(CLAIM, values) == 1

    async def claims(self, session_id: str) -> list[Claim]:
        """Return the places that people are painting."""
        rows = await self._connection.fetch_all(
            "SELECT * FROM canvas_claims WHERE session = :session ORDER BY at, person", {"session": session_id}
        )
        return [_claim_from_row(dict(row)) for row in rows]

    async def claim_of_job(self, job_id: str) -> Claim | None:
        """Return the claim whose candidates a job draws."""
        rows = await self._connection.fetch_all("SELECT * FROM canvas_claims WHERE job_id = :job", {"job": job_id})
        return _claim_from_row(dict(rows[0])) if rows else None

    async def draw_again(self, claim: Claim, words: str, job_id: str, most: int) -> bool:
        """Let another job draw the candidates of a claim; returns False if it has ended or was drawn `most` times."""
        changed = await self._connection.write(
            """UPDATE canvas_claims SET words = :words, job_id = :new, drawn = drawn + 1
               WHERE job_id = :job AND drawn < :most""",
            {"job": claim.job_id, "words": words, "new": job_id, "most": most},
        )
        return changed == 1

    async def take_back(self, claim: Claim, job_id: str) -> None:
        """Undo `draw_again`: the new job was refused."""
        await self._connection.write(
            "UPDATE canvas_claims SET words = :words, job_id = :old, drawn = drawn - 1 WHERE job_id = :job",
            {"job": job_id, "words": claim.words, "old": claim.job_id},
        )

    async def set_until(self, job_id: str, until: float) -> None:
        """Set when a claim ends."""
        await self._connection.write(
            "UPDATE canvas_claims SET until = :until WHERE job_id = :job", {"job": job_id, "until": until}
        )

    async def free(self, job_id: str) -> bool:
        """End a claim without a piece; returns False if it has ended."""
        return await self._connection.write("DELETE FROM canvas_claims WHERE job_id = :job", {"job": job_id}) == 1

    async def free_all(self, session_id: str) -> None:
        """End all claims of a canvas."""
        await self._connection.write("DELETE FROM canvas_claims WHERE session = :session", {"session": session_id})

    async def free_expired(self, session_id: str, now: float, *, more: float, most: float) -> int:
        """End the claims whose time is up; return their number.

        Those whose candidates are still drawn get `more` seconds, until `most` seconds after they were made.
        """
        values = {"session": session_id, "now": now, "more": more, "most": most}
        await self._connection.write(EXTEND_WHILE_DRAWN, values)
        return await self._connection.write(
            "DELETE FROM canvas_claims WHERE session = :session AND until <= :now", values
        )

    async def place(self, claim: Claim, index: int, at: float, *, sensitive: bool) -> bool:
        """Place a candidate of a claim; returns False if the claim or the canvas has ended."""
        values = {
            "job": claim.job_id,
            "person": claim.person_id,
            "index": index,
            "sensitive": sensitive,
            "at": at,
            "phase": PAINTING,
        }
        placed = await self._connection.write_atomically(
            (PLACE, values), (PLACE_CELLS, {"job": claim.job_id}), (PLACED_CLAIM, {"job": claim.job_id})
        )
        return placed == 1

    async def cells(self, session_id: str) -> list[Cell]:
        """Return the painted cells of a canvas, row by row."""
        rows = await self._connection.fetch_all(
            f"{CELLS} ORDER BY canvas_cells.x, canvas_cells.y", {"session": session_id}
        )
        return [_cell_from_row(dict(row)) for row in rows]

    async def cells_around(self, session_id: str, x: int, y: int) -> list[Cell]:
        """Return the painted cells of one square and beside it: at most sixteen, however large the canvas is."""
        rows = await self._connection.fetch_all(
            f"{CELLS} AND canvas_cells.x BETWEEN :x - 1 AND :x + 2 AND canvas_cells.y BETWEEN :y - 1 AND :y + 2",
            {"session": session_id, "x": x, "y": y},
        )
        return [_cell_from_row(dict(row)) for row in rows]

    async def cells_of_first_piece(self, session_id: str) -> list[Cell]:
        """Return the cells of the oldest piece that is there."""
        rows = await self._connection.fetch_all(
            f"{CELLS} AND piece = (SELECT min(number) FROM canvas_pieces WHERE session = :session)",
            {"session": session_id},
        )
        return [_cell_from_row(dict(row)) for row in rows]

    async def pieces(self, session_id: str) -> list[Piece]:
        """Return the pieces of a canvas in the order in which they were placed."""
        rows = await self._connection.fetch_all(
            "SELECT * FROM canvas_pieces WHERE session = :session ORDER BY number", {"session": session_id}
        )
        return [_piece_from_row(dict(row)) for row in rows]

    async def piece_of_job(self, job_id: str) -> Piece | None:
        """Return the piece whose candidates a job drew."""
        rows = await self._connection.fetch_all("SELECT * FROM canvas_pieces WHERE job_id = :job", {"job": job_id})
        return _piece_from_row(dict(rows[0])) if rows else None

    async def painters(self, session_id: str, most: int) -> list[int]:
        """Return who has placed a piece that is there, the latest first."""
        rows = await self._connection.fetch_all(PAINTERS, {"session": session_id, "most": most})
        return [row["person"] for row in rows]

    async def undo(self, piece: Piece, since: float) -> bool:
        """Take back a person's last piece; returns False if it is older than `since` or others go on from it."""
        values = {
            "number": piece.number,
            "person": piece.person_id,
            "session": piece.session_id,
            "since": since,
            "phase": PAINTING,
        }
        return await self._connection.write(UNDO, values) == 1

    async def take_out(self, session_id: str, number: int) -> bool:
        """Delete a piece and free its cells, and those only; returns False if there is none."""
        values = {"number": number, "session": session_id}
        deleted = await self._connection.write_atomically(
            ("DELETE FROM canvas_pieces WHERE number = :number AND session = :session", values),
            ("UPDATE collab_sessions SET stale = stale + 1 WHERE id = :session AND changes() = 1", values),
        )
        return deleted == 1

    async def set_due(self, session_id: str, idle: float) -> None:
        """Make a canvas due when its first claim ends, or `idle` seconds after its last piece."""
        await self._connection.write(SET_DUE, {"session": session_id, "idle": idle, "phase": PAINTING})


def _claim_values(claim: Claim) -> dict[str, Any]:
    return {
        "session": claim.session_id,
        "person": claim.person_id,
        "name": claim.name,
        "x": claim.x,
        "y": claim.y,
        "words": claim.words,
        "job": claim.job_id,
        "at": claim.at,
        "until": claim.until,
    }


def _claim_from_row(row: dict[str, Any]) -> Claim:
    return Claim(
        session_id=row["session"],
        person_id=row["person"],
        name=row["name"],
        x=row["x"],
        y=row["y"],
        words=row["words"],
        job_id=row["job_id"],
        at=row["at"],
        until=row["until"],
        cells=tuple((right, down) for right, down in json.loads(row["cells"])),
        drawn=row["drawn"],
    )


def _piece_from_row(row: dict[str, Any]) -> Piece:
    return Piece(
        number=row["number"],
        session_id=row["session"],
        person_id=row["person"],
        name=row["name"],
        x=row["x"],
        y=row["y"],
        words=row["words"],
        tile=Tile(row["job_id"], row["tile_index"]),
        sensitive=bool(row["sensitive"]),
        placed_at=row["placed_at"],
    )


def _cell_from_row(row: dict[str, Any]) -> Cell:
    return Cell(row["x"], row["y"], row["piece"], Tile(row["job_id"], row["tile_index"]))
