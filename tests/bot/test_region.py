"""A part of a picture drawn anew: by fields, by name, by a mask."""

from __future__ import annotations

import asyncio
import io
import sys

import pytest
from PIL import Image

from preview import UploadedFile
from tests.bot.conftest import eventually, picture, tile_of
from tests.bot.test_remix import picked_of, record_of


async def question(stage, picked):
    return await (await stage.person(stage.ada).press(picked, "Vary (Region)")).message()


def blue(message):
    return [number for number, button in enumerate(message.buttons[:9]) if button["style"] == 1]


async def send(stage, asked, **fields):
    pressed = await stage.person(stage.ada).press(asked, "Go on")
    return await stage.person(stage.ada).submit_modal(pressed, **fields)


async def test_fields_are_chosen_one_by_one_and_the_rest_is_kept(stage):
    async with stage.bot() as studio:
        picked = await picked_of(stage)
        asked = await question(stage, picked)
        assert asked.ephemeral
        for number in (0, 4, 0, 8):
            fields = asked.buttons[:9]
            await stage.person(stage.ada).press(asked, custom_id=fields[number]["custom_id"])
            before = fields[number]["style"]
            await stage.server.wait_until(lambda n=number, b=before: asked.buttons[n]["style"] != b)
        assert blue(asked) == [4, 8]
        await send(stage, asked, prompt="an owl")
        result = await stage.result(text="Variations (Region) by")
        params = (await record_of(studio, result)).job.params
    assert params.region == (4, 8)
    assert params.source == tile_of(picked)
    assert result.reference["message_id"] == str(picked.id)
    before, after = picture(stage.server, picked), picture(stage.server, result)
    assert near(after.getpixel((5, 5)), before.getpixel((5, 5)))
    assert not near(after.getpixel((32, 32)), before.getpixel((32, 32)))


async def test_fast_presses_are_all_counted_before_the_first_is_shown(stage):
    async with stage.bot() as studio:
        asked = await question(stage, await picked_of(stage))
        held = stage.server.faults.hold("POST", "/interactions/*")
        fields = [button["custom_id"] for button in asked.buttons[:9]]
        for number in (0, 4, 8, 4):
            await stage.person(stage.ada).press(asked, custom_id=fields[number])
        await asyncio.wait_for(held.reached.wait(), 10)
        pressed = await stage.person(stage.ada).press(asked, "Go on")
        await pressed.modal()
        assert blue(asked) == []
        held.release()
        await stage.server.wait_until(lambda: blue(asked) == [0, 8])
        await stage.person(stage.ada).submit_modal(pressed, prompt="an owl")
        result = await stage.result(text="Variations (Region) by")
        assert (await record_of(studio, result)).job.params.region == (0, 8)


def noting_presses(monkeypatch):
    """Collect the fields whose presses come to the bot, which has loaded the cog anew."""
    region, fields = sys.modules["cogs.image_buttons.region"].Region, []
    toggle = region.toggle

    async def noted(cog, interaction, tile, number):
        fields.append(number)
        await toggle(cog, interaction, tile, number)

    monkeypatch.setattr(region, "toggle", noted)
    return fields


async def test_fast_presses_are_shown_together_and_none_is_answered_late_for_the_others(stage, monkeypatch):
    async with stage.bot():
        pressed = noting_presses(monkeypatch)
        asked = await question(stage, await picked_of(stage))
        fields = [button["custom_id"] for button in asked.buttons[:9]]
        first, newest, *others = (stage.server.faults.hold("POST", "/interactions/*") for _ in fields)
        for field in fields:
            await stage.person(stage.ada).press(asked, custom_id=field)
        await asyncio.wait_for(first.reached.wait(), 10)
        await eventually(lambda: len(pressed) == len(fields))
        first.release()
        await asyncio.wait_for(newest.reached.wait(), 10)
        newest.release()
        await stage.server.wait_until(lambda: blue(asked) == list(range(9)))
        await asyncio.wait_for(others[-1].reached.wait(), 10)
        stage.server.faults.clear()


def noting_what_is_forgotten(monkeypatch):
    """Give an event that is set as soon as the choice of a picker is forgotten."""
    choices, forgotten = sys.modules["cogs.image_buttons.region"].SelectionCache, asyncio.Event()
    forget = choices.forget

    def noted(remembered, message):
        forget(remembered, message)
        forgotten.set()

    monkeypatch.setattr(choices, "forget", noted)
    return forgotten


