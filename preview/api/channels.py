"""REST: channels, threads and typing."""

from __future__ import annotations

from aiohttp import web

from preview.api.request_body import required_object
from preview.api.rest import API_PREFIX, json_response, no_content
from preview.state import payloads, permissions
from preview.state.core import CORE, FakeDiscordState
from preview.state.errors import ApiError
from preview.state.world import PRIVATE_THREAD, PUBLIC_THREAD, TEXT, Channel, Json

CHANNEL_ROUTE = API_PREFIX + "/channels/{channel_id}"
routes = web.RouteTableDef()


def _require_channel(request: web.Request) -> tuple[FakeDiscordState, Channel]:
    core = request.app[CORE]
    return core, core.channel(request.match_info["channel_id"])


@routes.get(CHANNEL_ROUTE)
async def get_channel(request: web.Request) -> web.Response:
    core, channel = _require_channel(request)
    return json_response(payloads.channel(core, channel))


@routes.patch(CHANNEL_ROUTE)
async def edit_channel(request: web.Request) -> web.Response:
    core, channel = _require_channel(request)
    given = required_object()
    own_thread = channel.is_thread and channel.owner_id == core.world.bot.id
    if not own_thread:
        core.require(channel, permissions.MANAGE_THREADS if channel.is_thread else permissions.MANAGE_CHANNELS)
    if channel.archived and given.get("archived") is not False:
        raise ApiError(50083)
    for name in ("name", "topic", "nsfw", "archived", "locked", "position"):
        if name in given:
            setattr(channel, name, given[name])
    core.dispatch_channel(channel, "UPDATE")
    return json_response(payloads.channel(core, channel))


@routes.delete(CHANNEL_ROUTE)
async def delete_channel(request: web.Request) -> web.Response:
    core, channel = _require_channel(request)
    out = payloads.channel(core, channel)
    if channel.guild_id is not None:
        core.require(channel, permissions.MANAGE_THREADS if channel.is_thread else permissions.MANAGE_CHANNELS)
        core.delete_channel(channel)
    return json_response(out)


@routes.post(CHANNEL_ROUTE + "/typing")
async def start_typing(request: web.Request) -> web.Response:
    core, channel = _require_channel(request)
    core.require(channel, permissions.SEND_MESSAGES)
    core.start_typing(channel, core.world.bot.id)
    return no_content()


@routes.post(CHANNEL_ROUTE + "/messages/{message_id}/threads")
async def create_thread_from_message(request: web.Request) -> web.Response:
    core, channel = _require_channel(request)
    message = core.message(channel, request.match_info["message_id"])
    if channel.type != TEXT:
        raise ApiError(50024)
    core.require(channel, permissions.CREATE_PUBLIC_THREADS)
    if message.id in core.world.channels:
        raise ApiError(160004)
    thread = _new_thread(core, channel, required_object("name"), PUBLIC_THREAD, message.id)
    message.thread_id = thread.id
    core.update_message(message, edited=False)
    return json_response(payloads.channel(core, thread), status=201)


@routes.post(CHANNEL_ROUTE + "/threads")
async def create_thread(request: web.Request) -> web.Response:
    core, channel = _require_channel(request)
    if channel.type != TEXT:
        raise ApiError(50024)
    given = required_object("name")
    kind = given.get("type") or PRIVATE_THREAD
    needed = permissions.CREATE_PUBLIC_THREADS if kind == PUBLIC_THREAD else permissions.CREATE_PRIVATE_THREADS
    core.require(channel, needed)
    thread = _new_thread(core, channel, given, kind, core.world.new_id())
    return json_response(payloads.channel(core, thread), status=201)


def _new_thread(core: FakeDiscordState, parent: Channel, given: Json, kind: int, thread_id: int) -> Channel:
    """Create a thread owned by the bot; a thread from a message has the message's id."""
    thread = Channel(thread_id, kind, given["name"], parent.guild_id, parent.nsfw, parent_id=parent.id)
    thread.owner_id, thread.created_at = core.world.bot.id, core.clock.iso()
    core.world.channels[thread.id] = thread
    core.dispatch_channel(thread, "CREATE")
    return thread


@routes.put(CHANNEL_ROUTE + "/thread-members/{user_id}")
@routes.delete(CHANNEL_ROUTE + "/thread-members/{user_id}")
async def change_thread_member(request: web.Request) -> web.Response:
    _, channel = _require_channel(request)
    if not channel.is_thread:
        raise ApiError(50024)
    return no_content()
