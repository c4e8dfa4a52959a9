"""Log in with Discord's OAuth2: code grant with PKCE, for the person's id and servers; no token of Discord is kept."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from bot.config import DISCORD_API_URL, Config
from bot.gallery.security import is_local_path
from bot.gallery.sessions import Sessions
from bot.ui.i18n import tr

log = logging.getLogger(__name__)

AUTHORIZE_URL = "https://discord.com/oauth2/authorize"
SCOPES = "identify guilds"
STATE_LIFETIME_S = 600.0
MAX_PENDING = 50_000  # more than somebody could begin while another person logs in
MAX_NEXT_LENGTH = 500  # characters
DEFAULT_PAUSE_S = 60.0
MAX_EXCHANGES = 2  # at once
TIMEOUT = aiohttp.ClientTimeout(total=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    verifier: str
    next: str
    expires_at: float


class Login:
    """The way to Discord and back. `application_id` is None until the bot has connected."""

    def __init__(
        self, config: Config, sessions: Sessions, application_id: Callable[[], int | None], clock: Callable[[], float]
    ) -> None:
        self._config, self._sessions, self._application_id, self._clock = config, sessions, application_id, clock
        self._pending: OrderedDict[str, _Pending] = OrderedDict()
        self._secure = config.gallery_url.startswith("https:")
        self._exchanges = asyncio.Semaphore(MAX_EXCHANGES)
        self._pause_until = 0.0

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the login."""
        return [web.get("/login", self.start), web.get("/login/done", self.finish)]

    async def start(self, request: web.Request) -> web.Response:
        """Send the browser to Discord, and remember in it which login this is."""
        application_id = self._application_id()
        if application_id is None:
            raise web.HTTPServiceUnavailable(text=tr("The bot is not connected to Discord yet. Try again in a moment."))
        target = request.query.get("next", "/")
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        self._pending[state] = _Pending(
            verifier=verifier,
            next=target if len(target) <= MAX_NEXT_LENGTH and is_local_path(target) else "/",
            expires_at=self._clock() + STATE_LIFETIME_S,
        )
        while len(self._pending) > MAX_PENDING:
            self._pending.popitem(last=False)
        response = web.Response(status=302, headers={"Location": self._authorize_url(application_id, state, verifier)})
        response.set_cookie(
            self._cookie, state, max_age=int(STATE_LIFETIME_S), httponly=True, secure=self._secure, samesite="Lax"
        )
        return response

    async def finish(self, request: web.Request) -> web.Response:
        """Begin a session for whom Discord names, if this browser has started the login."""
        state = request.query.get("state", "")
        pending = self._pending.pop(state, None)
        is_own = hmac.compare_digest(state.encode(), request.cookies.get(self._cookie, "").encode())
        if pending is None or not is_own or pending.expires_at <= self._clock():
            raise web.HTTPBadRequest(text=tr("This login has expired. Start again from the gallery."))
        if "code" not in request.query:
            return self._back("/?login=refused")
        async with self._exchanges:
            person, guilds = await self._identify(request.query["code"], pending.verifier)
        response = self._back(pending.next)
        self._sessions.end(request, response)
        name = str(person.get("global_name") or person["username"])
        guild_ids = tuple(int(guild["id"]) for guild in guilds)
        self._sessions.begin(response, int(person["id"]), name, guild_ids, str(person.get("locale") or ""))
        return response

    @property
    def _cookie(self) -> str:
        return "__Host-atelier-login" if self._secure else "atelier-login"

    @property
    def _redirect_uri(self) -> str:
        return f"{self._config.gallery_url}/login/done"

    def _back(self, path: str) -> web.Response:
        response = web.Response(status=302, headers={"Location": path})
        response.del_cookie(self._cookie, secure=self._secure, httponly=True, samesite="Lax")
        return response

    def _authorize_url(self, application_id: int, state: str, verifier: str) -> str:
        is_real = self._config.discord_api_url == DISCORD_API_URL
        origin = str(URL(self._config.discord_api_url).origin())
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": str(application_id),
            "response_type": "code",
            "redirect_uri": self._redirect_uri,
            "scope": SCOPES,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "prompt": "none",
        }
        return str(URL(AUTHORIZE_URL if is_real else f"{origin}/oauth2/authorize").with_query(query))

    async def _identify(self, code: str, verifier: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Exchange a code for a token, read who it is and their servers, and give the token back."""
        self._require_no_pause()
        api, application_id = self._config.discord_api_url, self._application_id()
        client = {"client_id": str(application_id), "client_secret": self._config.discord_client_secret}
        grant = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        try:
            async with aiohttp.ClientSession(timeout=TIMEOUT, raise_for_status=True) as http:
                async with http.post(f"{api}/oauth2/token", data=client | grant) as answer:
                    token = str((await answer.json())["access_token"])
                bearer = {"Authorization": f"Bearer {token}"}
                async with http.get(f"{api}/users/@me", headers=bearer) as answer:
                    person = await answer.json()
                async with http.get(f"{api}/users/@me/guilds", headers=bearer) as answer:
                    guilds = await answer.json()
                async with http.post(f"{api}/oauth2/token/revoke", data=client | {"token": token}):
                    return person, guilds
        except (aiohttp.ClientError, TimeoutError, KeyError, ValueError) as error:
            log.warning("a login in the gallery failed: %s", error)
            self._pause_after(error)
            raise web.HTTPBadGateway(text=tr("Discord did not confirm this login. Try again.")) from None

    def _require_no_pause(self) -> None:
        """Refuse logins while Discord has asked for a pause: it blocks the whole bot for too many refused requests."""
        if self._clock() < self._pause_until:
            raise web.HTTPServiceUnavailable(text=tr("Too many people log in right now. Try again in a minute."))

    def _pause_after(self, error: Exception) -> None:
        if isinstance(error, aiohttp.ClientResponseError) and error.status == 429:
            asked = error.headers.get("Retry-After", "") if error.headers else ""
            self._pause_until = self._clock() + (float(asked) if asked.isdecimal() else DEFAULT_PAUSE_S)
