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
from tests.support.bot_harness import eventually, red_png


async def run_config(harness, name, /, user=None, **options):
    """Use a subcommand of /config and give the answer's text."""
    interaction = await harness.person(user or harness.mod).command(f"config {name}", harness.channel, **options)
    return (await interaction.message()).content


async def private_text(interaction):
    """Give the private answer to an interaction."""
    message = await interaction.message()
    assert message.ephemeral
    return message.content


def custom_ids(message):
    return [part["custom_id"] for part in walk_components(message.components) if "custom_id" in part]


async def guild_settings(services, harness):
    return await services.policy.settings(harness.guild.id)


async def test_only_those_who_manage_the_server_are_offered_it(harness):
    async with harness.bot():
        await run_config(harness, "stealth", allowed=False)
        with pytest.raises(UserActionError):
            await run_config(harness, "stealth", user=harness.ada, allowed=True)


async def test_it_is_not_offered_in_direct_messages(harness):
    async with harness.bot():
        direct = harness.server.world.dm_channel(harness.mod, harness.server.world.bot)
        with pytest.raises(UserActionError):
            await harness.person(harness.mod).command("config stealth", direct, allowed=True)


async def test_each_setting_is_answered_kept_and_in_the_audit(harness):
    role = harness.server.world.add_role(harness.guild, "patrons")
    changes = {
        "defaults": ({"parameters": "--ar 3:2  --no text"}, "Defaults: --ar 3:2 --no text."),
        "channels": ({"add": harness.channel}, f"Channels: add <#{harness.channel.id}>."),
        "results": ({"where": "a gallery", "gallery": harness.channel}, f"Results: a gallery <#{harness.channel.id}>."),
        "feature": ({"feature": "fast mode", "add": role}, f"Fast mode: add <@&{role.id}>."),
        "limits": ({"role": role, "jobs_a_day": 5, "cooldown": 0}, f"Limits of <@&{role.id}>: 5 jobs a day"),
        "permutations": ({"most": 4}, "Jobs of one prompt: 4."),
        "stealth": ({"allowed": False}, "Private pictures: not allowed."),
        "retention": ({"days": 30}, "Pictures are kept: 30 days."),
        "log": ({"channel": harness.channel}, f"Log channel: <#{harness.channel.id}>."),
        "sensitive": ({"pictures": "withheld"}, "Sensitive pictures: withheld."),
    }
    async with harness.bot():
        for name, (options, told) in changes.items():
            assert told in await run_config(harness, name, **options)
    async with harness.bot() as services:  # and all of it is there after a restart
        panel, audit = await run_config(harness, "panel"), await run_config(harness, "audit")
        kept = await guild_settings(services, harness)
    for words in ("`--ar 3:2 --no text`", "30 days", "withheld", "not allowed", f"<@&{role.id}>", "5 jobs a day"):
        assert words in panel
    assert len(audit.splitlines()) == len(changes)
    assert audit.splitlines()[0].endswith("sensitive pictures: withheld")
    assert (kept.permutations, kept.gallery, kept.log_channel) == (4, harness.channel.id, harness.channel.id)


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
async def test_bad_input_is_answered_and_what_was_there_stays(harness, name, options, told):
    async with harness.bot() as services:
        await run_config(harness, "retention", days=7)
        before = await guild_settings(services, harness)
        assert told in await run_config(harness, name, **options)
        assert await guild_settings(services, harness) == before


async def test_a_limit_below_nothing_is_refused_with_what_would_do(harness):
    role = harness.server.world.add_role(harness.guild, "patrons")
    async with harness.bot() as services:
        assert "must be from 1 to 1,000, not -1" in await run_config(harness, "limits", role=role, running=-1)
        assert (await guild_settings(services, harness)).bounds == {}


