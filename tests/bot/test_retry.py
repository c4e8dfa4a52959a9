"""A prompt that is refused is kept whole, and edited in a form."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.ui.modals import MAX_TEXT_LENGTH
from cogs.image_buttons.buttons import failed_view
from cogs.image_buttons.remix import REMIX_ACTION
from cogs.image_buttons.variations import REMIXABLE
from generation.job import Action
from preview import UploadedFile
from preview.state import permissions
from tests.bot.conftest import picture, red, tile_of
from tests.db.jobs import a_job

OF_THEIR_OWN = (Action.VARY_REGION, Action.ZOOM_CUSTOM)  # which always ask for words


def prompt_of(form):
    """Give what a form's first field holds."""
    return form["components"][0]["component"].get("value", "")


async def retry(stage, refusal, **fields):
    """Press *Edit and retry* and send the form in."""
    pressed = await stage.person(stage.ada).press(refusal, "Edit and retry")
    return await stage.person(stage.ada).submit_modal(pressed, **fields)


async def test_the_form_holds_the_prompt_and_what_is_sent_in_is_drawn(stage):
    async with stage.bot():
        refusal = await (await stage.imagine("a fox --aspct 3:2")).message()
        assert refusal.ephemeral
        pressed = await stage.person(stage.ada).press(refusal, "Edit and retry")
        assert prompt_of(await pressed.modal()) == "a fox --aspct 3:2"
        sent = await stage.person(stage.ada).submit_modal(pressed, prompt="a fox --aspect 3:2")
        notice = await sent.message()
        assert not notice.ephemeral
        result = await stage.result(text="a fox --ar 3:2")
    assert stage.server.pinged_by(result) == [stage.ada]
    assert result.reference is None


async def test_what_is_sent_in_may_be_wrong_again(stage):
    async with stage.bot():
        refusal = await (await stage.imagine("a fox --aspct 3:2")).message()
        again = await (await retry(stage, refusal, prompt="a fox --aspekt 3:2")).message()
        assert again.ephemeral
        assert "`--aspekt`" in again.content
        await retry(stage, again, prompt="a fox")
        await stage.result(text="a fox")


@pytest.mark.parametrize("prompt", ["x " * 1400 + "--nonsense", "``` --nonsense"])
async def test_a_prompt_that_came_as_a_file_is_edited_too(stage, prompt):
    async with stage.bot():
        refusal = await (await stage.imagine(prompt)).message()
        pressed = await stage.person(stage.ada).press(refusal, "Edit and retry")
        assert prompt_of(await pressed.modal()) == prompt


async def test_a_prompt_too_long_for_a_form_comes_as_a_file_with_a_hint(stage):
    async with stage.bot():
        refusal = await (await stage.imagine("x" * 5000 + " --nonsense")).message()
    assert "4000 characters" in refusal.content
    assert refusal.labels == []


async def test_the_button_and_the_form_work_after_a_restart(stage):
    async with stage.bot():
        refusal = await (await stage.imagine("a fox --aspct 3:2")).message()
    async with stage.bot():
        pressed = await stage.person(stage.ada).press(refusal, "Edit and retry")
        await pressed.modal()
    async with stage.bot():
        await stage.person(stage.ada).submit_modal(pressed, prompt="an owl")
        await stage.result(text="an owl")


async def test_the_attached_picture_is_kept_for_the_retry(stage):
    async with stage.bot():
        asked = await stage.imagine("a fox --iw 3 --aspct 1:1 --seed 1", image=UploadedFile("red.png", red(300, 300)))
        refusal = await asked.wait_for(lambda message: "--aspct" in message.content)
        assert refusal.ephemeral
        assert not stage.public()
    async with stage.bot():
        await retry(stage, refusal, prompt="a fox --iw 3 --seed 1")
        assert picture(stage.server, await stage.result()).getpixel((10, 10))[0] > 150


async def test_a_picture_that_cannot_be_read_keeps_the_prompt(stage):
    async with stage.bot():
        asked = await stage.imagine("a fox", image=UploadedFile("notes.txt", b"no picture"))
        refusal = await asked.wait_for(lambda message: "not a picture" in message.content)
        assert "```\na fox\n```" in refusal.content
        await retry(stage, refusal)
        await stage.result(text="a fox")


async def test_a_full_queue_keeps_the_prompt(stage):
    async with stage.bot(waiting_per_person=1, running_per_person=1):
        await stage.imagine("slow one")
        await stage.notice("(25%)")
        await (await stage.imagine("slow two")).message()
        refusal = await (await stage.imagine("slow three")).message()
        assert "```\nslow three\n```" in refusal.content
        stage.go()
        await stage.result(text="two")
        await retry(stage, refusal)
        await stage.result(text="three")


