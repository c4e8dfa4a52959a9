"""The buttons below a result: the same road, entered at another door."""

from __future__ import annotations

import pytest

from bot.images.resizing import ImageResizer
from generation.params import Tile
from tests.bot.conftest import picture


async def test_u_picks_a_tile_as_a_picture_of_its_own_at_once_without_being_drawn(stage):
    async with stage.bot(jobs_at_once=1) as studio:
        await stage.imagine("a fox --seed 5")
        grid = await stage.result()
        await stage.imagine("slow owl")
        await stage.notice("(25%)")
        await stage.person(stage.ada).press(grid, "U2")
        picked = await stage.result(text="Image #2")  # while the only place is taken
        await stage.server.wait_until(lambda: style(grid, "U2") == 1)
        job = (await studio.store.get(job_id(picked))).job
        assert await studio.images.read(Tile(job.id, 0)) == await studio.images.read(Tile(job_id(grid), 1))
        stage.go()
        await stage.result(text="owl")
    assert picked.content == f"**a fox** - Image #2 <@{stage.ada.id}>"
    assert picked.reference["message_id"] == str(grid.id)
    assert stage.server.pinged_by(picked) == [stage.ada]
    assert picture(stage.server, picked).size == (64, 64)
    assert job.params.seed == 6
    assert style(grid, "U1") == 2


class Stamp:
    """Signs by a word, and remembers what the pictures were drawn by."""

    max_signature_bytes = 0

    def __init__(self):
        self.drawn_by = []

    def sign(self, data, suffix, params):
        self.drawn_by.append(params)
        return data + b"stamped " + suffix.encode()


async def test_a_picked_picture_that_discord_finds_too_large_is_made_smaller(stage):
    async with stage.bot() as studio:
        signer = Stamp()
        studio.resizer = ImageResizer(studio.store, signer)
        await stage.imagine("a fox")
        grid = await stage.result()
        stage.server.faults.fail("POST", "/channels/*/messages", status=413, body={"message": "no", "code": 40005})
        await stage.person(stage.ada).press(grid, "U1")
        (posted,) = (await stage.result(text="Image #1")).attachments
        grids = (await studio.store.get(job_id(grid))).job.params
    assert posted.filename.endswith(".webp")
    assert stage.server.core.files.get(posted.id).endswith(b"stamped webp")
    assert signer.drawn_by == [grids]


async def test_picking_gives_credit_and_each_press_posts_it_again(stage):
    async with stage.bot():
        await stage.imagine("a fox")
        grid = await stage.result()
        for number in (2, 3):
            await stage.person(stage.ben).press(grid, "U1")
            await stage.server.wait_until(lambda number=number: len(stage.results()) == number, 20)
    assert all(f"after a picture by <@{stage.ada.id}>" in result.content for result in stage.results()[1:])


async def test_a_picture_that_cannot_be_picked_after_all_is_told_of_privately(stage, monkeypatch):
    async with stage.bot() as studio:
        await stage.imagine("a fox")
        grid = await stage.result()

        async def lose(*_: object) -> None:
            raise FileNotFoundError

        with monkeypatch.context() as broken:
            broken.setattr(studio.images, "read", lose)
            pressed = await stage.person(stage.ada).press(grid, "U1")
            said = await pressed.followup()
        assert said.ephemeral
        assert "not kept any more" in said.content
        assert await studio.store.open_records() == []


async def test_u_of_a_grid_from_before_picking_still_enlarges(stage):
    async with stage.bot():
        await stage.imagine("a fox")
        grid = await stage.result()
        for button in grid.buttons:
            button["custom_id"] = button["custom_id"].replace("pick:", "upscale:")
        await stage.person(stage.ada).press(grid, "U2")
        large = await stage.result(text="Upscaled (Subtle)")
        await stage.server.wait_until(lambda: style(grid, "U2") == 1)
    assert picture(stage.server, large).size == (128, 128)
    # It is tile 2 that was enlarged: its colour is that of the grid's second tile.
    assert near(picture(stage.server, large).getpixel((64, 64)), picture(stage.server, grid).getpixel((96, 32)))


