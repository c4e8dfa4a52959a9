"""The permission matrix: each page, its data, thumbnails and files show a picture to whom may see it, now."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import zipfile

import pytest
from PIL import Image

from bot.policy.settings import GuildSettings, to_dict
from db.guilds import AuditEntry
from generation.params import Tile
from preview.state import payloads, permissions
from preview.state.core import GUILDS
from preview.state.world import Overwrite
from tests.support.gallery import open_gallery
from tests.support.sessions import block

PROMPT = "a mosaic fox --seed 7"


async def surfaces(visitor, guild_id, tile, sessions=None):
    """Return by name whether each part of the gallery gives a picture away."""
    at, job = f"{tile.job_id}-{tile.index}", tile.job_id
    found = {}
    for name, path, query in (
        ("newest", "/api/pictures", {"guild": str(guild_id)}),
        ("search", "/api/pictures", {"guild": str(guild_id), "q": "fox"}),
        ("filters", "/api/pictures", {"guild": str(guild_id), "q": "by:ada since:1d"}),
        ("picture", f"/api/pictures/{at}", {}),
        ("tree", f"/api/tree/{job}", {}),
        ("like", f"/api/like/{at}", {}),
        ("thumbnail", f"/thumbnails/{at}.webp", {}),
        ("file", f"/pictures/{at}.png", {}),
        ("cached file", f"/pictures/{at}.png", {}),
    ):
        headers = {"If-None-Match": ETAGS.get(tile, "")} if name == "cached file" else {}
        answer = await visitor.get(path, params=query, headers=headers)
        if path == "/api/pictures":
            found[name] = answer.status == 200 and job in answer.text
        else:
            found[name] = answer.status in (200, 304)
    found["zip"] = await in_zip(visitor, at)
    found["find"] = job in (await visitor.post(f"/api/find?guild={guild_id}", data=copy_of(tile))).text
    liked = await visitor.post("/api/favourite", data=json.dumps({"tile": at, "on": True}))
    found["favourite"] = liked.status == 200
    for kind, session_id in (sessions or {}).items():
        search = await visitor.get("/api/pictures", params={"guild": str(guild_id), "q": f"{kind}:sea"})
        found[f"{kind}:"] = job in search.text
        listed = await visitor.get(f"/api/sessions/{kind}", params={"guild": str(guild_id)})
        found[f"list of {kind}"] = job in listed.text
        found[kind] = job in (await visitor.get(f"/api/sessions/{kind}/{session_id}")).text
    if sessions:
        found["families"] = job in (await visitor.get("/api/families", params={"guild": str(guild_id)})).text
    if visitor.csrf:
        mine = await visitor.json("/api/mine", kind="favourites")
        found["favourites"] = job in json.dumps(mine)
    return found


async def in_zip(visitor, at):
    answer = await visitor.post("/zip", data={"tiles": at, "csrf": visitor.csrf})
    if answer.status != 200:
        return False
    names = zipfile.ZipFile(io.BytesIO(answer.body)).namelist()
    return any(at in name for name in names)


COPIES, ETAGS = {}, {}


def copy_of(tile):
    return COPIES[tile]


async def remember_copy(gallery, tile):
    data = await gallery.services.images.files.read(tile)
    file = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(file, "PNG")
    COPIES[tile] = file.getvalue()
    ETAGS[tile] = f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'


def send_update(harness, channel):
    """Tell the bot of a changed channel, whether it may view it or not."""
    core = harness.server.core
    core.send_event("CHANNEL_UPDATE", payloads.channel(core, channel), guild_id=channel.guild_id, intent=GUILDS)


def deny(harness, channel, whose, kind):
    channel.overwrites.append(Overwrite(whose, kind, deny=permissions.VIEW_CHANNEL))
    send_update(harness, channel)


async def configure(gallery, **settings):
    guild_id = gallery.harness.guild.id
    entry = AuditEntry(guild_id=guild_id, person_id=1, act="settings", details="x", at=1.0)
    known = await gallery.services.db.guilds.settings(guild_id)
    values = to_dict(GuildSettings(**settings))
    assert await gallery.services.db.guilds.set_settings(entry, values, known.version)


async def nothing(gallery, tile):
    pass


async def hide_channel(gallery, tile):
    deny(gallery.harness, gallery.harness.channel, gallery.harness.guild.id, 0)
    bot = gallery.harness.server.world.application.bot_id
    gallery.harness.channel.overwrites.append(Overwrite(bot, 1, allow=permissions.VIEW_CHANNEL))
    send_update(gallery.harness, gallery.harness.channel)


async def hide_history(gallery, tile):
    """Who may not read earlier messages does not see this one in Discord either."""
    harness = gallery.harness
    harness.channel.overwrites.append(Overwrite(harness.guild.id, 0, deny=permissions.READ_MESSAGE_HISTORY))
    send_update(harness, harness.channel)


async def hide_from_bot(gallery, tile):
    deny(gallery.harness, gallery.harness.channel, gallery.harness.server.world.application.bot_id, 1)


async def lose_role(gallery, tile):
    """Ben may view the channel only by a role, and loses it."""
    harness, world = gallery.harness, gallery.harness.server.world
    role = world.add_role(harness.guild, "patron")
    core = harness.server.core
    data = {"guild_id": str(harness.guild.id), "role": payloads.role(role)}
    core.send_event("GUILD_ROLE_CREATE", data, guild_id=harness.guild.id, intent=GUILDS)
    harness.channel.overwrites.append(Overwrite(role.id, 0, allow=permissions.VIEW_CHANNEL))
    await hide_channel(gallery, tile)
    member = harness.guild.members[harness.ben.id]
    member.role_ids.append(role.id)
    gallery.server.viewers.forget(harness.ben.id)
    async with gallery.visitor() as ben:
        await ben.log_in(harness.ben)
        assert (await ben.get(f"/thumbnails/{tile}.webp")).status == 200
    member.role_ids.remove(role.id)


async def leave_guild(gallery, tile):
    del gallery.harness.guild.members[gallery.harness.ben.id]


async def block_visitor(gallery, tile):
    await block(gallery.services, gallery.harness, gallery.harness.ben)


async def block_author(gallery, tile):
    await block(gallery.services, gallery.harness, gallery.harness.ada)


async def delete(gallery, tile):
    await gallery.services.db.jobs.mark_deleted(tile.job_id)


async def delete_channel(gallery, tile):
    gallery.harness.server.core.delete_channel(gallery.harness.channel)


async def switch_off(gallery, tile):
    await configure(gallery, gallery_pages=False)


async def leave_out_channel(gallery, tile):
    await configure(gallery, gallery_hidden=(gallery.harness.channel.id,))


CASES = {
    "a member": (nothing, True),
    "hidden channel": (hide_channel, False),
    "hidden history": (hide_history, False),
    "obfuscated channel": (hide_from_bot, False),
    "role lost": (lose_role, False),
    "left the server": (leave_guild, False),
    "blocked visitor": (block_visitor, False),
    "blocked author": (block_author, False),
    "deleted picture": (delete, False),
    "deleted channel": (delete_channel, False),
    "gallery off": (switch_off, False),
    "channel left out": (leave_out_channel, False),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_picture_is_shown_to_whom_may_see_it_now(harness, case):
    change, visible = CASES[case]
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        tile, _ = await gallery.draw(PROMPT)
        child, _ = await gallery.draw("its child")
        sessions = await gallery.store_sessions(tile, child)
        await remember_copy(gallery, tile)
        await ben.log_in(harness.ben)
        await change(gallery, tile)
        await settle(gallery)
        found = await surfaces(ben, harness.guild.id, tile, sessions)
    assert found == dict.fromkeys(found, visible)


async def settle(gallery):
    """Let the bot read the events that were sent, and ask Discord again for members, as it does after five minutes."""
    await asyncio.sleep(0.2)
    gallery.server.viewers.forget(gallery.harness.ben.id)


@pytest.mark.parametrize("kind", ["private", "private thread", "direct message", "stranger's server"])
async def test_what_is_not_public_is_shown_to_its_owner_only(harness, kind):
    async with open_gallery(harness) as gallery, gallery.visitor() as ada, gallery.visitor() as ben:
        channel, prompt = harness.channel, PROMPT
        if kind == "private":
            prompt += " --stealth"
        if kind == "private thread":
            channel = harness.server.world.add_thread(channel, "secret", owner=harness.ada, private=True)
            harness.server.core.dispatch_channel(channel, "CREATE")
        if kind == "direct message":
            channel = harness.server.world.dm_channel(harness.ada)
        if kind == "stranger's server":
            other = harness.server.world.add_guild("Elsewhere", harness.ada)
            channel = harness.server.world.add_channel(other)
            harness.server.core.join_guild(other)
        tile, _ = await gallery.draw(prompt, channel=channel)
        await remember_copy(gallery, tile)
        await ada.log_in(harness.ada)
        await ben.log_in(harness.ben)
        foreign = await surfaces(ben, channel.guild_id or harness.guild.id, tile)
        own = await surfaces(ada, harness.guild.id, tile)
    assert foreign == dict.fromkeys(foreign, False)
    lists = {"newest", "search", "filters"}  # of the server, where it is not
    assert {name for name, shown in own.items() if not shown} <= lists


async def test_a_public_thread_is_shown_like_its_channel(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        thread = harness.server.world.add_thread(harness.channel, "foxes", owner=harness.ada)
        harness.server.core.dispatch_channel(thread, "CREATE")
        tile, _ = await gallery.draw(PROMPT, channel=thread)
        await remember_copy(gallery, tile)
        await ben.log_in(harness.ben)
        assert set((await surfaces(ben, harness.guild.id, tile)).values()) == {True}
        harness.server.core.delete_channel(thread)
        await settle(gallery)
        found = await surfaces(ben, harness.guild.id, tile)
        assert found == dict.fromkeys(found, False)


async def test_without_a_login_only_what_everybody_sees_is_shown(harness):
    async with open_gallery(harness, login=False) as gallery, gallery.visitor() as host:
        tile, _ = await gallery.draw(PROMPT)
        child, _ = await gallery.draw("its child")
        sessions = await gallery.store_sessions(tile, child)
        private, _ = await gallery.draw(f"{PROMPT} --stealth")
        for each in (tile, private):
            await remember_copy(gallery, each)
        expected = {"favourite": False}
        shown = await surfaces(host, harness.guild.id, tile, sessions)
        assert shown == dict.fromkeys(shown, True) | expected
        hidden = await surfaces(host, harness.guild.id, private)
        assert hidden == dict.fromkeys(hidden, False)
        deny(harness, harness.channel, harness.guild.id, 0)
        await settle(gallery)
        shown = await surfaces(host, harness.guild.id, tile, sessions)
        assert shown == dict.fromkeys(shown, False)


async def test_with_a_login_nobody_else_sees_anything(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as nobody:
        tile, _ = await gallery.draw(PROMPT)
        await remember_copy(gallery, tile)
        sessions = await gallery.store_sessions(tile, tile)
        found = await surfaces(nobody, harness.guild.id, tile, sessions)
        assert found == dict.fromkeys(found, False)
        assert (await nobody.json("/api/me"))["guilds"] == []


async def test_sensitive_pictures_are_covered_or_left_out(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        tile, _ = await gallery.draw("a naked mosaic fox")
        await remember_copy(gallery, tile)
        await ben.log_in(harness.ben)
        assert (await ben.json(f"/api/pictures/{tile}"))["blurred"]
        await configure(gallery, sensitive="withhold")
        found = await surfaces(ben, harness.guild.id, tile)
        assert found == dict.fromkeys(found, False)


async def test_names_are_left_out_where_the_owners_say_so(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        tile, _ = await gallery.draw(PROMPT)
        await ben.log_in(harness.ben)
        assert (await ben.json(f"/api/pictures/{tile}"))["author"] == "ada"
        await configure(gallery, gallery_names=False)
        assert "ada" not in json.dumps(await ben.json(f"/api/pictures/{tile}"))
        listed = await ben.json("/api/pictures", guild=str(harness.guild.id))
        assert "ada" not in json.dumps(listed)


async def test_a_tile_that_does_not_exist_is_not_found(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        tile, _ = await gallery.draw("a picked fox --seed 3")
        await ben.log_in(harness.ben)
        assert (await ben.get(f"/thumbnails/{Tile('0' * 12, 0)}.webp")).status == 404
        assert (await ben.get(f"/api/pictures/{tile}")).status == 200
