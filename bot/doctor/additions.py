"""Whether the LoRAs and the learnt words that lie in the folders can be used, and with a model that is here."""

from __future__ import annotations

from collections.abc import Sequence

from bot.config import Config
from bot.doctor.finding import Finding, bad, fine
from generation.additions import Additions, additions_in, fits
from generation.errors import Complaint
from generation.lora import Lora
from generation.repertoire import Repertoire
from generation.textual_inversion import TextualInversion

FOLDERS = "Set LORAS and EMBEDDINGS to folders that exist, or leave them out."
LEFT_OUT = "Take it out of the folder, or put a file there that can be used: it is left out otherwise."


def check_additions(config: Config) -> list[Finding]:
    """Look through the folders that LORAS and EMBEDDINGS name; nothing is found where they name none."""
    if not (config.loras or config.embeddings):
        return []
    try:
        here, refused = additions_in(config.loras, config.embeddings)
    except FileNotFoundError as error:
        return [bad("additions", str(error), FOLDERS)]
    text = f"LoRAs: {len(here.loras)}, learnt words: {len(here.inversions)}"
    if useless := _useless(here, config.models):
        text += f"; made for none of the models: {', '.join(useless)}"
    return [fine("additions", text), *(bad("additions", why, LEFT_OUT) for why in refused)]


def _useless(here: Additions, refs: Sequence[str]) -> list[str]:
    try:
        models = Repertoire.of(refs).models
    except (FileNotFoundError, Complaint):  # which another check tells
        return []
    everything: list[Lora | TextualInversion] = [*here.loras, *here.inversions]
    return [each.name for each in everything if not any(fits(each, model) for model in models)]
