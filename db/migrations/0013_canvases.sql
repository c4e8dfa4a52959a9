-- Canvases: one large picture by many hands. A cell is half the model's native side, a piece a square of 2x2 cells, of
-- which it paints those that nobody has painted before.
CREATE TABLE canvases (
    session     TEXT PRIMARY KEY REFERENCES collab_sessions (id) ON DELETE CASCADE,
    columns     INTEGER NOT NULL,
    rows        INTEGER NOT NULL,
    cell        INTEGER NOT NULL,                  -- pixels of a cell's side
    neighbours  INTEGER NOT NULL,                  -- 1: nobody paints two touching pieces in succession
    stale       INTEGER NOT NULL DEFAULT 0         -- 1: pieces were erased, and its messages still show them
) WITHOUT ROWID;
CREATE INDEX canvases_stale ON canvases (stale) WHERE stale = 1;

-- A place that somebody is painting. A person has one of a canvas, and no two touch or overlap.
CREATE TABLE canvas_claims (
    session  TEXT NOT NULL REFERENCES collab_sessions (id) ON DELETE CASCADE,
    person   INTEGER NOT NULL,
    name     TEXT NOT NULL,
    x        INTEGER NOT NULL,                     -- of the square's upper left cell
    y        INTEGER NOT NULL,
    cells    TEXT NOT NULL,                        -- JSON: which of its cells it paints, as [right, down]
    words    TEXT NOT NULL,
    job_id   TEXT NOT NULL UNIQUE,
    drawn    INTEGER NOT NULL DEFAULT 1,           -- how often candidates were asked for
    at       REAL NOT NULL,
    until    REAL NOT NULL,
    PRIMARY KEY (session, person)
) WITHOUT ROWID;
CREATE INDEX canvas_claims_of_person ON canvas_claims (person);

-- A piece that was placed. A person of 0 is somebody who had everything about them erased, but left the piece.
CREATE TABLE canvas_pieces (
    number      INTEGER PRIMARY KEY,
    session     TEXT NOT NULL REFERENCES collab_sessions (id) ON DELETE CASCADE,
    person      INTEGER NOT NULL,
    name        TEXT NOT NULL,
    x           INTEGER NOT NULL,
    y           INTEGER NOT NULL,
    words       TEXT NOT NULL,
    job_id      TEXT NOT NULL UNIQUE,
    tile_index  INTEGER NOT NULL,
    sensitive   INTEGER NOT NULL DEFAULT 0,
    placed_at   REAL NOT NULL
);
CREATE INDEX canvas_pieces_of_session ON canvas_pieces (session);
CREATE INDEX canvas_pieces_of_person ON canvas_pieces (person, session);

-- The cells that are painted: a cell has one piece, and keeps it.
CREATE TABLE canvas_cells (
    session  TEXT NOT NULL REFERENCES collab_sessions (id) ON DELETE CASCADE,
    x        INTEGER NOT NULL,
    y        INTEGER NOT NULL,
    piece    INTEGER NOT NULL REFERENCES canvas_pieces (number) ON DELETE CASCADE,
    PRIMARY KEY (session, x, y)
) WITHOUT ROWID;
CREATE INDEX canvas_cells_of_piece ON canvas_cells (piece);
