"""What goes wrong around a job, and what becomes of the job."""

from __future__ import annotations

import asyncio

import pytest

from bot.config import ConfigError
from preview.state import permissions
from preview.state.world import Overwrite
from tests.bot.conftest import picture

FIFTEEN_MINUTES = 15 * 60 + 5


async def test_a_worker_killed_in_mid_picture_starts_again_and_draws_the_same(stage):
    async with stage.bot() as studio:
        await stage.imagine("a fox --seed 3")
        before = picture(stage.server, await stage.result())
        await stage.imagine("death of a fox --seed 3")
        await stage.notice("being started again")
        (stage.model / "spare").touch()
        after = picture(stage.server, await stage.result(text="death"))
        assert studio.worker.state.model.name == "Painter"
    assert after.tobytes() == before.tobytes()


async def test_a_job_that_ends_the_worker_twice_is_given_up_and_the_others_go_on(stage):
    async with stage.bot():
        await stage.imagine("slow owl", stage.ben)
        await stage.notice("(25%)")
        stage.go()
        await stage.imagine("death of a fox")
        given_up = await stage.notice("ended twice")
        assert given_up.labels == ["Edit and retry"]
        assert "death of a fox" in given_up.content
        await stage.result(text="owl")


async def test_a_job_that_ends_the_worker_twice_does_not_take_another_with_it(stage):
    async with stage.bot():
        await stage.imagine("slow owl", stage.ben)
        await stage.notice("(25%)")
        await stage.imagine("death of a fox")
        await stage.notice("being started again")
        stage.go()
        await stage.notice("ended twice")
        await stage.result(text="owl")


async def test_running_out_of_memory_is_said_and_the_worker_lives_on(stage):
    async with stage.bot():
        await stage.imagine("huge fox")
        await stage.notice("too large for the GPU's memory")
        await stage.imagine("small fox")
        await stage.result(text="small")


async def test_a_result_later_than_the_token_comes_by_the_channel(stage):
    async with stage.bot():
        notice = await (await stage.imagine("slow fox")).message()
        await stage.notice("(25%)")
        stage.server.world.clock.advance(FIFTEEN_MINUTES)
        stage.go()
        result = await stage.result()
        assert stage.server.pinged_by(result) == [stage.ada]
        await stage.server.wait_until(lambda: notice.deleted)


async def test_a_token_that_ended_by_discords_clock_only_does_not_lose_the_result(stage, monkeypatch):
    async with stage.bot(clock=lambda: 1e9):  # far behind
        await stage.imagine("slow fox")
        await stage.notice("(25%)")
        stage.server.world.clock.advance(FIFTEEN_MINUTES)
        stage.go()
        await stage.result()


async def test_a_notice_that_somebody_deleted_is_not_missed(stage):
    async with stage.bot():
        notice = await (await stage.imagine("slow fox")).message()
        await stage.notice("(25%)")
        await stage.person(stage.mod).delete(notice)
        stage.go()
        assert stage.server.pinged_by(await stage.result()) == [stage.ada]


async def test_a_parent_that_was_deleted_does_not_lose_the_result(stage):
    async with stage.bot():
        await stage.imagine("slow fox")
        stage.go()
        grid = await stage.result()
        (stage.model / "go").unlink()
        await stage.person(stage.ada).press(grid, "V1")
        await stage.notice("(25%)")
        await stage.person(stage.mod).delete(grid)
        stage.go()
        await stage.result(text="Variations")


@pytest.mark.parametrize("lacks", [permissions.SEND_MESSAGES, permissions.VIEW_CHANNEL, permissions.ATTACH_FILES])
async def test_without_permission_in_the_channel_the_notice_becomes_the_result(stage, lacks):
    channel = stage.server.world.add_channel(stage.guild, "walled", bot_denied=lacks)
    async with stage.bot():
        notice = await (await stage.imagine("a fox", channel=channel)).message()
        result = await stage.result(channel=channel)
    assert result.id == notice.id
    assert not [attachment for attachment in result.attachments if attachment.filename.endswith(".jpg")]


