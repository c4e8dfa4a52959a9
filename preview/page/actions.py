"""What a person does on the page, carried out by the simulated person behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from preview.people.options import PersonError
from preview.people.person import Person
from preview.state.core import Core
from preview.state.files import Upload
from preview.state.interactions import ANSWER_WITHIN, MODAL, Interaction, InteractionFailed
from preview.state.world import Channel, Json, Message, User

LATE = 1.0  # seconds that an answer on its way may take beyond what Discord allows


@dataclass(frozen=True)
class Deed:
    """One thing that somebody does: who, what the page says about it, and the files that came along."""

    core: Core
    person: Person
    given: Json
    files: dict[str, Upload] = field(default_factory=dict)

    @property
    def channel(self) -> Channel:
        """Return the channel where it is done; raise PersonError if the person cannot see it."""
        channel = self.core.world.channels.get(_number(self.given.get("channel")))
        if channel is None or not self.core.world.permissions(self.person.user, channel):
            raise PersonError("this channel is not there any more")
        return channel

    @property
    def message(self) -> Message:
        """Return the message it is done to; raise PersonError if the person cannot see it."""
        message = self.core.world.messages.get(_number(self.given.get("message")))
        if message is None or not self.core.world.sees(self.person.user, message):
            raise PersonError("this message is not there any more")
        return message

    @property
    def user(self) -> User:
        """Return the account it is done to."""
        found: User = self._found(self.core.world.users, self.given.get("user"))
        return found

    @property
    def values(self) -> dict[str, Any]:
        """Return the options or fields that were filled in."""
        return {str(name): self.meant(value) for name, value in (self.given.get("values") or {}).items()}

    def meant(self, value: Any) -> Any:
        """Turn what stands for an account, role, channel or file (`{"user": ID}` …) into the thing itself."""
        if isinstance(value, list):
            return [self.meant(each) for each in value]
        if not isinstance(value, dict):
            return value
        ((kind, key),) = value.items()
        world = self.core.world
        roles = {role.id: role for guild in world.guilds.values() for role in guild.roles.values()}
        things: dict[str, dict[int, Any]] = {"user": world.users, "role": roles, "channel": world.channels}
        return self.files[key] if kind == "file" else self._found(things[kind], key)

    def _found(self, things: dict[int, Any], key: Any) -> Any:
        if (number := _number(key)) not in things:
            raise PersonError("what you chose is not there any more")
        return things[number]


def _number(text: Any) -> int:
    return int(text) if str(text).isdecimal() else 0


async def _command(deed: Deed) -> Json:
    return await _outcome(await deed.person.command(deed.given["name"], deed.channel, **deed.values))


async def _complete(deed: Deed) -> Json:
    option, typed = deed.given["option"], deed.given["typed"]
    try:
        choices = await deed.person.autocomplete(deed.given["name"], deed.channel, option, typed, **deed.values)
    except (InteractionFailed, TimeoutError):
        return {"failed": True}
    return {"choices": choices}


async def _menu(deed: Deed) -> Json:
    target = deed.user if "user" in deed.given else deed.message
    return await _outcome(await deed.person.context_menu(deed.given["name"], target, deed.channel))


async def _press(deed: Deed) -> Json:
    return await _outcome(await deed.person.press(deed.message, custom_id=deed.given["custom_id"]))


async def _select(deed: Deed) -> Json:
    chosen = deed.meant(deed.given["chosen"])
    return await _outcome(await deed.person.select(deed.message, *chosen, custom_id=deed.given["custom_id"]))


async def _submit(deed: Deed) -> Json:
    interaction = deed.core.interactions.get(_number(deed.given["interaction"]))
    if interaction is None or interaction.user is not deed.person.user:
        raise PersonError("this form is too old")
    return await _outcome(await deed.person.submit_modal(interaction, deed.values))


async def _send(deed: Deed) -> Json:
    parent = deed.message if deed.given.get("message") else None
    text = str(deed.given["text"])
    if len(text) > 2000 or not (text.strip() or deed.files):
        raise PersonError("a message has 1 to 2000 characters")
    await deed.person.send(deed.channel, text, *deed.files.values(), reply_to=parent)
    return {}


async def _react(deed: Deed) -> Json:
    act = deed.person.react if deed.given["on"] else deed.person.unreact
    await act(deed.message, str(deed.given["emoji"]))
    return {}


async def _delete(deed: Deed) -> Json:
    await deed.person.delete(deed.message)
    return {}


async def _outcome(interaction: Interaction) -> Json:
    """Wait for the bot's first answer and say what the page must do about it."""
    try:
        answer = await interaction.response(ANSWER_WITHIN + LATE)
    except (InteractionFailed, TimeoutError):
        return {"failed": True}
    form = {"modal": answer.data, "interaction": str(interaction.id)} if answer.type == MODAL else {}
    return {"failed": False} | form


ACTIONS: dict[str, Callable[[Deed], Awaitable[Json]]] = {
    "command": _command,
    "complete": _complete,
    "menu": _menu,
    "press": _press,
    "select": _select,
    "submit": _submit,
    "send": _send,
    "react": _react,
    "delete": _delete,
}


async def carry_out(name: str, deed: Deed) -> Json:
    """Do it and return what the page needs to know; raise PersonError for what Discord's client would not let do.

    It goes on when the browser that asked is closed meanwhile, as it would at Discord.
    """
    try:
        return await asyncio.shield(asyncio.ensure_future(ACTIONS[name](deed)))
    except (KeyError, TypeError, ValueError) as error:
        raise PersonError(f"the page and the preview do not understand each other: {error!r}") from error