async def test_two_owners_at_once_lose_nothing(harness):
    channels = [harness.server.world.add_channel(harness.guild) for _ in range(6)]
    async with harness.bot() as services:
        await asyncio.gather(*(run_config(harness, "channels", add=channel) for channel in channels))
        assert set((await guild_settings(services, harness)).channels) == {channel.id for channel in channels}


async def test_the_panel_changes_settings_by_select_and_by_form(harness):
    role = harness.server.world.add_role(harness.guild, "patrons")
    person = harness.person(harness.mod)
    async with harness.bot() as services:
        panel = await (await person.command("config panel", harness.channel)).message()
        await person.select(panel, "Private pictures", custom_id="config:page")
        await harness.server.wait_for(harness.channel, lambda message: "config:set:stealth" in custom_ids(message), 20)
        await person.select(panel, "Not allowed", custom_id="config:set:stealth")
        await harness.server.wait_for(harness.channel, lambda message: "not allowed" in message.content, 20)
    async with harness.bot() as services:  # the panel goes on working after a restart
        await person.select(panel, "Roles with fast mode", custom_id="config:page")
        await harness.server.wait_for(
            harness.channel, lambda message: "config:set:fast_roles" in custom_ids(message), 20
        )
        await person.select(panel, role, custom_id="config:set:fast_roles")
        await harness.server.wait_for(harness.channel, lambda message: f"<@&{role.id}>" in message.content, 20)
        await person.select(panel, "Days that pictures are kept (0: not set)", custom_id="config:page")
        await harness.server.wait_for(
            harness.channel, lambda message: "config:type:retention_days" in custom_ids(message), 20
        )
        opened = await person.press(panel, custom_id="config:type:retention_days")
        assert "whole number" in await private_text(await person.submit_modal(opened, value="-1"))
        opened = await person.press(panel, custom_id="config:type:retention_days")
        await person.submit_modal(opened, value="14")
        await harness.server.wait_for(harness.channel, lambda message: "14 days" in message.content, 20)
        kept = await guild_settings(services, harness)
    assert (kept.stealth, kept.fast_roles, kept.retention_days) == (False, (role.id,), 14)


async def open_panel(harness, user, page, custom_id):
    """Open the panel at one of its pages."""
    panel = await (await harness.person(user).command("config panel", harness.channel)).message()
    await harness.person(user).select(panel, page, custom_id="config:page")
    await eventually(lambda: custom_id in custom_ids(panel))
    return panel


async def test_a_panel_that_another_owner_came_before_loses_nothing(harness):
    theirs, mine = (harness.server.world.add_channel(harness.guild) for _ in range(2))
    async with harness.bot() as services:
        await run_config(harness, "channels", add=harness.channel)
        panel = await open_panel(harness, harness.mod, "Channels where people may draw", "config:set:channels")
        await run_config(harness, "channels", add=theirs)
        await harness.person(harness.mod).select(panel, mine, custom_id="config:set:channels")
        await eventually(lambda: f"<#{mine.id}>" in panel.content)
        assert (await guild_settings(services, harness)).channels == (theirs.id, mine.id)


async def test_the_panel_keeps_what_it_cannot_show(harness):
    channels = [harness.server.world.add_channel(harness.guild) for _ in range(30)]
    async with harness.bot() as services:
        author = Actor(harness.guild.id, harness.mod.id)
        ids = tuple(channel.id for channel in channels)
        await update_settings(services.db.guilds, author, "channels", lambda now: replace(now, channels=ids))
        panel = await open_panel(harness, harness.mod, "Channels where people may draw", "config:set:channels")
        await harness.person(harness.mod).select(panel, *channels[1:25], custom_id="config:set:channels")
        await eventually(lambda: f"<#{ids[0]}>" not in panel.content)
        assert set((await guild_settings(services, harness)).channels) == set(ids[1:])


