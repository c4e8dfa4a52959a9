"""🌳: a family tree shows what its viewer may see, and leaks nothing else."""

from __future__ import annotations

import io
import time
from dataclasses import replace

import pytest
from PIL import Image

from bot.images import family_tree
from bot.images.family_tree import Kind
from bot.jobs.deletion import delete_job
from cogs.together.family import Family, _tile_index, collect_family
from generation.job import Action, Requester
from generation.params import Tile
from preview import UploadedFile
from preview.state.world import walk_components
from tests.cogs.test_stealth import generate_stealth
from tests.support.bot_harness import first_tile, is_result, open_image, red_png
from tests.support.jobs import ADA, BEN, make_job


def options(message):
    """Return the values of the select below a tree: the ids of the pictures in it."""
    select = next(part for part in walk_components(message.components) if part["type"] == 3)
    return {option["value"] for option in select["options"]}


async def press(harness, user, message, label):
    """Press a button below a result, and return the next result."""
    known = {each.id for each in harness.results()}
    await harness.person(user).press(message, label)
    return await harness.server.wait_for(
        harness.channel, lambda each: is_result(each) and each.id not in known, description="a new result"
    )


async def wait_for_tree(harness, interaction):
    first = await interaction.message()
    return await harness.server.wait_for(
        harness.channel, lambda message: message.id == first.id and message.attachments, description="a tree"
    )


async def open_by_command(harness, user, job_id):
    return await wait_for_tree(harness, await harness.person(user).command("tree", harness.channel, picture=job_id))


async def test_three_generations_by_two_people(harness):
    ada, ben = harness.person(harness.ada), harness.person(harness.ben)
    async with harness.bot():
        await harness.imagine("a castle", harness.ada)
        grid = await harness.result(text="castle")
        second = await press(harness, harness.ben, grid, "V2")
        assert "🌳" not in second.content
        third = await press(harness, harness.ada, second, "V1")
        line = f"-# 🌳 3 generations · <@{harness.ada.id}> → <@{harness.ben.id}> → <@{harness.ada.id}>"
        assert line in third.content
        single = await press(harness, harness.ben, third, "U1")
        details = await (await ben.press(single, "Details")).message()
        tree = await wait_for_tree(harness, await ben.press(details, custom_id=f"tree:{first_tile(single).job_id}"))
        assert tree.ephemeral
        assert open_image(harness.server, tree).format == "PNG"
        assert options(tree) == {first_tile(each).job_id for each in (second, third, single)}
        walk = next(each["custom_id"] for each in tree.buttons if each["label"] == "Older")
        await ben.press(tree, custom_id=walk)
        tree = await harness.server.wait_for(
            harness.channel,
            lambda message: message.id == tree.id and any(each["label"] == "Younger" for each in message.buttons),
            description="the older pictures",
        )
        go = await ben.select(tree, first_tile(grid).job_id)
        assert f"/{grid.id}" in (await go.message()).content
        share = await wait_for_tree(harness, await ben.press(tree, "Share"))
        assert not share.ephemeral
        assert f"<@{harness.ben.id}>" in share.content
    async with harness.bot():  # its buttons work after a restart
        again = await wait_for_tree(harness, await ada.press(share, custom_id=share.buttons[0]["custom_id"]))
        assert again.ephemeral


async def test_the_tree_command_finds_a_picture_by_its_words(harness):
    async with harness.bot():
        await harness.imagine("a castle", harness.ada)
        await harness.result(text="castle")
        assert "1 picture" in (await open_by_command(harness, harness.ada, "castle")).content
        refused = await harness.person(harness.ben).command("tree", harness.channel, picture="castle")
        assert "no picture with this name" in (await refused.message()).content


