"""The contest of a server: theme, entries, vote by pairs, result; with a clock that the test moves."""

from __future__ import annotations

import asyncio
import contextlib
import io
import random

import pytest
from PIL import Image, ImageChops, ImageStat

from bot import discord_calls
from cogs.together.contest.phases import DAY_S, EXTRA_S, NAMING_S
from db.together.ballots import Suggestion
from db.together.sessions import SessionKind
from preview.state.interactions import InteractionFailed
from preview.state.world import walk_components
from preview.users.friends import follow, friends_of, use
from tests.cogs.together.test_jam import Jam
from tests.support.bot_harness import eventually
from tests.support.payloads import Payloads
from tests.support.sessions import block, is_fresh

WEEK_S = 7 * DAY_S


@pytest.fixture
def cy(harness):
    user = harness.server.world.add_user("cy")
    harness.server.world.add_member(user, harness.guild)
    return user


@pytest.fixture
def dora(harness):
    user = harness.server.world.add_user("dora")
    harness.server.world.add_member(user, harness.guild)
    return user


class Contest:
    """The contests in a channel, and the people in them."""

    def __init__(self, harness, services):
        self.harness, self.services, self.channel = harness, services, harness.channel

    @classmethod
    async def start(cls, harness, services, **options):
        changed = await harness.person(harness.mod).command(
            "config contest", harness.channel, **{"channel": harness.channel, "theme_by": "owners"} | options
        )
        await changed.message()
        return cls(harness, services)

    async def session(self):
        return await self.services.db.sessions.latest(self.harness.guild.id, SessionKind.CONTEST)

    async def phase(self, phase, number=1):
        async def now():
            session = await self.session()
            return session is not None and (session.phase, session.settings["number"]) == (phase, number)

        async with asyncio.timeout(20):
            while not await now():  # noqa: ASYNC110 (nothing tells of it)
                await asyncio.sleep(0.02)

    async def message(self, text):
        return await self.harness.server.wait_for(
            self.channel, lambda message: text in message.content and not message.ephemeral, description=text
        )

    def messages(self, text):
        return [each for each in self.harness.public_messages() if text in each.content]

    def pass_time(self, seconds):
        self.harness.server.world.clock.advance(seconds)
        self.harness.client.sessions.timer.wake()

    async def draw(self, user, prompt):
        """Draw a picture and take it out of its grid."""
        await self.harness.imagine(prompt, user)
        grid = await self.harness.result(text=prompt)
        await self.harness.person(user).press(grid, "U1")
        picture = await self.harness.server.wait_for(
            self.channel, lambda message: prompt in message.content and "Details" in message.labels
        )
        while await self.services.db.jobs.open_records():  # noqa: ASYNC110 (nothing tells of it)
            await asyncio.sleep(0.02)
        return picture

    async def enter(self, user, prompt):
        """Draw a picture and enter it from its details."""
        picture = await self.draw(user, prompt)
        details = await (await self.harness.person(user).press(picture, "Details")).message()
        entered = await (await self.harness.person(user).press(details, "Enter the contest")).message()
        assert entered.ephemeral
        assert f"**{prompt}**" in entered.content
        return picture

    async def compare(self, user, vote, better, pairs=20):
        """Compare pairs by the prompts of the entries: the one with the word that comes first is better."""
        person = self.harness.person(user)
        message = await (await person.press(vote, "Vote")).message()
        answered = 0
        while "Skip" in message.labels and answered < pairs:
            left, right = await self.pair(message)
            label = "⬅️ 1" if better.index(left) < better.index(right) else "➡️ 2"
            message = await (await person.press(message, label)).message()
            answered += 1
        return message, answered

    async def pair(self, message):
        """Return the prompts of the two entries of a pair."""
        left, right = pick_ids(message)
        session = await self.session()
        entries = {each.id: each for each in await self.services.db.contests.entries(session.id)}
        records = await self.services.db.jobs.get_many(each.tile.job_id for each in entries.values())
        return [records[entries[each].tile.job_id].job.params.parts[0].text for each in (left, right)]


async def test_a_contest_from_the_theme_to_the_next_theme(harness, cy, dora):
    ada, ben = harness.ada, harness.ben
    order = ["a castle", "a whale", "a teapot"]
    async with harness.bot() as services:
        contest = await Contest.start(harness, services, theme_by="winner", add_theme="things at sea")
        opened = await contest.message("Contest 1: things at sea")
        assert opened.labels == ["🖼️ Enter", "❔ Help"]
        for user, prompt in zip((ada, ben, cy), order, strict=True):
            await contest.enter(user, prompt)
        contest.pass_time(5 * DAY_S + 1)
        vote = await contest.message("which of two is better?")
        assert "3 pictures" in vote.content
        secrets = Payloads(harness)
        for user in (harness.mod, dora):
            last, answered = await contest.compare(user, vote, order)
            assert answered == 3
        assert "you have compared 3 pairs" in last.content
        assert not last.attachments
        for user in (ada, ben, cy):  # each sees the one pair of the others' pictures
            _, answered = await contest.compare(user, vote, order)
            assert answered == 1
        assert secrets.found("ada", "ben", ada.id, ben.id) == []
        contest.pass_time(2 * DAY_S + 1)
        result = await contest.message("people voted")
        assert f"🥇 **a castle** · <@{ada.id}>" in result.content
        assert f"🥈 **a whale** · <@{ben.id}>" in result.content
        assert f"🥉 **a teapot** · <@{cy.id}>" in result.content
        assert "5 people voted · 9 comparisons" in result.content
        naming = await contest.message("won the last one and names the theme")
        podium, film = (Image.open(io.BytesIO(harness.server.core.files.get(each.id))) for each in result.attachments)
        assert podium.width > 900
        await assert_film_of_winners(services, result, film)
        assert "Contest 2" in naming.content
        assert f"<@{ada.id}>" in naming.content
        refused = await (await harness.person(ben).press(naming, "Name the theme")).message()
        assert "Only" in refused.content
        form = await harness.person(ada).press(naming, "Name the theme")
        await harness.person(ada).submit_modal(form, {"theme": "a feast of foxes"})
        second = await contest.message("Contest 2: a feast of foxes")
        assert f"Theme by <@{ada.id}>" in second.content
        await services.db.personal_data.begin_erasure(ada.id, services.clock(), leaves_entries=True)
        harness.client.sessions.redrawer.wake()
        await eventually(lambda: "somebody won the last one" in naming.content)
        assert await is_fresh(services)
        assert [each.content for each in (naming, result, second) if f"<@{ada.id}>" in each.content] == []
    assert ada.id in {ping.user_id for ping in harness.server.pings}


