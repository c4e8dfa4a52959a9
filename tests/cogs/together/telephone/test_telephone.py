"""/telephone: three people draw what they see, with a clock that the test moves."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import random
import re

import pytest
from PIL import Image

from cogs.together.telephone import handler
from cogs.together.telephone.absent import words_for_absent
from db.guilds import AuditEntry
from db.jobs import JobState
from db.together.sessions import SessionKind
from generation.params import Tile, from_dict
from preview import UserActionError
from preview.state.world import walk_components
from preview.users.friends import follow, friends_of, use, use_at_random
from tests.cogs.test_describe import set_words
from tests.support.bot_harness import eventually
from tests.support.payloads import Payloads
from tests.support.sessions import block, is_fresh

TURN_S = 301
WORDS = ("a castle by the sea", "a sandcastle with flags", "a birthday cake")


@pytest.fixture
def cy(harness):
    world = harness.server.world
    cy = world.add_user("cy")
    world.add_member(cy, harness.guild)
    return cy


class Telephone:
    """A telephone in a channel, and the people in it."""

    def __init__(self, harness, services):
        self.harness, self.services, self.channel = harness, services, harness.channel
        self.users = {each.id: each for each in harness.server.world.users.values()}

    @classmethod
    async def start(cls, harness, services, **options):
        await harness.person(harness.ada).command(
            "telephone start", harness.channel, **{"where": "here", "players": 3} | options
        )
        self = cls(harness, services)
        await self.message("looks for players")
        return self

    async def session(self):
        return await self.services.db.sessions.latest(self.harness.guild.id, SessionKind.TELEPHONE)

    async def phase(self, phase, number=None):
        async def now():
            session = await self.session()
            return session is not None and session.phase == phase and number in (None, session.round)

        async with asyncio.timeout(20):
            while not await now():  # noqa: ASYNC110 (nothing tells of it)
                await asyncio.sleep(0.02)

    async def message(self, text):
        return await self.harness.server.wait_for(
            self.channel, lambda message: text in message.content and not message.ephemeral, description=text
        )

    def messages(self, text):
        return [each for each in self.harness.public_messages() if text in each.content]

    async def join(self, *users):
        lobby = await self.message("looks for players")
        for user in users:
            await (await self.harness.person(user).press(lobby, "Join")).response()

    async def turn(self, number):
        """Wait for a turn; return its message and whose it is."""
        message = await self.message(f"turn {number} of")
        await self.phase("turn", number)
        return message, self.users[int(re.search(r"<@(\d+)>", message.content)[1])]

    async def look(self, message, user):
        """Press the button of one's turn and return the private message."""
        seen = await (await self.harness.person(user).press(message, "My turn")).message()
        assert seen.ephemeral
        return seen

    async def write(self, number, words):
        """Take a turn with these words; return who wrote them."""
        message, user = await self.turn(number)
        person = self.harness.person(user)
        form = await person.press(message, "My turn")
        if number > 1:
            form = await person.press(await form.message(), "Write what it is")
        await (await person.submit_modal(form, {"words": words})).response()
        return user

    async def next(self, shown, user):
        await (await self.harness.person(user).press(shown, "Next")).response()

    def pass_time(self, seconds=TURN_S):
        self.harness.server.world.clock.advance(seconds)
        self.harness.client.sessions.timer.wake()

    def picture(self, message):
        return Image.open(io.BytesIO(self.harness.server.core.files.get(message.attachments[0].id)))


async def begin(harness, services, cy, **options):
    telephone = await Telephone.start(harness, services, **options)
    await telephone.join(harness.ben, cy)
    return telephone


