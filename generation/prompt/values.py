"""The kinds of values that parameters take: what is accepted, how it is read, how it is written."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from generation.models.adapters import incompatibility, is_compatible
from generation.models.lora import Lora
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import LoraWeight
from generation.prompt.errors import ValueProblem, quote
from generation.prompt.syntax import COMMAS, SEPARATORS, escape, unmask
from generation.prompt.weights import format_number

_INTEGER = re.compile(r"[+-]?\d{1,1000}")
_FLOAT = re.compile(r"[+-]?(?:\d{1,300}(?:[.,]\d*)?|[.,]\d+)")
_ASPECT = re.compile(r"(\d{1,6})[:/x×：](\d{1,6})", re.IGNORECASE)
_COMMA = re.compile(f"[{COMMAS}]")
_MAX_DENOMINATOR = 20
# Between two commas, one of which may also be that of a weight.
_LORA = re.compile(rf"[^{COMMAS}]*?[:：]\s*[+-]?\d*[{COMMAS}]\d+(?=\s*(?:[{COMMAS}]|$))|[^{COMMAS}]+")
MAX_MATCHED_LENGTH = 40
MAX_LISTED = 20


@dataclass(frozen=True, slots=True)
class Scope:
    """What values are read against: the models that there are, and the one of them that draws."""

    registry: ModelRegistry
    model: Model


class ValueType(Protocol):
    """A kind of value; `takes_all` says that it may hold spaces, else it ends at the first one."""

    @property
    def greedy(self) -> bool: ...

    @property
    def optional(self) -> bool: ...

    @property
    def range(self) -> str:
        """Say in a few characters what is accepted."""

    def read(self, text: str, scope: Scope) -> Any | ValueProblem:
        """Give the value that `text` stands for; it is empty only where the value may be left out."""

    def write(self, value: Any) -> str:
        """Write `value` so that `read` gives it again."""


@dataclass(frozen=True, slots=True)
class Flag:
    """No value: that it is there says it all."""

    greedy = True
    optional = True
    range = "no value"

    def read(self, text: str, scope: Scope) -> bool | ValueProblem:
        text = text.strip(SEPARATORS)
        return ValueProblem(f"takes no value, but {quote(text)} comes after it") if text else True

    def write(self, value: bool) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number within bounds."""

    low: int
    high: int
    greedy = False
    optional = False

    @property
    def range(self) -> str:
        return f"{self.low}–{self.high}"

    def read(self, text: str, scope: Scope) -> int | ValueProblem:
        bounds = f"between {self.low} and {self.high}"
        if not _INTEGER.fullmatch(text):
            return ValueProblem(f"must be a whole number {bounds}, not {quote(text)}")
        value = int(text)
        return value if self.low <= value <= self.high else ValueProblem(f"must be {bounds}")

    def write(self, value: int) -> str:
        return str(value)


@dataclass(frozen=True, slots=True)
class FlagOrInteger:
    """No value (True), or a whole number within bounds."""

    low: int
    high: int
    greedy = False
    optional = True

    @property
    def range(self) -> str:
        return f"no value, or {self.low}–{self.high}"

    def read(self, text: str, scope: Scope) -> int | ValueProblem:
        return Integer(self.low, self.high).read(text, scope) if text else True

    def write(self, value: int) -> str:
        return "" if value is True else str(value)


@dataclass(frozen=True, slots=True)
class Float:
    """A number within bounds, with a point or a comma."""

    low: float
    high: float
    greedy = False
    optional = False

    @property
    def range(self) -> str:
        return f"{self.low:g}–{self.high:g}"

    def read(self, text: str, scope: Scope) -> float | ValueProblem:
        bounds = f"between {self.low:g} and {self.high:g}"
        value = parse_float(text)
        if value is None:
            return ValueProblem(f"must be a number {bounds}, not {quote(text)}")
        return value if self.low <= value <= self.high else ValueProblem(f"must be {bounds}")

    def write(self, value: float) -> str:
        return format_number(value)


@dataclass(frozen=True, slots=True)
class Stepped:
    """One of a few numbers: others are rounded to the nearest, in the middle to the smaller, larger ones down."""

    choices: tuple[float, ...]
    greedy = False
    optional = False

    @property
    def range(self) -> str:
        return ", ".join(format_number(choice) for choice in self.choices)

    def read(self, text: str, scope: Scope) -> float | ValueProblem:
        value = parse_float(text)
        if value is None or value <= 0:
            return ValueProblem(f"must be one of {self.range}, not {quote(text)}")
        return min(self.choices, key=lambda choice: abs(choice - value))

    def write(self, value: float) -> str:
        return format_number(value)


@dataclass(frozen=True, slots=True)
class AspectRatio:
    """Width and height as two whole numbers, in lowest terms, within what the model can draw."""

    greedy = False
    optional = False
    range = "1:1 up to the model's limit, wide or high"

    def read(self, text: str, scope: Scope) -> tuple[int, int] | ValueProblem:
        match = _ASPECT.fullmatch(text)
        if match is None or not (width := int(match[1])) or not (height := int(match[2])):
            return ValueProblem(f"must be two whole numbers such as `3:2`, not {quote(text)}")
        if max(width, height) > scope.model.max_aspect * min(width, height):
            limit = Fraction(scope.model.max_aspect).limit_denominator(_MAX_DENOMINATOR)
            long, short = limit.numerator, limit.denominator
            return ValueProblem(f"must be between {short}:{long} and {long}:{short} with this model")
        divisor = math.gcd(width, height)
        return width // divisor, height // divisor

    def write(self, value: tuple[int, int]) -> str:
        return f"{value[0]}:{value[1]}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the names of a table; `DPM++ 2M Karras` is `dpmpp_2m_karras`."""

    names: Mapping[str, Any]
    greedy = True
    optional = False

    @property
    def range(self) -> str:
        return ", ".join(self.names)

    def read(self, text: str, scope: Scope) -> str | ValueProblem:
        name = re.sub(r"[\s-]+", "_", text.lower().strip(SEPARATORS).replace("+", "p"))
        if name in self.names:
            return name
        nearest = difflib.get_close_matches(name[:MAX_MATCHED_LENGTH], self.names, 1)
        hint = f"did you mean `{nearest[0]}`?" if nearest else f"it must be one of {self.range}"
        return ValueProblem(f"does not know {quote(text)}: {hint}")

    def write(self, value: str) -> str:
        return value