async def assert_film_of_winners(services, result, film):
    """Check that the film shows the winner, the third, then the second, and begins again."""
    assert result.attachments[1].description == "Film: the best pictures, from the third place to the first: a castle"
    (row,) = await services.db.connection.fetch_all("SELECT session FROM contest_entries LIMIT 1")
    entries = await services.db.contests.entries(row["session"])
    ranked = sorted(entries, key=lambda entry: entry.rank)
    held = []
    for index in range(film.n_frames):
        film.seek(index)
        film.load()
        if film.info["duration"] > 500:
            held.append(film.convert("RGB").resize((4, 4)))
    for frame, entry in zip(held, (ranked[0], ranked[2], ranked[1]), strict=True):
        tile = Image.open(io.BytesIO(await services.images.files.read(entry.tile))).convert("RGB").resize((4, 4))
        assert max(ImageStat.Stat(ImageChops.difference(frame, tile)).mean) < 10


async def test_the_second_may_name_the_theme_then_the_list_does(harness, cy):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services, theme_by="winner", add_theme="owls")
        await contest.message("Contest 1: owls")
        await contest.enter(harness.ada, "a castle")
        await contest.enter(harness.ben, "a whale")
        contest.pass_time(5 * DAY_S + 1)
        await contest.compare(cy, await contest.message("which of two"), ["a castle", "a whale"])
        contest.pass_time(2 * DAY_S + 1)
        await contest.phase("theme", 2)
        contest.pass_time(NAMING_S + 1)
        naming = await contest.message("came second in the last one")
        assert f"<@{harness.ben.id}>" in naming.content
        contest.pass_time(NAMING_S + 1)
        await contest.message("Contest 2: owls")
        session = await contest.session()
        assert session.due_at - services.clock() > 1.9 * DAY_S  # a late theme does not cut the time for entries


async def test_the_room_suggests_themes_and_votes(harness, cy):
    async with harness.bot() as services:
        await harness.person(harness.mod).command("config words block", harness.channel, words="ghost")
        contest = await Contest.start(harness, services, theme_by="room")
        naming = await contest.message("What is the theme?")
        for user, theme in ((harness.ada, "old maps"), (harness.ben, "a ghost ship"), (cy, "tiny houses")):
            form = await harness.person(user).press(naming, "Suggest a theme")
            answer = await harness.person(user).submit_modal(form, {"theme": theme})
            await answer.response()
        assert "ghost" not in naming.content
        assert "- old maps · 1\n- tiny houses · 1" in naming.content
        (select,) = [part for part in walk_components(naming.components) if part["type"] == 3]
        await (await harness.person(harness.ben).select(naming, str(cy.id), custom_id=select["custom_id"])).response()
        assert "- tiny houses · 2\n- old maps · 1" in naming.content
        contest.pass_time(NAMING_S + 1)
        await contest.message("Contest 1: tiny houses")


async def test_a_theme_whose_words_are_blocked_before_it_wins_is_not_taken(harness):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services, theme_by="room", add_theme="owls")
        naming = await contest.message("What is the theme?")
        form = await harness.person(harness.ada).press(naming, "Suggest a theme")
        await (await harness.person(harness.ada).submit_modal(form, {"theme": "a ghost ship"})).response()
        blocked = await harness.person(harness.mod).command("config words block", harness.channel, words="ghost")
        await blocked.message()
        contest.pass_time(NAMING_S + 1)
        await contest.message("Contest 1: owls")


async def test_a_picture_with_blocked_words_cannot_be_entered(harness):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        opened = await contest.message("Enter up to 2")
        await contest.draw(harness.ada, "a ghost ship")
        ada = harness.person(harness.ada)
        panel = await (await ada.press(opened, "Enter")).message()
        (select,) = selects(panel, "entry")
        blocked = await harness.person(harness.mod).command("config words block", harness.channel, words="ghost")
        await blocked.message()
        refused = await (await ada.select(panel, "a ghost ship", custom_id=select["custom_id"])).message()
        assert "do not allow `ghost`" in refused.content
        assert await services.db.contests.entries((await contest.session()).id) == []


