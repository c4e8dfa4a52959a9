-- Every request ever accepted, with everything needed to carry it on after a restart.
CREATE TABLE jobs (
    id                TEXT PRIMARY KEY,
    state             TEXT NOT NULL DEFAULT 'waiting'
                      CHECK (state IN ('waiting', 'drawing', 'drawn', 'answered', 'failed', 'cancelled')),
    action            TEXT NOT NULL,
    params            TEXT NOT NULL,               -- JSON, generation.params.to_dict
    asker_id          INTEGER NOT NULL,
    asker_name        TEXT NOT NULL,
    guild_id          INTEGER,
    channel_id        INTEGER NOT NULL,
    by_channel        INTEGER NOT NULL,            -- may the bot use the channel itself, not only the token
    token             TEXT NOT NULL,
    token_expires_at  REAL NOT NULL,
    upload_limit      INTEGER NOT NULL,
    reply_to          INTEGER,
    parent_job        TEXT,
    parent_index      INTEGER,
    asked_at          REAL NOT NULL,
    started_at        REAL,
    ended_at          REAL,
    attempts          INTEGER NOT NULL DEFAULT 0,
    suffix            TEXT,                        -- the sheet's file name ending, once drawn
    notice_id         INTEGER,                     -- the message that says where the job stands, while it is there
    answer_id         INTEGER,                     -- the message with the result
    ending            TEXT                         -- what the person was told when there was no result
);
CREATE INDEX jobs_open ON jobs (asked_at) WHERE state IN ('waiting', 'drawing', 'drawn');
CREATE INDEX jobs_noticed ON jobs (asked_at) WHERE notice_id IS NOT NULL;
CREATE INDEX jobs_by_asker ON jobs (asker_id, started_at);

-- Small facts the bot remembers about itself, such as which commands Discord has.
CREATE TABLE memos (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
