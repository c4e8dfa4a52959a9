"""A single image: its buttons, and those that submit no job."""

from __future__ import annotations

import pytest

from generation.params import Tile
from preview.state import permissions
from tests.support.bot_harness import first_tile, open_image

ALL_BUTTONS = [
    *("Upscale (Subtle)", "Upscale (Creative)", "Upscale (4×)", "Clean up"),
    *("Vary (Subtle)", "Vary (Strong)", "Vary (Region)", "Edit words"),
    *("Zoom Out 2×", "Zoom Out 1.5×", "Custom Zoom", "Make Square", "Animate"),
    *("⬅️", "➡️", "⬆️", "⬇️"),
    *("❤️", "Remix", "Details", "Delete"),
]


async def pick(harness, prompt="a fox", user=None, label="U1"):
    """Generate a grid and pick one of its tiles."""
    await harness.imagine(prompt, user)
    await harness.person(user or harness.ada).press(await harness.result(), label)
    return await harness.result(text=f"Image #{label[1]}")


async def test_an_image_has_every_available_button(harness):
    async with harness.bot():
        assert (await pick(harness, "a fox --ar 2:1")).labels == ALL_BUTTONS


@pytest.mark.parametrize(
    ("prompt", "lacks"),
    [("a fox", {"Make Square"}), ("a fox --tile", {"Vary (Region)", *ALL_BUTTONS[8:17]})],
)
async def test_unavailable_buttons_are_not_shown(harness, prompt, lacks):
    async with harness.bot():
        assert (await pick(harness, prompt)).labels == [label for label in ALL_BUTTONS if label not in lacks]


BUTTONS = (
    ("Upscale (Subtle)", "Upscaled (Subtle) by", (176, 96)),
    ("Upscale (Creative)", "Upscaled (Creative) by", (176, 96)),
    ("Upscale (4×)", "Upscaled (Creative, 4×) by", (352, 192)),
    ("Clean up", "Cleaned up by", (88, 48)),
    ("Vary (Subtle)", "Variations (Subtle)", (176, 96)),
    ("Vary (Strong)", "Variations (Strong)", (176, 96)),
    ("Zoom Out 2×", "Zoom Out (2×) by", (176, 96)),
    ("Zoom Out 1.5×", "Zoom Out (1.5×) by", (176, 96)),
    ("Make Square", "Made square by", (176, 176)),
    ("⬅️", "Pan Left by", (256, 96)),
    ("➡️", "Pan Right by", (256, 96)),
    ("⬆️", "Pan Up by", (176, 144)),
    ("⬇️", "Pan Down by", (176, 144)),
)


async def test_each_button_posts_a_reply_owned_by_the_user_who_pressed(harness):
    async with harness.bot():
        parent = await pick(harness, "a fox --ar 2:1")
        for label, says, size in BUTTONS:
            await harness.person(harness.ben).press(parent, label)
            result = await harness.result(text=says)
            assert open_image(harness.server, result).size == size, label
            assert result.reference["message_id"] == str(parent.id), label
            assert harness.server.pinged_by(result) == [harness.ben], label
            assert f"after a picture by <@{harness.ada.id}>" in result.content, label


async def test_a_creative_upscale_has_a_reroll_and_a_picked_image_not(harness):
    async with harness.bot():
        picked = await pick(harness)
        await harness.person(harness.ada).press(picked, "Upscale (Creative)")
        large = await harness.result(text="Upscaled (Creative)")
        await harness.person(harness.ada).press(large, "🔄")
        await harness.result(text="Rerolled")
    assert "🔄" not in picked.labels


async def test_a_button_that_the_image_does_not_support_is_explained(harness):
    async with harness.bot():
        picked = await pick(harness)
        picked.buttons[0]["custom_id"] = picked.buttons[0]["custom_id"].replace("upscale", "make_square")
        answer = await (await harness.person(harness.ada).press(picked, "Upscale (Subtle)")).message()
    assert answer.ephemeral
    assert "cannot be done with this picture" in answer.content


async def test_details_show_everything_and_link_to_the_ancestors(harness):
    async with harness.bot():
        await harness.imagine("a red fox --seed 5 --steps 3")
        grid = await harness.result()
        await harness.person(harness.ben).press(grid, "V2")
        varied = await harness.result(text="Variations")
        await harness.person(harness.ada).press(varied, "U3")
        picked = await harness.result(text="Image #3")
        answer = await (await harness.person(harness.mod).press(picked, "Details")).message()
    assert answer.ephemeral
    seed = (await_seed := answer.content.partition("--seed ")[2]).split()[0]
    assert f"```\na red fox --steps 3 --seed {seed}\n```" in answer.content, await_seed
    for fact in (
        f"Image #3 <@{harness.ada.id}>",
        f"Job `{first_tile(picked).job_id}`",
        "64 × 64 · Painter",
        f"Variations (Strong) by <@{harness.ben.id}>",
        f"https://discord.com/channels/{harness.guild.id}/{harness.channel.id}/{varied.id}",
        f"https://discord.com/channels/{harness.guild.id}/{harness.channel.id}/{grid.id}",
    ):
        assert fact in answer.content
    assert harness.server.pinged_by(answer) == []


async def test_the_details_of_a_long_prompt_have_it_as_a_file(harness):
    async with harness.bot():
        picked = await pick(harness, "fox " * 1200 + "--seed 4")
        answer = await (await harness.person(harness.ada).press(picked, "Details")).message()
    text = harness.server.core.files.get(answer.attachments[0].id).decode()
    assert text == ("fox " * 1200 + "--seed 4")


