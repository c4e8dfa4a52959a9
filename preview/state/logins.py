"""Logins by OAuth2: the codes and tokens that users have given to the application."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass

from preview.state.world import User, World

CODE_LIFETIME_S = 60.0
TOKEN_LIFETIME_S = 604_800


@dataclass(frozen=True)
class Grant:
    """What a user has agreed to."""

    user_id: int
    redirect_uri: str
    scope: str
    challenge: str
    expires_at: float


class Logins:
    """The codes and tokens of a world; they are not saved."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._codes: dict[str, Grant] = {}
        self.tokens: dict[str, Grant] = {}

    def grant(self, user: User, redirect_uri: str, scope: str, challenge: str) -> str:
        """Return a code for a user who has agreed."""
        code = secrets.token_urlsafe(20)
        expires_at = self._world.clock.time() + CODE_LIFETIME_S
        self._codes[code] = Grant(user.id, redirect_uri, scope, challenge, expires_at)
        return code

    def exchange(self, code: str, redirect_uri: str, verifier: str) -> tuple[str, Grant] | None:
        """Return a token for a code, which works once, for the same address and the right verifier."""
        grant = self._codes.pop(code, None)
        if grant is None or grant.redirect_uri != redirect_uri or grant.expires_at < self._world.clock.time():
            return None
        if grant.challenge and not hmac.compare_digest(grant.challenge, pkce_challenge(verifier)):
            return None
        token = secrets.token_urlsafe(24)
        self.tokens[token] = grant
        return token, grant

    def user(self, authorization: str) -> User | None:
        """Return the user whose token an Authorization header has."""
        grant = self.tokens.get(authorization.removeprefix("Bearer "))
        return self._world.users.get(grant.user_id) if grant is not None else None

    def revoke(self, token: str) -> None:
        """Make a token worthless."""
        self.tokens.pop(token, None)


def pkce_challenge(verifier: str) -> str:
    """Return the S256 challenge of a verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
