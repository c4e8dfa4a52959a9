"""/canvas: people paint pieces of one picture, with a clock that the test moves."""

from __future__ import annotations

import asyncio
import io
import zipfile

import pytest
from PIL import Image, ImageChops

from cogs.together.canvas.handler import CLAIM_S, PAUSE_S, CanvasHandler
from cogs.together.canvas.messages import MAX_WORDS, PIECES_PAGE, Standing, pieces_text
from cogs.together.canvas.pictures import CanvasPictures
from db.together.canvases import Canvas, Piece
from db.upkeep.backup import create_backup
from db.upkeep.retention import Retention
from generation.params import Tile, from_dict
from preview import UploadedFile
from preview.state.world import walk_components
from tests.cogs.config.test_config_commands import run_config
from tests.cogs.test_privacy import export_all
from tests.support.bot_harness import eventually
from tests.support.sessions import block, is_fresh, make_session
from tests.support.timing import TIMEOUT_S


class Painting:
    """A canvas in a channel, and the people who paint it."""

    def __init__(self, harness, services, session_id):
        self.harness, self.services, self.id = harness, services, session_id

    @classmethod
    async def start(cls, harness, services, theme="a harbour", **options):
        options = {"width": 4, "height": 4, "order": "free"} | options
        started = await harness.person(harness.ada).command("canvas start", harness.channel, theme=theme, **options)
        shown = await started.message()
        assert not shown.ephemeral, shown.content
        await harness.server.wait_for(harness.channel, lambda message: "🖌️ Paint here" in message.labels)
        rows = await services.db.connection.fetch_all("SELECT id FROM collab_sessions ORDER BY made_at DESC LIMIT 1")
        found = cls(harness, services, rows[0]["id"])
        await found.until(lambda session: session.message_id is not None)
        return found

    @property
    def standing(self):
        return [
            message
            for message in self.harness.server.messages(self.harness.channel)
            if not message.ephemeral and "🖼️" in message.content and "×" in message.content
        ][-1]

    async def until(self, test):
        async with asyncio.timeout(TIMEOUT_S):
            while not test(await self.services.db.sessions.get(self.id)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def places(self, user):
        """Press Paint here; return the private message with the places."""
        interaction = await self.harness.person(user).press(self.standing, "Paint here")
        return await interaction.message()

    async def ask(self, user, words, place=None):
        """Choose a place, the first on offer unless given, and say what is there."""
        shown = await self.places(user)
        (select,) = selects(shown)
        value = place or select["options"][0]["value"]
        form = await self.harness.person(user).select(shown, value, custom_id=select["custom_id"])
        return await self.harness.person(user).submit_modal(form, {"words": words})

    async def candidates(self, user, words, place=None):
        """Return the private message with four pictures."""
        interaction = await self.ask(user, words, place)
        await eventually(lambda: (found := interaction.original) is not None and "4" in found.labels)
        return interaction.original

    async def paint(self, user, words="a boat", place=None, choice=1):
        """Paint a piece from the first press to the last."""
        shown = await self.candidates(user, words, place)
        await self.harness.person(user).press(shown, str(choice))
        await eventually(lambda: "is on the canvas" in shown.content)
        return shown

    def pass_time(self, seconds=PAUSE_S + 1):
        self.harness.server.world.clock.advance(seconds)
        self.harness.client.sessions.timer.wake()

    async def pixels(self):
        """Return the pixels of each painted cell."""
        files, cells = self.services.images.files, await self.services.db.canvases.cells(self.id)
        found = {}
        for cell in cells:
            stem = f"{self.id}-{cell.tile}-{cell.x}-{cell.y}"
            with Image.open(files.cell_path(stem, "png")) as opened:
                found[cell.x, cell.y] = opened.convert("RGB")
        return found

    async def open_tile(self, tile):
        """Return a stored tile."""
        with Image.open(io.BytesIO(await self.services.images.files.read(tile))) as opened:
            return opened.convert("RGB")


def selects(message):
    return [part for part in walk_components(message.components) if part["type"] == 3]


async def private(interaction):
    message = await interaction.message()
    assert message.ephemeral
    return message.content


@pytest.fixture
def cy(harness):
    world = harness.server.world
    cy = world.add_user("cy")
    world.add_member(cy, harness.guild)
    return cy


async def test_a_piece_is_painted_privately_and_shown_to_everybody(harness):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services)
        assert "0 of 16" in painting.standing.content
        shown = await painting.paint(harness.ben, "a lighthouse")
        assert shown.ephemeral
        await eventually(lambda: "4 of 16 · 1 person" in painting.standing.content)
        assert f'last: <@{harness.ben.id}>, "a lighthouse"' in painting.standing.content
        assert "is on the canvas" in shown.content
        assert "↩️ Undo" in shown.labels
        cells = await painting.pixels()
        assert sorted(cells) == [(1, 1), (1, 2), (2, 1), (2, 2)]


