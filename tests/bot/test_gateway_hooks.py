"""Events from servers that may not use the bot are answered before discord.py dispatches them."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("locale", "expected"), [("de", "auf diesem Server nicht freigeschaltet"), ("en-US", "not open to this server")]
)
async def test_a_denial_is_in_the_language_of_the_server(harness, locale, expected):
    other = harness.server.world.add_guild("Other", harness.ada)
    other.locale = locale
    channel = harness.server.world.add_channel(other)
    async with harness.bot(allowed_guilds=frozenset({harness.guild.id})):
        answer = await (await harness.imagine("a fox", channel=channel)).message()
        assert answer.ephemeral
        assert expected in answer.content
