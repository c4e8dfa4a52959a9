"""Whether the LoRAs and the learnt words that lie in the folders can be used, and with a model that is here."""

from __future__ import annotations

from collections.abc import Sequence

from bot.config import Config
from bot.doctor.finding import Finding, bad, fine
from generation.errors import UserError
from generation.models.adapters import Adapters, is_compatible, scan_adapters
from generation.models.lora import Lora
from generation.models.registry import ModelRegistry
from generation.models.textual_inversion import TextualInversion

FOLDERS = "Set LORAS and EMBEDDINGS to folders that exist, or leave them out."
LEFT_OUT = "Take it out of the folder, or put a file there that can be used: it is left out otherwise."


def check_additions(config: Config) -> list[Finding]:
    """Look through the folders that LORAS and EMBEDDINGS name; nothing is found where they name none."""
    if not (config.loras or config.embeddings):
        return []
    try:
        here, refused = scan_adapters(config.loras, config.embeddings)
    except FileNotFoundError as error:
        return [bad("additions", str(error), FOLDERS)]
    text = f"LoRAs: {len(here.loras)}, learnt words: {len(here.embeddings)}"
    if useless := _useless(here, config.models):
        text += f"; made for none of the models: {', '.join(useless)}"
    return [fine("additions", text), *(bad("additions", why, LEFT_OUT) for why in refused)]


def _useless(here: Adapters, refs: Sequence[str]) -> list[str]:
    try:
        models = ModelRegistry.from_refs(refs).models
    except (FileNotFoundError, UserError):  # which another check tells
        return []
    everything: list[Lora | TextualInversion] = [*here.loras, *here.embeddings]
    return [each.name for each in everything if not any(is_compatible(each, model) for model in models)]
