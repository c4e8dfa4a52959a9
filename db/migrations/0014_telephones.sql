-- Who plays a picture telephone, in the order of their lots. The roles are those of the moment of joining: a turn that
-- goes on after a restart has no member at hand.
CREATE TABLE telephone_players (
    session  TEXT NOT NULL REFERENCES collab_sessions (id) ON DELETE CASCADE,
    person   INTEGER NOT NULL,
    lot      TEXT NOT NULL,
    name     TEXT NOT NULL,
    roles    TEXT NOT NULL DEFAULT '[]',           -- JSON
    PRIMARY KEY (session, person)
) WITHOUT ROWID;
CREATE INDEX telephone_players_of_person ON telephone_players (person);