async def test_a_theme_that_a_moderator_takes_out_is_shown_no_longer(harness):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services, theme_by="room")
        naming = await contest.message("What is the theme?")
        form = await harness.person(harness.ada).press(naming, "Suggest a theme")
        await (await harness.person(harness.ada).submit_modal(form, {"theme": "something rude"})).response()
        assert "something rude" in naming.content
        mod = harness.person(harness.mod)
        rules = await (await mod.press(naming, "Help")).message()
        (select,) = selects(rules, "unsay")
        await mod.select(rules, str(harness.ada.id), custom_id=select["custom_id"])
        await eventually(lambda: "something rude" not in f"{naming.content}{naming.components}")
        assert "What is the theme?" in naming.content


async def test_a_vote_on_a_later_page_of_themes_counts_in_the_message(harness, cy):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services, theme_by="room")
        naming = await contest.message("What is the theme?")
        session = await contest.session()
        for person in range(30):
            offer = Suggestion(
                session_id=session.id, person_id=100 + person, round=1, name="x", words=f"theme {person}", at=person
            )
            assert await services.db.ballots.suggest(offer, session.phase, 0.0)
        form = await harness.person(harness.ada).press(naming, "Suggest a theme")
        await (await harness.person(harness.ada).submit_modal(form, {"theme": "old maps"})).response()
        (select,) = selects(naming, "themes")
        person = harness.person(cy)
        page = await (await person.select(naming, "page:1", custom_id=select["custom_id"])).message()
        (select,) = selects(page, "themes")
        answer = await (await person.select(page, "103", custom_id=select["custom_id"])).message()
        assert answer.ephemeral
        assert answer.content == 'You voted for the theme "theme 3".'
        await eventually(lambda: "- theme 3 · 1" in naming.content)


async def test_at_most_two_each_and_they_can_be_taken_back(harness):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        opened = await contest.message("Enter up to 2")
        for prompt in ("a castle", "a whale", "a teapot"):
            await contest.draw(harness.ada, prompt)
        ada = harness.person(harness.ada)
        panel = await (await ada.press(opened, "Enter")).message()
        assert "You have entered 0 pictures." in panel.content
        for prompt in ("a castle", "a whale"):
            panel = await (await choose(ada, panel, "entry", prompt)).message()
        assert "You have entered 2 pictures.\n- **a castle**\n- **a whale**" in panel.content
        assert not selects(panel, "entry")
        details = await (await ada.press(harness.results()[-1], "Details")).message()
        refused = await (await ada.press(details, "Enter the contest")).message()
        assert "take one back first" in refused.content
        panel = await (await choose(ada, panel, "back", "a castle")).message()
        assert "You have entered 1 picture.\n- **a whale**" in panel.content
        session = await contest.session()
        assert len(await services.db.contests.entries(session.id)) == 1


def selects(message, purpose):
    return [
        part
        for part in walk_components(message.components)
        if part["type"] == 3 and part["custom_id"].startswith(f"contest:{purpose}:")
    ]


async def choose(person, message, purpose, label):
    (select,) = selects(message, purpose)
    value = next(option["value"] for option in select["options"] if option["label"] == label)
    return await person.select(message, value, custom_id=select["custom_id"])


async def test_grids_private_and_other_peoples_pictures_cannot_be_entered(harness):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        await contest.message("Enter up to 2")
        picture = await contest.draw(harness.ada, "a castle")
        details = await (await harness.person(harness.ben).press(picture, "Details")).message()
        assert "🖼️ Enter the contest" not in details.labels
        entered = await harness.person(harness.ben).command("contest enter", harness.channel)
        assert "Nothing of yours fits" in (await entered.message()).content
        await harness.imagine("a whale --stealth", harness.ben)
        hidden = await harness.server.wait_for(
            harness.channel, lambda message: "a whale" in message.content and "U1" in message.labels
        )
        await harness.person(harness.ben).press(hidden, "U2")
        await eventually(lambda: any("Details" in each.labels and each.ephemeral for each in _all(harness)))
        entered = await harness.person(harness.ben).command("contest enter", harness.channel)
        assert "Nothing of yours fits" in (await entered.message()).content
        entered = await harness.person(harness.ben).command("contest enter", harness.channel, picture="a whale")
        assert "is private" in (await entered.message()).content
        session = await contest.session()
        assert await services.db.contests.entries(session.id) == []


async def test_a_tile_that_is_taken_out_twice_cannot_be_entered_twice(harness):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        opened = await contest.message("Enter up to 2")
        await harness.imagine("a castle", harness.ada)
        grid = await harness.result(text="a castle")
        for count in (1, 2):
            await harness.person(harness.ada).press(grid, "U1")
            await eventually(lambda count=count: sum("Details" in m.labels for m in _all(harness)) == count)
            while await services.db.jobs.open_records():  # noqa: ASYNC110 (nothing tells of it)
                await asyncio.sleep(0.02)
        ada = harness.person(harness.ada)
        panel = await (await ada.press(opened, "Enter")).message()
        (select,) = selects(panel, "entry")
        panel = await (await ada.select(panel, "a castle", custom_id=select["custom_id"])).message()
        assert "You have entered 1 picture." in panel.content
        refused = await (await ada.select(panel, "a castle", custom_id=select["custom_id"])).message()
        assert "entered already" in refused.content


def _all(harness):
    return harness.server.messages(harness.channel)


