"""The kinds of values that parameters take: what is accepted, how it is read, how it is written."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from generation.additions import fits, misfit
from generation.lora import Lora
from generation.models import Model
from generation.params import LoraUse
from generation.prompt.escapes import COMMAS, reveal
from generation.prompt.faults import Fault, quote
from generation.prompt.marks import TRAILING, protect
from generation.prompt.weights import number
from generation.repertoire import Repertoire

_WHOLE = re.compile(r"[+-]?\d{1,1000}")
_DECIMAL = re.compile(r"[+-]?(?:\d{1,300}(?:[.,]\d*)?|[.,]\d+)")
_ASPECT = re.compile(r"(\d{1,6})[:/x×：](\d{1,6})", re.IGNORECASE)
_COMMA = re.compile(f"[{COMMAS}]")
_LONGEST_DENOMINATOR = 20
# Between two commas, one of which may also be that of a weight.
_LORA = re.compile(rf"[^{COMMAS}]*?[:：]\s*[+-]?\d*[{COMMAS}]\d+(?=\s*(?:[{COMMAS}]|$))|[^{COMMAS}]+")
QUOTABLE = 40
MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Scope:
    """What values are read against: the models that there are, and the one of them that draws."""

    repertoire: Repertoire
    model: Model


class Kind(Protocol):
    """A kind of value; `takes_all` says that it may hold spaces, else it ends at the first one."""

    @property
    def takes_all(self) -> bool: ...

    @property
    def may_be_left_out(self) -> bool: ...

    @property
    def range(self) -> str:
        """Say in a few characters what is accepted."""

    def read(self, text: str, scope: Scope) -> Any | Fault:
        """Give the value that `text` stands for; it is empty only where the value may be left out."""

    def write(self, value: Any) -> str:
        """Write `value` so that `read` gives it again."""


@dataclass(frozen=True, slots=True)
class Flag:
    """No value: that it is there says it all."""

    takes_all = True
    may_be_left_out = True
    range = "no value"

    def read(self, text: str, scope: Scope) -> bool | Fault:
        text = text.strip(TRAILING)
        return Fault(f"takes no value, but {quote(text)} comes after it") if text else True

    def write(self, value: bool) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number within bounds."""

    low: int
    high: int
    takes_all = False
    may_be_left_out = False

    @property
    def range(self) -> str:
        return f"{self.low}–{self.high}"

    def read(self, text: str, scope: Scope) -> int | Fault:
        bounds = f"between {self.low} and {self.high}"
        if not _WHOLE.fullmatch(text):
            return Fault(f"must be a whole number {bounds}, not {quote(text)}")
        value = int(text)
        return value if self.low <= value <= self.high else Fault(f"must be {bounds}")

    def write(self, value: int) -> str:
        return str(value)


@dataclass(frozen=True, slots=True)
class FlagOrWhole:
    """No value (True), or a whole number within bounds."""

    low: int
    high: int
    takes_all = False
    may_be_left_out = True

    @property
    def range(self) -> str:
        return f"no value, or {self.low}–{self.high}"

    def read(self, text: str, scope: Scope) -> int | Fault:
        return Whole(self.low, self.high).read(text, scope) if text else True

    def write(self, value: int) -> str:
        return "" if value is True else str(value)


@dataclass(frozen=True, slots=True)
class Decimal:
    """A number within bounds, with a point or a comma."""

    low: float
    high: float
    takes_all = False
    may_be_left_out = False

    @property
    def range(self) -> str:
        return f"{self.low:g}–{self.high:g}"

    def read(self, text: str, scope: Scope) -> float | Fault:
        bounds = f"between {self.low:g} and {self.high:g}"
        value = read_decimal(text)
        if value is None:
            return Fault(f"must be a number {bounds}, not {quote(text)}")
        return value if self.low <= value <= self.high else Fault(f"must be {bounds}")

    def write(self, value: float) -> str:
        return number(value)


@dataclass(frozen=True, slots=True)
class Step:
    """One of a few numbers: others are rounded to the nearest, in the middle to the smaller, larger ones down."""

    choices: tuple[float, ...]
    takes_all = False
    may_be_left_out = False

    @property
    def range(self) -> str:
        return ", ".join(number(choice) for choice in self.choices)

    def read(self, text: str, scope: Scope) -> float | Fault:
        value = read_decimal(text)
        if value is None or value <= 0:
            return Fault(f"must be one of {self.range}, not {quote(text)}")
        return min(self.choices, key=lambda choice: abs(choice - value))

    def write(self, value: float) -> str:
        return number(value)


