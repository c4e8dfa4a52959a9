"""Where the bot may not post, no session begins that could not go on."""

from __future__ import annotations

import asyncio

import pytest

from preview.state import permissions
from tests.support.timing import TIMEOUT_S

STARTS = (("jam start", {"prompt": "a castle"}), ("telephone start", {}), ("canvas start", {"theme": "a harbour"}))


@pytest.mark.parametrize(("command", "options"), STARTS)
@pytest.mark.parametrize("denied", [permissions.SEND_MESSAGES, permissions.ATTACH_FILES])
async def test_no_session_begins_where_the_bot_may_not_post(harness, command, options, denied):
    closed = harness.server.world.add_channel(harness.guild, "closed", bot_denied=denied)
    async with harness.bot() as services:
        refused = await (await harness.person(harness.ada).command(command, closed, **options)).message()
        assert refused.ephemeral
        assert "send messages and files here" in refused.content
        assert await services.db.sessions.active() == []


@pytest.mark.parametrize(("command", "options"), STARTS[:2])
async def test_a_session_stays_in_a_channel_if_threads_are_closed(harness, command, options):
    denied = permissions.SEND_MESSAGES_IN_THREADS
    channel = harness.server.world.add_channel(harness.guild, "no-threads", bot_denied=denied)
    async with harness.bot() as services:
        begun = await (await harness.person(harness.ada).command(command, channel, **options)).message()
        assert not begun.ephemeral
        assert (await _placed(services)).thread_id is None


async def _placed(services):
    """Wait until it is stored where the session takes place."""
    async with asyncio.timeout(TIMEOUT_S):
        while (session := (await services.db.sessions.active())[0]).message_id is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return session
