-- Pictures whose style was taken over, by the codes that people type. The row of a person who used one in private, or in
-- direct messages, has a guild and a channel of 0: nobody else can use that code.
CREATE TABLE styles (
    code        TEXT NOT NULL,
    person_id   INTEGER NOT NULL,                  -- who brought the picture
    guild_id    INTEGER NOT NULL,
    channel_id  INTEGER NOT NULL,                  -- where it was used first
    image       TEXT NOT NULL,                     -- as in jobs.params: a tile or an upload
    at          REAL NOT NULL,
    PRIMARY KEY (code, person_id, guild_id)
) WITHOUT ROWID;
CREATE INDEX styles_of_guild ON styles (guild_id, at);
CREATE INDEX styles_of_person ON styles (person_id, at);
CREATE INDEX styles_by_image ON styles (image);

-- A picture that is deleted is no style any more, and neither is the reference that its author brought for it.
CREATE TRIGGER styles_are_deleted AFTER UPDATE OF deleted_at ON jobs WHEN new.deleted_at IS NOT NULL BEGIN
    DELETE FROM styles WHERE image IN (
        'tile:' || new.id || '-0', 'tile:' || new.id || '-1', 'tile:' || new.id || '-2', 'tile:' || new.id || '-3');
    DELETE FROM styles WHERE code = json_extract(new.params, '$.style_code') AND person_id = new.asker_id;
END;
CREATE TRIGGER styles_go AFTER DELETE ON jobs BEGIN
    DELETE FROM styles WHERE image IN (
        'tile:' || old.id || '-0', 'tile:' || old.id || '-1', 'tile:' || old.id || '-2', 'tile:' || old.id || '-3');
END;
-- The reference of a style is only taken over from the person who brought it: an upload of somebody else's style is not
-- counted among one's own.
DROP TRIGGER uploads_come;
CREATE TRIGGER uploads_come AFTER INSERT ON jobs WHEN instr(new.params, 'upload:') BEGIN
    INSERT OR IGNORE INTO uploads
        SELECT substr(value, 8), new.id, CASE
            WHEN fullkey = '$.style' AND NOT EXISTS (
                SELECT 1 FROM styles WHERE code = json_extract(new.params, '$.style_code')
                AND person_id = new.asker_id) THEN NULL
            WHEN new.action IN ('imagine', 'blend') THEN new.asker_id
        END
        FROM json_tree(new.params) WHERE type = 'text' AND value GLOB 'upload:*';
END;