async def test_the_panel_forgets_roles_that_are_gone(harness):
    gone, here = (harness.server.world.add_role(harness.guild, name) for name in ("gone", "here"))
    async with harness.bot() as services:
        author = Actor(harness.guild.id, harness.mod.id)
        await update_settings(
            services.db.guilds, author, "roles", lambda now: replace(now, fast_roles=(gone.id + 10**6,))
        )
        panel = await open_panel(harness, harness.mod, "Roles with fast mode", "config:set:fast_roles")
        await harness.person(harness.mod).select(panel, here, custom_id="config:set:fast_roles")
        await eventually(lambda: f"<@&{here.id}>" in panel.content)
        assert (await guild_settings(services, harness)).fast_roles == (here.id,)


async def test_who_may_not_enlarge_so_much_may_not_have_it_drawn_again_either(harness):
    role = harness.server.world.add_role(harness.guild, "patrons")
    harness.guild.members[harness.ada.id].role_ids.append(role.id)
    ada, ben = harness.person(harness.ada), harness.person(harness.ben)
    async with harness.bot() as services:
        author = Actor(harness.guild.id, harness.mod.id)
        await update_settings(services.db.guilds, author, "roles", lambda now: replace(now, upscale_roles=(role.id,)))
        await harness.imagine("a fox")
        await ada.press(await harness.result(), "U1")
        picked = await harness.result(text="Image #1")
        assert f"<@&{role.id}>" in await private_text(await ben.press(picked, "Upscale (4×)"))
        await ada.press(picked, "Upscale (4×)")
        large = await harness.result(text="Upscaled (Creative, 4×)")
        assert f"<@&{role.id}>" in await private_text(await ben.press(large, "🔄"))
        await ada.press(large, "🔄")
        again = await harness.server.wait_for(
            harness.channel, lambda message: message.id > large.id and "Vary (Subtle)" in message.labels, 20
        )
        assert f"<@&{role.id}>" in await private_text(await ben.press(again, "🔄"))


async def test_a_panel_does_not_outlast_the_right_to_it(harness):
    role = harness.server.world.add_role(harness.guild, "owners", Permissions.manage_guild.flag)
    member = harness.guild.members[harness.ada.id]
    member.role_ids.append(role.id)
    async with harness.bot() as services:
        panel = await open_panel(harness, harness.ada, "Private pictures", "config:set:stealth")
        member.role_ids.remove(role.id)
        harness.server.world.clock.advance(PANEL_TTL_S + 1)
        refused = await harness.person(harness.ada).select(panel, "Not allowed", custom_id="config:set:stealth")
        assert "too old" in await private_text(refused)
        assert (await guild_settings(services, harness)).stealth


@pytest.mark.parametrize(("name", "option"), [("results", "gallery"), ("log", "channel")])
async def test_a_channel_that_the_bot_may_not_post_in_is_refused(harness, name, option):
    closed = harness.server.world.add_channel(harness.guild)
    closed.overwrites.append(Overwrite(harness.guild.id, 0, deny=Permissions.send_messages.flag))
    more = {"where": "a gallery"} if name == "results" else {}
    async with harness.bot() as services:
        assert f"I may not post in <#{closed.id}>" in await run_config(harness, name, **{option: closed}, **more)
        assert await guild_settings(services, harness) == GuildSettings()


async def test_a_blocked_person_is_told_and_may_again_afterwards(harness):
    async with harness.bot():
        assert "is blocked for good" in await run_config(harness, "block add", person=harness.ada, reason="spam")
        assert "blocked you" in await private_text(await harness.imagine("a fox"))
        assert f"<@{harness.ada.id}>" in await run_config(harness, "block list")
        await run_config(harness, "block remove", person=harness.ada)
        await harness.imagine("a fox")
        await harness.result()


