"""REST: the response to an interaction, and the webhook of its token."""

from __future__ import annotations

from aiohttp import web

from preview.api.message_builder import MessageDraft, edit_message, fill_message
from preview.api.request_body import current_body, path_id, required_object
from preview.api.rest import API_PREFIX, json_response, no_content
from preview.state import payloads
from preview.state.core import CORE, FakeDiscordState
from preview.state.errors import ApiError, Problem
from preview.state.event_bus import StateEvent
from preview.state.interactions import (
    CHOICES,
    COMMAND,
    COMPONENT,
    DEFERRED,
    DEFERRED_UPDATE,
    MAX_USER_INSTALL_FOLLOWUPS,
    MESSAGE,
    MODAL,
    MODAL_SUBMIT,
    TOKEN_LIFETIME_S,
    UPDATE,
    Interaction,
    InteractionResponse,
)
from preview.state.world import EPHEMERAL, LOADING, Json, Message
from preview.validation.callbacks import UPDATE_CALLBACKS, check_callback

routes = web.RouteTableDef()
ALLOWED_CALLBACKS = {
    COMMAND: (MESSAGE, DEFERRED, MODAL),
    COMPONENT: (MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, MODAL),
    4: (CHOICES,),
    MODAL_SUBMIT: (MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE),
}
REPLY, CHAT_INPUT_COMMAND, CONTEXT_MENU_COMMAND = 19, 20, 23


# --- the response


@routes.post(API_PREFIX + "/interactions/{interaction_id}/{token}/callback")
async def create_response(request: web.Request) -> web.Response:
    core = request.app[CORE]
    interaction = core.interactions_by_token.get(request.match_info["token"])
    if interaction is None or interaction.id != path_id(request, "interaction_id"):
        raise ApiError(10062)
    if interaction.answer:
        raise ApiError(40060)
    if interaction.failed or interaction.age > core.response_timeout:
        raise ApiError(10062)
    _require_channel(core, interaction)
    body = required_object("type")
    _check_callback(interaction, body)
    _apply_callback(
        core,
        interaction,
        body["type"],
        MessageDraft.from_body(current_body(), interaction.file_limit, data=_callback_data(body)),
    )
    if request.query.get("with_response") in ("1", "true"):
        return json_response(_callback_object(core, interaction))
    return no_content()


def _callback_data(body: Json) -> Json:
    return body.get("data") or {}


def _check_callback(interaction: Interaction, body: Json) -> None:
    kind = body.get("type")
    problems = check_callback(body, v2=bool(kind == UPDATE and interaction.target and interaction.target.v2))
    if kind not in ALLOWED_CALLBACKS[interaction.type] or (kind in UPDATE_CALLBACKS and not interaction.from_message):
        text = f"Callback type {kind} is not valid for an interaction of type {interaction.type}."
        problems.append(Problem("type", "INTERACTION_CALLBACK_TYPE_INVALID", text))
    if problems:
        raise ApiError(50035, problems)


def _apply_callback(core: FakeDiscordState, interaction: Interaction, kind: int, draft: MessageDraft) -> None:
    """Apply a callback. A callback that is rejected here leaves no trace."""
    ephemeral = interaction.forced_ephemeral or bool(int(draft.data.get("flags") or 0) & EPHEMERAL)
    response = InteractionResponse(kind, draft.data, interaction.age)
    if kind == MESSAGE:
        interaction.original = post_message(core, interaction, draft, path_prefix="data")
        response.ephemeral = interaction.original.ephemeral
    elif kind == DEFERRED:
        interaction.original = _post_loading(core, interaction, ephemeral=ephemeral)
        response.ephemeral = ephemeral
    elif kind in (DEFERRED_UPDATE, UPDATE):
        interaction.original = interaction.target
        if kind == UPDATE and interaction.target:
            apply_edit(core, interaction.target, draft, path_prefix="data")
    interaction.answer = response
    core.event_bus.publish(StateEvent("interaction", interaction_id=interaction.id, channel_id=interaction.channel.id))


def _new_message(core: FakeDiscordState, interaction: Interaction, *, ephemeral: bool) -> Message:
    """Return an empty message from the bot in response to an interaction."""
    world = core.world
    message = Message(world.new_id(), interaction.channel.id, world.bot.id, core.clock.time())
    message.interaction = {
        "metadata": payloads.interaction_metadata(interaction),
        "user_id": interaction.user.id,
        "name": interaction.name if interaction.type == COMMAND else None,
    }
    if ephemeral:
        message.flags, message.visible_to = EPHEMERAL, interaction.user.id
    message.type, parent = _message_type(interaction)
    if parent:
        message.reference = message_reference(core, parent)
    return message


def _message_type(interaction: Interaction) -> tuple[int, Message | None]:
    """Return the message type and the message replied to: the component's message or the first response."""
    if interaction.answer and interaction.original and interaction.original is not interaction.target:
        return REPLY, interaction.original
    if interaction.from_message:
        return REPLY, interaction.target
    return (CONTEXT_MENU_COMMAND if interaction.data.get("target_id") else CHAT_INPUT_COMMAND), None


def message_reference(core: FakeDiscordState, parent: Message) -> Json:
    """Return the message reference of a reply."""
    out: Json = {"type": 0, "channel_id": str(parent.channel_id), "message_id": str(parent.id)}
    guild_id = core.world.channels[parent.channel_id].guild_id
    return out | ({"guild_id": str(guild_id)} if guild_id else {})


