"""OAuth2: the page on which a user agrees, and the tokens for it."""

from __future__ import annotations

import html
from collections.abc import Mapping
from urllib.parse import urlencode

from aiohttp import BasicAuth, web

from preview.api.rest import API_PREFIX, json_response
from preview.state.core import CORE
from preview.state.logins import TOKEN_LIFETIME_S
from preview.state.world import User, World

AUTHORIZE_PATH = "/oauth2/authorize"
TOKEN_PATH = API_PREFIX + "/oauth2/token"
SCOPES = frozenset({"identify", "guilds", "guilds.members.read"})
routes = web.RouteTableDef()


@routes.get(AUTHORIZE_PATH)
async def show_consent(request: web.Request) -> web.Response:
    """Show whom the application asks to log in; the real page knows who is in front of it."""
    world = request.app[CORE].world
    if problem := _problem(world, request.query):
        return web.Response(status=400, text=problem)
    users = [each for each in world.users.values() if not each.bot]
    buttons = "".join(f'<p><button name="user" value="{user.id}">{_name(user)}</button></p>' for user in users)
    fields = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in request.query.items()
    )
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        '<link rel="icon" href="data:,">'
        "<title>Log in</title><h1>Log in as whom?</h1>"
        f"<p>{html.escape(world.application.name)} asks for: {html.escape(request.query['scope'])}</p>"
        f'<form method="post" action="{AUTHORIZE_PATH}">{fields}{buttons}'
        '<p><button name="user" value="">Cancel</button></p></form></html>'
    )
    return web.Response(text=page, content_type="text/html")


@routes.post(AUTHORIZE_PATH)
async def consent(request: web.Request) -> web.Response:
    """Send the browser back with a code, or with the refusal."""
    core = request.app[CORE]
    form = {name: str(value) for name, value in (await request.post()).items()}
    if problem := _problem(core.world, form):
        return web.Response(status=400, text=problem)
    user = core.world.users.get(int(form.get("user") or 0))
    if user is None:
        answer = {"error": "access_denied", "error_description": "The resource owner denied the request"}
    else:
        challenge = form.get("code_challenge", "")
        answer = {"code": core.logins.grant(user, form["redirect_uri"], form["scope"], challenge)}
    location = f"{form['redirect_uri']}?{urlencode(answer | {'state': form.get('state', '')})}"
    return web.Response(status=302, headers={"Location": location})


@routes.post(TOKEN_PATH)
async def exchange_code(request: web.Request) -> web.Response:
    """Exchange a code for a token."""
    core = request.app[CORE]
    form = {name: str(value) for name, value in (await request.post()).items()}
    if not _is_client(request, core.world, form):
        return json_response({"error": "invalid_client"}, status=401)
    if form.get("grant_type") != "authorization_code":
        return json_response({"error": "unsupported_grant_type"}, status=400)
    found = core.logins.exchange(form.get("code", ""), form.get("redirect_uri", ""), form.get("code_verifier", ""))
    if found is None:
        return json_response({"error": "invalid_grant", "error_description": 'Invalid "code" in request.'}, status=400)
    token, grant = found
    return json_response(
        {
            "token_type": "Bearer",
            "access_token": token,
            "expires_in": TOKEN_LIFETIME_S,
            "refresh_token": f"{token}-refresh",
            "scope": grant.scope,
        }
    )


@routes.post(TOKEN_PATH + "/revoke")
async def revoke_token(request: web.Request) -> web.Response:
    """Make a token worthless."""
    core = request.app[CORE]
    form = {name: str(value) for name, value in (await request.post()).items()}
    if not _is_client(request, core.world, form):
        return json_response({"error": "invalid_client"}, status=401)
    core.logins.revoke(form.get("token", ""))
    return json_response({})


def _problem(world: World, query: Mapping[str, str]) -> str:
    """Return what is wrong with a request to log in, or nothing."""
    if query.get("client_id") != str(world.application.id):
        return "Unknown application"
    if query.get("response_type") != "code":
        return "Unsupported response type"
    if query.get("redirect_uri") not in world.application.redirect_uris:
        return "Invalid OAuth2 redirect_uri"
    scopes = set(query.get("scope", "").split())
    return "" if scopes and scopes <= SCOPES else "Invalid scope"


def _is_client(request: web.Request, world: World, form: dict[str, str]) -> bool:
    """Return whether the application itself asks, by the form or by basic authorisation."""
    application = world.application
    client = form.get("client_id"), form.get("client_secret")
    if header := request.headers.get("Authorization"):
        try:
            client = BasicAuth.decode(header).login, BasicAuth.decode(header).password
        except ValueError:
            return False
    return client == (str(application.id), application.client_secret)


def _name(user: User) -> str:
    return html.escape(user.display_name or user.name)