@pytest.mark.parametrize(("command", "options"), [("imagine", ["image"]), ("blend", ["image1", "image2"])])
async def test_nothing_is_fetched_for_who_is_blocked(harness, command, options):
    async with harness.bot():
        await run_config(harness, "block add", person=harness.ada, reason="spam")
        brought = {name: UploadedFile("red.png", red_png(64, 64)) for name in options}
        more = {"prompt": "a fox"} if command == "imagine" else {}
        used = await harness.person(harness.ada).command(command, harness.channel, **brought, **more)
        await used.wait_for(lambda message: "blocked you" in message.content)
        assert not [path for path in (harness.folder / "data" / "uploads").rglob("*") if path.is_file()]


async def test_who_manages_the_server_cannot_be_blocked(harness):
    async with harness.bot():
        assert "manages this server" in await run_config(harness, "block add", person=harness.mod, reason="me")
        assert "Nobody is blocked" in await run_config(harness, "block list")


async def test_a_blocked_word_is_named_and_the_prompt_given_back(harness):
    async with harness.bot():
        await run_config(harness, "words block", words="gore, naked man", mode="refuse")
        answer = await private_text(await harness.imagine("a scene of g0re --ar 3:2"))
        assert "`gore`" in answer
        assert "a scene of g0re --ar 3:2" in answer
        assert not harness.public_messages()


async def test_ten_thousand_words_come_as_a_file_and_no_more(harness):
    lines = [f"word{number:05}" for number in range(10_000)]
    async with harness.bot() as services:
        for more, told in (([], "Blocked 10,000 words (refuse)"), (["one"], "These are 10,001 words")):
            file = UploadedFile("words.txt", "\n".join(lines + more).encode())
            interaction = await harness.person(harness.mod).command("config words block", harness.channel, file=file)
            answer = await interaction.wait_for(lambda message, told=told: told in message.content)
            assert answer.ephemeral
        assert "There can be 10,000 blocked words" in await run_config(harness, "words block", words="one")
        assert len(await services.db.guilds.blocked_words(harness.guild.id)) == 10_000


async def test_a_word_of_warning_is_private_and_the_picture_comes(harness):
    async with harness.bot():
        await run_config(harness, "words block", words="blood", mode="warn privately")
        await harness.imagine("a blood moon")
        await harness.result()
        warning = await harness.server.wait_for(
            harness.channel, lambda message: "rather not see" in message.content, 20
        )
        assert warning.ephemeral


async def test_every_door_is_closed_to_who_may_not(harness):
    async with harness.bot():
        await harness.imagine("a fox")
        grid = await harness.result()
        await run_config(harness, "block add", person=harness.ada, reason="spam")
        for label in ("U1", "V1", None):
            pressed = await harness.person(harness.ada).press(
                grid,
                label,
                custom_id=None if label else next(name for name in custom_ids(grid) if name.startswith("reroll")),
            )
            followups = await harness.server.wait_for(
                harness.channel,
                lambda message, pressed=pressed: message.ephemeral and "blocked you" in message.content,
                20,
            )
            assert followups
        assert len(harness.results()) == 1


async def test_who_is_blocked_while_waiting_is_told_when_the_turn_comes(harness):
    async with harness.bot(jobs_at_once=1):
        await harness.imagine("slow fox", harness.ben)
        await harness.status_message("(25%)")
        await harness.imagine("an owl")
        await harness.status_message("an owl")
        await run_config(harness, "block add", person=harness.ada, reason="spam")
        harness.release_slow_jobs()
        await harness.status_message("blocked you")
        await harness.result(harness.ben)
        assert len(harness.results()) == 1


async def test_elsewhere_people_are_sent_to_where_they_may(harness):
    elsewhere = harness.server.world.add_channel(harness.guild)
    async with harness.bot():
        await run_config(harness, "channels", add=elsewhere)
        assert f"<#{elsewhere.id}>" in await private_text(await harness.imagine("a fox"))
        await harness.imagine("a fox", channel=elsewhere)
        await harness.result(channel=elsewhere)


