-- What people make together: where each job came from, who had a part in it, and sessions that go on by the clock.

-- From which images a job was made. The rows of a deleted job stay while the other end is there: a family keeps its
-- shape, without a word or a name.
CREATE TABLE lineage (
    child         TEXT NOT NULL,
    parent_job    TEXT NOT NULL,
    parent_index  INTEGER NOT NULL,
    kind          TEXT NOT NULL CHECK (kind IN ('made', 'source', 'blend', 'style', 'character', 'piece')),
    PRIMARY KEY (child, parent_job, parent_index, kind)
) WITHOUT ROWID;
CREATE INDEX lineage_by_parent ON lineage (parent_job, child);
INSERT INTO lineage SELECT id, parent_job, coalesce(parent_index, 0), 'made' FROM jobs WHERE parent_job IS NOT NULL;
INSERT OR IGNORE INTO lineage
    SELECT jobs.id, substr(value, 6, 12), CAST(substr(value, 19) AS INTEGER), CASE
        WHEN fullkey GLOB '$.blended*' THEN 'blend'
        WHEN fullkey = '$.source' AND json_array_length(params, '$.blended') > 0 THEN 'blend'
        WHEN fullkey = '$.source' THEN 'source'
        WHEN fullkey GLOB '$.style*' THEN 'style'
        WHEN fullkey GLOB '$.character*' THEN 'character'
    END AS relation
    FROM jobs, json_tree(jobs.params)
    WHERE instr(jobs.params, 'tile:') AND json_tree.type = 'text' AND length(value) = 19 AND value GLOB 'tile:*-[0-3]'
      AND relation IS NOT NULL AND substr(value, 6) IS NOT (parent_job || '-' || parent_index);
CREATE TRIGGER lineage_comes AFTER INSERT ON jobs WHEN new.parent_job IS NOT NULL OR instr(new.params, 'tile:') BEGIN
    INSERT OR IGNORE INTO lineage
        SELECT new.id, new.parent_job, coalesce(new.parent_index, 0), 'made' WHERE new.parent_job IS NOT NULL;
    INSERT OR IGNORE INTO lineage
        SELECT new.id, substr(value, 6, 12), CAST(substr(value, 19) AS INTEGER), CASE
            WHEN fullkey GLOB '$.blended*' THEN 'blend'
            WHEN fullkey = '$.source' AND json_array_length(new.params, '$.blended') > 0 THEN 'blend'
            WHEN fullkey = '$.source' THEN 'source'
            WHEN fullkey GLOB '$.style*' THEN 'style'
            WHEN fullkey GLOB '$.character*' THEN 'character'
        END AS relation
        FROM json_tree(new.params)
        WHERE type = 'text' AND length(value) = 19 AND value GLOB 'tile:*-[0-3]'
          AND relation IS NOT NULL AND substr(value, 6) IS NOT (new.parent_job || '-' || new.parent_index);
END;
CREATE TRIGGER lineage_goes AFTER DELETE ON jobs BEGIN
    DELETE FROM lineage WHERE child = old.id AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = lineage.parent_job);
    DELETE FROM lineage WHERE parent_job = old.id AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = lineage.child);
END;

-- Who had a part in a job. A person of 0 is somebody who had everything about them erased.
CREATE TABLE credits (
    job     TEXT NOT NULL,
    person  INTEGER NOT NULL,
    part    TEXT NOT NULL CHECK (part IN ('worded', 'chose', 'placed', 'taught')),
    weight  REAL NOT NULL DEFAULT 1
);
CREATE INDEX credits_by_job ON credits (job, part, person);
CREATE INDEX credits_of_person ON credits (person, job);
INSERT INTO credits SELECT id, asker_id, 'chose', 1 FROM jobs WHERE parent_job IS NOT NULL;
INSERT INTO credits SELECT id, asker_id, 'worded', 1 FROM jobs
    WHERE parent_job IS NULL OR action IN ('remix_subtle', 'remix_strong');
CREATE TRIGGER credits_come AFTER INSERT ON jobs BEGIN
    INSERT INTO credits SELECT new.id, new.asker_id, 'chose', 1 WHERE new.parent_job IS NOT NULL;
    INSERT INTO credits SELECT new.id, new.asker_id, 'worded', 1
        WHERE new.parent_job IS NULL OR new.action IN ('remix_subtle', 'remix_strong');
END;
CREATE TRIGGER credits_go AFTER DELETE ON jobs BEGIN
    DELETE FROM credits WHERE job = old.id;
END;

-- A session that people take part in. Its next step is due at due_at; each step is one conditional UPDATE of phase.
CREATE TABLE collab_sessions (
    id          TEXT PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('jam', 'canvas', 'contest', 'telephone')),
    guild_id    INTEGER NOT NULL,
    channel_id  INTEGER NOT NULL,
    thread_id   INTEGER,
    host_id     INTEGER NOT NULL,
    phase       TEXT NOT NULL,
    round       INTEGER NOT NULL DEFAULT 0,
    due_at      REAL,
    settings    TEXT NOT NULL,                     -- JSON, fixed at the start
    message_id  INTEGER,                           -- of the message that announced it
    made_at     REAL NOT NULL,
    ended_at    REAL
);
CREATE INDEX collab_sessions_due ON collab_sessions (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX collab_sessions_active ON collab_sessions (guild_id, channel_id) WHERE ended_at IS NULL;
CREATE INDEX collab_sessions_of_host ON collab_sessions (host_id);
CREATE INDEX collab_sessions_ended ON collab_sessions (ended_at) WHERE ended_at IS NOT NULL;

-- What a round drew, with the message that people vote on.
CREATE TABLE collab_rounds (
    session     TEXT NOT NULL REFERENCES collab_sessions (id) ON DELETE CASCADE,
    round       INTEGER NOT NULL,
    job_id      TEXT NOT NULL,
    message_id  INTEGER,
    facts       TEXT NOT NULL DEFAULT '{}',        -- JSON: what was decided for it
    PRIMARY KEY (session, round)
) WITHOUT ROWID;
CREATE INDEX collab_rounds_by_job ON collab_rounds (job_id);

-- One row for what a person chose: to choose again is to change one's mind.
CREATE TABLE ballots (
    session  TEXT NOT NULL REFERENCES collab_sessions (id) ON DELETE CASCADE,
    round    INTEGER NOT NULL,
    person   INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    choice   TEXT NOT NULL,
    at       REAL NOT NULL,
    PRIMARY KEY (session, round, person, kind)
) WITHOUT ROWID;
CREATE INDEX ballots_of_person ON ballots (person);

-- Words that somebody offers to a session: one standing offer each.
CREATE TABLE suggestions (
    session  TEXT NOT NULL REFERENCES collab_sessions (id) ON DELETE CASCADE,
    person   INTEGER NOT NULL,
    round    INTEGER NOT NULL,
    name     TEXT NOT NULL,
    words    TEXT NOT NULL,
    at       REAL NOT NULL,
    PRIMARY KEY (session, person)
) WITHOUT ROWID;
CREATE INDEX suggestions_of_person ON suggestions (person);