async def test_a_long_list_of_ancestors_is_cut(harness):
    async with harness.bot():
        await harness.imagine("a fox")
        newest = await harness.result()
        for number in range(2, 8):
            await harness.person(harness.ada).press(newest, "V1")
            await harness.server.wait_until(lambda number=number: len(harness.results()) == number)
            newest = harness.results()[-1]
        await harness.person(harness.ada).press(newest, "U1")
        answer = await (
            await harness.person(harness.ada).press(await harness.result(text="Image #1"), "Details")
        ).message()
    assert answer.content.count("↳") == 5


async def test_a_heart_is_added_and_removed(harness):
    async with harness.bot() as services:
        picked = await pick(harness)
        person = harness.person(harness.ben)
        kept = await (await person.press(picked, "❤️")).message()
        assert [found.job_id for found in await services.db.search.favourites(harness.ben.id, "")] == [
            first_tile(picked).job_id
        ]
        gone = await (await person.press(picked, "❤️")).message()
        assert await services.db.search.favourites(harness.ben.id, "") == []
    assert kept.ephemeral
    assert gone.ephemeral
    assert "Added to your favourites" in kept.content
    assert "Removed from your favourites" in gone.content


async def test_a_heart_is_removed_even_when_the_image_is_deleted(harness):
    async with harness.bot() as services:
        picked = await pick(harness)
        person = harness.person(harness.ben)
        await (await person.press(picked, "❤️")).message()
        await services.images.files.delete(first_tile(picked).job_id)
        gone = await (await person.press(picked, "❤️")).message()
        assert "Removed from your favourites" in gone.content
        refused = await (await person.press(picked, "❤️")).message()
        assert "not kept any more" in refused.content
        assert await services.db.search.favourites(harness.ben.id, "") == []


async def delete(harness, user, message):
    """Press Delete and confirm."""
    asked = await harness.person(user).press(message, "Delete")
    return await harness.person(user).submit_modal(asked)


async def test_deleting_removes_message_and_files_but_keeps_derived_images(harness):
    async with harness.bot() as services:
        await harness.imagine("a fox")
        grid = await harness.result()
        await harness.person(harness.ada).press(grid, "U1")
        picked = await harness.result(text="Image #1")
        await harness.person(harness.ada).press(picked, "Upscale (Subtle)")
        large = await harness.result(text="Upscaled")
        said = await (await delete(harness, harness.ada, picked)).followup()
        assert said.ephemeral
        assert picked.deleted
        tile = first_tile(picked)
        assert not services.images.files.path(tile).exists()
        assert not services.images.files.grid_path(tile.job_id, "png").exists()
        assert await services.db.search.by_prompt(harness.ada.id, tile.job_id) == []
        assert services.images.files.path(first_tile(large)).exists()
        await harness.person(harness.ada).press(large, "Vary (Subtle)")
        await harness.result(text="Variations")
        await harness.person(harness.ada).press(grid, "U1")
        await harness.server.wait_until(lambda: len(harness.results()) == 4)


async def test_deleting_a_reposted_result_also_removes_the_first_message(harness):
    async with harness.bot() as services:
        picked = await pick(harness)
        tile = first_tile(picked)
        again = await (await harness.person(harness.ada).command("show", harness.channel, job=tile.job_id)).message()
        await (await delete(harness, harness.ada, again)).followup()
        assert again.deleted
        assert picked.deleted
        assert not services.images.files.path(tile).exists()


async def test_two_simultaneous_deletions_are_both_confirmed(harness):
    async with harness.bot():
        picked = await pick(harness)
        forms = [await harness.person(harness.ada).press(picked, "Delete") for _ in range(2)]
        sent = [await harness.person(harness.ada).submit_modal(form) for form in forms]
        for each in sent:
            assert "deleted" in (await each.followup()).content


async def test_moderators_delete_and_other_users_cannot(harness):
    async with harness.bot():
        picked = await pick(harness)
        refused = await (await harness.person(harness.ben).press(picked, "Delete")).message()
        assert refused.ephemeral
        assert f"Only <@{harness.ada.id}> or a moderator" in refused.content
        role = harness.server.world.add_role(harness.guild, "mods", permissions.MANAGE_MESSAGES)
        harness.guild.members[harness.ben.id].role_ids.append(role.id)
        await (await delete(harness, harness.ben, picked)).followup()
        assert picked.deleted


async def test_an_image_is_deleted_in_another_server_long_after(harness):
    eve = harness.server.world.add_user("eve", installed=True)
    channel = harness.server.world.add_channel(harness.server.world.add_guild("Elsewhere", eve, bot=False))
    async with harness.bot() as services:
        await harness.imagine("a fox", eve, channel)
        await harness.person(eve).press(await harness.result(channel=channel), "U1")
        picked = await harness.result(text="Image #1", channel=channel)
        harness.server.world.clock.advance(16 * 60)
        await (await delete(harness, eve, picked)).followup()
        assert picked.deleted
        assert not services.images.files.path(first_tile(picked)).exists()


async def test_a_deletion_is_confirmed_after_a_restart(harness):
    async with harness.bot():
        picked = await pick(harness)
        asked = await harness.person(harness.ada).press(picked, "Delete")
        await asked.modal()
    async with harness.bot() as services:
        await (await harness.person(harness.ada).submit_modal(asked)).followup()
        assert picked.deleted
        assert not services.images.files.path(Tile(first_tile(picked).job_id, 0)).exists()


async def test_clean_up_draws_the_picture_once_more_with_little_noise(harness):
    async with harness.bot() as services:
        picture = await pick(harness, "a fox --seed 5", label="U2")
        await harness.person(harness.ada).press(picture, "Clean up")
        cleaned = await harness.result(text="Cleaned up by")
        params = (await services.db.jobs.get(first_tile(cleaned).job_id)).job.params
    assert (params.source, params.strength, params.seed, params.count) == (first_tile(picture), 0.2, 6, 1)
    assert "🔄" not in cleaned.labels
