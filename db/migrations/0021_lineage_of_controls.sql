-- A picture that ControlNets read is in the family of what was drawn with it. SQLite cannot change a CHECK, so the table
-- is copied; its trigger that tells the authors comes last, since old pictures are no news.
DROP TRIGGER lineage_comes;
DROP TRIGGER lineage_goes;
DROP INDEX lineage_by_parent;
ALTER TABLE lineage RENAME TO old_lineage;
CREATE TABLE lineage (
    child         TEXT NOT NULL,
    parent_job    TEXT NOT NULL,
    parent_index  INTEGER NOT NULL,
    kind          TEXT NOT NULL CHECK (kind IN ('made', 'source', 'blend', 'style', 'character', 'control', 'piece')),
    PRIMARY KEY (child, parent_job, parent_index, kind)
) WITHOUT ROWID;
CREATE INDEX lineage_by_parent ON lineage (parent_job, child);
INSERT INTO lineage SELECT child, parent_job, parent_index, kind FROM old_lineage;
DROP TABLE old_lineage;
INSERT INTO lineage
    SELECT id, substr(control, 6, 12), CAST(substr(control, 19) AS INTEGER), 'control'
    FROM (SELECT id, parent_job, parent_index, json_extract(params, '$.control') AS control FROM jobs
          WHERE instr(params, 'tile:'))
    WHERE length(control) = 19 AND control GLOB 'tile:*-[0-3]'
      AND substr(control, 6) IS NOT (parent_job || '-' || parent_index);

CREATE TRIGGER lineage_comes AFTER INSERT ON jobs WHEN new.parent_job IS NOT NULL OR instr(new.params, 'tile:') BEGIN
    INSERT OR IGNORE INTO lineage
        SELECT new.id, new.parent_job, coalesce(new.parent_index, 0), 'made' WHERE new.parent_job IS NOT NULL;
    INSERT OR IGNORE INTO lineage
        SELECT new.id, substr(value, 6, 12), CAST(substr(value, 19) AS INTEGER), CASE
            WHEN fullkey GLOB '$.blended*' THEN 'blend'
            WHEN fullkey = '$.source' AND json_array_length(new.params, '$.blended') > 0 THEN 'blend'
            WHEN fullkey = '$.source' THEN 'source'
            WHEN fullkey GLOB '$.style*' THEN 'style'
            WHEN fullkey GLOB '$.character*' THEN 'character'
            WHEN fullkey = '$.control' THEN 'control'
        END AS relation
        FROM json_tree(new.params)
        WHERE type = 'text' AND length(value) = 19 AND value GLOB 'tile:*-[0-3]'
          AND relation IS NOT NULL AND substr(value, 6) IS NOT (new.parent_job || '-' || new.parent_index);
END;
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
