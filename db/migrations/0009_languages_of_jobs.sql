-- The language of a job's messages, so that it stays the same after a restart; '' is unknown, as of older jobs.
ALTER TABLE jobs ADD COLUMN locale TEXT NOT NULL DEFAULT '';
