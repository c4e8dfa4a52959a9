-- What each person prefers and keeps, and what is needed to find their jobs again.
ALTER TABLE jobs ADD COLUMN prompt TEXT NOT NULL DEFAULT '';        -- as it was applied, for people to search in
ALTER TABLE jobs ADD COLUMN speed TEXT NOT NULL DEFAULT 'fast';
ALTER TABLE jobs ADD COLUMN private INTEGER NOT NULL DEFAULT 0;     -- answered so that only the asker sees it
ALTER TABLE jobs ADD COLUMN deleted_at REAL;                        -- message and files were removed on purpose
CREATE INDEX jobs_of_asker ON jobs (asker_id, asked_at);
CREATE INDEX jobs_by_answer ON jobs (answer_id) WHERE answer_id IS NOT NULL;

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
CREATE INDEX favourites_by_job ON favourites (job_id);