async def test_placed_pixels_never_change_and_new_pieces_go_on_from_them(harness, cy):
    people = (harness.ada, harness.ben, cy)
    async with harness.bot() as services:
        painting = await Painting.start(harness, services, "a mosaic harbour")
        first = {}
        for number in range(6):
            await painting.paint(people[number % 3], f"boat {number}")
            painting.pass_time()
            now = await painting.pixels()
            for place, picture in first.items():
                assert ImageChops.difference(picture, now[place]).getbbox() is None
            first = now
        pieces = await services.db.canvases.pieces(painting.id)
        assert [piece.words for piece in pieces] == [f"boat {number}" for number in range(6)]
        record = await services.db.jobs.get(pieces[-1].tile.job_id)
        assert record.job.destination.private
        assert [part.text for part in record.job.params.parts] == ["boat 5", "a mosaic harbour"]
        assert record.job.params.parts[1].weight == pytest.approx(0.6)
        assert (record.job.params.width, record.job.params.height, record.job.params.count) == (64, 64, 4)
        palette = Image.open(io.BytesIO(await services.images.files.read(record.job.params.style))).convert("RGB")
        assert record.job.params.style_is_palette
        assert palette.size == (48, 48)
        assert palette.crop((0, 0, 24, 24)).tobytes() == first[1, 1].tobytes(), "the first piece"


async def test_without_a_palette_each_piece_has_colours_of_its_own(harness):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services, colours="free")
        await painting.paint(harness.ada)
        await painting.paint(harness.ben, "a pier")
        (_, piece) = await services.db.canvases.pieces(painting.id)
        params = (await services.db.jobs.get(piece.tile.job_id)).job.params
        assert (params.style, params.style_is_palette) == (None, False)
        assert params.source is not None


async def test_who_let_a_place_go_and_whose_time_is_up_leave_it_to_others(harness):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services)
        shown = await painting.candidates(harness.ada, "a boat")
        text = await private(await harness.person(harness.ben).press(painting.standing, "🖌️ Paint here"))
        assert "All places are being painted" in text
        await (await harness.person(harness.ada).press(shown, "Let it go")).response()
        assert await services.db.canvases.claims(painting.id) == []
        shown = await painting.candidates(harness.ada, "a boat")
        painting.pass_time(CLAIM_S + 1)

        async def is_free():
            return not await services.db.canvases.claims(painting.id)

        async with asyncio.timeout(TIMEOUT_S):
            while not await is_free():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        text = await private(await harness.person(harness.ada).press(shown, "1"))
        assert "your time is up" in text
        await painting.paint(harness.ben)


async def test_candidates_are_drawn_again_and_with_other_words(harness):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services)
        shown = await painting.candidates(harness.ada, "a boat")
        ada = harness.person(harness.ada)
        for _ in range(2):
            again = await ada.press(shown, "🔄 Again")
            await eventually(lambda again=again: again.original is not None and "4" in again.original.labels)
            assert "your time is up" in await private(await ada.press(shown, "1"))
            shown = again.original
        form = await ada.press(shown, "✏️ Other words")
        reworded = await ada.submit_modal(form, {"words": "a ship"})
        await eventually(lambda: reworded.original is not None and "4" in reworded.original.labels)
        assert "🔄 Again" not in reworded.original.labels
        assert "a ship" in reworded.original.content
        await ada.press(reworded.original, "3")
        await eventually(lambda: '"a ship"' in painting.standing.content)
        (piece,) = await services.db.canvases.pieces(painting.id)
        assert piece.tile.index == 2


