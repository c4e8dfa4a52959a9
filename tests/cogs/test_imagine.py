"""From the typed prompt to the posted grid."""

from __future__ import annotations

import discord
import pytest

from generation.files import sanitize
from generation.queue.limits import QueueFull
from preview import UploadedFile
from tests.support.bot_harness import eventually, first_tile, open_image, red_png


async def test_a_prompt_becomes_a_grid_that_pings_only_its_requester(harness):
    async with harness.bot():
        asked = await harness.imagine("a red fox --ar 2:1")
        first = await asked.message()
        assert first.content.startswith(f"**a red fox --ar 2:1** - <@{harness.ada.id}> (Waiting to start)")
        assert first.labels == ["Cancel"]
        result = await harness.result()
        await harness.server.wait_until(lambda: first.deleted)
    assert result.content == f"**a red fox --ar 2:1** - <@{harness.ada.id}>"
    assert result.labels == ["U1", "U2", "U3", "U4", "🔄", "V1", "V2", "V3", "V4", "Walk"]
    assert open_image(harness.server, result).size == (2 * 88, 2 * 48)
    assert result.attachments[0].filename.startswith("ada_a_red_fox_")
    assert harness.server.pinged_by(result) == [harness.ada]
    assert harness.server.pinged_by(first) == []
    assert (await asked.response()).seconds < 3


async def test_progress_and_previews_are_shown_during_generation(harness):
    async with harness.bot():
        asked = await harness.imagine("slow fox --steps 8")
        drawing = await asked.wait_for(lambda message: "(12%)" in message.content and message.attachments)
        assert [attachment.filename.rpartition(".")[2] for attachment in drawing.attachments] == ["jpg"]
        harness.release_slow_jobs()
        await harness.result()


async def test_every_picture_has_its_prompt_as_alternative_text(harness):
    prompt = "a slow fox, " + 300 * "oil " + "paint"
    async with harness.bot() as services:
        await services.db.preferences.update(harness.ada.id, auto_dm=True)
        asked = await harness.imagine(f"**{prompt}** --ar 2:1")
        preview = await asked.wait_for(lambda message: message.attachments)
        harness.release_slow_jobs()
        result = await harness.result()
        pressed = await harness.person(harness.ada).context_menu("DM results", result)
        dm = harness.server.world.dm_channel(harness.ada)
        await harness.server.wait_until(lambda: len(harness.server.world.channel_messages(dm)) >= 5)
        await pressed.message()
    for message in (preview, result, *harness.server.world.channel_messages(dm)):
        for attachment in message.attachments:
            assert attachment.description.startswith("a slow fox, oil oil")
            assert "*" not in attachment.description
            assert len(attachment.description) <= 1024


async def test_the_queue_position_is_shown(harness):
    async with harness.bot(running_per_person=1):
        await harness.imagine("slow fox")
        await harness.status_message("(25%)")
        await harness.imagine("second")
        await harness.imagine("third")
        await harness.status_message("next in line")
        await harness.status_message("2nd in line")
        harness.release_slow_jobs()
        await harness.result(text="third")


async def test_every_problem_of_a_prompt_is_reported_privately_with_the_prompt(harness):
    async with harness.bot():
        asked = await harness.imagine("a fox --aspct 3:2 --steps 1000")
        answer = await asked.message()
    assert answer.ephemeral
    assert "did you mean `--aspect`?" in answer.content
    assert "`--steps`" in answer.content
    assert "a fox --aspct 3:2 --steps 1000" in answer.content
    assert not harness.public_messages()


@pytest.mark.parametrize("prompt", ["x" * 5000 + " --nonsense", "``` --nonsense", "--ar 1:0 " * 500])
async def test_an_invalid_prompt_too_long_for_a_message_is_returned_as_a_file(harness, prompt):
    async with harness.bot():
        answer = await (await harness.imagine(prompt)).message()
    assert answer.ephemeral
    assert harness.server.core.files.get(answer.attachments[0].id).decode() == prompt


HOSTILE_PROMPTS = (
    "@everyone **bold** `code` ||spoiler|| <@&1> # title",
    "مرحبا \u202eevil",
    "👩‍👩‍👧‍👦 " * 200,
    "a" * 6000,
    "_" * 6000,
    "https in text, [a](http://127.0.0.1)",
    "- list",
)


