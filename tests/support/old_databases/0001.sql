BEGIN TRANSACTION;
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
INSERT INTO "jobs" VALUES('000000000000','waiting','imagine','{"parts": [{"text": "a red fox", "weight": 1.0}], "no": [], "aspect": [1, 1], "width": 512, "height": 512, "seed": 7, "num_inference_steps": 25, "guidance_scale": 7.5, "count": 4, "source": null, "strength": 1.0, "mask": null, "sampler": null, "negative_prompt": null}',11,'ada',1,2,1,'t',900.0,10485760,NULL,NULL,NULL,100.0,NULL,NULL,0,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('000000000001','drawing','vary_strong','{"parts": [{"text": "Füchsin 🦊 ''quoted'' \"twice\" %s ? :id", "weight": 2.5}, {"text": "שלום\u0000; DROP TABLE jobs", "weight": -0.3333333333333333}], "no": ["text", "日本"], "aspect": [16, 9], "width": 680, "height": 384, "seed": 4294967295, "num_inference_steps": 150, "guidance_scale": 0.30000000000000004, "count": 1, "source": "tile:0123456789ab-3", "strength": 0.45, "mask": "upload:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "sampler": "euler_a", "negative_prompt": ""}',9223372036854775807,'O''Brien
🦊',NULL,4611686018427387904,0,'aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24',1.76370481512345600124e+09,104857600,1152921504606846977,'0123456789ab',3,1.76370391565432095525e+09,1000.0,NULL,1,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('000000000002','drawn','imagine','{"parts": [{"text": "a red fox", "weight": 1.0}], "no": [], "aspect": [1, 1], "width": 512, "height": 512, "seed": 7, "num_inference_steps": 25, "guidance_scale": 7.5, "count": 4, "source": null, "strength": 1.0, "mask": null, "sampler": null, "negative_prompt": null}',11,'ada',1,2,1,'t',900.0,10485760,NULL,NULL,NULL,100.0,1000.0,NULL,1,'webp',NULL,NULL,NULL);
INSERT INTO "jobs" VALUES('000000000003','answered','vary_strong','{"parts": [{"text": "Füchsin 🦊 ''quoted'' \"twice\" %s ? :id", "weight": 2.5}, {"text": "שלום\u0000; DROP TABLE jobs", "weight": -0.3333333333333333}], "no": ["text", "日本"], "aspect": [16, 9], "width": 680, "height": 384, "seed": 4294967295, "num_inference_steps": 150, "guidance_scale": 0.30000000000000004, "count": 1, "source": "tile:0123456789ab-3", "strength": 0.45, "mask": "upload:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "sampler": "euler_a", "negative_prompt": ""}',9223372036854775807,'O''Brien
🦊',NULL,4611686018427387904,0,'aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24',1.76370481512345600124e+09,104857600,1152921504606846977,'0123456789ab',3,1.76370391565432095525e+09,1000.0,1000.0,1,'webp',NULL,71,NULL);
INSERT INTO "jobs" VALUES('000000000004','failed','imagine','{"parts": [{"text": "a red fox", "weight": 1.0}], "no": [], "aspect": [1, 1], "width": 512, "height": 512, "seed": 7, "num_inference_steps": 25, "guidance_scale": 7.5, "count": 4, "source": null, "strength": 1.0, "mask": null, "sampler": null, "negative_prompt": null}',11,'ada',1,2,1,'t',900.0,10485760,NULL,NULL,NULL,100.0,NULL,1000.0,0,NULL,72,NULL,'Out of paint.');
INSERT INTO "jobs" VALUES('000000000005','cancelled','vary_strong','{"parts": [{"text": "Füchsin 🦊 ''quoted'' \"twice\" %s ? :id", "weight": 2.5}, {"text": "שלום\u0000; DROP TABLE jobs", "weight": -0.3333333333333333}], "no": ["text", "日本"], "aspect": [16, 9], "width": 680, "height": 384, "seed": 4294967295, "num_inference_steps": 150, "guidance_scale": 0.30000000000000004, "count": 1, "source": "tile:0123456789ab-3", "strength": 0.45, "mask": "upload:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "sampler": "euler_a", "negative_prompt": ""}',9223372036854775807,'O''Brien
🦊',NULL,4611686018427387904,0,'aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24aW50ZXJhY3Rpb24',1.76370481512345600124e+09,104857600,1152921504606846977,'0123456789ab',3,1.76370391565432095525e+09,NULL,1000.0,0,NULL,NULL,NULL,'Cancelled by <@11>.');
CREATE TABLE memos (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO "memos" VALUES('commands','0123abcd');
CREATE INDEX jobs_open ON jobs (asked_at) WHERE state IN ('waiting', 'drawing', 'drawn');
CREATE INDEX jobs_noticed ON jobs (asked_at) WHERE notice_id IS NOT NULL;
CREATE INDEX jobs_by_asker ON jobs (asker_id, started_at);
COMMIT;
PRAGMA user_version = 1;
