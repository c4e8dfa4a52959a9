"""/config as the owners of a server use it, at the stand-in, and what their rules do to everybody's jobs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from discord import Permissions

from bot.policy.settings import GuildSettings
from bot.policy.updates import Actor, update_settings
from cogs.config.panel import PANEL_TTL_S
from preview import UploadedFile
from preview.state.world import Overwrite, walk_components
from preview.users.options import UserActionError
from tests.bot.conftest import eventually, red


async def config(stage, name, /, user=None, **options):
    """Use a subcommand of /config and give the answer's text."""
    interaction = await stage.person(user or stage.mod).command(f"config {name}", stage.channel, **options)
    return (await interaction.message()).content


async def refusal(interaction):
    """Give the private answer to an interaction."""
    message = await interaction.message()
    assert message.ephemeral
    return message.content


def custom_ids(message):
    return [part["custom_id"] for part in walk_components(message.components) if "custom_id" in part]


async def settings(studio, stage):
    return await studio.policy.settings(stage.guild.id)


async def test_only_those_who_manage_the_server_are_offered_it(stage):
    async with stage.bot():
        await config(stage, "stealth", allowed=False)
        with pytest.raises(UserActionError):
            await config(stage, "stealth", user=stage.ada, allowed=True)


async def test_it_is_not_offered_in_direct_messages(stage):
    async with stage.bot():
        direct = stage.server.world.dm_channel(stage.mod, stage.server.world.bot)
        with pytest.raises(UserActionError):
            await stage.person(stage.mod).command("config stealth", direct, allowed=True)


async def test_each_setting_is_answered_kept_and_in_the_audit(stage):
    role = stage.server.world.add_role(stage.guild, "patrons")
    changes = {
        "defaults": ({"parameters": "--ar 3:2  --no text"}, "Defaults: --ar 3:2 --no text."),
        "channels": ({"add": stage.channel}, f"Channels: add <#{stage.channel.id}>."),
        "results": ({"where": "a gallery", "gallery": stage.channel}, f"Results: a gallery <#{stage.channel.id}>."),
        "feature": ({"feature": "fast mode", "add": role}, f"Fast mode: add <@&{role.id}>."),
        "limits": ({"role": role, "jobs_a_day": 5, "cooldown": 0}, f"Limits of <@&{role.id}>: 5 jobs a day"),
        "permutations": ({"most": 4}, "Jobs of one prompt: 4."),
        "stealth": ({"allowed": False}, "Private pictures: not allowed."),
        "retention": ({"days": 30}, "Pictures are kept: 30 days."),
        "log": ({"channel": stage.channel}, f"Log channel: <#{stage.channel.id}>."),
        "sensitive": ({"pictures": "withheld"}, "Sensitive pictures: withheld."),
    }
    async with stage.bot():
        for name, (options, told) in changes.items():
            assert told in await config(stage, name, **options)
    async with stage.bot() as studio:  # and all of it is there after a restart
        panel, audit = await config(stage, "panel"), await config(stage, "audit")
        kept = await settings(studio, stage)
    for words in ("`--ar 3:2 --no text`", "30 days", "withheld", "not allowed", f"<@&{role.id}>", "5 jobs a day"):
        assert words in panel
    assert len(audit.splitlines()) == len(changes)
    assert audit.splitlines()[0].endswith("sensitive pictures: withheld")
    assert (kept.permutations, kept.gallery, kept.log_channel) == (4, stage.channel.id, stage.channel.id)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("defaults", {"parameters": "--ar x"}, "--ar"),
        ("defaults", {"parameters": "a fox"}, "fox"),
        ("channels", {}, "Say what to change"),
        ("feature", {"feature": "fast mode"}, "Say what to change"),
        ("defaults", {"parameters": "--public"}, "each person says for themselves"),
        ("defaults", {"parameters": "--ar 3:2 --turbo"}, "each person says for themselves"),
        ("results", {"where": "a gallery"}, "needs a channel"),
        ("words block", {"words": "g.*e"}, "no plain word"),
        ("words block", {}, "Give `words`"),
        ("words allow", {"words": "never blocked"}, "Not blocked"),
    ],
)
async def test_bad_input_is_answered_and_what_was_there_stays(stage, name, options, told):
    async with stage.bot() as studio:
        await config(stage, "retention", days=7)
        before = await settings(studio, stage)
        assert told in await config(stage, name, **options)
        assert await settings(studio, stage) == before


