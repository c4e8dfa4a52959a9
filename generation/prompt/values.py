"""The value types of parameters: the accepted values, parsing and formatting."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

from generation.models.adapters import incompatibility, is_compatible
from generation.models.files.controls import ControlNet
from generation.models.files.lora import Lora
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import LoraWeight
from generation.prompt.characters import (
    ANGLES_CLOSE,
    ANGLES_OPEN,
    CLOSING_MARKS,
    COLONS,
    COMMAS,
    NOT_APOSTROPHES,
    SEPARATORS,
    to_ascii,
    unquote,
)
from generation.prompt.errors import ValueProblem, quote
from generation.prompt.escaping import escape
from generation.prompt.syntax import IMAGE_LINK, LINK_WEIGHT, is_link, unmask
from generation.prompt.weights import format_number
from generation.text import Text

_INTEGER = re.compile(r"[+-]?\d{1,1000}")
_FLOAT = re.compile(r"[+-]?(?:\d{1,300}(?:[.,]\d*)?|[.,]\d+)")
_ASPECT = re.compile(r"(\d{1,6})[:/x×*](\d{1,6})", re.IGNORECASE)
_COMMA = re.compile(f"[{re.escape(COMMAS)}]")
_COLON = re.compile(f"[{re.escape(COLONS)}]")
# A single one may be an apostrophe.
# `no roof, no walls` is one list to everybody: an item's own `no` says nothing new.
_NO_AGAIN = re.compile(r"\A(?:no\s)+(?=\S)", re.IGNORECASE)
_OPEN_QUOTE = re.compile(rf"^[{re.escape(NOT_APOSTROPHES)}]|[{re.escape(NOT_APOSTROPHES)}]$")
_WEIGHT_ENDINGS = re.compile(r"\.(?:safetensors|ckpt|pt|bin)$", re.IGNORECASE)
_FILE_HASH = re.compile(r"\s?\[[0-9a-f]{6,64}\]$", re.IGNORECASE)
_NETWORK = re.compile(r"(?:te|unet)\s*=\s*", re.IGNORECASE)  # AUTOMATIC1111's names of the two weights of a LoRA
# What extensions of AUTOMATIC1111's web UI take, such as `lbw=OUTALL`.
_EXTENSION_ARGUMENT = re.compile(r"(?!(?:te|unet)\b)[a-z_]+\s*=", re.IGNORECASE)
_MAX_DENOMINATOR = 20
_MARKED_LINK = re.compile(r"!?\[[^\[\]]*\]\((https?://\S+?)\)", re.IGNORECASE)
_AROUND_LINK = f"{ANGLES_OPEN}{ANGLES_CLOSE}()[]"
# An item between two commas; a comma inside a weight (`ink:0,8`) does not end it.
WEIGHTED_NAME = re.compile(
    rf"[^{COMMAS}{COLONS}]*+[{COLONS}]\s*[^{COMMAS}{COLONS}]?\d*[{COMMAS}]\d+(?=\s*(?:[{COMMAS}]|$))|[^{COMMAS}]+"
)
MAX_MATCHED_LENGTH = 40
MAX_LISTED = 20


@dataclass(frozen=True, slots=True)
class Scope:
    """The context for reading a value: all installed models, the model chosen for this prompt, and what was typed."""

    registry: ModelRegistry
    model: Model
    typed: str = ""  # the parameter and its value


class ValueType(Protocol):
    """A type of value; a `greedy` one may contain spaces, any other ends at the first space."""

    @property
    def greedy(self) -> bool: ...

    @property
    def optional(self) -> bool: ...

    @property
    def range(self) -> str:
        """Return a short description of the accepted values."""

    def read(self, text: str, scope: Scope) -> Any | ValueProblem:
        """Parse `text` into a value; `text` is empty only if the value is optional."""

    def write(self, value: Any) -> str:
        """Format `value` so that `read` returns it again."""


@dataclass(frozen=True, slots=True)
class Flag:
    """No value: the parameter alone sets the field."""

    greedy = True
    optional = True
    range = "no value"

    def read(self, text: str, scope: Scope) -> bool | ValueProblem:
        text = text.strip(CLOSING_MARKS)
        return ValueProblem(Text("takes no value, but {typed} comes after it", typed=quote(text))) if text else True

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
        plain = to_ascii(text).rstrip("%")  # `--stop 80%` is 80 of 100
        if not _INTEGER.fullmatch(plain):
            return ValueProblem(
                Text(
                    "must be a whole number between {low} and {high}, not {typed}",
                    low=self.low,
                    high=self.high,
                    typed=quote(text),
                )
            )
        value = int(plain)
        if not self.low <= value <= self.high:
            return ValueProblem(Text("must be between {low} and {high}", low=self.low, high=self.high))
        return value

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
        low, high = f"{self.low:g}", f"{self.high:g}"
        value = parse_float(text)
        if value is None:
            return ValueProblem(
                Text("must be a number between {low} and {high}, not {typed}", low=low, high=high, typed=quote(text))
            )
        if not self.low <= value <= self.high:
            return ValueProblem(Text("must be between {low} and {high}", low=low, high=high))
        return value

    def write(self, value: float) -> str:
        return format_number(value)


@dataclass(frozen=True, slots=True)
class Stepped:
    """One of a few numbers: other numbers are rounded to the nearest one, ties to the smaller."""

    choices: tuple[float, ...]
    greedy = False
    optional = False

    @property
    def range(self) -> str:
        return ", ".join(format_number(choice) for choice in self.choices)

    def read(self, text: str, scope: Scope) -> float | ValueProblem:
        value = parse_float(text)
        if value is None or value <= 0:
            return ValueProblem(Text("must be one of {choices}, not {typed}", choices=self.range, typed=quote(text)))
        return min(self.choices, key=lambda choice: abs(choice - value))

    def write(self, value: float) -> str:
        return format_number(value)


@dataclass(frozen=True, slots=True)
class AspectRatio:
    """Width and height as two whole numbers, reduced to lowest terms, within the model's limit."""

    greedy = False
    optional = False
    range = "1:1 up to the model's limit, wide or tall"

    def read(self, text: str, scope: Scope) -> tuple[int, int] | ValueProblem:
        match = _ASPECT.fullmatch(to_ascii(text).rstrip("%"))
        if match is None or not (width := int(match[1])) or not (height := int(match[2])):
            return ValueProblem(Text("must be two whole numbers such as `3:2`, not {typed}", typed=quote(text)))
        if not _can_draw(scope.model, width, height):
            limit = Fraction(scope.model.max_aspect).limit_denominator(_MAX_DENOMINATOR)
            long, short = limit.numerator, limit.denominator
            return ValueProblem(
                Text("must be between {short}:{long} and {long}:{short} with this model", short=short, long=long),
                model_specific=any(_can_draw(model, width, height) for model in scope.registry.models),
            )
        divisor = math.gcd(width, height)
        return width // divisor, height // divisor

    def write(self, value: tuple[int, int]) -> str:
        return f"{value[0]}:{value[1]}"