async def test_nobody_paints_two_touching_pieces_in_succession(harness):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services, order="neighbours")
        await painting.paint(harness.ada)
        painting.pass_time()
        text = await private(await harness.person(harness.ada).press(painting.standing, "🖌️ Paint here"))
        assert "now somebody else goes on" in text
        await painting.paint(harness.ben)
        painting.pass_time()
        assert selects(await painting.places(harness.ada))


async def test_a_piece_is_taken_back_until_somebody_goes_on_from_it(harness):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services)
        shown = await painting.paint(harness.ada)
        ada = harness.person(harness.ada)
        await (await ada.press(shown, "↩️ Undo")).response()
        assert await painting.pixels() == {}
        assert list(services.images.files.folders("cells")[0].iterdir()) == []
        await eventually(lambda: "0 of 16" in painting.standing.content)
        shown = await painting.paint(harness.ada)
        await painting.paint(harness.ben)
        assert "It is too late" in await private(await ada.press(shown, "↩️ Undo"))


async def test_blocked_words_are_refused_and_given_back(harness):
    async with harness.bot() as services:
        await harness.person(harness.mod).command("config words block", harness.channel, words="toad")
        painting = await Painting.start(harness, services)
        text = await private(await painting.ask(harness.ada, "a toad at sea"))
        assert "a toad at sea" in text
        assert await services.db.canvases.claims(painting.id) == []


async def test_words_that_are_blocked_while_they_are_drawn_are_not_placed(harness):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services)
        shown = await painting.candidates(harness.ben, "a boat")
        blocked = await harness.person(harness.mod).command("config words block", harness.channel, words="boat")
        await blocked.message()
        refused = await (await harness.person(harness.ben).press(shown, "1")).message()
        assert refused.ephemeral
        assert "do not allow `boat`" in refused.content
        assert await services.db.canvases.pieces(painting.id) == []


def test_a_page_of_pieces_fits_into_a_message_whatever_their_words():
    place = {"x": 0, "y": 0, "tile": Tile("0123456789ab", 0), "sensitive": False, "placed_at": 1_796_073_807.0}
    pieces = [
        Piece(number=number, session_id="s", person_id=2**63, name="ada", words="*" * MAX_WORDS, **place)
        for number in range(PIECES_PAGE)
    ]
    canvas = Canvas(session_id="s", columns=8, rows=8, cell=64, neighbours=False)
    standing = Standing(session=make_session(), canvas=canvas, cells=(), pieces=pieces, claims=())
    assert len(pieces_text(standing, 0)) <= 2000


async def test_a_blocked_person_loses_the_place_and_their_name(harness):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services)
        await painting.paint(harness.ben, "a pier")
        painting.pass_time()
        await painting.candidates(harness.ben, "a gull")
        await block(services, harness, harness.ben)
        assert await services.db.canvases.claims(painting.id) == []
        await painting.paint(harness.ada, "a boat")
        who = await (await harness.person(harness.ada).press(painting.standing, "📜 Who did what")).message()
        assert '"a pier" · somebody' in who.content
        text = await private(await harness.person(harness.ben).press(painting.standing, "🖌️ Paint here"))
        assert "blocked" in text


