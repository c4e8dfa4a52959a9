"""Friends who paint a canvas beside somebody who tries the bot alone: each goes from the button to a placed piece."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

from preview.state.interactions import Interaction, InteractionFailed
from preview.state.world import Json, Message, walk_components
from preview.users.options import UserActionError
from preview.users.simulated_user import SimulatedUser
from preview.validation.components import STRING_SELECT

PAINT, TAKE = "canvas:paint:", "canvas:take:"  # how the custom_ids of the bot's buttons begin
WORDS = "words"  # the field of its form
SEEN = (
    "a red boat",
    "a lighthouse",
    "a house with a red roof",
    "a tree",
    "a full moon",
    "a castle on a hill",
    "a fish",
    "a cat",
    "flowers",
    "mountains in the snow",
)
ATTEMPTS, PAUSE_S = 30, 2.0  # while others paint everywhere
DRAWING_TIMEOUT_S = 600.0

_painting: set[asyncio.Task[None]] = set()


def paint_button(message: Message) -> str | None:
    """Return the custom_id of the button that begins a piece, if a message is one of a canvas."""
    ids = [str(part.get("custom_id", "")) for part in walk_components(message.components)]
    return next((custom_id for custom_id in ids if custom_id.startswith(PAINT)), None)


def begin(group: list[SimulatedUser], message: Message, seed: int | None = None) -> list[Json]:
    """Let each friend paint a piece, one after the other; return who paints. That goes on by itself."""
    custom_id = paint_button(message)
    if custom_id is None or not group:
        raise UserActionError("nobody else is here" if not group else "there is nothing to paint")
    task = asyncio.create_task(_paint_all(group, message, random.Random(seed)))
    _painting.add(task)
    task.add_done_callback(_painting.discard)
    return [{"person": friend.user.name, "custom_id": custom_id} for friend in group]


async def _paint_all(group: list[SimulatedUser], message: Message, chance: random.Random) -> None:
    for friend in group:
        with suppress(InteractionFailed, TimeoutError, UserActionError, AssertionError):
            await paint(friend, message, chance)


async def paint(friend: SimulatedUser, message: Message, chance: random.Random) -> None:
    """Let a friend choose a place, say what is there, and place one of the pictures."""
    for _ in range(ATTEMPTS):
        custom_id = paint_button(message)
        if message.deleted or custom_id is None:
            return
        shown = await (await friend.press(message, custom_id=custom_id)).message()
        if select := _select(shown):
            await _place(friend, await _ask(friend, shown, select, chance), chance)
            return
        await asyncio.sleep(PAUSE_S)


def _select(message: Message) -> Json | None:
    return next((part for part in walk_components(message.components) if part["type"] == STRING_SELECT), None)


async def _ask(friend: SimulatedUser, shown: Message, select: Json, chance: random.Random) -> Interaction:
    place = chance.choice(select["options"])["value"]
    form = await friend.select(shown, place, custom_id=select["custom_id"])
    return await friend.submit_modal(form, {WORDS: chance.choice(SEEN)})


async def _place(friend: SimulatedUser, asked: Interaction, chance: random.Random) -> None:
    shown = await asked.wait_for(_takes, timeout=DRAWING_TIMEOUT_S)
    await (await friend.press(shown, custom_id=chance.choice(_takes(shown)))).response()


def _takes(message: Message) -> list[str]:
    ids = [str(part.get("custom_id", "")) for part in walk_components(message.components)]
    return [custom_id for custom_id in ids if custom_id.startswith(TAKE)]