async def test_a_private_picture_leaks_nothing_to_others(harness):
    async with harness.bot() as services:
        private_id = first_tile(await generate_stealth(harness, "a secret owl", harness.ada)).job_id
        await harness.imagine("a castle", harness.ada)
        public_id = first_tile(await harness.result(text="castle")).job_id
        await services.db.connection.write(
            "INSERT INTO lineage VALUES (:child, :parent, 0, 'source')", {"child": public_id, "parent": private_id}
        )
        tree = await open_by_command(harness, harness.ben, public_id)
        assert options(tree) == {public_id}
        own = await open_by_command(harness, harness.ada, public_id)
        assert options(own) == {public_id, private_id}
        share = await wait_for_tree(harness, await harness.person(harness.ada).press(own, "Share"))
        for message in (tree, share):
            assert private_id not in str(message.components)
            assert "owl" not in f"{message.content}{message.components}"
        refused = await harness.person(harness.ben).command("tree", harness.channel, picture=private_id)
        await harness.server.wait_for(
            harness.channel, lambda message: "no such picture" in message.content and message.ephemeral
        )
        assert refused


async def test_the_way_to_a_blend_has_no_empty_marks(harness):
    picture = UploadedFile("red.png", red_png(64, 64))
    async with harness.bot():
        await harness.person(harness.ada).command("blend", harness.channel, image1=picture, image2=picture)
        job_id = first_tile(await harness.result()).job_id
        tree = await open_by_command(harness, harness.ada, job_id)
        go = await (await harness.person(harness.ada).select(tree, job_id)).message()
        assert go.content.startswith("**(pictures)**\n")


async def test_a_tree_without_any_picture_left_is_refused_in_words(harness):
    async with harness.bot() as services:
        await harness.imagine("a castle", harness.ada)
        job_id = first_tile(await harness.result(text="castle")).job_id
        await delete_job(services, harness.client.delivery, await services.db.jobs.get(job_id))
        await harness.person(harness.ada).command("tree", harness.channel, picture=job_id)
        refused = await harness.server.wait_for(harness.channel, lambda message: "no such picture" in message.content)
        assert refused.ephemeral


async def test_a_picture_that_was_left_is_somebodys_everywhere(harness):
    ben = harness.person(harness.ben)
    async with harness.bot() as services:
        await harness.imagine("a castle", harness.ada)
        grid = await harness.result(text="castle")
        single = await press(harness, harness.ada, grid, "U1")
        for message in (grid, single):
            await services.db.personal_data.leave_job(first_tile(message).job_id)
        tree = await open_by_command(harness, harness.ben, first_tile(grid).job_id)
        names = [each["label"] for part in walk_components(tree.components) for each in part.get("options", [])]
        assert names == ["somebody", "somebody · picked"]
        shown = await (await ben.command("show", harness.channel, job=first_tile(single).job_id)).message()
        await harness.server.wait_until(lambda: "castle" in shown.content)
        assert "Image #1 somebody" in shown.content
        refused = await (await ben.press(shown, "Delete")).message()
        assert refused.content == "Only a moderator can do this."


# --- what is collected, without Discord's part in it


async def post(services, parent=None, requester=ADA, private=False, guild=1, **changes):
    """Store a posted job and return its id."""
    tile = None if parent is None else Tile(parent, 1)
    params = replace(make_job().params, source=tile)
    job = make_job(**({"parent": tile, "params": params, "requester": requester} | changes))
    job = replace(job, destination=replace(job.destination, private=private, guild_id=guild))
    await services.db.jobs.add_job(job)
    await services.db.jobs.mark_running(job.id)
    await services.db.jobs.mark_generated(job.id, "png")
    await services.db.jobs.mark_posted(job.id, int(job.id, 16))
    return job.id


@pytest.fixture
async def services(harness):
    async with harness.bot() as services:
        yield services


async def family_of(services, asked, viewer=ADA, focus=None) -> Family:
    def can_view(job):
        return job.requester == viewer or (not job.destination.private and job.destination.guild_id == 1)

    return await collect_family(services, can_view, asked, focus or asked, show_sensitive=True)


def kinds(family):
    return sorted(family.kinds.values())


async def test_a_blend_has_two_parents(services):
    first, second = await post(services), await post(services)
    params = replace(make_job().params, source=Tile(first, 0), blended=(Tile(second, 3),))
    blend = await post(services, params=params, action=Action.BLEND)
    family = await family_of(services, blend)
    assert {edge.parent_job for edge in family.edges} == {first, second}


