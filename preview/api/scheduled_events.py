"""REST: the scheduled events of a guild that take place somewhere else than in a voice channel."""

from __future__ import annotations

from datetime import datetime

from aiohttp import web

from preview.api.request_body import path_id, required_object
from preview.api.rest import API_PREFIX, json_response, no_content
from preview.state import permissions
from preview.state.core import CORE, FakeDiscordState
from preview.state.errors import ApiError, Problem
from preview.state.world import Guild, Json, ScheduledEvent

EVENTS_ROUTE = API_PREFIX + "/guilds/{guild_id}/scheduled-events"
EVENT_ROUTE = EVENTS_ROUTE + "/{event_id}"
EXTERNAL, GUILD_ONLY = 3, 2
SCHEDULED, ACTIVE, COMPLETED, CANCELED = 1, 2, 3, 4
NEXT_STATUSES = {SCHEDULED: (ACTIVE, CANCELED), ACTIVE: (COMPLETED,)}
routes = web.RouteTableDef()


def _payload(guild: Guild, event: ScheduledEvent) -> Json:
    return {
        "id": str(event.id),
        "guild_id": str(guild.id),
        "channel_id": None,
        "creator_id": str(event.creator_id),
        "name": event.name,
        "description": event.description,
        "scheduled_start_time": event.start_time,
        "scheduled_end_time": event.end_time,
        "privacy_level": GUILD_ONLY,
        "status": event.status,
        "entity_type": EXTERNAL,
        "entity_id": None,
        "entity_metadata": {"location": event.location},
        "image": None,
        "recurrence_rule": None,
        "guild_scheduled_event_exceptions": [],
    }


def _require_guild(request: web.Request) -> tuple[FakeDiscordState, Guild]:
    core = request.app[CORE]
    guild = core.guild(request.match_info["guild_id"])
    now = core.world.clock.time()
    for event in guild.events.values():  # Discord begins and ends them by the clock
        if event.status == SCHEDULED and _seconds(event.start_time) <= now:
            event.status = ACTIVE
        if event.status == ACTIVE and _seconds(event.end_time) <= now:
            event.status = COMPLETED
    return core, guild


def _require_event(request: web.Request) -> tuple[FakeDiscordState, Guild, ScheduledEvent]:
    core, guild = _require_guild(request)
    event = guild.events.get(path_id(request, "event_id"))
    if event is None:
        raise ApiError(10070)
    return core, guild, event


def _require_permission(core: FakeDiscordState, guild: Guild) -> None:
    if not guild.base_permissions(core.world.bot.id) & (permissions.CREATE_EVENTS | permissions.MANAGE_EVENTS):
        raise ApiError(50013)


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def _require_times(core: FakeDiscordState, start: str, end: str, *, begins: bool) -> None:
    if begins and _seconds(start) <= core.world.clock.time():
        problem = Problem("scheduled_start_time", "GUILD_SCHEDULED_EVENT_SCHEDULE_PAST", "Cannot schedule in the past.")
        raise ApiError(50035, [problem])
    if _seconds(end) <= _seconds(start):
        raise ApiError(50035, [Problem("scheduled_end_time", "BASE_TYPE_BAD", "The end must be after the start.")])


@routes.get(EVENTS_ROUTE)
async def get_events(request: web.Request) -> web.Response:
    _, guild = _require_guild(request)
    return json_response([_payload(guild, each) for each in guild.events.values() if each.status in NEXT_STATUSES])


@routes.post(EVENTS_ROUTE)
async def create_event(request: web.Request) -> web.Response:
    core, guild = _require_guild(request)
    _require_permission(core, guild)
    given = required_object("name", "scheduled_start_time", "scheduled_end_time", "privacy_level", "entity_metadata")
    if given["entity_type"] != EXTERNAL:
        raise ApiError(50024)
    _require_times(core, given["scheduled_start_time"], given["scheduled_end_time"], begins=True)
    event = ScheduledEvent(
        id=core.world.new_id(),
        creator_id=core.world.bot.id,
        name=given["name"],
        description=given.get("description"),
        location=given["entity_metadata"]["location"],
        start_time=given["scheduled_start_time"],
        end_time=given["scheduled_end_time"],
    )
    guild.events[event.id] = event
    return json_response(_payload(guild, event))


@routes.get(EVENT_ROUTE)
async def get_event(request: web.Request) -> web.Response:
    _, guild, event = _require_event(request)
    return json_response(_payload(guild, event))


@routes.patch(EVENT_ROUTE)
async def edit_event(request: web.Request) -> web.Response:
    core, guild, event = _require_event(request)
    _require_permission(core, guild)
    given = required_object()
    status = given.get("status") or event.status
    if status != event.status and status not in NEXT_STATUSES.get(event.status, ()):
        raise ApiError(50035, [Problem("status", "BASE_TYPE_BAD", "Invalid status transition.")])
    start = given.get("scheduled_start_time") or event.start_time
    end = given.get("scheduled_end_time") or event.end_time
    _require_times(core, start, end, begins=start != event.start_time)
    event.status, event.start_time, event.end_time = status, start, end
    event.name = given.get("name") or event.name
    event.description = given.get("description", event.description)
    event.location = (given.get("entity_metadata") or {}).get("location") or event.location
    return json_response(_payload(guild, event))


@routes.delete(EVENT_ROUTE)
async def delete_event(request: web.Request) -> web.Response:
    core, guild, event = _require_event(request)
    _require_permission(core, guild)
    del guild.events[event.id]
    return no_content()