async def test_three_people_pass_a_picture_on_and_see_all_in_the_end(harness, cy):
    async with harness.bot() as services:
        telephone = await begin(harness, services, cy)
        players = [await telephone.write(number, words) for number, words in enumerate(WORDS, 1)]
        assert {each.id for each in players} == {harness.ada.id, harness.ben.id, cy.id}
        for number, (player, words) in enumerate(zip(players, WORDS, strict=True), 1):
            shown = await telephone.message(f"picture {number} of 3")
            assert f"**{words}** — <@{player.id}>" in shown.content
            assert {"Vary (Subtle)", "Details", "Delete"} <= set(shown.labels)
            assert not telephone.messages(f"picture {number + 1} of 3")
            await telephone.phase("reveal", number)
            await telephone.next(shown, harness.mod)
            await eventually(lambda shown=shown: "Next" not in shown.labels)
        last = await telephone.message("From **a castle by the sea** to **a birthday cake**")
        await telephone.phase("ended")
        assert last.content.index(f"<@{players[0].id}>") < last.content.index(f"<@{players[2].id}>")
        strip, film = last.attachments
        assert (strip.filename, film.filename.startswith("film_")) == ("telephone.webp", True)
        assert telephone.picture(last).width > 3 * 320
        *turns, _ = await services.db.sessions.rounds((await telephone.session()).id)
        records = [await services.db.jobs.get(made.job_id) for made in turns]
        assert [(each.state, each.job.destination.private) for each in records] == [(JobState.POSTED, False)] * 3
        assert [each.job.requester.id for each in records] == [each.id for each in players]
        assert {each.job.params.count for each in records} == {1}


async def test_a_picture_with_every_button_is_shown_like_the_others(harness, cy):
    async with harness.bot() as services:
        telephone = await begin(harness, services, cy)
        for number, words in enumerate(("a black and white photo of a whale", *WORDS[1:]), 1):
            await telephone.write(number, words)
        shown = await telephone.message("picture 1 of 3")
        assert {"▶️ Next", "Colour", "Clean up"} <= set(shown.labels)


@pytest.mark.parametrize(("native_size", "is_draft"), [(512, True), (256, False)])
async def test_pictures_are_drafts_unless_they_would_be_too_small(harness, native_size, is_draft):
    facts = harness.model / "atelier.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"native_size": native_size}))
    async with harness.bot() as services:
        telephone = await Telephone.start(harness, services)
        params = from_dict(dict((await telephone.session()).settings["params"]))
        assert (params.draft, params.width, params.count) == (is_draft, 256, 1)


async def test_nobody_sees_more_than_one_step_before_the_reveal(harness, cy):
    secrets = ("a castle by the zebra", "a sandcastle with quartz", "a birthday xylophone")
    async with harness.bot() as services:
        everything = Payloads(harness)
        telephone = await begin(harness, services, cy)
        for number, words in enumerate(secrets, 1):
            message, user = await telephone.turn(number)
            person = harness.person(user)
            form = await person.press(message, "My turn")
            if number > 1:
                seen = await form.message()
                assert len(seen.attachments) == 1
                picture = telephone.picture(seen)
                assert not picture.info.keys() & {"parameters", "exif", "comment", "xmp"}
                assert (await _last_picture_of(services, telephone, number - 1)).size == picture.size
                form = await person.press(seen, "Write what it is")
            if number < 3:
                await (await person.submit_modal(form, {"words": words})).response()
                await telephone.turn(number + 1)
        for user in (harness.ada, harness.ben, cy, harness.mod):
            for command in ("queue", "telephone list", "show"):
                await (await harness.person(user).command(command, harness.channel)).message()
            lobby = telephone.messages("looks for players")[0]
            help_id = next(each["custom_id"] for each in message.buttons if ":help:" in each["custom_id"])
            await (await harness.person(user).press(message, custom_id=help_id)).message()
            if user is not person.user:
                refused = await (await harness.person(user).press(message, "My turn")).message()
                assert "It is the turn of" in refused.content
                assert not refused.attachments
            assert lobby.labels == []
        assert everything.found(*secrets, *(word.split()[-1] for word in secrets)) == []
        assert not any(each.attachments for each in harness.public_messages())
        for made in await services.db.sessions.rounds((await telephone.session()).id):
            record = await services.db.jobs.get(made.job_id)
            assert record is None or record.job.destination.private


