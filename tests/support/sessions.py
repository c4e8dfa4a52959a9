"""Collaborative sessions for tests to store."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

from db.sessions import Session, SessionKind


def make_session(**changes: Any) -> Session:
    """Return a jam in its first round, which is not stored yet."""
    session = Session(
        id=secrets.token_hex(4),
        kind=SessionKind.JAM,
        guild_id=1,
        channel_id=2,
        host_id=11,
        phase="voting",
        round=1,
        made_at=1000.0,
    )
    return replace(session, **changes)
