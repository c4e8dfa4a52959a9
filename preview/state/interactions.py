"""An interaction: what a person did, what the bot was told, and how it answered."""
# ruff: noqa: ASYNC109 (a wait in a test names its own limit)

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
RESPONSE_TIMEOUT_S = 3.0
TOKEN_LIFETIME_S = 15 * 60.0
MAX_USER_INSTALL_FOLLOWUPS = 5


@dataclass
class InteractionResponse:
    """The bot's first answer: the callback's type, its data, and the seconds it took."""

    type: int
    data: Json
    seconds: float
    ephemeral: bool = False


@dataclass(eq=False)
class Interaction:
    """One interaction and everything that came of it; the `await`able methods are for tests."""

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
    owners: Json = field(default_factory=dict)
    context: int = 0
    file_limit: int = 0
    forced_ephemeral: bool = False
    target: Message | None = None
    parent: Interaction | None = None
    answer: InteractionResponse | None = None
    failed: bool = False
    original: Message | None = None
    followups: list[Message] = field(default_factory=list)
    followups_sent: int = 0

    # --- what a test asks

    async def response(self, timeout: float = 5.0) -> InteractionResponse:
        """Wait for the first answer; raise InteractionFailed if the bot let 3 seconds pass."""

        def check() -> InteractionResponse | None:
            if self.answer is None and self.failed:
                raise InteractionFailed(self)
            return self.answer

        return await self._wait_until(check, timeout, "an answer")

    async def message(self, timeout: float = 10.0) -> Message:
        """Wait for the message of the first answer, beyond "is thinking…"."""

        def check() -> Message | None:
            return self.original if self.original and not self.original.loading else None

        answer = await self.response(timeout)
        if answer.type in (CHOICES, MODAL):
            raise AssertionError(f"{self!s} was answered with type {answer.type}, not with a message")
        return await self._wait_until(check, timeout, "a message")

    async def followup(self, index: int = 0, timeout: float = 10.0) -> Message:
        """Wait for a followup, the first being number 0."""

        def check() -> Message | None:
            return self.followups[index] if len(self.followups) > index else None

        return await self._wait_until(check, timeout, f"followup {index}")

    async def wait_for(self, predicate: Callable[[Message], object], timeout: float = 10.0) -> Message:
        """Wait until the first answer or a followup satisfies `test`."""

        def check() -> Message | None:
            posted = [self.original, *self.followups]
            return next((each for each in posted if each and not each.deleted and predicate(each)), None)

        return await self._wait_until(check, timeout, "a certain message")

    async def modal(self, timeout: float = 5.0) -> Json:
        """Wait for the form that the bot answers with."""
        answer = await self.response(timeout)
        if answer.type != MODAL:
            raise AssertionError(f"{self!s} was answered with type {answer.type}, not with a modal")
        return answer.data

    async def _wait_until(self, check: Callable[[], T | None], timeout: float, description: str) -> T:
        def predicate(event: StateEvent) -> bool:
            return event.channel_id == self.channel.id and event.interaction_id in (None, self.id)

        return await self.event_bus.wait_until(check, timeout, f"{description} in answer to {self!s}", predicate)

    @property
    def messages(self) -> list[Message]:
        """Return what the bot posted in answer and still exists."""
        return [each for each in (self.original, *self.followups) if each and not each.deleted]

    def __str__(self) -> str:
        return f"{self.name or self.data.get('custom_id')} by {self.user.name}"

    # --- surviving a restart

    def to_json(self) -> Json:
        """Write down what a later run needs in order to accept the token."""
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
        """Read what `stored` wrote."""
        fields, known = dict(stored), world.messages
        fields |= {"user": world.users[fields["user"]], "channel": world.channels[fields["channel"]]}
        fields |= {name: known.get(fields[name]) for name in ("target", "original")}
        fields["followups"] = [known[each] for each in fields["followups"] if each in known]
        fields["answer"] = InteractionResponse(**fields["answer"]) if fields["answer"] else None
        return cls(world, event_bus, **fields)

    # --- what Discord keeps track of

    @property
    def age(self) -> float:
        """Return the seconds since the person acted."""
        return self.world.clock.time() - self.created_at

    @property
    def is_user_install_only(self) -> bool:
        """Tell whether only the person, not the guild, installed the application."""
        return "0" not in self.owners

    @property
    def from_message(self) -> bool:
        """Tell whether the interaction began at a message's component, so that the message can be updated."""
        return self.target is not None and (self.type == COMPONENT or self.type == MODAL_SUBMIT)


class InteractionFailed(AssertionError):
    """The person would read "The application did not respond"."""

    def __init__(self, interaction: Interaction) -> None:
        super().__init__(f"The application did not respond to {interaction!s} within {RESPONSE_TIMEOUT_S:.0f} s")
        self.interaction = interaction