async def test_without_permission_and_after_the_token_it_comes_by_direct_message_as_was_said(stage):
    channel = stage.server.world.add_channel(stage.guild, "walled", bot_denied=permissions.SEND_MESSAGES)
    async with stage.bot():
        await stage.imagine("slow fox", channel=channel)
        await stage.notice("(25%)", channel)
        stage.server.world.clock.advance(13.5 * 60)
        await stage.notice("direct message", channel)
        stage.server.world.clock.advance(2 * 60)
        stage.go()
        await stage.result(channel=stage.server.world.dm_channel(stage.ada))


async def test_a_permission_taken_away_meanwhile_does_not_lose_the_result(stage):
    async with stage.bot():
        notice = await (await stage.imagine("slow fox")).message()
        await stage.notice("(25%)")
        bot_id = stage.server.world.application.bot_id
        stage.channel.overwrites.append(Overwrite(bot_id, 1, deny=permissions.SEND_MESSAGES))
        stage.go()
        assert (await stage.result()).id == notice.id


async def test_a_picture_that_discord_finds_too_large_is_made_smaller(stage):
    too_large = {"message": "Request entity too large", "code": 40005}
    async with stage.bot():
        stage.server.faults.fail("POST", "/channels/*/messages", status=413, body=too_large)
        await stage.imagine("a fox")
        assert (await stage.result()).attachments


async def test_a_storm_of_429_delays_but_loses_nothing(stage):
    async with stage.bot():
        stage.server.faults.rate_limit("POST", "/channels/*/messages", retry_after=0.02, times=7)
        stage.server.faults.rate_limit("PATCH", "/webhooks/*", retry_after=0.02, times=3)
        await stage.imagine("a fox")
        await stage.result()
    assert len(stage.results()) == 1


@pytest.mark.parametrize(("trouble", "how"), [("drop", {}), ("drop_response", {}), ("rate_limit", {"via": False})])
async def test_progress_that_cannot_be_shown_for_a_moment_is_shown_later_and_the_job_goes_on(stage, trouble, how):
    async with stage.bot():
        fault = getattr(stage.server.faults, trouble)("PATCH", "/webhooks/*", times=2, **how)
        await stage.imagine("slow fox")
        await stage.notice("(25%)")
        stage.go()
        await stage.result()
        await stage.server.wait_until(lambda: not stage.notices())
    assert fault.times == 0


async def test_a_result_is_not_posted_again_when_discord_was_away_for_longer_than_it_knows_a_nonce(stage, monkeypatch):
    monkeypatch.setattr("bot.discord_calls.RETRY_PAUSES", (0.5,))
    async with stage.bot():
        stage.server.faults.drop_response("POST", f"/channels/{stage.channel.id}/messages")
        await stage.imagine("a fox")
        await stage.result()
        stage.server.world.clock.advance(10 * 60)
        await stage.server.wait_until(lambda: not stage.notices())
    assert len(stage.results()) == 1
    assert len(stage.server.pings) == 1


@pytest.mark.parametrize(("code", "status"), [(50083, 400), (160002, 400), (50001, 403)])
async def test_whatever_discord_has_against_a_post_in_the_channel_there_are_other_ways(stage, code, status):
    async with stage.bot():
        stage.server.faults.fail("POST", f"/channels/{stage.channel.id}/messages", status=status, body={"code": code})
        notice = await (await stage.imagine("a fox")).message()
        assert (await stage.result()).id == notice.id


@pytest.mark.parametrize("trouble", ["drop_response", "fail_after"])
async def test_a_first_answer_of_which_no_word_came_back_is_found_and_the_job_goes_on(stage, trouble):
    async with stage.bot():
        if trouble == "drop_response":
            stage.server.faults.drop_response("POST", "/interactions/*")
        else:
            already = {"code": 40060, "message": "Interaction has already been acknowledged."}
            stage.server.faults.drop_response("POST", "/interactions/*")
            stage.server.faults.fail("POST", "/interactions/*", status=400, body=already)
        await stage.imagine("a fox")
        await stage.result()
        await stage.server.wait_until(lambda: not stage.notices())
    assert len(stage.results()) == 1


async def test_a_notice_goes_away_also_when_the_token_ended_by_discords_clock_only(stage):
    async with stage.bot(clock=lambda: 1e9):  # far behind
        await stage.imagine("slow fox")
        await stage.notice("(25%)")
        stage.server.world.clock.advance(FIFTEEN_MINUTES)
        stage.go()
        await stage.result()
        await stage.server.wait_until(lambda: not stage.notices())


