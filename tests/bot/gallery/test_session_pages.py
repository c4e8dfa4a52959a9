"""Pages of what people made together: canvases, contests, jams, telephones and families."""

from __future__ import annotations

import asyncio
import json

import pytest

from db.together.sessions import Round, SessionKind
from tests.cogs.together.canvas.test_canvas import Painting
from tests.support.gallery import open_gallery
from tests.support.sessions import block, make_session
from tests.support.timing import TIMEOUT_S


async def store_contest(gallery, entries):
    """Store a contest that is not decided, with entries in the order of their ranks."""
    harness, write = gallery.harness, gallery.services.db.connection.write
    ids = {"guild_id": harness.guild.id, "channel_id": harness.channel.id}
    session = make_session(id="c0ffee000001", kind=SessionKind.CONTEST, **ids)
    await gallery.services.db.sessions.add(session, 5)
    for number, theme in enumerate(("old", "<b>animals</b>"), 1):
        facts = {"theme": theme, "vote_round": 1}
        await gallery.services.db.sessions.add_round(
            Round(session_id=session.id, number=number, job_id="", facts=facts)
        )
    for rank, tile in enumerate(entries, 1):
        await write(
            """INSERT INTO contest_entries (session, person, job_id, tile_index, at, place, rank)
               VALUES (:id, :person, :job, 0, 1, NULL, :rank)""",
            {"id": session.id, "person": harness.ada.id, "job": tile.job_id, "rank": rank},
        )
    return session.id


async def decide(gallery, session_id):
    await gallery.services.db.connection.write(
        "UPDATE contest_entries SET place = rank WHERE session = :id", {"id": session_id}
    )


