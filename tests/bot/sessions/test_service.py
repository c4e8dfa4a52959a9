"""What sessions do beside their steps."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress


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


async def test_a_stop_does_not_wait_for_work_that_cannot_be_interrupted(harness):
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def read():
        begun.set()
        while not may_end.is_set():
            with suppress(asyncio.CancelledError):  # as a worker does until its step has ended
                await may_end.wait()

    async with harness.bot():
        harness.client.sessions.spawn(read(), "this could not be done")
        await begun.wait()
        await harness.client.sessions.stop()
        may_end.set()