async def test_an_error_of_the_bots_own_keeps_the_prompt_too(stage, monkeypatch):
    async with stage.bot() as studio:

        async def fail(*_: object) -> None:
            raise RuntimeError("full disk")

        with monkeypatch.context() as broken:
            broken.setattr(studio.store, "add_job", fail)
            refusal = await (await stage.imagine("a fox")).message()
        assert "Something went wrong on my side" in refusal.content
        await retry(stage, refusal)
        await stage.result(text="a fox")


async def test_a_job_that_failed_is_asked_for_again_with_other_words(stage):
    async with stage.bot() as studio:
        await stage.imagine("huge fox --ar 2:1 --stop 50")
        failed = await stage.notice("too large")
        pressed = await stage.person(stage.ada).press(failed, "Edit and retry")
        assert prompt_of(await pressed.modal()) == "huge fox --ar 2:1 --stop 50"
        await stage.person(stage.ada).submit_modal(pressed, prompt="small fox --ar 2:1")
        result = await stage.result(text="small fox --ar 2:1")
        params = (await studio.store.get(tile_of(result).job_id)).job.params
    assert stage.server.pinged_by(result) == [stage.ada]
    assert params.stop == 100


async def test_a_failed_job_keeps_its_pictures_and_what_was_settled_then_for_the_retry_after_a_restart(stage):
    async with stage.bot() as studio:
        await studio.preferences.update(stage.ada.id, suffix="--ar 2:1")
        await stage.imagine("huge fox --iw 3", image=UploadedFile("red.png", red(300, 300)))
        failed = await stage.notice("too large")
        await studio.preferences.update(stage.ada.id, suffix="--ar 1:2")
    async with stage.bot():
        await retry(stage, failed, prompt="small fox --iw 3 --seed 1 --ar 2:1")
        drawn = picture(stage.server, await stage.result(text="small fox"))
    assert drawn.width > drawn.height
    assert drawn.getpixel((10, 10))[0] > 150


async def test_a_failed_retry_can_be_tried_again_with_the_same_words(stage):
    async with stage.bot():
        await stage.imagine("death of a fox")
        failed = await stage.notice("ended twice")
        await retry(stage, failed, prompt="huge fox")
        again = await stage.notice("too large")
        (stage.model / "spare").touch()
        await retry(stage, failed)
        await stage.result(text="death of a fox")
        await retry(stage, again, prompt="an owl")
        await stage.result(text="an owl")


async def test_a_failed_change_of_a_picture_starts_from_that_picture_again(stage):
    async with stage.bot() as studio:
        await studio.preferences.update(stage.ada.id, remix=True)
        await stage.imagine("a fox")
        grid = await stage.result()
        pressed = await stage.person(stage.ada).press(grid, "V2")
        await stage.person(stage.ada).submit_modal(pressed, prompt="huge owl")
        await retry(stage, await stage.notice("too large"), prompt="small owl")
        params = (await studio.store.get(tile_of(await stage.result(text="small owl")).job_id)).job.params
    assert params.source == replace(tile_of(grid), index=1)
    assert params.strength < 1


async def test_nobody_else_retries_a_failed_job_and_a_cancelled_one_has_no_button(stage):
    async with stage.bot():
        await stage.imagine("huge fox")
        pressed = await stage.person(stage.ben).press(await stage.notice("too large"), "Edit and retry")
        assert f"Only <@{stage.ada.id}>" in (await pressed.message()).content
        notice = await (await stage.imagine("slow owl")).message()
        await stage.notice("(25%)")
        await stage.person(stage.ada).press(notice, "Cancel")
        await stage.server.wait_until(lambda: "Cancelled by" in notice.content)
        assert notice.labels == []


async def test_a_failure_told_by_direct_message_has_the_whole_prompt_and_the_button(stage):
    channel = stage.server.world.add_channel(stage.guild, "walled", bot_denied=permissions.SEND_MESSAGES)
    direct = stage.server.world.dm_channel(stage.ada)
    async with stage.bot():
        await stage.imagine("slow huge " + "fox " * 250, channel=channel)
        await stage.notice("(25%)", channel)
        stage.server.world.clock.advance(16 * 60)
        stage.go()
        told = await stage.notice("too large", direct)
        assert stage.server.core.files.get(told.attachments[0].id).decode().split()[-1] == "fox"
        await retry(stage, told, prompt="small fox")
        await stage.result(text="small fox", channel=direct)


async def test_only_a_failed_job_with_words_to_change_that_fit_into_a_form_has_the_button():
    job = a_job()
    for action in Action:
        view = failed_view(replace(job, action=action), "a fox")
        asks = action in REMIXABLE or action in {*REMIX_ACTION.values(), Action.IMAGINE, Action.BLEND, *OF_THEIR_OWN}
        assert (view is not None) == asks, action
    assert failed_view(job, "x" * MAX_TEXT_LENGTH) is not None
    assert failed_view(job, "x" * (MAX_TEXT_LENGTH + 1)) is None
