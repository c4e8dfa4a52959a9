-- What it takes to find a picture again: by words over a whole server, and by a copy of the picture.

-- A picture that its channel shows to everybody there. Newer ones have greater ids; those from before this table get
-- negative ones, the newest first. The channel of a public thread's picture is the thread's parent, whose members see it.
CREATE TABLE shown (
    id          INTEGER PRIMARY KEY,
    job_id      TEXT NOT NULL UNIQUE,
    guild_id    INTEGER NOT NULL,
    channel_id  INTEGER NOT NULL,
    thread_id   INTEGER,
    person_id   INTEGER NOT NULL,
    at          REAL NOT NULL                      -- when it was asked for
);
CREATE INDEX shown_in_channel ON shown (channel_id, id);
CREATE INDEX shown_in_thread ON shown (thread_id) WHERE thread_id IS NOT NULL;
CREATE INDEX shown_by_time ON shown (guild_id, at);

-- Its words. The row has the id of the picture; the place names its server and its channel, as `g1` and `c2`.
CREATE VIRTUAL TABLE shown_words USING fts5 (
    place, author, model, prompt, tokenize = "unicode61 remove_diacritics 2", prefix = '1 2 3'
);
CREATE TRIGGER shown_words_go AFTER DELETE ON shown BEGIN
    DELETE FROM shown_words WHERE rowid = old.id;
END;

-- Fingerprints of a job's tiles, 192 bytes each, and their outlines, 24 bytes each. A private job has no guild.
CREATE TABLE fingerprints (
    id          INTEGER PRIMARY KEY,
    job_id      TEXT NOT NULL UNIQUE,
    guild_id    INTEGER,
    channel_id  INTEGER NOT NULL,
    person_id   INTEGER NOT NULL,
    outlines    BLOB NOT NULL,
    vectors     BLOB NOT NULL
);
CREATE INDEX fingerprints_of_guild ON fingerprints (guild_id, channel_id, outlines) WHERE guild_id IS NOT NULL;
CREATE INDEX fingerprints_of_person ON fingerprints (person_id, channel_id, outlines);

-- The results that are posted and not in these tables yet.
CREATE TABLE to_index (
    job_id  TEXT PRIMARY KEY
) WITHOUT ROWID;
CREATE TRIGGER to_index_comes AFTER UPDATE OF state ON jobs WHEN new.state = 'answered' BEGIN
    INSERT OR IGNORE INTO to_index VALUES (new.id);
END;

CREATE TRIGGER index_goes AFTER DELETE ON jobs BEGIN
    DELETE FROM to_index WHERE job_id = old.id;
    DELETE FROM shown WHERE job_id = old.id;
    DELETE FROM fingerprints WHERE job_id = old.id;
END;
CREATE TRIGGER index_is_deleted AFTER UPDATE OF deleted_at ON jobs WHEN new.deleted_at IS NOT NULL BEGIN
    DELETE FROM to_index WHERE job_id = new.id;
    DELETE FROM shown WHERE job_id = new.id;
    DELETE FROM fingerprints WHERE job_id = new.id;
END;

-- Older results are added in the background; this is the row of jobs below which none has been.
INSERT INTO memos SELECT 'words_below', max(rowid) + 1 FROM jobs HAVING max(rowid) IS NOT NULL;
INSERT INTO memos SELECT 'fingerprints_below', max(rowid) + 1 FROM jobs HAVING max(rowid) IS NOT NULL;
