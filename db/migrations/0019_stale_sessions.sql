-- stale counts how often something went that the messages of a session show: pieces, entries, pictures, words or names.
-- It is 0 once they were drawn again. canvases.stale was such a count, and is not used any more.
ALTER TABLE collab_sessions ADD COLUMN stale INTEGER NOT NULL DEFAULT 0;
UPDATE collab_sessions SET stale = 1 WHERE id IN (SELECT session FROM canvases WHERE stale > 0);
UPDATE canvases SET stale = 0 WHERE stale > 0;
DROP INDEX canvases_stale;
CREATE INDEX collab_sessions_stale ON collab_sessions (stale) WHERE stale > 0;
-- Before the entries of the job are deleted. What expires stays in messages, and is not marked as removing.
CREATE TRIGGER sessions_show_a_deleted_job BEFORE UPDATE OF removing ON jobs
WHEN new.removing = 1 AND old.removing = 0 AND old.state = 'answered' BEGIN
    UPDATE collab_sessions SET stale = stale + 1 WHERE id IN (
        SELECT session FROM contest_entries WHERE job_id = new.id
        UNION SELECT session FROM collab_rounds WHERE job_id = new.id);
END;
