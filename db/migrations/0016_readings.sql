-- What jobs found out that read a prompt or a picture: the prompts behind their buttons, and the words with their weights.

CREATE TABLE readings (
    job_id   TEXT PRIMARY KEY,
    prompts  TEXT NOT NULL,                        -- JSON, a list
    words    TEXT NOT NULL                         -- JSON, a list of [word, weight] for each part of the prompt
) WITHOUT ROWID;

CREATE TRIGGER readings_go AFTER DELETE ON jobs BEGIN
    DELETE FROM readings WHERE job_id = old.id;
END;

CREATE TRIGGER readings_are_deleted AFTER UPDATE OF deleted_at ON jobs WHEN new.deleted_at IS NOT NULL BEGIN
    DELETE FROM readings WHERE job_id = new.id;
END;
