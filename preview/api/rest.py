"""REST: the current user, gateway, application, guilds, members and users."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from preview.api.request_body import path_id, query_number, required_object
from preview.state import payloads
from preview.state.core import CORE
from preview.state.errors import ApiError, snowflake
from preview.state.world import User

API_PREFIX = "/api/v10"
routes = web.RouteTableDef()


def json_response(data: Any, *, status: int = 200) -> web.Response:
    """Return a JSON response; discord.py parses it only if the content type has no charset."""
    return web.Response(body=json.dumps(data).encode(), status=status, headers={"Content-Type": "application/json"})


def no_content() -> web.Response:
    """Return a 204 response."""
    return web.Response(status=204)


def acting_user(request: web.Request) -> User:
    """Return whose token a request has: the bot's, or that of a user who has logged in."""
    core = request.app[CORE]
    return core.logins.user(request.headers.get("Authorization", "")) or core.world.bot


@routes.get(API_PREFIX + "/users/@me")
async def get_current_user(request: web.Request) -> web.Response:
    return json_response(payloads.current_user(acting_user(request)))


@routes.get(API_PREFIX + "/users/@me/guilds")
async def get_current_user_guilds(request: web.Request) -> web.Response:
    world, user = request.app[CORE].world, acting_user(request)
    after, limit = query_number(request, "after", 0), query_number(request, "limit", 200)
    found = [each for each in world.guilds.values() if user.id in each.members and each.id > after]
    found.sort(key=lambda each: each.id)
    return json_response([payloads.current_user_guild(each, user.id) for each in found[:limit]])


@routes.get(API_PREFIX + "/users/@me/guilds/{guild_id}/member")
async def get_current_member(request: web.Request) -> web.Response:
    core, user = request.app[CORE], acting_user(request)
    guild = core.world.guilds.get(path_id(request, "guild_id"))
    if guild is None or user.id not in guild.members:
        raise ApiError(10004)
    return json_response(payloads.member(core, guild, user.id))


@routes.get(API_PREFIX + "/users/{user_id}")
async def get_user(request: web.Request) -> web.Response:
    core = request.app[CORE]
    user = core.world.users.get(path_id(request, "user_id"))
    if user is None:
        raise ApiError(10013)
    return json_response(payloads.user(user))


@routes.get(API_PREFIX + "/applications/@me")
@routes.get(API_PREFIX + "/oauth2/applications/@me")
async def get_current_application(request: web.Request) -> web.Response:
    return json_response(payloads.application(request.app[CORE]))


@routes.get(API_PREFIX + "/gateway")
async def get_gateway(request: web.Request) -> web.Response:
    return json_response({"url": request.app[CORE].gateway_url})


@routes.get(API_PREFIX + "/gateway/bot")
async def get_gateway_bot(request: web.Request) -> web.Response:
    core = request.app[CORE]
    limit = {"total": 1000, "remaining": 1000, "reset_after": 86_400_000, "max_concurrency": 1}
    return json_response({"url": core.gateway_url, "shards": core.shards, "session_start_limit": limit})


@routes.get(API_PREFIX + "/guilds/{guild_id}")
async def get_guild(request: web.Request) -> web.Response:
    core = request.app[CORE]
    guild = core.guild(request.match_info["guild_id"])
    out = payloads.guild(guild)
    if request.query.get("with_counts") in ("1", "true"):
        out |= {"approximate_member_count": len(guild.members), "approximate_presence_count": len(guild.members)}
    return json_response(out)


@routes.get(API_PREFIX + "/guilds/{guild_id}/channels")
async def get_guild_channels(request: web.Request) -> web.Response:
    core = request.app[CORE]
    guild = core.guild(request.match_info["guild_id"])
    found = [each for each in core.world.channels.values() if each.guild_id == guild.id and not each.is_thread]
    return json_response([payloads.channel(core, each) for each in found])


@routes.get(API_PREFIX + "/guilds/{guild_id}/roles")
async def get_guild_roles(request: web.Request) -> web.Response:
    guild = request.app[CORE].guild(request.match_info["guild_id"])
    return json_response([payloads.role(each) for each in guild.roles.values()])


@routes.get(API_PREFIX + "/guilds/{guild_id}/members/{user_id}")
async def get_member(request: web.Request) -> web.Response:
    core = request.app[CORE]
    guild = core.guild(request.match_info["guild_id"])
    user_id = path_id(request, "user_id")
    if user_id not in core.world.users:
        raise ApiError(10013)
    if user_id not in guild.members:
        raise ApiError(10007)
    return json_response(payloads.member(core, guild, user_id))


@routes.post(API_PREFIX + "/users/@me/channels")
async def create_dm(request: web.Request) -> web.Response:
    core = request.app[CORE]
    user = core.world.users.get(snowflake(required_object("recipient_id")["recipient_id"], "recipient_id"))
    if user is None:
        raise ApiError(10013)
    if user.id == core.world.bot.id:
        raise ApiError(50007)
    return json_response(payloads.channel(core, core.world.dm_channel(user)))
