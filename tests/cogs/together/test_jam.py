"""/jam: three people draw one picture, with a clock that the test moves."""

from __future__ import annotations

import asyncio
import io

import pytest
from PIL import Image, ImageChops, ImageStat

from bot.jobs.deletion import delete_job
from bot.sessions import redrawing
from cogs.together.jam import handler as jam_handler
from cogs.together.jam.film import attach_jam_film
from db.jobs import JobState
from db.together.sessions import SessionKind
from generation.job import Action
from generation.params import Tile
from preview.state.world import walk_components
from tests.support.bot_harness import eventually
from tests.support.sessions import block, is_fresh

ROUND_S = 181


@pytest.fixture
def cy(harness):
    world = harness.server.world
    cy = world.add_user("cy")
    world.add_member(cy, harness.guild)
    return cy


class Jam:
    """A jam in a channel, and the people in it."""

    def __init__(self, harness, services, channel):
        self.harness, self.services, self.channel = harness, services, channel

    @classmethod
    async def start(cls, harness, services, prompt="a castle", **options):
        options = {"where": "here", "rounds": 3} | options
        await harness.person(harness.ada).command("jam start", harness.channel, prompt=prompt, **options)
        return cls(harness, services, harness.channel)

    async def round(self, number):
        """Wait until a round can be voted on, and return its message."""
        found = await self.harness.server.wait_for(
            self.channel,
            lambda message: f"round {number} of" in message.content and "ends" in message.content,
            description=f"round {number}",
        )
        await self.phase("voting", number)
        return found

    async def phase(self, phase, number=None):
        async def now():
            sessions = await self._sessions()
            return any(each.phase == phase and number in (None, each.round) for each in sessions)

        await self._until(now)

    async def _sessions(self):
        rows = await self.services.db.connection.fetch_all("SELECT id FROM collab_sessions ORDER BY made_at")
        return [await self.services.db.sessions.get(row["id"]) for row in rows]

    async def session(self):
        (session,) = await self._sessions()
        return session

    async def _until(self, test):
        async with asyncio.timeout(20):
            while not await test():  # noqa: ASYNC110 (nothing there tells of it)
                await asyncio.sleep(0.02)

    async def vote(self, user, message, tile, move=None):
        interaction = await self.harness.person(user).press(message, str(tile))
        await interaction.response()
        if move:
            await (
                await self.harness.person(user).select(message, move, custom_id=select_id(message, "move"))
            ).response()

    def pass_time(self, seconds=ROUND_S):
        self.harness.server.world.clock.advance(seconds)
        self.harness.client.sessions.timer.wake()


def select_id(message, kind):
    return next(
        part["custom_id"]
        for part in walk_components(message.components)
        if part["type"] == 3 and part["custom_id"].startswith(f"jam:{kind}:")
    )


def select_options(message, kind):
    return next(
        part["options"]
        for part in walk_components(message.components)
        if part["type"] == 3 and part["custom_id"].startswith(f"jam:{kind}:")
    )


async def private(interaction):
    message = await interaction.message()
    assert message.ephemeral
    return message.content


async def suggest(harness, user, message, words):
    form = await harness.person(user).press(message, "Suggest words")
    return await harness.person(user).submit_modal(form, {"words": words})


async def test_words_that_a_moderator_takes_out_are_shown_no_longer(harness, cy):
    async with harness.bot() as services:
        jam = await Jam.start(harness, services)
        first = await jam.round(1)
        await (await suggest(harness, harness.ben, first, "something rude")).response()
        assert "something rude" in f"{first.content}{first.components}"
        mod = harness.person(harness.mod)
        rules = await (await mod.press(first, "Help")).message()
        (select,) = [part for part in walk_components(rules.components) if part["type"] == 3]
        await mod.select(rules, str(harness.ben.id), custom_id=select["custom_id"])
        await eventually(lambda: "something rude" not in f"{first.content}{first.components}")
        assert "Round 1" in first.content or "round 1" in first.content


