"""The channel API: messages, replies, reactions, threads, permissions and pings."""

import asyncio
import io

import discord
import pytest

from preview import UploadedFile, UserActionError
from preview.state import permissions
from tests.support.timing import TIMEOUT_S


def path(message) -> str:
    return f"/channels/{message.channel_id}/messages/{message.id}"


async def test_a_bot_replies_edits_reacts_and_deletes(server, run, scenario, make_bot):
    bot = make_bot()
    async with run(bot, sync=False):
        written = await server.person(scenario.bob).send(scenario.channel, "hello")
        channel = bot.get_channel(scenario.channel.id)
        reply = await channel.get_partial_message(written.id).reply("hi", mention_author=False)
        message = server.world.messages[reply.id]
        assert (message.type, message.reference["message_id"]) == (19, str(written.id))
        assert (await channel.fetch_message(reply.id)).reference.resolved.content == ""
        await reply.edit(content="hi!", attachments=[discord.File(io.BytesIO(b"x"), "a b.txt")])
        assert [each.filename for each in message.attachments] == ["a_b.txt"]
        await reply.add_reaction("🎉")
        await server.person(scenario.bob).react(message, "🎉")
        reaction = (await channel.fetch_message(reply.id)).reactions[0]
        assert (reaction.count, reaction.me) == (2, True)
        assert {user.name async for user in reaction.users()} == {"Atelier", "bob"}
        await reply.remove_reaction("🎉", bot.user)
        await reply.delete()
        assert message.deleted
        assert [each.id async for each in channel.history()] == [written.id]


async def test_only_the_attachments_that_an_edit_lists_are_kept(server, run, scenario, make_bot):
    bot = make_bot()
    async with run(bot, sync=False):
        channel = bot.get_channel(scenario.channel.id)
        sent = await channel.send(files=[discord.File(io.BytesIO(b"1"), f"{n}.txt") for n in range(3)])
        await sent.edit(attachments=[sent.attachments[1], discord.File(io.BytesIO(b"new"), "new.txt")])
        kept = server.world.messages[sent.id].attachments
        assert [each.filename for each in kept] == ["1.txt", "new.txt"]
        assert server.core.files.get(kept[1].id) == b"new"


async def test_allowed_mentions_decide_who_is_pinged(server, run, world, scenario, make_bot):
    bot = make_bot()
    artists = world.add_role(scenario.guild, "artists", mentionable=True)
    world.add_member(scenario.bob, scenario.guild, artists)
    text = f"<@{scenario.ada.id}> <@{scenario.bob.id}> <@&{artists.id}> @everyone"
    none, ada = (
        discord.AllowedMentions.none(),
        discord.AllowedMentions(users=[discord.Object(scenario.ada.id)], roles=False),
    )
    async with run(bot, sync=False):
        channel = bot.get_channel(scenario.channel.id)
        pinged = {}
        for name, allowed in {"none": none, "ada": ada, "unset": None}.items():
            sent = await channel.send(text, allowed_mentions=allowed)
            await sent.edit(content=text + " again", allowed_mentions=allowed)
            pinged[name] = [user.name for user in server.pinged_by(world.messages[sent.id])]
        assert pinged == {"none": [], "ada": ["ada"], "unset": ["ada", "bob"]}
        written = await server.person(scenario.bob).send(scenario.channel, "hello")
        reply = await channel.get_partial_message(written.id).reply("hi", mention_author=True)
        assert [user.name for user in server.pinged_by(world.messages[reply.id])] == ["bob"]


async def test_threads_are_created_with_or_without_a_message(server, run, scenario, make_bot):
    bot = make_bot()
    async with run(bot, sync=False):
        channel = bot.get_channel(scenario.channel.id)
        sent = await channel.send("a grid")
        thread = await sent.create_thread(name="about the grid")
        await thread.send("inside")
        assert thread.id == sent.id
        alone = await channel.create_thread(name="alone", type=discord.ChannelType.public_thread)
        await alone.send("inside")
        await alone.edit(archived=True)
        stored = server.world.channels[alone.id]
        assert (stored.parent_id, stored.archived) == (scenario.channel.id, True)
        assert [m.content for m in server.messages(stored)] == ["inside"]


@pytest.mark.parametrize(
    ("denied", "body", "code"),
    [
        (permissions.VIEW_CHANNEL, {"content": "x"}, 50001),
        (permissions.SEND_MESSAGES, {"content": "x"}, 50013),
        (permissions.EMBED_LINKS, {"embeds": [{"title": "x"}]}, 50013),
        (0, {}, 50006),
        (0, {"content": ""}, 50006),
    ],
)
async def test_a_rejected_message_has_discords_error_code(server, raw, world, scenario, denied, body, code):
    channel = world.add_channel(scenario.guild, "closed", bot_denied=denied)
    status, answer = await raw("POST", f"/channels/{channel.id}/messages", body)
    assert (status, answer["code"]) == (403 if code in (50001, 50013) else 400, code)


async def test_replies_need_the_history_and_a_parent(server, raw, world, scenario):
    hidden = world.add_channel(scenario.guild, "no-history", bot_denied=permissions.READ_MESSAGE_HISTORY)
    parent = await server.person(scenario.ada).send(hidden, "x")
    body = {"content": "x", "message_reference": {"message_id": str(parent.id)}}
    assert (await raw("POST", f"/channels/{hidden.id}/messages", body))[1]["code"] == 160002
    body["message_reference"]["message_id"] = "1"
    status, answer = await raw("POST", f"/channels/{scenario.channel.id}/messages", body)
    assert (status, answer["code"]) == (400, 50035)
    body["message_reference"]["fail_if_not_exists"] = False
    assert (await raw("POST", f"/channels/{scenario.channel.id}/messages", body))[0] == 200
    assert not server.violations


