"""A prompt that is refused is kept whole, and edited in a form."""

from __future__ import annotations

import pytest

from preview import Upload
from tests.bot.conftest import picture, red


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
        asked = await stage.imagine("a fox --iw 3 --aspct 1:1 --seed 1", image=Upload("red.png", red(300, 300)))
        refusal = await asked.wait_for(lambda message: "--aspct" in message.content)
        assert refusal.ephemeral
        assert not stage.public()
    async with stage.bot():
        await retry(stage, refusal, prompt="a fox --iw 3 --seed 1")
        assert picture(stage.server, await stage.result()).getpixel((10, 10))[0] > 150


async def test_a_picture_that_cannot_be_read_keeps_the_prompt(stage):
    async with stage.bot():
        asked = await stage.imagine("a fox", image=Upload("notes.txt", b"no picture"))
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