@pytest.mark.parametrize(("label", "action"), [("V3", "Variations (Strong) of image #3"), ("🔄", "Drawn again by")])
async def test_v_and_reroll_make_a_new_grid_as_a_reply(stage, label, action):
    async with stage.bot():
        await stage.imagine("a fox --seed 5")
        grid = await stage.result()
        await stage.person(stage.ada).press(grid, label)
        again = await stage.result(text=action)
    assert again.labels == grid.labels
    assert again.reference["message_id"] == str(grid.id)
    assert picture(stage.server, again).getpixel((96, 32)) != picture(stage.server, grid).getpixel((96, 32))


async def test_blue_buttons_stay_blue_when_another_is_pressed(stage):
    async with stage.bot():
        await stage.imagine("a fox")
        grid = await stage.result()
        for label in ("U1", "V4"):
            await stage.person(stage.ada).press(grid, label)
            await stage.server.wait_until(lambda label=label: style(grid, label) == 1)
        await stage.server.wait_until(lambda: len(stage.results()) == 3, 20)
    assert [style(grid, label) for label in ("U1", "V4", "U2")] == [1, 1, 2]


async def test_a_large_picture_is_varied_at_the_models_own_size_and_its_result_goes_on(stage):
    async with stage.bot():
        await stage.imagine("a fox --ar 2:1")
        await stage.person(stage.ada).press(await stage.result(), "U1")
        await stage.person(stage.ada).press(await stage.result(text="Image #1"), "Vary (Subtle)")
        varied = await stage.result(text="Variations (Subtle)")
        assert picture(stage.server, varied).size == (2 * 88, 2 * 48)
        await stage.person(stage.ada).press(varied, "U4")
        await stage.result(text="Image #4")


async def test_anybody_may_press_owns_the_result_and_gives_credit(stage):
    async with stage.bot():
        await stage.imagine("a fox", stage.ada)
        await stage.person(stage.ben).press(await stage.result(), "V1")
        result = await stage.result(text="Variations")
    assert f"by <@{stage.ben.id}>" in result.content
    assert f"after a picture by <@{stage.ada.id}>" in result.content
    assert stage.server.pinged_by(result) == [stage.ben]


async def test_a_reroll_of_a_variation_is_again_a_variation_of_the_same_picture(stage):
    async with stage.bot() as studio:
        await stage.imagine("a fox")
        await stage.person(stage.ada).press(await stage.result(), "V2")
        varied = await stage.result(text="Variations")
        await stage.person(stage.ada).press(varied, "🔄")
        again = await stage.result(text="Drawn again")
        first, second = [await studio.store.get(job_id(message)) for message in (varied, again)]
    assert first.job.params.source == second.job.params.source
    assert first.job.params.seed != second.job.params.seed


async def test_two_quick_presses_are_two_jobs(stage):
    async with stage.bot():
        await stage.imagine("a fox")
        grid = await stage.result()
        await stage.person(stage.ada).press(grid, "V1")
        await stage.person(stage.ada).press(grid, "V1")
        await stage.server.wait_until(lambda: len(stage.results()) == 3, 20)


async def test_a_press_beyond_the_bound_is_answered_privately_and_turns_nothing_blue(stage):
    async with stage.bot(waiting_per_person=1, running_per_person=1):
        await stage.imagine("fox slow")
        await stage.notice("(25%)")
        stage.go()
        grid = await stage.result()
        (stage.model / "go").unlink()
        await stage.person(stage.ada).press(grid, "V1")
        await stage.notice("(25%)")
        await stage.person(stage.ada).press(grid, "V2")
        await stage.notice("next in the queue")
        refused = await (await stage.person(stage.ada).press(grid, "V3")).message()
        assert refused.ephemeral
        assert style(grid, "V3") == 2
        stage.go()
        await stage.server.wait_until(lambda: len(stage.results()) == 3, 20)


async def test_a_picture_that_is_no_longer_kept_says_so(stage):
    async with stage.bot() as studio:
        await stage.imagine("a fox")
        grid = await stage.result()
        record = await studio.store.get(job_id(grid))
        for index in range(4):
            studio.images.path(Tile(record.job.id, index)).unlink()
        answer = await (await stage.person(stage.ben).press(grid, "U1")).message()
    assert answer.ephemeral
    assert "not kept any more" in answer.content


def style(message, label: str) -> int:
    return next(button["style"] for button in message.buttons if button.get("label") == label)


def near(one, other) -> bool:
    return all(abs(a - b) < 90 for a, b in zip(one, other, strict=True))


def job_id(message) -> str:
    return message.buttons[0]["custom_id"].split(":")[1].split("-")[0]
