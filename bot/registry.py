"""Load the registry of the configured models and adapters."""

from __future__ import annotations

import logging

from bot.config import Config
from generation.models.adapters import scan_adapters
from generation.models.registry import ModelRegistry

log = logging.getLogger(__name__)


def load_registry(config: Config) -> ModelRegistry:
    """Load the registry of the configured models and adapters; unusable files of adapters are left out.

    Raises FileNotFoundError if a model or folder does not exist, and UserError if a model cannot be used.
    """
    adapters, unusable = scan_adapters(config.loras, config.embeddings, config.controls, config.image_adapters)
    for reason in unusable:
        log.warning("left out: %s", reason)
    return ModelRegistry.from_refs(config.models, adapters)
