-- Whose words a round draws, in a column of its own, so that erasing a person finds it.
ALTER TABLE collab_rounds ADD COLUMN worded_by INTEGER;
CREATE INDEX collab_rounds_of_person ON collab_rounds (worded_by) WHERE worded_by IS NOT NULL;