async def report_image(harness, log):
    """Draw a picture of Ada's, have Ben report it, and give the result and what the log channel shows."""
    await run_config(harness, "log", channel=log)
    await harness.imagine("a fox")
    result = await harness.result()
    form = await harness.person(harness.ben).context_menu("Report", result)
    await harness.person(harness.ben).submit_modal(form, reason="not **for** here")
    return result, await harness.server.wait_for(log, lambda message: "Report" in message.content, 20)


async def test_a_report_is_told_to_the_moderators_who_delete_and_block(harness):
    log = harness.server.world.add_channel(harness.guild)
    async with harness.bot() as services:
        result, told = await report_image(harness, log)
        assert f"<@{harness.ben.id}>: not \\*\\*for\\*\\* here" in told.content
        assert f"/{harness.channel.id}/{result.id}" in told.content
        refused = await harness.person(harness.ada).press(told, "Dismiss")
        assert "Only moderators" in await private_text(refused)
        await harness.person(harness.mod).press(told, "Delete and block")
        await harness.server.wait_for(
            log, lambda message: f"<@{harness.mod.id}> deleted the picture and blocked" in message.content, 20
        )
        assert not told.labels
        assert "blocked you" in await private_text(await harness.imagine("an owl"))
        await eventually(lambda: not harness.results())
        assert "There are no open reports" in await run_config(harness, "reports")
        assert "blocked its owner" in await run_config(harness, "audit")
        assert await services.db.reports.list_open(harness.guild.id) == []


async def test_a_moderator_cannot_block_who_manages_the_server(harness):
    log = harness.server.world.add_channel(harness.guild)
    for name, user, permission in (
        ("owners", harness.ada, Permissions.manage_guild),
        ("moderators", harness.ben, Permissions.manage_messages),
    ):
        role = harness.server.world.add_role(harness.guild, name, permission.flag)
        harness.guild.members[user.id].role_ids.append(role.id)
    async with harness.bot() as services:
        _, told = await report_image(harness, log)
        refused = await harness.person(harness.ben).press(told, "Delete and block")
        assert "cannot be blocked" in await private_text(refused)
        assert await services.db.guilds.active_blocks(harness.guild.id) == []
        assert harness.results()


async def test_what_is_reported_while_it_is_drawn_is_cancelled(harness):
    log = harness.server.world.add_channel(harness.guild)
    async with harness.bot():
        await run_config(harness, "log", channel=log)
        await harness.imagine("slow fox")
        form = await harness.person(harness.ben).context_menu("Report", await harness.status_message("(25%)"))
        await harness.person(harness.ben).submit_modal(form, reason="no")
        told = await harness.server.wait_for(log, lambda message: "Report" in message.content, 20)
        await harness.person(harness.mod).press(told, "Delete the picture")
        await harness.status_message("Cancelled by")
        harness.release_slow_jobs()
        await eventually(lambda: not harness.tasks)
        assert not harness.results()


async def test_a_report_is_dealt_with_once_also_after_a_restart(harness):
    log = harness.server.world.add_channel(harness.guild)
    async with harness.bot():
        _, told = await report_image(harness, log)
    async with harness.bot():
        listed = await (await harness.person(harness.mod).command("config reports", harness.channel)).message()
        await harness.person(harness.mod).press(listed, "Dismiss")
        await harness.server.wait_for(harness.channel, lambda message: "dismissed the report" in message.content, 20)
        again = await harness.person(harness.mod).press(told, "Delete the picture")
        assert "has dealt with this report" in await private_text(again)
        assert len(harness.results()) == 1


async def test_the_log_channel_hears_of_every_act(harness):
    log = harness.server.world.add_channel(harness.guild)
    async with harness.bot():
        await run_config(harness, "log", channel=log)
        await run_config(harness, "words block", words="gore")
        await run_config(harness, "block add", person=harness.ada, reason="spam")
        for words in ("log channel", "`gore`", "for good: spam"):
            heard = await harness.server.wait_for(log, lambda message, words=words: words in message.content, 20)
            assert f"<@{harness.mod.id}>" in heard.content
        harness.server.world.channels.pop(log.id)
        await run_config(harness, "stealth", allowed=False)  # nobody to tell, and no harm


