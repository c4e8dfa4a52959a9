"""Whether the LoRAs and the learnt words that lie in the folders can be used, and with a model that is here."""

from __future__ import annotations

from collections.abc import Sequence

from bot.config import Config
from bot.doctor.result import CheckResult, failed, passed
from generation.errors import UserError
from generation.models.adapters import Adapters, is_compatible, scan_adapters
from generation.models.lora import Lora
from generation.models.registry import ModelRegistry
from generation.models.textual_inversion import TextualInversion

FIX_FOLDERS = "Set LORAS and EMBEDDINGS to folders that exist, or leave them out."
FIX_FILE = "Take it out of the folder, or put a file there that can be used: it is left out otherwise."


def check_adapters(config: Config) -> list[CheckResult]:
    """Look through the folders that LORAS and EMBEDDINGS name; nothing is found where they name none."""
    if not (config.loras or config.embeddings):
        return []
    try:
        adapters, unusable = scan_adapters(config.loras, config.embeddings)
    except FileNotFoundError as error:
        return [failed("additions", str(error), FIX_FOLDERS)]
    text = f"LoRAs: {len(adapters.loras)}, learnt words: {len(adapters.embeddings)}"
    if incompatible := _incompatible(adapters, config.models):
        text += f"; made for none of the models: {', '.join(incompatible)}"
    return [passed("additions", text), *(failed("additions", reason, FIX_FILE) for reason in unusable)]


def _incompatible(adapters: Adapters, refs: Sequence[str]) -> list[str]:
    try:
        models = ModelRegistry.from_refs(refs).models
    except (FileNotFoundError, UserError):  # which another check tells
        return []
    everything: list[Lora | TextualInversion] = [*adapters.loras, *adapters.embeddings]
    return [each.name for each in everything if not any(is_compatible(each, model) for model in models)]