async def test_three_people_draw_one_picture_in_three_rounds(harness, cy):
    ada, ben = harness.ada, harness.ben
    async with harness.bot() as services:
        jam = await Jam.start(harness, services)
        await harness.server.wait_for(
            harness.channel, lambda message: "starts a jam: **a castle** · 3 rounds of 3 minutes" in message.content
        )
        first = await jam.round(1)
        await (await suggest(harness, ben, first, "at night")).response()
        await jam.vote(ada, first, 3, "Zoom out")
        await jam.vote(ben, first, 3, "Zoom out")
        await jam.vote(cy, first, 1, "Vary strongly")
        words = harness.person(ada)
        await (await words.select(first, str(ben.id), custom_id=select_id(first, "words"))).response()
        assert "3 ▇▇▇▇▇▇▇▇▇▇ 2" in first.content
        assert "3 people" in first.content
        assert 'Next: Zoom out 2 · Vary strongly 1 · Words "at night" 2' in first.content
        jam.pass_time()
        second = await jam.round(2)
        assert "**a castle, at night**" in second.content
        assert f"words by <@{ben.id}> · chosen by 2" in second.content
        for user in (ada, ben, cy):
            await jam.vote(user, second, 2)
        jam.pass_time(jam_handler.GRACE_S + 1)  # everybody who voted in the last round has voted
        third = await jam.round(3)
        assert "🎲" not in str(third.components)
        await jam.vote(ada, third, 4)
        await jam.vote(cy, third, 4)
        jam.pass_time()
        last = await harness.server.wait_for(harness.channel, lambda message: "the jam is finished" in message.content)
        assert "Upscale (Subtle)" in last.labels
        for whom in (ada, ben, cy):
            assert f"<@{whom.id}>" in last.content
        await jam.phase("ended")
        session = await jam.session()
        rounds = await services.db.sessions.rounds(session.id)
        (edge,) = await services.db.lineage.parents([rounds[1].job_id])
        assert (edge.parent_job, edge.parent_index, edge.kind) == (rounds[0].job_id, 2, "made")
        record = await services.db.jobs.get(rounds[1].job_id)
        assert record.job.action is Action.ZOOM_2
        assert record.job.requester.id == ada.id
        await assert_film_of(harness, services, last, rounds)
        assert second.reference and second.reference["message_id"] == str(first.id)
    assert {ping.user_id for ping in harness.server.pings} <= {ada.id}


async def assert_film_of(harness, services, last, rounds):
    """Check that the last message has one film: the last picture first, then the winners in order, then it again."""
    message = harness.server.world.messages[last.id]
    picture, film = message.attachments
    assert "Film: the pictures that won" in film.description
    with Image.open(io.BytesIO(harness.server.core.files.get(film.id))) as animation:
        frames = []
        for index in range(animation.n_frames):
            animation.seek(index)
            animation.load()
            if animation.info["duration"] > 500:
                frames.append(animation.convert("RGB").resize((8, 8)))
    won = [rounds[3].facts["parent"], rounds[1].facts["parent"], rounds[2].facts["parent"]]
    for frame, tile in zip(frames, won, strict=True):
        with Image.open(io.BytesIO(await services.images.files.read(Tile.parse(tile)))) as image:
            expected = image.convert("RGB").resize((8, 8))
        assert max(ImageStat.Stat(ImageChops.difference(frame, expected)).mean) < 12

    session = await services.db.sessions.get(rounds[0].session_id)
    job = (await services.db.jobs.get(rounds[3].job_id)).job
    await attach_jam_film(harness.client, session, job, last.id)  # as after a restart before the jam was ended
    assert harness.server.world.messages[last.id].attachments == [picture, film]


async def test_a_deleted_picture_leaves_the_film_of_a_jam(harness, cy):
    async with harness.bot() as services:
        jam = await Jam.start(harness, services, rounds=3)
        rounds = []
        for number in (1, 2, 3):
            rounds.append(await jam.round(number))
            for user in (harness.ben, cy):
                await jam.vote(user, rounds[-1], 1)
            jam.pass_time()
        last = await harness.server.wait_for(harness.channel, lambda message: "the jam is finished" in message.content)
        await jam.phase("ended")
        picture, film = last.attachments
        (made, *_) = await services.db.sessions.rounds((await jam.session()).id)
        await delete_job(services, harness.client.delivery, await services.db.jobs.get(made.job_id))
        harness.client.sessions.redrawer.wake()
        await eventually(lambda: len(last.attachments) == 2 and film not in last.attachments)
        assert await is_fresh(services)
        assert last.attachments[0] == picture


