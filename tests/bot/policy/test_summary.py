"""The summary of a server's settings."""

from __future__ import annotations

import pytest

from bot.policy.settings import LIMIT_RANGES, GuildSettings, ResultPlacement, RoleLimits
from bot.policy.summary import MAX_LENGTH, PLACEMENT_LABELS, settings_summary
from cogs.config.commands import ConfigGroup
from cogs.config.panel_fields import PLACEMENT_CHOICES

GUILD = 10**18
EVERYTHING = {name: most for name, (_, most) in LIMIT_RANGES.items()}


def test_five_hundred_channels_and_two_hundred_roles_fit_into_one_message():
    roles = tuple(range(GUILD + 1, GUILD + 201))
    text = settings_summary(
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
    assert "and 498 more" in text
    assert "and 198 more roles" in text


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
