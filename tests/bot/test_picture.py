"""One picture's message: which buttons it has, and what those do that make no other picture."""

from __future__ import annotations

import pytest

from generation.params import Tile
from preview.state import permissions
from tests.bot.conftest import picture, tile_of

ALL = [
    *("Upscale (Subtle)", "Upscale (Creative)", "Upscale (4×)"),
    *("Vary (Subtle)", "Vary (Strong)", "Vary (Region)"),
    *("Zoom Out 2×", "Zoom Out 1.5×", "Custom Zoom", "Make Square"),
    *("⬅️", "➡️", "⬆️", "⬇️"),
    *("❤️", "Remix", "Details", "Delete"),
]


async def pick(stage, prompt="a fox", user=None, label="U1"):
    """Ask for a grid and pick a tile of it."""
    await stage.imagine(prompt, user)
    await stage.person(user or stage.ada).press(await stage.result(), label)
    return await stage.result(text=f"Image #{label[1]}")


async def test_a_picture_has_every_button_that_is_possible(stage):
    async with stage.bot():
        assert (await pick(stage, "a fox --ar 2:1")).labels == ALL


@pytest.mark.parametrize(
    ("prompt", "lacks"),
    [("a fox", {"Make Square"}), ("a fox --tile", {"Vary (Region)", *ALL[6:14]})],
)
async def test_what_is_not_possible_is_not_offered(stage, prompt, lacks):
    async with stage.bot():
        assert (await pick(stage, prompt)).labels == [label for label in ALL if label not in lacks]


@pytest.mark.parametrize(
    ("label", "says", "size"),
    [
        ("Upscale (Subtle)", "Upscaled (Subtle) by", (176, 96)),
        ("Upscale (Creative)", "Upscaled (Creative) by", (176, 96)),
        ("Upscale (4×)", "Upscaled (Creative, 4×) by", (352, 192)),
        ("Vary (Subtle)", "Variations (Subtle)", (176, 96)),
        ("Vary (Strong)", "Variations (Strong)", (176, 96)),
        ("Zoom Out 2×", "Zoom Out (2×) by", (176, 96)),
        ("Zoom Out 1.5×", "Zoom Out (1.5×) by", (176, 96)),
        ("Make Square", "Made square by", (176, 176)),
        ("⬅️", "Pan Left by", (256, 96)),
        ("➡️", "Pan Right by", (256, 96)),
        ("⬆️", "Pan Up by", (176, 144)),
        ("⬇️", "Pan Down by", (176, 144)),
    ],
)
async def test_each_button_posts_its_result_as_a_reply_for_who_pressed(stage, label, says, size):
    async with stage.bot():
        parent = await pick(stage, "a fox --ar 2:1")
        await stage.person(stage.ben).press(parent, label)
        result = await stage.result(text=says)
    assert picture(stage.server, result).size == size
    assert result.reference["message_id"] == str(parent.id)
    assert stage.server.pinged_by(result) == [stage.ben]
    assert f"after a picture by <@{stage.ada.id}>" in result.content


async def test_a_creative_upscale_can_be_drawn_again_and_a_picked_picture_cannot(stage):
    async with stage.bot():
        picked = await pick(stage)
        await stage.person(stage.ada).press(picked, "Upscale (Creative)")
        large = await stage.result(text="Upscaled (Creative)")
        await stage.person(stage.ada).press(large, "🔄")
        await stage.result(text="Drawn again")
    assert "🔄" not in picked.labels


async def test_a_button_for_what_this_picture_cannot_be_used_for_says_so(stage):
    async with stage.bot():
        picked = await pick(stage)
        picked.buttons[0]["custom_id"] = picked.buttons[0]["custom_id"].replace("upscale", "make_square")
        answer = await (await stage.person(stage.ada).press(picked, "Upscale (Subtle)")).message()
    assert answer.ephemeral
    assert "cannot be done with this picture" in answer.content


async def test_details_tell_everything_and_lead_back_to_where_it_came_from(stage):
    async with stage.bot():
        await stage.imagine("a red fox --seed 5 --steps 3")
        grid = await stage.result()
        await stage.person(stage.ben).press(grid, "V2")
        varied = await stage.result(text="Variations")
        await stage.person(stage.ada).press(varied, "U3")
        picked = await stage.result(text="Image #3")
        answer = await (await stage.person(stage.mod).press(picked, "Details")).message()
    assert answer.ephemeral
    seed = (await_seed := answer.content.partition("--seed ")[2]).split()[0]
    assert f"```\na red fox --steps 3 --seed {seed}\n```" in answer.content, await_seed
    for fact in (
        f"Image #3 <@{stage.ada.id}>",
        f"Job `{tile_of(picked).job_id}`",
        "64 × 64 · Painter",
        f"Variations (Strong) of image #2 by <@{stage.ben.id}>",
        f"https://discord.com/channels/{stage.guild.id}/{stage.channel.id}/{varied.id}",
        f"https://discord.com/channels/{stage.guild.id}/{stage.channel.id}/{grid.id}",
    ):
        assert fact in answer.content
    assert stage.server.pinged_by(answer) == []


async def test_the_details_of_a_long_prompt_bring_it_as_a_file(stage):
    async with stage.bot():
        picked = await pick(stage, "fox " * 1200 + "--seed 4")
        answer = await (await stage.person(stage.ada).press(picked, "Details")).message()
    text = stage.server.core.files.get(answer.attachments[0].id).decode()
    assert text == ("fox " * 1200 + "--seed 4")


