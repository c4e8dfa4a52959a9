-- What the owners of a server decided: JSON by guild, with a number that counts its changes.
CREATE TABLE guilds (
    id        INTEGER PRIMARY KEY,
    settings  TEXT NOT NULL,
    version   INTEGER NOT NULL DEFAULT 1
);

-- Words and phrases that prompts may not hold, and what is done about each.
CREATE TABLE blocked_words (
    guild_id  INTEGER NOT NULL,
    phrase    TEXT NOT NULL,
    mode      TEXT NOT NULL CHECK (mode IN ('refuse', 'warn', 'except_no')),
    PRIMARY KEY (guild_id, phrase)
);

-- Every act of an owner or a moderator.
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY,
    guild_id   INTEGER NOT NULL,
    person_id  INTEGER NOT NULL,
    act        TEXT NOT NULL,
    details    TEXT NOT NULL,
    at         REAL NOT NULL
);
CREATE INDEX audit_by_guild ON audit (guild_id, at);

-- People who may not use the bot in a server, until a time or for good (NULL).
CREATE TABLE blocks (
    guild_id   INTEGER NOT NULL,
    person_id  INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    until      REAL,
    by_id      INTEGER NOT NULL,
    at         REAL NOT NULL,
    PRIMARY KEY (guild_id, person_id)
);

-- What people reported to the moderators.
CREATE TABLE reports (
    id         INTEGER PRIMARY KEY,
    guild_id   INTEGER NOT NULL,
    job_id     TEXT NOT NULL,
    person_id  INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    at         REAL NOT NULL,
    outcome    TEXT
);
CREATE INDEX reports_open ON reports (guild_id, at) WHERE outcome IS NULL;
-- The thread of each person in a channel, where the owners want results there.
CREATE TABLE threads (
    channel_id  INTEGER NOT NULL,
    person_id   INTEGER NOT NULL,
    thread_id   INTEGER NOT NULL,
    PRIMARY KEY (channel_id, person_id)
);

ALTER TABLE jobs ADD COLUMN post_in INTEGER;       -- the thread or gallery for the result, once that is settled
ALTER TABLE jobs ADD COLUMN sensitive INTEGER NOT NULL DEFAULT 0;  -- the classifier took the result for so
ALTER TABLE jobs ADD COLUMN removing INTEGER NOT NULL DEFAULT 0;   -- deleted, and its message is still to be removed
CREATE INDEX jobs_to_remove ON jobs (id) WHERE removing = 1;
ALTER TABLE jobs ADD COLUMN seconds REAL;          -- it took to draw
CREATE INDEX jobs_by_guild ON jobs (guild_id, asked_at);
