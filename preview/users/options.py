"""Values of command options and selects, with the checks of Discord's client."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from preview.api.message_builder import store_attachment
from preview.state import payloads
from preview.state.core import FakeDiscordState
from preview.state.files import UploadedFile
from preview.state.world import Channel, Json, Message, Role, User

STRING, INTEGER, BOOLEAN, USER, CHANNEL, ROLE, MENTIONABLE, NUMBER, ATTACHMENT = 3, 4, 5, 6, 7, 8, 9, 10, 11


class UserActionError(Exception):
    """Discord's client would not let the user do this."""


@dataclass
class ResolvedData:
    """The `resolved` objects of an interaction: every object that a value refers to is added."""

    core: FakeDiscordState
    acting_user: User
    current_channel: Channel
    data: Json = field(default_factory=dict)

    def as_field(self) -> Json:
        """Return `{"resolved": …}`, or an empty dict if no object was added."""
        return {"resolved": self.data} if self.data else {}

    def user(self, user: User) -> str:
        """Add a user, and the member object if there is one."""
        self._put("users", user.id, payloads.user(user))
        guild = self.core.world.channel_guild(self.current_channel)
        if guild and user.id in guild.members:
            member = payloads.member(self.core, guild, user.id, with_user=False)
            rights = str(self.core.world.permissions(user, self.current_channel))
            self._put("members", user.id, member | {"permissions": rights})
        return str(user.id)

    def role(self, role: Role) -> str:
        """Add a role."""
        return self._put("roles", role.id, payloads.role(role))

    def channel(self, channel: Channel) -> str:
        """Add a channel."""
        out = payloads.partial_channel(self.core, channel, self.acting_user)
        return self._put("channels", channel.id, out)

    def message(self, message: Message) -> str:
        """Add the target message of a context menu; the bot reads its content without the intent."""
        return self._put("messages", message.id, payloads.message(self.core, message))

    def attachment(self, upload: UploadedFile) -> str:
        """Upload a file and add its attachment."""
        limit = max(self.acting_user.file_limit, self.core.world.file_limit(self.current_channel))
        if len(upload.data) > limit:
            raise UserActionError(f"your files are too powerful: {upload.filename} is over {limit} bytes")
        found = store_attachment(self.core, upload, self.current_channel.id, ephemeral=True)
        return self._put("attachments", found.id, payloads.attachment(self.core, found))

    def _put(self, kind: str, key: int, value: Json) -> str:
        self.data.setdefault(kind, {})[str(key)] = value
        return str(key)


def option_values(
    declared: list[Json], provided: dict[str, Any], resolved: ResolvedData, *, partial: bool = False
) -> list[Json]:
    """Return the `options` of an interaction. Raise UserActionError for values that the client rejects."""
    known = {option["name"]: option for option in declared}
    if unknown := set(provided) - set(known):
        raise UserActionError(f"no option {sorted(unknown)}, only {sorted(known)}")
    missing = [name for name, option in known.items() if option.get("required") and provided.get(name) is None]
    if missing and not partial:
        raise UserActionError(f"the options {missing} are required")
    return [
        {"name": name, "type": known[name]["type"], "value": _value(known[name], value, resolved)}
        for name, value in provided.items()
        if value is not None
    ]


def _value(option: Json, value: Any, resolved: ResolvedData) -> Any:
    name, kind = option["name"], option["type"]
    checked = _TYPES[kind](value, resolved)
    choices = option.get("choices")
    if choices:
        by_name = {choice["name"]: choice["value"] for choice in choices}
        checked = by_name.get(checked, checked)
        if checked not in by_name.values():
            raise UserActionError(f"{name}: {value!r} is not one of {sorted(by_name)}")
    _check_range(name, checked, option.get("min_value"), option.get("max_value"), "value")
    if kind == STRING:
        _check_range(name, len(checked), option.get("min_length"), option.get("max_length", 6000), "length")
    if kind == CHANNEL and option.get("channel_types") and value.type not in option["channel_types"]:
        raise UserActionError(f"{name}: a channel of type {value.type} cannot be chosen")
    return checked


def _check_range(name: str, number: Any, minimum: float | None, maximum: float | None, quantity: str) -> None:
    if (minimum is not None and number < minimum) or (maximum is not None and number > maximum):
        raise UserActionError(f"{name}: the {quantity} must be between {minimum} and {maximum}, not {number}")


def _exact_type(*kinds: type) -> Callable[[Any, ResolvedData], Any]:
    def check(value: Any, resolved: ResolvedData) -> Any:
        if type(value) not in kinds:
            raise UserActionError(f"{value!r} is not of type {' or '.join(each.__name__ for each in kinds)}")
        return value

    return check


def _add_reference(value: Any, resolved: ResolvedData, *kinds: type) -> str:
    """Return the id of an object and add the object to `resolved`."""
    if not isinstance(value, kinds):
        raise UserActionError(f"{value!r} cannot be chosen here")
    add: dict[type, Callable[[Any], str]] = {
        User: resolved.user,
        Role: resolved.role,
        Channel: resolved.channel,
        UploadedFile: resolved.attachment,
    }
    return add[type(value)](value)


def _reference_type(*kinds: type) -> Callable[[Any, ResolvedData], str]:
    return lambda value, resolved: _add_reference(value, resolved, *kinds)


_TYPES: dict[int, Callable[[Any, ResolvedData], Any]] = {
    STRING: _exact_type(str),
    INTEGER: _exact_type(int),
    BOOLEAN: _exact_type(bool),
    USER: _reference_type(User),
    CHANNEL: _reference_type(Channel),
    ROLE: _reference_type(Role),
    MENTIONABLE: _reference_type(User, Role),
    NUMBER: _exact_type(int, float),
    ATTACHMENT: _reference_type(UploadedFile),
}
_SELECTABLE = {5: (User,), 6: (Role,), 7: (User, Role), 8: (Channel,)}


def select_values(menu: Json, chosen: Sequence[Any], resolved: ResolvedData) -> list[str]:
    """Return the values of a select for the chosen labels, values or objects."""
    if menu["type"] == 3:
        by_label = {option["label"]: option["value"] for option in menu["options"]}
        values = [by_label.get(each, each) for each in chosen]
        if wrong := [each for each in values if each not in by_label.values()]:
            raise UserActionError(f"{wrong} are not among {sorted(by_label)}")
    else:
        values = [_add_reference(each, resolved, *_SELECTABLE[menu["type"]]) for each in chosen]
    minimum = 1 if menu.get("min_values") is None else menu["min_values"]
    _check_range(menu["custom_id"], len(values), minimum, menu.get("max_values") or 1, "number of choices")
    return values
