"""The gateway: sessions, intents, RESUME, and how discord.py handles its faults."""

import asyncio
import json

import aiohttp
import discord
import pytest

from preview import FakeDiscord, UploadedFile, World
from tests.support.timing import TIMEOUT_S


def collect_events(bot, name: str) -> asyncio.Queue:
    """Return a queue of a client's events."""
    queue: asyncio.Queue = asyncio.Queue()

    async def collect(*payload):
        queue.put_nowait(payload[0] if payload else None)

    collect.__name__ = f"on_{name}"
    bot.event(collect)
    return queue


async def next_event(queue: asyncio.Queue):
    return await asyncio.wait_for(queue.get(), TIMEOUT_S)


@pytest.mark.parametrize("fault", ["drop", "abort", "reconnect"])
async def test_a_lost_connection_is_resumed_without_losing_events(server, run, scenario, make_bot, fault):
    bot = make_bot()

    @bot.tree.command(description="Ping")
    async def ping(interaction: discord.Interaction):
        await interaction.response.send_message("pong")

    resumed = collect_events(bot, "resumed")
    person = server.person(scenario.ada)
    async with run(bot):
        before = (await (await person.command("ping", scenario.channel)).message()).content
        pending = getattr(server.gateway, fault)()
        if pending:
            await pending
        during = await person.command("ping", scenario.channel)
        await next_event(resumed)
        assert [before, (await during.message()).content] == ["pong", "pong"]
        assert len(server.gateway.identifies) == 1
        assert len(server.gateway.resumes) == 1


async def test_an_invalidated_session_is_replaced_by_a_new_one(server, run, scenario, make_bot):
    bot = make_bot()
    async with run(bot, sync=False):
        ready = collect_events(bot, "ready")
        await server.gateway.invalidate()
        await next_event(ready)
        assert len(server.gateway.identifies) == 2
        assert len(server.gateway.sessions) == 1


async def test_a_dropped_session_cannot_be_resumed(server, run, scenario, make_bot):
    bot = make_bot()
    async with run(bot, sync=False):
        ready = collect_events(bot, "ready")
        await server.gateway.drop(resumable=False)
        await next_event(ready)
        assert (len(server.gateway.resumes), len(server.gateway.identifies)) == (1, 2)


async def test_a_bad_token_fails_the_login(server, monkeypatch, make_bot):
    monkeypatch.setattr(discord.http.Route, "BASE", server.api_url)
    async with make_bot() as bot:
        with pytest.raises(discord.LoginFailure):
            await bot.start("nonsense")


async def test_a_disabled_privileged_intent_closes_with_4014(server, monkeypatch, make_bot):
    monkeypatch.setattr(discord.http.Route, "BASE", server.api_url)
    async with make_bot(discord.Intents(guilds=True, message_content=True)) as bot:
        with pytest.raises(discord.PrivilegedIntentsRequired):
            await bot.start(server.world.application.token)


@pytest.mark.parametrize("content", [True, False])
async def test_content_needs_the_intent_a_mention_or_a_direct_message(server, run, world, scenario, make_bot, content):
    if content:
        world.application.privileged_intents = discord.Intents(message_content=True).value
    bot = make_bot(discord.Intents(guilds=True, messages=True, message_content=content))
    messages = collect_events(bot, "message")
    person = server.person(scenario.ada)
    async with run(bot, sync=False):
        texts = ["secret", f"hello <@{world.bot.id}>", "private"]
        for text in texts:
            channel = world.dm_channel(scenario.ada) if text == "private" else scenario.channel
            await person.send(channel, text, UploadedFile("a.txt", b"x"))
        got = [await next_event(messages) for _ in texts]
        expected = texts if content else ["", *texts[1:]]
        assert [each.content for each in got] == expected
        assert [len(each.attachments) for each in got] == [int(bool(each)) for each in expected]
        fetched = await bot.get_channel(scenario.channel.id).fetch_message(got[0].id)
        assert fetched.content == expected[0]


async def test_reactions_and_deletions_are_sent_with_their_intents(server, run, world, scenario, make_bot):
    bot = make_bot(discord.Intents(guilds=True, guild_reactions=True, guild_messages=True))
    added, removed, deleted = (
        collect_events(bot, f"raw_{each}") for each in ("reaction_add", "reaction_remove", "message_delete")
    )
    edited = collect_events(bot, "raw_message_edit")
    person = server.person(scenario.ada)
    async with run(bot, sync=False):
        message = await person.send(scenario.channel, "x")
        await person.edit(message, "y")
        await person.react(message, "❌")
        await person.unreact(message, "❌")
        await person.delete(message)
        assert (await next_event(edited)).message_id == message.id
        event = await next_event(added)
        assert (str(event.emoji), event.member.display_name) == ("❌", "Ada 🌙 Ł")
        assert (await next_event(removed)).user_id == scenario.ada.id
        assert (await next_event(deleted)).message_id == message.id


