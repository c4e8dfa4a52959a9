"""REST: registering application commands, for all and for one guild."""

from __future__ import annotations

from aiohttp import web

from preview.api.bodies import current_body
from preview.api.errors import ApiError
from preview.api.rest import API, nothing, reply
from preview.rules import commands as rules_commands
from preview.state.core import CORE, Core
from preview.state.feed import Event
from preview.state.world import Json

GLOBAL = API + "/applications/{application_id}/commands"
IN_GUILD = API + "/applications/{application_id}/guilds/{guild_id}/commands"
routes = web.RouteTableDef()


def _scope(request: web.Request) -> tuple[Core, str | None]:
    """Return the guild whose commands are meant; None for the global ones."""
    core = request.app[CORE]
    if int(request.match_info["application_id"]) != core.world.application.id:
        raise ApiError(10002)
    guild_id = request.match_info.get("guild_id")
    return core, guild_id and str(core.guild(guild_id).id)


def registered(core: Core, guild_id: str | None) -> list[Json]:
    """Return the commands of a guild, or the global ones."""
    return [each for each in core.world.commands.values() if each.get("guild_id") == guild_id]


def _stored(core: Core, guild_id: str | None, given: Json, present: Json | None) -> Json:
    """Return a command as Discord keeps it; one that was there before keeps its id."""
    scope: Json = {"guild_id": guild_id} if guild_id else {"contexts": None, "integration_types": [0]}
    out: Json = {
        "id": present["id"] if present else str(core.world.new_id()),
        "application_id": str(core.world.application.id),
        "version": str(core.world.new_id()),
        "type": 1,
        "description": "",
        "default_member_permissions": None,
        "nsfw": False,
        "name_localizations": None,
        "description_localizations": None,
    } | scope
    out |= {name: value for name, value in given.items() if value is not None}
    out["default_member_permissions"] = _text_or_none(out["default_member_permissions"])
    if present and _same(present, out):
        out["version"] = present["version"]
    return out


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)


def _same(one: Json, other: Json) -> bool:
    return {**one, "version": 0} == {**other, "version": 0}


def _put(core: Core, guild_id: str | None, given: list[Json]) -> list[Json]:
    present = {(each["type"], each["name"]): each for each in registered(core, guild_id)}
    stored = [_stored(core, guild_id, each, present.get((each.get("type") or 1, each["name"]))) for each in given]
    for each in present.values():
        del core.world.commands[int(each["id"])]
    core.world.commands |= {int(each["id"]): each for each in stored}
    core.feed.publish(Event("commands"))
    return stored


@routes.get(GLOBAL)
@routes.get(IN_GUILD)
async def get_commands(request: web.Request) -> web.Response:
    core, guild_id = _scope(request)
    return reply(registered(core, guild_id))


@routes.put(GLOBAL)
@routes.put(IN_GUILD)
async def put_commands(request: web.Request) -> web.Response:
    core, guild_id = _scope(request)
    given = current_body().json or []
    if problems := rules_commands.check_commands(given):
        raise ApiError(50035, problems)
    return reply(_put(core, guild_id, given))


@routes.post(GLOBAL)
@routes.post(IN_GUILD)
async def post_command(request: web.Request) -> web.Response:
    core, guild_id = _scope(request)
    given = current_body().json
    if problems := rules_commands.check_command(given):
        raise ApiError(50035, problems)
    kind = (given.get("type") or 1, given["name"])
    others = [each for each in registered(core, guild_id) if (each["type"], each["name"]) != kind]
    replaced = len(others) < len(registered(core, guild_id))
    if sum(each["type"] == kind[0] for each in others) >= rules_commands.COMMANDS_PER_SCOPE.get(kind[0], 1):
        raise ApiError(30032)
    stored = _put(core, guild_id, [*others, given])[-1]
    return reply(stored, status=200 if replaced else 201)


def _one(request: web.Request) -> tuple[Core, str | None, Json]:
    core, guild_id = _scope(request)
    command = core.world.commands.get(int(request.match_info["command_id"]))
    if command is None or command.get("guild_id") != guild_id:
        raise ApiError(10063)
    return core, guild_id, command


@routes.get(GLOBAL + "/{command_id}")
@routes.get(IN_GUILD + "/{command_id}")
async def get_command(request: web.Request) -> web.Response:
    return reply(_one(request)[2])


@routes.patch(GLOBAL + "/{command_id}")
@routes.patch(IN_GUILD + "/{command_id}")
async def patch_command(request: web.Request) -> web.Response:
    core, guild_id, command = _one(request)
    changed = command | current_body().json
    if problems := rules_commands.check_command(changed):
        raise ApiError(50035, problems)
    stored = _stored(core, guild_id, changed, command)
    core.world.commands[int(command["id"])] = stored
    core.feed.publish(Event("commands"))
    return reply(stored)


@routes.delete(GLOBAL + "/{command_id}")
@routes.delete(IN_GUILD + "/{command_id}")
async def delete_command(request: web.Request) -> web.Response:
    core, _, command = _one(request)
    del core.world.commands[int(command["id"])]
    core.feed.publish(Event("commands"))
    return nothing()
