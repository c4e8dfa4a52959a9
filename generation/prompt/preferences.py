"""A user's preferences as plain values, and the parameters that they stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from generation.errors import UserError
from generation.job import Speed
from generation.models.capabilities import Capability
from generation.models.registry import ModelRegistry
from generation.prompt.parameter_names import is_reserved_name
from generation.prompt.parser import choose_model, parse_prompt
from generation.prompt.request import PromptRequest
from generation.prompt.writer import model_parameter
from generation.text import Text

STYLIZE_PRESETS = {"low": 50, "med": 100, "high": 250, "very high": 750}
MAX_OPTIONS = 20
MAX_OPTION_LENGTH = 1000  # characters of its value
MAX_SUFFIX_LENGTH = 500
_OPTION_NAME = re.compile(r"(?=.{1,32}$)[^\W\d_]+(?:[-_][^\W\d_]+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """A user's settings; None uses the value of the server or the model.

    `suffix` holds parameters that are added to every prompt. With `high_variation` the V buttons below a grid vary
    strongly, and with `remix` they open the prompt for editing first. With `auto_dm` results are also sent by direct
    message.
    """

    suffix: str = ""
    model: str | None = None
    stylize: int | None = None
    raw: bool = False
    high_variation: bool = True
    remix: bool = False
    private: bool = False
    speed: Speed = Speed.FAST
    auto_dm: bool = False

    @property
    def parameter_layers(self) -> tuple[str, ...]:
        """Return the parameters that these settings stand for, the layer of highest precedence first."""
        parameters = []
        if self.model is not None:
            parameters.append(model_parameter(self.model))
        if self.stylize is not None:
            parameters.append(f"--stylize {self.stylize}")
        if self.raw:
            parameters.append("--raw")
        return tuple(filter(None, (self.suffix, " ".join(parameters))))


def from_dict(values: dict[str, Any]) -> Preferences:
    """Read preferences from JSON; missing fields get their defaults, unknown ones are ignored."""
    known = {name: value for name, value in values.items() if name in Preferences.__dataclass_fields__}
    if "speed" in known:
        known["speed"] = Speed(known["speed"])
    return Preferences(**known)


def check_suffix(text: str, registry: ModelRegistry) -> str:
    """Return a suffix as it is stored; raise UserError (PromptError included) for anything but valid parameters."""
    suffix = " ".join(text.split())
    if len(suffix) > MAX_SUFFIX_LENGTH:
        raise UserError(
            Text(
                "A suffix can have at most {limit} characters; this one has {number}.",
                limit=MAX_SUFFIX_LENGTH,
                number=len(suffix),
            )
        )
    if not re.match(r"--|[–—]", suffix):
        raise UserError(
            Text("A suffix can have parameters only, such as `--ar 3:2 --no text`. Put text into a custom option.")
        )
    check_defaults(suffix, registry)
    return suffix


def to_option_name(typed: str) -> str:
    """Return the name of a custom option as it is stored."""
    return typed.strip().removeprefix("--").lower()


def check_option(name: str, value: str, registry: ModelRegistry) -> tuple[str, str]:
    """Return a custom option's name and value as they are stored; raise UserError (PromptError included)."""
    name, value = to_option_name(name), " ".join(value.split())
    if not _OPTION_NAME.fullmatch(name):
        raise UserError(
            Text(
                "An option's name must be one word of up to 32 letters, such as `mine`. "
                "`-` and `_` are allowed inside it."
            )
        )
    if is_reserved_name(name):
        raise UserError(Text("`--{name}` is already a parameter: give your option another name.", name=name))
    if len(value) > MAX_OPTION_LENGTH:
        raise UserError(
            Text(
                "An option can have at most {limit} characters; this one has {number}.",
                limit=MAX_OPTION_LENGTH,
                number=len(value),
            )
        )
    parse_prompt(f"x --{name}", registry, attached=_pictures_for(value, registry), options={name: value})
    return name, value


def check_defaults(parameters: str, registry: ModelRegistry) -> PromptRequest:
    """Return what a prompt that sets nothing itself becomes with default parameters; raise PromptError."""
    defaults = (parameters,) if parameters else ()
    return parse_prompt("x", registry, attached=_pictures_for(parameters, registry), defaults=defaults)


def _pictures_for(parameters: str, registry: ModelRegistry) -> int:
    """Return how many pictures parameters are checked with: one, since some need it, if their model takes any."""
    model = choose_model((parameters,), registry)
    return int(bool(model.capabilities & {Capability.IMG2IMG, Capability.EDIT}))
