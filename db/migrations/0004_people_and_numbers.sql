-- What the statistics of a server are read from, and what a person may ask for or have erased.
ALTER TABLE jobs ADD COLUMN model TEXT;            -- that drew it

-- Everything that is counted over a server and a time, so that no job itself has to be looked at.
DROP INDEX jobs_by_guild;
CREATE INDEX jobs_of_guild ON jobs (guild_id, asked_at, action, state, asker_id, started_at, seconds, model);

-- The same for what is told to a person.
DROP INDEX jobs_of_asker;
CREATE INDEX jobs_of_asker ON jobs (asker_id, asked_at, suffix, deleted_at);

-- Which pictures that people brought a job needs: nobody would find them in a million jobs' params. Only what is asked
-- for in words can bring one; every other job takes over those of the job it is made from.
CREATE TABLE uploads (
    digest      TEXT NOT NULL,
    job_id      TEXT NOT NULL,
    brought_by  INTEGER,
    PRIMARY KEY (digest, job_id)
) WITHOUT ROWID;
CREATE INDEX uploads_by_job ON uploads (job_id);
CREATE INDEX uploads_by_person ON uploads (brought_by) WHERE brought_by IS NOT NULL;
INSERT OR IGNORE INTO uploads
    SELECT substr(value, 8), jobs.id, CASE WHEN action IN ('imagine', 'blend') THEN asker_id END
    FROM jobs, json_tree(jobs.params)
    WHERE instr(jobs.params, 'upload:') AND json_tree.type = 'text' AND value GLOB 'upload:*';
CREATE TRIGGER uploads_come AFTER INSERT ON jobs WHEN instr(new.params, 'upload:') BEGIN
    INSERT OR IGNORE INTO uploads
        SELECT substr(value, 8), new.id, CASE WHEN new.action IN ('imagine', 'blend') THEN new.asker_id END
        FROM json_tree(new.params) WHERE type = 'text' AND value GLOB 'upload:*';
END;
CREATE TRIGGER uploads_go AFTER DELETE ON jobs BEGIN
    DELETE FROM uploads WHERE job_id = old.id;
END;

-- Who wants everything erased that was asked for up to a time, until that is done.
CREATE TABLE erasures (
    person_id  INTEGER PRIMARY KEY,
    up_to      REAL NOT NULL
);

-- What erased jobs of the last day still count for: a limit would be none if it could be erased.
CREATE TABLE tallies (
    person_id  INTEGER NOT NULL,
    guild_id   INTEGER NOT NULL,
    asked_at   REAL NOT NULL,
    seconds    REAL
);
CREATE INDEX tallies_of_person ON tallies (person_id, asked_at);

CREATE INDEX reports_by_person ON reports (person_id);
CREATE INDEX blocks_by_person ON blocks (person_id);
CREATE INDEX threads_by_id ON threads (thread_id);
CREATE INDEX threads_of_person ON threads (person_id);
