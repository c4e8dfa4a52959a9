-- Who is told when the next round or vote of a session begins.
CREATE TABLE session_bells (
    session  TEXT NOT NULL REFERENCES collab_sessions (id) ON DELETE CASCADE,
    person   INTEGER NOT NULL,
    PRIMARY KEY (session, person)
) WITHOUT ROWID;
CREATE INDEX session_bells_of_person ON session_bells (person);

-- Who wants to hear that others went on from their pictures, and when they were last told.
CREATE TABLE news_readers (
    person_id  INTEGER PRIMARY KEY,
    told_at    REAL NOT NULL
);
CREATE INDEX news_readers_by_time ON news_readers (told_at);

-- What they have not been told yet: a job that was made from one of theirs.
CREATE TABLE news (
    person_id   INTEGER NOT NULL REFERENCES news_readers (person_id) ON DELETE CASCADE,
    parent_job  TEXT NOT NULL,
    child       TEXT NOT NULL,
    PRIMARY KEY (person_id, parent_job, child)
) WITHOUT ROWID;
CREATE TRIGGER news_come AFTER INSERT ON lineage BEGIN
    INSERT OR IGNORE INTO news
        SELECT parent.asker_id, new.parent_job, new.child
        FROM jobs AS parent JOIN news_readers ON news_readers.person_id = parent.asker_id
        WHERE parent.id = new.parent_job
          AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = new.child AND asker_id = parent.asker_id);
END;
