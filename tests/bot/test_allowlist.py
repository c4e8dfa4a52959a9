"""The servers that may use the bot."""

from __future__ import annotations

import discord
import pytest

from bot.policy.allowlist import denial_message
from tests.bot.conftest import eventually

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
def test_a_list_closes_the_bot_to_other_servers_only(allowed, guild_id, refused):
    assert (denial_message(frozenset(allowed), guild_id) is not None) is refused


async def test_another_server_is_told_so_privately_and_nothing_is_kept(stage):
    other = stage.server.world.add_guild("Other", stage.ada)
    channel = stage.server.world.add_channel(other)
    async with stage.bot(allowed_guilds=frozenset({stage.guild.id})) as studio:
        answer = await (await stage.imagine("a fox", channel=channel)).message()
        assert answer.ephemeral
        assert "not open to this server" in answer.content
        assert await studio.store.open_records() == []
        assert not studio.queue.waiting
        await stage.imagine("a fox")
        await stage.result()
    assert [message for message in stage.server.messages(channel) if not message.ephemeral] == []


async def test_whoever_installed_the_bot_cannot_use_it_in_another_server_but_in_messages_to_it(stage):
    eve = stage.server.world.add_user("eve", installed=True)
    foreign = stage.server.world.add_guild("Foreign", eve, bot=False)
    channel = stage.server.world.add_channel(foreign)
    async with stage.bot(allowed_guilds=frozenset({stage.guild.id})):
        answer = await (await stage.imagine("a fox", eve, channel)).message()
        assert (answer.ephemeral, "not open" in answer.content) == (True, True)
        direct = stage.server.world.dm_channel(eve)
        await stage.imagine("a fox", eve, direct)
        await stage.result(channel=direct)


async def test_an_old_picture_cannot_be_used_once_its_server_is_off_the_list(stage):
    async with stage.bot():
        await stage.imagine("a fox")
        grid = await stage.result()
    async with stage.bot(allowed_guilds=frozenset({OTHER})):
        for label in ("U1", "V2", "🔄"):
            answer = await (await stage.person(stage.ada).press(grid, label)).message()
            assert (answer.ephemeral, "not open" in answer.content) == (True, True)
    assert len(stage.results()) == 1


@pytest.mark.parametrize(("command", "options"), [("settings", {}), ("help", {}), ("stealth", {}), ("info", {})])
async def test_there_is_no_second_door_from_another_server(stage, command, options):
    other = stage.server.world.add_guild("Other", stage.ada)
    channel = stage.server.world.add_channel(other)
    async with stage.bot(allowed_guilds=frozenset({stage.guild.id})) as studio:
        answer = await (await stage.person(stage.ada).command(command, channel, **options)).message()
        assert (answer.ephemeral, "not open" in answer.content) == (True, True)
        assert not await studio.store._connection.fetch_all("SELECT * FROM preferences")


@pytest.mark.parametrize("listed", [True, False])
async def test_a_reaction_from_another_server_is_not_heard(stage, listed):
    heard = []

    async def hear(reaction: discord.RawReactionActionEvent) -> None:
        heard.append(reaction.user_id)

    async with stage.bot() as studio:
        await stage.imagine("a fox")
        grid = await stage.result()
        await eventually(lambda: not studio.tasks)
    async with stage.bot(allowed_guilds=frozenset({stage.guild.id if listed else OTHER})) as studio:
        studio.client.add_listener(hear, "on_raw_reaction_add")
        await stage.person(stage.ada).react(grid, "👋")
        await (await stage.person(stage.ada).command("help", stage.channel)).message()  # which comes after it
    assert heard == ([stage.ada.id] if listed else [])