@pytest.mark.parametrize("how", ["erased", "blocked"])
async def test_who_is_gone_leaves_every_message_also_of_an_archived_thread(harness, cy, how):
    async with harness.bot() as services:
        await Jam.start(harness, services, where="thread", rounds=2)
        start = Jam(harness, services, harness.channel)
        await start.phase("voting")
        thread = harness.server.world.channels[(await start.session()).thread_id]
        jam = Jam(harness, services, thread)
        first = await jam.round(1)
        await (await suggest(harness, cy, first, "with gargoyles")).response()
        for user in (harness.ben, cy):
            await jam.vote(user, first, 1)
            await harness.person(user).select(first, str(cy.id), custom_id=select_id(first, "words"))
        jam.pass_time()
        second = await jam.round(2)
        assert f"words by <@{cy.id}>" in second.content
        for user in (harness.ben, cy):
            await jam.vote(user, second, 1)
        jam.pass_time()
        last = await harness.server.wait_for(thread, lambda message: "the jam is finished" in message.content)
        await jam.phase("ended")
        assert f"<@{cy.id}>" in last.content
        thread.archived = True
        if how == "erased":
            await services.db.personal_data.begin_erasure(cy.id, services.clock())
        else:
            await block(services, harness, cy)
        harness.client.sessions.redrawer.wake()
        await eventually(lambda: f"<@{cy.id}>" not in last.content)
        assert await is_fresh(services)
        assert f"<@{cy.id}>" not in second.content
        assert "words by somebody" in second.content
        assert f"<@{harness.ben.id}>" in last.content
        assert thread.archived, "as it was before"


async def test_an_erased_person_takes_their_words_off_the_offers(harness, cy):
    async with harness.bot() as services:
        jam = await Jam.start(harness, services)
        first = await jam.round(1)
        await (await suggest(harness, cy, first, "with gargoyles")).response()
        await eventually(lambda: "gargoyles" in str(first.components))
        await services.db.personal_data.begin_erasure(cy.id, services.clock())
        harness.client.sessions.redrawer.wake()
        await eventually(lambda: "gargoyles" not in str(first.components))
        assert await is_fresh(services)


async def test_a_late_vote_is_refused_privately_with_who_won(harness, cy):
    async with harness.bot() as services:
        jam = await Jam.start(harness, services)
        first = await jam.round(1)
        for user in (harness.ben, cy):
            await jam.vote(user, first, 2)
        jam.pass_time()
        await jam.round(2)
        late = await harness.person(harness.ada).press(first, "1")
        assert "This round is over: picture 2 won." in await private(late)


async def test_it_goes_on_after_a_restart_with_its_votes(harness, cy):
    async with harness.bot() as services:
        jam = await Jam.start(harness, services)
        first = await jam.round(1)
        await jam.vote(harness.ada, first, 1)
        await jam.vote(cy, first, 4)
    harness.server.world.clock.advance(5 * ROUND_S)  # over several due times
    async with harness.bot() as services:
        jam = Jam(harness, services, harness.channel)
        await jam.round(2)
        session = await jam.session()
        made = await services.db.sessions.round(session.id, 2)
        tie = made.facts["parent"][-1]
        assert tie in "03"
        assert session.round == 2
        assert session.due_at > services.clock()
    rounds = [message for message in harness.server.messages(harness.channel) if "round 2 of" in message.content]
    assert len(rounds) == 1


async def test_a_crash_between_the_step_and_its_job_draws_the_round_once(harness, cy):
    async with harness.bot() as services:
        jam = await Jam.start(harness, services)
        first = await jam.round(1)
        for user in (harness.ben, cy):
            await jam.vote(user, first, 2)

        async def crash(*_):
            raise asyncio.CancelledError

        cog = harness.client.get_cog("JamCommand")
        cog.handler.draw = crash
        jam.pass_time()
        await jam.phase("drawing", 2)
        assert (
            await services.db.jobs.get((await services.db.sessions.round((await jam.session()).id, 2)).job_id)
        ) is None
    async with harness.bot() as services:
        await Jam(harness, services, harness.channel).round(2)
    rounds = [message for message in harness.server.messages(harness.channel) if "round 2 of" in message.content]
    assert len(rounds) == 1