@dataclass(frozen=True, slots=True)
class Aspect:
    """Width and height as two whole numbers, in lowest terms, within what the model can draw."""

    takes_all = False
    may_be_left_out = False
    range = "1:1 up to the model's limit, wide or high"

    def read(self, text: str, scope: Scope) -> tuple[int, int] | Fault:
        match = _ASPECT.fullmatch(text)
        if match is None or not (width := int(match[1])) or not (height := int(match[2])):
            return Fault(f"must be two whole numbers such as `3:2`, not {quote(text)}")
        if max(width, height) > scope.model.max_aspect * min(width, height):
            limit = Fraction(scope.model.max_aspect).limit_denominator(_LONGEST_DENOMINATOR)
            long, short = limit.numerator, limit.denominator
            return Fault(f"must be between {short}:{long} and {long}:{short} with this model")
        divisor = math.gcd(width, height)
        return width // divisor, height // divisor

    def write(self, value: tuple[int, int]) -> str:
        return f"{value[0]}:{value[1]}"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the names of a table; `DPM++ 2M Karras` is `dpmpp_2m_karras`."""

    names: Mapping[str, Any]
    takes_all = True
    may_be_left_out = False

    @property
    def range(self) -> str:
        return ", ".join(self.names)

    def read(self, text: str, scope: Scope) -> str | Fault:
        name = re.sub(r"[\s-]+", "_", text.lower().strip(TRAILING).replace("+", "p"))
        if name in self.names:
            return name
        nearest = difflib.get_close_matches(name[:QUOTABLE], self.names, 1)
        hint = f"did you mean `{nearest[0]}`?" if nearest else f"it must be one of {self.range}"
        return Fault(f"does not know {quote(text)}: {hint}")

    def write(self, value: str) -> str:
        return value


@dataclass(frozen=True, slots=True)
class ModelName:
    """The name of a model that is here, another spelling of it, or a beginning that no other has.

    Case, spaces and dashes do not matter.
    With a `family`, `6` is short for the family's name and 6, and the family's name alone will do as well.
    """

    family: str = ""
    takes_all = True

    @property
    def may_be_left_out(self) -> bool:
        return bool(self.family)

    @property
    def range(self) -> str:
        return "a version, or no value" if self.family else "the name of a model"

    def read(self, text: str, scope: Scope) -> str | Fault:
        here = scope.repertoire
        meant = here.meant(self.family + text) or here.spelt(self.family)
        if len(meant) == 1:
            return meant[0].name
        names = ", ".join(quote(model.name) for model in meant or here.models)
        if meant:
            return Fault(f"could be any of {names}: say more of the name")
        return Fault(f"{f'does not know {quote(text)}' if text else 'has no model'}: here there is {names}")

    def write(self, value: str) -> str:
        return protect(value)


@dataclass(frozen=True, slots=True)
class Loras:
    """Names of LoRAs, or beginnings that no other has, each with a weight after a colon if it is not to be 1."""

    low: float
    high: float
    takes_all = True
    may_be_left_out = False

    @property
    def range(self) -> str:
        return f"names of LoRAs, each with a weight of {self.low:g}–{self.high:g} after a colon"

    def read(self, text: str, scope: Scope) -> tuple[LoraUse, ...] | Fault:
        items = _LORA.findall(reveal(text).strip(TRAILING))  # no name has a comma that would have to be escaped
        if not items:
            return Fault("must name something")
        uses = [self._read(item.strip(), scope) for item in items]
        fault = next((use for use in uses if isinstance(use, Fault)), None)
        return fault or tuple(use for use in uses if isinstance(use, LoraUse))

    def _read(self, text: str, scope: Scope) -> LoraUse | Fault:
        name, colon, typed = text.replace("：", ":").rpartition(":")
        if not colon:
            name, typed = text, "1"
        weight = read_decimal(typed.strip())
        if not name or weight is None or not self.low <= weight <= self.high:
            bounds = f"between {self.low:g} and {self.high:g}"
            return Fault(f"must be a name and a weight {bounds} such as `ink:0.8`, not {quote(text)}")
        lora = _meant_lora(name.strip(), scope)
        return lora if isinstance(lora, Fault) else LoraUse(lora.name, weight)

    def write(self, value: tuple[LoraUse, ...]) -> str:
        return ", ".join(use.name if use.weight == 1 else f"{use.name}:{number(use.weight)}" for use in value)


def _meant_lora(typed: str, scope: Scope) -> Lora | Fault:
    here = scope.repertoire.additions
    meant = here.meant(typed)
    if len(meant) > 1:
        return Fault(f"could be any of {_some(meant)}: say more of the name")
    if not meant:
        fitting = here.for_model(scope.model).loras
        there_is = f"for {scope.model.name} there is {_some(fitting)}" if fitting else "there is none here"
        return Fault(f"does not know {quote(typed)}: {there_is}")
    (lora,) = meant
    if fits(lora, scope.model):
        return lora
    return Fault(f"cannot use {quote(lora.name)} {misfit(lora, scope.model)}", of_model=True)


def _some(loras: Sequence[Lora]) -> str:
    names = ", ".join(quote(lora.name) for lora in loras[:MOST_NAMED])
    return f"{names} and {len(loras) - MOST_NAMED} more" if len(loras) > MOST_NAMED else names


@dataclass(frozen=True, slots=True)
class Words:
    """Any text."""

    takes_all = True
    may_be_left_out = False
    range = "text"

    def read(self, text: str, scope: Scope) -> str | Fault:
        return reveal(text)

    def write(self, value: str) -> str:
        return protect(value)


@dataclass(frozen=True, slots=True)
class Items:
    """A list of words or phrases with commas between them."""

    takes_all = True
    may_be_left_out = False
    range = "words, with commas between them"

    def read(self, text: str, scope: Scope) -> tuple[str, ...] | Fault:
        items = tuple(reveal(item).strip() for item in _COMMA.split(text))
        return tuple(filter(None, items)) or Fault("must name something")

    def write(self, value: tuple[str, ...]) -> str:
        return ", ".join(_COMMA.sub(r"\\\g<0>", protect(item)) for item in value)


def read_decimal(text: str) -> float | None:
    """Read a plain decimal number, None for anything else."""
    return float(text.replace(",", ".")) + 0.0 if _DECIMAL.fullmatch(text) else None
