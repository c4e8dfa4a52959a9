-- The pictures of a contest. Votes name an entry by its id. A person of 0 is somebody who had everything about them
-- erased, but left the picture.
CREATE TABLE contest_entries (
    id          INTEGER PRIMARY KEY,
    session     TEXT NOT NULL REFERENCES collab_sessions (id) ON DELETE CASCADE,
    person      INTEGER NOT NULL,
    job_id      TEXT NOT NULL,
    tile_index  INTEGER NOT NULL,
    at          REAL NOT NULL,
    shown       INTEGER NOT NULL DEFAULT 0,        -- in how many answered pairs
    place       INTEGER,                           -- in the result; ties share one
    rank        INTEGER,                           -- the order in the result, without ties
    UNIQUE (session, job_id, tile_index)
);
CREATE INDEX contest_entries_of_person ON contest_entries (person, session);
CREATE INDEX contest_entries_by_job ON contest_entries (job_id);
CREATE INDEX collab_sessions_of_guild ON collab_sessions (guild_id, kind, made_at);
-- A picture that is deleted leaves the contest at once.
CREATE TRIGGER contest_entries_are_deleted AFTER UPDATE OF deleted_at ON jobs WHEN new.deleted_at IS NOT NULL BEGIN
    DELETE FROM contest_entries WHERE job_id = new.id;
END;
CREATE TRIGGER contest_entries_go AFTER DELETE ON jobs BEGIN
    DELETE FROM contest_entries WHERE job_id = old.id;
END;
