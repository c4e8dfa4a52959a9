-- The picture that an edit changes is brought by who asks for the edit, who also words it, and belongs to the family.
DROP TRIGGER uploads_come;
CREATE TRIGGER uploads_come AFTER INSERT ON jobs WHEN instr(new.params, 'upload:') BEGIN
    INSERT OR IGNORE INTO uploads
        SELECT substr(value, 8), new.id, CASE
            WHEN fullkey IN ('$.style', '$.control') AND NOT EXISTS (
                SELECT 1 FROM styles WHERE code = json_extract(new.params, fullkey || '_code')
                AND person_id = new.asker_id) THEN NULL
            WHEN new.action IN ('imagine', 'blend', 'edit') THEN new.asker_id
        END
        FROM json_tree(new.params) WHERE type = 'text' AND value GLOB 'upload:*';
END;
DROP TRIGGER credits_come;
CREATE TRIGGER credits_come AFTER INSERT ON jobs BEGIN
    INSERT INTO credits SELECT new.id, new.asker_id, 'chose', 1 WHERE new.parent_job IS NOT NULL;
    INSERT INTO credits SELECT new.id, new.asker_id, 'worded', 1
        WHERE new.parent_job IS NULL OR new.action IN ('remix_subtle', 'remix_strong', 'edit');
END;
DROP TRIGGER lineage_comes;
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
