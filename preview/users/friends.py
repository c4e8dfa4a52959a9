"""Simulated friends: the other users, who press buttons for somebody who tries the bot alone."""

from __future__ import annotations

import random
from contextlib import suppress

from preview.state.core import FakeDiscordState
from preview.state.interactions import InteractionFailed
from preview.state.world import Json, Message, User
from preview.users.options import UserActionError
from preview.users.simulated_user import SimulatedUser
from preview.validation.components import LINK, PREMIUM

DANGER = 4
_UNPRESSED_STYLES = (LINK, PREMIUM, DANGER)


def friends_of(core: FakeDiscordState, user: User, message: Message) -> list[SimulatedUser]:
    """Return the other people who see a message, by name."""
    others = [each for each in core.world.users.values() if not each.bot and each is not user]
    seeing = [each for each in others if core.world.can_see(each, message)]
    return [SimulatedUser(core, each) for each in sorted(seeing, key=lambda each: each.name)]


def enabled_buttons(message: Message) -> list[Json]:
    """Return the buttons that friends may press at random: not the disabled ones, links and dangerous ones."""
    return [each for each in message.buttons if not each.get("disabled") and each["style"] not in _UNPRESSED_STYLES]


async def press_at_random(group: list[SimulatedUser], message: Message, seed: int | None = None) -> list[Json]:
    """Let each friend press one of the enabled buttons, one after the other; return who pressed which.

    Raise UserActionError if nobody can press anything.
    """
    chance = random.Random(seed)
    pressed: list[Json] = []
    for friend in group:
        # A press may change the message at once, such as a vote that ends.
        if buttons := enabled_buttons(message):
            button = chance.choice(buttons)
            used = await friend.press(message, custom_id=button["custom_id"])
            with suppress(InteractionFailed, TimeoutError):
                await used.response()
            pressed.append({"person": friend.user.name, "custom_id": button["custom_id"]})
    if not pressed:
        raise UserActionError("nobody else is here" if not group else "no button here can be pressed")
    return pressed