async def test_a_picture_deleted_in_mid_vote_leaves_no_pair(harness, cy, dora):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        await contest.message("Enter up to 2")
        order = ["a castle", "a whale", "a teapot"]
        pictures = [
            await contest.enter(user, prompt)
            for user, prompt in zip((harness.ada, harness.ben, cy), order, strict=True)
        ]
        contest.pass_time(5 * DAY_S + 1)
        vote = await contest.message("which of two")
        doras = harness.person(dora)
        message = await (await doras.press(vote, "Vote")).message()
        shown = await contest.pair(message)
        owner, picture = next(
            (user, each)
            for user, each, prompt in zip((harness.ada, harness.ben, cy), pictures, order, strict=True)
            if prompt in shown
        )
        form = await harness.person(owner).press(picture, "Delete")
        await harness.person(owner).submit_modal(form, {})
        await eventually(lambda: picture.deleted)
        message = await (await doras.press(message, "⬅️ 1")).message()  # the stale pair counts for nothing
        assert "Skip" in message.labels
        message = await (await doras.press(message, "⬅️ 1")).message()
        assert "you have compared 1 pair." in message.content
        contest.pass_time(2 * DAY_S + 1)
        result = await contest.message("voted")
        assert "1 person voted · 1 comparison" in result.content


async def test_pressing_twice_counts_once_and_nobody_votes_late(harness, cy):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        await contest.message("Enter up to 2")
        await contest.enter(harness.ada, "a castle")
        await contest.enter(harness.ben, "a whale")
        contest.pass_time(5 * DAY_S + 1)
        vote = await contest.message("which of two")
        cys = harness.person(cy)
        first = await (await cys.press(vote, "Vote")).message()
        second = await (await cys.press(vote, "Vote")).message()
        assert first.components == second.components
        left = pick_ids(first)[0]
        await (await cys.press(first, "⬅️ 1")).message()
        await (await cys.press(second, "➡️ 2")).message()
        session = await contest.session()
        (comparison,) = await services.db.contests.comparisons(session.id, session.round)
        assert comparison.better == left
        assert [each.shown for each in await services.db.contests.entries(session.id)] == [1, 1]
        third = await (await harness.person(harness.mod).press(vote, "Vote")).message()
        contest.pass_time(2 * DAY_S + 1)
        await contest.phase("entries", 2)
        late = await (await harness.person(harness.mod).press(third, "⬅️ 1")).message()
        assert "has ended" in late.content


def pick_ids(message):
    """Return the ids of the entries of a pair, the left one first."""
    ids = [part.get("custom_id", "") for part in walk_components(message.components)]
    return [int(each) for each in next(each for each in ids if ":pick:" in each).split(":")[3:5]]


async def test_without_pictures_it_waits_once_then_sleeps_until_woken(harness, cy):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        await contest.phase("entries")
        opened = await contest.message("Enter up to 2")
        contest.pass_time(5 * DAY_S + 1)
        await contest.message("There are too few pictures")
        session = await contest.session()
        await eventually(lambda: f"Entries end <t:{int(session.due_at)}:R>" in opened.content)
        contest.pass_time(EXTRA_S + 1)
        asleep = await contest.message("so the contest sleeps")
        contest.pass_time(30 * DAY_S)
        await contest.phase("asleep")
        await (await harness.person(cy).press(asleep, "Wake")).response()
        await contest.phase("entries", 2)
        await contest.message("Contest 2")
        assert len(contest.messages("Contest 2")) == 1


async def test_without_a_vote_it_waits_once_then_nobody_wins(harness):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services, theme_by="winner", add_theme="owls")
        await contest.phase("entries")
        await contest.enter(harness.ada, "a castle")
        await contest.enter(harness.ben, "a whale")
        contest.pass_time(5 * DAY_S + 1)
        await contest.phase("voting")
        contest.pass_time(2 * DAY_S + 1)
        await contest.message("Nobody has voted yet")
        contest.pass_time(EXTRA_S + 1)
        await contest.message("Nobody voted, so nobody won.")
        await contest.phase("entries", 2)


async def test_it_goes_on_after_a_restart_in_each_phase(harness, cy):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services, theme_by="room")
        await contest.phase("theme")
    for seconds, phase in ((NAMING_S + 1, "entries"), (3 * DAY_S + 1, "voting")):
        async with harness.bot() as services:
            contest = Contest(harness, services)
            if phase == "voting":
                await contest.enter(harness.ada, "a castle")
                await contest.enter(harness.ben, "a whale")
            contest.pass_time(seconds)
            await contest.phase(phase)
    async with harness.bot() as services:
        contest = Contest(harness, services)
        await contest.compare(cy, await contest.message("which of two"), ["a castle", "a whale"])
    harness.server.world.clock.advance(30 * DAY_S)  # over all due times: one step is taken
    async with harness.bot() as services:
        contest = Contest(harness, services)
        await contest.message("1 person voted")
        await contest.phase("theme", 2)
        assert (await contest.session()).due_at > services.clock()
        await eventually(lambda: len(contest.messages("What is the theme?")) == 2)
    for text in ("What is the theme?", "Enter up to 2", "which of two", "1 person voted"):
        assert len(contest.messages(text)) == (2 if text == "What is the theme?" else 1), text


