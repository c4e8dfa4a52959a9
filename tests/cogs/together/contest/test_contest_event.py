"""A contest's scheduled event, results that cannot be posted at once, and channels that not everybody sees."""

from __future__ import annotations

import pytest

from bot.policy.visibility import is_open
from cogs.together.contest.event import SOON_S, follow
from cogs.together.contest.handler import GIVE_UP_S, RETRY_S
from cogs.together.contest.phases import DAY_S, EXTRA_S
from preview.api.scheduled_events import ACTIVE, CANCELED, COMPLETED, SCHEDULED
from preview.state import payloads, permissions
from preview.state.core import GUILDS
from preview.state.world import Overwrite
from tests.cogs.together.contest.test_contest import Contest
from tests.support.bot_harness import eventually


@pytest.fixture
def cy(harness):
    user = harness.server.world.add_user("cy")
    harness.server.world.add_member(user, harness.guild)
    return user


def let_bot_create_events(harness):
    harness.guild.roles[harness.guild.id].permissions |= permissions.CREATE_EVENTS


async def enter_two(contest):
    await contest.phase("entries")
    await contest.enter(contest.harness.ada, "a castle")
    await contest.enter(contest.harness.ben, "a whale")


async def test_the_vote_is_a_scheduled_event_that_ends_with_the_result(harness, cy):
    let_bot_create_events(harness)
    events = harness.guild.events
    async with harness.bot() as services:
        contest = await Contest.start(harness, services, event=True, add_theme="by the water")
        await contest.phase("entries")
        await eventually(lambda: len(events) == 1)
        (event,) = events.values()
        assert (event.name, event.status) == ("Contest 1: by the water", SCHEDULED)
        assert event.location.endswith(f"/{harness.guild.id}/{harness.channel.id}")
        handler = harness.client.get_cog("ContestCommand").handler
        await follow(harness.client, await handler.show(await contest.session()))
        assert len(events) == 1, "done again after a crash"
        contest.pass_time(5 * DAY_S + 1)
        await contest.message("There are too few pictures")
        await eventually(lambda: open_event(events).start_time > event.end_time or open_event(events) is event)
        await contest.enter(harness.ada, "a castle")
        await contest.enter(harness.ben, "a whale")
        contest.pass_time(EXTRA_S + 1)
        vote = await contest.message("which of two")
        await contest.compare(cy, vote, ["a castle", "a whale"])
        running = open_event(events)
        mod = harness.person(harness.mod)
        tools = await (await mod.press(vote, "Help")).message()
        await (await mod.press(tools, "Go on now")).response()
        await contest.message("1 person voted")
        await eventually(lambda: running.status == COMPLETED)
        await contest.phase("entries", 2)
        await eventually(lambda: sum(each.status == SCHEDULED for each in events.values()) == 1)


def open_event(events):
    (event,) = [each for each in events.values() if each.status in (SCHEDULED, ACTIVE)]
    return event


async def test_a_vote_that_moderators_begin_early_begins_the_event_and_an_end_cancels_it(harness):
    let_bot_create_events(harness)
    events = harness.guild.events
    async with harness.bot() as services:
        contest = await Contest.start(harness, services, event=True)
        await enter_two(contest)
        (event,) = events.values()
        before = event.start_time
        mod = harness.person(harness.mod)
        opened = await contest.message("Enter up to 2")
        tools = await (await mod.press(opened, "Help")).message()
        await (await mod.press(tools, "Go on now")).response()
        await contest.message("which of two")
        await eventually(lambda: event.start_time < before)
        contest.pass_time(SOON_S + 1)
        stopped = await mod.command("config contest", harness.channel, stop=True)
        await stopped.message()
        await eventually(lambda: event.status == COMPLETED)
        await Contest.start(harness, services)
        await eventually(lambda: len(events) == 2)
        (second,) = [each for each in events.values() if each is not event]
        await (await mod.command("config contest", harness.channel, stop=True)).message()
        await eventually(lambda: second.status == CANCELED)


