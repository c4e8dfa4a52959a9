"""Simulated friends press the buttons of a message: those who see it, and only what they may press at random."""

from __future__ import annotations

import asyncio
import random

import pytest

from preview import UserActionError
from preview.state import permissions
from preview.state.world import Member, Overwrite
from preview.users.friends import fill_in, friends_of, use, use_at_random


def row(*buttons: dict) -> list[dict]:
    return [{"type": 1, "components": [{"type": 2, **each} for each in buttons]}]


BUTTONS = row(
    {"style": 1, "label": "yes", "custom_id": "yes"},
    {"style": 2, "label": "shut", "custom_id": "shut", "disabled": True},
    {"style": 4, "label": "delete", "custom_id": "delete"},
    {"style": 5, "label": "manual", "url": "https://example.org"},
)


async def post(raw, channel, components):
    _, sent = await raw("POST", f"/channels/{channel.id}/messages", {"content": "vote", "components": components})
    return int(sent["id"])


async def test_everybody_else_presses_one_of_the_enabled_buttons(server, world, scenario, raw):
    cleo = world.add_user("cleo")
    scenario.guild.members[cleo.id] = Member(cleo.id)
    message = world.messages[await post(raw, scenario.channel, BUTTONS)]
    server.core.response_timeout = 0.05
    pressed = await use_at_random(friends_of(server.core, scenario.ada, message), message)
    assert pressed == [{"person": "bob", "custom_id": "yes"}, {"person": "cleo", "custom_id": "yes"}]
    assert [each.user.name for each in server.interactions] == ["bob", "cleo"]


async def test_friends_choose_in_a_select_and_press_what_is_named(server, world, scenario, raw):
    options = [{"label": each, "value": each} for each in ("zoom", "vary", "pan")]
    select = {"type": 3, "custom_id": "move", "options": options, "min_values": 2, "max_values": 3}
    components = [{"type": 1, "components": [select]}]
    message = world.messages[await post(raw, scenario.channel, components)]
    (bob,) = friends_of(server.core, scenario.ada, message)
    server.core.response_timeout = 0.05
    for seed in range(3):
        await use_at_random([bob], message, seed)
    chosen = {tuple(each.data["values"]) for each in server.interactions}
    assert all(len(set(each)) == 2 for each in chosen)
    assert len(chosen) > 1
    used = await use(bob, message, "move", ["vary", "pan"])
    assert (used.user, used.data["values"]) == (scenario.bob, ["vary", "pan"])


async def test_a_friend_fills_in_a_form(server, world, scenario, raw):
    message = world.messages[await post(raw, scenario.channel, BUTTONS)]
    (bob,) = friends_of(server.core, scenario.ada, message)
    pressed = await use(bob, message, "yes")
    field = {"type": 4, "custom_id": "words", "style": 1, "max_length": 5}
    form = {"custom_id": "form", "title": "Words", "components": [{"type": 18, "label": "Words", "component": field}]}
    await raw("POST", f"/interactions/{pressed.id}/{pressed.token}/callback", {"type": 9, "data": form})
    submitted = asyncio.create_task(fill_in(bob, pressed, random.Random(1)))
    await server.core.event_bus.wait_until(lambda: len(server.interactions) == 2, 10, "the form")
    filled = server.interactions[1]
    assert len(filled.data["components"][0]["component"]["value"]) == 5
    await raw("POST", f"/interactions/{filled.id}/{filled.token}/callback", {"type": 4, "data": {"content": "thanks"}})
    assert await submitted


async def test_who_does_not_see_the_message_is_no_friend(server, world, scenario, raw):
    private = world.add_channel(scenario.guild, "attic", everyone_denied=permissions.VIEW_CHANNEL)
    private.overwrites.append(Overwrite(world.bot.id, 1, allow=permissions.VIEW_CHANNEL))
    world.add_user("stranger")
    message = world.messages[await post(raw, private, BUTTONS)]
    group = friends_of(server.core, scenario.bob, message)
    assert [each.user.name for each in group] == ["ada"]  # the owner
    with pytest.raises(UserActionError, match="nobody else"):
        await use_at_random(friends_of(server.core, scenario.ada, message), message)


async def test_friends_say_so_where_nothing_can_be_pressed(server, world, scenario, raw):
    message = world.messages[await post(raw, scenario.channel, row(BUTTONS[0]["components"][2]))]
    with pytest.raises(UserActionError, match="nothing here"):
        await use_at_random(friends_of(server.core, scenario.ada, message), message)