async def test_a_limit_below_nothing_is_refused_with_what_would_do(stage):
    role = stage.server.world.add_role(stage.guild, "patrons")
    async with stage.bot() as studio:
        assert "must be from 1 to 1,000, not -1" in await config(stage, "limits", role=role, running=-1)
        assert (await settings(studio, stage)).bounds == {}


async def test_two_owners_at_once_lose_nothing(stage):
    channels = [stage.server.world.add_channel(stage.guild) for _ in range(6)]
    async with stage.bot() as studio:
        await asyncio.gather(*(config(stage, "channels", add=channel) for channel in channels))
        assert set((await settings(studio, stage)).channels) == {channel.id for channel in channels}


async def test_the_panel_changes_settings_by_select_and_by_form(stage):
    role = stage.server.world.add_role(stage.guild, "patrons")
    person = stage.person(stage.mod)
    async with stage.bot() as studio:
        panel = await (await person.command("config panel", stage.channel)).message()
        await person.select(panel, "Private pictures", custom_id="config:page")
        await stage.server.wait_for(stage.channel, lambda message: "config:set:stealth" in custom_ids(message), 20)
        await person.select(panel, "Not allowed", custom_id="config:set:stealth")
        await stage.server.wait_for(stage.channel, lambda message: "not allowed" in message.content, 20)
    async with stage.bot() as studio:  # the panel goes on working after a restart
        await person.select(panel, "Roles with fast mode", custom_id="config:page")
        await stage.server.wait_for(stage.channel, lambda message: "config:set:fast_roles" in custom_ids(message), 20)
        await person.select(panel, role, custom_id="config:set:fast_roles")
        await stage.server.wait_for(stage.channel, lambda message: f"<@&{role.id}>" in message.content, 20)
        await person.select(panel, "Days that pictures are kept (0: not set)", custom_id="config:page")
        await stage.server.wait_for(
            stage.channel, lambda message: "config:type:retention_days" in custom_ids(message), 20
        )
        opened = await person.press(panel, custom_id="config:type:retention_days")
        assert "whole number" in await refusal(await person.submit_modal(opened, value="-1"))
        opened = await person.press(panel, custom_id="config:type:retention_days")
        await person.submit_modal(opened, value="14")
        await stage.server.wait_for(stage.channel, lambda message: "14 days" in message.content, 20)
        kept = await settings(studio, stage)
    assert (kept.stealth, kept.fast_roles, kept.retention_days) == (False, (role.id,), 14)


async def opened(stage, user, page, custom_id):
    """Open the panel at one of its pages."""
    panel = await (await stage.person(user).command("config panel", stage.channel)).message()
    await stage.person(user).select(panel, page, custom_id="config:page")
    await eventually(lambda: custom_id in custom_ids(panel))
    return panel


async def test_a_panel_that_another_owner_came_before_loses_nothing(stage):
    theirs, mine = (stage.server.world.add_channel(stage.guild) for _ in range(2))
    async with stage.bot() as studio:
        await config(stage, "channels", add=stage.channel)
        panel = await opened(stage, stage.mod, "Channels where people may draw", "config:set:channels")
        await config(stage, "channels", add=theirs)
        await stage.person(stage.mod).select(panel, mine, custom_id="config:set:channels")
        await eventually(lambda: f"<#{mine.id}>" in panel.content)
        assert (await settings(studio, stage)).channels == (theirs.id, mine.id)


