"""Simulated friends: the other users, who press and choose for somebody who tries the bot alone."""

from __future__ import annotations

import random
from contextlib import suppress

from preview.state.core import FakeDiscordState
from preview.state.interactions import MODAL, Interaction, InteractionFailed
from preview.state.world import Json, Message, User, walk_components
from preview.users.options import UserActionError
from preview.users.simulated_user import SimulatedUser
from preview.validation.components import LINK, PREMIUM, STRING_SELECT

MAX_FOLLOWED = 6  # presses in private messages, after the one that opened the first of them
BUTTON = 2
DANGER = 4
TEXT_INPUT = 4
PHRASES = (  # what friends type into a form
    "a red boat on the sea",
    "a castle on a hill at night",
    "a cat in a garden",
    "a lighthouse in the snow",
    "a blue fish under the moon",
    "a house by a river",
)


def friends_of(core: FakeDiscordState, user: User, message: Message) -> list[SimulatedUser]:
    """Return the other people who see a message, by name."""
    others = [each for each in core.world.users.values() if not each.bot and each is not user]
    seeing = [each for each in others if core.world.can_see(each, message)]
    return [SimulatedUser(core, each) for each in sorted(seeing, key=lambda each: each.name)]


def usable_components(message: Message) -> list[Json]:
    """Return the buttons and selects that friends may use at random: none that is disabled, a link or dangerous."""
    enabled = [each for each in walk_components(message.components) if not each.get("disabled")]
    buttons = [each for each in enabled if each["type"] == BUTTON and each["style"] not in (LINK, PREMIUM, DANGER)]
    return buttons + [each for each in enabled if each["type"] == STRING_SELECT]


async def follow(friend: SimulatedUser, interaction: Interaction, chance: random.Random) -> int:
    """Let a friend answer in the private message that a press has led to; return the presses.

    A friend goes on while the same is asked about something else, as in a vote by steps, and fills in a form to which
    that leads.
    """
    asked: list[str] = []
    answered: set[str] = set()
    for number in range(MAX_FOLLOWED):
        await interaction.response()
        if asked and await fill_in(friend, interaction, chance):
            return number
        usable = _private_components(interaction)
        ids, labels = {each["custom_id"] for each in usable}, [_label(each) for each in usable]
        if not usable or ids & answered or (asked and labels != asked):
            return number
        asked, answered = labels, answered | ids
        component, message = chance.choice(usable), interaction.original
        assert message is not None, "it has components"
        interaction = await use(friend, message, component["custom_id"], _random_values(component, chance))
    return MAX_FOLLOWED


async def fill_in(friend: SimulatedUser, interaction: Interaction, chance: random.Random) -> bool:
    """Let a friend fill in the form that a press has led to; return whether there is one."""
    response = await interaction.response()
    if response.type != MODAL:
        return False
    fields = [each for each in walk_components(response.data["components"]) if each["type"] == TEXT_INPUT]
    texts = {each["custom_id"]: chance.choice(PHRASES)[: each.get("max_length", 4000)] for each in fields}
    await (await friend.submit_modal(interaction, texts)).response()
    return True


def _label(component: Json) -> str:
    return str(component.get("label") or component.get("placeholder") or "")


def _private_components(interaction: Interaction) -> list[Json]:
    message = interaction.original
    is_private = message is not None and message.ephemeral and not message.loading and not message.deleted
    return usable_components(message) if message is not None and is_private else []


async def use(friend: SimulatedUser, message: Message, custom_id: str, chosen: list[str] | None = None) -> Interaction:
    """Let a friend press a button, or choose these values in a select."""
    if chosen is None:
        return await friend.press(message, custom_id=custom_id)
    return await friend.select(message, *chosen, custom_id=custom_id)


async def use_at_random(group: list[SimulatedUser], message: Message, seed: int | None = None) -> list[Json]:
    """Let each friend use one of the buttons or selects, one after the other; return who used which.

    Raise UserActionError if nobody can use anything.
    """
    chance = random.Random(seed)
    used: list[Json] = []
    for friend in group:
        # What one friend does may change the message at once, such as a vote that ends.
        if usable := usable_components(message):
            component = chance.choice(usable)
            with suppress(InteractionFailed, TimeoutError):
                interaction = await use(friend, message, component["custom_id"], _random_values(component, chance))
                if not await fill_in(friend, interaction, chance):
                    await follow(friend, interaction, chance)
            used.append({"person": friend.user.name, "custom_id": component["custom_id"]})
    if not used:
        raise UserActionError("nobody else is here" if not group else "nothing here can be pressed")
    return used


def _random_values(component: Json, chance: random.Random) -> list[str] | None:
    if component["type"] != STRING_SELECT:
        return None
    values = [each["value"] for each in component["options"]]
    return chance.sample(values, max(1, component.get("min_values") or 1))