@dataclass(frozen=True, slots=True)
class ModelName:
    """The name of a model that is here, another spelling of it, or a beginning that no other has.

    Case, spaces and dashes do not matter.
    With a `family`, `6` is short for the family's name and 6, and the family's name alone will do as well.
    """

    family: str = ""
    greedy = True

    @property
    def optional(self) -> bool:
        return bool(self.family)

    @property
    def range(self) -> str:
        return "a version, or no value" if self.family else "the name of a model"

    def read(self, text: str, scope: Scope) -> str | ValueProblem:
        registry = scope.registry
        matches = registry.match(self.family + text) or registry.match_alias(self.family)
        if len(matches) == 1:
            return matches[0].name
        names = ", ".join(quote(model.name) for model in matches or registry.models)
        if matches:
            return ValueProblem(f"could be any of {names}: say more of the name")
        return ValueProblem(f"{f'does not know {quote(text)}' if text else 'has no model'}: here there is {names}")

    def write(self, value: str) -> str:
        return escape(value)


@dataclass(frozen=True, slots=True)
class Loras:
    """Names of LoRAs, or beginnings that no other has, each with a weight after a colon if it is not to be 1."""

    low: float
    high: float
    greedy = True
    optional = False

    @property
    def range(self) -> str:
        return f"names of LoRAs, each with a weight of {self.low:g}–{self.high:g} after a colon"

    def read(self, text: str, scope: Scope) -> tuple[LoraWeight, ...] | ValueProblem:
        items = _LORA.findall(unmask(text).strip(SEPARATORS))  # no name has a comma that would have to be escaped
        if not items:
            return ValueProblem("must name something")
        uses = [self._read_item(item.strip(), scope) for item in items]
        problem = next((use for use in uses if isinstance(use, ValueProblem)), None)
        return problem or tuple(use for use in uses if isinstance(use, LoraWeight))

    def _read_item(self, text: str, scope: Scope) -> LoraWeight | ValueProblem:
        name, colon, typed = text.replace("：", ":").rpartition(":")
        if not colon:
            name, typed = text, "1"
        weight = parse_float(typed.strip())
        if not name or weight is None or not self.low <= weight <= self.high:
            bounds = f"between {self.low:g} and {self.high:g}"
            return ValueProblem(f"must be a name and a weight {bounds} such as `ink:0.8`, not {quote(text)}")
        lora = _match_lora(name.strip(), scope)
        return lora if isinstance(lora, ValueProblem) else LoraWeight(lora.name, weight)

    def write(self, value: tuple[LoraWeight, ...]) -> str:
        return ", ".join(use.name if use.weight == 1 else f"{use.name}:{format_number(use.weight)}" for use in value)


def _match_lora(typed: str, scope: Scope) -> Lora | ValueProblem:
    adapters = scope.registry.adapters
    matches = adapters.match_loras(typed)
    if len(matches) > 1:
        return ValueProblem(f"could be any of {_list_names(matches)}: say more of the name")
    if not matches:
        compatible = adapters.compatible_with(scope.model).loras
        hint = f"for {scope.model.name} there is {_list_names(compatible)}" if compatible else "there is none here"
        return ValueProblem(f"does not know {quote(typed)}: {hint}")
    (lora,) = matches
    if is_compatible(lora, scope.model):
        return lora
    return ValueProblem(f"cannot use {quote(lora.name)} {incompatibility(lora, scope.model)}", model_specific=True)


def _list_names(loras: Sequence[Lora]) -> str:
    names = ", ".join(quote(lora.name) for lora in loras[:MAX_LISTED])
    return f"{names} and {len(loras) - MAX_LISTED} more" if len(loras) > MAX_LISTED else names


@dataclass(frozen=True, slots=True)
class Text:
    """Any text."""

    greedy = True
    optional = False
    range = "text"

    def read(self, text: str, scope: Scope) -> str | ValueProblem:
        return unmask(text)

    def write(self, value: str) -> str:
        return escape(value)


@dataclass(frozen=True, slots=True)
class TextList:
    """A list of words or phrases with commas between them."""

    greedy = True
    optional = False
    range = "words, with commas between them"

    def read(self, text: str, scope: Scope) -> tuple[str, ...] | ValueProblem:
        items = tuple(unmask(item).strip() for item in _COMMA.split(text))
        return tuple(filter(None, items)) or ValueProblem("must name something")

    def write(self, value: tuple[str, ...]) -> str:
        return ", ".join(_COMMA.sub(r"\\\g<0>", escape(item)) for item in value)


def parse_float(text: str) -> float | None:
    """Read a plain decimal number, None for anything else."""
    return float(text.replace(",", ".")) + 0.0 if _FLOAT.fullmatch(text) else None
