BEGIN TRANSACTION;
CREATE VIRTUAL TABLE job_words USING fts5 (
    job_id, asker_id, prompt, tokenize = "unicode61 remove_diacritics 2", prefix = '1 2 3'
);
CREATE VIRTUAL TABLE shown_words USING fts5 (
    place, author, model, prompt, tokenize = "unicode61 remove_diacritics 2", prefix = '1 2 3'
);
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY,
    guild_id   INTEGER NOT NULL,
    person_id  INTEGER NOT NULL,
    act        TEXT NOT NULL,
    details    TEXT NOT NULL,
    at         REAL NOT NULL
);
CREATE TABLE ballots (
    session  TEXT NOT NULL REFERENCES collab_sessions (id) ON DELETE CASCADE,
    round    INTEGER NOT NULL,
    person   INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    choice   TEXT NOT NULL,
    at       REAL NOT NULL,
    PRIMARY KEY (session, round, person, kind)
) WITHOUT ROWID;
CREATE TABLE blocked_words (
    guild_id  INTEGER NOT NULL,
    phrase    TEXT NOT NULL,
    mode      TEXT NOT NULL CHECK (mode IN ('refuse', 'warn', 'except_no')),
    PRIMARY KEY (guild_id, phrase)
);
CREATE TABLE blocks (
    guild_id   INTEGER NOT NULL,
    person_id  INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    until      REAL,
    by_id      INTEGER NOT NULL,
    at         REAL NOT NULL,
    PRIMARY KEY (guild_id, person_id)
);
CREATE TABLE canvas_cells (
    session  TEXT NOT NULL REFERENCES collab_sessions (id) ON DELETE CASCADE,
    x        INTEGER NOT NULL,
    y        INTEGER NOT NULL,
    piece    INTEGER NOT NULL REFERENCES canvas_pieces (number) ON DELETE CASCADE,
    PRIMARY KEY (session, x, y)
) WITHOUT ROWID;
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
CREATE TABLE canvases (
    session     TEXT PRIMARY KEY REFERENCES collab_sessions (id) ON DELETE CASCADE,
    columns     INTEGER NOT NULL,
    rows        INTEGER NOT NULL,
    cell        INTEGER NOT NULL,                  -- pixels of a cell's side
    neighbours  INTEGER NOT NULL,                  -- 1: nobody paints two touching pieces in succession
    stale       INTEGER NOT NULL DEFAULT 0         -- 1: pieces were erased, and its messages still show them
) WITHOUT ROWID;
CREATE TABLE collab_rounds (
    session     TEXT NOT NULL REFERENCES collab_sessions (id) ON DELETE CASCADE,
    round       INTEGER NOT NULL,
    job_id      TEXT NOT NULL,
    message_id  INTEGER,
    facts       TEXT NOT NULL DEFAULT '{}', worded_by INTEGER,        -- JSON: what was decided for it
    PRIMARY KEY (session, round)
) WITHOUT ROWID;
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
, stale INTEGER NOT NULL DEFAULT 0);
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
CREATE TABLE credits (
    job     TEXT NOT NULL,
    person  INTEGER NOT NULL,
    part    TEXT NOT NULL CHECK (part IN ('worded', 'chose', 'placed', 'taught')),
    weight  REAL NOT NULL DEFAULT 1
);
INSERT INTO "credits" VALUES('000000000000',11,'worded',1.0);
INSERT INTO "credits" VALUES('000000000001',9223372036854775807,'chose',1.0);
INSERT INTO "credits" VALUES('000000000002',11,'worded',1.0);
INSERT INTO "credits" VALUES('000000000003',9223372036854775807,'chose',1.0);
INSERT INTO "credits" VALUES('000000000004',11,'worded',1.0);
INSERT INTO "credits" VALUES('000000000005',9223372036854775807,'chose',1.0);
CREATE TABLE deferrals (
    token            TEXT PRIMARY KEY,
    token_expires_at REAL NOT NULL,
    person_id        INTEGER NOT NULL,
    locale           TEXT NOT NULL,
    target           TEXT NOT NULL,  -- of the prompt, which can be edited and retried; '' for other commands
    prompt           TEXT NOT NULL
);
CREATE TABLE direct_messages (
    job_id    TEXT NOT NULL,
    person_id INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    asked_at  REAL NOT NULL,
    PRIMARY KEY (job_id, person_id, kind)
);
CREATE TABLE erasures (
    person_id  INTEGER PRIMARY KEY,
    up_to      REAL NOT NULL
);
CREATE TABLE favourites (
    person_id   INTEGER NOT NULL,
    job_id      TEXT NOT NULL,
    tile_index  INTEGER NOT NULL,
    at          REAL NOT NULL,
    PRIMARY KEY (person_id, job_id, tile_index)
);
CREATE TABLE fingerprints (
    id          INTEGER PRIMARY KEY,
    job_id      TEXT NOT NULL UNIQUE,
    guild_id    INTEGER,
    channel_id  INTEGER NOT NULL,
    person_id   INTEGER NOT NULL,
    outlines    BLOB NOT NULL,
    vectors     BLOB NOT NULL
);
CREATE TABLE guilds (
    id        INTEGER PRIMARY KEY,
    settings  TEXT NOT NULL,
    version   INTEGER NOT NULL DEFAULT 1
);
INSERT INTO "job_words" VALUES('000000000000',11,'a red fox --steps 25 --cfg 7.5');
INSERT INTO "job_words" VALUES('000000000001',9223372036854775807,'Füchsin 🦊 ''quoted'' "twice" %s ? :id::2.5 שלום');
INSERT INTO "job_words" VALUES('000000000002',11,'a red fox --steps 25 --cfg 7.5');
INSERT INTO "job_words" VALUES('000000000003',9223372036854775807,'Füchsin 🦊 ''quoted'' "twice" %s ? :id::2.5 שלום');
INSERT INTO "job_words" VALUES('000000000004',11,'a red fox --steps 25 --cfg 7.5');
INSERT INTO "job_words" VALUES('000000000005',9223372036854775807,'Füchsin 🦊 ''quoted'' "twice" %s ? :id::2.5 שלום');
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
, prompt TEXT NOT NULL DEFAULT '', speed TEXT NOT NULL DEFAULT 'fast', private INTEGER NOT NULL DEFAULT 0, deleted_at REAL, post_in INTEGER, sensitive INTEGER NOT NULL DEFAULT 0, removing INTEGER NOT NULL DEFAULT 0, seconds REAL, model TEXT, locale TEXT NOT NULL DEFAULT '');
INSERT INTO "jobs" VALUES('000000000000','waiting','imagine','{"parts": [{"text": "a red fox", "weight": 1.0, "edited": []}], "no": [], "aspect": [1, 1], "width": 512, "height": 512, "seed": 7, "num_inference_steps": 25, "guidance_scale": 7.5, "count": 4, "source": null, "strength": 1.0, "mask": null, "sampler": null, "negative_prompt": null, "blended": [], "frame": null, "region": [], "same_seed": false, "chaos": 0, "house_style": "", "stylize": 100, "raw": false, "weird": 0, "stop": 100, "seamless": false, "draft": false, "hd": false, "model": "", "loras": [], "film": null, "video": false, "reading": null, "style": null, "style_code": "", "style_weight": 100, "style_is_palette": false, "controls": [], "control": null, "control_code": "", "mix": "", "mix_keep": 50, "colourise": false, "style_adapter": "", "character": null, "character_code": "", "character_weight": 100, "character_adapter": "", "image_prompts": [], "image_weight": 1.0, "image_adapter": "", "original": null, "image_guidance": 1.5, "hold": false, "retouch": false}',11,'ada',1,2,1,'t',900.0,10485760,NULL,NULL,NULL,100.0,NULL,NULL,0,NULL,NULL,NULL,NULL,'a red fox --steps 25 --cfg 7.5','fast',0,NULL,NULL,0,0,NULL,NULL,'');
INSERT INTO "jobs" VALUES('000000000001','drawing','vary_strong','{"parts": [{"text": "Füchsin 🦊 ''quoted'' \"twice\" %s ? :id", "weight": 2.5, "edited": []}, {"text": "שלום\u0000; DROP TABLE jobs", "weight": -0.3333333333333333, "edited": []}], "no": ["text", "日本"], "aspect": [16, 9], "width": 680, "height": 384, "seed": 4294967295, "num_inference_steps": 150, "guidance_scale": 0.30000000000000004, "count": 1, "source": "tile:0123456789ab-3", "strength": 0.45, "mask": "upload:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "sampler": "euler_a", "negative_prompt": "", "blended": [], "frame": null, "region": [], "same_seed": false, "chaos": 0, "house_style": "", "stylize": 100, "raw": false, "weird": 0, "stop": 100, "seamless": false, "draft": false, "hd": false, "model": "", "loras": [], "film": null, "video": false, "reading": null, "style": null, "style_code": "", "style_weight": 100, "style_is_palette": false, "controls": [], "control": null, "control_code": "", "mix": "", "mix_keep": 50, "colourise": false, "style_adapter": "", "character": null, "character_code": "", "character_weight": 100, "character_adapter": "", "image_prompts": [], "image_weight": 1.0, "image_adapter": "", "original": null, "image_guidance": 1.5, "hold": false, "retouch": false}',9223372036854775807,'O''Brien
🦊',NULL,4611686018427387904,0,'aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24',1.76370481512345600124e+09,104857600,1152921504606846977,'0123456789ab',3,1.76370391565432095525e+09,1000.0,NULL,1,NULL,NULL,NULL,NULL,'Füchsin 🦊 ''quoted'' "twice" %s ? :id::2.5 שלום','fast',0,NULL,NULL,0,0,NULL,NULL,'');
INSERT INTO "jobs" VALUES('000000000002','drawn','imagine','{"parts": [{"text": "a red fox", "weight": 1.0, "edited": []}], "no": [], "aspect": [1, 1], "width": 512, "height": 512, "seed": 7, "num_inference_steps": 25, "guidance_scale": 7.5, "count": 4, "source": null, "strength": 1.0, "mask": null, "sampler": null, "negative_prompt": null, "blended": [], "frame": null, "region": [], "same_seed": false, "chaos": 0, "house_style": "", "stylize": 100, "raw": false, "weird": 0, "stop": 100, "seamless": false, "draft": false, "hd": false, "model": "", "loras": [], "film": null, "video": false, "reading": null, "style": null, "style_code": "", "style_weight": 100, "style_is_palette": false, "controls": [], "control": null, "control_code": "", "mix": "", "mix_keep": 50, "colourise": false, "style_adapter": "", "character": null, "character_code": "", "character_weight": 100, "character_adapter": "", "image_prompts": [], "image_weight": 1.0, "image_adapter": "", "original": null, "image_guidance": 1.5, "hold": false, "retouch": false}',11,'ada',1,2,1,'t',900.0,10485760,NULL,NULL,NULL,100.0,1000.0,NULL,1,'webp',NULL,NULL,NULL,'a red fox --steps 25 --cfg 7.5','fast',0,NULL,NULL,0,0,0.0,NULL,'');
INSERT INTO "jobs" VALUES('000000000003','answered','vary_strong','{"parts": [{"text": "Füchsin 🦊 ''quoted'' \"twice\" %s ? :id", "weight": 2.5, "edited": []}, {"text": "שלום\u0000; DROP TABLE jobs", "weight": -0.3333333333333333, "edited": []}], "no": ["text", "日本"], "aspect": [16, 9], "width": 680, "height": 384, "seed": 4294967295, "num_inference_steps": 150, "guidance_scale": 0.30000000000000004, "count": 1, "source": "tile:0123456789ab-3", "strength": 0.45, "mask": "upload:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "sampler": "euler_a", "negative_prompt": "", "blended": [], "frame": null, "region": [], "same_seed": false, "chaos": 0, "house_style": "", "stylize": 100, "raw": false, "weird": 0, "stop": 100, "seamless": false, "draft": false, "hd": false, "model": "", "loras": [], "film": null, "video": false, "reading": null, "style": null, "style_code": "", "style_weight": 100, "style_is_palette": false, "controls": [], "control": null, "control_code": "", "mix": "", "mix_keep": 50, "colourise": false, "style_adapter": "", "character": null, "character_code": "", "character_weight": 100, "character_adapter": "", "image_prompts": [], "image_weight": 1.0, "image_adapter": "", "original": null, "image_guidance": 1.5, "hold": false, "retouch": false}',9223372036854775807,'O''Brien
🦊',NULL,4611686018427387904,0,'aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24',1.76370481512345600124e+09,104857600,1152921504606846977,'0123456789ab',3,1.76370391565432095525e+09,1000.0,1000.0,1,'webp',NULL,71,NULL,'Füchsin 🦊 ''quoted'' "twice" %s ? :id::2.5 שלום','fast',0,NULL,NULL,0,0,0.0,NULL,'');
INSERT INTO "jobs" VALUES('000000000004','failed','imagine','{"parts": [{"text": "a red fox", "weight": 1.0, "edited": []}], "no": [], "aspect": [1, 1], "width": 512, "height": 512, "seed": 7, "num_inference_steps": 25, "guidance_scale": 7.5, "count": 4, "source": null, "strength": 1.0, "mask": null, "sampler": null, "negative_prompt": null, "blended": [], "frame": null, "region": [], "same_seed": false, "chaos": 0, "house_style": "", "stylize": 100, "raw": false, "weird": 0, "stop": 100, "seamless": false, "draft": false, "hd": false, "model": "", "loras": [], "film": null, "video": false, "reading": null, "style": null, "style_code": "", "style_weight": 100, "style_is_palette": false, "controls": [], "control": null, "control_code": "", "mix": "", "mix_keep": 50, "colourise": false, "style_adapter": "", "character": null, "character_code": "", "character_weight": 100, "character_adapter": "", "image_prompts": [], "image_weight": 1.0, "image_adapter": "", "original": null, "image_guidance": 1.5, "hold": false, "retouch": false}',11,'ada',1,2,1,'t',900.0,10485760,NULL,NULL,NULL,100.0,NULL,1000.0,0,NULL,72,NULL,'Out of paint.','a red fox --steps 25 --cfg 7.5','fast',0,NULL,NULL,0,0,NULL,NULL,'');
INSERT INTO "jobs" VALUES('000000000005','cancelled','vary_strong','{"parts": [{"text": "Füchsin 🦊 ''quoted'' \"twice\" %s ? :id", "weight": 2.5, "edited": []}, {"text": "שלום\u0000; DROP TABLE jobs", "weight": -0.3333333333333333, "edited": []}], "no": ["text", "日本"], "aspect": [16, 9], "width": 680, "height": 384, "seed": 4294967295, "num_inference_steps": 150, "guidance_scale": 0.30000000000000004, "count": 1, "source": "tile:0123456789ab-3", "strength": 0.45, "mask": "upload:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "sampler": "euler_a", "negative_prompt": "", "blended": [], "frame": null, "region": [], "same_seed": false, "chaos": 0, "house_style": "", "stylize": 100, "raw": false, "weird": 0, "stop": 100, "seamless": false, "draft": false, "hd": false, "model": "", "loras": [], "film": null, "video": false, "reading": null, "style": null, "style_code": "", "style_weight": 100, "style_is_palette": false, "controls": [], "control": null, "control_code": "", "mix": "", "mix_keep": 50, "colourise": false, "style_adapter": "", "character": null, "character_code": "", "character_weight": 100, "character_adapter": "", "image_prompts": [], "image_weight": 1.0, "image_adapter": "", "original": null, "image_guidance": 1.5, "hold": false, "retouch": false}',9223372036854775807,'O''Brien
🦊',NULL,4611686018427387904,0,'aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24',1.76370481512345600124e+09,104857600,1152921504606846977,'0123456789ab',3,1.76370391565432095525e+09,NULL,1000.0,0,NULL,NULL,NULL,'Cancelled by <@11>.','Füchsin 🦊 ''quoted'' "twice" %s ? :id::2.5 שלום','fast',0,NULL,NULL,0,0,NULL,NULL,'');
CREATE TABLE lineage (
    child         TEXT NOT NULL,
    parent_job    TEXT NOT NULL,
    parent_index  INTEGER NOT NULL,
    kind          TEXT NOT NULL CHECK (kind IN ('made', 'source', 'blend', 'style', 'character', 'control', 'piece')),
    PRIMARY KEY (child, parent_job, parent_index, kind)
) WITHOUT ROWID;
INSERT INTO "lineage" VALUES('000000000001','0123456789ab',3,'made');
INSERT INTO "lineage" VALUES('000000000003','0123456789ab',3,'made');
INSERT INTO "lineage" VALUES('000000000005','0123456789ab',3,'made');
CREATE TABLE memos (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO "memos" VALUES('commands','0123abcd');
CREATE TABLE news (
    person_id   INTEGER NOT NULL REFERENCES news_readers (person_id) ON DELETE CASCADE,
    parent_job  TEXT NOT NULL,
    child       TEXT NOT NULL,
    PRIMARY KEY (person_id, parent_job, child)
) WITHOUT ROWID;
CREATE TABLE news_readers (
    person_id  INTEGER PRIMARY KEY,
    told_at    REAL NOT NULL
);
CREATE TABLE options (
    person_id  INTEGER NOT NULL,
    name       TEXT NOT NULL,
    value      TEXT NOT NULL,
    PRIMARY KEY (person_id, name)
);
CREATE TABLE outline_changes (
    number  INTEGER PRIMARY KEY,
    job_id  TEXT NOT NULL,
    gone    INTEGER NOT NULL
);
CREATE TABLE preferences (
    person_id  INTEGER PRIMARY KEY,
    settings   TEXT NOT NULL                       -- JSON, generation.prompt.preferences.from_dict; defaults left out
);
CREATE TABLE readings (
    job_id   TEXT PRIMARY KEY,
    prompts  TEXT NOT NULL,                        -- JSON, a list
    words    TEXT NOT NULL                         -- JSON, a list of [word, weight] for each part of the prompt
) WITHOUT ROWID;
CREATE TABLE reports (
    id         INTEGER PRIMARY KEY,
    guild_id   INTEGER NOT NULL,
    job_id     TEXT NOT NULL,
    person_id  INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    at         REAL NOT NULL,
    outcome    TEXT
);
CREATE TABLE session_bells (
    session  TEXT NOT NULL REFERENCES collab_sessions (id) ON DELETE CASCADE,
    person   INTEGER NOT NULL,
    PRIMARY KEY (session, person)
) WITHOUT ROWID;
CREATE TABLE shown (
    id          INTEGER PRIMARY KEY,
    job_id      TEXT NOT NULL UNIQUE,
    guild_id    INTEGER NOT NULL,
    channel_id  INTEGER NOT NULL,
    thread_id   INTEGER,
    person_id   INTEGER NOT NULL,
    at          REAL NOT NULL                      -- when it was asked for
);
CREATE TABLE styles (
    code        TEXT NOT NULL,
    person_id   INTEGER NOT NULL,                  -- who brought the picture
    guild_id    INTEGER NOT NULL,
    channel_id  INTEGER NOT NULL,                  -- where it was used first
    image       TEXT NOT NULL,                     -- as in jobs.params: a tile or an upload
    at          REAL NOT NULL,
    purpose     TEXT NOT NULL DEFAULT 'style' CHECK (purpose IN ('style', 'control', 'character')),
    PRIMARY KEY (code, person_id, guild_id)
) WITHOUT ROWID;
CREATE TABLE suggestions (
    session  TEXT NOT NULL REFERENCES collab_sessions (id) ON DELETE CASCADE,
    person   INTEGER NOT NULL,
    round    INTEGER NOT NULL,
    name     TEXT NOT NULL,
    words    TEXT NOT NULL,
    at       REAL NOT NULL,
    PRIMARY KEY (session, person)
) WITHOUT ROWID;
CREATE TABLE tallies (
    person_id  INTEGER NOT NULL,
    guild_id   INTEGER NOT NULL,
    asked_at   REAL NOT NULL,
    seconds    REAL
);
CREATE TABLE telephone_players (
    session  TEXT NOT NULL REFERENCES collab_sessions (id) ON DELETE CASCADE,
    person   INTEGER NOT NULL,
    lot      TEXT NOT NULL,
    name     TEXT NOT NULL,
    roles    TEXT NOT NULL DEFAULT '[]',           -- JSON
    PRIMARY KEY (session, person)
) WITHOUT ROWID;
CREATE TABLE threads (
    channel_id  INTEGER NOT NULL,
    person_id   INTEGER NOT NULL,
    thread_id   INTEGER NOT NULL,
    PRIMARY KEY (channel_id, person_id)
);
CREATE TABLE to_index (
    job_id  TEXT PRIMARY KEY
) WITHOUT ROWID;
INSERT INTO "to_index" VALUES('000000000003');
CREATE TABLE uploads (
    digest      TEXT NOT NULL,
    job_id      TEXT NOT NULL,
    brought_by  INTEGER,
    PRIMARY KEY (digest, job_id)
) WITHOUT ROWID;
INSERT INTO "uploads" VALUES('ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','000000000001',NULL);
INSERT INTO "uploads" VALUES('ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','000000000003',NULL);
INSERT INTO "uploads" VALUES('ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','000000000005',NULL);
CREATE INDEX jobs_open ON jobs (asked_at) WHERE state IN ('waiting', 'drawing', 'drawn');
CREATE INDEX jobs_noticed ON jobs (asked_at) WHERE notice_id IS NOT NULL;
CREATE INDEX jobs_by_asker ON jobs (asker_id, started_at);
CREATE INDEX jobs_by_answer ON jobs (answer_id) WHERE answer_id IS NOT NULL;
CREATE TRIGGER job_words_come AFTER INSERT ON jobs BEGIN
    INSERT INTO job_words (job_id, asker_id, prompt) VALUES (new.id, new.asker_id, new.prompt);
END;
CREATE TRIGGER job_words_go AFTER DELETE ON jobs BEGIN
    DELETE FROM job_words WHERE job_words MATCH 'job_id : "' || old.id || '"';
END;
CREATE TRIGGER job_words_are_deleted AFTER UPDATE OF deleted_at ON jobs WHEN new.deleted_at IS NOT NULL BEGIN
    DELETE FROM job_words WHERE job_words MATCH 'job_id : "' || new.id || '"';
END;
CREATE INDEX favourites_of_person ON favourites (person_id, at);
CREATE INDEX favourites_by_job ON favourites (job_id);
CREATE INDEX audit_by_guild ON audit (guild_id, at);
CREATE INDEX reports_open ON reports (guild_id, at) WHERE outcome IS NULL;
CREATE INDEX jobs_to_remove ON jobs (id) WHERE removing = 1;
CREATE INDEX jobs_of_guild ON jobs (guild_id, asked_at, action, state, asker_id, started_at, seconds, model);
CREATE INDEX jobs_of_asker ON jobs (asker_id, asked_at, suffix, deleted_at);
CREATE INDEX uploads_by_job ON uploads (job_id);
CREATE INDEX uploads_by_person ON uploads (brought_by) WHERE brought_by IS NOT NULL;
CREATE TRIGGER uploads_go AFTER DELETE ON jobs BEGIN
    DELETE FROM uploads WHERE job_id = old.id;
END;
CREATE INDEX tallies_of_person ON tallies (person_id, asked_at);
CREATE INDEX reports_by_person ON reports (person_id);
CREATE INDEX blocks_by_person ON blocks (person_id);
CREATE INDEX threads_by_id ON threads (thread_id);
CREATE INDEX threads_of_person ON threads (person_id);
CREATE INDEX credits_by_job ON credits (job, part, person);
CREATE INDEX credits_of_person ON credits (person, job);
CREATE TRIGGER credits_go AFTER DELETE ON jobs BEGIN
    DELETE FROM credits WHERE job = old.id;
END;
CREATE INDEX collab_sessions_due ON collab_sessions (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX collab_sessions_active ON collab_sessions (guild_id, channel_id) WHERE ended_at IS NULL;
CREATE INDEX collab_sessions_of_host ON collab_sessions (host_id);
CREATE INDEX collab_sessions_ended ON collab_sessions (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX collab_rounds_by_job ON collab_rounds (job_id);
CREATE INDEX ballots_of_person ON ballots (person);
CREATE INDEX suggestions_of_person ON suggestions (person);
CREATE TRIGGER job_replaces_deferral AFTER INSERT ON jobs BEGIN
    DELETE FROM deferrals WHERE token = NEW.token;
END;
CREATE INDEX collab_rounds_of_person ON collab_rounds (worded_by) WHERE worded_by IS NOT NULL;
CREATE INDEX session_bells_of_person ON session_bells (person);
CREATE INDEX news_readers_by_time ON news_readers (told_at);
CREATE INDEX shown_in_channel ON shown (channel_id, id);
CREATE INDEX shown_in_thread ON shown (thread_id) WHERE thread_id IS NOT NULL;
CREATE INDEX shown_by_time ON shown (guild_id, at);
CREATE TRIGGER shown_words_go AFTER DELETE ON shown BEGIN
    DELETE FROM shown_words WHERE rowid = old.id;
END;
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
CREATE INDEX contest_entries_of_person ON contest_entries (person, session);
CREATE INDEX contest_entries_by_job ON contest_entries (job_id);
CREATE INDEX collab_sessions_of_guild ON collab_sessions (guild_id, kind, made_at);
CREATE TRIGGER contest_entries_are_deleted AFTER UPDATE OF deleted_at ON jobs WHEN new.deleted_at IS NOT NULL BEGIN
    DELETE FROM contest_entries WHERE job_id = new.id;
END;
CREATE TRIGGER contest_entries_go AFTER DELETE ON jobs BEGIN
    DELETE FROM contest_entries WHERE job_id = old.id;
END;
CREATE INDEX canvas_claims_of_person ON canvas_claims (person);
CREATE INDEX canvas_pieces_of_session ON canvas_pieces (session);
CREATE INDEX canvas_pieces_of_person ON canvas_pieces (person, session);
CREATE INDEX canvas_cells_of_piece ON canvas_cells (piece);
CREATE INDEX telephone_players_of_person ON telephone_players (person);
CREATE TRIGGER outlines_come AFTER INSERT ON fingerprints BEGIN
    INSERT INTO outline_changes (job_id, gone) VALUES (new.job_id, 0);
END;
CREATE TRIGGER outlines_go AFTER DELETE ON fingerprints BEGIN
    INSERT INTO outline_changes (job_id, gone) VALUES (old.job_id, 1);
END;
CREATE TRIGGER readings_go AFTER DELETE ON jobs BEGIN
    DELETE FROM readings WHERE job_id = old.id;
END;
CREATE TRIGGER readings_are_deleted AFTER UPDATE OF deleted_at ON jobs WHEN new.deleted_at IS NOT NULL BEGIN
    DELETE FROM readings WHERE job_id = new.id;
END;
CREATE INDEX collab_sessions_stale ON collab_sessions (stale) WHERE stale > 0;
CREATE TRIGGER sessions_show_a_deleted_job BEFORE UPDATE OF removing ON jobs
WHEN new.removing = 1 AND old.removing = 0 AND old.state = 'answered' BEGIN
    UPDATE collab_sessions SET stale = stale + 1 WHERE id IN (
        SELECT session FROM contest_entries WHERE job_id = new.id
        UNION SELECT session FROM collab_rounds WHERE job_id = new.id);
END;
CREATE INDEX lineage_by_parent ON lineage (parent_job, child);
CREATE TRIGGER lineage_goes AFTER DELETE ON jobs BEGIN
    DELETE FROM lineage WHERE child = old.id AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = lineage.parent_job);
    DELETE FROM lineage WHERE parent_job = old.id AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = lineage.child);
END;
CREATE TRIGGER news_come AFTER INSERT ON lineage BEGIN
    INSERT OR IGNORE INTO news
        SELECT parent.asker_id, new.parent_job, new.child
        FROM jobs AS parent JOIN news_readers ON news_readers.person_id = parent.asker_id
        WHERE parent.id = new.parent_job
          AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = new.child AND asker_id = parent.asker_id);
END;
CREATE TRIGGER credits_come AFTER INSERT ON jobs BEGIN
    INSERT INTO credits SELECT new.id, new.asker_id, 'chose', 1 WHERE new.parent_job IS NOT NULL;
    INSERT INTO credits SELECT new.id, new.asker_id, 'worded', 1
        WHERE new.parent_job IS NULL OR new.action IN ('remix_subtle', 'remix_strong', 'edit');
END;
CREATE TRIGGER lineage_comes AFTER INSERT ON jobs WHEN new.parent_job IS NOT NULL OR instr(new.params, 'tile:') BEGIN
    INSERT OR IGNORE INTO lineage
        SELECT new.id, new.parent_job, coalesce(new.parent_index, 0), 'made' WHERE new.parent_job IS NOT NULL;
    INSERT OR IGNORE INTO lineage
        SELECT new.id, substr(value, 6, 12), CAST(substr(value, 19) AS INTEGER), CASE
            WHEN fullkey GLOB '$.blended*' THEN 'blend'
            WHEN fullkey = '$.source' AND json_array_length(new.params, '$.blended') > 0 THEN 'blend'
            WHEN fullkey IN ('$.source', '$.original') THEN 'source'
            WHEN fullkey GLOB '$.style*' THEN 'style'
            WHEN fullkey GLOB '$.character*' THEN 'character'
            WHEN fullkey = '$.control' THEN 'control'
        END AS relation
        FROM json_tree(new.params)
        WHERE type = 'text' AND length(value) = 19 AND value GLOB 'tile:*-[0-3]'
          AND relation IS NOT NULL AND substr(value, 6) IS NOT (new.parent_job || '-' || new.parent_index);
END;
CREATE INDEX styles_of_guild ON styles (guild_id, at);
CREATE INDEX styles_of_person ON styles (person_id, at);
CREATE INDEX styles_by_image ON styles (image);
CREATE TRIGGER styles_go AFTER DELETE ON jobs BEGIN
    DELETE FROM styles WHERE image IN (
        'tile:' || old.id || '-0', 'tile:' || old.id || '-1', 'tile:' || old.id || '-2', 'tile:' || old.id || '-3');
END;
CREATE TRIGGER uploads_come AFTER INSERT ON jobs WHEN instr(new.params, 'upload:') BEGIN
    INSERT OR IGNORE INTO uploads
        SELECT substr(value, 8), new.id, CASE
            WHEN fullkey IN ('$.style', '$.control', '$.character') AND NOT EXISTS (
                SELECT 1 FROM styles WHERE code = json_extract(new.params, fullkey || '_code')
                AND person_id = new.asker_id) THEN NULL
            WHEN new.action IN ('imagine', 'blend', 'edit') THEN new.asker_id
        END
        FROM json_tree(new.params) WHERE type = 'text' AND value GLOB 'upload:*';
END;
CREATE TRIGGER styles_are_deleted AFTER UPDATE OF deleted_at ON jobs WHEN new.deleted_at IS NOT NULL BEGIN
    DELETE FROM styles WHERE image IN (
        'tile:' || new.id || '-0', 'tile:' || new.id || '-1', 'tile:' || new.id || '-2', 'tile:' || new.id || '-3');
    DELETE FROM styles WHERE new.removing = 1 AND person_id = new.asker_id AND code IN (
        json_extract(new.params, '$.style_code'), json_extract(new.params, '$.control_code'),
        json_extract(new.params, '$.character_code'));
END;
COMMIT;
PRAGMA user_version = 24;