async def test_a_notice_goes_away_when_discord_can_be_reached_again(stage, monkeypatch):
    monkeypatch.setattr("bot.discord_calls.RETRY_PAUSES", (0.05,))
    async with stage.bot():
        stage.server.faults.drop("DELETE", "/webhooks/*", times=3)
        await stage.imagine("a fox")
        await stage.result()
        await stage.server.wait_until(lambda: not stage.notices())


async def test_an_ending_is_said_when_discord_can_be_reached_again(stage, monkeypatch):
    monkeypatch.setattr("bot.discord_calls.RETRY_PAUSES", (0.05,))
    async with stage.bot():
        notice = await (await stage.imagine("slow huge fox")).message()
        await stage.notice("(25%)")
        stage.server.faults.drop("PATCH", "/webhooks/*", times=3)
        stage.go()
        await stage.server.wait_until(lambda: "memory" in notice.content)


async def test_who_was_told_to_wait_for_a_direct_message_gets_one_also_when_there_is_no_picture(stage):
    channel = stage.server.world.add_channel(stage.guild, "walled", bot_denied=permissions.SEND_MESSAGES)
    async with stage.bot():
        await stage.imagine("slow huge fox", channel=channel)
        await stage.notice("(25%)", channel)
        stage.server.world.clock.advance(FIFTEEN_MINUTES)
        stage.go()
        await stage.notice("memory", stage.server.world.dm_channel(stage.ada))


@pytest.mark.parametrize("trouble", ["fail", "drop", "drop_response"])
async def test_when_discord_breaks_while_the_result_is_posted_it_is_posted_once(stage, trouble, monkeypatch):
    monkeypatch.setattr("bot.discord_calls.RETRY_PAUSES", (0.01,))
    async with stage.bot():
        getattr(stage.server.faults, trouble)("POST", f"/channels/{stage.channel.id}/messages", times=2)
        await stage.imagine("a fox")
        await stage.result()
        await stage.server.wait_until(lambda: not stage.notices())
    assert len(stage.results()) == 1
    assert len([ping for ping in stage.server.pings if ping.user_id == stage.ada.id]) == 1


async def test_a_gateway_that_is_lost_and_resumed_loses_no_command(stage):
    async with stage.bot():
        await stage.imagine("slow fox")
        await stage.notice("(25%)")
        await stage.server.gateway.drop(4000)
        await stage.server.wait_connected()
        stage.go()
        await stage.result()
        await stage.imagine("owl")
        await stage.result(text="owl")


async def test_a_connection_that_fails_at_first_is_tried_again(stage, monkeypatch):
    monkeypatch.setattr("bot.app.RECONNECT_PAUSES", (0.01,))
    dropped = stage.server.faults.drop("GET", "/gateway/bot", times=2)
    async with stage.bot():
        await stage.imagine("a fox")
        await stage.result()
    assert dropped.hits == 2


async def test_a_token_that_is_refused_later_on_is_said_in_one_line(stage):
    with pytest.raises(ConfigError, match="DISCORD_TOKEN"):
        async with stage.bot():
            await stage.server.gateway.drop(4004)
            await stage.server.wait_until(lambda: not stage.server.gateway.connections)
            await asyncio.sleep(0.3)


@pytest.mark.parametrize("code", [1000, 4009, 4012])
async def test_whichever_way_discord_closes_the_connection_the_bot_comes_back(stage, code, monkeypatch):
    monkeypatch.setattr("bot.app.RECONNECT_PAUSES", (0.01,))
    async with stage.bot():
        await stage.imagine("slow fox")
        await stage.notice("(25%)")
        await stage.server.gateway.drop(code)
        await stage.server.wait_connected()
        stage.go()
        await stage.result()
        await stage.server.wait_until(lambda: not stage.notices())
    assert len(stage.results()) == 1


async def test_direct_messages_work_like_channels(stage):
    direct = stage.server.world.dm_channel(stage.ada)
    async with stage.bot():
        await stage.imagine("slow fox", channel=direct)
        await stage.notice("(25%)", direct)
        stage.server.world.clock.advance(FIFTEEN_MINUTES)
        stage.go()
        grid = await stage.result(channel=direct)
        await stage.person(stage.ada).press(grid, "V1")
        await stage.result(text="Variations", channel=direct)


