"""A server's settings: plain values with defaults, validated when they are loaded and when they are set."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bot.ui.i18n import tr
from generation.errors import UserError


class ResultPlacement(StrEnum):
    """Where results are posted."""

    HERE = "here"
    THREAD_OF_PERSON = "thread_of_person"
    THREAD_OF_JOB = "thread_of_job"
    GALLERY = "gallery"


class ThemeBy(StrEnum):
    """Who names the theme of a contest. The values are stored and never change."""

    WINNER = "winner"
    OWNERS = "owners"
    ROOM = "room"


class NsfwMode(StrEnum):
    """What happens to an image that the classifier flags, outside age-restricted channels."""

    SPOILER = "spoiler"
    WITHHOLD = "withhold"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleLimits:
    """The limits of a role's members; None leaves a limit to their other roles and to the bot operator.

    `running` and `waiting` count jobs. `jobs_a_day` and `gpu_seconds_a_day` cover the last 24 hours. `cooldown` is in
    seconds from one request to the next, `longest_side` in pixels.
    """

    running: int | None = None
    waiting: int | None = None
    jobs_a_day: int | None = None
    gpu_seconds_a_day: int | None = None
    cooldown: int | None = None
    longest_side: int | None = None
    steps: int | None = None


# The accepted minimum and maximum of each limit.
LIMIT_RANGES: Mapping[str, tuple[int, int]] = {
    "running": (1, 1000),
    "waiting": (1, 1000),
    "jobs_a_day": (0, 1_000_000),
    "gpu_seconds_a_day": (0, 86_400),
    "cooldown": (0, 86_400),
    "longest_side": (64, 16_384),
    "steps": (1, 1000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GuildSettings:
    """Everything a server's owners decide.

    `defaults` are parameters as typed; a person's own parameters override them. Empty `models` and `channels` allow
    all. `channels` may contain categories and includes the threads inside. The `…_roles` are the roles that may use a
    feature; empty allows everybody. `bounds` maps a role to its limits; the guild's own id stands for @everyone.
    `retention_days` of 0 uses the bot operator's setting.

    For pictures made together: `host_roles` may start a session, which needs no role if it is empty; an account must be
    `min_account_days` old and its member here for `min_member_hours`; a channel has at most `sessions_at_once`
    sessions, and none if it is among the `quiet_channels`, which may contain categories. One session may draw at most
    `session_cost` grids in the name of its host. `canvases` and `telephones` say whether there may be any.

    Contests take place in `contest_channel`, one each `contest_days`, of which `contest_vote_days` are for voting.
    `contest_role` is pinged when entries and the vote begin; `contest_themes` are the owners' themes, in turn. With
    `contest_event` each vote is a scheduled event of the server.

    The web gallery has no `gallery_pages` of a server that wants none; it leaves out the `gallery_hidden` channels, and
    names people only with `gallery_names`.
    """

    defaults: str = ""
    models: tuple[str, ...] = ()
    channels: tuple[int, ...] = ()
    delivery: ResultPlacement = ResultPlacement.HERE
    gallery: int | None = None
    fast_roles: tuple[int, ...] = ()
    upscale_roles: tuple[int, ...] = ()
    repeat_roles: tuple[int, ...] = ()
    permutation_roles: tuple[int, ...] = ()
    bounds: Mapping[int, RoleLimits] = field(default_factory=dict)
    permutations: int = 10
    stealth: bool = True
    retention_days: int = 0
    log_channel: int | None = None
    sensitive: NsfwMode = NsfwMode.SPOILER
    language: str = ""
    host_roles: tuple[int, ...] = ()
    min_account_days: int = 7
    min_member_hours: int = 24
    sessions_at_once: int = 2
    quiet_channels: tuple[int, ...] = ()
    session_cost: int = 12
    canvases: bool = True
    telephones: bool = True
    contest_channel: int | None = None
    contest_days: int = 7
    contest_vote_days: int = 2
    contest_theme_by: ThemeBy = ThemeBy.WINNER
    contest_role: int | None = None
    contest_themes: tuple[str, ...] = ()
    contest_event: bool = False
    gallery_pages: bool = True
    gallery_hidden: tuple[int, ...] = ()
    gallery_names: bool = True

    def allows(self, model: str) -> bool:
        """Return whether the model called `model` is allowed here."""
        return not self.models or model in self.models

    def limits_for(self, guild_id: int, role_ids: Iterable[int]) -> RoleLimits:
        """Return the limits of a person with these roles: the most generous value of each limit."""
        role_limits = [self.bounds[role] for role in {guild_id, *role_ids} if role in self.bounds]
        return RoleLimits(**{name: _most_generous(name, role_limits) for name in LIMIT_RANGES})


def _most_generous(name: str, role_limits: list[RoleLimits]) -> int | None:
    given: list[int] = [value for each in role_limits if (value := getattr(each, name)) is not None]
    if not given:
        return None
    return min(given) if name == "cooldown" else max(given)


LIST_FIELDS = (
    "models",
    "channels",
    "fast_roles",
    "upscale_roles",
    "repeat_roles",
    "permutation_roles",
    "host_roles",
    "quiet_channels",
    "contest_themes",
    "gallery_hidden",
)


def to_dict(settings: GuildSettings) -> dict[str, Any]:
    """Return the settings that differ from the defaults, as plain values for JSON."""
    values = dataclasses.asdict(settings)
    values["bounds"] = {
        str(role): {name: limit for name, limit in each.items() if limit is not None}
        for role, each in values["bounds"].items()
    }
    plain = dataclasses.asdict(GuildSettings())
    return {name: value for name, value in values.items() if value != plain[name]}


def from_dict(values: Mapping[str, Any]) -> GuildSettings:
    """Load settings that `to_dict` wrote; unknown settings are ignored and missing ones get their default."""
    known = {name: value for name, value in values.items() if name in GuildSettings.__dataclass_fields__}
    for name in LIST_FIELDS:
        known[name] = tuple(known.get(name, ()))
    known["bounds"] = {int(role): _role_limits(each) for role, each in known.get("bounds", {}).items()}
    known["delivery"] = ResultPlacement(known.get("delivery", ResultPlacement.HERE))
    known["sensitive"] = NsfwMode(known.get("sensitive", NsfwMode.SPOILER))
    known["contest_theme_by"] = ThemeBy(known.get("contest_theme_by", ThemeBy.WINNER))
    return GuildSettings(**known)


def _role_limits(values: Mapping[str, int]) -> RoleLimits:
    return RoleLimits(**{name: value for name, value in values.items() if name in LIMIT_RANGES})


def check_limit(name: str, value: int) -> int:
    """Return `value` if it is in the range of the limit `name`; raises UserError naming the range."""
    minimum, maximum = LIMIT_RANGES[name]
    if not minimum <= value <= maximum:
        raise UserError(
            tr(
                "`{option}` must be from {low:,} to {high:,}, not {value:,}.",
                option=name.replace("_", " "),
                low=minimum,
                high=maximum,
                value=value,
            )
        )
    return value