async def test_the_panel_keeps_what_it_cannot_show(stage):
    channels = [stage.server.world.add_channel(stage.guild) for _ in range(30)]
    async with stage.bot() as studio:
        author = Actor(stage.guild.id, stage.mod.id)
        ids = tuple(channel.id for channel in channels)
        await update_settings(studio.guilds, author, "channels", lambda now: replace(now, channels=ids))
        panel = await opened(stage, stage.mod, "Channels where people may draw", "config:set:channels")
        await stage.person(stage.mod).select(panel, *channels[1:25], custom_id="config:set:channels")
        await eventually(lambda: f"<#{ids[0]}>" not in panel.content)
        assert set((await settings(studio, stage)).channels) == set(ids[1:])


async def test_the_panel_forgets_roles_that_are_gone(stage):
    gone, here = (stage.server.world.add_role(stage.guild, name) for name in ("gone", "here"))
    async with stage.bot() as studio:
        author = Actor(stage.guild.id, stage.mod.id)
        await update_settings(studio.guilds, author, "roles", lambda now: replace(now, fast_roles=(gone.id + 10**6,)))
        panel = await opened(stage, stage.mod, "Roles with fast mode", "config:set:fast_roles")
        await stage.person(stage.mod).select(panel, here, custom_id="config:set:fast_roles")
        await eventually(lambda: f"<@&{here.id}>" in panel.content)
        assert (await settings(studio, stage)).fast_roles == (here.id,)


async def test_who_may_not_enlarge_so_much_may_not_have_it_drawn_again_either(stage):
    role = stage.server.world.add_role(stage.guild, "patrons")
    stage.guild.members[stage.ada.id].role_ids.append(role.id)
    ada, ben = stage.person(stage.ada), stage.person(stage.ben)
    async with stage.bot() as studio:
        author = Actor(stage.guild.id, stage.mod.id)
        await update_settings(studio.guilds, author, "roles", lambda now: replace(now, upscale_roles=(role.id,)))
        await stage.imagine("a fox")
        await ada.press(await stage.result(), "U1")
        picked = await stage.result(text="Image #1")
        assert f"<@&{role.id}>" in await refusal(await ben.press(picked, "Upscale (4×)"))
        await ada.press(picked, "Upscale (4×)")
        large = await stage.result(text="Upscaled (Creative, 4×)")
        assert f"<@&{role.id}>" in await refusal(await ben.press(large, "🔄"))
        await ada.press(large, "🔄")
        again = await stage.server.wait_for(
            stage.channel, lambda message: message.id > large.id and "Vary (Subtle)" in message.labels, 20
        )
        assert f"<@&{role.id}>" in await refusal(await ben.press(again, "🔄"))


async def test_a_panel_does_not_outlast_the_right_to_it(stage):
    role = stage.server.world.add_role(stage.guild, "owners", Permissions.manage_guild.flag)
    member = stage.guild.members[stage.ada.id]
    member.role_ids.append(role.id)
    async with stage.bot() as studio:
        panel = await opened(stage, stage.ada, "Private pictures", "config:set:stealth")
        member.role_ids.remove(role.id)
        stage.server.world.clock.advance(PANEL_TTL_S + 1)
        refused = await stage.person(stage.ada).select(panel, "Not allowed", custom_id="config:set:stealth")
        assert "too old" in await refusal(refused)
        assert (await settings(studio, stage)).stealth


@pytest.mark.parametrize(("name", "option"), [("results", "gallery"), ("log", "channel")])
async def test_a_channel_that_the_bot_may_not_post_in_is_refused(stage, name, option):
    closed = stage.server.world.add_channel(stage.guild)
    closed.overwrites.append(Overwrite(stage.guild.id, 0, deny=Permissions.send_messages.flag))
    more = {"where": "a gallery"} if name == "results" else {}
    async with stage.bot() as studio:
        assert f"I may not post in <#{closed.id}>" in await config(stage, name, **{option: closed}, **more)
        assert await settings(studio, stage) == GuildSettings()


