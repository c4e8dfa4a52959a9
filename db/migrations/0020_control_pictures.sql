-- Pictures that ControlNets read have codes as styles have; only those of styles are drawn by `--sref random`.
ALTER TABLE styles ADD COLUMN purpose TEXT NOT NULL DEFAULT 'style' CHECK (purpose IN ('style', 'control'));

DROP TRIGGER styles_are_deleted;
CREATE TRIGGER styles_are_deleted AFTER UPDATE OF deleted_at ON jobs WHEN new.deleted_at IS NOT NULL BEGIN
    DELETE FROM styles WHERE image IN (
        'tile:' || new.id || '-0', 'tile:' || new.id || '-1', 'tile:' || new.id || '-2', 'tile:' || new.id || '-3');
    DELETE FROM styles WHERE person_id = new.asker_id
        AND code IN (json_extract(new.params, '$.style_code'), json_extract(new.params, '$.control_code'));
END;
-- The picture of a code is only one's own for the person who brought it.
DROP TRIGGER uploads_come;
CREATE TRIGGER uploads_come AFTER INSERT ON jobs WHEN instr(new.params, 'upload:') BEGIN
    INSERT OR IGNORE INTO uploads
        SELECT substr(value, 8), new.id, CASE
            WHEN fullkey IN ('$.style', '$.control') AND NOT EXISTS (
                SELECT 1 FROM styles WHERE code = json_extract(new.params, fullkey || '_code')
                AND person_id = new.asker_id) THEN NULL
            WHEN new.action IN ('imagine', 'blend') THEN new.asker_id
        END
        FROM json_tree(new.params) WHERE type = 'text' AND value GLOB 'upload:*';
END;
