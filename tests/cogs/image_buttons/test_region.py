"""Vary (Region): a part chosen by squares, by name or by a mask."""

from __future__ import annotations

import asyncio
import io
import sys

import pytest
from PIL import Image

from preview import UploadedFile
from tests.cogs.image_buttons.test_remix import load_record, pick_image
from tests.support.bot_harness import eventually, first_tile, open_image
from tests.support.timing import TIMEOUT_S


async def open_region_picker(harness, picked):
    return await (await harness.person(harness.ada).press(picked, "Vary (Region)")).message()


def highlighted(message):
    return [number for number, button in enumerate(message.buttons[:9]) if button["style"] == 1]


async def submit_selection(harness, asked, **fields):
    pressed = await harness.person(harness.ada).press(asked, "Continue")
    return await harness.person(harness.ada).submit_modal(pressed, **fields)


async def test_squares_are_selected_one_by_one(harness):
    async with harness.bot() as services:
        picked = await pick_image(harness)
        asked = await open_region_picker(harness, picked)
        assert asked.ephemeral
        for number in (0, 4, 0, 8):
            fields = asked.buttons[:9]
            await harness.person(harness.ada).press(asked, custom_id=fields[number]["custom_id"])
            before = fields[number]["style"]
            await harness.server.wait_until(lambda n=number, b=before: asked.buttons[n]["style"] != b)
        assert highlighted(asked) == [4, 8]
        await submit_selection(harness, asked, prompt="an owl")
        result = await harness.result(text="Variations (Region) by")
        params = (await load_record(services, result)).job.params
    assert params.region == (4, 8)
    assert params.source == first_tile(picked)
    assert result.reference["message_id"] == str(picked.id)
    before, after = open_image(harness.server, picked), open_image(harness.server, result)
    assert similar(after.getpixel((5, 5)), before.getpixel((5, 5)))
    assert not similar(after.getpixel((32, 32)), before.getpixel((32, 32)))


