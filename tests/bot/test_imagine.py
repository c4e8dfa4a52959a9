"""From the typed prompt to the posted grid."""

from __future__ import annotations

import pytest

from generation.files import sanitize
from preview import UploadedFile
from tests.bot.conftest import picture, red


async def test_a_prompt_becomes_a_grid_with_buttons_and_pings_only_who_asked(stage):
    async with stage.bot():
        asked = await stage.imagine("a red fox --ar 2:1")
        first = await asked.message()
        assert first.content.startswith(f"**a red fox --ar 2:1** - <@{stage.ada.id}> (Waiting to start)")
        assert first.labels == ["Cancel"]
        result = await stage.result()
        await stage.server.wait_until(lambda: first.deleted)
    assert result.content == f"**a red fox --ar 2:1** - <@{stage.ada.id}>"
    assert result.labels == ["U1", "U2", "U3", "U4", "🔄", "V1", "V2", "V3", "V4"]
    assert picture(stage.server, result).size == (2 * 88, 2 * 48)
    assert result.attachments[0].filename.startswith("ada_a_red_fox_")
    assert stage.server.pinged_by(result) == [stage.ada]
    assert stage.server.pinged_by(first) == []
    assert (await asked.response()).seconds < 3


async def test_progress_and_previews_are_shown_while_it_is_drawn(stage):
    async with stage.bot():
        asked = await stage.imagine("slow fox --steps 8")
        drawing = await stage.notice("(12%)")
        assert drawing.id == (await asked.message()).id
        assert [attachment.filename.rpartition(".")[2] for attachment in drawing.attachments] == ["jpg"]
        stage.go()
        await stage.result()


async def test_the_place_in_the_queue_is_shown(stage):
    async with stage.bot(running_per_person=1):
        await stage.imagine("slow fox")
        await stage.notice("(25%)")
        await stage.imagine("second")
        await stage.imagine("third")
        await stage.notice("next in the queue")
        await stage.notice("number 2 in the queue")
        stage.go()
        await stage.result(text="third")


async def test_every_fault_of_a_prompt_is_said_privately_and_the_prompt_given_back(stage):
    async with stage.bot():
        asked = await stage.imagine("a fox --aspct 3:2 --steps 1000")
        answer = await asked.message()
    assert answer.ephemeral
    assert "did you mean `--aspect`?" in answer.content
    assert "`--steps`" in answer.content
    assert "a fox --aspct 3:2 --steps 1000" in answer.content
    assert not stage.public()


@pytest.mark.parametrize("prompt", ["x" * 5000 + " --nonsense", "``` --nonsense", "--ar 1:0 " * 500])
async def test_a_faulty_prompt_that_does_not_fit_into_a_message_comes_back_as_a_file(stage, prompt):
    async with stage.bot():
        answer = await (await stage.imagine(prompt)).message()
    assert answer.ephemeral
    assert stage.server.core.files.get(answer.attachments[0].id).decode() == prompt


@pytest.mark.parametrize(
    "prompt",
    [
        "@everyone **bold** `code` ||spoiler|| <@&1> # title",
        "مرحبا \u202eevil",
        "👩‍👩‍👧‍👦 " * 200,
        "a" * 6000,
        "_" * 6000,
        "https in text, [a](http://127.0.0.1)",
        "- list",
    ],
)
async def test_any_text_is_a_prompt_and_pings_nobody_else(stage, prompt):
    async with stage.bot():
        await stage.imagine(prompt)
        result = await stage.result()
    assert stage.server.pinged_by(result) == [stage.ada]
    assert not result.mention_everyone


@pytest.mark.parametrize("name", ["ada", "Ada 🌙 Ł", "مرحبا", "x" * 32, "名前"])
async def test_anybody_gets_a_picture_whatever_their_name(stage, name):
    user = stage.server.world.add_user(name, display_name=name)
    stage.server.world.add_member(user, stage.guild)
    async with stage.bot():
        await stage.imagine("a fox", user)
        assert (await stage.result()).attachments


async def test_an_attached_picture_is_where_the_drawing_starts(stage):
    async with stage.bot():
        await stage.imagine("a fox --iw 3 --seed 1", image=UploadedFile("red.png", red(300, 300)))
        near = picture(stage.server, await stage.result())
        await stage.imagine("a wolf --seed 1")
        far = picture(stage.server, await stage.result(text="wolf"))
    assert near.getpixel((10, 10))[0] > 150
    assert near.getpixel((10, 10)) != far.getpixel((10, 10))


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("notes.txt", b"no picture", "not a picture"),
        ("cut.png", None, "damaged"),
    ],
)
async def test_an_attachment_that_is_no_picture_is_refused_privately(stage, name, data, says):
    async with stage.bot():
        asked = await stage.imagine("a fox", image=UploadedFile(name, data or red(300, 300)[:200]))
        answer = await asked.wait_for(lambda message: says in message.content)
        assert answer.ephemeral
        assert not stage.public()


async def test_two_people_at_once_get_each_their_own(stage):
    async with stage.bot():
        await stage.imagine("fox", stage.ada)
        await stage.imagine("owl", stage.ben)
        fox, owl = await stage.result(text="fox"), await stage.result(text="owl")
    assert stage.server.pinged_by(fox) == [stage.ada]
    assert stage.server.pinged_by(owl) == [stage.ben]


async def test_over_the_bound_of_a_person_is_an_ordinary_answer(stage):
    async with stage.bot(waiting_per_person=1, running_per_person=1):
        await stage.imagine("slow one")
        await stage.notice("(25%)")
        await (await stage.imagine("slow two")).message()
        refused = await (await stage.imagine("slow three")).message()
        assert refused.ephemeral
        assert "waiting" in refused.content
        other = await (await stage.imagine("mine", stage.ben)).message()
        assert not other.ephemeral
        stage.go()
        await stage.result(text="two")


async def test_over_the_bound_of_all_is_an_ordinary_answer_even_when_many_ask_in_one_moment(stage):
    async with stage.bot(waiting_in_all=3, running_per_person=1):
        await stage.imagine("slow one")
        await stage.notice("(25%)")
        asked = [await stage.imagine(f"slow more {number}") for number in range(5)]
        answers = [await each.message() for each in asked]
        assert [answer.ephemeral for answer in answers] == [False] * 3 + [True] * 2
        assert "queue is full" in answers[-1].content
        stage.go()
        await stage.server.wait_until(lambda: len(stage.results()) == 4, 20)


async def test_commands_are_told_to_discord_only_when_they_changed(stage):
    def syncs():
        sent = (request for request in stage.server.requests if request.method == "PUT")
        return [request for request in sent if request.path.endswith("/commands")]

    async with stage.bot():
        assert len(syncs()) == 1
    async with stage.bot():
        await stage.imagine("a fox")
        await stage.result()
    assert len(syncs()) == 1


async def test_attached_pictures_are_opened_two_at_a_time_so_that_others_need_not_wait(stage, monkeypatch):
    clean, now, most = sanitize.sanitize_image, [], []

    def watched(data: bytes) -> bytes:
        now.append(1)
        most.append(len(now))
        try:
            return clean(data)
        finally:
            now.pop()

    monkeypatch.setattr(sanitize, "sanitize_image", watched)
    async with stage.bot():
        for number in range(8):
            await stage.imagine(f"fox {number}", image=UploadedFile("red.png", red(900, 900)))
        await stage.server.wait_until(lambda: len(stage.results()) == 8, 20)
    assert max(most) <= 2