async def _last_picture_of(services, telephone, number):
    session = await telephone.session()
    made = await services.db.sessions.round(session.id, number)
    return Image.open(io.BytesIO(await services.images.files.read(Tile(made.job_id, 0))))


async def test_whoever_is_away_is_skipped_and_pass_skips_at_once(harness, cy):
    async with harness.bot() as services:
        telephone = await begin(harness, services, cy)
        first = await telephone.write(1, "a castle")
        message, second = await telephone.turn(2)
        telephone.pass_time()
        message, third = await telephone.turn(3)
        seen = await telephone.look(message, third)
        await (await harness.person(third).press(seen, "Pass")).response()
        shown = await telephone.message("picture 1 of 1")
        assert f"<@{first.id}>" in shown.content
        await telephone.phase("reveal")
        telephone.pass_time()  # it is shown without a press as well
        await telephone.message("From **a castle** to **a castle**")
        await telephone.phase("ended")
        late = await (await harness.person(second).press(message, "My turn")).message()
        assert "has ended" in late.content


async def test_the_model_speaks_for_whoever_is_away_if_it_can(harness, cy, monkeypatch):
    asked = []

    async def describe(services, job, tile):
        asked.append(tile)
        return await words_for_absent(services, job, tile)

    monkeypatch.setattr(handler, "words_for_absent", describe)
    set_words(harness, {"things": ["boat", "fox"]})
    async with harness.bot() as services:
        telephone = await begin(harness, services, cy)
        _, first = await telephone.turn(1)
        telephone.pass_time()  # there is no picture yet to speak about
        message, second = await telephone.turn(2)
        form = await harness.person(second).press(message, "My turn")
        await (await harness.person(second).submit_modal(form, {"words": "a castle"})).response()
        _, third = await telephone.turn(3)
        telephone.pass_time()
        shown = await telephone.message("picture 1 of 2")
        session = await telephone.session()
        await telephone.next(shown, first)
        spoken = await telephone.message("picture 2 of 2")
        assert re.search(rf"\*\*a boat [0-9a-f]{{6}}\*\* — 🤖 for <@{third.id}>", spoken.content)
        rounds = {each.number: each for each in await services.db.sessions.rounds(session.id)}
        assert asked == [Tile(rounds[2].job_id, 0)]
        assert await services.db.lineage.credits(rounds[3].job_id) == []


async def test_nobody_writes_anything(harness, cy):
    async with harness.bot() as services:
        telephone = await begin(harness, services, cy)
        for number in (1, 2, 3):
            await telephone.turn(number)
            telephone.pass_time()
        await telephone.message("Nobody wrote anything")
        await telephone.phase("ended")


async def test_too_few_players_draw_nothing(harness):
    async with harness.bot() as services:
        telephone = await Telephone.start(harness, services)
        await telephone.join(harness.ben)
        lobby = await telephone.message("looks for players")
        assert f"2 of 3: <@{harness.ada.id}>, <@{harness.ben.id}>" in lobby.content
        again = await (await harness.person(harness.ben).press(lobby, "Join")).message()
        assert again.content.endswith("You play already.")
        await (await harness.person(harness.ben).press(lobby, "Leave")).response()
        await eventually(lambda: f"1 of 3: <@{harness.ada.id}>" in lobby.content)
        telephone.pass_time()
        await telephone.message("Too few people joined")
        assert await services.db.jobs.open_records() == []


async def test_a_blocked_word_is_refused_privately_and_given_back(harness, cy):
    async with harness.bot() as services:
        now = services.clock()
        entry = AuditEntry(guild_id=harness.guild.id, person_id=harness.mod.id, act="words", details="x", at=now)
        await services.db.guilds.block_words(entry, {"weapon": "refuse"})
        telephone = await begin(harness, services, cy)
        message, user = await telephone.turn(1)
        person = harness.person(user)
        form = await person.press(message, "My turn")
        refused = await (await person.submit_modal(form, {"words": "a weapon of war"})).message()
        assert refused.ephemeral
        assert "a weapon of war" in refused.content
        await telephone.phase("turn", 1)
        assert await telephone.write(1, "a castle") is user


