"""The owners' settings in words."""

from __future__ import annotations

from bot.policy.describe import LONGEST, overview
from bot.policy.settings import BOUND_RANGES, Bounds, Delivery, GuildSettings

GUILD = 10**18
EVERYTHING = {name: most for name, (_, most) in BOUND_RANGES.items()}


def test_five_hundred_channels_and_two_hundred_roles_fit_into_one_message():
    roles = tuple(range(GUILD + 1, GUILD + 201))
    text = overview(
        GuildSettings(
            defaults="--no " + "x" * 495,
            channels=tuple(range(GUILD, GUILD + 500)),
            delivery=Delivery.GALLERY,
            gallery=GUILD,
            log_channel=GUILD,
            fast_roles=roles,
            upscale_roles=roles,
            repeat_roles=roles,
            permutation_roles=roles,
            bounds={role: Bounds(**EVERYTHING) for role in roles},
        ),
        GUILD,
        10_000,
    )
    assert len(text) <= LONGEST
    assert "and 498 more" in text
    assert "and 198 more roles" in text


def test_what_there_is_room_for_is_named():
    roles = tuple(range(GUILD + 1, GUILD + 16))
    text = overview(GuildSettings(fast_roles=roles), GUILD, 0)
    assert all(f"<@&{role}>" in text for role in roles)
