"""Actions on the page, carried out by the simulated user of the tab."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from preview.state.core import FakeDiscordState
from preview.state.errors import ApiError
from preview.state.files import UploadedFile
from preview.state.interactions import MODAL, Interaction, InteractionFailed
from preview.state.world import Channel, Json, Message, User
from preview.users import friends, painters
from preview.users.options import UserActionError
from preview.users.simulated_user import SimulatedUser


@dataclass(frozen=True)
class PageAction:
    """One action on the page: the user, the page's data and the uploaded files."""

    core: FakeDiscordState
    actor: SimulatedUser
    payload: Json
    files: dict[str, UploadedFile] = field(default_factory=dict)

    @property
    def channel(self) -> Channel:
        """Return the channel of the action. Raise UserActionError if the user cannot see it."""
        channel = self.core.world.channels.get(_number(self.payload.get("channel")))
        if channel is None or not self.core.world.permissions(self.actor.user, channel):
            raise UserActionError("this channel no longer exists")
        return channel

    @property
    def message(self) -> Message:
        """Return the target message. Raise UserActionError if the user cannot see it."""
        message = self.core.world.messages.get(_number(self.payload.get("message")))
        if message is None or not self.core.world.can_see(self.actor.user, message):
            raise UserActionError("this message no longer exists")
        return message

    @property
    def user(self) -> User:
        """Return the target account. Raise UserActionError if there is none."""
        found: User = self._lookup(self.core.world.users, self.payload.get("user"))
        return found

    @property
    def values(self) -> dict[str, Any]:
        """Return the values of the command's options or the modal's fields."""
        return {str(name): self.resolve(value) for name, value in (self.payload.get("values") or {}).items()}

    def resolve(self, value: Any) -> Any:
        """Replace references to accounts, roles, channels or files (`{"user": ID}` …) by the objects."""
        if isinstance(value, list):
            return [self.resolve(each) for each in value]
        if not isinstance(value, dict):
            return value
        ((kind, key),) = value.items()
        world = self.core.world
        roles = {role.id: role for guild in world.guilds.values() for role in guild.roles.values()}
        objects: dict[str, dict[int, Any]] = {"user": world.users, "role": roles, "channel": world.channels}
        return self.files[key] if kind == "file" else self._lookup(objects[kind], key)

    def _lookup(self, objects: dict[int, Any], key: Any) -> Any:
        if (number := _number(key)) not in objects:
            raise UserActionError("your choice no longer exists")
        return objects[number]


def _number(text: Any) -> int:
    return int(text) if str(text).isdecimal() else 0


async def _command(action: PageAction) -> Json:
    return await _wait_for_response(await action.actor.command(action.payload["name"], action.channel, **action.values))


async def _autocomplete(action: PageAction) -> Json:
    option, typed = action.payload["option"], action.payload["typed"]
    try:
        choices = await action.actor.autocomplete(
            action.payload["name"], action.channel, option, typed, **action.values
        )
    except (InteractionFailed, TimeoutError):
        return {"failed": True}
    return {"choices": choices}


async def _context_menu(action: PageAction) -> Json:
    target = action.user if "user" in action.payload else action.message
    return await _wait_for_response(await action.actor.context_menu(action.payload["name"], target, action.channel))


async def _press(action: PageAction) -> Json:
    return await _wait_for_response(await action.actor.press(action.message, custom_id=action.payload["custom_id"]))


async def _select(action: PageAction) -> Json:
    chosen = action.resolve(action.payload["chosen"])
    return await _wait_for_response(
        await action.actor.select(action.message, *chosen, custom_id=action.payload["custom_id"])
    )


async def _submit_modal(action: PageAction) -> Json:
    interaction = action.core.interactions.get(_number(action.payload["interaction"]))
    if interaction is None or interaction.user is not action.actor.user:
        raise UserActionError("this form is too old")
    return await _wait_for_response(await action.actor.submit_modal(interaction, action.values))


async def _send(action: PageAction) -> Json:
    parent = action.message if action.payload.get("message") else None
    text = str(action.payload["text"])
    if len(text) > 2000 or not (text.strip() or action.files):
        raise UserActionError("a message has 1 to 2000 characters")
    await action.actor.send(action.channel, text, *action.files.values(), reply_to=parent)
    return {}


async def _edit(action: PageAction) -> Json:
    text = str(action.payload["text"])
    if len(text) > 2000 or not (text.strip() or action.message.attachments):
        raise UserActionError("a message has 1 to 2000 characters")
    await action.actor.edit(action.message, text)
    return {}


async def _start_typing(action: PageAction) -> Json:
    await action.actor.start_typing(action.channel)
    return {}


async def _react(action: PageAction) -> Json:
    toggle = action.actor.react if action.payload["on"] else action.actor.unreact
    await toggle(action.message, str(action.payload["emoji"]))
    return {}


async def _delete(action: PageAction) -> Json:
    await action.actor.delete(action.message)
    return {}


async def _let_friends_press(action: PageAction) -> Json:
    """Let one friend press a button or choose in a select, or all of them what each of them likes."""
    name, message = action.payload.get("person"), action.message
    group = friends.friends_of(action.core, action.actor.user, message)
    if name is None and painters.paint_button(message):
        return {"pressed": painters.begin(group, message)}
    if name is None:
        return {"pressed": await friends.use_at_random(group, message)}
    friend = next((each for each in group if each.user.name == name), None)
    if friend is None:
        raise UserActionError("this person is not here")
    if action.payload["custom_id"] == painters.paint_button(message):
        painters.begin([friend], message)
        return {"failed": False}
    used = await friends.use(friend, message, action.payload["custom_id"], action.payload.get("chosen"))
    answer = await _wait_for_response(used)
    if not answer["failed"]:
        await friends.follow(friend, used, random.Random())
    return answer


async def _wait_for_response(interaction: Interaction) -> Json:
    """Wait for the bot's response and return what the page must do about it."""
    try:
        response = await interaction.response()
    except (InteractionFailed, TimeoutError):
        return {"failed": True}
    modal_fields = {"modal": response.data, "interaction": str(interaction.id)} if response.type == MODAL else {}
    return {"failed": False} | modal_fields


ACTIONS: dict[str, Callable[[PageAction], Awaitable[Json]]] = {
    "command": _command,
    "complete": _autocomplete,
    "menu": _context_menu,
    "press": _press,
    "select": _select,
    "submit": _submit_modal,
    "send": _send,
    "edit": _edit,
    "typing": _start_typing,
    "friends": _let_friends_press,
    "react": _react,
    "delete": _delete,
}


async def run_action(name: str, action: PageAction) -> Json:
    """Run an action and return the data for the page. Raise UserActionError if Discord's client would not allow it.

    The action continues if the browser closes meanwhile, as on Discord.
    """
    try:
        return await asyncio.shield(asyncio.ensure_future(ACTIONS[name](action)))
    except ApiError as error:
        raise UserActionError(str(error.body()["message"])) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserActionError(f"the preview cannot read this request of the page: {error!r}") from error
