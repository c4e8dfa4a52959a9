"""Guild settings: loading and storing as JSON, and the limits of several roles."""

from __future__ import annotations

import json

import pytest

from bot.policy.settings import (
    LIMIT_RANGES,
    GuildSettings,
    NsfwMode,
    ResultPlacement,
    RoleLimits,
    ThemeBy,
    check_limit,
    from_dict,
    to_dict,
)
from generation.errors import UserError

GUILD, PATRONS, HELPERS = 1, 21, 22
FULL = GuildSettings(
    defaults="--ar 3:2",
    models=("painter",),
    channels=(5, 6),
    delivery=ResultPlacement.GALLERY,
    gallery=7,
    fast_roles=(PATRONS,),
    upscale_roles=(PATRONS,),
    repeat_roles=(PATRONS,),
    permutation_roles=(HELPERS,),
    bounds={
        GUILD: RoleLimits(running=1, jobs_a_day=10, cooldown=60),
        PATRONS: RoleLimits(jobs_a_day=100, cooldown=5, steps=50),
    },
    permutations=4,
    stealth=False,
    retention_days=30,
    language="de",
    log_channel=8,
    sensitive=NsfwMode.WITHHOLD,
    host_roles=(HELPERS,),
    min_account_days=1,
    min_member_hours=0,
    sessions_at_once=1,
    quiet_channels=(9,),
    session_cost=20,
    contest_channel=10,
    contest_days=14,
    contest_vote_days=3,
    contest_theme_by=ThemeBy.ROOM,
    contest_role=11,
    contest_themes=("whales", "a window at night"),
    contest_event=True,
    canvases=False,
    telephones=False,
    gallery_pages=False,
    gallery_hidden=(10,),
    gallery_names=False,
)


@pytest.mark.parametrize("settings", [GuildSettings(), FULL], ids=["nothing set", "everything set"])
def test_settings_survive_a_round_trip_through_json(settings):
    assert from_dict(json.loads(json.dumps(to_dict(settings)))) == settings


def test_the_full_example_sets_everything():
    assert to_dict(FULL).keys() == GuildSettings.__dataclass_fields__.keys()


def test_only_values_that_differ_from_the_defaults_are_stored():
    assert to_dict(GuildSettings()) == {}
    assert to_dict(GuildSettings(stealth=False)) == {"stealth": False}


def test_settings_of_another_version_can_be_loaded():
    assert from_dict({"no_longer_known": 1, "bounds": {"5": {"running": 2, "gone": 3}}}).bounds == {
        5: RoleLimits(running=2)
    }


def test_of_several_roles_the_most_generous_value_of_each_limit_applies():
    assert FULL.limits_for(GUILD, []) == RoleLimits(running=1, jobs_a_day=10, cooldown=60)
    assert FULL.limits_for(GUILD, [PATRONS, HELPERS]) == RoleLimits(running=1, jobs_a_day=100, cooldown=5, steps=50)
    assert GuildSettings().limits_for(GUILD, [PATRONS]) == RoleLimits()


@pytest.mark.parametrize("name", LIMIT_RANGES)
def test_a_limit_out_of_range_is_refused_naming_the_range(name):
    least, most = LIMIT_RANGES[name]
    assert (check_limit(name, least), check_limit(name, most)) == (least, most)
    for value in (-1, most + 1):
        with pytest.raises(UserError, match=f"must be from {least:,} to {most:,}, not {value:,}"):
            check_limit(name, value)
