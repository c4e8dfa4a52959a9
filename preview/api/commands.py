"""REST: application commands, global and of one guild."""

from __future__ import annotations

from aiohttp import web

from preview.api.request_body import current_body, path_id, required_object
from preview.api.rest import API_PREFIX, json_response, no_content
from preview.state.core import CORE, FakeDiscordState
from preview.state.errors import ApiError
from preview.state.event_bus import StateEvent
from preview.state.world import Json
from preview.validation import commands as command_rules

GLOBAL_ROUTE = API_PREFIX + "/applications/{application_id}/commands"
GUILD_ROUTE = API_PREFIX + "/applications/{application_id}/guilds/{guild_id}/commands"
routes = web.RouteTableDef()


def _scope(request: web.Request) -> tuple[FakeDiscordState, str | None]:
    """Return the state, and the guild of the requested commands; None means the global commands."""
    core = request.app[CORE]
    if path_id(request, "application_id") != core.world.application.id:
        raise ApiError(10002)
    guild_id = request.match_info.get("guild_id")
    return core, guild_id and str(core.guild(guild_id).id)


def registered_commands(core: FakeDiscordState, guild_id: str | None) -> list[Json]:
    """Return the commands of a guild, or the global commands."""
    return [each for each in core.world.commands.values() if each.get("guild_id") == guild_id]


def _command_object(core: FakeDiscordState, guild_id: str | None, given: Json, present: Json | None) -> Json:
    """Build a command as Discord stores it; a command that already exists keeps its id."""
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
    if present and _is_unchanged(present, out):
        out["version"] = present["version"]
    return out


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)


def _is_unchanged(one: Json, other: Json) -> bool:
    return {**one, "version": 0} == {**other, "version": 0}


def _overwrite_commands(core: FakeDiscordState, guild_id: str | None, given: list[Json]) -> list[Json]:
    present = {(each["type"], each["name"]): each for each in registered_commands(core, guild_id)}
    stored = [
        _command_object(core, guild_id, each, present.get((each.get("type") or 1, each["name"]))) for each in given
    ]
    for each in present.values():
        del core.world.commands[int(each["id"])]
    core.world.commands |= {int(each["id"]): each for each in stored}
    core.event_bus.publish(StateEvent("commands"))
    return stored


@routes.get(GLOBAL_ROUTE)
@routes.get(GUILD_ROUTE)
async def get_commands(request: web.Request) -> web.Response:
    core, guild_id = _scope(request)
    return json_response(registered_commands(core, guild_id))


@routes.put(GLOBAL_ROUTE)
@routes.put(GUILD_ROUTE)
async def bulk_overwrite_commands(request: web.Request) -> web.Response:
    core, guild_id = _scope(request)
    given = current_body().json or []
    if problems := command_rules.check_commands(given):
        raise ApiError(50035, problems)
    return json_response(_overwrite_commands(core, guild_id, given))


@routes.post(GLOBAL_ROUTE)
@routes.post(GUILD_ROUTE)
async def create_command(request: web.Request) -> web.Response:
    core, guild_id = _scope(request)
    given = required_object("name")
    if problems := command_rules.check_command(given):
        raise ApiError(50035, problems)
    kind = (given.get("type") or 1, given["name"])
    others = [each for each in registered_commands(core, guild_id) if (each["type"], each["name"]) != kind]
    replaced = len(others) < len(registered_commands(core, guild_id))
    if sum(each["type"] == kind[0] for each in others) >= command_rules.COMMANDS_PER_SCOPE.get(kind[0], 1):
        raise ApiError(30032)
    stored = _overwrite_commands(core, guild_id, [*others, given])[-1]
    return json_response(stored, status=200 if replaced else 201)


def _require_command(request: web.Request) -> tuple[FakeDiscordState, str | None, Json]:
    core, guild_id = _scope(request)
    command = core.world.commands.get(path_id(request, "command_id"))
    if command is None or command.get("guild_id") != guild_id:
        raise ApiError(10063)
    return core, guild_id, command


@routes.get(GLOBAL_ROUTE + "/{command_id}")
@routes.get(GUILD_ROUTE + "/{command_id}")
async def get_command(request: web.Request) -> web.Response:
    return json_response(_require_command(request)[2])


@routes.patch(GLOBAL_ROUTE + "/{command_id}")
@routes.patch(GUILD_ROUTE + "/{command_id}")
async def edit_command(request: web.Request) -> web.Response:
    core, guild_id, command = _require_command(request)
    changed = command | required_object()
    if problems := command_rules.check_command(changed):
        raise ApiError(50035, problems)
    stored = _command_object(core, guild_id, changed, command)
    core.world.commands[int(command["id"])] = stored
    core.event_bus.publish(StateEvent("commands"))
    return json_response(stored)


@routes.delete(GLOBAL_ROUTE + "/{command_id}")
@routes.delete(GUILD_ROUTE + "/{command_id}")
async def delete_command(request: web.Request) -> web.Response:
    core, _, command = _require_command(request)
    del core.world.commands[int(command["id"])]
    core.event_bus.publish(StateEvent("commands"))
    return no_content()
