"""A refused prompt is returned in full, and edited in a modal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.ui.job_views import failed_view
from bot.ui.modals import MAX_TEXT_LENGTH
from cogs.image_buttons.remix import REMIX_ACTION
from cogs.image_buttons.variations import REMIXABLE
from generation.job import Action
from generation.params import ReadingKind
from preview import UploadedFile
from preview.state import permissions
from tests.support.bot_harness import first_tile, open_image, red_png
from tests.support.jobs import make_job

ACTIONS_WITH_OWN_MODAL = (Action.VARY_REGION, Action.ZOOM_CUSTOM, Action.ZOOM_FILM)  # these always open a modal


def modal_prompt(form):
    """Return the text of a modal's first field."""
    return form["components"][0]["component"].get("value", "")


async def retry(harness, refusal, **fields):
    """Press *Edit and retry* and submit the modal."""
    pressed = await harness.person(harness.ada).press(refusal, "Edit and retry")
    return await harness.person(harness.ada).submit_modal(pressed, **fields)


async def test_the_modal_has_the_prompt_and_its_submission_is_generated(harness):
    async with harness.bot():
        refusal = await (await harness.imagine("a fox --aspct 3:2")).message()
        assert refusal.ephemeral
        pressed = await harness.person(harness.ada).press(refusal, "Edit and retry")
        assert modal_prompt(await pressed.modal()) == "a fox --aspct 3:2"
        sent = await harness.person(harness.ada).submit_modal(pressed, prompt="a fox --aspect 3:2")
        status = await sent.message()
        assert not status.ephemeral
        result = await harness.result(text="a fox --ar 3:2")
    assert harness.server.pinged_by(result) == [harness.ada]
    assert result.reference is None


async def test_a_resubmitted_prompt_may_be_invalid_again(harness):
    async with harness.bot():
        refusal = await (await harness.imagine("a fox --aspct 3:2")).message()
        again = await (await retry(harness, refusal, prompt="a fox --aspekt 3:2")).message()
        assert again.ephemeral
        assert "`--aspekt`" in again.content
        await retry(harness, again, prompt="a fox")
        await harness.result(text="a fox")


@pytest.mark.parametrize("prompt", ["x " * 1400 + "--nonsense", "``` --nonsense"])
async def test_a_prompt_returned_as_a_file_is_edited_too(harness, prompt):
    async with harness.bot():
        refusal = await (await harness.imagine(prompt)).message()
        pressed = await harness.person(harness.ada).press(refusal, "Edit and retry")
        assert modal_prompt(await pressed.modal()) == prompt


async def test_a_prompt_too_long_for_a_modal_is_a_file_with_a_hint(harness):
    async with harness.bot():
        refusal = await (await harness.imagine("x" * 5000 + " --nonsense")).message()
    assert "4000 characters" in refusal.content
    assert refusal.labels == []


async def test_the_button_and_the_modal_work_after_a_restart(harness):
    async with harness.bot():
        refusal = await (await harness.imagine("a fox --aspct 3:2")).message()
    async with harness.bot():
        pressed = await harness.person(harness.ada).press(refusal, "Edit and retry")
        await pressed.modal()
    async with harness.bot():
        await harness.person(harness.ada).submit_modal(pressed, prompt="an owl")
        await harness.result(text="an owl")


async def test_the_attached_image_is_kept_for_the_retry(harness):
    async with harness.bot():
        asked = await harness.imagine(
            "a fox --iw 3 --aspct 1:1 --seed 1", image=UploadedFile("red.png", red_png(300, 300))
        )
        refusal = await asked.wait_for(lambda message: "--aspct" in message.content)
        assert refusal.ephemeral
        assert not harness.public_messages()
    async with harness.bot():
        await retry(harness, refusal, prompt="a fox --iw 3 --seed 1")
        assert open_image(harness.server, await harness.result()).getpixel((10, 10))[0] > 150


async def test_an_unreadable_image_keeps_the_prompt(harness):
    async with harness.bot():
        asked = await harness.imagine("a fox", image=UploadedFile("notes.txt", b"no picture"))
        refusal = await asked.wait_for(lambda message: "not a picture" in message.content)
        assert "```\na fox\n```" in refusal.content
        await retry(harness, refusal)
        await harness.result(text="a fox")


async def test_a_full_queue_keeps_the_prompt(harness):
    async with harness.bot(waiting_per_person=1, running_per_person=1):
        await harness.imagine("slow one")
        await harness.status_message("(25%)")
        await (await harness.imagine("slow two")).message()
        refusal = await (await harness.imagine("slow three")).message()
        assert "```\nslow three\n```" in refusal.content
        harness.release_slow_jobs()
        await harness.result(text="two")
        await retry(harness, refusal)
        await harness.result(text="three")


async def test_an_internal_error_keeps_the_prompt_too(harness, monkeypatch):
    async with harness.bot() as services:

        async def fail(*_: object) -> None:
            raise RuntimeError("full disk")

        with monkeypatch.context() as broken:
            broken.setattr(services.db.jobs, "add_job", fail)
            refusal = await (await harness.imagine("a fox")).message()
        assert "Something went wrong on my side" in refusal.content
        await retry(harness, refusal)
        await harness.result(text="a fox")