async def test_without_two_voters_it_is_extended_once_and_then_sleeps(harness, cy):
    async with harness.bot() as services:
        jam = await Jam.start(harness, services)
        first = await jam.round(1)
        await jam.vote(cy, first, 2)
        jam.pass_time()
        await jam.phase("extended")
        await jam.vote(cy, first, 3)
        jam.pass_time()
        await jam.phase("asleep")
        asleep = await harness.server.wait_for(harness.channel, lambda message: "the jam sleeps" in message.content)
        assert len(harness.results()) == 0
        assert "sleeps" in await private(await harness.person(cy).press(first, "1"))
        await (await harness.person(cy).press(asleep, "Wake")).response()
        await jam.phase("voting")
        await jam.vote(harness.ben, first, 1)
        jam.pass_time()
        await jam.phase("voting", 2)


async def test_the_jam_of_a_host_who_was_erased_cannot_be_woken(harness, cy):
    async with harness.bot() as services:
        jam = await Jam.start(harness, services)
        await jam.round(1)
        jam.pass_time()
        await jam.phase("extended")
        jam.pass_time()
        await jam.phase("asleep")
        asleep = await harness.server.wait_for(harness.channel, lambda message: "the jam sleeps" in message.content)
        await services.db.personal_data.begin_erasure(harness.ada.id, services.clock())
        assert "does not sleep" in await private(await harness.person(cy).press(asleep, "Wake"))


async def test_a_host_who_is_blocked_ends_the_jam_with_a_word(harness, cy):
    async with harness.bot() as services:
        jam = await Jam.start(harness, services)
        first = await jam.round(1)
        for user in (harness.ben, cy):
            await jam.vote(user, first, 2)
        await block(services, harness, harness.ada)
        jam.pass_time()
        await harness.server.wait_for(harness.channel, lambda message: "who started it may not" in message.content)
        await jam.phase("ended")


async def test_a_blocked_person_has_no_say_any_more(harness, cy):
    async with harness.bot() as services:
        jam = await Jam.start(harness, services)
        first = await jam.round(1)
        await jam.vote(harness.ben, first, 2)
        await block(services, harness, harness.ben)
        assert "blocked you" in await private(await harness.person(harness.ben).press(first, "1"))
        assert await services.db.ballots.voters((await jam.session()).id, 1) == set()


async def test_a_host_at_a_limit_delays_the_round_with_a_word(harness, cy):
    async with harness.bot() as services:
        jam = await Jam.start(harness, services)
        first = await jam.round(1)
        for user in (harness.ben, cy):
            await jam.vote(user, first, 2)
        await harness.person(harness.mod).command(
            "config limits", harness.channel, role=harness.guild.roles[harness.guild.id], jobs_a_day=1
        )
        await eventually(lambda: True)
        await asyncio.sleep(0.2)
        jam.pass_time()
        await harness.server.wait_for(harness.channel, lambda message: "has to wait" in message.content)
        await harness.person(harness.mod).command(
            "config limits", harness.channel, role=harness.guild.roles[harness.guild.id], jobs_a_day=50
        )
        await asyncio.sleep(0.2)
        jam.pass_time(jam_handler.POSTPONE_S + 1)
        await jam.round(2)
    words = [message for message in harness.server.messages(harness.channel) if "has to wait" in message.content]
    assert len(words) == 1


async def test_blocked_words_are_refused_privately_and_never_shown(harness, cy):
    async with harness.bot() as services:
        await harness.person(harness.mod).command("config words block", harness.channel, words="ghost")
        await asyncio.sleep(0.2)
        jam = await Jam.start(harness, services)
        first = await jam.round(1)
        refused = await private(await suggest(harness, cy, first, "with a ghost"))
        assert "```\nwith a ghost\n```" in refused
        assert await services.db.ballots.suggestions((await jam.session()).id) == []
    shown = [message for message in harness.server.messages(harness.channel) if not message.ephemeral]
    assert not any("ghost" in f"{message.content}{message.components}" for message in shown)


