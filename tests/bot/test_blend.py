"""Pictures that people bring: blended, and linked to from a prompt."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from preview import UploadedFile
from tests.bot.conftest import picture, red
from tests.bot.test_remix import record_of


def blue():
    file = io.BytesIO()
    Image.new("RGB", (80, 60), "blue").save(file, "PNG")
    return file.getvalue()


async def blend(stage, *data, **more):
    images = {f"image{number}": UploadedFile(f"{number}.png", each) for number, each in enumerate(data, start=1)}
    return await stage.person(stage.ada).command("blend", stage.channel, **images, **more)


@pytest.mark.parametrize(
    ("dimensions", "size"), [(None, (128, 128)), ("portrait", (112, 160)), ("landscape", (160, 112))]
)
async def test_pictures_are_blended_without_words(stage, dimensions, size):
    async with stage.bot() as studio:
        more = {"dimensions": dimensions} if dimensions else {}
        await blend(stage, red(64, 64), blue(), **more)
        result = await stage.result()
        params = (await record_of(studio, result)).job.params
    assert result.content.endswith(f"Blended by <@{stage.ada.id}>")
    assert "****" not in result.content
    assert picture(stage.server, result).size == size
    assert len(params.blended) == 1
    assert result.labels[:4] == ["U1", "U2", "U3", "U4"]


async def test_five_pictures_are_blended_and_a_blend_goes_on(stage):
    async with stage.bot():
        await blend(stage, red(64, 64), blue(), blue(), red(32, 32), blue())
        await stage.person(stage.ada).press(await stage.result(), "V1")
        await stage.person(stage.ada).press(await stage.result(text="Variations"), "U1")
        picked = await stage.result(text="Image #1")
        await stage.person(stage.ada).press(picked, "Zoom Out 2×")
        await stage.result(text="Zoom Out")
        details = await (await stage.person(stage.ada).press(picked, "Details")).message()
        assert "--seed" in details.content


@pytest.mark.parametrize(("label", "says"), [("Custom Zoom", "Zoom Out by"), ("Remix", "Variations (Strong)")])
async def test_a_blend_is_zoomed_and_varied_without_words_too(stage, label, says):
    async with stage.bot():
        await blend(stage, red(64, 64), blue())
        await stage.person(stage.ada).press(await stage.result(), "U1")
        pressed = await stage.person(stage.ada).press(await stage.result(text="Image #1"), label)
        await stage.person(stage.ada).submit_modal(pressed)
        await stage.result(text=says)


async def test_links_without_words_are_blended(stage):
    addresses = [await link(stage, red(64, 64)), await link(stage, blue())]
    async with stage.bot() as studio:
        await stage.imagine(" ".join(addresses))
        result = await stage.result()
        assert len((await record_of(studio, result)).job.params.blended) == 1
    assert result.content == f"Blended by <@{stage.ada.id}>"


async def test_what_is_no_picture_is_refused_privately(stage):
    async with stage.bot():
        asked = await blend(stage, red(64, 64), b"no picture")
        refused = await asked.wait_for(lambda message: "not a picture" in message.content)
        assert refused.ephemeral
        assert not stage.public()


async def link(stage, data):
    """Post a picture and give its address."""
    message = await stage.person(stage.ben).send(stage.channel, "look", UploadedFile("a.png", data))
    return stage.server.core.cdn_url(message.attachments[0])


async def test_a_linked_picture_is_where_the_drawing_starts(stage):
    address = await link(stage, red(300, 300))
    async with stage.bot() as studio:
        await stage.imagine(f"{address} a fox --iw 3 --seed 1")
        result = await stage.result()
        assert (await record_of(studio, result)).job.params.source is not None
    assert result.content == f"**a fox --iw 3** - <@{stage.ada.id}>"
    assert picture(stage.server, result).getpixel((10, 10))[0] > 150


async def test_attached_and_linked_pictures_go_together(stage):
    address = await link(stage, red(300, 300))
    async with stage.bot() as studio:
        await stage.imagine(f"{address} a fox", image=UploadedFile("blue.png", blue()))
        params = (await record_of(studio, await stage.result())).job.params
        assert len(params.blended) == 1
        assert params.source != params.blended[0]


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/a.png", "http://10.0.0.1/a.png", "https://localhost/a.png"])
async def test_a_link_that_leads_nowhere_public_is_refused_with_the_prompt(stage, address):
    async with stage.bot():
        asked = await stage.imagine(f"{address} a fox")
        refused = await asked.wait_for(lambda message: "I cannot fetch" in message.content)
        assert refused.ephemeral
        assert f"{address} a fox" in refused.content
        assert refused.labels == ["Edit and retry"]
        assert not stage.public()


async def test_a_link_to_no_picture_names_it(stage):
    address = await link(stage, b"no picture")
    async with stage.bot():
        asked = await stage.imagine(f"{address} a fox")
        refused = await asked.wait_for(lambda message: "not a picture" in message.content)
        assert "a.png" in refused.content
