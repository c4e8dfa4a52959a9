"""Write down how late an event loop is: in the shipped bot's loop, or in one that has nothing else to do.

`python -m benchmarks.lag_probe FILE bot` starts the bot as `python main.py` does; `FILE alone` only measures.
Each line of FILE is a time (time.monotonic) and the seconds by which a short sleep that ended then was too long.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TextIO

PERIOD_S = 0.01  # seconds


async def write_lag(out: TextIO) -> None:
    """Measure until cancelled."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(PERIOD_S)
        now = time.monotonic()
        out.write(f"{now} {now - before - PERIOD_S}\n")


class ProbedEventLoopPolicy(asyncio.DefaultEventLoopPolicy):
    """Makes event loops that measure their own lag from their first turn on."""

    def __init__(self, out: TextIO) -> None:
        super().__init__()
        self._out = out
        self._probe: asyncio.Task[None] | None = None

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """Make a loop with a probe in it."""
        loop = super().new_event_loop()
        self._probe = loop.create_task(write_lag(self._out))
        return loop


def main() -> int:
    """Start what the command line asks for."""
    file, what = sys.argv[1:]
    with Path(file).open("w", buffering=1) as out:
        if what == "alone":
            asyncio.run(write_lag(out))
        asyncio.set_event_loop_policy(ProbedEventLoopPolicy(out))
        import main as shipped

        sys.argv = ["main.py"]
        return shipped.main()


if __name__ == "__main__":  # the GPU process imports this file again
    sys.exit(main())
