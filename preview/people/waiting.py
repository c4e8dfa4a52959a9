"""Waiting for what a channel shows, without polling."""
# ruff: noqa: ASYNC109 (a wait in a test names its own limit)

from __future__ import annotations

from collections.abc import Callable

from preview.state.core import Core
from preview.state.feed import Event
from preview.state.world import Channel, Message, World


class Waiting:
    """The waiting methods of the stand-in."""

    core: Core
    world: World

    async def wait_for(
        self, channel: Channel, test: Callable[[Message], object], timeout: float = 10.0, what: str = "a message"
    ) -> Message:
        """Wait until a message of a channel satisfies `test`, and return it."""

        changed: list[Message] = self.world.messages_in(channel)

        def cares(event: Event) -> bool:
            if event.channel_id == channel.id and event.message and not event.message.deleted:
                changed.append(event.message)
                return True
            return False

        def look() -> Message | None:
            found = next((each for each in changed if test(each)), None)
            changed.clear()
            return found

        return await self.core.feed.until(look, timeout, f"{what} in #{channel.name}", cares)

    async def wait_until(self, test: Callable[[], object], timeout: float = 10.0, what: str = "a change") -> None:
        """Wait until `test()` is true; it is asked after every event of the stand-in, so it must be about its state."""
        await self.core.feed.until(lambda: bool(test()) or None, timeout, what)

    async def wait_commands(self, timeout: float = 10.0) -> None:
        """Wait until the bot has registered commands."""
        await self.wait_until(lambda: self.world.commands, timeout, "commands")

    async def wait_connected(self, timeout: float = 10.0) -> None:
        """Wait until the bot listens on the gateway."""
        await self.core.gateway.wait_connected(timeout)
