-- A file beside the database holds the outlines of all fingerprints for searches; it follows these changes. What the
-- file lacks is read from the table, so the indexes that had the outlines in their order are not needed any more.
CREATE TABLE outline_changes (
    number  INTEGER PRIMARY KEY,
    job_id  TEXT NOT NULL,
    gone    INTEGER NOT NULL
);
CREATE TRIGGER outlines_come AFTER INSERT ON fingerprints BEGIN
    INSERT INTO outline_changes (job_id, gone) VALUES (new.job_id, 0);
END;
CREATE TRIGGER outlines_go AFTER DELETE ON fingerprints BEGIN
    INSERT INTO outline_changes (job_id, gone) VALUES (old.job_id, 1);
END;
DROP INDEX fingerprints_of_guild;
DROP INDEX fingerprints_of_person;
