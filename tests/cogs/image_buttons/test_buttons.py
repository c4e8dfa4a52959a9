"""The buttons below a result submit jobs."""

from __future__ import annotations

import asyncio

import pytest

from bot.images.resizing import ImageResizer
from generation.params import Tile
from tests.support.bot_harness import eventually, first_tile, open_image


async def test_u_posts_a_tile_as_its_own_image_without_generating(harness):
    async with harness.bot(jobs_at_once=1) as services:
        await harness.imagine("a fox --seed 5")
        grid = await harness.result()
        await harness.imagine("slow owl")
        await harness.status_message("(25%)")
        await harness.person(harness.ada).press(grid, "U2")
        picked = await harness.result(text="Image #2")  # while the only worker slot is taken
        await harness.server.wait_until(lambda: button_style(grid, "U2") == 1)
        job = (await services.db.jobs.get(job_id(picked))).job
        assert await services.images.files.read(Tile(job.id, 0)) == await services.images.files.read(
            Tile(job_id(grid), 1)
        )
        harness.release_slow_jobs()
        await harness.result(text="owl")
    assert picked.content == f"**a fox** - Image #2 <@{harness.ada.id}>"
    assert picked.reference["message_id"] == str(grid.id)
    assert harness.server.pinged_by(picked) == [harness.ada]
    assert open_image(harness.server, picked).size == (64, 64)
    assert job.params.seed == 6
    assert button_style(grid, "U1") == 2


class FakeSigner:
    """Signs images with a word, and records the model that generated them."""

    max_signature_bytes = 0

    def __init__(self):
        self.drawn_by = []

    def sign(self, data, suffix, params, name):
        self.drawn_by.append(params)
        return data + b"stamped " + suffix.encode()


async def test_a_picked_image_too_large_for_discord_is_shrunk(harness):
    async with harness.bot() as services:
        signer = FakeSigner()
        services.images.resizer = ImageResizer(services.db.jobs, signer)
        await harness.imagine("a fox")
        grid = await harness.result()
        harness.server.faults.fail("POST", "/channels/*/messages", status=413, body={"message": "no", "code": 40005})
        await harness.person(harness.ada).press(grid, "U1")
        (posted,) = (await harness.result(text="Image #1")).attachments
        grids = (await services.db.jobs.get(job_id(grid))).job.params
    assert posted.filename.endswith(".webp")
    assert harness.server.core.files.get(posted.id).endswith(b"stamped webp")
    assert signer.drawn_by == [grids]


async def test_picking_gives_credit_and_each_press_posts_it_again(harness):
    async with harness.bot() as services:
        await harness.imagine("a fox")
        grid = await harness.result()
        for number in (2, 3):
            await harness.person(harness.ben).press(grid, "U1")
            await harness.server.wait_until(lambda number=number: len(harness.results()) == number)
            while await services.db.jobs.open_records():  # noqa: ASYNC110 (until then, a second press is a mistake)
                await asyncio.sleep(0.01)
    assert all(f"after a picture by <@{harness.ada.id}>" in result.content for result in harness.results()[1:])


async def test_a_failed_pick_is_reported_privately(harness, monkeypatch):
    async with harness.bot() as services:
        await harness.imagine("a fox")
        grid = await harness.result()

        async def lose(*_: object) -> None:
            raise FileNotFoundError

        with monkeypatch.context() as broken:
            broken.setattr(services.images.files, "read", lose)
            pressed = await harness.person(harness.ada).press(grid, "U1")
            said = await pressed.followup()
        assert said.ephemeral
        assert "not kept any more" in said.content
        assert await services.db.jobs.open_records() == []


