"""Buttons and forms of a picture that was deleted or erased meanwhile."""

from __future__ import annotations

import pytest

from bot.jobs.deletion import delete_files
from tests.cogs.image_buttons.test_remix import load_record, pick_image

FORMS = {
    "Edit words": {"prompt": "an owl"},
    "Remix": {"prompt": "an owl"},
    "Custom Zoom": {"prompt": "an owl"},
    "Animate": {"words": "an owl"},
}
UNDISTURBED = ("Details", "Delete")  # of a deleted picture as well
GONE = "This picture is not kept any more, so nothing can be made from it."


async def take_away(services, message, how):
    """Delete the files of a picture, or erase its job, while its message is still shown."""
    record = await load_record(services, message)
    await delete_files(services, record)
    if how == "erased":
        await services.db.personal_data.erase_job(record.job.id)


@pytest.mark.parametrize("how", ["deleted", "erased"])
async def test_every_button_says_that_the_picture_is_gone(harness, how):
    async with harness.bot() as services:
        picture = await pick_image(harness, "a fox, black and white --seed 5")
        await take_away(services, picture, how)
        ben = harness.person(harness.ben)
        labels = [label for label in picture.labels if label not in UNDISTURBED]
        answers = {label: (await (await ben.press(picture, label)).message()).content for label in labels}
    assert {"Clean up", "Colour", "Edit words", "Animate"} < set(answers)
    assert set(answers.values()) == {GONE}


@pytest.mark.parametrize("how", ["deleted", "erased"])
async def test_every_form_that_is_open_returns_its_words(harness, how):
    async with harness.bot() as services:
        picture = await pick_image(harness)
        ben = harness.person(harness.ben)
        opened = {label: await ben.press(picture, label) for label in FORMS}
        for pressed in opened.values():
            await pressed.modal()
        await take_away(services, picture, how)
        for label, pressed in opened.items():
            refused = await (await ben.submit_modal(pressed, FORMS[label])).message()
            assert refused.content == f"{GONE}\n```\nan owl\n```", label
