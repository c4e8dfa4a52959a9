"""One request: plain values that survive a restart."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum

from generation.params import Params, Tile


class Action(StrEnum):
    """What the person did to get this job."""

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


class Speed(StrEnum):
    """How urgent a job is: turbo and fast ones go before relaxed ones."""

    TURBO = "turbo"
    FAST = "fast"
    RELAX = "relax"


@dataclass(frozen=True, slots=True)
class Requester:
    """The person who asked and now owns the job."""

    id: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where to answer: ids only, so that it can be kept and used after a restart.

    `token` is the interaction's, valid until `token_expires_at` (Unix seconds). `by_channel` says whether the bot may
    also use the channel itself, which outlives the token. `upload_limit` is in bytes. `private` answers are seen by the
    person who asked alone, and live no longer than the token. `post_in` is the thread or gallery where the owners want
    the result, once that is settled.
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
    def result_channel_id(self) -> int:
        """Give the channel where the result is, or will be."""
        return self.channel_id if self.post_in is None else self.post_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request: what is to be drawn, who asked, where to answer, and what it descends from."""

    id: str
    action: Action
    params: Params
    requester: Requester
    destination: Destination
    parent: Tile | None
    asked_at: float
    speed: Speed = Speed.FAST


def new_job_id() -> str:
    """Give a fresh id: 12 hex digits, which fit a custom_id, a nonce and a file name."""
    return secrets.token_hex(6)