async def test_a_full_canvas_becomes_one_picture_with_everybodys_credit(harness, cy):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services, "a mosaic sea", width=3, height=3)
        for user in (harness.ada, harness.ben, cy):
            await painting.paint(user)
            painting.pass_time()
        while len(await services.db.canvases.cells(painting.id)) < 9:
            await painting.paint(harness.ada)
            painting.pass_time()
        await painting.until(lambda session: session.ended_at is not None)
        last = await harness.server.wait_for(
            harness.channel, lambda message: "the canvas is finished" in message.content
        )
        assert f"<@{harness.ben.id}> (1)" in last.content
        names = [attachment.filename for attachment in last.attachments]
        assert [name.rpartition(".")[2] for name in names] == ["png", "webp", "zip", "webp"]
        whole = Image.open(io.BytesIO(harness.server.core.files.get(last.attachments[0].id))).convert("RGB")
        assert whole.size == (72, 72)
        for (x, y), picture in (await painting.pixels()).items():
            box = (24 * x, 24 * y, 24 * x + 24, 24 * y + 24)
            assert ImageChops.difference(whole.crop(box), picture).getbbox() is None
        job_id = (await services.db.sessions.round(painting.id, 1)).job_id
        parts = {(credit.person_id, credit.part) for credit in await services.db.lineage.credits(job_id)}
        assert {(user.id, "placed") for user in (harness.ada, harness.ben, cy)} <= parts
        await eventually(lambda: "This canvas is finished" in painting.standing.content)
        assert painting.standing.labels == ["🔭 Look around", "📜 Who did what"]


async def fingerprints(services, job_id):
    """Wait until a picture is in the index, and return its fingerprints."""
    async with asyncio.timeout(TIMEOUT_S):
        while not (found := await services.db.picture_index.vectors_of_jobs([job_id])):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return found


async def test_a_finished_canvas_is_found_by_its_picture_and_exported(harness):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services, "a mosaic sea", width=3, height=3)
        await painting.paint(harness.ada, "a boat")
        await painting.paint(harness.ben, "a pier")
        await harness.person(harness.ada).command("canvas finish", harness.channel)
        last = await harness.server.wait_for(
            harness.channel, lambda message: "the canvas is finished" in message.content
        )
        assert "Vary (Subtle)" in last.labels
        assert "Edit words" not in last.labels  # it was not drawn at once
        await painting.until(lambda session: session.ended_at is not None)
        job_id = (await services.db.sessions.round(painting.id, 1)).job_id
        before = await fingerprints(services, job_id)
        copy = io.BytesIO()  # without the metadata, which name the job
        Image.open(io.BytesIO(harness.server.core.files.get(last.attachments[0].id))).convert("RGB").save(copy, "JPEG")
        upload = UploadedFile("copy.jpg", copy.getvalue())
        asked = await harness.person(harness.ben).command("find", harness.channel, image=upload)
        found = await asked.wait_for(lambda message: not message.loading)
        assert f"/{harness.channel.id}/{last.id})" in found.content

        (exported,) = await export_all(harness)
        with zipfile.ZipFile(io.BytesIO(harness.server.core.files.get(exported.attachments[0].id))) as archive:
            (name,) = [name for name in archive.namelist() if f"{job_id}-0" in name]
            with Image.open(io.BytesIO(archive.read(name))) as opened:
                assert opened.size == (72, 72)

        (piece, _) = await services.db.canvases.pieces(painting.id)
        handler = harness.client.sessions.handler(CanvasHandler)
        await handler.take_out(await services.db.sessions.get(painting.id), piece.number)
        assert await is_fresh(services)
        harness.client.indexer._posted.set()
        assert await fingerprints(services, job_id) != before, "of the picture as it is now"


async def test_two_thirds_of_the_painters_finish_a_canvas(harness, cy):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services)
        for user in (harness.ada, harness.ben, cy):
            await painting.paint(user)
            painting.pass_time()
        assert "1 of 2" in await private(
            await harness.person(harness.ada).press(painting.standing, "🏁 Propose to finish")
        )
        refused = await harness.person(harness.mod).press(painting.standing, "🏁 Propose to finish")
        assert "Who has painted here" in await private(refused)
        await harness.person(cy).press(painting.standing, "🏁 Propose to finish")
        await painting.until(lambda session: session.ended_at is not None)
        await harness.server.wait_for(harness.channel, lambda message: "the canvas is finished" in message.content)


