"""The real bot with a fake engine that needs no torch; the preview starts it in the tests of the page."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from bot import app
from bot.config import Config
from bot.jobs import status_message
from generation.models.registry import ModelRegistry
from generation.worker.fleet import Fleet
from generation.worker.worker import LocalWorker
from tests.support import fake_engine


def make_model(folder: Path) -> Path:
    """Write the folder of the fake model. A test controls the engine by files in it, such as `go`."""
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text('{"_class_name": "Painter"}')
    defaults = {"name": "Painter", "native_size": 64, "size_multiple": 8, "num_inference_steps": 4}
    (folder / "atelier.json").write_text(json.dumps(defaults))
    return folder


if __name__ == "__main__":
    status_message.EDIT_INTERVAL_S = 0.1
    app.make_fleet = lambda config: Fleet(
        [LocalWorker(ModelRegistry.from_refs(config.models), load=fake_engine.load, capacity=config.jobs_at_once)]
    )
    asyncio.run(app.run(Config.read(os.environ)))
