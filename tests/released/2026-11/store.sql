BEGIN TRANSACTION;
CREATE VIRTUAL TABLE job_words USING fts5 (
    job_id, asker_id, prompt, tokenize = "unicode61 remove_diacritics 2", prefix = '1 2 3'
);
CREATE TABLE audit (
    id         INTEGER PRIMARY KEY,
    guild_id   INTEGER NOT NULL,
    person_id  INTEGER NOT NULL,
    act        TEXT NOT NULL,
    details    TEXT NOT NULL,
    at         REAL NOT NULL
);
INSERT INTO "audit" VALUES(1,1576655359345426435,1576655359345426434,'settings','log channel: <#1576655359345426436>',1.79597433192612910266e+09);
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
INSERT INTO "favourites" VALUES(1576655359345426432,'328cfdc9f90e',0,1.79597433187097620969e+09);
CREATE TABLE guilds (
    id        INTEGER PRIMARY KEY,
    settings  TEXT NOT NULL,
    version   INTEGER NOT NULL DEFAULT 1
);
INSERT INTO "guilds" VALUES(1576655359345426435,'{"log_channel": 1576655359345426436}',1);
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
, prompt TEXT NOT NULL DEFAULT '', speed TEXT NOT NULL DEFAULT 'fast', private INTEGER NOT NULL DEFAULT 0, deleted_at REAL, post_in INTEGER, sensitive INTEGER NOT NULL DEFAULT 0, removing INTEGER NOT NULL DEFAULT 0, seconds REAL, model TEXT);
INSERT INTO "jobs" VALUES('6d9309111ba2','answered','imagine','{"parts": [{"text": "a fox", "weight": 1.0}], "no": [], "aspect": [1, 1], "width": 64, "height": 64, "seed": 5, "num_inference_steps": 4, "guidance_scale": 7.5, "count": 4, "source": null, "strength": 1.0, "mask": null, "sampler": null, "negative_prompt": null, "blended": [], "frame": null, "region": [], "same_seed": false, "chaos": 0, "house_style": "", "stylize": 100, "raw": false, "weird": 0, "stop": 100, "seamless": false, "draft": false, "hd": false, "model": "Painter", "loras": []}',1576655359345426432,'ada',1576655359345426435,1576655359345426436,1,'5QEp5ZJD7ehwbt75Lv06uB_fD8YCeibRojnJTRX084TdaAokHAU4_LIQ0vgSXp7x',1795975230.711,10485760,NULL,NULL,NULL,1.79597433071446132657e+09,1.7959743316552472114e+09,1.79597433182218170163e+09,1,'webp',NULL,1576655364730912768,NULL,'a fox --model Painter --steps 4 --cfg 7.5','fast',0,NULL,NULL,0,0,0.1,'Painter');
INSERT INTO "jobs" VALUES('328cfdc9f90e','answered','pick','{"parts": [{"text": "a fox", "weight": 1.0}], "no": [], "aspect": [1, 1], "width": 64, "height": 64, "seed": 6, "num_inference_steps": 4, "guidance_scale": 7.5, "count": 1, "source": "tile:6d9309111ba2-1", "strength": 0.0, "mask": null, "sampler": null, "negative_prompt": null, "blended": [], "frame": null, "region": [], "same_seed": false, "chaos": 0, "house_style": "", "stylize": 100, "raw": false, "weird": 0, "stop": 100, "seamless": false, "draft": false, "hd": false, "model": "Painter", "loras": []}',1576655359345426432,'ada',1576655359345426435,1576655359345426436,1,'ERakF7mw5YsYN8po7LtSzdBEoDefiuNX7FoXF5yx9VLvqPLhOlEI-p7oJff5CSzT',1795975231.827,10485760,1576655364730912768,'6d9309111ba2',1,1.79597433183539795871e+09,NULL,1.79597433186282396319e+09,1,'png',NULL,1576655365011931136,NULL,'a fox --model Painter --steps 4 --cfg 7.5','fast',0,NULL,NULL,0,0,0.0,NULL);
INSERT INTO "jobs" VALUES('0a6ebed73447','failed','imagine','{"parts": [{"text": "a huge bear", "weight": 1.0}], "no": [], "aspect": [1, 1], "width": 64, "height": 64, "seed": 349337, "num_inference_steps": 4, "guidance_scale": 7.5, "count": 4, "source": null, "strength": 1.0, "mask": null, "sampler": null, "negative_prompt": null, "blended": [], "frame": null, "region": [], "same_seed": false, "chaos": 0, "house_style": "", "stylize": 100, "raw": false, "weird": 0, "stop": 100, "seamless": false, "draft": false, "hd": false, "model": "Painter", "loras": []}',1576655359345426432,'ada',1576655359345426435,1576655359345426436,1,'F2WEascb3xhxUwpcc5LkqEB5_rCXZ3oY7nP3VL5cYaPIwr8GOLhvayABpaQXPCOI',1795975231.879,10485760,NULL,NULL,NULL,1.7959743318874893188e+09,1.7959743318922686577e+09,1.79597433189704036712e+09,1,NULL,NULL,NULL,'This is too large for the GPU''s memory.','a huge bear --model Painter --steps 4 --cfg 7.5','fast',0,NULL,NULL,0,0,NULL,NULL);
INSERT INTO "jobs" VALUES('361f0920ca89','drawing','imagine','{"parts": [{"text": "slow owl", "weight": 1.0}], "no": [], "aspect": [1, 1], "width": 64, "height": 64, "seed": 3368105028, "num_inference_steps": 4, "guidance_scale": 7.5, "count": 4, "source": null, "strength": 1.0, "mask": null, "sampler": null, "negative_prompt": null, "blended": [], "frame": null, "region": [], "same_seed": false, "chaos": 0, "house_style": "", "stylize": 100, "raw": false, "weird": 0, "stop": 100, "seamless": false, "draft": false, "hd": false, "model": "Painter", "loras": []}',1576655359345426432,'ada',1576655359345426435,1576655359345426436,1,'OaTyil_jLUv387zI8VyWXDFo_jxmqK6McOQy52QM3y6EODuUYk9So1k1Vd9kmoii',1795975232.936,10485760,NULL,NULL,NULL,1.79597433294158792494e+09,1795974332.95912,NULL,0,NULL,1576655369592111104,NULL,NULL,'slow owl --model Painter --steps 4 --cfg 7.5','fast',0,NULL,NULL,0,0,NULL,NULL);
INSERT INTO "jobs" VALUES('37b1cb06b679','waiting','imagine','{"parts": [{"text": "a cat", "weight": 1.0}], "no": [], "aspect": [1, 1], "width": 64, "height": 64, "seed": 3925936674, "num_inference_steps": 4, "guidance_scale": 7.5, "count": 4, "source": null, "strength": 1.0, "mask": null, "sampler": null, "negative_prompt": null, "blended": [], "frame": null, "region": [], "same_seed": false, "chaos": 0, "house_style": "", "stylize": 100, "raw": false, "weird": 0, "stop": 100, "seamless": false, "draft": false, "hd": false, "model": "Painter", "loras": []}',1576655359345426432,'ada',1576655359345426435,1576655359345426436,1,'2rS02sEHA1vASRb5lTxaqxGefwd7vNfsoBHxULWNmlSATwLvxPPYOphN2HumUdJU',1795975232.982,10485760,NULL,NULL,NULL,1.79597433298676776884e+09,NULL,NULL,0,NULL,1576655369755688960,NULL,NULL,'a cat --model Painter --steps 4 --cfg 7.5','fast',0,NULL,NULL,0,0,NULL,NULL);
CREATE TABLE memos (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO "memos" VALUES('commands','f80a785e1ba1bbe1a328b4f2e168450f3be15cf53dd9b4edfefbdf398283b09c');
CREATE TABLE options (
    person_id  INTEGER NOT NULL,
    name       TEXT NOT NULL,
    value      TEXT NOT NULL,
    PRIMARY KEY (person_id, name)
);
CREATE TABLE preferences (
    person_id  INTEGER PRIMARY KEY,
    settings   TEXT NOT NULL                       -- JSON, generation.prompt.preferences.from_dict; defaults left out
);
CREATE TABLE reports (
    id         INTEGER PRIMARY KEY,
    guild_id   INTEGER NOT NULL,
    job_id     TEXT NOT NULL,
    person_id  INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    at         REAL NOT NULL,
    outcome    TEXT
);
INSERT INTO "reports" VALUES(1,1576655359345426435,'328cfdc9f90e',1576655359345426433,'not nice',1.79597433192871665957e+09,NULL);
CREATE TABLE tallies (
    person_id  INTEGER NOT NULL,
    guild_id   INTEGER NOT NULL,
    asked_at   REAL NOT NULL,
    seconds    REAL
);
CREATE TABLE threads (
    channel_id  INTEGER NOT NULL,
    person_id   INTEGER NOT NULL,
    thread_id   INTEGER NOT NULL,
    PRIMARY KEY (channel_id, person_id)
);
CREATE TABLE uploads (
    digest      TEXT NOT NULL,
    job_id      TEXT NOT NULL,
    brought_by  INTEGER,
    PRIMARY KEY (digest, job_id)
) WITHOUT ROWID;
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
CREATE TRIGGER uploads_come AFTER INSERT ON jobs WHEN instr(new.params, 'upload:') BEGIN
    INSERT OR IGNORE INTO uploads
        SELECT substr(value, 8), new.id, CASE WHEN new.action IN ('imagine', 'blend') THEN new.asker_id END
        FROM json_tree(new.params) WHERE type = 'text' AND value GLOB 'upload:*';
END;
CREATE TRIGGER uploads_go AFTER DELETE ON jobs BEGIN
    DELETE FROM uploads WHERE job_id = old.id;
END;
CREATE INDEX tallies_of_person ON tallies (person_id, asked_at);
CREATE INDEX reports_by_person ON reports (person_id);
CREATE INDEX blocks_by_person ON blocks (person_id);
CREATE INDEX threads_by_id ON threads (thread_id);
CREATE INDEX threads_of_person ON threads (person_id);
INSERT INTO job_words (job_id, asker_id, prompt) VALUES ('6d9309111ba2', '1576655359345426432', 'a fox --model Painter --steps 4 --cfg 7.5');
INSERT INTO job_words (job_id, asker_id, prompt) VALUES ('328cfdc9f90e', '1576655359345426432', 'a fox --model Painter --steps 4 --cfg 7.5');
INSERT INTO job_words (job_id, asker_id, prompt) VALUES ('0a6ebed73447', '1576655359345426432', 'a huge bear --model Painter --steps 4 --cfg 7.5');
INSERT INTO job_words (job_id, asker_id, prompt) VALUES ('361f0920ca89', '1576655359345426432', 'slow owl --model Painter --steps 4 --cfg 7.5');
INSERT INTO job_words (job_id, asker_id, prompt) VALUES ('37b1cb06b679', '1576655359345426432', 'a cat --model Painter --steps 4 --cfg 7.5');
COMMIT;
PRAGMA user_version = 5;