async def test_any_text_is_a_prompt_and_pings_nobody_else(harness):
    async with harness.bot():
        for prompt in HOSTILE_PROMPTS:
            channel = harness.server.world.add_channel(harness.guild)
            await harness.imagine(prompt, channel=channel)
            result = await harness.result(channel=channel)
            assert harness.server.pinged_by(result) == [harness.ada], prompt
            assert not result.mention_everyone, prompt


async def test_users_with_unusual_names_get_their_images(harness):
    async with harness.bot():
        for name in ("ada", "Ada 🌙 Ł", "مرحبا", "x" * 32, "名前"):
            user = harness.server.world.add_user(name, display_name=name)
            harness.server.world.add_member(user, harness.guild)
            channel = harness.server.world.add_channel(harness.guild)
            await harness.imagine("a fox", user, channel)
            assert (await harness.result(channel=channel)).attachments, name


async def test_generation_starts_from_an_attached_image(harness):
    async with harness.bot():
        await harness.imagine("a fox --iw 3 --seed 1", image=UploadedFile("red.png", red_png(300, 300)))
        near = open_image(harness.server, await harness.result())
        await harness.imagine("a wolf --seed 1")
        far = open_image(harness.server, await harness.result(text="wolf"))
    assert near.getpixel((10, 10))[0] > 150
    assert near.getpixel((10, 10)) != far.getpixel((10, 10))


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("notes.txt", b"no picture", "not a picture"),
        ("cut.png", None, "damaged"),
    ],
)
async def test_an_attachment_that_is_no_image_is_refused_privately(harness, name, data, says):
    async with harness.bot():
        asked = await harness.imagine("a fox", image=UploadedFile(name, data or red_png(300, 300)[:200]))
        answer = await asked.wait_for(lambda message: says in message.content)
        assert answer.ephemeral
        assert not harness.public_messages()


async def test_two_simultaneous_users_get_their_own_results(harness):
    async with harness.bot():
        await harness.imagine("fox", harness.ada)
        await harness.imagine("owl", harness.ben)
        fox, owl = await harness.result(text="fox"), await harness.result(text="owl")
    assert harness.server.pinged_by(fox) == [harness.ada]
    assert harness.server.pinged_by(owl) == [harness.ben]


async def test_exceeding_a_users_limit_is_an_ordinary_reply(harness):
    async with harness.bot(waiting_per_person=1, running_per_person=1):
        await harness.imagine("slow one")
        await harness.status_message("(25%)")
        await (await harness.imagine("slow two")).message()
        refused = await (await harness.imagine("slow three")).message()
        assert refused.ephemeral
        assert "waiting" in refused.content
        other = await (await harness.imagine("mine", harness.ben)).message()
        assert not other.ephemeral
        harness.release_slow_jobs()
        await harness.result(text="two")


async def test_a_full_queue_is_an_ordinary_reply_even_in_a_burst(harness):
    async with harness.bot(waiting_in_all=3, running_per_person=1):
        await harness.imagine("slow one")
        await harness.status_message("(25%)")
        asked = [await harness.imagine(f"slow more {number}") for number in range(5)]
        answers = [await each.message() for each in asked]
        assert [answer.ephemeral for answer in answers] == [False] * 3 + [True] * 2
        assert "queue is full" in answers[-1].content
        harness.release_slow_jobs()
        await harness.server.wait_until(lambda: len(harness.results()) == 4)


async def test_drawn_results_that_cannot_be_posted_yet_fill_the_queue(harness):
    async with harness.bot(waiting_in_all=3) as services:
        held = harness.server.faults.hold("POST", f"/channels/{harness.channel.id}/messages")
        for number in range(3):
            await (await harness.imagine(f"drawn {number}")).message()
        queue = services.queue
        await eventually(lambda: not queue.waiting and not queue.running and not _has_room(queue))
        refused = await (await harness.imagine("one too many")).message()
        assert refused.ephemeral
        assert "queue is full" in refused.content
        held.release()
        await eventually(lambda: _has_room(queue))
        assert len(harness.results()) > 0
        assert not (await (await harness.imagine("room again")).message()).ephemeral


