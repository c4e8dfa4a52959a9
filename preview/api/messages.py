"""REST: messages of a channel and their reactions."""

from __future__ import annotations

from aiohttp import web

from preview.api.interactions import REPLY, apply_edit, message_reference
from preview.api.message_builder import MessageDraft, fill_message
from preview.api.request_body import current_body, path_id, query_number, required_object
from preview.api.rest import API_PREFIX, json_response, no_content
from preview.state import payloads, permissions
from preview.state.core import CORE, DIRECT_MESSAGES, GUILD_MESSAGES, FakeDiscordState
from preview.state.errors import ApiError, Problem, snowflake
from preview.state.world import Channel, Json, Message

MESSAGES_ROUTE = API_PREFIX + "/channels/{channel_id}/messages"
MESSAGE_ROUTE = MESSAGES_ROUTE + "/{message_id}"
BULK_DELETE_MAX_AGE_S = 14 * 24 * 3600.0
routes = web.RouteTableDef()


def _require_channel(request: web.Request) -> tuple[FakeDiscordState, Channel]:
    core = request.app[CORE]
    return core, core.channel(request.match_info["channel_id"])


def _require_message(request: web.Request) -> tuple[FakeDiscordState, Channel, Message]:
    core, channel = _require_channel(request)
    return core, channel, core.message(channel, request.match_info["message_id"])


def _require_can_send(core: FakeDiscordState, channel: Channel, draft: MessageDraft) -> None:
    if channel.locked:
        raise ApiError(50083)
    in_thread = channel.is_thread
    core.require(channel, permissions.SEND_MESSAGES_IN_THREADS if in_thread else permissions.SEND_MESSAGES)
    if draft.files:
        core.require(channel, permissions.ATTACH_FILES)
    if draft.data.get("embeds"):
        core.require(channel, permissions.EMBED_LINKS)


def _reply_reference(core: FakeDiscordState, channel: Channel, given: Json | None) -> Json | None:
    """Return the reference of a reply. A missing parent is an error unless `fail_if_not_exists` is false."""
    if not given:
        return None
    if not core.world.permissions(core.world.bot, channel) & permissions.READ_MESSAGE_HISTORY:
        raise ApiError(160002)
    parent = core.world.messages.get(snowflake(given.get("message_id"), "message_reference.message_id"))
    if parent is None or parent.channel_id != channel.id or parent.visible_to is not None:
        if given.get("fail_if_not_exists") is False:
            return None
        raise ApiError(50035, [Problem("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")])
    return message_reference(core, parent)


@routes.post(MESSAGES_ROUTE)
async def create_message(request: web.Request) -> web.Response:
    core, channel = _require_channel(request)
    draft = MessageDraft.from_body(current_body(), core.world.file_limit(channel))
    _require_can_send(core, channel, draft)
    if duplicate := _find_by_nonce(core, channel, draft.data):
        return json_response(payloads.message(core, duplicate))
    message = Message(core.world.new_id(), channel.id, core.world.bot.id, core.clock.time())
    message.nonce = draft.data.get("nonce")
    message.reference = _reply_reference(core, channel, draft.data.get("message_reference"))
    message.type = REPLY if message.reference else 0
    fill_message(core, message, draft)
    message.flags &= ~(1 << 6)
    if channel.archived:
        channel.archived = False
        core.dispatch_channel(channel, "UPDATE")
    core.add_message(message)
    return json_response(payloads.message(core, message))


def _find_by_nonce(core: FakeDiscordState, channel: Channel, data: Json) -> Message | None:
    """Return the bot's message with this nonce from the last 5 minutes, if `enforce_nonce` is set."""
    nonce = data.get("nonce")
    if nonce is None or not data.get("enforce_nonce"):
        return None
    recent = (each for each in core.world.channel_messages(channel) if core.clock.time() - each.created_at < 300)
    return next((m for m in recent if m.author_id == core.world.bot.id and str(m.nonce) == str(nonce)), None)


@routes.get(MESSAGES_ROUTE)
async def list_messages(request: web.Request) -> web.Response:
    core, channel = _require_channel(request)
    if not core.world.permissions(core.world.bot, channel) & permissions.READ_MESSAGE_HISTORY:
        return json_response([])
    found = sorted((m for m in core.world.channel_messages(channel) if m.visible_to is None), key=lambda m: m.id)
    limit = min(100, max(1, query_number(request, "limit", 50)))
    if "after" in request.query:
        found = [m for m in found if m.id > query_number(request, "after", 0)][:limit]
    elif "before" in request.query:
        found = [m for m in found if m.id < query_number(request, "before", 0)][-limit:]
    elif "around" in request.query:
        middle = query_number(request, "around", 0)
        nearest = sorted(found, key=lambda m: abs(m.id - middle))[:limit]
        found = sorted(nearest, key=lambda m: m.id)
    else:
        found = found[-limit:]
    return json_response([payloads.rest_message(core, m) for m in reversed(found)])


