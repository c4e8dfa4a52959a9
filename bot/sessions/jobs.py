"""The jobs of sessions: their ids, in whose name they are drawn, and where they are posted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from bot.policy.policy import RequestContext
from db.together.sessions import Session
from generation.job import Destination


def round_job_id(session_id: str, number: int, attempt: int = 0) -> str:
    """Return the id of the job that draws a round: always the same, so that a repeated step draws it once."""
    text = f"{session_id}\0{number}\0{attempt}"
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def host_context(session: Session) -> RequestContext:
    """Return the host with the roles of the start: a clock has no member at hand."""
    return person_context(session, session.host_id, session.settings["roles"])


def person_context(session: Session, person_id: int, role_ids: Iterable[int]) -> RequestContext:
    """Return somebody who takes part in a session, with roles that were stored."""
    return RequestContext(
        guild_id=session.guild_id,
        channel_ids=frozenset({session.place_id, *session.settings["channels"]}),
        person_id=person_id,
        role_ids=frozenset(role_ids),
    )


def session_destination(session: Session, *, reply_to: int | None = None, private: bool = False) -> Destination:
    """Return where a session takes place: no interaction asks for its jobs. Private ones are not posted yet."""
    return Destination(
        guild_id=session.guild_id,
        channel_id=session.place_id,
        by_channel=True,
        token="",
        token_expires_at=0.0,
        upload_limit=int(session.settings["upload_limit"]),
        reply_to=reply_to,
        private=private,
    )