async def test_it_goes_on_after_a_restart_in_each_phase(harness, cy):
    async with harness.bot() as services:
        await Telephone.start(harness, services)
    async with harness.bot() as services:
        telephone = Telephone(harness, services)
        await telephone.join(harness.ben, cy)
        await telephone.turn(1)
    async with harness.bot() as services:
        telephone = Telephone(harness, services)
        await telephone.write(1, WORDS[0])
        await telephone.turn(2)
    async with harness.bot() as services:
        telephone = Telephone(harness, services)
        await telephone.write(2, "slow sandcastle")
        await telephone.phase("drawing", 2)
    harness.release_slow_jobs()
    async with harness.bot() as services:
        telephone = Telephone(harness, services)
        await telephone.write(3, WORDS[2])
        await telephone.message("picture 1 of 3")
    async with harness.bot() as services:
        telephone = Telephone(harness, services)
        for number in (1, 2, 3):
            shown = await telephone.message(f"picture {number} of 3")
            await telephone.phase("reveal", number)
            await telephone.next(shown, cy)
        await telephone.phase("ended")
    for text in ("looks for players", "turn 1 of", "turn 2 of", "turn 3 of", "picture 1", "picture 2", "From **"):
        assert len(telephone.messages(text)) == 1, text


async def test_a_bot_that_was_away_for_days_takes_one_step(harness, cy):
    async with harness.bot() as services:
        telephone = await begin(harness, services, cy)
        await telephone.write(1, "a castle")
        await telephone.turn(2)
    harness.server.world.clock.advance(3 * 24 * 3600)
    async with harness.bot() as services:
        telephone = Telephone(harness, services)
        await telephone.turn(3)
        assert (await telephone.session()).due_at > services.clock()


async def test_a_blocked_player_loses_their_turn_and_their_picture(harness, cy):
    async with harness.bot() as services:
        telephone = await begin(harness, services, cy)
        first = await telephone.write(1, "a castle with gargoyles")
        _, second = await telephone.turn(2)
        await block(services, harness, first)
        await block(services, harness, second)
        after = Payloads(harness)
        harness.client.sessions.timer.wake()
        message, third = await telephone.turn(3)
        assert third not in (first, second)
        form = await harness.person(third).press(message, "My turn")  # there is no picture, so they write first
        await (await harness.person(third).submit_modal(form, {"words": "a whale"})).response()
        shown = await telephone.message("picture 1 of 1")
        await telephone.phase("reveal")
        await telephone.next(shown, third)
        await telephone.message("From **a whale**")
        await telephone.phase("ended")
        (made, *_) = await services.db.sessions.rounds((await telephone.session()).id)
        await eventually(lambda: not services.images.files.path(Tile(made.job_id, 0)).exists())
        record = await services.db.jobs.get(made.job_id)
        assert record.state is JobState.FAILED
        assert record.deleted
    assert after.found("gargoyles", f"<@{first.id}>", f"<@{second.id}>") == []


async def test_an_erased_player_leaves_nothing(harness, cy):
    async with harness.bot() as services:
        telephone = await begin(harness, services, cy)
        first = await telephone.write(1, "a castle with gargoyles")
        _, second = await telephone.turn(2)
        if first is harness.ada:  # the host's game ends: see below
            first = second
        person = harness.person(first)
        summary = await (await person.command("privacy", harness.channel)).message()
        assert "a place in 1 picture telephone" in summary.content
        await person.submit_modal(await person.press(summary, "Delete everything"), {})
        await eventually(lambda: any("All your data is deleted" in each.content for each in _all(harness)))
        for table in ("telephone_players", "ballots"):
            rows = await services.db.connection.fetch_all(f"SELECT person FROM {table}")
            assert first.id not in [row["person"] for row in rows]
        facts = await services.db.connection.fetch_all("SELECT facts, worded_by FROM collab_rounds")
        assert not any(row["worded_by"] == first.id for row in facts)


