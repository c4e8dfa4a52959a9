"""Import the bot and the engine as their processes do: a fork server imports this before it forks them."""

from __future__ import annotations

from generation.engine.device.lean_imports import import_libraries, without_garbage_collection

with without_garbage_collection():
    import_libraries()
    import bot.app
    import bot.cli
    import bot.doctor.run  # noqa: F401
    import generation.engine.networks.pipeline_loader
    import generation.engine.serving.multi_model_engine  # noqa: F401
