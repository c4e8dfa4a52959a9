"""The servers that may use the bot."""

from __future__ import annotations

import pytest

from bot.allowlist import refusal

OURS, OTHER = 1441155180072407040, 175928847299117063


@pytest.mark.parametrize(
    ("allowed", "guild_id", "refused"),
    [
        ((), OTHER, False),
        ((), None, False),
        ((OURS,), OURS, False),
        ((OURS,), OTHER, True),
        ((OURS,), None, False),
    ],
)
def test_a_list_closes_the_bot_to_other_servers_only(allowed, guild_id, refused):
    assert (refusal(frozenset(allowed), guild_id) is not None) is refused
