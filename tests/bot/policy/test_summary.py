"""The summary of a server's settings."""

from __future__ import annotations

import pytest

from bot.policy.settings import LIMIT_RANGES, GuildSettings, ResultPlacement, RoleLimits
from bot.policy.summary import MAX_LENGTH, PLACEMENT_LABELS, settings_summary
from cogs.config.commands import ConfigGroup
from cogs.config.panel_fields import PLACEMENT_CHOICES
from tests.support.languages import run_in

GUILD = 10**18
EVERYTHING = {name: most for name, (_, most) in LIMIT_RANGES.items()}


@pytest.mark.parametrize(
    ("language", "more", "more_roles"),
    [("en", "and 498 more", "and 198 more roles"), ("de", "und 498 weitere", "und 198 weitere Rollen")],
)
def test_five_hundred_channels_and_two_hundred_roles_fit_into_one_message(language, more, more_roles):
    roles = tuple(range(GUILD + 1, GUILD + 201))
    text = run_in(
        language,
        settings_summary,
        GuildSettings(
            defaults="--no " + "x" * 495,
            channels=tuple(range(GUILD, GUILD + 500)),
            delivery=ResultPlacement.GALLERY,
            gallery=GUILD,
            log_channel=GUILD,
            fast_roles=roles,
            upscale_roles=roles,
            repeat_roles=roles,
            permutation_roles=roles,
            bounds={role: RoleLimits(**EVERYTHING) for role in roles},
        ),
        GUILD,
        10_000,
    )
    assert len(text) <= MAX_LENGTH
    assert more in text
    assert more_roles in text


def test_counts_of_one_are_singular():
    settings = GuildSettings(retention_days=1, permutations=1, bounds={GUILD: RoleLimits(jobs_a_day=1, steps=1)})
    text = settings_summary(settings, GUILD, 0)
    for words in ("1 day\n", "up to 1 job at once", "@everyone: 1 job a day, at most 1 step"):
        assert words in text
    text = run_in("de", settings_summary, settings, GUILD, 0)
    for words in ("1 Tag\n", "bis zu 1 Auftrag auf einmal", "@everyone: 1 Auftrag am Tag, höchstens 1 Schritt"):
        assert words in text


def test_all_names_are_shown_if_there_is_room():
    roles = tuple(range(GUILD + 1, GUILD + 16))
    text = settings_summary(GuildSettings(fast_roles=roles), GUILD, 0)
    assert all(f"<@&{role}>" in text for role in roles)


@pytest.mark.parametrize(("delivery", "words"), [(each, words) for each, words in PLACEMENT_LABELS.items()])
def test_the_summary_uses_the_labels_of_the_result_placements(delivery, words):
    settings = GuildSettings(delivery=delivery, gallery=GUILD if delivery is ResultPlacement.GALLERY else None)
    shown = "in the gallery <#" if delivery is ResultPlacement.GALLERY else f"in {words}"
    assert shown in settings_summary(settings, GUILD, 0)


def test_the_command_and_the_panel_offer_the_same_result_placements():
    (where,) = (option for option in ConfigGroup.results.parameters if option.name == "where")
    assert {choice.name: ResultPlacement(choice.value) for choice in where.choices} == {
        words: each for each, words in PLACEMENT_LABELS.items()
    }
    assert {f"In {choice.name}" for choice in where.choices} - PLACEMENT_CHOICES.keys() == {"In a gallery"}
    assert set(PLACEMENT_CHOICES.values()) == set(ResultPlacement) - {ResultPlacement.GALLERY}
