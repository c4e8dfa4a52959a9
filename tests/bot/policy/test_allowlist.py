"""The allowlist of servers."""

from __future__ import annotations

import discord
import pytest

from bot.policy.allowlist import denial_message
from tests.support.bot_harness import eventually

OURS, OTHER = 1441155180072407040, 175928847299117063


@pytest.mark.parametrize(
    ("allowed", "guild_id", "refused"),
    [
        ((), OTHER, False),
        ((), None, False),
        ((OURS,), OURS, False),
        ((OURS,), OTHER, True),
        ((OURS,), None, False),
    ],
)
def test_only_servers_missing_from_a_nonempty_allowlist_are_denied(allowed, guild_id, refused):
    assert (denial_message(frozenset(allowed), guild_id) is not None) is refused


async def test_another_server_is_refused_privately_and_nothing_is_stored(harness):
    other = harness.server.world.add_guild("Other", harness.ada)
    channel = harness.server.world.add_channel(other)
    async with harness.bot(allowed_guilds=frozenset({harness.guild.id})) as services:
        answer = await (await harness.imagine("a fox", channel=channel)).message()
        assert answer.ephemeral
        assert "not open to this server" in answer.content
        assert await services.db.jobs.open_records() == []
        assert not services.queue.waiting
        await harness.imagine("a fox")
        await harness.result()
    assert [message for message in harness.server.messages(channel) if not message.ephemeral] == []


async def test_a_user_install_works_in_direct_messages_but_not_in_other_servers(harness):
    eve = harness.server.world.add_user("eve", installed=True)
    foreign = harness.server.world.add_guild("Foreign", eve, bot=False)
    channel = harness.server.world.add_channel(foreign)
    async with harness.bot(allowed_guilds=frozenset({harness.guild.id})):
        answer = await (await harness.imagine("a fox", eve, channel)).message()
        assert (answer.ephemeral, "not open" in answer.content) == (True, True)
        direct = harness.server.world.dm_channel(eve)
        await harness.imagine("a fox", eve, direct)
        await harness.result(channel=direct)


async def test_buttons_are_refused_once_their_server_is_off_the_allowlist(harness):
    async with harness.bot():
        await harness.imagine("a fox")
        grid = await harness.result()
    async with harness.bot(allowed_guilds=frozenset({OTHER})):
        for label in ("U1", "V2", "🔄"):
            answer = await (await harness.person(harness.ada).press(grid, label)).message()
            assert (answer.ephemeral, "not open" in answer.content) == (True, True)
    assert len(harness.results()) == 1


@pytest.mark.parametrize(("command", "options"), [("settings", {}), ("help", {}), ("stealth", {}), ("info", {})])
async def test_no_command_works_from_another_server(harness, command, options):
    other = harness.server.world.add_guild("Other", harness.ada)
    channel = harness.server.world.add_channel(other)
    async with harness.bot(allowed_guilds=frozenset({harness.guild.id})) as services:
        answer = await (await harness.person(harness.ada).command(command, channel, **options)).message()
        assert (answer.ephemeral, "not open" in answer.content) == (True, True)
        assert not await services.db.jobs._connection.fetch_all("SELECT * FROM preferences")


@pytest.mark.parametrize("listed", [True, False])
async def test_a_reaction_from_another_server_is_ignored(harness, listed):
    heard = []

    async def hear(reaction: discord.RawReactionActionEvent) -> None:
        heard.append(reaction.user_id)

    async with harness.bot():
        await harness.imagine("a fox")
        grid = await harness.result()
        await eventually(lambda: not harness.tasks)
    async with harness.bot(allowed_guilds=frozenset({harness.guild.id if listed else OTHER})):
        harness.client.add_listener(hear, "on_raw_reaction_add")
        await harness.person(harness.ada).react(grid, "👋")
        await (
            await harness.person(harness.ada).command("help", harness.channel)
        ).message()  # its answer comes after the reaction was handled
    assert heard == ([harness.ada.id] if listed else [])
