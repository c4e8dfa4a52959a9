"""Users' preferences and options are independent and survive concurrent changes."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import fields

import pytest

from db.connection import Connection
from db.preferences import PreferenceStore
from generation.errors import UserError
from generation.job import Speed
from generation.prompt.preferences import MAX_OPTIONS, Preferences, from_dict

ADA, BEN = 11, 12
OTHERS = {
    "suffix": "--ar 3:2 --no 'text', \"日本\"",
    "model": "storybook",
    "stylize": 0,
    "raw": True,
    "high_variation": False,
    "remix": True,
    "private": True,
    "speed": Speed.TURBO,
    "auto_dm": True,
}


@pytest.fixture
def preferences(connection):
    return PreferenceStore(connection)


async def test_a_user_without_preferences_has_the_defaults(preferences):
    assert await preferences.get(ADA) == Preferences()


def test_every_preference_is_tested():
    assert OTHERS.keys() == {field.name for field in fields(Preferences)}


@pytest.mark.parametrize("name", OTHERS)
async def test_a_preference_changes_no_other_one_and_no_other_user(preferences, name):
    changed = await preferences.update(ADA, **{name: OTHERS[name]})
    assert changed == await preferences.get(ADA) == Preferences(**{name: OTHERS[name]})
    assert await preferences.get(BEN) == Preferences()
    assert await preferences.update(ADA, **{name: None}) == Preferences()


async def test_preferences_survive_a_restart(preferences, path):
    await preferences.update(ADA, **OTHERS)
    async with Connection.open(path) as reopened:
        assert await PreferenceStore(reopened).get(ADA) == Preferences(**OTHERS)


async def test_concurrent_changes_do_not_undo_each_other(preferences):
    await asyncio.gather(*(preferences.update(ADA, **{name: value}) for name, value in OTHERS.items()))
    assert await preferences.get(ADA) == Preferences(**OTHERS)


async def test_a_reset_deletes_preferences_and_keeps_options(preferences):
    await preferences.update(ADA, **OTHERS)
    await preferences.set_option(ADA, "mine", "--ar 3:2")
    assert await preferences.reset(ADA) == Preferences() == await preferences.get(ADA)
    assert await preferences.options(ADA) == {"mine": "--ar 3:2"}


async def test_unknown_preferences_of_another_version_are_ignored_and_kept(preferences, path):
    with closing(sqlite3.connect(path)) as sqlite, sqlite:
        row = (ADA, json.dumps({"raw": True, "of a later version": 5}))
        sqlite.execute("INSERT INTO preferences VALUES (?, ?)", row)
    assert await preferences.get(ADA) == Preferences(raw=True) == from_dict({"raw": True, "x": None})
    await preferences.update(ADA, raw=None)
    with closing(sqlite3.connect(path)) as sqlite:
        (text,) = sqlite.execute("SELECT settings FROM preferences").fetchone()
    assert json.loads(text) == {"of a later version": 5}


async def test_options_are_created_changed_listed_and_removed(preferences):
    await preferences.set_option(ADA, "mine", "--ar 3:2")
    await preferences.set_option(ADA, "a", "oil painting --raw")
    await preferences.set_option(ADA, "mine", "--ar 2:3")
    await preferences.set_option(BEN, "mine", "--ar 1:2")
    assert list((await preferences.options(ADA)).items()) == [("a", "oil painting --raw"), ("mine", "--ar 2:3")]
    assert await preferences.remove_option(ADA, "mine")
    assert not await preferences.remove_option(ADA, "mine")
    assert await preferences.options(ADA) == {"a": "oil painting --raw"}
    assert await preferences.options(BEN) == {"mine": "--ar 1:2"}


async def test_the_option_limit_applies_to_concurrent_changes(preferences):
    names = [f"option-{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    outcomes = await asyncio.gather(
        *(preferences.set_option(ADA, name, "--raw") for name in names), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if outcome is not None]
    assert len(refused) == len(names) - MAX_OPTIONS
    assert all(isinstance(outcome, UserError) for outcome in refused)
    stored = await preferences.options(ADA)
    assert len(stored) == MAX_OPTIONS
    await preferences.set_option(ADA, next(iter(stored)), "changed")
    await preferences.set_option(BEN, "mine", "--raw")
    assert "changed" in (await preferences.options(ADA)).values()
