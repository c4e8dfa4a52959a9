"""What owners can set: through JSON and back, and the bounds of somebody with several roles."""

from __future__ import annotations

import json

import pytest

from bot.policy.settings import (
    BOUND_RANGES,
    Bounds,
    Delivery,
    GuildSettings,
    Sensitive,
    check_bound,
    from_dict,
    to_dict,
)
from generation.errors import UserError

GUILD, PATRONS, HELPERS = 1, 21, 22
FULL = GuildSettings(
    defaults="--ar 3:2",
    models=("painter",),
    channels=(5, 6),
    delivery=Delivery.GALLERY,
    gallery=7,
    fast_roles=(PATRONS,),
    upscale_roles=(PATRONS,),
    repeat_roles=(PATRONS,),
    permutation_roles=(HELPERS,),
    bounds={
        GUILD: Bounds(running=1, jobs_a_day=10, cooldown=60),
        PATRONS: Bounds(jobs_a_day=100, cooldown=5, steps=50),
    },
    permutations=4,
    stealth=False,
    retention_days=30,
    language="de",
    log_channel=8,
    sensitive=Sensitive.WITHHOLD,
)


@pytest.mark.parametrize("settings", [GuildSettings(), FULL], ids=["nothing set", "everything set"])
def test_settings_are_the_same_after_a_trip_through_json(settings):
    assert from_dict(json.loads(json.dumps(to_dict(settings)))) == settings


def test_the_full_example_sets_everything():
    assert to_dict(FULL).keys() == GuildSettings.__dataclass_fields__.keys()


def test_only_what_differs_from_the_defaults_is_kept_so_that_defaults_can_improve():
    assert to_dict(GuildSettings()) == {}
    assert to_dict(GuildSettings(stealth=False)) == {"stealth": False}


def test_what_another_version_wrote_is_no_trouble():
    assert from_dict({"no_longer_known": 1, "bounds": {"5": {"running": 2, "gone": 3}}}).bounds == {
        5: Bounds(running=2)
    }


def test_of_several_roles_the_most_generous_counts_bound_by_bound():
    assert FULL.bounds_of(GUILD, []) == Bounds(running=1, jobs_a_day=10, cooldown=60)
    assert FULL.bounds_of(GUILD, [PATRONS, HELPERS]) == Bounds(running=1, jobs_a_day=100, cooldown=5, steps=50)
    assert GuildSettings().bounds_of(GUILD, [PATRONS]) == Bounds()


@pytest.mark.parametrize("name", BOUND_RANGES)
def test_a_bound_that_makes_no_sense_is_refused_with_what_does(name):
    least, most = BOUND_RANGES[name]
    assert (check_bound(name, least), check_bound(name, most)) == (least, most)
    for value in (-1, most + 1):
        with pytest.raises(UserError, match=f"must be from {least:,} to {most:,}, not {value:,}"):
            check_bound(name, value)