async def test_a_failed_job_is_retried_with_another_prompt(harness):
    async with harness.bot() as services:
        await harness.imagine("huge fox --ar 2:1 --stop 50")
        failed = await harness.status_message("too large")
        pressed = await harness.person(harness.ada).press(failed, "Edit and retry")
        assert modal_prompt(await pressed.modal()) == "huge fox --ar 2:1 --stop 50"
        await harness.person(harness.ada).submit_modal(pressed, prompt="small fox --ar 2:1")
        result = await harness.result(text="small fox --ar 2:1")
        params = (await services.db.jobs.get(first_tile(result).job_id)).job.params
    assert harness.server.pinged_by(result) == [harness.ada]
    assert params.stop == 100


async def test_a_failed_job_keeps_images_and_defaults_for_retry_after_a_restart(harness):
    async with harness.bot() as services:
        await services.db.preferences.update(harness.ada.id, suffix="--ar 2:1")
        await harness.imagine("huge fox --iw 3", image=UploadedFile("red.png", red_png(300, 300)))
        failed = await harness.status_message("too large")
        await services.db.preferences.update(harness.ada.id, suffix="--ar 1:2")
    async with harness.bot():
        await retry(harness, failed, prompt="small fox --iw 3 --seed 1 --ar 2:1")
        drawn = open_image(harness.server, await harness.result(text="small fox"))
    assert drawn.width > drawn.height
    assert drawn.getpixel((10, 10))[0] > 150


async def test_a_failed_retry_can_be_repeated_with_the_same_prompt(harness):
    async with harness.bot():
        await harness.imagine("death of a fox")
        failed = await harness.status_message("ended twice")
        await retry(harness, failed, prompt="huge fox")
        again = await harness.status_message("too large")
        (harness.model / "spare").touch()
        await retry(harness, failed)
        await harness.result(text="death of a fox")
        await retry(harness, again, prompt="an owl")
        await harness.result(text="an owl")


async def test_a_failed_variation_is_retried_from_the_same_image(harness):
    async with harness.bot() as services:
        await services.db.preferences.update(harness.ada.id, remix=True)
        await harness.imagine("a fox")
        grid = await harness.result()
        pressed = await harness.person(harness.ada).press(grid, "V2")
        await harness.person(harness.ada).submit_modal(pressed, prompt="huge owl")
        await retry(harness, await harness.status_message("too large"), prompt="small owl")
        params = (await services.db.jobs.get(first_tile(await harness.result(text="small owl")).job_id)).job.params
    assert params.source == replace(first_tile(grid), index=1)
    assert params.strength < 1


async def test_only_the_requester_retries_a_failed_job_and_never_a_cancelled_one(harness):
    async with harness.bot():
        await harness.imagine("huge fox")
        pressed = await harness.person(harness.ben).press(await harness.status_message("too large"), "Edit and retry")
        assert f"Only <@{harness.ada.id}>" in (await pressed.message()).content
        status = await (await harness.imagine("slow owl")).message()
        await harness.status_message("(25%)")
        await harness.person(harness.ada).press(status, "Cancel")
        await harness.server.wait_until(lambda: "Cancelled by" in status.content)
        assert status.labels == []


async def test_a_failure_sent_by_direct_message_has_the_full_prompt_and_button(harness):
    channel = harness.server.world.add_channel(harness.guild, "walled", bot_denied=permissions.SEND_MESSAGES)
    direct = harness.server.world.dm_channel(harness.ada)
    async with harness.bot():
        await harness.imagine("slow huge " + "fox " * 250, channel=channel)
        await harness.status_message("(25%)", channel)
        harness.server.world.clock.advance(16 * 60)
        harness.release_slow_jobs()
        reply = await harness.status_message("too large", direct)
        assert harness.server.core.files.get(reply.attachments[0].id).decode().split()[-1] == "fox"
        await retry(harness, reply, prompt="small fox")
        await harness.result(text="small fox", channel=direct)


async def test_only_failed_jobs_whose_prompt_fits_into_a_modal_have_the_button():
    job = make_job()
    for kind in ReadingKind:
        params = replace(job.params, reading=kind)
        assert failed_view(replace(job, action=Action(kind.value), params=params), "a fox") is None
    for action in set(Action) - {Action(kind.value) for kind in ReadingKind}:
        view = failed_view(replace(job, action=action), "a fox")
        asks = action in REMIXABLE or action in {
            *REMIX_ACTION.values(),
            Action.IMAGINE,
            Action.BLEND,
            Action.EDIT_WORDS,
            Action.EDIT,
            *ACTIONS_WITH_OWN_MODAL,
        }
        assert (view is not None) == asks, action
    assert failed_view(job, "x" * MAX_TEXT_LENGTH) is not None
    assert failed_view(job, "x" * (MAX_TEXT_LENGTH + 1)) is None
