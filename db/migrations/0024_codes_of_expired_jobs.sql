-- A code ends with a picture that is deleted on purpose. A job that only expires leaves it to the other jobs that use it.
DROP TRIGGER styles_are_deleted;
CREATE TRIGGER styles_are_deleted AFTER UPDATE OF deleted_at ON jobs WHEN new.deleted_at IS NOT NULL BEGIN
    DELETE FROM styles WHERE image IN (
        'tile:' || new.id || '-0', 'tile:' || new.id || '-1', 'tile:' || new.id || '-2', 'tile:' || new.id || '-3');
    DELETE FROM styles WHERE new.removing = 1 AND person_id = new.asker_id AND code IN (
        json_extract(new.params, '$.style_code'), json_extract(new.params, '$.control_code'),
        json_extract(new.params, '$.character_code'));
END;
