-- Pictures of characters have codes as those of styles and ControlNets. SQLite cannot change a CHECK, so the table is
-- copied, without the triggers that name it.
DROP TRIGGER styles_are_deleted;
DROP TRIGGER styles_go;
DROP TRIGGER uploads_come;
DROP INDEX styles_of_guild;
DROP INDEX styles_of_person;
DROP INDEX styles_by_image;
ALTER TABLE styles RENAME TO old_styles;
CREATE TABLE styles (
    code        TEXT NOT NULL,
    person_id   INTEGER NOT NULL,                  -- who brought the picture
    guild_id    INTEGER NOT NULL,
    channel_id  INTEGER NOT NULL,                  -- where it was used first
    image       TEXT NOT NULL,                     -- as in jobs.params: a tile or an upload
    at          REAL NOT NULL,
    purpose     TEXT NOT NULL DEFAULT 'style' CHECK (purpose IN ('style', 'control', 'character')),
    PRIMARY KEY (code, person_id, guild_id)
) WITHOUT ROWID;
INSERT INTO styles SELECT code, person_id, guild_id, channel_id, image, at, purpose FROM old_styles;
DROP TABLE old_styles;
CREATE INDEX styles_of_guild ON styles (guild_id, at);
CREATE INDEX styles_of_person ON styles (person_id, at);
CREATE INDEX styles_by_image ON styles (image);

CREATE TRIGGER styles_are_deleted AFTER UPDATE OF deleted_at ON jobs WHEN new.deleted_at IS NOT NULL BEGIN
    DELETE FROM styles WHERE image IN (
        'tile:' || new.id || '-0', 'tile:' || new.id || '-1', 'tile:' || new.id || '-2', 'tile:' || new.id || '-3');
    DELETE FROM styles WHERE person_id = new.asker_id AND code IN (
        json_extract(new.params, '$.style_code'), json_extract(new.params, '$.control_code'),
        json_extract(new.params, '$.character_code'));
END;
CREATE TRIGGER styles_go AFTER DELETE ON jobs BEGIN
    DELETE FROM styles WHERE image IN (
        'tile:' || old.id || '-0', 'tile:' || old.id || '-1', 'tile:' || old.id || '-2', 'tile:' || old.id || '-3');
END;
-- The picture of a code is only one's own for the person who brought it.
CREATE TRIGGER uploads_come AFTER INSERT ON jobs WHEN instr(new.params, 'upload:') BEGIN
    INSERT OR IGNORE INTO uploads
        SELECT substr(value, 8), new.id, CASE
            WHEN fullkey IN ('$.style', '$.control', '$.character') AND NOT EXISTS (
                SELECT 1 FROM styles WHERE code = json_extract(new.params, fullkey || '_code')
                AND person_id = new.asker_id) THEN NULL
            WHEN new.action IN ('imagine', 'blend', 'edit') THEN new.asker_id
        END
        FROM json_tree(new.params) WHERE type = 'text' AND value GLOB 'upload:*';
END;