async def test_a_blocked_person_is_told_and_may_again_afterwards(stage):
    async with stage.bot():
        assert "is blocked for good" in await config(stage, "block add", person=stage.ada, reason="spam")
        assert "blocked you" in await refusal(await stage.imagine("a fox"))
        assert f"<@{stage.ada.id}>" in await config(stage, "block list")
        await config(stage, "block remove", person=stage.ada)
        await stage.imagine("a fox")
        await stage.result()


@pytest.mark.parametrize(("command", "options"), [("imagine", ["image"]), ("blend", ["image1", "image2"])])
async def test_nothing_is_fetched_for_who_is_blocked(stage, command, options):
    async with stage.bot():
        await config(stage, "block add", person=stage.ada, reason="spam")
        brought = {name: UploadedFile("red.png", red(64, 64)) for name in options}
        more = {"prompt": "a fox"} if command == "imagine" else {}
        used = await stage.person(stage.ada).command(command, stage.channel, **brought, **more)
        await used.wait_for(lambda message: "blocked you" in message.content)
        assert not [path for path in (stage.folder / "data" / "uploads").rglob("*") if path.is_file()]


async def test_who_manages_the_server_cannot_be_blocked(stage):
    async with stage.bot():
        assert "manages this server" in await config(stage, "block add", person=stage.mod, reason="me")
        assert "Nobody is blocked" in await config(stage, "block list")


async def test_a_blocked_word_is_named_and_the_prompt_given_back(stage):
    async with stage.bot():
        await config(stage, "words block", words="gore, naked man", mode="refuse")
        answer = await refusal(await stage.imagine("a scene of g0re --ar 3:2"))
        assert "`gore`" in answer
        assert "a scene of g0re --ar 3:2" in answer
        assert not stage.public()


async def test_ten_thousand_words_come_as_a_file_and_no_more(stage):
    lines = [f"word{number:05}" for number in range(10_000)]
    async with stage.bot() as studio:
        for more, told in (([], "Blocked 10,000 words (refuse)"), (["one"], "These are 10,001 words")):
            file = UploadedFile("words.txt", "\n".join(lines + more).encode())
            interaction = await stage.person(stage.mod).command("config words block", stage.channel, file=file)
            answer = await interaction.wait_for(lambda message, told=told: told in message.content)
            assert answer.ephemeral
        assert "There can be 10,000 blocked words" in await config(stage, "words block", words="one")
        assert len(await studio.guilds.blocked_words(stage.guild.id)) == 10_000


async def test_a_word_of_warning_is_private_and_the_picture_comes(stage):
    async with stage.bot():
        await config(stage, "words block", words="blood", mode="warn privately")
        await stage.imagine("a blood moon")
        await stage.result()
        warning = await stage.server.wait_for(stage.channel, lambda message: "rather not see" in message.content, 20)
        assert warning.ephemeral


async def test_every_door_is_closed_to_who_may_not(stage):
    async with stage.bot():
        await stage.imagine("a fox")
        grid = await stage.result()
        await config(stage, "block add", person=stage.ada, reason="spam")
        for label in ("U1", "V1", None):
            pressed = await stage.person(stage.ada).press(
                grid,
                label,
                custom_id=None if label else next(name for name in custom_ids(grid) if name.startswith("reroll")),
            )
            followups = await stage.server.wait_for(
                stage.channel,
                lambda message, pressed=pressed: message.ephemeral and "blocked you" in message.content,
                20,
            )
            assert followups
        assert len(stage.results()) == 1


async def test_who_is_blocked_while_waiting_is_told_when_the_turn_comes(stage):
    async with stage.bot(jobs_at_once=1):
        await stage.imagine("slow fox", stage.ben)
        await stage.notice("(25%)")
        await stage.imagine("an owl")
        await stage.notice("an owl")
        await config(stage, "block add", person=stage.ada, reason="spam")
        stage.go()
        await stage.notice("blocked you")
        await stage.result(stage.ben)
        assert len(stage.results()) == 1


