"""Who is logged in, by an opaque cookie; sessions end after twelve hours, at the logout, and when the bot stops."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

LIFETIME_S = 12 * 3600.0
MAX_SESSIONS = 10_000
CSRF_HEADER = "X-Atelier-CSRF"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A person who is logged in; the servers are those that they were in at the login."""

    person_id: int
    name: str
    guild_ids: tuple[int, ...]
    expires_at: float
    locale: str = ""  # as Discord calls the person's language
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))


class Sessions:
    """Sessions in memory, by the digest of their token: who reads the memory or the log gets no cookie."""

    def __init__(self, clock: Callable[[], float], *, secure: bool) -> None:
        self._clock, self._secure = clock, secure
        self._sessions: OrderedDict[bytes, Session] = OrderedDict()

    @property
    def cookie(self) -> str:
        """Return the name of the cookie; browsers accept the prefixed one from this very host by https only."""
        return "__Host-atelier" if self._secure else "atelier"

    def begin(
        self, response: web.Response, person_id: int, name: str, guild_ids: tuple[int, ...], locale: str = ""
    ) -> None:
        """Begin a session with a new token, so that one which somebody planted is worth nothing."""
        token = secrets.token_urlsafe(32)
        expires_at = self._clock() + LIFETIME_S
        self._sessions[_digest(token)] = Session(
            person_id=person_id, name=name, guild_ids=guild_ids, expires_at=expires_at, locale=locale
        )
        while len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        response.set_cookie(
            self.cookie, token, max_age=int(LIFETIME_S), httponly=True, secure=self._secure, samesite="Lax", path="/"
        )

    def find(self, request: web.Request) -> Session | None:
        """Return the session of a request, if there is one and it has not expired."""
        key = _digest(request.cookies.get(self.cookie, ""))
        session = self._sessions.get(key)
        if session is not None and session.expires_at <= self._clock():
            del self._sessions[key]
            return None
        return session

    def end(self, request: web.Request, response: web.StreamResponse) -> None:
        """End the session of a request."""
        self._sessions.pop(_digest(request.cookies.get(self.cookie, "")), None)
        response.del_cookie(self.cookie, path="/", secure=self._secure, httponly=True, samesite="Lax")

    def end_all(self, person_id: int) -> None:
        """End all sessions of a person."""
        for key in [key for key, session in self._sessions.items() if session.person_id == person_id]:
            del self._sessions[key]


def has_token(session: Session, given: str) -> bool:
    """Return whether a request has the token that only this site's pages know."""
    return hmac.compare_digest(session.csrf.encode(), given.encode())


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
