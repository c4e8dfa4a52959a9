"""/show and /favourites without words: a contact sheet of numbered thumbnails, and a select that posts one."""

from __future__ import annotations

from tests.support.bot_harness import first_tile, open_image


async def draw(harness, *prompts):
    """Draw prompts one after the other and return the results."""
    results = []
    for prompt in prompts:
        await harness.imagine(prompt)
        results.append(await harness.result(text=prompt))
    return results


def labels(message):
    """Return the labels of the select's options."""
    return [option["label"] for option in message.components[0]["components"][0]["options"]]


async def test_show_without_words_offers_the_newest_results_as_thumbnails(harness):
    async with harness.bot():
        await draw(harness, "a red fox", "an owl --ar 2:1")
        sheet = await (await harness.person(harness.ada).command("show", harness.channel)).message()
        assert sheet.ephemeral
        (attachment,) = sheet.attachments
        assert attachment.description == "1: an owl --ar 2:1, 2: a red fox"
        assert open_image(harness.server, sheet).size == (504, 256)
        assert labels(sheet)[0].startswith("1. an owl --ar 2:1 · ")
        assert labels(sheet)[1].startswith("2. a red fox · ")
        chosen = await harness.person(harness.ada).select(sheet, labels(sheet)[1])
        posted = await chosen.message()
        assert posted.content.startswith("**a red fox**")
        assert "U1" in posted.labels and not posted.ephemeral
        again = await (await harness.person(harness.ada).select(sheet, labels(sheet)[1])).message()
        assert again.id != posted.id


async def test_favourites_without_words_offers_the_newest_favourites(harness):
    async with harness.bot():
        ben = harness.person(harness.ben)
        empty = await (await ben.command("favourites", harness.channel)).message()
        assert "no favourites yet" in empty.content
        (grid,) = await draw(harness, "a red fox")
        await harness.person(harness.ada).press(grid, "U2")
        picked = await harness.result(text="Image #2")
        await (await ben.press(picked, "❤️")).message()
        sheet = await (await ben.command("favourites", harness.channel)).message()
        assert [label.partition(" · ")[0] for label in labels(sheet)] == ["1. a red fox"]
        posted = await (await ben.select(sheet, labels(sheet)[0])).message()
        assert posted.content.startswith("**a red fox** - Image #2")


async def test_show_without_any_pictures_says_so(harness):
    async with harness.bot():
        answer = await (await harness.person(harness.ben).command("show", harness.channel)).message()
        assert "You have no pictures yet" in answer.content


async def test_a_picture_whose_file_is_gone_leaves_its_number_empty(harness):
    async with harness.bot() as services:
        first, _ = await draw(harness, "a red fox", "an owl")
        job_id = first_tile(first).job_id
        suffix = (await services.db.jobs.get(job_id)).suffix
        services.images.files.grid_path(job_id, suffix).unlink()
        sheet = await (await harness.person(harness.ada).command("show", harness.channel)).message()
        assert open_image(harness.server, sheet).size == (504, 256)
        chosen = await harness.person(harness.ada).select(sheet, labels(sheet)[1])
        await chosen.wait_for(lambda message: "no longer stored" in message.content)