async def test_a_crash_before_the_message_posts_it_once(harness):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        await contest.phase("entries")
        await contest.enter(harness.ada, "a castle")
        await contest.enter(harness.ben, "a whale")
        handler = harness.client.get_cog("ContestCommand").handler

        async def crash(*_):
            raise asyncio.CancelledError

        handler._announce = crash
        contest.pass_time(5 * DAY_S + 1)
        await contest.phase("voting")
        assert not contest.messages("which of two")
    async with harness.bot() as services:
        contest = Contest(harness, services)
        vote = await contest.message("which of two")
        session = await contest.session()
        await eventually(lambda: vote)
        await services.db.connection.write(
            "UPDATE collab_rounds SET message_id = NULL WHERE session = :session", {"session": session.id}
        )
    async with harness.bot() as services:  # posted, but its id was never stored
        contest = Contest(harness, services)
        async with asyncio.timeout(20):
            while (await services.db.sessions.round(session.id, session.round)).message_id is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert (await services.db.sessions.round(session.id, session.round)).message_id == vote.id
    assert len(contest.messages("which of two")) == 1


async def test_a_crash_in_a_busy_channel_posts_it_once(harness, monkeypatch):
    monkeypatch.setattr(discord_calls, "SEARCH_LIMIT", 12)
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        await contest.enter(harness.ada, "a castle")
        await contest.enter(harness.ben, "a whale")
        for number in range(15):  # since the contest began, and before the vote does
            await harness.person(harness.ada).send(harness.channel, f"nice {number}")
        contest.pass_time(5 * DAY_S + 1)
        vote = await contest.message("which of two")
        session = await contest.session()
        await services.db.connection.write(
            "UPDATE collab_rounds SET message_id = NULL WHERE session = :session", {"session": session.id}
        )
    harness.server.world.clock.advance(3600)  # Discord remembers a nonce for some minutes only
    async with harness.bot() as services:
        async with asyncio.timeout(20):
            while (await services.db.sessions.round(session.id, session.round)).message_id is None:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        assert (await services.db.sessions.round(session.id, session.round)).message_id == vote.id
    assert len(contest.messages("which of two")) == 1


async def test_a_result_in_which_one_person_shares_the_first_place_is_posted(harness, cy):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        await contest.enter(harness.ada, "a castle")
        await contest.enter(harness.ada, "a whale")
        contest.pass_time(5 * DAY_S + 1)
        person, vote = harness.person(cy), await contest.message("which of two")
        pair = await (await person.press(vote, "Vote")).message()
        await (await person.press(pair, "Both")).message()
        contest.pass_time(2 * DAY_S + 1)
        result = await contest.message("1 person voted")
        rules = await (await person.press(result, "Help")).message()
        assert "one theme, anonymous pictures" in rules.content
        assert result.content.count("🥇 **a") == 2


async def test_an_age_restricted_contest_shows_no_pair_elsewhere(harness, cy):
    elsewhere = harness.server.world.add_channel(harness.guild, "lounge")
    harness.channel.nsfw = True
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        await contest.enter(harness.ada, "a castle")
        await contest.enter(harness.ben, "a whale")
        contest.pass_time(5 * DAY_S + 1)
        await contest.message("which of two")
        refused = await (await harness.person(cy).command("contest vote", elsewhere)).message()
        assert f"vote in <#{harness.channel.id}>" in refused.content
        shown = await (await harness.person(cy).command("contest vote", harness.channel)).message()
        assert "Which one is better?" in shown.content


async def test_no_flagged_picture_is_shown_once_the_channel_is_open_to_all(harness, cy):
    harness.channel.nsfw = True
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        await contest.enter(harness.ada, "a naked statue")
        await contest.enter(harness.ben, "a whale")
        contest.pass_time(5 * DAY_S + 1)
        vote = await contest.message("which of two")
        pair = await (await harness.person(cy).press(vote, "Vote")).message()
        await (await harness.person(cy).press(pair, "⬅️ 1")).message()
        harness.client.get_channel(harness.channel.id).nsfw = False
        shown = await (await harness.person(harness.mod).press(vote, "Vote")).message()
        assert not shown.attachments
        contest.pass_time(2 * DAY_S + 1)
        result = await contest.message("1 person voted")
        (podium,) = result.attachments
        assert Image.open(io.BytesIO(harness.server.core.files.get(podium.id))).width < 600, "the whale alone"


async def test_a_server_that_comes_back_gets_its_contest(harness):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        await contest.phase("entries")
        await services.db.sessions.end((await contest.session()).id, services.clock())
        harness.client.dispatch("guild_available", harness.client.get_guild(harness.guild.id))
        await contest.message("Contest 2")


async def test_owners_stop_it_and_begin_it_again(harness):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        await contest.phase("entries")
        stopped = await harness.person(harness.mod).command("config contest", harness.channel, stop=True)
        assert "stopped" in (await stopped.message()).content
        await contest.message("the owners of this server stopped it")
        await contest.phase("ended")
        refused = await harness.person(harness.ada).command("contest state", harness.channel)
        assert "There is no contest here" in (await refused.message()).content
        await Contest.start(harness, services, every="fortnight", vote_days=3)
        await contest.phase("entries", 2)
        session = await contest.session()
        assert session.due_at - session.made_at == pytest.approx(11 * DAY_S, abs=60)
        shown = await (await harness.person(harness.ada).command("contest state", harness.channel)).message()
        assert "Contest 2" in shown.content
        assert "🖼️ Enter" in shown.labels