async def test_moderators_take_a_piece_out_and_only_its_cells_are_free(harness):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services)
        await painting.paint(harness.ada, "a boat")
        await painting.paint(harness.ben, "something rude")
        before = await painting.pixels()
        (_, rude) = await services.db.canvases.pieces(painting.id)
        mod = harness.person(harness.mod)
        who = await (await mod.press(painting.standing, "📜 Who did what")).message()
        assert (
            selects(await (await harness.person(harness.ben).press(painting.standing, "📜 Who did what")).message())
            == []
        )
        (select,) = selects(who)
        await (await mod.select(who, str(rude.number), custom_id=select["custom_id"])).response()
        assert sorted(await painting.pixels()) == [(1, 1), (1, 2), (2, 1), (2, 2)]
        assert len(before) > 4
        await eventually(lambda: "something rude" not in painting.standing.content)
        rows = await services.db.connection.fetch_all("SELECT details FROM audit WHERE act = 'moderation'")
        assert f"took out a piece of <@{harness.ben.id}>" in rows[0]["details"]


async def test_a_server_that_wants_no_canvases_has_none(harness):
    async with harness.bot():
        await (await harness.person(harness.mod).command("config together", harness.channel, canvases=False)).message()
        started = await harness.person(harness.ada).command("canvas start", harness.channel, theme="a sea")
        assert "want no canvases" in await private(started)
        panel = await (await harness.person(harness.mod).command("config panel", harness.channel)).message()
        assert "Canvases" in panel.content


@pytest.mark.parametrize("theme", ["a sea --ar 3:2", "a sea --stealth", "a {red,blue} sea", "a sea --hd"])
async def test_a_theme_that_makes_no_squares_is_given_back(harness, theme):
    async with harness.bot() as services:
        started = await harness.person(harness.ada).command("canvas start", harness.channel, theme=theme)
        assert theme in await private(started)
        assert await services.db.sessions.active() == []


async def test_defaults_that_make_no_squares_are_left_out_of_a_canvas(harness):
    async with harness.bot() as services:
        await run_config(harness, "defaults", parameters="--ar 3:2 --draft --s 250")
        await services.db.preferences.update(harness.ada.id, suffix="--repeat 2 --weird 5")
        painting = await Painting.start(harness, services)
        params = from_dict((await services.db.sessions.get(painting.id)).settings["params"])
    assert (params.aspect, params.draft, params.stylize, params.weird) == ((1, 1), False, 250, 5)


async def test_looking_around_moves_over_the_canvas(harness):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services, width=8, height=8)
        await painting.paint(harness.ada)
        ada = harness.person(harness.ada)
        part = await (await ada.press(painting.standing, "🔭 Look around")).message()
        for label in ("➕", "➕", "⬅️", "⬇️", "➖"):
            (shown,) = part.attachments
            await (await ada.press(part, label)).response()
            await eventually(lambda before=shown: [each.id for each in part.attachments] != [before.id])
        assert part.attachments[0].filename == "part.webp"
        look = await (await ada.command("canvas look", harness.channel)).message()
        assert look.ephemeral
        assert "🖌️ Paint here" in look.labels


async def test_a_look_is_answered_before_the_cells_are_read(harness, monkeypatch):
    release, draw = asyncio.Event(), CanvasPictures.window

    async def wait_and_draw(*arguments):
        await release.wait()
        return await draw(*arguments)

    monkeypatch.setattr(CanvasPictures, "window", wait_and_draw)
    async with harness.bot() as services:
        painting = await Painting.start(harness, services)
        await painting.paint(harness.ada)
        look = await harness.person(harness.ada).press(painting.standing, "🔭 Look around")
        await look.response()
        release.set()
        part = await look.message()
        assert part.ephemeral
        assert part.attachments[0].filename == "part.webp"


async def test_every_picture_of_a_canvas_with_a_sensitive_piece_is_hidden(harness):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services)
        await painting.paint(harness.ada)
        await services.db.connection.write("UPDATE canvas_pieces SET sensitive = 1", {})
        ben = harness.person(harness.ben)
        shown = [
            await (await ben.press(painting.standing, label)).message()
            for label in ("🖌️ Paint here", "🔭 Look around", "📜 Who did what")
        ]
        assert [message.attachments[0].filename for message in shown] == [
            "SPOILER_canvas.webp",
            "SPOILER_part.webp",
            "SPOILER_credits.webp",
        ]