async def test_a_person_who_installed_the_bot_uses_it_in_a_foreign_server(stage):
    eve = stage.server.world.add_user("eve", installed=True)
    channel = stage.server.world.add_channel(stage.server.world.add_guild("Elsewhere", eve, bot=False))
    async with stage.bot():
        await stage.imagine("a fox", eve, channel)
        grid = await stage.result(channel=channel)
        for number, label in enumerate(["V1", "🔄", "U2"], start=2):
            await stage.person(eve).press(grid, label)
            await stage.server.wait_until(lambda number=number: len(stage.results(channel)) == number, 20)


async def test_where_the_bot_may_not_read_the_history_a_result_comes_without_being_a_reply(stage):
    channel = stage.server.world.add_channel(stage.guild, "blind", bot_denied=permissions.READ_MESSAGE_HISTORY)
    async with stage.bot():
        await stage.imagine("a fox", channel=channel)
        await stage.person(stage.ada).press(await stage.result(channel=channel), "V1")
        assert (await stage.result(text="Variations", channel=channel)).reference is None


async def test_a_person_who_installed_the_bot_uses_it_where_they_may_not_post_and_only_they_see_it(stage):
    eve = stage.server.world.add_user("eve", installed=True)
    guild = stage.server.world.add_guild("Elsewhere", stage.mod, eve, bot=False)
    guild.roles[guild.id].permissions &= ~permissions.USE_EXTERNAL_APPS
    channel = stage.server.world.add_channel(guild)
    async with stage.bot():
        await stage.imagine("a fox", eve, channel)
        grid = await stage.result(channel=channel)
        assert grid.ephemeral
        await stage.person(eve).press(grid, "V1")
        await stage.result(text="Variations", channel=channel)


async def test_a_conversation_between_people_works_and_a_late_result_comes_by_direct_message(stage):
    eve = stage.server.world.add_user("eve", installed=True)
    channel = stage.server.world.dm_channel(eve, stage.ben)
    async with stage.bot():
        await stage.imagine("a fox", eve, channel)
        await stage.result(channel=channel)
        await stage.imagine("slow owl", eve, channel)
        await stage.notice("(25%)", channel)
        stage.server.world.clock.advance(FIFTEEN_MINUTES)
        stage.go()
        await stage.result(text="owl", channel=stage.server.world.dm_channel(eve))


async def test_a_thread_is_answered_in_the_thread(stage):
    thread = stage.server.world.add_thread(stage.channel, "foxes", owner=stage.ada)
    async with stage.bot():
        await stage.imagine("slow fox", channel=thread)
        await stage.notice("(25%)", thread)
        thread.archived = True
        stage.server.world.clock.advance(FIFTEEN_MINUTES)
        stage.go()
        await stage.result(channel=thread)


async def test_several_shards_are_one_bot(stage, monkeypatch):
    async def at_once(*_: object, **__: object) -> None:
        """Do not wait the five seconds between two shards."""

    monkeypatch.setattr("bot.client.Client.before_identify_hook", at_once)
    stage.server.core.shards = 3
    async with stage.bot():
        await stage.server.wait_until(lambda: len(stage.server.gateway.identifies) == 3)
        await stage.imagine("slow fox")
        await stage.imagine("slow owl", channel=stage.server.world.dm_channel(stage.ada))
        await stage.notice("(25%)")
        await stage.server.gateway.drop(4000)
        await stage.server.wait_connected()
        stage.go()
        await stage.result()
        await stage.result(channel=stage.server.world.dm_channel(stage.ada))
    assert len(stage.results()) == 1


async def test_a_long_prompt_is_given_back_whole_when_its_job_fails(stage):
    prompt = f"huge fox, {'very ' * 300}quick"
    async with stage.bot():
        await stage.imagine(prompt)
        notice = await stage.notice("too large for the GPU")
        (attachment,) = notice.attachments
        assert stage.server.core.files.get(attachment.id).decode() == prompt
        await stage.imagine("huge owl")
        assert not (await stage.notice("huge owl** - <@")).attachments


@pytest.mark.parametrize(("without", "told"), [(False, True), (True, False)])
async def test_a_files_name_tells_the_prompt_unless_files_are_to_tell_none(stage, without, told):
    async with stage.bot(pictures_without_prompts=without):
        await stage.imagine("a secret fox")
        (attachment,) = (await stage.result()).attachments
    assert ("secret" in attachment.filename) is told
    assert attachment.filename.startswith("ada_")