async def test_moderators_take_out_an_entry_and_end_it_and_that_is_audited(harness, cy):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        opened = await contest.message("Enter up to 2")
        await contest.enter(harness.ada, "a castle")
        rules = await (await harness.person(cy).press(opened, "Help")).message()
        assert "⏹️ End" not in rules.labels
        mod = harness.person(harness.mod)
        rules = await (await mod.press(opened, "Help")).message()
        await (await choose(mod, rules, "out", "a castle")).message()
        session = await contest.session()
        assert await services.db.contests.entries(session.id) == []
        rules = await (await mod.press(opened, "Help")).message()
        await mod.press(rules, "End")
        await contest.message("ends the contest.")
        await contest.phase("entries", 2)
        audit = [entry.details for entry in await services.db.guilds.audit_entries(harness.guild.id)]
        assert any("took out picture" in details for details in audit)
        assert any("ended it in contest" in details for details in audit)


async def test_a_blocked_person_leaves_the_contest(harness, cy):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        await contest.message("Enter up to 2")
        await contest.enter(harness.ada, "a castle")
        await contest.enter(harness.ben, "a whale")
        await contest.enter(cy, "a teapot")
        contest.pass_time(5 * DAY_S + 1)
        vote = await contest.message("which of two")
        await contest.compare(harness.ben, vote, ["a castle", "a teapot"])
        await block(services, harness, harness.ben)
        after = Payloads(harness)
        session = await contest.session()
        assert len(await services.db.contests.entries(session.id)) == 2
        assert await services.db.contests.comparisons(session.id, session.round) == []
        await contest.compare(harness.mod, vote, ["a castle", "a teapot"])
        contest.pass_time(2 * DAY_S + 1)
        await contest.message("1 person voted")
    assert after.found(harness.ben.id, "ben", "a whale") == []


async def test_a_contest_in_german(harness):
    async with harness.bot() as services:
        await harness.person(harness.mod).command("config language", harness.channel, language="Deutsch")
        await asyncio.sleep(0.2)
        await harness.person(harness.mod).command("config contest", harness.channel, channel=harness.channel)
        contest = Contest(harness, services)
        opened = await contest.message("Wettbewerb 1: ein Licht im Dunkeln")
        assert "🖼️ Einreichen" in opened.labels


async def erase(harness, user, **choice):
    person = harness.person(user)
    summary = await (await person.command("privacy", harness.channel)).message()
    assert "1 picture in contests" in summary.content
    form = await person.press(summary, "Delete everything")
    await person.submit_modal(form, choice)
    await eventually(lambda: any("All your data is deleted" in each.content for each in _all(harness)))


@pytest.mark.parametrize("leaves", [False, True])
async def test_an_erased_person_decides_whether_their_pictures_stay(harness, cy, leaves):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        await contest.message("Enter up to 2")
        picture = await contest.enter(harness.ben, "a whale")
        await contest.enter(harness.ada, "a castle")
        await contest.enter(cy, "a teapot")
        await erase(harness, harness.ben, **({"entries": "leave"} if leaves else {}))
        after = Payloads(harness)
        assert picture.deleted
        session = await contest.session()
        entries = await services.db.contests.entries(session.id)
        assert [entry.person_id for entry in entries] == ([0] if leaves else []) + [harness.ada.id, cy.id]
        rows = await services.db.connection.fetch_all(
            "SELECT count(*) AS jobs FROM jobs WHERE asker_id = :id OR asker_name = 'ben'", {"id": harness.ben.id}
        )
        assert rows[0]["jobs"] == 0
        contest.pass_time(5 * DAY_S + 1)
        vote = await contest.message("which of two")
        for user in (harness.mod, harness.ada, cy):
            await contest.compare(user, vote, ["a whale", "a castle", "a teapot"])
        contest.pass_time(2 * DAY_S + 1)
        result = await contest.message("voted")
        assert ("**a whale** · somebody\n" in result.content) is leaves
    assert after.found(harness.ben.id, "ben") == []


@pytest.mark.parametrize("how", ["erased", "left", "deleted"])
async def test_a_picture_that_goes_after_the_result_leaves_the_podium(harness, cy, how):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        await contest.message("Enter up to 2")
        picture = await contest.enter(harness.ben, "a whale")
        await contest.enter(harness.ada, "a castle")
        await contest.enter(cy, "a teapot")
        contest.pass_time(5 * DAY_S + 1)
        vote = await contest.message("which of two")
        for user in (harness.mod, harness.ada, cy):
            await contest.compare(user, vote, ["a whale", "a castle", "a teapot"])
        contest.pass_time(2 * DAY_S + 1)
        result = await contest.message("voted")
        await contest.phase("entries", 2)
        assert f"🥇 **a whale** · <@{harness.ben.id}>" in result.content
        second = next(line for line in result.content.splitlines() if "**a castle**" in line)
        before = [each.id for each in result.attachments]
        if how == "deleted":
            person = harness.person(harness.ben)
            await person.submit_modal(await person.press(picture, "Delete"), {})
            await eventually(lambda: picture.deleted)
            harness.client.sessions.redrawer.wake()
        else:
            await erase(harness, harness.ben, **({"entries": "leave"} if how == "left" else {}))
        await eventually(lambda: f"<@{harness.ben.id}>" not in result.content)
        assert await is_fresh(services)
        assert ("🥇 **a whale** · somebody\n" in result.content) is (how == "left")
        assert ("a whale" in result.content) is (how == "left")
        assert second in result.content.splitlines(), "nobody moves up"
        assert len(result.attachments) == 2
        assert not {each.id for each in result.attachments} & set(before)


