"""The pictures that people gave are shown small beside what was drawn from them."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from preview import UploadedFile
from preview.state import permissions
from preview.state.world import Overwrite
from tests.cogs.image_buttons.test_region import open_region_picker
from tests.cogs.image_buttons.test_remix import pick_image
from tests.support.bot_harness import open_image, red_png


def picture(size: tuple[int, int], colour: str) -> UploadedFile:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return UploadedFile(f"{colour}.png", file.getvalue())


def shown(harness, message) -> Image.Image:
    """Return the picture that the only embed of a message shows."""
    (embed,) = message.embeds
    (attachment,) = [each for each in message.attachments if each.filename.startswith("inputs_")]
    assert embed["image"]["url"].endswith(attachment.filename)
    return Image.open(io.BytesIO(harness.server.core.files.get(attachment.id)))


async def test_an_image_prompt_and_blended_pictures_are_shown_beside_the_result(harness):
    async with harness.bot():
        await harness.imagine("a fox", image=picture((300, 200), "red"))
        one = await harness.result(text="a fox")
        images = {"image1": picture((300, 200), "red"), "image2": picture((100, 400), "blue")}
        await harness.person(harness.ada).command("blend", harness.channel, **images)
        two = await harness.result(text="Blended")
        await harness.person(harness.ada).press(one, "U1")
        picked = await harness.result(text="Image #1")
    assert one.embeds[0]["description"] == "-# Drawn from"
    assert one.attachments[1].description == "The pictures that this was drawn from"
    assert shown(harness, one).size == (144, 96)
    strip = shown(harness, two)
    assert strip.size == (144 + 4 + 24, 96)
    assert strip.getpixel((72, 48))[0] > 200 < strip.getpixel((160, 48))[2]
    assert (picked.embeds, len(picked.attachments)) == ([], 1)


async def test_the_part_that_was_changed_is_shown_brighter(harness):
    async with harness.bot():
        picked = await pick_image(harness)
        asked = await open_region_picker(harness, picked)
        await harness.person(harness.ada).press(asked, "5 · middle")
        await harness.server.wait_until(lambda: asked.labels[4] == "✓ 5 · middle")
        pressed = await harness.person(harness.ada).press(asked, "Continue")
        await harness.person(harness.ada).submit_modal(pressed, prompt="an owl")
        changed = await harness.result(text="Variations (Region)")
    assert changed.embeds[0]["description"] == "-# Changed here"
    small = shown(harness, changed).convert("L")
    original = open_image(harness.server, picked).convert("L").resize(small.size)
    middle, corner = (brightness(small, place) / brightness(original, place) for place in (0.4, 0.05))
    assert corner < 0.6 < 0.9 < middle


def brightness(image: Image.Image, place: float) -> float:
    left, top = round(image.width * place), round(image.height * place)
    return sum(image.crop((left, top, left + image.width // 5, top + image.height // 5)).tobytes())


async def test_a_result_without_given_pictures_has_no_embed(harness):
    async with harness.bot():
        await harness.imagine("a fox")
        assert (await harness.result()).embeds == []


async def test_without_the_permission_for_embeds_the_result_is_posted_alone(harness):
    bot_id = harness.server.world.application.bot_id
    harness.channel.overwrites.append(Overwrite(bot_id, 1, deny=permissions.EMBED_LINKS))
    async with harness.bot():
        await harness.imagine("a fox", image=picture((300, 200), "red"))
        result = await harness.result()
    assert (result.embeds, len(result.attachments)) == ([], 1)


@pytest.mark.parametrize("private", [False, True])
async def test_a_private_result_shows_them_too(harness, private):
    async with harness.bot():
        await harness.imagine(f"a fox {'--stealth' if private else ''}", image=UploadedFile("red.png", red_png(64, 64)))
        result = await harness.result()
    assert len(result.embeds) == 1
