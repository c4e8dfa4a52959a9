"""REST: the first answer to an interaction, and the webhook of its token."""

from __future__ import annotations

from aiohttp import web

from preview.api.bodies import current_body
from preview.api.compose import Draft, edit, fill
from preview.api.errors import ApiError, Problem
from preview.api.rest import API, nothing, reply
from preview.rules.callbacks import COMPONENT_ONLY_CALLBACKS, check_callback
from preview.state import payloads
from preview.state.core import CORE, Core
from preview.state.feed import Event
from preview.state.interactions import (
    ANSWER_WITHIN,
    CHOICES,
    COMMAND,
    COMPONENT,
    DEFERRED,
    DEFERRED_UPDATE,
    FOREIGN_FOLLOWUPS,
    MESSAGE,
    MODAL,
    MODAL_SUBMIT,
    TOKEN_LIVES,
    UPDATE,
    Answer,
    Interaction,
)
from preview.state.world import EPHEMERAL, LOADING, Json, Message

routes = web.RouteTableDef()
ALLOWED_ANSWERS = {
    COMMAND: (MESSAGE, DEFERRED, MODAL),
    COMPONENT: (MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, MODAL),
    4: (CHOICES,),
    MODAL_SUBMIT: (MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE),
}
REPLY, CHAT_INPUT_COMMAND, CONTEXT_MENU_COMMAND = 19, 20, 23


# --- the first answer


@routes.post(API + "/interactions/{interaction_id}/{token}/callback")
async def answer(request: web.Request) -> web.Response:
    core = request.app[CORE]
    interaction = core.tokens.get(request.match_info["token"])
    if interaction is None or interaction.id != int(request.match_info["interaction_id"]):
        raise ApiError(10062)
    if interaction.answer:
        raise ApiError(40060)
    if interaction.failed or interaction.age > ANSWER_WITHIN:
        raise ApiError(10062)
    _place_exists(core, interaction)
    body = current_body().json
    _check(interaction, body)
    _carry_out(core, interaction, body["type"], Draft.of(current_body(), interaction.file_limit, data=_data(body)))
    if request.query.get("with_response") in ("1", "true"):
        return reply(_callback_object(core, interaction))
    return nothing()


def _data(body: Json) -> Json:
    return body.get("data") or {}


def _check(interaction: Interaction, body: Json) -> None:
    kind = body.get("type")
    problems = check_callback(body, v2=bool(kind == UPDATE and interaction.target and interaction.target.v2))
    if kind not in ALLOWED_ANSWERS[interaction.type] or (
        kind in COMPONENT_ONLY_CALLBACKS and not interaction.from_message
    ):
        text = f"Callback type {kind} is not valid for an interaction of type {interaction.type}."
        problems.append(Problem("type", "INTERACTION_CALLBACK_TYPE_INVALID", text))
    if problems:
        raise ApiError(50035, problems)


def _carry_out(core: Core, interaction: Interaction, kind: int, draft: Draft) -> None:
    """Do what the callback says; nothing is recorded of a callback that is refused on the way."""
    hidden = interaction.forced_ephemeral or bool(int(draft.data.get("flags") or 0) & EPHEMERAL)
    found = Answer(kind, draft.data, interaction.age)
    if kind == MESSAGE:
        interaction.original = post(core, interaction, draft, below="data")
        found.ephemeral = interaction.original.ephemeral
    elif kind == DEFERRED:
        interaction.original = _thinking(core, interaction, hidden=hidden)
        found.ephemeral = hidden
    elif kind in (DEFERRED_UPDATE, UPDATE):
        interaction.original = interaction.target
        if kind == UPDATE and interaction.target:
            change(core, interaction.target, draft, below="data")
    interaction.answer = found
    core.feed.publish(Event("interaction", interaction=interaction, channel_id=interaction.channel.id))


def _blank(core: Core, interaction: Interaction, *, hidden: bool) -> Message:
    """Return an empty message from the bot in answer to an interaction."""
    world = core.world
    message = Message(world.new_id(), interaction.channel.id, world.bot.id, core.clock.time())
    message.interaction = {
        "metadata": interaction.metadata(),
        "user_id": interaction.user.id,
        "name": interaction.name if interaction.type == COMMAND else None,
    }
    if hidden:
        message.flags, message.visible_to = EPHEMERAL, interaction.user.id
    message.type, parent = _kind(interaction)
    if parent:
        message.reference = reference_to(core, parent)
    return message


def _kind(interaction: Interaction) -> tuple[int, Message | None]:
    """Return the message type, and the message that it hangs on: the component's, or the first answer."""
    if interaction.answer and interaction.original and interaction.original is not interaction.target:
        return REPLY, interaction.original
    if interaction.from_message:
        return REPLY, interaction.target
    return (CONTEXT_MENU_COMMAND if interaction.data.get("target_id") else CHAT_INPUT_COMMAND), None