async def test_unknown_or_forbidden_targets_have_discords_error_code(server, raw, scenario):
    theirs = await server.person(scenario.ada).send(scenario.channel, "x")
    channel = scenario.channel.id
    tried = [
        (10003, "GET", "/channels/1"),
        (10008, "GET", f"/channels/{channel}/messages/1"),
        (50005, "PATCH", path(theirs), {"content": "y"}),
        (50013, "DELETE", path(theirs)),
        (10004, "GET", "/guilds/1"),
        (10013, "GET", "/users/1"),
        (10007, "GET", f"/guilds/{scenario.guild.id}/members/{server.world.application.owner_id}"),
        (10015, "POST", f"/webhooks/{server.world.application.id}/nonsense", {"content": "x"}),
        (10062, "POST", "/interactions/1/nonsense/callback", {"type": 5}),
        (50016, "POST", f"/channels/{channel}/messages/bulk-delete", {"messages": [str(theirs.id)]}),
    ]
    for code, *request in tried[:-1]:
        assert (await raw(*request))[1]["code"] == code, request
    server.world.add_member(
        server.world.bot, scenario.guild, server.world.add_role(scenario.guild, "m", permissions.MANAGE_MESSAGES)
    )
    server.openapi = None  # its own limit on the list would be checked first
    assert (await raw(*tried[-1][1:]))[1]["code"] == 50016


async def test_files_have_a_single_and_a_total_size_limit(server, run, world, scenario, make_bot):
    bot = make_bot()
    boosted = world.add_channel(world.add_guild("Boosted", scenario.ada, boost_level=2))

    def files(*sizes: int) -> list[discord.File]:
        return [discord.File(io.BytesIO(bytes(size)), f"{n}.bin") for n, size in enumerate(sizes)]

    mib = 1 << 20
    async with run(bot, sync=False):
        plain, large = bot.get_channel(scenario.channel.id), bot.get_channel(boosted.id)
        await plain.send(files=files(10 * mib))
        await large.send(files=files(11 * mib))
        for channel, sizes in ((plain, (10 * mib + 1,)), (plain, (9 * mib, 9 * mib, 9 * mib)), (large, (26 * mib,))):
            with pytest.raises(discord.HTTPException) as refused:
                await channel.send(files=files(*sizes))
            assert (refused.value.status, refused.value.code) == (413, 40005)


async def test_bulk_deletion_and_its_event(server, run, world, scenario, make_bot):
    world.add_member(world.bot, scenario.guild, world.add_role(scenario.guild, "mod", permissions.MANAGE_MESSAGES))
    bot = make_bot(discord.Intents(guilds=True, guild_messages=True))
    deleted = []
    bot.event(_collector("on_raw_bulk_message_delete", deleted))
    async with run(bot, sync=False):
        sent = [await server.person(scenario.ada).send(scenario.channel, str(n)) for n in range(3)]
        await bot.get_channel(scenario.channel.id).delete_messages([discord.Object(each.id) for each in sent[:2]])
        await bot.wait_for("raw_bulk_message_delete", timeout=TIMEOUT_S) if not deleted else None
        assert deleted[0].message_ids == {each.id for each in sent[:2]}
        assert server.messages(scenario.channel) == [sent[2]]


def _collector(name: str, into: list):
    async def collect(payload):
        into.append(payload)

    collect.__name__ = name
    return collect


async def test_links_to_files_are_signed_and_expire(server, raw, world, scenario):
    message = await server.person(scenario.ada).send(scenario.channel, "", UploadedFile("ä picture.txt", b"hello"))
    url = server.core.cdn_url(message.attachments[0])
    assert (await raw("GET", url)) == (200, "hello")
    assert (await raw("GET", url.replace("hm=", "hm=0")))[0] == 404
    world.clock.advance(24 * 3600 + 1)
    assert (await raw("GET", url))[0] == 404


async def test_users_are_limited_by_their_permissions(server, world, scenario):
    quiet = world.add_channel(scenario.guild, "quiet", everyone_denied=permissions.SEND_MESSAGES)
    bob = server.person(scenario.bob)
    with pytest.raises(UserActionError):
        await bob.send(quiet, "x")
    theirs = await server.person(scenario.ada).send(quiet, "the owner may")
    with pytest.raises(UserActionError):
        await bob.delete(theirs)
    await bob.react(theirs, "❌")
    await bob.unreact(theirs, "❌")
    assert theirs.reactions == []


async def test_responses_to_deleted_messages_or_channels_are_refused(server, run, scenario, make_bot):
    bot = make_bot()
    results, proceed = asyncio.Queue(), asyncio.Queue()

    @bot.tree.command(description="Draw")
    async def draw(interaction: discord.Interaction):
        await interaction.response.send_message("drawing")
        results.put_nowait(interaction)
        for attempt in (interaction.edit_original_response, interaction.followup.send):
            await proceed.get()
            with pytest.raises(discord.NotFound) as refused:
                await attempt(content="done")
            results.put_nowait(refused.value.code)

    async with run(bot):
        used = await server.person(scenario.ada).command("draw", scenario.channel)
        await results.get()
        await server.person(scenario.ada).delete(await used.message())
        proceed.put_nowait(None)
        assert await results.get() == 10008
        server.core.delete_channel(scenario.channel)
        proceed.put_nowait(None)
        assert await results.get() == 10003
