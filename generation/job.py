"""A job and its parts: plain values that survive a restart."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum

from generation.params import Params, Tile


class Action(StrEnum):
    """The command or button that created the job."""

    IMAGINE = "imagine"
    BLEND = "blend"
    REROLL = "reroll"
    PICK = "pick"
    UPSCALE_SUBTLE = "upscale"
    UPSCALE_CREATIVE = "upscale_creative"
    UPSCALE_CREATIVE_4 = "upscale_creative_4"
    VARY_SUBTLE = "vary_subtle"
    VARY_STRONG = "vary_strong"
    VARY_REGION = "vary_region"
    ZOOM_2 = "zoom_2"
    ZOOM_1_5 = "zoom_1_5"
    ZOOM_CUSTOM = "zoom_custom"
    PAN_LEFT = "pan_left"
    PAN_RIGHT = "pan_right"
    PAN_UP = "pan_up"
    PAN_DOWN = "pan_down"
    MAKE_SQUARE = "make_square"
    REMIX_SUBTLE = "remix_subtle"
    REMIX_STRONG = "remix_strong"
    ZOOM_FILM = "zoom_film"
    SHORTEN = "shorten"
    DESCRIBE = "describe"
    WALK = "walk"
    EDIT_WORDS = "edit_words"
    CLEAN_UP = "clean_up"
    COLOUR = "colour"
    EDIT = "edit"


class Speed(StrEnum):
    """The priority of a job: turbo before fast, fast before relaxed."""

    TURBO = "turbo"
    FAST = "fast"
    RELAX = "relax"


@dataclass(frozen=True, slots=True)
class Requester:
    """The user who requested the job and owns it."""

    id: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where to post the result: ids only, so that they can be stored and used after a restart.

    `token` is the interaction's, valid until `token_expires_at` (Unix seconds). `by_channel` says whether the bot may
    also post in the channel itself, which works after the token expires. `upload_limit` is in bytes. `private` messages
    are visible to the requester alone, and can be edited only while the token is valid. `post_in` is the thread or
    gallery that the server's settings choose for the result, once that is known.
    """

    guild_id: int | None
    channel_id: int
    by_channel: bool
    token: str
    token_expires_at: float
    upload_limit: int
    reply_to: int | None = None
    private: bool = False
    post_in: int | None = None

    @property
    def has_interaction(self) -> bool:
        """Return whether a command or button made the job. Without one, its messages go to its own channel only."""
        return bool(self.token)

    @property
    def is_held(self) -> bool:
        """Return whether a session keeps the result to itself: private, but not an interaction's answer."""
        return self.private and not self.has_interaction

    @property
    def result_channel_id(self) -> int:
        """Return the channel where the result is, or will be, posted."""
        return self.channel_id if self.post_in is None else self.post_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job: its action and params, its requester, its destination, and the tile that it started from.

    `locale` is the language of its messages, "" if unknown.
    """

    id: str
    action: Action
    params: Params
    requester: Requester
    destination: Destination
    parent: Tile | None
    asked_at: float
    speed: Speed = Speed.FAST
    locale: str = ""

    @property
    def is_taken_out(self) -> bool:
        """Return whether its picture is a tile of another job. One that was put together from pieces is its own."""
        return self.action is Action.PICK and self.parent is not None


def new_job_id() -> str:
    """Return a new id: 12 hex digits, which fit a custom_id, a nonce and a file name."""
    return secrets.token_hex(6)
