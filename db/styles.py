"""The codes of pictures for styles, characters and ControlNets: who brought each one, and where others can use it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from db.connection import Connection
from generation.params import ImageRef, format_ref, parse_ref

Purpose = Literal["style", "control", "character"]

PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
MIN_CODE_LENGTH = 6  # hex digits; a code that another picture has gets one more
MAX_RECENT = 200  # of a server's styles, from which one is drawn

_FIND = """
    SELECT code, image, person_id, guild_id, channel_id FROM styles
    WHERE code = :code AND (person_id = :person OR (guild_id = :guild AND guild_id <> 0))
    ORDER BY person_id <> :person, at
"""
_RECENT_OF_GUILD = """
    SELECT code, image, person_id, guild_id, channel_id FROM styles
    WHERE guild_id = :guild AND purpose = 'style' ORDER BY at DESC LIMIT :most
"""
_RECENT_OF_PERSON = """
    SELECT code, image, person_id, guild_id, channel_id FROM styles
    WHERE person_id = :person AND purpose = 'style' ORDER BY at DESC LIMIT :most
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """A picture with a code; without a guild, only the person who brought it can use it."""

    code: str
    image: ImageRef
    person_id: int
    guild_id: int = 0
    channel_id: int = 0


class StyleStore:
    """Store style references in SQLite."""

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.time) -> None:
        self._connection, self._clock = connection, clock

    async def add(
        self, image: ImageRef, person_id: int, guild_id: int = 0, channel_id: int = 0, *, purpose: Purpose = "style"
    ) -> str:
        """Store a picture and return its code; adding it again changes at most that it is a style too.

        With a guild, its members can use it; without one, only the person.
        """
        code = await self._free_code(format_ref(image))
        await self._connection.write(
            """INSERT INTO styles VALUES (:code, :person, :guild, :channel, :image, :now, :purpose)
               ON CONFLICT (code, person_id, guild_id) DO UPDATE SET purpose = 'style' WHERE :purpose = 'style'""",
            {
                "code": code,
                "person": person_id,
                "guild": guild_id,
                "channel": channel_id,
                "image": format_ref(image),
                "now": self._clock(),
                "purpose": purpose,
            },
        )
        return code

    async def find(self, code: str, person_id: int, guild_id: int) -> list[Style]:
        """Return the styles with this code that a person brought, then those that others brought to a guild."""
        return await self._styles(_FIND, code=code, person=person_id, guild=guild_id)

    async def recent(self, person_id: int, guild_id: int) -> list[Style]:
        """Return the newest styles of a guild; of a person, if there is no guild."""
        if not guild_id:
            return await self._styles(_RECENT_OF_PERSON, person=person_id, most=MAX_RECENT)
        return await self._styles(_RECENT_OF_GUILD, guild=guild_id, most=MAX_RECENT)

    async def _styles(self, sql: str, **values: str | int) -> list[Style]:
        rows = await self._connection.fetch_all(sql, values)
        return [Style(**dict(row) | {"image": parse_ref(row["image"])}) for row in rows]

    async def _free_code(self, image: str) -> str:
        """Return the first digits of the picture's digest that no other picture has."""
        digest = hashlib.sha256(image.encode()).hexdigest()
        for length in range(MIN_CODE_LENGTH, len(digest)):
            rows = await self._connection.fetch_all(
                "SELECT 1 FROM styles WHERE code = :code AND image <> :image LIMIT 1",
                {"code": digest[:length], "image": image},
            )
            if not rows:
                return digest[:length]
        return digest
