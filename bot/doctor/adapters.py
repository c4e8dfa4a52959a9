"""Check that the LoRAs, embeddings, ControlNets and IP-Adapters in the folders can be used, and with which models."""

from __future__ import annotations

from collections.abc import Sequence

from bot.config import Config
from bot.doctor.result import CheckResult, failed, passed
from generation.errors import UserError
from generation.models.adapters import Adapter, Adapters, is_compatible, scan_adapters
from generation.models.registry import ModelRegistry

FIX_FOLDERS = "Set LORAS, EMBEDDINGS, CONTROLS and IMAGE_ADAPTERS to existing folders, or leave them empty."
FIX_FILE = "Remove or replace this file: the bot ignores it."


def check_adapters(config: Config) -> list[CheckResult]:
    """Check the folders that LORAS, EMBEDDINGS, CONTROLS and IMAGE_ADAPTERS name; return nothing if none is set."""
    folders = config.loras, config.embeddings, config.controls, config.image_adapters
    if not any(folders):
        return []
    try:
        adapters, unusable = scan_adapters(*folders)
    except FileNotFoundError as error:
        return [failed("adapters", str(error), FIX_FOLDERS)]
    text = f"LoRAs: {len(adapters.loras)}, embeddings: {len(adapters.embeddings)}"
    text += f", ControlNets: {len(adapters.controls)}" if config.controls else ""
    text += f", IP-Adapters: {len(adapters.images)}" if config.image_adapters else ""
    if incompatible := _incompatible(adapters, config.models):
        text += f"; compatible with none of the models: {', '.join(incompatible)}"
    return [passed("adapters", text), *(failed("adapters", reason, FIX_FILE) for reason in unusable)]


def _incompatible(adapters: Adapters, refs: Sequence[str]) -> list[str]:
    try:
        models = ModelRegistry.from_refs(refs).models
    except (FileNotFoundError, UserError):  # `check_models` reports it
        return []
    everything: list[Adapter] = [*adapters.loras, *adapters.embeddings, *adapters.controls, *adapters.images]
    return [each.name for each in everything if not any(is_compatible(each, model) for model in models)]