async def played(harness, services, cy):
    """Play a game of three to its end; return it, its players and its last message."""
    telephone = await begin(harness, services, cy)
    players = [await telephone.write(number, words) for number, words in enumerate(WORDS, 1)]
    for number in (1, 2, 3):
        shown = await telephone.message(f"picture {number} of 3")
        await telephone.phase("reveal", number)
        await telephone.next(shown, harness.mod)
    last = await telephone.message("From **a castle by the sea** to **a birthday cake**")
    await telephone.phase("ended")
    return telephone, players, last


async def erased(harness, user):
    person = harness.person(user)
    summary = await (await person.command("privacy", harness.channel)).message()
    await person.submit_modal(await person.press(summary, "Delete everything"), {})
    await eventually(lambda: any("All your data is deleted" in each.content for each in _all(harness)))


@pytest.mark.parametrize("how", ["erased", "blocked", "deleted"])
async def test_what_is_gone_leaves_the_strip_and_the_film(harness, cy, how):
    async with harness.bot() as services:
        telephone, players, last = await played(harness, services, cy)
        before, width = [each.id for each in last.attachments], telephone.picture(last).width
        if how == "erased":
            await erased(harness, players[2])
        elif how == "blocked":
            await block(services, harness, players[2])
        else:
            shown = await telephone.message("picture 3 of 3")
            person = harness.person(players[2])
            await person.submit_modal(await person.press(shown, "Delete"), {})
            await eventually(lambda: shown.deleted)
        harness.client.sessions.redrawer.wake()
        await eventually(lambda: "to **a sandcastle with flags**" in last.content)
        assert await is_fresh(services)
        assert f"<@{players[2].id}>" not in last.content
        assert f"<@{players[0].id}>" in last.content
        strip, film = last.attachments
        assert not {strip.id, film.id} & set(before)
        assert telephone.picture(last).width < width
        with Image.open(io.BytesIO(harness.server.core.files.get(film.id))) as opened:
            assert opened.format == "WEBP"
        assert "📞 Play again" in last.labels
        turns = [each for each in _all(harness) if "Time is up" in each.content]
        named = {f"<@{players[2].id}>" in each.content for each in turns}
        assert len(turns) == 3
        assert (True in named) is (how == "deleted")


async def test_the_last_message_goes_when_nothing_of_it_is_left(harness, cy):
    async with harness.bot() as services:
        _, players, last = await played(harness, services, cy)
        rows = "DELETE FROM collab_rounds WHERE round = 9"  # a game from before its message was stored
        await services.db.connection.write(rows, {})
        for player in players:
            await block(services, harness, player)
        harness.client.sessions.redrawer.wake()
        await eventually(lambda: last.deleted)
        assert await is_fresh(services)


async def test_an_erased_player_leaves_the_lobby(harness, cy):
    async with harness.bot() as services:
        telephone = await Telephone.start(harness, services)
        await telephone.join(cy)
        lobby = await telephone.message("looks for players")
        await eventually(lambda: f"<@{cy.id}>" in lobby.content)
        await erased(harness, cy)
        await eventually(lambda: "1 of 3" in lobby.content)
        assert f"<@{cy.id}>" not in lobby.content
        assert "🙋 Join" in lobby.labels


def _all(harness):
    return harness.server.messages(harness.channel)


async def test_the_host_ends_it_early_and_what_there_is_is_shown(harness, cy):
    async with harness.bot() as services:
        telephone = await begin(harness, services, cy)
        await telephone.write(1, "a castle")
        await telephone.turn(2)
        await (await harness.person(harness.ada).command("telephone end", harness.channel)).response()
        shown = await telephone.message("picture 1 of 1")
        await telephone.phase("reveal")
        await telephone.next(shown, harness.ben)
        await telephone.phase("ended")


