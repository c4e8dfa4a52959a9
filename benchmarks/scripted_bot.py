"""The bot with the scripted engine of its tests in place of a model: it starts fast, so it can be killed often."""

from __future__ import annotations

import asyncio
import os

import bot.app
from bot.config import Config
from bot.services import load_registry
from generation import logs
from generation.worker.devices import list_devices, worker_names
from generation.worker.fleet import Fleet
from generation.worker.worker import LocalWorker
from main import cancel_on_signals
from tests.support import fake_engine


def make_fleet(config: Config) -> Fleet:
    """Build workers like those of `main.py`, with the scripted engine."""
    registry, names = load_registry(config), worker_names(list_devices(config.device))
    capacity = config.jobs_at_once or 2
    return Fleet([LocalWorker(registry, load=fake_engine.load, capacity=capacity, name=name) for name in names])


def main() -> None:
    """Run the bot."""
    config = Config.read(os.environ)
    logs.configure(logs.LogConfig(level=config.log_level, style=config.log_format))
    bot.app.make_fleet = make_fleet
    asyncio.run(_run(config))


async def _run(config: Config) -> None:
    cancel_on_signals()
    await bot.app.run(config)


if __name__ == "__main__":  # the engine's process imports this file again
    main()