async def test_26_suggestions_have_two_pages(harness, cy):

    async with harness.bot() as services:
        jam = await Jam.start(harness, services)
        first = await jam.round(1)
        session = await jam.session()
        for number in range(26):
            await services.db.connection.write(
                "INSERT INTO suggestions VALUES (:session, :person, 1, 'p', :words, :at)",
                {"session": session.id, "person": 1000 + number, "words": f"words {number}", "at": float(number)},
            )
        await jam.vote(cy, first, 1)
        assert len(select_options(first, "words")) == 25
        more = await harness.person(cy).select(first, "More…", custom_id=select_id(first, "words"))
        page = await more.message()
        assert page.ephemeral
        assert [each["label"] for each in select_options(page, "words")][1:] == [
            f'"words {number}" — p' for number in (2, 1, 0)
        ]
        await (await harness.person(cy).select(page, "1000", custom_id=select_id(page, "words"))).response()
        assert (await services.db.ballots.tallies(session.id, 1))["words"] == {"1000": 1}


async def test_only_host_and_moderators_end_it_and_that_is_audited(harness, cy):
    async with harness.bot() as services:
        jam = await Jam.start(harness, services)
        first = await jam.round(1)
        assert "Only" in await private(await harness.person(cy).press(first, "End"))
        await jam.vote(cy, first, 4)
        await harness.person(harness.mod).press(first, "End")
        await harness.server.wait_for(harness.channel, lambda message: "the jam is finished" in message.content)
        await jam.phase("ended")
        entries = await services.db.guilds.audit_entries(harness.guild.id)
        assert any("ended it in jam" in entry.details for entry in entries)


async def test_a_jam_that_is_ended_twice_at_once_says_so_once(harness, cy):
    async with harness.bot() as services:
        jam = await Jam.start(harness, services)
        first = await jam.round(1)
        await jam.vote(cy, first, 4)
        ada = harness.person(harness.ada)
        for pressed in await asyncio.gather(*(ada.press(first, "End") for _ in range(2))):
            await pressed.message()
        await harness.server.wait_for(harness.channel, lambda message: "the jam is finished" in message.content)
        assert sum("ends the jam" in message.content for message in harness.public_messages()) == 1


@pytest.mark.parametrize(
    ("prompt", "options", "reason"),
    [
        ("a castle --stealth", {}, "leave out `--stealth`"),
        ("a {red, blue} castle", {}, "starts from one grid"),
        ("a castle --ar x", {}, "--ar"),
    ],
)
async def test_a_prompt_that_fits_no_jam_is_given_back(harness, prompt, options, reason):
    async with harness.bot() as services:
        await Jam.start(harness, services, prompt, **options)
        refused = await harness.server.wait_for(harness.channel, lambda message: reason in message.content)
        assert refused.ephemeral
        assert prompt in refused.content
        assert await services.db.sessions.active() == []


async def test_where_drawing_is_not_allowed_there_is_no_jam(harness):
    other = harness.server.world.add_channel(harness.guild, "elsewhere")
    async with harness.bot() as services:
        await harness.person(harness.mod).command("config channels", harness.channel, add=other)
        await asyncio.sleep(0.2)
        await Jam.start(harness, services)
        await harness.server.wait_for(
            harness.channel, lambda message: "I do not draw in this channel" in message.content
        )
        assert await services.db.sessions.active() == []


async def test_it_takes_place_in_a_thread_of_its_own(harness, cy):
    async with harness.bot() as services:
        await Jam.start(harness, services, where="thread")
        jam = Jam(harness, services, harness.channel)
        await jam.phase("voting")
        session = await jam.session()
        assert session.kind is SessionKind.JAM
        assert session.thread_id == session.message_id
        thread = harness.server.world.channels[session.thread_id]
        assert thread.name == "🎷 a castle"
        in_thread = Jam(harness, services, thread)
        first = await in_thread.round(1)
        for user in (harness.ben, cy):
            await in_thread.vote(user, first, 2)
        jam.pass_time()
        await in_thread.round(2)
        listed = await harness.person(cy).command("jam list", harness.channel)
        assert "round 2 of 3 · up to 1 more job" in await private(listed)