async def test_a_moderator_skips_a_turn_and_ends_it_and_that_is_audited(harness, cy):
    async with harness.bot() as services:
        telephone = await begin(harness, services, cy)
        message, _ = await telephone.turn(1)
        mod = harness.person(harness.mod)
        tools = await (await mod.press(message, "Help")).message()
        await (await mod.press(tools, "Skip this turn")).response()
        await telephone.turn(2)
        tools = await (await mod.press(message, "Help")).message()
        await (await mod.press(tools, "End")).response()
        await telephone.message("Nobody wrote anything")
        entries = await services.db.guilds.audit_entries(harness.guild.id)
        details = [each.details for each in entries]
        assert any("skipped turn 1 in telephone" in each for each in details)
        assert any("ended it in telephone" in each for each in details)


async def test_owners_switch_it_off(harness):
    async with harness.bot() as services:
        changed = await harness.person(harness.mod).command("config together", harness.channel, telephones=False)
        assert "no picture telephones" in (await changed.message()).content
        refused = await (await harness.person(harness.ada).command("telephone start", harness.channel)).message()
        assert "no picture telephones" in refused.content
        assert await services.db.sessions.active() == []


async def test_it_has_a_thread_of_its_own_and_is_played_again(harness, cy):
    async with harness.bot() as services:
        await harness.person(harness.ada).command("telephone start", harness.channel, players=3)
        telephone = Telephone(harness, services)
        await telephone.message("looks for players")
        async with asyncio.timeout(20):
            while (await telephone.session()).thread_id is None:  # noqa: ASYNC110 (nothing tells of it)
                await asyncio.sleep(0.02)
        await telephone.join(harness.ben, cy)
        await telephone.phase("turn", 1)
        session = await telephone.session()
        assert session.thread_id is not None
        telephone.channel = harness.server.world.channels[session.thread_id]
        await telephone.write(1, "a castle")
        await telephone.turn(2)
        await (await harness.person(harness.ada).command("telephone end", telephone.channel)).response()
        shown = await telephone.message("picture 1 of 1")
        await telephone.phase("reveal")
        await telephone.next(shown, cy)
        last = await telephone.message("From **a castle**")
        await telephone.phase("ended")
        await (await harness.person(cy).press(last, "Play again")).response()
        again = await telephone.message("looks for players")
        assert f"1 of 3: <@{cy.id}>" in again.content


async def test_simulated_friends_play_with_one_person(harness, cy):
    """As in the preview: friends join, look at the picture and write something."""
    core = harness.server.core
    async with harness.bot() as services:
        telephone = await Telephone.start(harness, services)
        lobby = await telephone.message("looks for players")
        friends = {each.user.name: each for each in friends_of(core, harness.ada, lobby)}
        join = next(part["custom_id"] for part in lobby.buttons if ":join:" in part["custom_id"])
        for name in ("ben", "cy"):
            await follow(friends[name], await use(friends[name], lobby, join), random.Random(1))
        for number in (1, 2, 3):
            message, user = await telephone.turn(number)
            if user is harness.ada:
                await telephone.write(number, "a castle")
                continue
            friend, seed = friends[user.name], 0
            while (await telephone.session()).round == number and (await telephone.session()).phase == "turn":
                # What they press is drawn by lot: help, or their turn and in it to write or to pass.
                with contextlib.suppress(UserActionError):
                    await use_at_random([friend], message, seed)
                seed += 1
        await telephone.message("picture 1 of")


async def test_a_telephone_in_german(harness, cy):
    async with harness.bot() as services:
        await (
            await harness.person(harness.mod).command("config language", harness.channel, language="Deutsch")
        ).response()
        await harness.person(harness.ada).command("telephone start", harness.channel, players=3, where="here")
        telephone = Telephone(harness, services)
        lobby = await telephone.message("sucht Mitspieler")
        for user in (harness.ben, cy):
            await (await harness.person(user).press(lobby, "Mitspielen")).response()
        await telephone.message("Zug 1 von 3")


def custom_ids_of(message):
    return [part["custom_id"] for part in walk_components(message.components) if "custom_id" in part]
