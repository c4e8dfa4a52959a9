"""Uploaded and linked images: blended, and used in prompts."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from preview import UploadedFile
from tests.cogs.image_buttons.test_remix import load_record
from tests.support.bot_harness import open_image, red_png


def blue_png():
    file = io.BytesIO()
    Image.new("RGB", (80, 60), "blue").save(file, "PNG")
    return file.getvalue()


async def blend(harness, *data, **more):
    images = {f"image{number}": UploadedFile(f"{number}.png", each) for number, each in enumerate(data, start=1)}
    return await harness.person(harness.ada).command("blend", harness.channel, **images, **more)


@pytest.mark.parametrize(
    ("dimensions", "size"), [(None, (128, 128)), ("portrait", (112, 160)), ("landscape", (160, 112))]
)
async def test_images_are_blended_without_text(harness, dimensions, size):
    async with harness.bot() as services:
        more = {"dimensions": dimensions} if dimensions else {}
        await blend(harness, red_png(64, 64), blue_png(), **more)
        result = await harness.result()
        params = (await load_record(services, result)).job.params
    assert result.content.endswith(f"Blended by <@{harness.ada.id}>")
    assert "****" not in result.content
    assert open_image(harness.server, result).size == size
    assert len(params.blended) == 1
    assert result.labels[:4] == ["U1", "U2", "U3", "U4"]


async def test_five_images_are_blended_and_the_result_has_buttons(harness):
    async with harness.bot():
        await blend(harness, red_png(64, 64), blue_png(), blue_png(), red_png(32, 32), blue_png())
        await harness.person(harness.ada).press(await harness.result(), "V1")
        await harness.person(harness.ada).press(await harness.result(text="Variations"), "U1")
        picked = await harness.result(text="Image #1")
        await harness.person(harness.ada).press(picked, "Zoom Out 2×")
        await harness.result(text="Zoom Out")
        details = await (await harness.person(harness.ada).press(picked, "Details")).message()
        assert "--seed" in details.content


@pytest.mark.parametrize(("label", "says"), [("Custom Zoom", "Zoom Out by"), ("Remix", "Variations (Strong)")])
async def test_a_blend_is_zoomed_and_varied_without_text_too(harness, label, says):
    async with harness.bot():
        await blend(harness, red_png(64, 64), blue_png())
        await harness.person(harness.ada).press(await harness.result(), "U1")
        pressed = await harness.person(harness.ada).press(await harness.result(text="Image #1"), label)
        await harness.person(harness.ada).submit_modal(pressed)
        await harness.result(text=says)


async def test_links_without_text_are_blended(harness):
    addresses = [await post_image(harness, red_png(64, 64)), await post_image(harness, blue_png())]
    async with harness.bot() as services:
        await harness.imagine(" ".join(addresses))
        result = await harness.result()
        assert len((await load_record(services, result)).job.params.blended) == 1
    assert result.content == f"Blended by <@{harness.ada.id}>"


async def test_a_file_that_is_no_image_is_refused_privately(harness):
    async with harness.bot():
        asked = await blend(harness, red_png(64, 64), b"no picture")
        refused = await asked.wait_for(lambda message: "not a picture" in message.content)
        assert refused.ephemeral
        assert not harness.public_messages()


async def post_image(harness, data):
    """Post an image and return its URL."""
    message = await harness.person(harness.ben).send(harness.channel, "look", UploadedFile("a.png", data))
    return harness.server.core.cdn_url(message.attachments[0])


async def test_generation_starts_from_a_linked_image(harness):
    address = await post_image(harness, red_png(300, 300))
    async with harness.bot() as services:
        await harness.imagine(f"{address} a fox --iw 3 --seed 1")
        result = await harness.result()
        assert (await load_record(services, result)).job.params.source is not None
    assert result.content == f"**a fox --iw 3** - <@{harness.ada.id}>"
    assert open_image(harness.server, result).getpixel((10, 10))[0] > 150


async def test_attached_and_linked_images_are_combined(harness):
    address = await post_image(harness, red_png(300, 300))
    async with harness.bot() as services:
        await harness.imagine(f"{address} a fox", image=UploadedFile("blue.png", blue_png()))
        params = (await load_record(services, await harness.result())).job.params
        assert len(params.blended) == 1
        assert params.source != params.blended[0]


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/a.png", "http://10.0.0.1/a.png", "https://localhost/a.png"])
async def test_a_link_to_a_private_address_is_refused_with_the_prompt(harness, address):
    async with harness.bot():
        asked = await harness.imagine(f"{address} a fox")
        refused = await asked.wait_for(lambda message: "I cannot fetch" in message.content)
        assert refused.ephemeral
        assert f"{address} a fox" in refused.content
        assert refused.labels == ["Edit and retry"]
        assert not harness.public_messages()


async def test_a_link_to_something_else_is_named_in_the_error(harness):
    address = await post_image(harness, b"no picture")
    async with harness.bot():
        asked = await harness.imagine(f"{address} a fox")
        refused = await asked.wait_for(lambda message: "not a picture" in message.content)
        assert "a.png" in refused.content