async def test_what_moderators_do_with_others_jobs_is_in_the_audit(harness):
    moderator = harness.person(harness.mod)
    async with harness.bot():
        await harness.imagine("slow fox")
        await moderator.press(await harness.status_message("(25%)"), "Cancel")
        await harness.status_message("Cancelled by")
        await harness.imagine("an owl")
        deleting = await moderator.press(await harness.result(), "U1")
        picked = await harness.result(text="Image #1")
        assert deleting
        await moderator.submit_modal(await moderator.press(picked, "Delete"))
        await eventually(lambda: len(harness.results()) == 1)
        audit = await run_config(harness, "audit")
    assert "cancelled job" in audit
    assert f"of <@{harness.ada.id}>" in audit
    assert "deleted job" not in audit, "a picture that a moderator picked is their own"


async def test_who_moderates_one_channel_has_no_say_in_another(harness):
    garden = harness.server.world.add_channel(harness.guild)
    garden.overwrites.append(Overwrite(harness.ben.id, 1, allow=Permissions.manage_messages.flag))
    async with harness.bot() as services:
        for channel, told in ((garden, None), (harness.channel, "or a moderator can delete this")):
            await harness.imagine("a fox", channel=channel)
            await harness.person(harness.ada).press(await harness.result(channel=channel), "U1")
            await harness.result(channel=channel, text="Image #1")
            await eventually(lambda: not harness.tasks)
            (row,) = await services.db.jobs._connection.fetch_all("SELECT id FROM jobs ORDER BY asked_at DESC LIMIT 1")
            shown = await harness.person(harness.ben).command("show", garden, job=row["id"])
            await eventually(lambda shown=shown: shown.messages and shown.messages[-1].labels)
            pressed = await harness.person(harness.ben).press(shown.messages[-1], "Delete")
            if told:
                assert told in await private_text(pressed)
            else:
                await harness.person(harness.ben).submit_modal(pressed)
                await eventually(lambda: len(harness.results(garden)) == 1)


async def test_a_moderator_of_another_server_has_no_say(harness):
    elsewhere = harness.server.world.add_guild("Elsewhere", harness.ben, harness.ada)
    channel = harness.server.world.add_channel(elsewhere)
    async with harness.bot() as services:
        await harness.imagine("a fox")
        await harness.result()
        await eventually(lambda: not harness.tasks)
        (row,) = await services.db.jobs._connection.fetch_all("SELECT id FROM jobs")
        shown = await harness.person(harness.ada).command("show", channel, job=row["id"])
        await eventually(lambda: shown.messages and shown.messages[-1].attachments)
        again = shown.messages[-1]
        refused = await harness.person(harness.ben).context_menu("Report", again)
        assert "comes from elsewhere" in await private_text(refused)
        assert (await services.db.jobs.get(row["id"])).state == "answered"


async def test_only_the_models_that_the_owners_allow_draw(harness):
    async with harness.bot():
        assert "add Anything V3" in await run_config(harness, "models", add="anything v3")
        answer = await private_text(await harness.imagine("a fox"))
        assert "allow Anything V3 only, not Painter" in answer
        assert "I know no model `nonsense`" in await run_config(harness, "models", add="nonsense")
        choices = await harness.person(harness.mod).autocomplete("config models", harness.channel, "add", "pai")
        assert [choice["value"] for choice in choices] == ["Painter"]
        await run_config(harness, "models", add="painter")
        assert "Anything V3, Painter" in await run_config(harness, "panel")
        await harness.imagine("a fox")
        await harness.result()
        await run_config(harness, "models", every=True)
        assert "whichever I draw with" in await run_config(harness, "panel")
