"""What sessions do beside their steps."""

from __future__ import annotations

import asyncio
import gc


async def test_work_that_nobody_waits_for_fails_with_a_word_and_ends_with_the_bot(harness, caplog):
    begun = asyncio.Event()

    async def fail():
        raise RuntimeError("a fault")

    async def wait():
        begun.set()
        await asyncio.Event().wait()

    async with harness.bot():
        sessions = harness.client.sessions
        sessions.spawn(fail(), "this could not be done")
        sessions.spawn(wait(), "never")
        await begun.wait()
        assert "this could not be done" in caplog.text
        caplog.clear()
        sessions.spawn(wait(), "never")  # it has not begun when the bot stops
        await sessions.stop()
    gc.collect()  # a coroutine that was never awaited would be an error
    assert "never" not in caplog.text
