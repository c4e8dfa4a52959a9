"""The bot as `main.py` starts it, with a task that writes the number of asyncio tasks to the file `tasks`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import bot.app
import main
from bot.config import Config

INTERVAL_S = 1.0
run = bot.app.run


async def run_and_count(config: Config) -> None:
    """Run the bot and count."""
    counting = asyncio.create_task(_count(Path("tasks")))
    try:
        await run(config)
    finally:
        counting.cancel()


async def _count(file: Path) -> None:
    while True:
        partial = file.with_suffix(".part")
        partial.write_text(str(len(asyncio.all_tasks())))
        partial.replace(file)
        await asyncio.sleep(INTERVAL_S)


if __name__ == "__main__":  # the GPU process imports this file again
    bot.app.run = run_and_count
    sys.exit(main.main())