async def test_private_children_are_one_lock_however_many_they_are(services):
    castle = await post(services)
    await post(services, castle, BEN, private=True)
    one = await family_of(services, castle)
    for _ in range(12):
        await post(services, castle, BEN, private=True)
    many = await family_of(services, castle)
    assert kinds(one) == kinds(many) == [Kind.LOCKED, Kind.PICTURE]
    assert one.left_out == many.left_out == {}
    assert set(many.records) == {castle}


async def test_nothing_is_shown_beyond_a_lock(services):
    castle = await post(services, requester=Requester(33, "cy"))
    private = await post(services, castle, BEN, private=True)
    child = await post(services, private)
    assert set((await family_of(services, child)).records) == {child}
    assert set((await family_of(services, castle)).records) == {castle}
    assert set((await family_of(services, child, BEN)).records) == {child, private, castle}


async def test_children_in_another_server_are_not_even_a_lock(services):
    castle = await post(services)
    await post(services, castle, BEN, guild=2)
    assert kinds(await family_of(services, castle)) == [Kind.PICTURE]


async def test_a_deleted_picture_in_the_middle_is_an_empty_frame(services):
    castle = await post(services)
    middle = await post(services, castle, BEN)
    child = await post(services, middle)
    for erase in (services.db.jobs.mark_deleted, services.db.personal_data.erase_job):
        await erase(middle)
        family = await family_of(services, child)
        assert family.kinds == {child: Kind.PICTURE, middle: Kind.EMPTY, castle: Kind.PICTURE}
        assert len(family.edges) == 2
        assert set((await family_of(services, castle)).kinds.values()) == {Kind.PICTURE, Kind.EMPTY}


async def test_at_most_eight_in_a_row_and_the_rest_is_counted(services):
    castle = await post(services)
    children = [await post(services, castle) for _ in range(20)]
    family = await family_of(services, castle)
    assert len(family.records) == 9
    assert family.left_out == {castle: 12}
    from_child = await family_of(services, children[0])
    assert children[0] in from_child.records
    assert len(from_child.kinds) <= family_tree.MAX_NODES


async def test_the_way_down_leads_back_to_the_asked_picture(services):
    castle = await post(services)
    middle = await post(services, castle)
    asked = await post(services, middle)
    await post(services, castle)  # a newer child
    family = await family_of(services, asked, focus=castle)
    assert (family.older(), family.younger()) == (None, middle)


async def test_a_family_of_ten_thousand_answers_at_once(services):
    castle = await post(services)
    (row,) = await services.db.connection.fetch_all("SELECT * FROM jobs WHERE id = :id", {"id": castle})
    names = ", ".join(set(row.keys()) - {"id", "parent_job"})
    sql = f"""INSERT INTO jobs (id, parent_job, {names})
              WITH RECURSIVE members (member) AS
                  (SELECT :first UNION ALL SELECT member + 1 FROM members WHERE member < :last)
              SELECT printf('%012x', member), id, {names} FROM members JOIN jobs ON id = :parent"""
    assert await services.db.connection.write(sql, {"first": 1, "last": 10, "parent": castle}) == 10
    of_ten = await seconds_of_family(services, castle)
    assert await services.db.connection.write(sql, {"first": 11, "last": 10_000, "parent": castle}) == 9990
    assert await seconds_of_family(services, castle) < 30 * of_ten, "for a thousand times as many"
    assert len((await family_of(services, castle)).records) == 9


async def seconds_of_family(services, castle) -> float:
    taken = []
    for _ in range(3):
        started = time.process_time()
        await family_of(services, castle)
        taken.append(time.process_time() - started)
    return min(taken)


async def test_the_thumbnail_is_the_tile_that_the_child_came_from(services):
    castle = await post(services)
    child = await post(services, castle)
    family = await family_of(services, child)
    assert _tile_index(family, castle) == 1
    assert _tile_index(family, child) is None


def test_the_picture_of_a_large_tree_fits_into_a_message():
    nodes = [family_tree.Node(id=str(number), name="somebody") for number in range(40)]
    rows = [[node.id for node in nodes[start : start + 8]] for start in range(0, 40, 8)]
    picture = family_tree.draw_tree(nodes, family_tree.lay_out(rows, [], {}), {})
    assert len(picture) < 10 * 2**20
    assert Image.open(io.BytesIO(picture)).format == "PNG"