@routes.get(MESSAGE_ROUTE)
async def get_message(request: web.Request) -> web.Response:
    core, channel, message = _require_message(request)
    core.require(channel, permissions.READ_MESSAGE_HISTORY)
    return json_response(payloads.rest_message(core, message))


@routes.patch(MESSAGE_ROUTE)
async def edit_message(request: web.Request) -> web.Response:
    core, channel, message = _require_message(request)
    if message.author_id != core.world.bot.id:
        raise ApiError(50005)
    if channel.archived:
        raise ApiError(50083)
    apply_edit(core, message, MessageDraft.from_body(current_body(), core.world.file_limit(channel)))
    return json_response(payloads.message(core, message))


@routes.delete(MESSAGE_ROUTE)
async def delete_message(request: web.Request) -> web.Response:
    core, channel, message = _require_message(request)
    if message.author_id != core.world.bot.id:
        core.require(channel, permissions.MANAGE_MESSAGES)
    core.delete_message(message)
    return no_content()


@routes.post(MESSAGES_ROUTE + "/bulk-delete")
async def bulk_delete(request: web.Request) -> web.Response:
    core, channel = _require_channel(request)
    core.require(channel, permissions.MANAGE_MESSAGES)
    ids = required_object("messages")["messages"]
    if not 2 <= len(ids) <= 100:
        raise ApiError(50016)
    found = [core.world.messages[int(each)] for each in ids if int(each) in core.world.messages]
    if any(core.clock.time() - each.created_at > BULK_DELETE_MAX_AGE_S for each in found):
        raise ApiError(50034)
    for each in found:
        core.world.messages.pop(each.id)
        each.deleted = True
    out: Json = {"ids": [str(each.id) for each in found], "channel_id": str(channel.id)}
    out |= {"guild_id": str(channel.guild_id)} if channel.guild_id else {}
    core.dispatch("MESSAGE_DELETE_BULK", out, channel, GUILD_MESSAGES, DIRECT_MESSAGES)
    core.publish_deleted(found)
    return no_content()


# --- reactions

REACTIONS_ROUTE = MESSAGE_ROUTE + "/reactions"


@routes.put(REACTIONS_ROUTE + "/{emoji}/@me")
async def add_reaction(request: web.Request) -> web.Response:
    core, channel, message = _require_message(request)
    emoji = request.match_info["emoji"]
    if emoji.isascii() and ":" not in emoji:
        raise ApiError(10014, status=400)
    needed = permissions.READ_MESSAGE_HISTORY
    if all(each.emoji != emoji for each in message.reactions):
        needed |= permissions.ADD_REACTIONS
    core.require(channel, needed)
    core.react(message, emoji, core.world.bot.id, add=True)
    return no_content()


@routes.delete(REACTIONS_ROUTE + "/{emoji}/{user_id}")
async def remove_reaction(request: web.Request) -> web.Response:
    core, channel, message = _require_message(request)
    whose = request.match_info["user_id"]
    if whose != "@me":
        core.require(channel, permissions.MANAGE_MESSAGES)
    user_id = core.world.bot.id if whose == "@me" else path_id(request, "user_id")
    core.react(message, request.match_info["emoji"], user_id, add=False)
    return no_content()


@routes.get(REACTIONS_ROUTE + "/{emoji}")
async def list_reactions(request: web.Request) -> web.Response:
    core, channel, message = _require_message(request)
    core.require(channel, permissions.READ_MESSAGE_HISTORY)
    found = next((each for each in message.reactions if each.emoji == request.match_info["emoji"]), None)
    after, limit = query_number(request, "after", 0), query_number(request, "limit", 25)
    ids = sorted(each for each in (found.user_ids if found else []) if each > after)[:limit]
    return json_response([payloads.user(core.world.users[each]) for each in ids])


@routes.delete(REACTIONS_ROUTE)
@routes.delete(REACTIONS_ROUTE + "/{emoji}")
async def clear_reactions(request: web.Request) -> web.Response:
    core, channel, message = _require_message(request)
    core.require(channel, permissions.MANAGE_MESSAGES)
    wanted = request.match_info.get("emoji")
    for each in [one for one in message.reactions if wanted in (None, one.emoji)]:
        for user_id in list(each.user_ids):
            core.react(message, each.emoji, user_id, add=False)
    return no_content()
