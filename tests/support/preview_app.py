"""Run the preview with the fake bot: `python -m tests.support.preview_app FOLDER PORT`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from main import cancel_on_signals
from preview import FakeDiscord
from preview.app import run
from tests.support.timing import RESPONSE_TIMEOUT_S, TIMEOUT_S

ABOUT = {"model": "Painter", "known": {"colours": ["red", "teal"]}, "examples": ["a red boat on the sea"]}


async def serve(bot: list[str]) -> int:
    """Run the preview until SIGTERM, as main.py does."""
    cancel_on_signals()
    return await run(bot, os.environ, Path(sys.argv[1]), ABOUT, port=int(sys.argv[2]), browser=False)


if __name__ == "__main__":
    FakeDiscord.wait_timeout, FakeDiscord.response_timeout = TIMEOUT_S, RESPONSE_TIMEOUT_S
    bot = [sys.executable, "-m", "tests.support.fake_bot"]
    sys.exit(asyncio.run(serve(bot)))
