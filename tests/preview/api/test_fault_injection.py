"""Rate limits and injected faults, as discord.py sees them."""

import asyncio

import aiohttp
import discord
import pytest

from preview import FakeDiscord
from preview.api.rate_limits import LIMITS


@pytest.fixture
async def ping_bot(make_bot):
    bot = make_bot()

    @bot.tree.command(description="Ping")
    async def ping(interaction: discord.Interaction):
        await interaction.response.send_message("pong")
        await interaction.edit_original_response(content="pong!")

    return bot


@pytest.mark.parametrize("is_global", [True, False])
async def test_discord_py_waits_after_a_429(server, run, scenario, make_bot, is_global):
    bot = make_bot()
    async with run(bot, sync=False):
        planned = server.faults.rate_limit(
            "POST", "/channels/*/messages", retry_after=0.05, times=2, is_global=is_global
        )
        await bot.get_channel(scenario.channel.id).send("x")
        assert planned.hits == 2
        assert [each.status for each in server.requests if each.method == "POST"] == [429, 429, 200]


async def test_a_429_without_via_is_treated_as_a_ban(server, run, scenario, make_bot):
    bot = make_bot()
    async with run(bot, sync=False):
        server.faults.rate_limit("POST", "/channels/*/messages", via=False)
        with pytest.raises(discord.HTTPException) as refused:
            await bot.get_channel(scenario.channel.id).send("x")
        assert refused.value.status == 429


async def test_the_limit_on_edits_of_old_messages_can_be_simulated(server, raw):
    server.faults.rate_limit("PATCH", "/channels/*/messages/*", code=30046, retry_after=1.5)
    status, answer = await raw("PATCH", "/channels/1/messages/2", {"content": "x"})
    assert (status, answer["code"], answer["retry_after"]) == (429, 30046, 1.5)


async def test_a_502_is_retried(server, run, scenario, ping_bot):
    async with run(ping_bot):
        planned = server.faults.fail("PATCH", "/webhooks/*", status=502)
        used = await server.person(scenario.ada).command("ping", scenario.channel)
        await used.wait_for(lambda message: message.content == "pong!")
        assert planned.hits == 1


async def test_only_a_dropped_response_was_handled(server, run, scenario, make_bot):
    bot = make_bot()
    async with run(bot, sync=False):
        channel = bot.get_channel(scenario.channel.id)
        for plan, expected in ((server.faults.drop, 0), (server.faults.drop_response, 1)):
            plan("POST", "/channels/*/messages")
            with pytest.raises((aiohttp.ClientError, OSError)):
                await channel.send("x")
            assert len(server.messages(scenario.channel)) == expected


async def test_a_held_request_continues_after_release(server, run, scenario, make_bot):
    bot = make_bot()
    async with run(bot, sync=False):
        held = server.faults.hold("POST", "/channels/*/messages")
        sending = asyncio.create_task(bot.get_channel(scenario.channel.id).send("x"))
        await held.reached.wait()
        assert server.messages(scenario.channel) == []
        held.release()
        await sending
        assert len(server.messages(scenario.channel)) == 1


async def test_a_delay_slows_down_one_request(server, run, scenario, make_bot):
    bot = make_bot()
    async with run(bot, sync=False):
        server.faults.delay("POST", "/channels/*/messages", 0.2)
        for _ in range(2):
            await bot.get_channel(scenario.channel.id).send("x")
        delayed, following = server.requests[-2:]
        assert delayed.seconds >= 0.2 > following.seconds


async def test_the_gateway_can_refuse_connections(server, raw):
    server.gateway.refuse_status = 503
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(server.core.gateway_url)


async def test_buckets_count_by_channel_and_return_the_rest(world, scenario):
    other = world.add_channel(scenario.guild, "other")
    async with FakeDiscord(world, limits=LIMITS) as server, aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bot {world.application.token}"}

        async def post(channel):
            url = f"{server.api_url}/channels/{channel.id}/messages"
            async with session.post(url, json={"content": "x"}, headers=headers) as response:
                return response.status, response.headers, await response.json()

        answers = [await post(scenario.channel) for _ in range(6)]
        assert [status for status, _, _ in answers] == [200] * 5 + [429]
        assert [headers["X-RateLimit-Remaining"] for _, headers, _ in answers] == ["4", "3", "2", "1", "0", "0"]
        _, refusal, body = answers[-1]
        assert refusal["Via"]
        assert refusal["X-RateLimit-Scope"] == "user"
        assert 0 < body["retry_after"] <= 5
        assert not body["global"]
        assert (await post(other))[0] == 200


async def test_discord_py_stays_within_the_buckets(world, scenario, make_bot, monkeypatch):
    async with FakeDiscord(world, limits=LIMITS) as server:
        monkeypatch.setattr(discord.http.Route, "BASE", server.api_url)
        async with make_bot() as bot:
            await bot.login(world.application.token)
            channel = bot.get_partial_messageable(scenario.channel.id)
            message = (await channel.send("x")).id
            for _ in range(3):
                await channel.get_partial_message(message).add_reaction("🎉")
                await channel.get_partial_message(message).remove_reaction("🎉", discord.Object(world.bot.id))
            assert 429 not in [each.status for each in server.requests]


async def test_the_global_limit_is_fifty_requests_a_second(world, scenario):
    async with FakeDiscord(world, limits=LIMITS) as server, aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bot {world.application.token}"}

        async def get():
            async with session.get(f"{server.api_url}/channels/{scenario.channel.id}", headers=headers) as response:
                return response.status, response.headers.get("X-RateLimit-Scope"), await response.json()

        answers = await asyncio.gather(*(get() for _ in range(200)))
        refused = [body for status, scope, body in answers if (status, scope) == (429, "global")]
        assert 1 <= len(refused) <= 150
        assert all(body["global"] for body in refused)
