"""Each user's preferences and custom options."""

from __future__ import annotations

import json
from typing import Any

from db.connection import Connection
from generation.errors import UserError
from generation.prompt.preferences import MAX_OPTIONS, Preferences, from_dict


class PreferenceStore:
    """Store preferences in SQLite. Each change is one statement, so concurrent changes do not undo each other."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, person_id: int) -> Preferences:
        """Return a user's preferences, or the defaults."""
        rows = await self._connection.fetch_all(
            "SELECT settings FROM preferences WHERE person_id = :person", {"person": person_id}
        )
        return from_dict(json.loads(rows[0]["settings"])) if rows else Preferences()

    async def update(self, person_id: int, **changes: Any) -> Preferences:
        """Change some fields of a user's preferences (None resets a field) and return all of them."""
        assert changes.keys() <= Preferences.__dataclass_fields__.keys()
        # In a merge patch (RFC 7396) null removes a key.
        await self._connection.write(
            """INSERT INTO preferences VALUES (:person, json_patch('{}', :changes))
               ON CONFLICT (person_id) DO UPDATE SET settings = json_patch(settings, :changes)""",
            {"person": person_id, "changes": json.dumps(changes, ensure_ascii=False)},
        )
        return await self.get(person_id)

    async def reset(self, person_id: int) -> Preferences:
        """Delete a user's preferences, but not the custom options, and return the defaults."""
        await self._connection.write("DELETE FROM preferences WHERE person_id = :person", {"person": person_id})
        return await self.get(person_id)

    async def options(self, person_id: int) -> dict[str, str]:
        """Return a user's custom options by name, sorted by name."""
        rows = await self._connection.fetch_all(
            "SELECT name, value FROM options WHERE person_id = :person ORDER BY name", {"person": person_id}
        )
        return {row["name"]: row["value"] for row in rows}

    async def set_option(self, person_id: int, name: str, value: str) -> None:
        """Create or change a custom option; raises UserError if the user already has `MAX_OPTIONS` others."""
        changed = await self._connection.write(
            """INSERT INTO options SELECT :person, :name, :value
               WHERE (SELECT count(*) FROM options WHERE person_id = :person AND name <> :name) < :most
               ON CONFLICT (person_id, name) DO UPDATE SET value = :value""",
            {"person": person_id, "name": name, "value": value, "most": MAX_OPTIONS},
        )
        if not changed:
            raise UserError(f"You have {MAX_OPTIONS} custom options, which is the maximum: remove one first.")

    async def remove_option(self, person_id: int, name: str) -> bool:
        """Delete a custom option; returns False if there was none."""
        removed = await self._connection.write(
            "DELETE FROM options WHERE person_id = :person AND name = :name", {"person": person_id, "name": name}
        )
        return removed == 1