def reference_to(core: Core, parent: Message) -> Json:
    """Return the reference of a reply."""
    out: Json = {"type": 0, "channel_id": str(parent.channel_id), "message_id": str(parent.id)}
    guild_id = core.world.channels[parent.channel_id].guild_id
    return out | ({"guild_id": str(guild_id)} if guild_id else {})


def post(core: Core, interaction: Interaction, draft: Draft, *, below: str = "") -> Message:
    """Post a new message in answer to an interaction."""
    hidden = interaction.forced_ephemeral or bool(int(draft.data.get("flags") or 0) & EPHEMERAL)
    message = _blank(core, interaction, hidden=hidden)
    fill(core, message, draft, problems_below=below)
    core.add_message(message)
    return message


def _thinking(core: Core, interaction: Interaction, *, hidden: bool) -> Message:
    message = _blank(core, interaction, hidden=hidden)
    message.flags |= LOADING
    core.add_message(message)
    return message


def change(core: Core, message: Message, draft: Draft, *, below: str = "") -> None:
    """Apply an edit to a message and tell everyone."""
    before = (message.flags, message.attachments, message.components, message.embeds, message.content)
    try:
        was_loading = edit(core, message, draft, problems_below=below)
    except ApiError:
        message.flags, message.attachments, message.components, message.embeds, message.content = before
        raise
    core.change_message(message, was_loading=was_loading)


def _callback_object(core: Core, interaction: Interaction) -> Json:
    found, message = interaction.answer, interaction.original
    about: Json = {"id": str(interaction.id), "type": interaction.type}
    about["channel_id"] = str(interaction.channel.id)
    if interaction.channel.guild_id:
        about["guild_id"] = str(interaction.channel.guild_id)
    if message:
        about["response_message_id"] = str(message.id)
        about["response_message_loading"] = message.loading
        about["response_message_ephemeral"] = message.ephemeral
    out: Json = {"interaction": about}
    if found and found.type in (MESSAGE, UPDATE) and message:
        out["resource"] = {"type": found.type, "message": payloads.message(core, message)}
    return out


# --- the webhook of the token

HOOK = API + "/webhooks/{application_id}/{token}"


def _of_token(request: web.Request) -> tuple[Core, Interaction]:
    """Return the interaction of a token that is answered and younger than 15 minutes."""
    core = request.app[CORE]
    interaction = core.tokens.get(request.match_info["token"])
    if interaction is None or int(request.match_info["application_id"]) != core.world.application.id:
        raise ApiError(10015)
    if interaction.age > TOKEN_LIVES:
        raise ApiError(50027)
    if interaction.answer is None:
        raise ApiError(10015)
    _place_exists(core, interaction)
    return core, interaction


def _place_exists(core: Core, interaction: Interaction) -> None:
    if interaction.channel.id not in core.world.channels:
        raise ApiError(10003)


@routes.post(HOOK)
async def create_followup(request: web.Request) -> web.Response:
    core, interaction = _of_token(request)
    draft = Draft.of(current_body(), interaction.file_limit)
    if interaction.foreign and interaction.followups_sent >= FOREIGN_FOLLOWUPS:
        raise ApiError(40094)
    first = interaction.original
    if first and first.loading and not first.deleted:
        # The first followup takes the place of "is thinking…", and cannot change who sees it.
        change(core, first, draft)
        interaction.followups_sent += 1
        return reply(payloads.message(core, first))
    message = post(core, interaction, draft)
    interaction.followups_sent += 1
    interaction.followups.append(message)
    core.feed.publish(Event("interaction", interaction=interaction, channel_id=interaction.channel.id))
    return reply(payloads.message(core, message)) if request.query.get("wait") in ("1", "true") else nothing()


def _message_of(request: web.Request) -> tuple[Core, Interaction, Message]:
    """Return a message that a token may read and change: the original and the followups."""
    core, interaction = _of_token(request)
    wanted = request.match_info["message_id"]
    mine = [interaction.original, *interaction.followups]
    if wanted == "@original":
        found = interaction.original
    else:
        found = next((each for each in mine if each and str(each.id) == wanted), None)
    if found is None or found.deleted:
        raise ApiError(10008)
    return core, interaction, found


@routes.get(HOOK + "/messages/{message_id}")
async def get_answer(request: web.Request) -> web.Response:
    core, _, message = _message_of(request)
    return reply(payloads.message(core, message))


@routes.patch(HOOK + "/messages/{message_id}")
async def edit_answer(request: web.Request) -> web.Response:
    core, interaction, message = _message_of(request)
    change(core, message, Draft.of(current_body(), interaction.file_limit))
    return reply(payloads.message(core, message))


@routes.delete(HOOK + "/messages/{message_id}")
async def delete_answer(request: web.Request) -> web.Response:
    core, _, message = _message_of(request)
    core.remove_message(message)
    return nothing()
