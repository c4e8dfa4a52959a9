"""Format params as the prompt that was applied, to be shown, stored and typed again."""

from __future__ import annotations

from generation.models.registry import ModelRegistry
from generation.params import Params
from generation.prompt.escaping import escape
from generation.prompt.parameters import PARAMETERS
from generation.prompt.weights import format_parts


def format_prompt(params: Params, registry: ModelRegistry | None, *, seed: bool = False) -> str:
    """Format `params` so that parsing the text with `registry` and the same images returns them again.

    With `seed`, typing the text again generates the same images; without it, the text is what people expect to see.
    The model's defaults are left out, but written if `registry` is None or the model is no longer installed. What a
    button sets (the size of an upscale, the strength of a variation) has no parameter and is not in the text.
    """
    text = [format_parts(params.parts)]
    for parameter in PARAMETERS:
        value = parameter.get_value(params, registry)
        if value is not None and (seed or parameter.field != "seed"):
            text.append(f"--{parameter.name} {parameter.value_type.write(value)}".rstrip())
    return " ".join(filter(None, text))


def model_parameter(model: str) -> str:
    """Return the parameter that selects the model of this name."""
    return f"--model {escape(model)}"


def style_parameter(code: str) -> str:
    """Return the parameter for a style reference."""
    return f"--sref {escape(code)}"


def character_parameter(code: str) -> str:
    """Return the parameter for the picture of a character."""
    return f"--cref {escape(code)}"


def control_parameter(typed: str) -> str:
    """Return the parameter for ControlNets or their picture that were given outside the prompt."""
    return f"--control {escape(typed)}"


def lora_parameter(typed: str) -> str:
    """Return the parameter for LoRAs that were typed outside the prompt."""
    return f"--lora {escape(typed)}"