async def test_a_long_line_of_ancestors_is_cut(stage):
    async with stage.bot():
        await stage.imagine("a fox")
        newest = await stage.result()
        for number in range(2, 8):
            await stage.person(stage.ada).press(newest, "V1")
            await stage.server.wait_until(lambda number=number: len(stage.results()) == number, 20)
            newest = stage.results()[-1]
        await stage.person(stage.ada).press(newest, "U1")
        answer = await (await stage.person(stage.ada).press(await stage.result(text="Image #1"), "Details")).message()
    assert answer.content.count("↳") == 5


async def test_a_heart_is_kept_and_taken_back(stage):
    async with stage.bot() as studio:
        picked = await pick(stage)
        person = stage.person(stage.ben)
        kept = await (await person.press(picked, "❤️")).message()
        assert [found.job_id for found in await studio.search.favourites(stage.ben.id, "")] == [tile_of(picked).job_id]
        gone = await (await person.press(picked, "❤️")).message()
        assert await studio.search.favourites(stage.ben.id, "") == []
    assert kept.ephemeral
    assert gone.ephemeral
    assert "among your favourites now" in kept.content
    assert "no longer" in gone.content


async def test_a_heart_is_taken_back_also_when_the_picture_has_gone(stage):
    async with stage.bot() as studio:
        picked = await pick(stage)
        person = stage.person(stage.ben)
        await (await person.press(picked, "❤️")).message()
        await studio.images.delete(tile_of(picked).job_id)
        gone = await (await person.press(picked, "❤️")).message()
        assert "no longer" in gone.content
        refused = await (await person.press(picked, "❤️")).message()
        assert "not kept any more" in refused.content
        assert await studio.search.favourites(stage.ben.id, "") == []


async def delete(stage, user, message):
    """Press Delete and confirm."""
    asked = await stage.person(user).press(message, "Delete")
    return await stage.person(user).submit_modal(asked)


async def test_deleting_takes_message_and_files_away_and_leaves_what_was_made_from_it(stage):
    async with stage.bot() as studio:
        await stage.imagine("a fox")
        grid = await stage.result()
        await stage.person(stage.ada).press(grid, "U1")
        picked = await stage.result(text="Image #1")
        await stage.person(stage.ada).press(picked, "Upscale (Subtle)")
        large = await stage.result(text="Upscaled")
        said = await (await delete(stage, stage.ada, picked)).followup()
        assert said.ephemeral
        assert picked.deleted
        tile = tile_of(picked)
        assert not studio.images.path(tile).exists()
        assert not studio.images.grid_path(tile.job_id, "png").exists()
        assert await studio.search.by_prompt(stage.ada.id, tile.job_id) == []
        assert studio.images.path(tile_of(large)).exists()
        await stage.person(stage.ada).press(large, "Vary (Subtle)")
        await stage.result(text="Variations")
        await stage.person(stage.ada).press(grid, "U1")
        await stage.server.wait_until(lambda: len(stage.results()) == 4, 20)


async def test_deleting_where_it_was_shown_again_takes_the_first_message_away_too(stage):
    async with stage.bot() as studio:
        picked = await pick(stage)
        tile = tile_of(picked)
        again = await (await stage.person(stage.ada).command("show", stage.channel, job=tile.job_id)).message()
        await (await delete(stage, stage.ada, again)).followup()
        assert again.deleted
        assert picked.deleted
        assert not studio.images.path(tile).exists()


async def test_two_who_delete_at_once_are_both_told_that_it_is_gone(stage):
    async with stage.bot():
        picked = await pick(stage)
        forms = [await stage.person(stage.ada).press(picked, "Delete") for _ in range(2)]
        sent = [await stage.person(stage.ada).submit_modal(form) for form in forms]
        for each in sent:
            assert "deleted" in (await each.followup()).content


async def test_a_moderator_deletes_and_somebody_else_may_not(stage):
    async with stage.bot():
        picked = await pick(stage)
        refused = await (await stage.person(stage.ben).press(picked, "Delete")).message()
        assert refused.ephemeral
        assert f"Only <@{stage.ada.id}> or a moderator" in refused.content
        role = stage.server.world.add_role(stage.guild, "mods", permissions.MANAGE_MESSAGES)
        stage.guild.members[stage.ben.id].role_ids.append(role.id)
        await (await delete(stage, stage.ben, picked)).followup()
        assert picked.deleted


async def test_a_picture_is_deleted_in_a_foreign_server_long_after(stage):
    eve = stage.server.world.add_user("eve", installed=True)
    channel = stage.server.world.add_channel(stage.server.world.add_guild("Elsewhere", eve, bot=False))
    async with stage.bot() as studio:
        await stage.imagine("a fox", eve, channel)
        await stage.person(eve).press(await stage.result(channel=channel), "U1")
        picked = await stage.result(text="Image #1", channel=channel)
        stage.server.world.clock.advance(16 * 60)
        await (await delete(stage, eve, picked)).followup()
        assert picked.deleted
        assert not studio.images.path(tile_of(picked)).exists()


async def test_a_deletion_asked_for_before_a_restart_is_confirmed_after_it(stage):
    async with stage.bot():
        picked = await pick(stage)
        asked = await stage.person(stage.ada).press(picked, "Delete")
        await asked.modal()
    async with stage.bot() as studio:
        await (await stage.person(stage.ada).submit_modal(asked)).followup()
        assert picked.deleted
        assert not studio.images.path(Tile(tile_of(picked).job_id, 0)).exists()