async def test_elsewhere_people_are_sent_to_where_they_may(stage):
    elsewhere = stage.server.world.add_channel(stage.guild)
    async with stage.bot():
        await config(stage, "channels", add=elsewhere)
        assert f"<#{elsewhere.id}>" in await refusal(await stage.imagine("a fox"))
        await stage.imagine("a fox", channel=elsewhere)
        await stage.result(channel=elsewhere)


async def reported_picture(stage, log):
    """Draw a picture of Ada's, have Ben report it, and give the result and what the log channel shows."""
    await config(stage, "log", channel=log)
    await stage.imagine("a fox")
    result = await stage.result()
    form = await stage.person(stage.ben).context_menu("Report", result)
    await stage.person(stage.ben).submit_modal(form, reason="not **for** here")
    return result, await stage.server.wait_for(log, lambda message: "Report" in message.content, 20)


async def test_a_report_is_told_to_the_moderators_who_delete_and_block(stage):
    log = stage.server.world.add_channel(stage.guild)
    async with stage.bot() as studio:
        result, told = await reported_picture(stage, log)
        assert f"<@{stage.ben.id}>: not \\*\\*for\\*\\* here" in told.content
        assert f"/{stage.channel.id}/{result.id}" in told.content
        refused = await stage.person(stage.ada).press(told, "Dismiss")
        assert "Only moderators" in await refusal(refused)
        await stage.person(stage.mod).press(told, "Delete and block")
        await stage.server.wait_for(
            log, lambda message: f"<@{stage.mod.id}> deleted the picture and blocked" in message.content, 20
        )
        assert not told.labels
        assert "blocked you" in await refusal(await stage.imagine("an owl"))
        await eventually(lambda: not stage.results())
        assert "There are no open reports" in await config(stage, "reports")
        assert "blocked its owner" in await config(stage, "audit")
        assert await studio.reports.list_open(stage.guild.id) == []


async def test_a_moderator_cannot_block_who_manages_the_server(stage):
    log = stage.server.world.add_channel(stage.guild)
    for name, user, permission in (
        ("owners", stage.ada, Permissions.manage_guild),
        ("moderators", stage.ben, Permissions.manage_messages),
    ):
        role = stage.server.world.add_role(stage.guild, name, permission.flag)
        stage.guild.members[user.id].role_ids.append(role.id)
    async with stage.bot() as studio:
        _, told = await reported_picture(stage, log)
        refused = await stage.person(stage.ben).press(told, "Delete and block")
        assert "cannot be blocked" in await refusal(refused)
        assert await studio.guilds.active_blocks(stage.guild.id) == []
        assert stage.results()


async def test_what_is_reported_while_it_is_drawn_is_cancelled(stage):
    log = stage.server.world.add_channel(stage.guild)
    async with stage.bot() as studio:
        await config(stage, "log", channel=log)
        await stage.imagine("slow fox")
        form = await stage.person(stage.ben).context_menu("Report", await stage.notice("(25%)"))
        await stage.person(stage.ben).submit_modal(form, reason="no")
        told = await stage.server.wait_for(log, lambda message: "Report" in message.content, 20)
        await stage.person(stage.mod).press(told, "Delete the picture")
        await stage.notice("Cancelled by")
        stage.go()
        await eventually(lambda: not studio.tasks)
        assert not stage.results()


async def test_a_report_is_dealt_with_once_also_after_a_restart(stage):
    log = stage.server.world.add_channel(stage.guild)
    async with stage.bot():
        _, told = await reported_picture(stage, log)
    async with stage.bot():
        listed = await (await stage.person(stage.mod).command("config reports", stage.channel)).message()
        await stage.person(stage.mod).press(listed, "Dismiss")
        await stage.server.wait_for(stage.channel, lambda message: "dismissed the report" in message.content, 20)
        again = await stage.person(stage.mod).press(told, "Delete the picture")
        assert "has dealt with this report" in await refusal(again)
        assert len(stage.results()) == 1


