"""The world: permissions, persistence, and access from loopback only."""

import aiohttp
import discord
import pytest

from preview import FakeDiscord, UploadedFile, World
from preview.state import permissions
from preview.state.files import safe_filename
from preview.state.world import Overwrite


def test_overwrites_apply_in_discords_order(world, scenario):
    role = world.add_role(scenario.guild, "muted")
    world.add_member(scenario.bob, scenario.guild, role)
    scenario.channel.overwrites = [
        Overwrite(scenario.guild.id, 0, deny=permissions.SEND_MESSAGES),
        Overwrite(role.id, 0, allow=permissions.SEND_MESSAGES, deny=permissions.ADD_REACTIONS),
        Overwrite(scenario.bob.id, 1, allow=permissions.ADD_REACTIONS, deny=permissions.ATTACH_FILES),
    ]
    rights = world.permissions(scenario.bob, scenario.channel)
    assert rights & permissions.SEND_MESSAGES
    assert rights & permissions.ADD_REACTIONS
    assert not rights & permissions.ATTACH_FILES
    assert world.permissions(scenario.ada, scenario.channel) == permissions.ALL


def test_a_thread_has_the_permissions_of_its_channel(world, scenario):
    thread = world.add_thread(scenario.channel, "t", owner=scenario.ada)
    scenario.channel.overwrites.append(Overwrite(scenario.bob.id, 1, deny=permissions.VIEW_CHANNEL))
    assert world.permissions(scenario.bob, thread) == 0


def test_direct_channels_are_reused(world, scenario):
    assert world.dm_channel(scenario.ada) is world.dm_channel(scenario.ada)
    assert world.dm_channel(scenario.ada) is not world.dm_channel(scenario.ada, scenario.bob)
    assert world.permissions(world.bot, world.dm_channel(scenario.ada, scenario.bob)) == 0


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a fox.png", "a_fox.png"),
        ("../../etc/passwd", "passwd"),
        ("ünï.png", "uni.png"),
        ("🦊.png", "unknown.png"),
        ("", "unknown"),
    ],
)
def test_filenames_are_sanitized_as_discord_does(given, kept):
    assert safe_filename(given) == kept


async def test_a_world_survives_a_restart_with_its_tokens(tmp_path, make_bot, monkeypatch):
    world = World()
    ada = world.add_user("ada", display_name="Ada 🌙")
    channel = world.add_channel(world.add_guild("Studio", ada))

    async with FakeDiscord(world, folder=tmp_path, limits=()) as first:
        monkeypatch.setattr(discord.http.Route, "BASE", first.api_url)
        async with make_bot() as bot:
            await bot.login(world.application.token)
            sent = await bot.get_partial_messageable(channel.id).send(
                "kept",
                file=discord.File(__file__, "a.txt"),
                view=discord.ui.View().add_item(discord.ui.Button(label="b")),
            )
            await first.person(ada).react(world.messages[sent.id], "🎉")
    async with FakeDiscord(folder=tmp_path, limits=()) as second, aiohttp.ClientSession() as session:
        kept = second.world.messages[sent.id]
        assert kept == world.messages[sent.id]
        assert second.world.users == world.users
        assert second.world.guilds == world.guilds
        async with session.get(second.core.cdn_url(kept.attachments[0])) as response:
            assert (await response.text()).startswith('"""The world')
        assert second.world.new_id() > max(world.messages)


async def test_an_interaction_survives_a_restart(tmp_path):
    world = World()
    ada = world.add_user("ada")
    channel = world.add_channel(world.add_guild("Studio", ada))
    async with FakeDiscord(world, folder=tmp_path, limits=()) as first, aiohttp.ClientSession() as session:
        commands = f"/applications/{world.application.id}/commands"
        token = {"Authorization": f"Bot {world.application.token}"}
        command = [{"name": "ping", "description": "Ping"}]
        assert (await session.put(first.api_url + commands, json=command, headers=token)).status == 200
        used = await first.person(ada).command("ping", channel)
        url = f"{first.api_url}/interactions/{used.id}/{used.token}/callback"
        assert (await session.post(url, json={"type": 5})).status == 204
    async with FakeDiscord(folder=tmp_path, limits=()) as second, aiohttp.ClientSession() as session:
        url = f"{second.api_url}/webhooks/{second.world.application.id}/{used.token}/messages/@original"
        assert (await session.patch(url, json={"content": "after the restart"})).status == 200
        (message,) = second.messages(second.world.channels[channel.id])
        assert (message.content, message.loading) == ("after the restart", False)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Host": "localhost"}, 421),
        ({"Origin": "http://evil.example"}, 403),
    ],
)
async def test_other_hosts_and_sites_are_refused(server, raw, headers, status):
    assert (await raw("GET", "/gateway", headers=headers))[0] == status


async def test_requests_need_the_bots_token(server, raw):
    assert (await raw("GET", "/users/@me", headers={"Authorization": "Bot nonsense"}))[0] == 401
    assert (await raw("GET", "/users/@me"))[0] == 200


async def test_an_unknown_route_is_an_ordinary_404(server, raw):
    server.openapi = None
    assert await raw("GET", "/nonsense") == (404, {"message": "404: Not Found", "code": 0})


async def test_an_svg_is_never_served_as_a_page(server, raw, scenario):
    hostile = UploadedFile("x.svg", b"<svg onload='alert(1)'/>")
    message = await server.person(scenario.ada).send(scenario.channel, "", hostile)
    await raw("GET", server.core.cdn_url(message.attachments[0]))
    assert raw.headers["Content-Type"] == "application/octet-stream"
