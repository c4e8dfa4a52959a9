"""What each person has settled for themselves: preferences and custom options."""

from __future__ import annotations

import json
from typing import Any

from db.connection import Connection
from generation.errors import UserError
from generation.prompt.preferences import MAX_OPTIONS, Preferences, from_dict


class PreferenceStore:
    """Keep people's settings in SQLite. Each change is one statement: concurrent ones do not undo each other."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(self, person_id: int) -> Preferences:
        """Give a person's preferences; the defaults for who never changed any."""
        rows = await self._connection.fetch_all(
            "SELECT settings FROM preferences WHERE person_id = :person", {"person": person_id}
        )
        return from_dict(json.loads(rows[0]["settings"])) if rows else Preferences()

    async def update(self, person_id: int, **changes: Any) -> Preferences:
        """Change some fields of a person's preferences, None being "as by default", and give all of them."""
        assert changes.keys() <= Preferences.__dataclass_fields__.keys()
        # In a merge patch (RFC 7396) null takes a key away.
        await self._connection.write(
            """INSERT INTO preferences VALUES (:person, json_patch('{}', :changes))
               ON CONFLICT (person_id) DO UPDATE SET settings = json_patch(settings, :changes)""",
            {"person": person_id, "changes": json.dumps(changes, ensure_ascii=False)},
        )
        return await self.get(person_id)

    async def reset(self, person_id: int) -> Preferences:
        """Forget a person's preferences, but not the custom options, and give the defaults."""
        await self._connection.write("DELETE FROM preferences WHERE person_id = :person", {"person": person_id})
        return await self.get(person_id)

    async def options(self, person_id: int) -> dict[str, str]:
        """Give a person's custom options by name, in the order of the alphabet."""
        rows = await self._connection.fetch_all(
            "SELECT name, value FROM options WHERE person_id = :person ORDER BY name", {"person": person_id}
        )
        return {row["name"]: row["value"] for row in rows}

    async def set_option(self, person_id: int, name: str, value: str) -> None:
        """Make or change a custom option; raises Complaint when the person has as many as there may be."""
        changed = await self._connection.write(
            """INSERT INTO options SELECT :person, :name, :value
               WHERE (SELECT count(*) FROM options WHERE person_id = :person AND name <> :name) < :most
               ON CONFLICT (person_id, name) DO UPDATE SET value = :value""",
            {"person": person_id, "name": name, "value": value, "most": MAX_OPTIONS},
        )
        if not changed:
            raise UserError(f"You have {MAX_OPTIONS} custom options, which is the most: remove one first.")

    async def remove_option(self, person_id: int, name: str) -> bool:
        """Forget a custom option; False when there was none."""
        removed = await self._connection.write(
            "DELETE FROM options WHERE person_id = :person AND name = :name", {"person": person_id, "name": name}
        )
        return removed == 1