async def test_what_is_stored_about_a_contest_is_exported(harness):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        await contest.message("Enter up to 2")
        await contest.enter(harness.ada, "a castle")
        session = await contest.session()
        rows = await services.db.personal_data.export_rows(harness.ada.id)
        (entry,) = rows["entries"]
        assert (entry["session"], entry["tile_index"], entry["place"]) == (session.id, 0, None)


async def test_a_restored_backup_ends_the_contest_with_a_word_and_begins_the_next(harness):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        await contest.phase("entries")
        session = await contest.session()
        await services.db.connection.write(
            "UPDATE collab_sessions SET phase = 'restored', due_at = 0 WHERE id = :id", {"id": session.id}
        )
        harness.client.sessions.timer.wake()
        await contest.message("restored from a backup")
        await contest.phase("entries", 2)


async def test_the_role_and_the_bells_are_told_of_the_vote(harness, cy):
    role = harness.server.world.add_role(harness.guild, "artists", mentionable=True)
    async with harness.bot() as services:
        contest = await Contest.start(harness, services, role=role)
        opened = await contest.message("Enter up to 2")
        assert f"<@&{role.id}>" in opened.content
        await contest.enter(harness.ada, "a castle")
        await contest.enter(harness.ben, "a whale")
        rules = await (await harness.person(cy).press(opened, "Help")).message()
        await (await harness.person(cy).press(rules, "Tell me when it goes on")).response()
        before = len(harness.server.pings)
        contest.pass_time(5 * DAY_S + 1)
        vote = await contest.message("which of two")
        assert f"<@&{role.id}>" in vote.content
        assert cy.id in {ping.user_id for ping in harness.server.pings[before:]}


async def test_a_picture_of_a_jam_can_be_entered_by_who_had_a_part_in_it(harness, cy):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        opened = await contest.message("Enter up to 2")
        jam = await Jam.start(harness, services, "a shared lighthouse", rounds=2)
        for number in (1, 2):
            round_message = await jam.round(number)
            for user in (harness.ada, cy):
                await jam.vote(user, round_message, 2)
            jam.pass_time()
        await harness.server.wait_for(harness.channel, lambda message: "the jam is finished" in message.content)
        panel = await (await harness.person(cy).press(opened, "Enter")).message()
        panel = await (await choose(harness.person(cy), panel, "entry", "a shared lighthouse")).message()
        assert "You have entered 1 picture." in panel.content
        panel = await (await harness.person(harness.ben).press(opened, "Enter")).message()
        assert "Nothing of yours fits" in panel.content
        session = await contest.session()
        (entry,) = await services.db.contests.entries(session.id)
        assert entry.person_id == cy.id


async def test_moderators_go_on_before_the_time(harness, cy):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        opened = await contest.message("Enter up to 2")
        mod = harness.person(harness.mod)

        async def go_on(message):
            rules = await (await mod.press(message, "Help")).message()
            return await (await mod.press(rules, "Go on now")).message()

        assert "too few pictures or votes" in (await go_on(opened)).content
        await contest.enter(harness.ada, "a castle")
        await contest.enter(harness.ben, "a whale")
        assert "goes on" in (await go_on(opened)).content
        vote = await contest.message("which of two")
        assert "too few pictures or votes" in (await go_on(vote)).content
        await contest.compare(cy, vote, ["a castle", "a whale"])
        await go_on(vote)
        await contest.message("1 person voted")
        audit = [entry.details for entry in await services.db.guilds.audit_entries(harness.guild.id)]
        assert sum("ended phase" in details for details in audit) == 2


async def test_simulated_friends_take_part_in_a_contest_of_one_person(harness, cy):
    """As in the preview: friends take pictures out of one's grid, enter them, and vote in steps."""
    core = harness.server.core
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        opened = await contest.message("Enter up to 2")
        await harness.imagine("a castle", harness.ada)
        grid = await harness.result(text="a castle")
        friends = {each.user.name: each for each in friends_of(core, harness.ada, grid)}
        for name, label in (("ben", "U1"), ("cy", "U2"), ("mod", "U3")):
            await friends[name].press(grid, label)
        await eventually(lambda: sum("Details" in each.labels for each in harness.public_messages()) == 3)
        while await services.db.jobs.open_records():  # noqa: ASYNC110 (nothing tells of it)
            await asyncio.sleep(0.02)
        enter = next(part["custom_id"] for part in opened.buttons if ":enter:" in part["custom_id"])
        for name in ("ben", "cy", "mod"):
            await follow(friends[name], await use(friends[name], opened, enter), random.Random(1))
        session = await contest.session()
        entries = await services.db.contests.entries(session.id)
        assert {entry.person_id for entry in entries} == {harness.ben.id, cy.id, harness.mod.id}
        contest.pass_time(5 * DAY_S + 1)
        vote = await contest.message("which of two")
        button = next(part["custom_id"] for part in vote.buttons if ":vote:" in part["custom_id"])
        presses = [
            await follow(friends[name], await use(friends[name], vote, button), random.Random(seed))
            for seed, name in enumerate(friends)
        ]
        assert presses == [1, 1, 1]  # each sees the one pair of the others' pictures
        await contest.compare(harness.ada, vote, ["a castle"], pairs=0)
        contest.pass_time(2 * DAY_S + EXTRA_S + 2)
        await contest.message("voted")


