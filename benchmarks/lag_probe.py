"""Record the lag of the bot's event loop, or of an empty one.

`python -m benchmarks.lag_probe FILE bot` starts the bot as `python main.py` does; `FILE alone` runs an empty loop.
Each line of FILE has a time (time.monotonic) and the seconds by which a short sleep until then was too long.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TextIO

PERIOD_S = 0.01


async def write_lag(out: TextIO) -> None:
    """Measure until cancelled."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(PERIOD_S)
        now = time.monotonic()
        out.write(f"{now} {now - before - PERIOD_S}\n")


class ProbedEventLoopPolicy(asyncio.DefaultEventLoopPolicy):
    """Creates event loops that record their own lag from the start."""

    def __init__(self, out: TextIO) -> None:
        super().__init__()
        self._out = out
        self._probe: asyncio.Task[None] | None = None

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """Return a new loop with a probe task."""
        loop = super().new_event_loop()
        self._probe = loop.create_task(write_lag(self._out))
        return loop


def main() -> int:
    """Run the target that the command line names."""
    file, target = sys.argv[1:]
    with Path(file).open("w", buffering=1) as out:
        if target == "alone":
            asyncio.run(write_lag(out))
        asyncio.set_event_loop_policy(ProbedEventLoopPolicy(out))
        import main as bot_main

        sys.argv = ["main.py"]
        return bot_main.main()


if __name__ == "__main__":  # the GPU process imports this file again
    sys.exit(main())