def post_message(
    core: FakeDiscordState, interaction: Interaction, draft: MessageDraft, *, path_prefix: str = ""
) -> Message:
    """Post a new message in response to an interaction."""
    ephemeral = interaction.forced_ephemeral or bool(int(draft.data.get("flags") or 0) & EPHEMERAL)
    message = _new_message(core, interaction, ephemeral=ephemeral)
    fill_message(core, message, draft, path_prefix=path_prefix)
    core.add_message(message)
    return message


def _post_loading(core: FakeDiscordState, interaction: Interaction, *, ephemeral: bool) -> Message:
    message = _new_message(core, interaction, ephemeral=ephemeral)
    message.flags |= LOADING
    core.add_message(message)
    return message


def apply_edit(core: FakeDiscordState, message: Message, draft: MessageDraft, *, path_prefix: str = "") -> None:
    """Apply an edit to a message and publish it. A rejected edit changes nothing."""
    before = (message.flags, message.attachments, message.components, message.embeds, message.content)
    try:
        was_loading = edit_message(core, message, draft, path_prefix=path_prefix)
    except ApiError:
        message.flags, message.attachments, message.components, message.embeds, message.content = before
        raise
    core.update_message(message, was_loading=was_loading)


def _callback_object(core: FakeDiscordState, interaction: Interaction) -> Json:
    response, message = interaction.answer, interaction.original
    interaction_object: Json = {"id": str(interaction.id), "type": interaction.type}
    interaction_object["channel_id"] = str(interaction.channel.id)
    if interaction.channel.guild_id:
        interaction_object["guild_id"] = str(interaction.channel.guild_id)
    if message:
        interaction_object["response_message_id"] = str(message.id)
        interaction_object["response_message_loading"] = message.loading
        interaction_object["response_message_ephemeral"] = message.ephemeral
    out: Json = {"interaction": interaction_object}
    if response and response.type in (MESSAGE, UPDATE) and message:
        out["resource"] = {"type": response.type, "message": payloads.message(core, message)}
    return out


# --- the token's webhook

WEBHOOK_ROUTE = API_PREFIX + "/webhooks/{application_id}/{token}"


def _require_interaction(request: web.Request) -> tuple[FakeDiscordState, Interaction]:
    """Return the interaction of a token; it must have a response and be younger than 15 minutes."""
    core = request.app[CORE]
    interaction = core.interactions_by_token.get(request.match_info["token"])
    if interaction is None or path_id(request, "application_id") != core.world.application.id:
        raise ApiError(10015)
    if interaction.age > TOKEN_LIFETIME_S:
        raise ApiError(50027)
    if interaction.answer is None:
        raise ApiError(10015)
    _require_channel(core, interaction)
    return core, interaction


def _require_channel(core: FakeDiscordState, interaction: Interaction) -> None:
    if interaction.channel.id not in core.world.channels:
        raise ApiError(10003)


@routes.post(WEBHOOK_ROUTE)
async def create_followup(request: web.Request) -> web.Response:
    core, interaction = _require_interaction(request)
    draft = MessageDraft.from_body(current_body(), interaction.file_limit)
    if interaction.is_user_install_only and interaction.followups_sent >= MAX_USER_INSTALL_FOLLOWUPS:
        raise ApiError(40094)
    first = interaction.original
    if first and first.loading and not first.deleted:
        # The first followup replaces "is thinking…" and cannot change its visibility.
        apply_edit(core, first, draft)
        interaction.followups_sent += 1
        return json_response(payloads.message(core, first))
    message = post_message(core, interaction, draft)
    interaction.followups_sent += 1
    interaction.followups.append(message)
    core.event_bus.publish(StateEvent("interaction", interaction_id=interaction.id, channel_id=interaction.channel.id))
    return (
        json_response(payloads.message(core, message)) if request.query.get("wait") in ("1", "true") else no_content()
    )


def _require_message(request: web.Request) -> tuple[FakeDiscordState, Interaction, Message]:
    """Return a message that a token can read and edit: the original response or a followup."""
    core, interaction = _require_interaction(request)
    wanted = request.match_info["message_id"]
    posted = [interaction.original, *interaction.followups]
    if wanted == "@original":
        found = interaction.original
    else:
        found = next((each for each in posted if each and str(each.id) == wanted), None)
    if found is None or found.deleted:
        raise ApiError(10008)
    return core, interaction, found


@routes.get(WEBHOOK_ROUTE + "/messages/{message_id}")
async def get_response(request: web.Request) -> web.Response:
    core, _, message = _require_message(request)
    return json_response(payloads.message(core, message))


@routes.patch(WEBHOOK_ROUTE + "/messages/{message_id}")
async def edit_response(request: web.Request) -> web.Response:
    core, interaction, message = _require_message(request)
    apply_edit(core, message, MessageDraft.from_body(current_body(), interaction.file_limit))
    return json_response(payloads.message(core, message))


@routes.delete(WEBHOOK_ROUTE + "/messages/{message_id}")
async def delete_response(request: web.Request) -> web.Response:
    core, _, message = _require_message(request)
    core.delete_message(message)
    return no_content()