async def test_the_picker_shows_the_picture_and_numbers_its_squares(harness):
    async with harness.bot():
        picked = await pick_image(harness, "a fox --ar 2:1")
        asked = await open_region_picker(harness, picked)
        (attachment,) = asked.attachments
        assert attachment.description == "a fox --ar 2:1"
        shown, original = open_image(harness.server, asked), open_image(harness.server, picked)
        assert shown.width / shown.height == pytest.approx(original.width / original.height, rel=0.02)
        assert similar(shown.getpixel((shown.width // 2, shown.height // 4)), original.getpixel((40, 10)))
        assert asked.labels[:9] == [
            *("1 · top left", "2 · top", "3 · top right"),
            *("4 · left", "5 · middle", "6 · right"),
            *("7 · bottom left", "8 · bottom", "9 · bottom right"),
        ]
        await harness.person(harness.ada).press(asked, "5 · middle")
        await harness.server.wait_until(lambda: asked.labels[4] == "✓ 5 · middle")
        assert asked.attachments == [attachment]


async def test_the_picker_works_without_its_picture(harness):
    async with harness.bot() as services:
        picked = await pick_image(harness)
        services.images.files.path(first_tile(picked)).write_bytes(b"damaged")
        asked = await open_region_picker(harness, picked)
        assert not asked.attachments
        await harness.person(harness.ada).press(asked, "1 · top left")
        await harness.server.wait_until(lambda: highlighted(asked) == [0])


async def test_a_picture_that_takes_long_is_added_to_the_picker(harness, monkeypatch):
    async with harness.bot():
        monkeypatch.setattr(sys.modules["cogs.image_buttons.region"], "PICTURE_TIMEOUT_S", 0.0)
        asked = await open_region_picker(harness, await pick_image(harness))
        await harness.server.wait_until(lambda: asked.attachments)
        assert len(asked.buttons) == 10


async def test_a_picker_of_an_earlier_version_keeps_working(harness):
    async with harness.bot():
        asked = await open_region_picker(harness, await pick_image(harness))
        for button in asked.buttons[:9]:  # as version 0.2 labelled them
            button["label"] = "□"
        await harness.person(harness.ada).press(asked, custom_id=asked.buttons[8]["custom_id"])
        await harness.server.wait_until(lambda: highlighted(asked) == [8])


async def test_fast_presses_are_all_counted_before_the_first_is_shown(harness):
    async with harness.bot() as services:
        asked = await open_region_picker(harness, await pick_image(harness))
        held = harness.server.faults.hold("POST", "/interactions/*")
        fields = [button["custom_id"] for button in asked.buttons[:9]]
        for number in (0, 4, 8, 4):
            await harness.person(harness.ada).press(asked, custom_id=fields[number])
        await asyncio.wait_for(held.reached.wait(), TIMEOUT_S)
        pressed = await harness.person(harness.ada).press(asked, "Continue")
        await pressed.modal()
        assert highlighted(asked) == []
        held.release()
        await harness.server.wait_until(lambda: highlighted(asked) == [0, 8])
        await harness.person(harness.ada).submit_modal(pressed, prompt="an owl")
        result = await harness.result(text="Variations (Region) by")
        assert (await load_record(services, result)).job.params.region == (0, 8)


def record_presses(monkeypatch):
    """Collect the squares whose presses reach the bot, which has reloaded the cog."""
    region, fields = sys.modules["cogs.image_buttons.region"], []
    toggle = region.toggle

    async def noted(interaction, tile, number):
        fields.append(number)
        await toggle(interaction, tile, number)

    monkeypatch.setattr(region, "toggle", noted)
    return fields


async def test_fast_presses_are_shown_together_and_none_delays_the_others(harness, monkeypatch):
    async with harness.bot():
        pressed = record_presses(monkeypatch)
        asked = await open_region_picker(harness, await pick_image(harness))
        fields = [button["custom_id"] for button in asked.buttons[:9]]
        first, newest, *others = (harness.server.faults.hold("POST", "/interactions/*") for _ in fields)
        for field in fields:
            await harness.person(harness.ada).press(asked, custom_id=field)
        await asyncio.wait_for(first.reached.wait(), TIMEOUT_S)
        await eventually(lambda: len(pressed) == len(fields))
        first.release()
        await asyncio.wait_for(newest.reached.wait(), TIMEOUT_S)
        newest.release()
        await harness.server.wait_until(lambda: highlighted(asked) == list(range(9)))
        await asyncio.wait_for(others[-1].reached.wait(), TIMEOUT_S)
        harness.server.faults.clear()


def watch_forgotten(monkeypatch):
    """Return an event that is set when the selection of a picker is dropped."""
    choices, forgotten = sys.modules["cogs.image_buttons.region"].SelectionCache, asyncio.Event()
    forget = choices.forget

    def noted(remembered, message):
        forget(remembered, message)
        forgotten.set()

    monkeypatch.setattr(choices, "forget", noted)
    return forgotten


async def test_a_press_that_could_not_be_shown_does_not_count(harness, monkeypatch):
    async with harness.bot():
        forgotten = watch_forgotten(monkeypatch)
        asked = await open_region_picker(harness, await pick_image(harness))
        field = asked.buttons[4]["custom_id"]
        late = {"message": "Unknown interaction", "code": 10062}
        failing = harness.server.faults.fail("POST", "/interactions/*", status=404, body=late)
        await harness.person(harness.ada).press(asked, custom_id=field)
        await asyncio.wait_for(failing.reached.wait(), TIMEOUT_S)
        await asyncio.wait_for(forgotten.wait(), TIMEOUT_S)
        await harness.person(harness.ada).press(asked, custom_id=field)
        await harness.server.wait_until(lambda: highlighted(asked) == [4])


async def test_the_selection_survives_a_restart(harness):
    async with harness.bot():
        asked = await open_region_picker(harness, await pick_image(harness))
        await harness.person(harness.ada).press(asked, custom_id=asked.buttons[2]["custom_id"])
        await harness.server.wait_until(lambda: highlighted(asked) == [2])
    async with harness.bot():
        await harness.person(harness.ada).press(asked, custom_id=asked.buttons[6]["custom_id"])
        await harness.server.wait_until(lambda: highlighted(asked) == [2, 6])


async def test_a_part_is_chosen_by_name_even_after_a_restart(harness):
    async with harness.bot():
        asked = await open_region_picker(harness, await pick_image(harness))
    async with harness.bot() as services:
        await harness.person(harness.ada).select(asked, "Left half")
        await harness.server.wait_until(lambda: highlighted(asked) == [0, 3, 6])
        await submit_selection(harness, asked)
        result = await harness.result(text="Variations (Region) by")
        assert (await load_record(services, result)).job.params.region == (0, 3, 6)


@pytest.mark.parametrize("prompt", ["a red fox --colour", "a fox --mix a coffee machine"])
async def test_a_part_of_a_coloured_or_mixed_picture_keeps_that(harness, prompt):
    async with harness.bot() as services:
        ada = harness.person(harness.ada)
        await ada.submit_modal(await ada.press(await pick_image(harness), "Remix"), prompt=prompt)
        await ada.press(await harness.result(text="Remix (Strong)"), "U2")
        asked = await open_region_picker(harness, await harness.result(text="Image #2"))
        await ada.press(asked, "1 · top left")
        await harness.server.wait_until(lambda: highlighted(asked) == [0])
        await submit_selection(harness, asked)
        result = await harness.result(text="Variations (Region) by")
        params = (await load_record(services, result)).job.params
    assert (params.region, params.colourise, params.mix != "") == ((0,), "--colour" in prompt, "--mix" in prompt)


async def test_a_weight_of_the_picture_is_refused_as_in_other_forms(harness):
    async with harness.bot():
        asked = await open_region_picker(harness, await pick_image(harness))
        await harness.person(harness.ada).press(asked, "1 · top left")
        await harness.server.wait_until(lambda: highlighted(asked) == [0])
        refused = await (await submit_selection(harness, asked, prompt="a cat --iw 2")).message()
        assert "`--iw` does not work in this form" in refused.content


async def test_a_mask_replaces_the_selected_squares(harness):
    async with harness.bot() as services:
        picked = await pick_image(harness)
        await submit_selection(
            harness, await open_region_picker(harness, picked), mask=UploadedFile("mask.png", mask_png())
        )
        result = await harness.result(text="Variations (Region) by")
        params = (await load_record(services, result)).job.params
    assert params.mask is not None
    assert params.region == ()
    before, after = open_image(harness.server, picked), open_image(harness.server, result)
    assert not similar(after.getpixel((5, 5)), before.getpixel((5, 5)))
    assert similar(after.getpixel((60, 60)), before.getpixel((60, 60)))


async def test_the_same_form_with_another_mask_is_another_job(harness):
    async with harness.bot() as services:
        asked = await open_region_picker(harness, await pick_image(harness))
        first, second = mask_png(), mask_png((10, 8, 17, 40))
        for mask in (first, first, second):
            submitted = await submit_selection(harness, asked, prompt="a slow owl", mask=UploadedFile("mask.png", mask))
            await submitted.response()
            await eventually(lambda: not any(each.loading for each in harness.server.messages(harness.channel)))
        rows = await services.db.connection.fetch_all("SELECT id FROM jobs WHERE action = 'vary_region'")
    assert len(rows) == 2


async def test_a_private_result_with_a_mask_is_not_shown_to_others(harness):
    async with harness.bot():
        asked = await open_region_picker(harness, await pick_image(harness))
        before = harness.public_messages()
        await submit_selection(harness, asked, prompt="an owl --stealth", mask=UploadedFile("mask.png", mask_png()))
        assert (await harness.result(text="an owl")).ephemeral
        assert harness.public_messages() == before


async def test_selecting_nothing_or_everything_is_refused_with_the_prompt(harness):
    async with harness.bot():
        asked = await open_region_picker(harness, await pick_image(harness))
        refusal = await (await submit_selection(harness, asked, prompt="an owl")).message()
        assert "Choose what to redraw" in refusal.content
        pressed = await harness.person(harness.ada).press(refusal, "Edit and retry")
        await harness.person(harness.ada).submit_modal(pressed, mask=UploadedFile("mask.png", mask_png()))
        await harness.result(text="an owl")


@pytest.mark.parametrize(("prompt", "data"), [("an owl", b"no picture"), ("an owl --nonsense", None)])
async def test_a_mask_survives_an_invalid_prompt_and_a_prompt_an_invalid_mask(harness, prompt, data):
    async with harness.bot() as services:
        asked = await open_region_picker(harness, await pick_image(harness))
        sent = await submit_selection(harness, asked, prompt=prompt, mask=UploadedFile("mask.png", data or mask_png()))
        refusal = await sent.wait_for(lambda message: prompt in message.content)
        pressed = await harness.person(harness.ada).press(refusal, "Edit and retry")
        more = {} if data is None else {"mask": UploadedFile("mask.png", mask_png())}
        await harness.person(harness.ada).submit_modal(pressed, prompt="an owl", **more)
        result = await harness.result(text="an owl")
        assert (await load_record(services, result)).job.params.mask is not None


def mask_png(white=(0, 0, 32, 32)):
    """Return a mask that is white in a part, such as the upper left quarter."""
    image = Image.new("L", (64, 64))
    image.paste(255, white)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def similar(one, other):
    return all(abs(a - b) < 12 for a, b in zip(one, other, strict=True))