async def test_a_press_that_could_not_be_shown_does_not_count(stage, monkeypatch):
    async with stage.bot():
        forgotten = noting_what_is_forgotten(monkeypatch)
        asked = await question(stage, await picked_of(stage))
        field = asked.buttons[4]["custom_id"]
        late = {"message": "Unknown interaction", "code": 10062}
        failing = stage.server.faults.fail("POST", "/interactions/*", status=404, body=late)
        await stage.person(stage.ada).press(asked, custom_id=field)
        await asyncio.wait_for(failing.reached.wait(), 10)
        await asyncio.wait_for(forgotten.wait(), 10)
        await stage.person(stage.ada).press(asked, custom_id=field)
        await stage.server.wait_until(lambda: blue(asked) == [4])


async def test_what_was_chosen_before_a_restart_is_read_off_the_message(stage):
    async with stage.bot():
        asked = await question(stage, await picked_of(stage))
        await stage.person(stage.ada).press(asked, custom_id=asked.buttons[2]["custom_id"])
        await stage.server.wait_until(lambda: blue(asked) == [2])
    async with stage.bot():
        await stage.person(stage.ada).press(asked, custom_id=asked.buttons[6]["custom_id"])
        await stage.server.wait_until(lambda: blue(asked) == [2, 6])


async def test_a_part_is_chosen_by_its_name_also_after_a_restart(stage):
    async with stage.bot():
        asked = await question(stage, await picked_of(stage))
    async with stage.bot() as studio:
        await stage.person(stage.ada).select(asked, "Left half")
        await stage.server.wait_until(lambda: blue(asked) == [0, 3, 6])
        await send(stage, asked)
        result = await stage.result(text="Variations (Region) by")
        assert (await record_of(studio, result)).job.params.region == (0, 3, 6)


async def test_a_mask_is_taken_in_place_of_the_fields(stage):
    async with stage.bot() as studio:
        picked = await picked_of(stage)
        await send(stage, await question(stage, picked), mask=UploadedFile("mask.png", mask()))
        result = await stage.result(text="Variations (Region) by")
        params = (await record_of(studio, result)).job.params
    assert params.mask is not None
    assert params.region == ()
    before, after = picture(stage.server, picked), picture(stage.server, result)
    assert not near(after.getpixel((5, 5)), before.getpixel((5, 5)))
    assert near(after.getpixel((60, 60)), before.getpixel((60, 60)))


async def test_nobody_else_sees_what_is_made_privately_with_a_mask(stage):
    async with stage.bot():
        asked = await question(stage, await picked_of(stage))
        before = stage.public()
        await send(stage, asked, prompt="an owl --stealth", mask=UploadedFile("mask.png", mask()))
        assert (await stage.result(text="an owl")).ephemeral
        assert stage.public() == before


async def test_nothing_chosen_or_everything_is_refused_with_the_words_kept(stage):
    async with stage.bot():
        asked = await question(stage, await picked_of(stage))
        refusal = await (await send(stage, asked, prompt="an owl")).message()
        assert "Choose what to draw anew" in refusal.content
        pressed = await stage.person(stage.ada).press(refusal, "Edit and retry")
        await stage.person(stage.ada).submit_modal(pressed, mask=UploadedFile("mask.png", mask()))
        await stage.result(text="an owl")


@pytest.mark.parametrize(("prompt", "data"), [("an owl", b"no picture"), ("an owl --nonsense", None)])
async def test_a_mask_survives_what_is_wrong_with_the_words_and_the_words_a_wrong_mask(stage, prompt, data):
    async with stage.bot() as studio:
        asked = await question(stage, await picked_of(stage))
        sent = await send(stage, asked, prompt=prompt, mask=UploadedFile("mask.png", data or mask()))
        refusal = await sent.wait_for(lambda message: prompt in message.content)
        pressed = await stage.person(stage.ada).press(refusal, "Edit and retry")
        more = {} if data is None else {"mask": UploadedFile("mask.png", mask())}
        await stage.person(stage.ada).submit_modal(pressed, prompt="an owl", **more)
        result = await stage.result(text="an owl")
        assert (await record_of(studio, result)).job.params.mask is not None


def mask():
    """Give a mask whose upper left quarter is white."""
    image = Image.new("L", (64, 64))
    image.paste(255, (0, 0, 32, 32))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def near(one, other):
    return all(abs(a - b) < 12 for a, b in zip(one, other, strict=True))
