"""Interactions: what a user did, and how the bot responded."""
# ruff: noqa: ASYNC109 (each wait in a test has its own timeout)

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TypeVar

from preview.state.event_bus import EventBus, StateEvent
from preview.state.world import Channel, Json, Message, User, World

T = TypeVar("T")
COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
MESSAGE, DEFERRED, DEFERRED_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9
RESPONSE_TIMEOUT_S = 3.0  # Discord's
TOKEN_LIFETIME_S = 15 * 60.0
MAX_USER_INSTALL_FOLLOWUPS = 5


@dataclass
class InteractionResponse:
    """The bot's response: the callback's type, its data, and the seconds until it came."""

    type: int
    data: Json
    seconds: float
    ephemeral: bool = False


@dataclass(eq=False)
class Interaction:
    """One interaction with the bot's response and messages. The async methods are for tests."""

    world: World
    event_bus: EventBus
    id: int
    type: int
    user: User
    channel: Channel
    data: Json
    created_at: float
    token: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)
    name: str = ""
    owners: Json = field(default_factory=dict)  # Discord's authorizing_integration_owners; stored as `owners`
    context: int = 0
    file_limit: int = 0
    forced_ephemeral: bool = False
    target: Message | None = None
    parent: Interaction | None = None
    answer: InteractionResponse | None = None  # the response; stored as `answer`
    failed: bool = False
    original: Message | None = None
    followups: list[Message] = field(default_factory=list)
    followups_sent: int = 0

    # --- waits for tests

    async def response(self, timeout: float | None = None) -> InteractionResponse:
        """Wait for the bot's response. Raise InteractionFailed if it is too late for one."""

        def check() -> InteractionResponse | None:
            if self.answer is None and self.failed:
                raise InteractionFailed(self)
            return self.answer

        return await self._wait_until(check, timeout, "a response")

    async def message(self, timeout: float | None = None) -> Message:
        """Wait for the message of the response; "is thinking…" does not count."""

        def check() -> Message | None:
            return self.original if self.original and not self.original.loading else None

        response = await self.response(timeout)
        if response.type in (CHOICES, MODAL):
            raise AssertionError(f"the response to {self!s} has type {response.type}, not a message")
        return await self._wait_until(check, timeout, "a message")

    async def followup(self, index: int = 0, timeout: float | None = None) -> Message:
        """Wait for a followup; the first has index 0."""

        def check() -> Message | None:
            return self.followups[index] if len(self.followups) > index else None

        return await self._wait_until(check, timeout, f"followup {index}")

    async def wait_for(self, predicate: Callable[[Message], object], timeout: float | None = None) -> Message:
        """Wait until the response or a followup satisfies `predicate`, and return that message."""

        def check() -> Message | None:
            posted = [self.original, *self.followups]
            return next((each for each in posted if each and not each.deleted and predicate(each)), None)

        return await self._wait_until(check, timeout, "a matching message")

    async def modal(self, timeout: float | None = None) -> Json:
        """Wait for the modal that the bot responds with."""
        response = await self.response(timeout)
        if response.type != MODAL:
            raise AssertionError(f"the response to {self!s} has type {response.type}, not a modal")
        return response.data

    async def _wait_until(self, check: Callable[[], T | None], timeout: float | None, description: str) -> T:
        def predicate(event: StateEvent) -> bool:
            return event.channel_id == self.channel.id and event.interaction_id in (None, self.id)

        return await self.event_bus.wait_until(check, timeout, f"{description} to {self!s}", predicate)

    @property
    def messages(self) -> list[Message]:
        """Return the response and the followups that still exist."""
        return [each for each in (self.original, *self.followups) if each and not each.deleted]

    def __str__(self) -> str:
        return f"{self.name or self.data.get('custom_id')} by {self.user.name}"

    # --- persistence

    def to_json(self) -> Json:
        """Return as JSON what a later run needs in order to accept the token."""
        plain_fields = (
            "id",
            "type",
            "data",
            "created_at",
            "token",
            "name",
            "owners",
            "context",
            "file_limit",
            "failed",
        )
        out: Json = {name: getattr(self, name) for name in (*plain_fields, "forced_ephemeral", "followups_sent")}
        out |= {"user": self.user.id, "channel": self.channel.id, "target": self.target and self.target.id}
        out |= {"original": self.original and self.original.id, "followups": [each.id for each in self.followups]}
        return out | {"answer": self.answer and asdict(self.answer)}

    @classmethod
    def from_json(cls, world: World, event_bus: EventBus, stored: Json) -> Interaction:
        """Build an interaction from what `to_json` returned."""
        fields, known = dict(stored), world.messages
        fields |= {"user": world.users[fields["user"]], "channel": world.channels[fields["channel"]]}
        fields |= {name: known.get(fields[name]) for name in ("target", "original")}
        fields["followups"] = [known[each] for each in fields["followups"] if each in known]
        fields["answer"] = InteractionResponse(**fields["answer"]) if fields["answer"] else None
        return cls(world, event_bus, **fields)

    # --- state that Discord tracks

    @property
    def age(self) -> float:
        """Return the seconds since the user acted."""
        return self.world.clock.time() - self.created_at

    @property
    def is_user_install_only(self) -> bool:
        """Return whether only the user, not the guild, installed the application."""
        return "0" not in self.owners

    @property
    def from_message(self) -> bool:
        """Return whether the interaction began at a message's component, so that the message can be updated."""
        return self.target is not None and (self.type == COMPONENT or self.type == MODAL_SUBMIT)


class InteractionFailed(AssertionError):
    """The user would read "The application did not respond"."""

    def __init__(self, interaction: Interaction) -> None:
        super().__init__(f"The application did not respond to {interaction!s}")
        self.interaction = interaction
