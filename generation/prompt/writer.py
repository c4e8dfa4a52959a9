"""The prompt as it was applied, to be shown, kept and typed again."""

from __future__ import annotations

from generation.models.registry import ModelRegistry
from generation.params import Params
from generation.prompt.parameters import PARAMETERS
from generation.prompt.syntax import escape
from generation.prompt.weights import format_parts


def format_prompt(params: Params, registry: ModelRegistry | None, *, seed: bool = False) -> str:
    """Write `params` so that parsing it for `repertoire`, with the same picture, gives them again.

    Without `seed` it is what people expect to see; with it, typing it again gives the same pictures. What is so by
    default is left out, and written too when `repertoire` is None; where the model has gone, its name and all that were
    its defaults are. A button's doings (the size of an upscale, the
    strength of a variation) have no words and are not in it.
    """
    words = [format_parts(params.parts)]
    for parameter in PARAMETERS:
        value = parameter.get_value(params, registry)
        if value is not None and (seed or parameter.field != "seed"):
            words.append(f"--{parameter.name} {parameter.value_type.write(value)}".rstrip())
    return " ".join(filter(None, words))


def model_parameter(model: str) -> str:
    """Write the parameter that has the model of that name draw."""
    return f"--model {escape(model)}"


def lora_parameter(typed: str) -> str:
    """Write the parameter that draws with the LoRAs that somebody has named elsewhere than in the prompt."""
    return f"--lora {escape(typed)}"
