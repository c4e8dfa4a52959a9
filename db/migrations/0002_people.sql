-- What each person prefers and keeps, and what is needed to find their jobs again.
ALTER TABLE jobs ADD COLUMN prompt TEXT NOT NULL DEFAULT '';        -- as it was applied, for people to search in
ALTER TABLE jobs ADD COLUMN speed TEXT NOT NULL DEFAULT 'fast';
ALTER TABLE jobs ADD COLUMN private INTEGER NOT NULL DEFAULT 0;     -- answered so that only the asker sees it
ALTER TABLE jobs ADD COLUMN deleted_at REAL;                        -- message and files were removed on purpose
CREATE INDEX jobs_of_asker ON jobs (asker_id, asked_at);
CREATE INDEX jobs_by_answer ON jobs (answer_id) WHERE answer_id IS NOT NULL;
UPDATE jobs SET prompt = (
    SELECT group_concat(json_extract(value, '$.text'), ' ') FROM json_each(jobs.params, '$.parts')
);

-- The words of the prompts. Full text, since a person may have a hundred thousand jobs, and who types a word into an
-- autocompletion cannot wait until each is looked at. Who asked is one more word, so that both are found in one step.
-- The table keeps its own copy: the rowids of jobs, which it could point to, are not promised to outlive a VACUUM.
CREATE VIRTUAL TABLE job_words USING fts5 (
    job_id, asker_id, prompt, tokenize = "unicode61 remove_diacritics 2", prefix = '1 2 3'
);
INSERT INTO job_words (job_id, asker_id, prompt) SELECT id, asker_id, prompt FROM jobs ORDER BY asked_at;
CREATE TRIGGER job_words_come AFTER INSERT ON jobs BEGIN
    INSERT INTO job_words (job_id, asker_id, prompt) VALUES (new.id, new.asker_id, new.prompt);
END;
CREATE TRIGGER job_words_go AFTER DELETE ON jobs BEGIN
    DELETE FROM job_words WHERE job_words MATCH 'job_id : "' || old.id || '"';
END;
CREATE TRIGGER job_words_are_deleted AFTER UPDATE OF deleted_at ON jobs WHEN new.deleted_at IS NOT NULL BEGIN
    DELETE FROM job_words WHERE job_words MATCH 'job_id : "' || new.id || '"';
END;

-- One row a person who has changed a setting.
CREATE TABLE preferences (
    person_id  INTEGER PRIMARY KEY,
    settings   TEXT NOT NULL                       -- JSON, generation.prompt.preferences.from_dict; defaults left out
);

-- A custom option: a name that a prompt may use for text and parameters.
CREATE TABLE options (
    person_id  INTEGER NOT NULL,
    name       TEXT NOT NULL,
    value      TEXT NOT NULL,
    PRIMARY KEY (person_id, name)
);

CREATE TABLE favourites (
    person_id   INTEGER NOT NULL,
    job_id      TEXT NOT NULL,
    tile_index  INTEGER NOT NULL,
    at          REAL NOT NULL,
    PRIMARY KEY (person_id, job_id, tile_index)
);
CREATE INDEX favourites_of_person ON favourites (person_id, at);
CREATE INDEX favourites_by_job ON favourites (job_id);