async def test_without_intents_only_interactions_arrive(server, run, scenario, make_bot):
    bot = make_bot(discord.Intents.none())

    @bot.tree.command(description="Ping")
    async def ping(interaction: discord.Interaction):
        await interaction.response.send_message(interaction.channel.name)

    async with run(bot):
        used = await server.person(scenario.ada).command("ping", scenario.channel)
        assert (await used.message()).content == "art"
        kinds = {event["t"] for session in server.gateway.sessions.values() for event in session.events}
        assert kinds == {"READY", "INTERACTION_CREATE"}


async def test_channels_and_guilds_can_change_while_the_bot_runs(server, run, world, scenario, make_bot):
    bot = make_bot()
    joined, left, deleted = (
        collect_events(bot, "guild_join"),
        collect_events(bot, "guild_remove"),
        collect_events(bot, "guild_channel_delete"),
    )
    guild = world.add_guild("Later", scenario.ada, bot=False)
    channel = world.add_channel(guild)
    async with run(bot, sync=False):
        server.core.join_guild(guild)
        assert [each.name for each in (await next_event(joined)).text_channels] == ["general"]
        server.core.delete_channel(channel)
        assert (await next_event(deleted)).id == channel.id
        server.core.leave_guild(guild)
        assert (await next_event(left)).id == guild.id


async def test_guilds_are_spread_over_the_shards(monkeypatch, make_bot, world, scenario):
    async with FakeDiscord(world, limits=(), shards=2) as server:
        monkeypatch.setattr(discord.http.Route, "BASE", server.api_url)
        world.clock.advance(1)
        other = world.add_guild("Other", scenario.ada)
        while (other.id >> 22) % 2 == (scenario.guild.id >> 22) % 2:
            other = world.add_guild("Other", scenario.ada)
        async with make_bot() as bot:
            await bot.login(world.application.token)
            task = asyncio.create_task(bot.connect())
            await bot.wait_until_ready()
            shards = {bot.get_guild(each.id).shard_id for each in (scenario.guild, other)}
            assert shards == {0, 1}
            assert sorted(session.shard for session in server.gateway.sessions.values()) == [(0, 2), (1, 2)]
            await bot.close()
            await task


async def raw_gateway(server: FakeDiscord, *payloads: dict) -> tuple[list[dict], int | None]:
    """Send payloads without a library; return the payloads received, and the close code."""
    answers = []
    async with aiohttp.ClientSession() as session, session.ws_connect(server.core.gateway_url) as socket:
        for payload in payloads:
            await socket.send_str(json.dumps(payload))
        async for message in socket:
            answers.append(json.loads(message.data))
        return answers, socket.close_code


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"op": 2, "d": {"token": "nonsense", "intents": 0}}, 4004),
        ({"op": 2, "d": {"token": None, "intents": 1 << 15}}, 4014),
        ({"op": 99, "d": None}, 4001),
        ({"op": 1, "d": "x" * 4096}, 4002),
    ],
)
async def test_a_protocol_error_closes_with_its_code(server, payload, code):
    if payload["op"] == 2 and payload["d"]["token"] is None:
        payload = {"op": 2, "d": payload["d"] | {"token": server.world.application.token}}
    answers, closed = await raw_gateway(server, payload)
    assert (answers[0]["op"], closed) == (10, code)


async def test_uncompressed_frames_work_too(server, scenario):
    token = server.world.application.token
    async with aiohttp.ClientSession() as session, session.ws_connect(server.core.gateway_url) as socket:
        assert json.loads((await socket.receive()).data)["op"] == 10
        await socket.send_str(json.dumps({"op": 1, "d": None}))
        assert json.loads((await socket.receive()).data)["op"] == 11
        await socket.send_str(json.dumps({"op": 2, "d": {"token": token, "intents": 1}}))
        kinds = [json.loads((await socket.receive()).data)["t"] for _ in range(2)]
        assert kinds == ["READY", "GUILD_CREATE"]
    assert len(server.gateway.heartbeats) == 1


async def test_a_world_without_guilds_works(monkeypatch, make_bot):
    async with FakeDiscord(World(), limits=()) as server:
        monkeypatch.setattr(discord.http.Route, "BASE", server.api_url)
        async with make_bot() as bot:
            await bot.login(server.world.application.token)
            task = asyncio.create_task(bot.connect())
            await bot.wait_until_ready()
            assert len(bot.guilds) == 0
            await bot.close()
            await task