async def test_u_of_a_grid_from_before_picking_still_upscales(harness):
    async with harness.bot():
        await harness.imagine("a fox")
        grid = await harness.result()
        for button in grid.buttons:
            button["custom_id"] = button["custom_id"].replace("pick:", "upscale:")
        await harness.person(harness.ada).press(grid, "U2")
        large = await harness.result(text="Upscaled (Subtle)")
        await harness.server.wait_until(lambda: button_style(grid, "U2") == 1)
    assert open_image(harness.server, large).size == (128, 128)
    # Tile 2 was upscaled: its colour is that of the grid's second tile.
    assert similar(
        open_image(harness.server, large).getpixel((64, 64)), open_image(harness.server, grid).getpixel((96, 32))
    )


@pytest.mark.parametrize(("label", "action"), [("V3", "Variations (Strong) by"), ("🔄", "Rerolled by")])
async def test_v_and_reroll_make_a_new_grid_as_a_reply(harness, label, action):
    async with harness.bot():
        await harness.imagine("a fox --seed 5")
        grid = await harness.result()
        await harness.person(harness.ada).press(grid, label)
        again = await harness.result(text=action)
    assert again.labels == grid.labels
    assert again.reference["message_id"] == str(grid.id)
    assert open_image(harness.server, again).getpixel((96, 32)) != open_image(harness.server, grid).getpixel((96, 32))


@pytest.mark.parametrize("label", ["➡️", "Zoom Out 2×"])
async def test_a_second_press_by_mistake_makes_no_second_job(harness, label):
    async with harness.bot():
        await harness.imagine("slow fox")
        harness.release_slow_jobs()
        await harness.person(harness.ada).press(await harness.result(), "U1")
        image = await harness.result(text="Image #1")
        await eventually(lambda: not harness.tasks)
        (harness.model / "go").unlink()
        presses = [await harness.person(harness.ada).press(image, label) for _ in range(2)]
        presses.append(await harness.person(harness.ben).press(image, label))
        for press in presses:
            await press.response()
        await harness.server.wait_until(lambda: len(harness.status_messages()) == 2)
        harness.release_slow_jobs()
        await harness.server.wait_until(lambda: len(harness.results()) == 4)
        await eventually(lambda: not harness.tasks)
        await harness.person(harness.ada).press(image, label)  # on purpose: the first one is there
        await harness.server.wait_until(lambda: len(harness.results()) == 5)
    assert len(harness.results()) == 5


async def test_highlighted_buttons_stay_highlighted(harness):
    async with harness.bot():
        await harness.imagine("a fox")
        grid = await harness.result()
        for label in ("U1", "V4"):
            await harness.person(harness.ada).press(grid, label)
            await harness.server.wait_until(lambda label=label: button_style(grid, label) == 1)
        await harness.server.wait_until(lambda: len(harness.results()) == 3)
    assert [button_style(grid, label) for label in ("U1", "V4", "U2")] == [1, 1, 2]


async def test_a_large_image_is_varied_at_native_size_and_can_be_used_further(harness):
    async with harness.bot():
        await harness.imagine("a fox --ar 2:1")
        await harness.person(harness.ada).press(await harness.result(), "U1")
        await harness.person(harness.ada).press(await harness.result(text="Image #1"), "Vary (Subtle)")
        varied = await harness.result(text="Variations (Subtle)")
        assert open_image(harness.server, varied).size == (2 * 88, 2 * 48)
        await harness.person(harness.ada).press(varied, "U4")
        await harness.result(text="Image #4")


async def test_nobody_of_another_server_is_named_for_a_picture_that_came_along(harness):
    ben, world = harness.person(harness.ben), harness.server.world
    other = world.add_channel(world.add_guild("Elsewhere", harness.ben))
    async with harness.bot():
        await harness.imagine("a fox", harness.ada)
        await harness.person(harness.ada).press(await harness.result(), "U1")
        single = await harness.result(text="Image #1")
        await (await ben.press(single, "❤️")).message()
        shown = await (await ben.command("favourites", other, picture=first_tile(single).job_id)).message()
        await harness.server.wait_until(lambda: "Vary (Strong)" in shown.labels)
        await ben.press(shown, "Vary (Strong)")
        varied = await harness.result(text="Variations", channel=other)
        await ben.press(varied, "U1")
        again = await harness.result(text=f"Image #1 <@{harness.ben.id}>", channel=other)
        details = await (await ben.press(again, "Details")).message()
        assert "↳ Image #1 somebody" in details.content
        assert str(harness.ada.id) not in f"{varied.content}{again.content}{details.content}"


