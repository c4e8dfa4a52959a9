"""A GPU process as the bot sees it."""

from __future__ import annotations

import asyncio
import os
import signal
import struct

from generation.messages import Event
from generation.worker.process import GpuProcess
from tests.support.timing import TIMEOUT_S


def die_in_a_message(emit):
    """Write the beginning of a message, then end like a process that the system kills."""
    os.write(emit.__self__._pipe.fileno(), struct.pack("!i", 1_000_000) + b"the beginning of a picture")
    os.kill(os.getpid(), signal.SIGKILL)


async def test_a_kill_in_the_middle_of_a_message_is_no_error_of_the_process():
    events: list[Event] = []
    ended = asyncio.get_running_loop().create_future()
    GpuProcess(die_in_a_message, events.append, ended.set_result)
    assert await asyncio.wait_for(ended, TIMEOUT_S) == -signal.SIGKILL
    assert not events
