-- The responses "is thinking…" that are not answered yet: a restart answers them.
CREATE TABLE deferrals (
    token            TEXT PRIMARY KEY,
    token_expires_at REAL NOT NULL,
    person_id        INTEGER NOT NULL,
    locale           TEXT NOT NULL,
    target           TEXT NOT NULL,  -- of the prompt, which can be edited and retried; '' for other commands
    prompt           TEXT NOT NULL
);

-- The status message of a job takes the place of the deferral.
CREATE TRIGGER job_replaces_deferral AFTER INSERT ON jobs BEGIN
    DELETE FROM deferrals WHERE token = NEW.token;
END;

-- The images of a job that are being sent by direct message: a restart sends the rest. `kind` is 'copy' for the result
-- of a user who wants every result so, and 'images' for single images on request.
CREATE TABLE direct_messages (
    job_id    TEXT NOT NULL,
    person_id INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    asked_at  REAL NOT NULL,
    PRIMARY KEY (job_id, person_id, kind)
);
