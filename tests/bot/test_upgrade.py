"""Data of version 0.1.0 keeps working: its rows, its files and the buttons of its messages.

Version 0.1.0 wrote `tests/released/2026-11`: a server with every kind of message that has buttons, and a bot that was
stopped while one job was running and another waiting.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from discord.http import Route

from db.connection import DATABASE_FILE
from preview import FakeDiscord
from preview.state.persistence import load_world
from preview.state.world import walk_components
from preview.validation.components import STRING_SELECT
from tests.support.bot_harness import BotHarness, eventually, make_model

RELEASED = Path(__file__).parents[1] / "released" / "2026-11"


class ReleasedDataHarness(BotHarness):
    """Today's bot with the old server and data folder."""

    def __init__(self, server: FakeDiscord, folder: Path) -> None:
        self.server, self.folder, self.model = server, folder, folder / "model"
        world = server.world
        (self.guild,) = world.guilds.values()
        (self.channel,) = (channel for channel in world.channels.values() if channel.name == "general")
        people = {user.name: user for user in world.users.values()}
        self.ada, self.ben, self.mod = people["ada"], people["ben"], people["mod"]
        self.settings = {}
        self._make_database = lambda path: path  # the old one is there


@pytest.fixture
async def harness(tmp_path, monkeypatch) -> AsyncIterator[ReleasedDataHarness]:
    make_model(tmp_path / "model", name="Painter", native_size=64)
    shutil.copytree(RELEASED / "files", tmp_path / "data")
    with closing(sqlite3.connect(tmp_path / "data" / DATABASE_FILE)) as sqlite:
        sqlite.executescript((RELEASED / "store.sql").read_text(encoding="utf-8"))
    world = load_world(json.loads((RELEASED / "world.json").read_text(encoding="utf-8")))
    async with FakeDiscord(world, limits=()) as server:
        monkeypatch.setattr(Route, "BASE", server.api_url)
        yield ReleasedDataHarness(server, tmp_path)
    assert not server.crashes
    assert not server.violations


def old_message(harness, *, content="", label=None):
    """Return the first message with this content or button."""
    return next(
        message
        for message in harness.server.messages(harness.channel)
        if content in message.content and (label is None or label in message.labels)
    )


def is_error(answer):
    return "went wrong" in str(answer.data)


async def test_unfinished_jobs_are_resumed(harness):
    harness.release_slow_jobs()
    async with harness.bot():
        await harness.result(text="slow owl")
        await harness.result(text="a cat")
        await harness.server.wait_until(
            lambda: not any("%" in status_message.content for status_message in harness.status_messages())
        )


async def test_old_images_favourites_and_settings_are_kept(harness):
    harness.release_slow_jobs()
    async with harness.bot() as services:
        record = await services.db.jobs.get("6d9309111ba2")
        assert record.job.params.seed == 5
        assert (await services.policy.settings(harness.guild.id)).log_channel == harness.channel.id
        (favourite,) = await harness.person(harness.ada).autocomplete("favourites", harness.channel, "picture", "fox")
        assert "a fox" in favourite["name"]


async def test_every_button_of_an_image_is_answered(harness):
    harness.release_slow_jobs()
    async with harness.bot():
        await eventually(lambda: not harness.tasks)
        picture = old_message(harness, label="Details")
        for button in picture.buttons:
            pressed = await harness.person(harness.ada).press(picture, custom_id=button["custom_id"])
            answer = await pressed.response()
            assert not is_error(answer), button["custom_id"]
        await eventually(lambda: not harness.tasks)
        assert len(harness.results()) > 10


async def test_every_button_of_a_grid_is_answered(harness):
    harness.release_slow_jobs()
    async with harness.bot():
        await eventually(lambda: not harness.tasks)
        before = len(harness.results())
        grid = old_message(harness, label="U1")
        for button in grid.buttons:
            pressed = await harness.person(harness.ada).press(grid, custom_id=button["custom_id"])
            await pressed.response()
        await harness.server.wait_until(lambda: len(harness.results()) == before + len(grid.buttons))
        await eventually(lambda: not harness.tasks)


async def test_every_old_private_message_is_answered(harness):
    harness.release_slow_jobs()
    async with harness.bot():
        await eventually(lambda: not harness.tasks)
        pressed = 0
        for message in [each for each in harness.server.messages(harness.channel) if each.ephemeral]:
            person = harness.person(harness.server.world.users[message.visible_to])
            for part in walk_components(message.components):
                if part.get("custom_id") and part["type"] == 2 and not part.get("disabled"):
                    answer = await (await person.press(message, custom_id=part["custom_id"])).response()
                    assert not is_error(answer), part["custom_id"]
                    pressed += 1
        assert pressed > 20


async def test_a_modal_that_was_open_can_be_submitted(harness):
    harness.release_slow_jobs()
    async with harness.bot():
        await eventually(lambda: not harness.tasks)
        ada = harness.person(harness.ada)
        opened = await ada.press(old_message(harness, content="huge bear"), custom_id="retry:0a6ebed73447")
        assert (await opened.modal())["custom_id"].startswith("prompt:")
        await ada.submit_modal(opened, prompt="a small bear")
        await harness.result(text="a small bear")
        await eventually(lambda: not harness.tasks)


async def test_an_old_report_can_be_handled(harness):
    harness.release_slow_jobs()
    async with harness.bot():
        await eventually(lambda: not harness.tasks)
        report = old_message(harness, content="not nice")
        answer = await (await harness.person(harness.mod).press(report, custom_id="report:dismiss:1")).response()
        assert not is_error(answer)


async def test_every_select_of_the_old_private_messages_gets_an_answer(harness):
    harness.release_slow_jobs()
    async with harness.bot():
        await eventually(lambda: not harness.tasks)
        chosen = 0
        for message in [each for each in harness.server.messages(harness.channel) if each.ephemeral]:
            person = harness.person(harness.server.world.users[message.visible_to])
            selects = [part for part in walk_components(message.components) if part["type"] == STRING_SELECT]
            for select in selects:
                option = select["options"][-1]
                used = await person.select(message, option["label"], custom_id=select["custom_id"])
                assert not is_error(await used.response()), select["custom_id"]
                chosen += 1
        assert chosen > 3
