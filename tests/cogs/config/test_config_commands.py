"""/config against the fake Discord, and the effect of its rules on jobs."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from discord import Permissions

from bot.policy.settings import GuildSettings
from bot.policy.updates import Actor, update_settings
from cogs.config.audit import format_details
from cogs.config.commands import AUDIT_PAGE_SIZE
from cogs.config.panel import PANEL_TTL_S
from cogs.config.panel_fields import FIELDS, TextField, field_title, parse_selection
from db.guilds import AuditEntry
from generation.errors import UserError
from preview import UploadedFile
from preview.state.permissions import SEND_MESSAGES
from preview.state.world import Overwrite, walk_components
from preview.users.options import UserActionError
from tests.support.bot_harness import eventually, first_tile, red_png
from tests.support.languages import run_in


async def run_config(harness, name, /, user=None, **options):
    """Run a subcommand of /config and return the text of its response."""
    interaction = await harness.person(user or harness.mod).command(f"config {name}", harness.channel, **options)
    return (await interaction.message()).content


async def private_text(interaction):
    """Return the text of an ephemeral response."""
    message = await interaction.message()
    assert message.ephemeral
    return message.content


def custom_ids(message):
    return [part["custom_id"] for part in walk_components(message.components) if "custom_id" in part]


async def guild_settings(services, harness):
    return await services.policy.settings(harness.guild.id)


async def test_config_needs_manage_server(harness):
    async with harness.bot():
        await run_config(harness, "stealth", allowed=False)
        with pytest.raises(UserActionError):
            await run_config(harness, "stealth", user=harness.ada, allowed=True)


async def test_config_is_not_available_in_direct_messages(harness):
    async with harness.bot():
        direct = harness.server.world.dm_channel(harness.mod, harness.server.world.bot)
        with pytest.raises(UserActionError):
            await harness.person(harness.mod).command("config stealth", direct, allowed=True)


async def test_each_setting_is_confirmed_stored_and_audited(harness):
    role = harness.server.world.add_role(harness.guild, "patrons")
    changes = {
        "defaults": ({"parameters": "--ar 3:2  --no text"}, "Defaults: --ar 3:2 --no text."),
        "channels": ({"add": harness.channel}, f"Channels: add <#{harness.channel.id}>."),
        "results": ({"where": "a gallery", "gallery": harness.channel}, f"Results: a gallery <#{harness.channel.id}>."),
        "feature": ({"feature": "fast mode", "add": role}, f"Fast mode: add <@&{role.id}>."),
        "limits": ({"role": role, "jobs_a_day": 5, "cooldown": 0}, f"Limits of <@&{role.id}>: 5 jobs a day"),
        "permutations": ({"most": 4}, "Jobs of one prompt: 4."),
        "stealth": ({"allowed": False}, "Private pictures: not allowed."),
        "retention": ({"days": 30}, "Picture retention: 30 days."),
        "log": ({"channel": harness.channel}, f"Log channel: <#{harness.channel.id}>."),
        "together": (
            {"add_host": role, "account_days": 1, "member_hours": 0, "at_once": 3, "quiet": harness.channel},
            f"Pictures made together: <@&{role.id}> may start a session, accounts of 1 day, members for 0 hours, "
            f"3 at once, none in <#{harness.channel.id}>.",
        ),
        "sensitive": ({"pictures": "withheld"}, "Sensitive pictures: withheld."),
    }
    async with harness.bot():
        for name, (options, expected) in changes.items():
            assert expected in await run_config(harness, name, **options)
    async with harness.bot() as services:  # everything is still there after a restart
        panel, audit = await run_config(harness, "panel"), await run_config(harness, "audit")
        kept = await guild_settings(services, harness)
    for words in (
        "`--ar 3:2 --no text`",
        "30 days",
        "withheld",
        "not allowed",
        f"<@&{role.id}>",
        "5 jobs a day",
        "3 at once",
        "1 day",
    ):
        assert words in panel
    assert len(audit.splitlines()) == len(changes)
    assert audit.splitlines()[0].endswith("sensitive pictures: withheld")
    assert (kept.permutations, kept.gallery, kept.log_channel) == (4, harness.channel.id, harness.channel.id)


INVALID = (
    ("defaults", {"parameters": "--ar x"}, "--ar"),
    ("defaults", {"parameters": "--iw 9"}, "--iw"),
    ("defaults", {"parameters": "--keep 30"}, "--keep"),
    ("defaults", {"parameters": "a fox"}, "fox"),
    ("channels", {}, "at least one option to change"),
    ("feature", {"feature": "fast mode"}, "at least one option to change"),
    ("defaults", {"parameters": "--public"}, "each person's own choice"),
    ("defaults", {"parameters": "--ar 3:2 --turbo"}, "each person's own choice"),
    ("results", {"where": "a gallery"}, "needs a channel"),
    ("together", {}, "at least one option to change"),
    ("words block", {"words": "g.*e"}, "not a plain word"),
    ("words block", {}, "Give `words`"),
    ("words allow", {"words": "never blocked"}, "Not blocked"),
)


async def test_invalid_input_is_refused_and_changes_nothing(harness):
    async with harness.bot() as services:
        await run_config(harness, "retention", days=7)
        before = await guild_settings(services, harness)
        for name, options, expected in INVALID:
            assert expected in await run_config(harness, name, **options)
            assert await guild_settings(services, harness) == before


async def test_options_that_contradict_each_other_change_nothing(harness):
    role = harness.server.world.add_role(harness.guild, "patrons")
    async with harness.bot() as services:
        for name, options in (
            ("defaults", {"parameters": "--s 250", "clear": True}),
            ("models", {"add": "Painter", "every": True}),
            ("channels", {"add": harness.channel, "everywhere": True}),
            ("feature", {"feature": "fast mode", "add": role, "everybody": True}),
            ("together", {"add_host": role, "everybody_hosts": True}),
            ("log", {"channel": harness.channel, "clear": True}),
            ("contest", {"channel": harness.channel, "stop": True}),
            ("contest", {"role": role, "no_role": True}),
        ):
            assert "contradict each other" in await run_config(harness, name, **options)
        assert await guild_settings(services, harness) == GuildSettings()


async def test_a_negative_limit_is_refused_naming_the_range(harness):
    role = harness.server.world.add_role(harness.guild, "patrons")
    async with harness.bot() as services:
        assert "must be from 1 to 1,000, not -1" in await run_config(harness, "limits", role=role, running=-1)
        assert (await guild_settings(services, harness)).bounds == {}


async def test_two_owners_at_once_lose_nothing(harness):
    channels = [harness.server.world.add_channel(harness.guild) for _ in range(6)]
    async with harness.bot() as services:
        await asyncio.gather(*(run_config(harness, "channels", add=channel) for channel in channels))
        assert set((await guild_settings(services, harness)).channels) == {channel.id for channel in channels}


async def test_the_panel_changes_settings_by_select_and_by_modal(harness):
    role = harness.server.world.add_role(harness.guild, "patrons")
    person = harness.person(harness.mod)
    async with harness.bot() as services:
        panel = await (await person.command("config panel", harness.channel)).message()
        await person.select(panel, "Private pictures", custom_id="config:page")
        await harness.server.wait_for(harness.channel, lambda message: "config:set:stealth" in custom_ids(message))
        await person.select(panel, "Not allowed", custom_id="config:set:stealth")
        await harness.server.wait_for(harness.channel, lambda message: "not allowed" in message.content)
    async with harness.bot() as services:  # the panel keeps working after a restart
        await person.select(panel, "Roles with fast mode", custom_id="config:page")
        await harness.server.wait_for(
            harness.channel, lambda message: "config:set:fast_roles" in custom_ids(message), 20
        )
        await person.select(panel, role, custom_id="config:set:fast_roles")
        await harness.server.wait_for(harness.channel, lambda message: f"<@&{role.id}>" in message.content)
        await person.select(panel, "Days to keep pictures (0: not set)", custom_id="config:page")
        await harness.server.wait_for(
            harness.channel, lambda message: "config:type:retention_days" in custom_ids(message), 20
        )
        opened = await person.press(panel, custom_id="config:type:retention_days")
        assert "whole number" in await private_text(await person.submit_modal(opened, value="-1"))
        opened = await person.press(panel, custom_id="config:type:retention_days")
        await person.submit_modal(opened, value="14")
        await harness.server.wait_for(harness.channel, lambda message: "14 days" in message.content)
        kept = await guild_settings(services, harness)
    assert (kept.stealth, kept.fast_roles, kept.retention_days) == (False, (role.id,), 14)


async def open_panel(harness, user, page, custom_id):
    """Open the panel with one setting selected."""
    panel = await (await harness.person(user).command("config panel", harness.channel)).message()
    await harness.person(user).select(panel, page, custom_id="config:page")
    await eventually(lambda: custom_id in custom_ids(panel))
    return panel


@pytest.mark.parametrize("name", ["gallery", "contest_channel", "log_channel"])
async def test_the_panel_chooses_no_channel_where_the_bot_may_not_post(harness, name):
    closed = harness.server.world.add_channel(harness.guild, "closed", bot_denied=SEND_MESSAGES)
    async with harness.bot() as services:
        panel = await open_panel(harness, harness.mod, field_title(FIELDS[name]), f"config:set:{name}")
        chosen = await harness.person(harness.mod).select(panel, closed, custom_id=f"config:set:{name}")
        assert "I may not post in" in await private_text(chosen)
        assert await guild_settings(services, harness) == GuildSettings()


async def test_a_stale_panel_keeps_the_changes_of_others(harness):
    first, second = (harness.server.world.add_channel(harness.guild) for _ in range(2))
    async with harness.bot() as services:
        await run_config(harness, "channels", add=harness.channel)
        panel = await open_panel(harness, harness.mod, "Channels where people may draw", "config:set:channels")
        await run_config(harness, "channels", add=first)
        await harness.person(harness.mod).select(panel, second, custom_id="config:set:channels")
        await eventually(lambda: f"<#{second.id}>" in panel.content)
        assert (await guild_settings(services, harness)).channels == (first.id, second.id)


def test_a_choice_of_an_older_panel_is_refused_in_words():
    with pytest.raises(UserError, match="This panel is too old"):
        parse_selection(FIELDS["language"], ["As the server has it at Discord"])


async def test_the_panel_keeps_channels_that_it_cannot_show(harness):
    channels = [harness.server.world.add_channel(harness.guild) for _ in range(30)]
    async with harness.bot() as services:
        actor = Actor(harness.guild.id, harness.mod.id)
        ids = tuple(channel.id for channel in channels)
        await update_settings(services.db.guilds, actor, "channels", lambda now: replace(now, channels=ids))
        panel = await open_panel(harness, harness.mod, "Channels where people may draw", "config:set:channels")
        await harness.person(harness.mod).select(panel, *channels[1:25], custom_id="config:set:channels")
        await eventually(lambda: f"<#{ids[0]}>" not in panel.content)
        assert set((await guild_settings(services, harness)).channels) == set(ids[1:])


async def test_the_panel_removes_deleted_roles(harness):
    deleted, existing = (harness.server.world.add_role(harness.guild, name) for name in ("deleted", "existing"))
    async with harness.bot() as services:
        actor = Actor(harness.guild.id, harness.mod.id)
        await update_settings(
            services.db.guilds, actor, "roles", lambda now: replace(now, fast_roles=(deleted.id + 10**6,))
        )
        panel = await open_panel(harness, harness.mod, "Roles with fast mode", "config:set:fast_roles")
        await harness.person(harness.mod).select(panel, existing, custom_id="config:set:fast_roles")
        await eventually(lambda: f"<@&{existing.id}>" in panel.content)
        assert (await guild_settings(services, harness)).fast_roles == (existing.id,)


async def test_big_upscales_and_their_rerolls_need_the_same_role(harness):
    role = harness.server.world.add_role(harness.guild, "patrons")
    harness.guild.members[harness.ada.id].role_ids.append(role.id)
    ada, ben = harness.person(harness.ada), harness.person(harness.ben)
    async with harness.bot() as services:
        actor = Actor(harness.guild.id, harness.mod.id)
        await update_settings(services.db.guilds, actor, "roles", lambda now: replace(now, upscale_roles=(role.id,)))
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


async def test_a_panel_expires_once_its_user_lost_manage_server(harness):
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
async def test_a_channel_closed_to_the_bot_is_refused(harness, name, option):
    closed = harness.server.world.add_channel(harness.guild)
    closed.overwrites.append(Overwrite(harness.guild.id, 0, deny=Permissions.send_messages.flag))
    more = {"where": "a gallery"} if name == "results" else {}
    async with harness.bot() as services:
        assert f"I may not post in <#{closed.id}>" in await run_config(harness, name, **{option: closed}, **more)
        assert await guild_settings(services, harness) == GuildSettings()


async def test_a_blocked_person_is_refused_until_unblocked(harness):
    async with harness.bot():
        assert "is blocked permanently" in await run_config(harness, "block add", person=harness.ada, reason="spam")
        assert "blocked you" in await private_text(await harness.imagine("a fox"))
        assert f"<@{harness.ada.id}>" in await run_config(harness, "block list")
        await run_config(harness, "block remove", person=harness.ada)
        await harness.imagine("a fox")
        await harness.result()


@pytest.mark.parametrize(("command", "options"), [("imagine", ["image"]), ("blend", ["image1", "image2"])])
async def test_nothing_is_fetched_for_a_blocked_person(harness, command, options):
    async with harness.bot():
        await run_config(harness, "block add", person=harness.ada, reason="spam")
        brought = {name: UploadedFile("red.png", red_png(64, 64)) for name in options}
        more = {"prompt": "a fox"} if command == "imagine" else {}
        used = await harness.person(harness.ada).command(command, harness.channel, **brought, **more)
        await used.wait_for(lambda message: "blocked you" in message.content)
        assert not [path for path in (harness.folder / "data" / "uploads").rglob("*") if path.is_file()]


async def test_server_managers_cannot_be_blocked(harness):
    async with harness.bot():
        assert "manages this server" in await run_config(harness, "block add", person=harness.mod, reason="me")
        assert "Nobody is blocked" in await run_config(harness, "block list")


async def test_a_refusal_names_the_blocked_word_and_returns_the_prompt(harness):
    async with harness.bot():
        await run_config(harness, "words block", words="gore, naked man", mode="refuse")
        answer = await private_text(await harness.imagine("a scene of g0re --ar 3:2"))
        assert "`gore`" in answer
        assert "a scene of g0re --ar 3:2" in answer
        assert not harness.public_messages()


async def test_a_file_blocks_up_to_ten_thousand_words(harness):
    lines = [f"word{number:05}" for number in range(10_000)]
    async with harness.bot() as services:
        for more, expected in (([], "Blocked 10,000 words (refuse)"), (["one"], "These are 10,001 words")):
            file = UploadedFile("words.txt", "\n".join(lines + more).encode())
            interaction = await harness.person(harness.mod).command("config words block", harness.channel, file=file)
            answer = await interaction.wait_for(lambda message, expected=expected: expected in message.content)
            assert answer.ephemeral
        assert "There can be up to 10,000 blocked words" in await run_config(harness, "words block", words="one")
        assert len(await services.db.guilds.blocked_words(harness.guild.id)) == 10_000


async def test_a_warning_about_a_word_is_private_and_the_job_runs(harness):
    async with harness.bot():
        await run_config(harness, "words block", words="blood", mode="warn privately")
        await harness.imagine("a blood moon")
        await harness.result()
        warning = await harness.server.wait_for(
            harness.channel, lambda message: "rather not see" in message.content, 20
        )
        assert warning.ephemeral


async def test_every_button_is_refused_to_a_blocked_person(harness):
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


async def test_a_waiting_job_of_a_blocked_person_is_refused_at_its_turn(harness):
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


async def test_a_job_in_a_closed_channel_names_the_allowed_channel(harness):
    elsewhere = harness.server.world.add_channel(harness.guild)
    async with harness.bot():
        await run_config(harness, "channels", add=elsewhere)
        assert f"<#{elsewhere.id}>" in await private_text(await harness.imagine("a fox"))
        await harness.imagine("a fox", channel=elsewhere)
        await harness.result(channel=elsewhere)


async def report_image(harness, log):
    """Generate an image as Ada, report it as Ben, and return the result and the message in the log channel."""
    await run_config(harness, "log", channel=log)
    await harness.imagine("a fox")
    result = await harness.result()
    form = await harness.person(harness.ben).context_menu("Report", result)
    await harness.person(harness.ben).submit_modal(form, reason="not **for** here")
    return result, await harness.server.wait_for(log, lambda message: "Report" in message.content)


async def test_moderators_see_a_report_and_can_delete_and_block(harness):
    log = harness.server.world.add_channel(harness.guild)
    async with harness.bot() as services:
        result, report = await report_image(harness, log)
        assert f"<@{harness.ben.id}>: not \\*\\*for\\*\\* here" in report.content
        assert f"/{harness.channel.id}/{result.id}" in report.content
        refused = await harness.person(harness.ada).press(report, "Dismiss")
        assert "Only moderators" in await private_text(refused)
        await harness.person(harness.mod).press(report, "Delete and block")
        await harness.server.wait_for(
            log, lambda message: f"<@{harness.mod.id}> deleted the picture and blocked" in message.content, 20
        )
        assert not report.labels
        assert "blocked you" in await private_text(await harness.imagine("an owl"))
        await eventually(lambda: not harness.results())
        assert "There are no open reports" in await run_config(harness, "reports")
        assert "blocked its owner" in await run_config(harness, "audit")
        assert await services.db.reports.list_open(harness.guild.id) == []


async def test_a_decision_in_the_log_channel_is_in_the_servers_language(harness):
    log = harness.server.world.add_channel(harness.guild)
    async with harness.bot():
        _, report = await report_image(harness, log)
        harness.mod.locale = "de"
        await harness.person(harness.mod).press(report, "Dismiss")
        await harness.server.wait_until(lambda: not report.labels)
        assert f"<@{harness.mod.id}> dismissed the report." in report.content
        assert report.content.startswith("**Report** by")


async def test_a_moderator_cannot_block_a_server_manager(harness):
    log = harness.server.world.add_channel(harness.guild)
    for name, user, permission in (
        ("owners", harness.ada, Permissions.manage_guild),
        ("moderators", harness.ben, Permissions.manage_messages),
    ):
        role = harness.server.world.add_role(harness.guild, name, permission.flag)
        harness.guild.members[user.id].role_ids.append(role.id)
    async with harness.bot() as services:
        _, report = await report_image(harness, log)
        refused = await harness.person(harness.ben).press(report, "Delete and block")
        assert "cannot be blocked" in await private_text(refused)
        assert await services.db.guilds.active_blocks(harness.guild.id) == []
        assert harness.results()


@pytest.mark.parametrize("reason", ["*" * 200, "x" * 200])
async def test_a_page_of_the_audit_fits_into_a_message_whatever_was_typed(harness, reason):
    async with harness.bot():
        for _ in range(AUDIT_PAGE_SIZE):
            await run_config(harness, "block add", person=harness.ada, reason=reason)
        assert len((await run_config(harness, "audit")).splitlines()) == AUDIT_PAGE_SIZE


async def test_nobody_is_blocked_for_a_picture_whose_author_was_erased(harness):
    log = harness.server.world.add_channel(harness.guild, "log")
    async with harness.bot() as services:
        result, report = await report_image(harness, log)
        await services.db.personal_data.leave_job(first_tile(result).job_id)
        refused = await harness.person(harness.mod).press(report, "Delete and block")
        assert "nobody to block" in await private_text(refused)
        assert await services.db.guilds.active_blocks(harness.guild.id) == []
        assert "** - somebody" in await run_config(harness, "reports")


async def test_deleting_a_reported_running_job_cancels_it(harness):
    log = harness.server.world.add_channel(harness.guild)
    async with harness.bot():
        await run_config(harness, "log", channel=log)
        await harness.imagine("slow fox")
        form = await harness.person(harness.ben).context_menu("Report", await harness.status_message("(25%)"))
        await harness.person(harness.ben).submit_modal(form, reason="no")
        report = await harness.server.wait_for(log, lambda message: "Report" in message.content)
        await harness.person(harness.mod).press(report, "Delete the picture")
        await harness.status_message("Cancelled by")
        harness.release_slow_jobs()
        await eventually(lambda: not harness.tasks)
        assert not harness.results()


async def test_a_report_is_closed_once_even_across_a_restart(harness):
    log = harness.server.world.add_channel(harness.guild)
    async with harness.bot():
        _, report = await report_image(harness, log)
    async with harness.bot():
        listed = await (await harness.person(harness.mod).command("config reports", harness.channel)).message()
        await harness.person(harness.mod).press(listed, "Dismiss")
        await harness.server.wait_for(harness.channel, lambda message: "dismissed the report" in message.content)
        again = await harness.person(harness.mod).press(report, "Delete the picture")
        assert "already dealt with this report" in await private_text(again)
        assert len(harness.results()) == 1


async def test_the_log_channel_receives_every_audit_entry(harness):
    log = harness.server.world.add_channel(harness.guild)
    async with harness.bot():
        await run_config(harness, "log", channel=log)
        await run_config(harness, "words block", words="gore")
        await run_config(harness, "block add", person=harness.ada, reason="spam")
        await run_config(harness, "block add", person=harness.ben, reason="[the rules](https://evil.example)")
        shown = await harness.server.wait_for(log, lambda message: "the rules" in message.content)
        assert "[the rules](" not in shown.content
        assert f"<@{harness.ben.id}>" in shown.content
        for words in ("log channel", "`gore`", "permanently: spam"):
            heard = await harness.server.wait_for(log, lambda message, words=words: words in message.content)
            assert f"<@{harness.mod.id}>" in heard.content
        harness.server.world.channels.pop(log.id)
        await run_config(harness, "stealth", allowed=False)  # a deleted log channel does no harm


def test_the_audit_calls_an_erased_author_somebody():
    entry = AuditEntry(guild_id=1, person_id=2, act="moderation", details="deleted job 0123456789ab of <@0>", at=0.0)
    assert format_details(entry, 90) == "deleted job 0123456789ab of somebody"


async def test_moderator_actions_on_others_jobs_are_audited(harness):
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
    assert "deleted job" not in audit, "a moderator's own picked image is not audited"


async def test_a_channel_moderator_cannot_delete_in_other_channels(harness):
    garden = harness.server.world.add_channel(harness.guild)
    garden.overwrites.append(Overwrite(harness.ben.id, 1, allow=Permissions.manage_messages.flag))
    async with harness.bot() as services:
        for channel, expected in ((garden, None), (harness.channel, "or a moderator can delete this")):
            await harness.imagine("a fox", channel=channel)
            await harness.person(harness.ada).press(await harness.result(channel=channel), "U1")
            await harness.result(channel=channel, text="Image #1")
            await eventually(lambda: not harness.tasks)
            (row,) = await services.db.jobs._connection.fetch_all("SELECT id FROM jobs ORDER BY asked_at DESC LIMIT 1")
            shown = await harness.person(harness.ben).command("show", garden, job=row["id"])
            await eventually(lambda shown=shown: shown.messages and shown.messages[-1].labels)
            pressed = await harness.person(harness.ben).press(shown.messages[-1], "Delete")
            if expected:
                assert expected in await private_text(pressed)
            else:
                await harness.person(harness.ben).submit_modal(pressed)
                await eventually(lambda: len(harness.results(garden)) == 1)


async def test_an_image_from_another_server_cannot_be_reported(harness):
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


async def test_only_the_allowed_models_can_be_used(harness):
    async with harness.bot():
        assert "add Anything V3" in await run_config(harness, "models", add="anything v3")
        answer = await private_text(await harness.imagine("a fox"))
        assert "allow Anything V3 only, not Painter" in answer
        assert "There is no model `nonsense`" in await run_config(harness, "models", add="nonsense")
        choices = await harness.person(harness.mod).autocomplete("config models", harness.channel, "add", "pai")
        assert [choice["value"] for choice in choices] == ["Painter"]
        await run_config(harness, "models", add="painter")
        assert "Anything V3, Painter" in await run_config(harness, "panel")
        await harness.imagine("a fox")
        await harness.result()
        await run_config(harness, "models", every=True)
        assert "**Models:** all" in await run_config(harness, "panel")


async def test_replies_are_german_in_a_german_server_and_the_audit_log_is_english(harness):
    role = harness.server.world.add_role(harness.guild, "patrons")
    async with harness.bot():
        await run_config(harness, "language", language="Deutsch")
        for name, options, expected in (
            ("feature", {"feature": "fast mode", "add": role}, f"Schneller Modus: <@&{role.id}> hinzugefügt.\n-# Gilt"),
            ("limits", {"role": role, "jobs_a_day": 1}, f"Limits von <@&{role.id}>: 1 Auftrag am Tag."),
            ("results", {"where": "a thread for each person"}, "Ergebnisse: ein Thread pro Person."),
            ("log", {"clear": True}, "Log-Kanal: keiner."),
            ("words block", {"words": "gore"}, "1 Wort gesperrt (ablehnen): `gore`"),
            (
                "block add",
                {"person": harness.ben, "reason": "spam"},
                f"<@{harness.ben.id}> ist dauerhaft gesperrt: spam",
            ),
            ("channels", {}, "Wähle mindestens eine Option"),
        ):
            assert expected in await run_config(harness, name, **options)
        audit = await run_config(harness, "audit")
    for words in (
        f"fast mode: add <@&{role.id}>",
        f"limits of <@&{role.id}>: 1 job a day",
        "results: a thread for each person",
        "blocked (refuse): `gore`",
        f"blocked <@{harness.ben.id}> permanently: spam",
    ):
        assert words in audit


async def test_a_german_panel_keeps_english_values(harness):
    person = harness.person(harness.mod)
    async with harness.bot() as services:
        await run_config(harness, "language", language="Deutsch")
        panel = await open_panel(harness, harness.mod, "Private Bilder", "config:set:stealth")
        selects = {part["custom_id"]: part for part in walk_components(panel.components) if "options" in part}
        options = [(option["label"], option["value"]) for option in selects["config:set:stealth"]["options"]]
        assert options == [("Erlaubt", "Allowed"), ("Nicht erlaubt", "Not allowed")]
        await person.select(panel, "Nicht erlaubt", custom_id="config:set:stealth")
        await eventually(lambda: "**Private Bilder:** nicht erlaubt" in panel.content)
        assert not (await guild_settings(services, harness)).stealth
        assert "Private pictures: Not allowed" in await run_config(harness, "audit")


def test_the_titles_of_typed_settings_fit_into_a_modal():
    for field in FIELDS.values():
        if isinstance(field, TextField):
            assert len(run_in("de", field_title, field)) <= 45


async def test_a_setting_is_shown_unless_it_is_to_be_cleared(harness):
    async with harness.bot() as services:
        await run_config(harness, "defaults", parameters="--ar 3:2")
        await run_config(harness, "log", channel=harness.channel)
        before = await services.policy.settings(harness.guild.id)
        assert "Default parameters: --ar 3:2\n" in await run_config(harness, "defaults")
        assert f"Log channel: <#{harness.channel.id}>\n" in await run_config(harness, "log")
        assert await services.policy.settings(harness.guild.id) == before
        assert "until now --ar 3:2" in await run_config(harness, "defaults", clear=True)
        await run_config(harness, "log", clear=True)
        now = await services.policy.settings(harness.guild.id)
        assert (now.defaults, now.log_channel) == ("", None)
        assert await run_config(harness, "defaults") == "Default parameters: none"
        assert await run_config(harness, "log") == "Log channel: none"