async def test_a_host_who_has_their_data_deleted_ends_the_jam(harness, cy, monkeypatch):
    monkeypatch.setattr(redrawing, "PAUSE_S", 0.1)
    async with harness.bot() as services:
        jam = await Jam.start(harness, services, "a secret castle")
        first = await jam.round(1)
        await jam.vote(harness.ada, first, 1)
        ada = harness.person(harness.ada)
        summary = await (await ada.command("privacy", harness.channel)).message()
        assert "1 session that you started, 1 vote," in summary.content
        await ada.submit_modal(await ada.press(summary, "Delete everything"), {})
        await harness.server.wait_for(
            harness.channel, lambda message: "had their data deleted" in message.content and not message.ephemeral
        )
        await jam.phase("ended")
        session = await jam.session()
        assert (session.host_id, dict(session.settings)) == (0, {})
        assert await is_fresh(services)
        assert not any("a secret castle" in each.content for each in harness.server.messages(harness.channel))
        assert await services.db.ballots.voters(session.id, 1) == set()
        pressed = await harness.person(cy).press(first, "1") if not first.deleted else None
        assert pressed is None or "over" in await private(pressed)


async def test_nobody_is_asked_for_a_host_whose_data_was_deleted(harness, cy):
    async with harness.bot() as services:
        jam = await Jam.start(harness, services)
        first = await jam.round(1)
        await services.db.personal_data.begin_erasure(harness.ada.id, services.clock())
        pressed = await harness.person(cy).press(first, custom_id=f"jam:end:{(await services_round(services)).job_id}")
        assert await private(pressed) == "The jam has ended already."


async def services_round(services):
    rows = await services.db.connection.fetch_all("SELECT session FROM collab_rounds")
    return await services.db.sessions.round(rows[0]["session"], 1)


@pytest.mark.parametrize("archived", [False, True])
async def test_the_thread_of_a_jam_does_not_quote_a_host_whose_data_was_deleted(harness, cy, archived):
    async with harness.bot() as services:
        await Jam.start(harness, services, "a secret castle", where="thread")
        jam = Jam(harness, services, harness.channel)
        await jam.phase("voting")
        thread = harness.server.world.channels[(await jam.session()).thread_id]
        thread.archived = archived
        harness.server.core.dispatch_channel(thread, "UPDATE")
        await services.db.personal_data.begin_erasure(harness.ada.id, services.clock())
        harness.client.sessions.redrawer.wake()
        await eventually(lambda: thread.name == "🎷 Jam")
        assert await is_fresh(services)


async def test_a_jam_in_german(harness, cy):
    async with harness.bot() as services:
        await harness.person(harness.mod).command("config language", harness.channel, language="Deutsch")
        await asyncio.sleep(0.2)
        await Jam.start(harness, services)
        jam = Jam(harness, services, harness.channel)
        await jam.phase("voting")
        await harness.server.wait_for(harness.channel, lambda message: "Runde 1 von 3" in message.content)
        await harness.server.wait_for(harness.channel, lambda message: "startet eine Jam" in message.content)


async def test_a_round_whose_words_are_refused_at_its_turn_is_drawn_without_them(harness, cy):
    async with harness.bot() as services:
        jam = await Jam.start(harness, services)
        first = await jam.round(1)
        await (await suggest(harness, harness.ben, first, "with owls")).response()
        for user in (harness.ada, cy):
            await jam.vote(user, first, 2)
        session = await jam.session()
        record = await services.db.jobs.get((await services.db.sessions.round(session.id, 1)).job_id)
        assert record.state is JobState.POSTED
        # The word is blocked after it was offered.
        await harness.person(harness.mod).command("config words block", harness.channel, words="owls")
        await asyncio.sleep(0.2)
        jam.pass_time()
        second = await jam.round(2)
        assert "owls" not in second.content