@pytest.mark.parametrize(("wants", "may"), [(False, True), (True, False)])
async def test_there_is_no_event_unless_owners_want_it_and_the_bot_may(harness, wants, may):
    if may:
        let_bot_create_events(harness)
    async with harness.bot() as services:
        contest = await Contest.start(harness, services, event=wants)
        await enter_two(contest)
        assert harness.guild.events == {}


def hide(harness, channel):
    """Let only the bot and some members see a channel."""
    for person in (harness.server.world.bot, harness.mod, harness.ada, harness.ben):
        channel.overwrites.append(Overwrite(person.id, 1, allow=permissions.VIEW_CHANNEL))
    channel.overwrites.append(Overwrite(harness.guild.id, 0, deny=permissions.VIEW_CHANNEL))


async def test_a_channel_that_not_everybody_can_read_has_no_event(harness):
    let_bot_create_events(harness)
    hidden = harness.server.world.add_channel(harness.guild, "shows")
    hide(harness, hidden)
    async with harness.bot() as services:
        await enter_two(await Contest.start(harness, services, event=True, channel=hidden))
        assert harness.guild.events == {}


async def test_the_event_of_a_channel_that_is_closed_ends(harness):
    let_bot_create_events(harness)
    core, shows = harness.server.core, harness.server.world.add_channel(harness.guild, "shows")
    async with harness.bot() as services:
        contest = await Contest.start(harness, services, event=True, channel=shows)
        await enter_two(contest)
        (event,) = harness.guild.events.values()
        hide(harness, shows)
        core.send_event("CHANNEL_UPDATE", payloads.channel(core, shows), guild_id=shows.guild_id, intent=GUILDS)
        await eventually(lambda: not is_open(harness.client.get_guild(harness.guild.id), shows.id))
        contest.pass_time(5 * DAY_S + 1)
        await contest.phase("voting")
        await eventually(lambda: event.status == COMPLETED)


async def test_a_result_that_cannot_be_posted_is_posted_when_it_can(harness, cy):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        await enter_two(contest)
        contest.pass_time(5 * DAY_S + 1)
        vote = await contest.message("which of two")
        await contest.compare(cy, vote, ["a castle", "a whale"])
        closed = Overwrite(harness.server.world.bot.id, 1, deny=permissions.SEND_MESSAGES)
        harness.channel.overwrites.append(closed)
        contest.pass_time(2 * DAY_S + 1)
        await contest.phase("result")
        session = await contest.session()
        contest.pass_time(RETRY_S + 1)
        await contest.phase("result")
        assert not contest.messages("1 person voted")
        harness.channel.overwrites.remove(closed)
    async with harness.bot() as services:  # also after a restart
        contest = Contest(harness, services)
        contest.pass_time(RETRY_S + 1)
        await contest.message("1 person voted")
        await contest.phase("entries", 2)
        assert (await services.db.sessions.get(session.id)).ended_at is not None
    assert len(contest.messages("1 person voted")) == 1


async def test_a_result_that_cannot_be_posted_for_a_month_is_given_up(harness, cy):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        await enter_two(contest)
        contest.pass_time(5 * DAY_S + 1)
        await contest.compare(cy, await contest.message("which of two"), ["a castle", "a whale"])
        harness.channel.overwrites.append(Overwrite(harness.server.world.bot.id, 1, deny=permissions.SEND_MESSAGES))
        contest.pass_time(2 * DAY_S + 1)
        await contest.phase("result")
        contest.pass_time(GIVE_UP_S + RETRY_S)
        await contest.phase("entries", 2)


async def test_who_cannot_see_the_channel_takes_no_part_by_commands(harness, cy):
    hidden = harness.server.world.add_channel(harness.guild, "shows")
    hidden.overwrites.append(Overwrite(cy.id, 1, deny=permissions.VIEW_CHANNEL))
    async with harness.bot() as services:
        contest = await Contest.start(harness, services, channel=hidden)
        await enter_two(contest)
        contest.pass_time(5 * DAY_S + 1)
        await contest.phase("voting")
        for command in ("contest vote", "contest state", "contest enter"):
            refused = await (await harness.person(cy).command(command, harness.channel)).message()
            assert "There is no contest here" in refused.content
        shown = await (await harness.person(harness.mod).command("contest vote", harness.channel)).message()
        assert "Which one is better?" in shown.content