def _has_room(queue):
    try:
        queue.check_limits(person_id=0)
    except QueueFull:
        return False
    return True


async def test_commands_are_synced_only_when_they_changed(harness):
    def syncs():
        sent = (request for request in harness.server.requests if request.method == "PUT")
        return [request for request in sent if request.path.endswith("/commands")]

    async with harness.bot():
        assert len(syncs()) == 1
    async with harness.bot():
        await harness.imagine("a fox")
        await harness.result()
    assert len(syncs()) == 1


async def test_a_command_that_discord_refuses_is_named(harness, monkeypatch):
    async with harness.bot():
        command = harness.client.tree.get_command("show")
        monkeypatch.setattr(command, "description", "long " * 30)
        monkeypatch.setattr(command, "_locale_description", None)
        with pytest.raises(discord.HTTPException, match="In command 'show'"):
            await harness.client.sync_commands()
    harness.server.violations.clear()


async def test_attachments_are_decoded_two_at_a_time_to_keep_others_going(harness, monkeypatch):
    clean, now, most = sanitize.sanitize_image, [], []

    def watched(data: bytes) -> bytes:
        now.append(1)
        most.append(len(now))
        try:
            return clean(data)
        finally:
            now.pop()

    monkeypatch.setattr(sanitize, "sanitize_image", watched)
    async with harness.bot():
        for number in range(8):
            await harness.imagine(f"fox {number}", image=UploadedFile("red.png", red_png(900, 900)))
        await harness.server.wait_until(lambda: len(harness.results()) == 8)
    assert max(most) <= 2


async def test_imagine_is_the_first_command_that_discord_is_sent(harness):
    async with harness.bot():
        names = [command["name"] for command in harness.person(harness.ada).commands(harness.channel)]
    assert names[:3] == ["imagine", "blend", "show"]


@pytest.mark.parametrize("parameter", ["--v 6", "--niji 6", "--model nonsense"])
async def test_an_unknown_model_is_named_as_typed_and_the_usual_one_is_offered(harness, parameter):
    async with harness.bot():
        refusal = await (await harness.imagine(f"a fox {parameter} --ar 2:1")).message()
        assert parameter.split()[1] in refusal.content.partition("```")[0]
        assert refusal.labels == ["Draw with Painter", "Edit and retry"]
        await harness.person(harness.ada).press(refusal, "Draw with Painter")
        result = await harness.result()
    assert result.content.startswith("**a fox --ar 2:1**")


@pytest.mark.parametrize("prompt", ["a fox --v 6 --aspct 3:2", "a fox --aspct 3:2", "a {fox, owl} --v 6"])
async def test_the_usual_model_is_offered_only_where_that_is_enough(harness, prompt):
    async with harness.bot():
        refusal = await (await harness.imagine(prompt)).message()
    assert refusal.labels == ["Edit and retry"]


async def test_an_uploaded_picture_is_kept_with_the_usual_model(harness):
    async with harness.bot() as services:
        image = UploadedFile("red.png", red_png(64, 64))
        refusal = await (await harness.imagine("a fox --v 6", image=image)).wait_for(lambda each: each.buttons)
        await harness.person(harness.ada).press(refusal, "Draw with Painter")
        result = await harness.result()
        assert (await services.db.jobs.get(first_tile(result).job_id)).job.params.source is not None


async def test_pasted_infotext_is_drawn_and_the_answer_names_what_is_not_used(harness):
    async with harness.bot():
        asked = await harness.imagine("a fox Negative prompt: text Steps: 3, Seed: 4, Model: gone, Clip skip: 2")
        result = await harness.result()
        note = await asked.wait_for(lambda message: "not used" in message.content)
    assert result.content.startswith("**a fox --steps 3 --negative text**")
    assert note.ephemeral
    assert "`Clip skip`, `Model`" in note.content


async def test_a_prompt_without_words_and_pictures_is_refused(harness):
    async with harness.bot():
        asked = await harness.imagine("--ar 3:2")
        answer = await asked.message()
    assert answer.ephemeral
    assert "Say what to draw" in answer.content
