"""Waits for the state of the fake Discord, without polling."""
# ruff: noqa: ASYNC109 (each wait in a test has its own timeout)

from __future__ import annotations

from collections.abc import Callable

from preview.api.gateway import Gateway
from preview.state.core import FakeDiscordState
from preview.state.event_bus import StateEvent
from preview.state.world import Channel, Message, World


class WaitHelpers:
    """The `wait_…` methods of the fake Discord."""

    core: FakeDiscordState
    gateway: Gateway
    world: World

    async def wait_for(
        self,
        channel: Channel,
        predicate: Callable[[Message], object],
        timeout: float | None = None,
        description: str = "a message",
    ) -> Message:
        """Wait until a message of a channel satisfies `predicate`, and return it."""

        changed: list[Message] = self.world.channel_messages(channel)

        def accepts(event: StateEvent) -> bool:
            if event.channel_id == channel.id and event.message and not event.message.deleted:
                changed.append(event.message)
                return True
            return False

        def check() -> Message | None:
            found = next((each for each in changed if predicate(each)), None)
            changed.clear()
            return found

        return await self.core.event_bus.wait_until(check, timeout, f"{description} in #{channel.name}", accepts)

    async def wait_until(
        self, predicate: Callable[[], object], timeout: float | None = None, description: str = "a change"
    ) -> None:
        """Wait until `predicate()` is true.

        It is called after every event of the fake Discord, so it must depend on the fake Discord's state.
        """
        await self.core.event_bus.wait_until(lambda: bool(predicate()) or None, timeout, description)

    async def wait_commands(self, timeout: float | None = None) -> None:
        """Wait until the bot has registered commands."""
        await self.wait_until(lambda: self.world.commands, timeout, "commands")

    async def wait_connected(self, timeout: float | None = None) -> None:
        """Wait until the bot is connected to the gateway."""
        await self.gateway.wait_connected(timeout)
