"""The prompt as it was applied, to be shown, kept and typed again."""

from __future__ import annotations

from generation.params import Params
from generation.prompt.marks import protect
from generation.prompt.table import PARAMETERS
from generation.prompt.weights import write_parts
from generation.repertoire import Repertoire


def write(params: Params, repertoire: Repertoire | None, *, seed: bool = False) -> str:
    """Write `params` so that parsing it for `repertoire`, with the same picture, gives them again.

    Without `seed` it is what people expect to see; with it, typing it again gives the same pictures. What is so by
    default is left out, and written too when `repertoire` is None; where the model has gone, its name and all that were
    its defaults are. A button's doings (the size of an upscale, the
    strength of a variation) have no words and are not in it.
    """
    words = [write_parts(params.parts)]
    for parameter in PARAMETERS:
        value = parameter.applied(params, repertoire)
        if value is not None and (seed or parameter.sets != "seed"):
            words.append(f"--{parameter.name} {parameter.kind.write(value)}".rstrip())
    return " ".join(filter(None, words))


def naming(model: str) -> str:
    """Write the parameter that has the model of that name draw."""
    return f"--model {protect(model)}"


def naming_loras(typed: str) -> str:
    """Write the parameter that draws with the LoRAs that somebody has named elsewhere than in the prompt."""
    return f"--lora {protect(typed)}"