async def test_the_log_channel_hears_of_every_act(stage):
    log = stage.server.world.add_channel(stage.guild)
    async with stage.bot():
        await config(stage, "log", channel=log)
        await config(stage, "words block", words="gore")
        await config(stage, "block add", person=stage.ada, reason="spam")
        for words in ("log channel", "`gore`", "for good: spam"):
            heard = await stage.server.wait_for(log, lambda message, words=words: words in message.content, 20)
            assert f"<@{stage.mod.id}>" in heard.content
        stage.server.world.channels.pop(log.id)
        await config(stage, "stealth", allowed=False)  # nobody to tell, and no harm


async def test_what_moderators_do_with_others_jobs_is_in_the_audit(stage):
    moderator = stage.person(stage.mod)
    async with stage.bot():
        await stage.imagine("slow fox")
        await moderator.press(await stage.notice("(25%)"), "Cancel")
        await stage.notice("Cancelled by")
        await stage.imagine("an owl")
        deleting = await moderator.press(await stage.result(), "U1")
        picked = await stage.result(text="Image #1")
        assert deleting
        await moderator.submit_modal(await moderator.press(picked, "Delete"))
        await eventually(lambda: len(stage.results()) == 1)
        audit = await config(stage, "audit")
    assert "cancelled job" in audit
    assert f"of <@{stage.ada.id}>" in audit
    assert "deleted job" not in audit, "a picture that a moderator picked is their own"


async def test_who_moderates_one_channel_has_no_say_in_another(stage):
    garden = stage.server.world.add_channel(stage.guild)
    garden.overwrites.append(Overwrite(stage.ben.id, 1, allow=Permissions.manage_messages.flag))
    async with stage.bot() as studio:
        for channel, told in ((garden, None), (stage.channel, "or a moderator can delete this")):
            await stage.imagine("a fox", channel=channel)
            await stage.person(stage.ada).press(await stage.result(channel=channel), "U1")
            await stage.result(channel=channel, text="Image #1")
            await eventually(lambda: not studio.tasks)
            (row,) = await studio.store._connection.fetch_all("SELECT id FROM jobs ORDER BY asked_at DESC LIMIT 1")
            shown = await stage.person(stage.ben).command("show", garden, job=row["id"])
            await eventually(lambda shown=shown: shown.messages and shown.messages[-1].labels)
            pressed = await stage.person(stage.ben).press(shown.messages[-1], "Delete")
            if told:
                assert told in await refusal(pressed)
            else:
                await stage.person(stage.ben).submit_modal(pressed)
                await eventually(lambda: len(stage.results(garden)) == 1)


async def test_a_moderator_of_another_server_has_no_say(stage):
    elsewhere = stage.server.world.add_guild("Elsewhere", stage.ben, stage.ada)
    channel = stage.server.world.add_channel(elsewhere)
    async with stage.bot() as studio:
        await stage.imagine("a fox")
        await stage.result()
        await eventually(lambda: not studio.tasks)
        (row,) = await studio.store._connection.fetch_all("SELECT id FROM jobs")
        shown = await stage.person(stage.ada).command("show", channel, job=row["id"])
        await eventually(lambda: shown.messages and shown.messages[-1].attachments)
        again = shown.messages[-1]
        refused = await stage.person(stage.ben).context_menu("Report", again)
        assert "comes from elsewhere" in await refusal(refused)
        assert (await studio.store.get(row["id"])).state == "answered"


async def test_only_the_models_that_the_owners_allow_draw(stage):
    async with stage.bot():
        assert "add Anything V3" in await config(stage, "models", add="anything v3")
        answer = await refusal(await stage.imagine("a fox"))
        assert "allow Anything V3 only, not Painter" in answer
        assert "I know no model `nonsense`" in await config(stage, "models", add="nonsense")
        choices = await stage.person(stage.mod).autocomplete("config models", stage.channel, "add", "pai")
        assert [choice["value"] for choice in choices] == ["Painter"]
        await config(stage, "models", add="painter")
        assert "Anything V3, Painter" in await config(stage, "panel")
        await stage.imagine("a fox")
        await stage.result()
        await config(stage, "models", every=True)
        assert "whichever I draw with" in await config(stage, "panel")