def _can_draw(model: Model, width: int, height: int) -> bool:
    """Return whether a model draws pictures of this shape."""
    return max(width, height) <= model.max_aspect * min(width, height)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the names of a table, or another name for one; `DPM++ 2M Karras` is `dpmpp_2m_karras`."""

    names: Mapping[str, Any]
    aliases: Mapping[str, str] = field(default_factory=dict)
    greedy = True
    optional = False

    @property
    def range(self) -> str:
        return ", ".join(self.names)

    def read(self, text: str, scope: Scope) -> str | ValueProblem:
        name = re.sub(r"[\s-]+", "_", to_ascii(text).lower().strip(CLOSING_MARKS).replace("+", "p"))
        name = self.aliases.get(name, name)
        if name in self.names:
            return name
        nearest = difflib.get_close_matches(name[:MAX_MATCHED_LENGTH], self.names, 1)
        names = ", ".join(f"`{name}`" for name in self.names)
        if nearest:
            problem = Text("cannot be {typed}: did you mean `{nearest}`?", typed=quote(text), nearest=nearest[0])
        elif len(self.names) == 1:
            problem = Text("cannot be {typed}: the only value is {name}", typed=quote(text), name=names)
        else:
            problem = Text("cannot be {typed}: use one of {names}", typed=quote(text), names=names)
        return ValueProblem(problem)

    def write(self, value: str) -> str:
        return value


@dataclass(frozen=True, slots=True)
class ModelName:
    """The name of an installed model, another spelling of it, or an unambiguous prefix.

    Case, spaces and dashes do not matter.
    With a `family`, `6` is short for the family's name and 6; without a value the family's name alone is looked up.
    """

    family: str = ""
    greedy = True

    @property
    def optional(self) -> bool:
        return bool(self.family)

    @property
    def range(self) -> str:
        return "no value, or a version" if self.family else "the name of a model"

    def read(self, text: str, scope: Scope) -> str | ValueProblem:
        registry = scope.registry
        matches = registry.match(self.family + text) or registry.match_alias(self.family)
        matches = matches or registry.match(_file_stem(text))
        if len(matches) == 1:
            return matches[0].name
        names = ", ".join(quote(model.name) for model in matches or registry.models)
        typed = quote(scope.typed or text)
        if matches:
            problem = Text("{typed} matches several models: {names}. Type more of the name", typed=typed, names=names)
        else:
            problem = Text("There is no model {typed} here. Available: {names}", typed=typed, names=names)
        return ValueProblem(problem, is_sentence=True)

    def write(self, value: str) -> str:
        return escape(value)


@dataclass(frozen=True, slots=True)
class Loras:
    """Names of LoRAs, or unambiguous prefixes, each with an optional weight after a colon (default 1)."""

    low: float
    high: float
    greedy = True
    optional = False

    @property
    def range(self) -> str:
        return f"names of LoRAs, each with an optional weight after a colon, from {self.low:g} to {self.high:g}"

    def read(self, text: str, scope: Scope) -> tuple[LoraWeight, ...] | ValueProblem:
        items = WEIGHTED_NAME.findall(unmask(text).strip(SEPARATORS))  # names contain no commas, so none are escaped
        if not items:
            return ValueProblem(Text("needs at least one name"))
        uses: list[LoraWeight] = []
        for item in items:
            use = self._read_item(item.strip(), scope)
            if isinstance(use, ValueProblem):
                return use
            uses.append(use)
        return tuple(uses)

    def _read_item(self, text: str, scope: Scope) -> LoraWeight | ValueProblem:
        name, *more = (piece.strip() for piece in _COLON.split(text))
        typed = [each for each in more if not _EXTENSION_ARGUMENT.match(each)]
        weights = {parse_float(_NETWORK.sub("", each)) for each in typed} or {1.0}
        if len(weights) > 1 and None not in weights:
            return ValueProblem(
                Text("takes one weight for each LoRA, such as `{name}:0.8`, not {typed}", name=name, typed=quote(text))
            )
        (weight, *_) = weights
        if not name or weight is None or len(weights) > 1 or not self.low <= weight <= self.high:
            return ValueProblem(
                Text(
                    "must be a name and a weight between {low} and {high} such as `ink:0.8`, not {typed}",
                    low=f"{self.low:g}",
                    high=f"{self.high:g}",
                    typed=quote(text),
                )
            )
        lora = _match_lora(name, scope)
        return lora if isinstance(lora, ValueProblem) else LoraWeight(lora.name, weight)

    def write(self, value: tuple[LoraWeight, ...]) -> str:
        return ", ".join(use.name if use.weight == 1 else f"{use.name}:{format_number(use.weight)}" for use in value)


def _match_lora(typed: str, scope: Scope) -> Lora | ValueProblem:
    adapters = scope.registry.adapters
    matches = adapters.match_loras(typed) or adapters.match_loras(_file_stem(typed))
    if len(matches) > 1:
        text = Text(
            "{typed} matches several LoRAs: {names}. Type more of the name",
            typed=quote(typed),
            names=list_names(matches),
        )
        return ValueProblem(text, is_sentence=True)
    if not matches:
        return ValueProblem(_unknown_lora(typed, scope), is_sentence=True)
    (lora,) = matches
    if is_compatible(lora, scope.model):
        return lora
    text = Text(
        "Cannot use the LoRA {lora} with {model}: {reason}",
        lora=quote(lora.name),
        model=scope.model.name,
        reason=incompatibility(lora),
    )
    return ValueProblem(text, model_specific=True, is_sentence=True)


def _file_stem(typed: str) -> str:
    """Return the name of a model or LoRA whose file was typed, as other programs write it: `styles/ink.safetensors`."""
    return _WEIGHT_ENDINGS.sub("", re.split(r"[/\\]", _FILE_HASH.sub("", typed))[-1])


def _unknown_lora(typed: str, scope: Scope) -> Text:
    adapters, model = scope.registry.adapters, scope.model.name
    if compatible := adapters.compatible_with(scope.model).loras:
        return Text(
            "There is no LoRA {typed} here. Available for {model}: {names}",
            typed=quote(typed),
            model=model,
            names=list_names(compatible),
        )
    if adapters.loras:
        return Text("There is no LoRA {typed}: none are installed for {model}", typed=quote(typed), model=model)
    return Text("There is no LoRA {typed}: none are installed here", typed=quote(typed))


def list_names(adapters: Sequence[Lora | ControlNet]) -> str:
    """Return the names of the first adapters, and how many more there are."""
    names = ", ".join(quote(adapter.name) for adapter in adapters[:MAX_LISTED])
    if len(adapters) <= MAX_LISTED:
        return names
    return Text("{names} and {number} more", names=names, number=len(adapters) - MAX_LISTED)


@dataclass(frozen=True, slots=True)
class FreeText:
    """Any text, without quotation marks around the whole of it."""

    greedy = True
    optional = False
    range = "text"

    def read(self, text: str, scope: Scope) -> str | ValueProblem:
        return unmask(unquote(text))

    def write(self, value: str) -> str:
        return escape(value)


@dataclass(frozen=True, slots=True)
class TextList:
    """A list of words or phrases with commas between them; quotation marks at their ends do not count."""

    greedy = True
    optional = False
    range = "words, separated by commas"

    def read(self, text: str, scope: Scope) -> tuple[str, ...] | ValueProblem:
        quoted = (_OPEN_QUOTE.sub("", item.strip()) for item in _COMMA.split(unquote(text)))
        items = tuple(filter(None, (unmask(_NO_AGAIN.sub("", unquote(item))).strip() for item in quoted)))
        return items or ValueProblem(Text("needs at least one item"))

    def write(self, value: tuple[str, ...]) -> str:
        return ", ".join(escape(item, in_list=True) for item in value)


@dataclass(frozen=True, slots=True)
class StyleName:
    """A reference to a picture: a link to it, the code of one that was used before, or, of a style, `random`."""

    is_style: bool = True
    greedy = True
    optional = False

    @property
    def range(self) -> str:
        return "a link to a picture, a code, or random" if self.is_style else "a link to a picture, or a code"

    def read(self, text: str, scope: Scope) -> str | ValueProblem:
        plain = _MARKED_LINK.sub(r"\1", unmask(text).replace(",", " "))
        words = list(filter(None, (LINK_WEIGHT.sub("", word.strip(_AROUND_LINK)) for word in plain.split())))
        if len(words) != 1:
            return ValueProblem(Text("takes one picture, not {typed}", typed=quote(text)))
        (word,) = words
        if not is_link(word) or IMAGE_LINK.fullmatch(word):
            return word
        return ValueProblem(
            Text(
                "{link} is not a direct link to a picture: use one that ends in .png, .jpg, .jpeg, .webp or .gif",
                link=quote(word),
            ),
            is_sentence=True,
        )

    def write(self, value: str) -> str:
        return escape(value)


def parse_float(text: str) -> float | None:
    """Parse a plain decimal number, or a percentage as a fraction of 1; return None for anything else."""
    number, percent, after = to_ascii(text).partition("%")
    if after or not _FLOAT.fullmatch(number.rstrip()):
        return None
    value = float(number.rstrip().replace(",", ".")) + 0.0
    return value / 100 if percent else value