async def take_out(gallery, message):
    """Press U1 below a result; return the job of the single picture."""
    harness = gallery.harness
    await harness.person(harness.ada).press(message, "U1")
    rows = "SELECT id FROM jobs WHERE action = 'pick' AND state = 'answered'"
    async with asyncio.timeout(TIMEOUT_S):
        while not (found := await gallery.services.db.connection.fetch_all(rows)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return found[0]["id"]


async def test_decided_contests_are_shown_with_their_places(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        fox, _ = await gallery.draw("a fox")
        owl, _ = await gallery.draw("an owl --stealth")
        session_id = await store_contest(gallery, [fox, owl])
        await ben.log_in(harness.ben)
        guild = str(harness.guild.id)
        assert (await ben.json("/api/sessions/contest", guild=guild))["sessions"] == [], "before it is decided"
        assert (await ben.get(f"/api/sessions/contest/{session_id}")).status == 404
        assert fox.job_id not in json.dumps(await ben.json("/api/pictures", guild=guild, q="contest:"))
        await decide(gallery, session_id)
        (contest,) = (await ben.json("/api/sessions/contest", guild=guild))["sessions"]
        assert contest["subject"] == "<b>animals</b>"
        shown = await ben.json(f"/api/sessions/contest/{session_id}")
        assert [(each["job"], each["place"], each["author"]) for each in shown["pictures"]] == [(fox.job_id, 1, "ada")]


async def test_a_picture_taken_out_of_a_grid_is_shown_like_the_grid(harness):
    """Entries of contests are such pictures; until it is decided, neither names its author."""
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        fox, message = await gallery.draw("a fox")
        taken_out = type(fox)(await take_out(gallery, message), 0)
        session_id = await store_contest(gallery, [taken_out])
        await ben.log_in(harness.ben)
        for tile in (fox, taken_out):
            assert (await ben.get(f"/thumbnails/{tile}.webp")).status == 200
            picture = await ben.json(f"/api/pictures/{tile}")
            assert picture["author"] is None
            assert "ada" not in json.dumps(picture)
            assert picture["link"] is None
        await decide(gallery, session_id)
        assert (await ben.json(f"/api/pictures/{taken_out}"))["author"] == "ada"
        assert (await ben.json(f"/api/sessions/contest/{session_id}"))["pictures"][0]["job"] == taken_out.job_id
        await gallery.services.db.jobs.mark_deleted(fox.job_id)
        assert (await ben.get(f"/thumbnails/{taken_out}.webp")).status == 404


async def test_a_contest_is_shown_to_whom_may_see_its_channel(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        fox, _ = await gallery.draw("a fox")
        session_id = await store_contest(gallery, [fox])
        await decide(gallery, session_id)
        await gallery.services.db.connection.write(
            "UPDATE collab_sessions SET channel_id = 5 WHERE id = :id", {"id": session_id}
        )
        await ben.log_in(harness.ben)
        guild = str(harness.guild.id)
        assert (await ben.json("/api/sessions/contest", guild=guild))["sessions"] == []
        assert (await ben.get(f"/api/sessions/contest/{session_id}")).status == 404
        assert (await ben.json("/api/pictures", guild=guild, q="contest:animals"))["pictures"] == []


async def test_a_finished_canvas_shows_its_whole_picture_and_its_painters(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        painting = await Painting.start(harness, gallery.services, "a harbour", width=3, height=3)
        await painting.paint(harness.ada, "a pier")
        await painting.paint(harness.mod, "a gull")
        await ben.log_in(harness.ben)
        guild = str(harness.guild.id)
        assert (await ben.json("/api/sessions/canvas", guild=guild))["sessions"] == [], "before it is finished"
        await harness.person(harness.ada).command("canvas finish", harness.channel)
        await painting.until(lambda session: session.ended_at is not None)
        (listed,) = (await ben.json("/api/sessions/canvas", guild=guild))["sessions"]
        assert listed["subject"] == "a harbour"
        canvas = await ben.json(f"/api/sessions/canvas/{painting.id}")
        (picture,) = canvas["pictures"]
        whole = await ben.get(f"/pictures/{picture['tiles'][0]['id']}.png")
        assert (whole.status, whole.body[:4]) == (200, b"\x89PNG")
        assert [(each["words"], each["author"]) for each in canvas["pieces"]] == [("a pier", "ada"), ("a gull", "mod")]
        assert len(canvas["pieces"][0]["cells"]) == 4
        await block(gallery.services, harness, harness.mod)
        pieces = (await ben.json(f"/api/sessions/canvas/{painting.id}"))["pieces"]
        assert [(each["words"], each["author"]) for each in pieces] == [("a pier", "ada"), ("", None)]
        await gallery.services.db.personal_data.begin_erasure(harness.ada.id, 1e12, leaves_entries=True)
        assert "ada" not in json.dumps((await ben.json(f"/api/sessions/canvas/{painting.id}"))["pieces"])


async def test_a_telephone_is_shown_when_it_has_ended(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        whale, _ = await gallery.draw("a whale asleep")
        held, _ = await gallery.draw("a hill --stealth")
        ids = {"guild_id": harness.guild.id, "channel_id": harness.channel.id}
        session = make_session(id="ab5e17000001", kind=SessionKind.TELEPHONE, **ids)
        await gallery.services.db.sessions.add(session, 5)
        for number, (tile, words) in enumerate(((whale, "a whale asleep"), (held, "a secret hill")), 1):
            facts = {"words": words, "robot": True}
            await gallery.services.db.sessions.add_round(
                Round(session_id=session.id, number=number, job_id=tile.job_id, facts=facts)
            )
        await ben.log_in(harness.ben)
        guild = str(harness.guild.id)
        assert (await ben.json("/api/sessions/telephone", guild=guild))["sessions"] == []
        assert (await ben.get(f"/api/sessions/telephone/{session.id}")).status == 404
        await gallery.services.db.sessions.end(session.id, 2000.0)
        (listed,) = (await ben.json("/api/sessions/telephone", guild=guild))["sessions"]
        assert listed["subject"] == "a whale asleep"
        shown = await ben.get(f"/api/sessions/telephone/{session.id}")
        assert "a whale asleep" in shown.text
        assert "secret" not in shown.text, "its picture was never shown"


async def test_a_jam_shows_which_picture_went_on(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        first, _ = await gallery.draw("a castle")
        second, _ = await gallery.draw("a castle at night")
        ids = {"guild_id": harness.guild.id, "channel_id": harness.channel.id}
        session = make_session(id="0a11ab000001", settings={"prompt": "a castle"}, **ids)
        await gallery.services.db.sessions.add(session, 5)
        parent = f"{first.job_id}-2"
        for number, job_id, facts in (
            (1, first.job_id, {}),
            (2, second.job_id, {"parent": parent, "words": "at night"}),
        ):
            await gallery.services.db.sessions.add_round(
                Round(session_id=session.id, number=number, job_id=job_id, facts=facts)
            )
        await ben.log_in(harness.ben)
        jam = await ben.json(f"/api/sessions/jam/{session.id}")
        assert (jam["subject"], jam["going"]) == ("a castle", True)
        assert [each["tiles"][0]["id"] for each in jam["pictures"]] == [parent, str(second)]
        assert [each["words"] for each in jam["pictures"]] == ["", "at night"]
        for query, number in (
            ("jam:", 2),
            ("jam:cast", 2),
            ("jam:cast night", 1),
            ("jam:fort", 0),
            (f"jam:{session.id}", 2),
        ):
            found = await ben.json("/api/pictures", guild=str(harness.guild.id), q=query)
            assert len(found["pictures"]) == number, query


@pytest.mark.parametrize("path", ["jam/0123456789ab", "nothing/0123456789ab", "jam/../..", "canvas/x"])
async def test_what_is_not_there_is_not_found(harness, path):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        await ben.log_in(harness.ben)
        assert (await ben.get(f"/api/sessions/{path}")).status == 404