async def test_a_restart_offers_the_candidates_again(harness):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services)
        await painting.candidates(harness.ada, "a boat")
    async with harness.bot() as services:
        painting.services = services
        again = await (await harness.person(harness.ada).press(painting.standing, "🖌️ Paint here")).message()
        await harness.person(harness.ada).press(again, "2")
        await eventually(lambda: '"a boat"' in painting.standing.content)
        (piece,) = await services.db.canvases.pieces(painting.id)
        assert piece.tile.index == 1


async def test_a_restored_canvas_ends_with_its_picture(harness):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services)
        await painting.paint(harness.ben, "a pier")
        await services.db.connection.write("UPDATE collab_sessions SET phase = 'restored', due_at = 0", {})
    async with harness.bot() as services:
        painting.services = services
        last = await harness.server.wait_for(
            harness.channel, lambda message: "restored from a backup" in message.content
        )
        assert last.attachments[0].filename == "canvas.webp"
        await painting.until(lambda session: session.ended_at is not None)
        await eventually(lambda: "🖌️ Paint here" not in painting.standing.labels)


async def test_a_backup_has_the_cells_and_the_sweep_keeps_them(harness, tmp_path):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services)
        await painting.paint(harness.ada, "a boat")
        await painting.candidates(harness.ben, "a pier")
        files = services.images.files
        stray = files.cell_path(f"{painting.id}-{'0' * 12}-0-0-0", "png")
        stray.write_bytes(b"cut, but never placed")
        harness.server.world.clock.advance(3 * 24 * 3600)
        retention = Retention(services.db.connection, files, 0, no_days, services.clock)
        await retention.sweep()
        assert not stray.exists()
        assert len(await painting.pixels()) == 4
    backup = tmp_path / "backup.zip"
    create_backup(harness.folder / "data", backup)
    with zipfile.ZipFile(backup) as packed:
        assert sum(name.startswith("cells/") for name in packed.namelist()) == 8


async def no_days():
    return {}


async def test_texts_of_a_canvas_are_german_in_a_german_server(harness):
    async with harness.bot() as services:
        mod = harness.person(harness.mod)
        await (await mod.command("config language", harness.channel, language="Deutsch")).message()
        await harness.person(harness.ada).command("canvas start", harness.channel, theme="ein Hafen", width=4, height=4)
        standing = await harness.server.wait_for(harness.channel, lambda message: "Alle malen mit" in message.content)
        assert "🖌️ Hier malen" in standing.labels
        assert services is not None


async def test_an_old_message_is_posted_anew(harness):
    async with harness.bot() as services:
        painting = await Painting.start(harness, services)
        first = painting.standing
        painting.pass_time(3600)
        await painting.paint(harness.ada, "a boat")
        await eventually(lambda: first.deleted and "4 of 16" in painting.standing.content)
        assert painting.standing.id != first.id
        assert (await services.db.sessions.get(painting.id)).message_id == painting.standing.id
        harness.server.core.delete_message(painting.standing)
        handler = harness.client.sessions.handler(CanvasHandler)
        handler.message.refresh(painting.id)
        await harness.server.wait_for(harness.channel, lambda message: "4 of 16" in message.content)


async def test_painters_enter_the_finished_picture_in_a_contest(harness):
    async with harness.bot() as services:
        await (
            await harness.person(harness.mod).command("config contest", harness.channel, channel=harness.channel)
        ).message()
        painting = await Painting.start(harness, services, width=3, height=3)
        await painting.paint(harness.ben, "a pier")
        await harness.person(harness.ada).command("canvas finish", harness.channel)
        await painting.until(lambda session: session.ended_at is not None)
        job_id = (await services.db.sessions.round(painting.id, 1)).job_id
        assert job_id in await services.db.contests.own_pictures(harness.guild.id, harness.ben.id, 10)
        assert job_id not in await services.db.contests.own_pictures(harness.guild.id, harness.mod.id, 10)
