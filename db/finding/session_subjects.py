"""What sessions are about: the prompt of a jam, the theme of a canvas or a contest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from db.connection import Connection
from db.finding.search import words_of
from db.together.sessions import SessionKind

MAX_SESSIONS = 1000  # that a search takes, the newest

SUBJECTS = """
    SELECT id, settings, (SELECT json_group_array(facts) FROM collab_rounds WHERE session = collab_sessions.id) AS facts
    FROM collab_sessions WHERE guild_id = :guild AND kind = :kind ORDER BY made_at DESC LIMIT :most
"""


def subject_of(settings: Mapping[str, Any], facts: Iterable[Mapping[str, Any]]) -> str:
    """Return what a session is about, by its settings or by what was decided for its rounds, the latest last."""
    own = settings.get("theme") or settings.get("prompt")
    return str(own or next((each["theme"] for each in reversed([*facts]) if "theme" in each), ""))


async def find_sessions(connection: Connection, guild_id: int, kind: SessionKind, words: Sequence[str]) -> list[str]:
    """Return the newest sessions whose subjects have words that begin with these, or the one with this id."""
    wanted = [word.casefold() for word in words]
    rows = await connection.fetch_all(SUBJECTS, {"guild": guild_id, "kind": kind, "most": MAX_SESSIONS})
    return [row["id"] for row in rows if wanted == [row["id"]] or _has_words(dict(row), wanted)]


def _has_words(row: Mapping[str, Any], wanted: Sequence[str]) -> bool:
    facts = (json.loads(each) for each in json.loads(row["facts"]))
    words = [word.casefold() for word in words_of(subject_of(json.loads(row["settings"]), facts))]
    return all(any(word.startswith(each) for word in words) for each in wanted)