async def test_anyone_may_press_and_owns_the_result_with_a_credit(harness):
    async with harness.bot():
        await harness.imagine("a fox", harness.ada)
        await harness.person(harness.ben).press(await harness.result(), "V1")
        result = await harness.result(text="Variations")
    assert f"by <@{harness.ben.id}>" in result.content
    assert f"after a picture by <@{harness.ada.id}>" in result.content
    assert harness.server.pinged_by(result) == [harness.ben]


async def test_a_reroll_of_a_variation_varies_the_same_image_again(harness):
    async with harness.bot() as services:
        await harness.imagine("a fox")
        await harness.person(harness.ada).press(await harness.result(), "V2")
        varied = await harness.result(text="Variations")
        await harness.person(harness.ada).press(varied, "🔄")
        again = await harness.result(text="Rerolled")
        first, second = [await services.db.jobs.get(job_id(message)) for message in (varied, again)]
    assert first.job.params.source == second.job.params.source
    assert first.job.params.seed != second.job.params.seed


async def test_two_quick_presses_are_two_jobs(harness):
    async with harness.bot():
        await harness.imagine("a fox")
        grid = await harness.result()
        await harness.person(harness.ada).press(grid, "V1")
        await harness.person(harness.ada).press(grid, "V1")
        await harness.server.wait_until(lambda: len(harness.results()) == 3)


async def test_a_press_over_the_limit_is_refused_privately_without_highlight(harness):
    async with harness.bot(waiting_per_person=1, running_per_person=1):
        await harness.imagine("fox slow")
        await harness.status_message("(25%)")
        harness.release_slow_jobs()
        grid = await harness.result()
        await eventually(lambda: not harness.tasks)
        (harness.model / "go").unlink()
        await harness.person(harness.ada).press(grid, "V1")
        await harness.status_message("(25%)")
        await harness.person(harness.ada).press(grid, "V2")
        await harness.status_message("next in line")
        refused = await (await harness.person(harness.ada).press(grid, "V3")).message()
        assert refused.ephemeral
        assert button_style(grid, "V3") == 2
        harness.release_slow_jobs()
        await harness.server.wait_until(lambda: len(harness.results()) == 3)


async def test_a_press_on_an_image_without_files_is_explained(harness):
    async with harness.bot() as services:
        await harness.imagine("a fox")
        grid = await harness.result()
        record = await services.db.jobs.get(job_id(grid))
        for index in range(4):
            services.images.files.path(Tile(record.job.id, index)).unlink()
        answer = await (await harness.person(harness.ben).press(grid, "U1")).message()
    assert answer.ephemeral
    assert "not kept any more" in answer.content


def button_style(message, label: str) -> int:
    return next(button["style"] for button in message.buttons if button.get("label") == label)


def similar(one, other) -> bool:
    return all(abs(a - b) < 90 for a, b in zip(one, other, strict=True))


def job_id(message) -> str:
    return message.buttons[0]["custom_id"].split(":")[1].split("-")[0]


@pytest.mark.parametrize("button", ["U1", "V1"])
async def test_a_tile_that_is_damaged_on_the_disk_is_not_posted(harness, button):
    async with harness.bot() as services:
        await harness.imagine("a fox")
        grid = await harness.result()
        path = next(path for path in services.images.files.folders("tiles")[0].iterdir() if path.stem.endswith("-0"))
        path.write_bytes(path.read_bytes()[:-50])
        pressed = await harness.person(harness.ada).press(grid, button)
        said = await (pressed.followup() if button == "U1" else harness.server.wait_for(harness.channel, _is_damage))
        assert "is damaged" in said.content
        assert len(harness.results()) == 1


def _is_damage(message):
    return "is damaged" in message.content