async def test_everything_pressed_twice_happens_once(harness, cy):
    async with harness.bot() as services:
        contest = await Contest.start(harness, services, theme_by="room")
        naming = await contest.message("What is the theme?")
        ada, mod = harness.person(harness.ada), harness.person(harness.mod)
        forms = [await ada.press(naming, "Suggest a theme") for _ in range(2)]
        for form in forms:
            await (await ada.submit_modal(form, {"theme": "old maps"})).response()
        assert "- old maps · 1" in naming.content
        rules = await (await mod.press(naming, "Help")).message()
        answers = await asyncio.gather(*(mod.press(rules, "Go on now") for _ in range(2)))
        for answer in answers:
            await answer.response()
        opened = await contest.message("Contest 1: old maps")
        await contest.enter(harness.ada, "a castle")
        await contest.enter(harness.ben, "a whale")
        panels = [await (await ada.press(opened, "Enter")).message() for _ in range(2)]
        for panel in panels:
            await (await choose(ada, panel, "back", "a castle")).response()
        panels = [await (await ada.press(opened, "Enter")).message() for _ in range(2)]
        for panel in panels:
            await (await choose(ada, panel, "entry", "a castle")).response()
        session = await contest.session()
        assert len(await services.db.contests.entries(session.id)) == 2
        contest.pass_time(5 * DAY_S + 1)
        await contest.message("which of two")
        rules = await (await mod.press(opened, "Help")).message()
        for _ in range(2):
            await (await mod.press(rules, "End")).response()
        await contest.phase("theme", 2)
        await eventually(lambda: len(contest.messages("What is the theme?")) == 2)
        assert len(contest.messages("ends the contest.")) == 1


async def test_nobody_blocked_private_or_erased_appears_in_a_contest(harness, cy, dora):
    """Over all payloads of a whole contest, from the theme to the next theme."""
    benedict = harness.ben
    benedict.name = "benedict"
    async with harness.bot() as services:
        contest = await Contest.start(harness, services, theme_by="room")
        everything = Payloads(harness)
        naming = await contest.message("What is the theme?")
        form = await harness.person(benedict).press(naming, "Suggest a theme")
        await (await harness.person(benedict).submit_modal(form, {"theme": "purple owls"})).response()
        await harness.imagine("a hidden lighthouse --stealth", dora)
        hidden = await harness.server.wait_for(
            harness.channel, lambda message: "lighthouse" in message.content and "U1" in message.labels
        )
        await harness.person(dora).press(hidden, "U1")
        await eventually(lambda: any(each.ephemeral and "Details" in each.labels for each in _all(harness)))
        await block(services, harness, benedict)
        after_block = Payloads(harness)
        contest.pass_time(NAMING_S + 1)
        opened = await contest.message("Enter up to 2")
        panel = await (await harness.person(dora).press(opened, "Enter")).message()
        assert "Nothing of yours fits" in panel.content
        for user, prompt in ((harness.ada, "a castle"), (cy, "a teapot"), (dora, "a public whale")):
            await contest.enter(user, prompt)
        await erase(harness, cy)
        after_erasure = Payloads(harness)
        contest.pass_time(5 * DAY_S + 1)
        vote = await contest.message("which of two")
        for user in (harness.mod, harness.ada, dora):
            await contest.compare(user, vote, ["a castle", "a public whale"])
        await (await harness.person(harness.mod).command("contest state", harness.channel)).message()
        await (await harness.person(harness.mod).press(vote, "Help")).message()
        contest.pass_time(2 * DAY_S + 1)
        await contest.message("voted")
        await contest.phase("theme", 2)
    assert everything.found("lighthouse", except_to=dora) == []
    assert after_block.found("purple owls", benedict.id, "benedict") == []
    assert after_erasure.found(cy.id, "a teapot") == []


async def test_a_crowd_votes_at_once_and_each_answer_counts_once(harness):
    world = harness.server.world
    crowd = [world.add_user(f"person{number}") for number in range(8)]
    for user in crowd:
        world.add_member(user, harness.guild)
    async with harness.bot() as services:
        contest = await Contest.start(harness, services)
        await contest.message("Enter up to 2")
        order = ["a castle", "a whale", "a teapot"]
        for user, prompt in zip((harness.ada, harness.ben, harness.mod), order, strict=True):
            await contest.enter(user, prompt)
        contest.pass_time(5 * DAY_S + 1)
        vote = await contest.message("which of two")
        before = len(contest.messages(""))
        await asyncio.gather(*(compare_patiently(contest, user, vote, order) for user in crowd))
        session = await contest.session()
        assert len(await services.db.contests.comparisons(session.id, session.round)) == 24
        assert [entry.shown for entry in await services.db.contests.entries(session.id)] == [16, 16, 16]
        assert len(contest.messages("")) == before  # nothing is posted in the channel
        contest.pass_time(2 * DAY_S + 1)
        result = await contest.message("8 people voted · 24 comparisons")
        places = [result.content.index(f"{medal} **{prompt}**") for medal, prompt in zip("🥇🥈🥉", order, strict=True)]
        assert places == sorted(places)


async def compare_patiently(contest, user, vote, better):
    """Compare all pairs, and begin again whenever a busy bot does not answer in time."""
    last = None
    while last is None or "Thank you" not in last.content:
        with contextlib.suppress(InteractionFailed):
            last, _ = await contest.compare(user, vote, better)
