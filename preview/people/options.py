"""What a person puts into a command's options and into selects, checked as Discord's client does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from preview.api.compose import store
from preview.state import payloads
from preview.state.core import Core
from preview.state.files import Upload
from preview.state.world import Channel, Json, Message, Role, User

STRING, INTEGER, BOOLEAN, USER, CHANNEL, ROLE, MENTIONABLE, NUMBER, ATTACHMENT = 3, 4, 5, 6, 7, 8, 9, 10, 11


class PersonError(Exception):
    """Discord's client would not let the person do this."""


@dataclass
class Resolved:
    """The `resolved` objects of an interaction, filled as values refer to them."""

    core: Core
    user_acting: User
    place: Channel
    data: Json = field(default_factory=dict)

    def key(self) -> Json:
        """Return `{"resolved": …}`, or nothing if nothing was referred to."""
        return {"resolved": self.data} if self.data else {}

    def user(self, user: User) -> str:
        """Add a user, with the member object where there is one."""
        self._put("users", user.id, payloads.user(user))
        guild = self.core.world.guild_of(self.place)
        if guild and user.id in guild.members:
            member = payloads.member(self.core, guild, user.id, with_user=False)
            rights = str(self.core.world.permissions(user, self.place))
            self._put("members", user.id, member | {"permissions": rights})
        return str(user.id)

    def role(self, role: Role) -> str:
        """Add a role."""
        return self._put("roles", role.id, payloads.role(role))

    def channel(self, channel: Channel) -> str:
        """Add a channel."""
        out = payloads.partial_channel(self.core, channel, self.user_acting)
        return self._put("channels", channel.id, out)

    def message(self, message: Message) -> str:
        """Add the message whose menu was opened; its content is readable without the privileged intent."""
        return self._put("messages", message.id, payloads.message(self.core, message))

    def attachment(self, upload: Upload) -> str:
        """Upload a file and add it."""
        limit = max(self.user_acting.file_limit, self.core.world.file_limit(self.place))
        if len(upload.data) > limit:
            raise PersonError(f"your files are too powerful: {upload.filename} is over {limit} bytes")
        found = store(self.core, upload, self.place.id, ephemeral=True)
        return self._put("attachments", found.id, payloads.attachment(self.core, found))

    def _put(self, kind: str, key: int, value: Json) -> str:
        self.data.setdefault(kind, {})[str(key)] = value
        return str(key)


def values(declared: list[Json], given: dict[str, Any], resolved: Resolved, *, partial: bool = False) -> list[Json]:
    """Return the `options` of an interaction; raise PersonError for what the client refuses."""
    known = {option["name"]: option for option in declared}
    if unknown := set(given) - set(known):
        raise PersonError(f"no option {sorted(unknown)}, only {sorted(known)}")
    missing = [name for name, option in known.items() if option.get("required") and given.get(name) is None]
    if missing and not partial:
        raise PersonError(f"the options {missing} are required")
    return [
        {"name": name, "type": known[name]["type"], "value": _value(known[name], value, resolved)}
        for name, value in given.items()
        if value is not None
    ]


def _value(option: Json, value: Any, resolved: Resolved) -> Any:
    name, kind = option["name"], option["type"]
    checked = _TYPES[kind](value, resolved)
    choices = option.get("choices")
    if choices:
        by_name = {choice["name"]: choice["value"] for choice in choices}
        checked = by_name.get(checked, checked)
        if checked not in by_name.values():
            raise PersonError(f"{name}: {value!r} is not one of {sorted(by_name)}")
    _within(name, checked, option.get("min_value"), option.get("max_value"), "value")
    if kind == STRING:
        _within(name, len(checked), option.get("min_length"), option.get("max_length", 6000), "length")
    if kind == CHANNEL and option.get("channel_types") and value.type not in option["channel_types"]:
        raise PersonError(f"{name}: a channel of type {value.type} cannot be chosen")
    return checked


def _within(name: str, number: Any, least: float | None, most: float | None, what: str) -> None:
    if (least is not None and number < least) or (most is not None and number > most):
        raise PersonError(f"{name}: the {what} must be between {least} and {most}, not {number}")


def _exactly(*kinds: type) -> Callable[[Any, Resolved], Any]:
    def check(value: Any, resolved: Resolved) -> Any:
        if type(value) not in kinds:
            raise PersonError(f"{value!r} is not of type {' or '.join(each.__name__ for each in kinds)}")
        return value

    return check


def _refer(value: Any, resolved: Resolved, *kinds: type) -> str:
    """Turn an object into its id, adding it to what is resolved."""
    if not isinstance(value, kinds):
        raise PersonError(f"{value!r} cannot be chosen here")
    add: dict[type, Callable[[Any], str]] = {
        User: resolved.user,
        Role: resolved.role,
        Channel: resolved.channel,
        Upload: resolved.attachment,
    }
    return add[type(value)](value)


def _reference(*kinds: type) -> Callable[[Any, Resolved], str]:
    return lambda value, resolved: _refer(value, resolved, *kinds)


_TYPES: dict[int, Callable[[Any, Resolved], Any]] = {
    STRING: _exactly(str),
    INTEGER: _exactly(int),
    BOOLEAN: _exactly(bool),
    USER: _reference(User),
    CHANNEL: _reference(Channel),
    ROLE: _reference(Role),
    MENTIONABLE: _reference(User, Role),
    NUMBER: _exactly(int, float),
    ATTACHMENT: _reference(Upload),
}
_SELECTABLE = {5: (User,), 6: (Role,), 7: (User, Role), 8: (Channel,)}


def selected(menu: Json, chosen: Sequence[Any], resolved: Resolved) -> list[str]:
    """Return the values of a select for the chosen labels, values or objects."""
    if menu["type"] == 3:
        by_label = {option["label"]: option["value"] for option in menu["options"]}
        values = [by_label.get(each, each) for each in chosen]
        if wrong := [each for each in values if each not in by_label.values()]:
            raise PersonError(f"{wrong} are not among {sorted(by_label)}")
    else:
        values = [_refer(each, resolved, *_SELECTABLE[menu["type"]]) for each in chosen]
    least = 1 if menu.get("min_values") is None else menu["min_values"]
    _within(menu["custom_id"], len(values), least, menu.get("max_values") or 1, "number of choices")
    return values
