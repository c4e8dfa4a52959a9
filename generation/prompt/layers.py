"""The fields that parameters decide, layer by layer: what stands in the prompt beats what was set beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from generation.models import Model
from generation.prompt.faults import Fault, quote
from generation.prompt.names import split_name, unknown
from generation.prompt.pieces import TRAILING, Pieces, take_apart
from generation.prompt.table import BY_NAME, COMING, Parameter

MOST_HINTS = 10


@dataclass(slots=True)
class Layer:
    """Parameters of one strength: the fields that they decide, and what was wrong with the others.

    `settled` are the fields that stronger layers decide already. Names in `options` stand for a whole text; what they
    bring along beside parameters is collected in `extras`.
    """

    model: Model
    has_picture: bool
    is_default: bool = False
    settled: frozenset[str] = frozenset()
    options: Mapping[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    deciders: dict[str, Parameter] = field(default_factory=dict)
    extras: list[Pieces] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def add(self, typed: str) -> None:
        """Take one parameter as typed, without its dashes."""
        name, value = split_name(typed)
        word, _, rest = typed.partition(" ")
        word = word.rstrip(TRAILING)
        if parameter := BY_NAME.get(name):
            self._take(parameter, value)
        elif name in COMING:
            self.faults.append(f"`--{name}` is not available here yet")
        elif (option := self.options.get(word.lower())) is not None:
            self._expand(word, option, rest)
        else:
            with_hint = len(self.faults) < MOST_HINTS
            self.faults.append(unknown(name or word, self.options, with_hint=with_hint))

    def _expand(self, name: str, option: str, rest: str) -> None:
        known, self.options = self.options, {}
        before, self.faults = self.faults, []
        pieces = take_apart(option)
        for parameter in pieces.parameters:
            self.add(parameter)
        self.faults = before + [f"In {quote('--' + name)}: {fault}" for fault in (*pieces.faults, *self.faults)]
        self.options = known
        self.extras.append(pieces)
        if rest := rest.strip(TRAILING):
            self._misplaced(rest, name)

    def _take(self, parameter: Parameter, text: str) -> None:
        if parameter.needs_picture and not self.has_picture:
            if not self.is_default:
                self.faults.append(f"Cannot use `--{parameter.name}` without a picture: {HOW_TO_BRING_ONE}")
        elif parameter.kind.may_be_left_out or (text if parameter.kind.takes_all else text.strip(TRAILING)):
            self._read(parameter, text)
        else:
            self.faults.append(f"`--{parameter.name}` needs a value such as `{parameter.example}`")

    def _read(self, parameter: Parameter, text: str) -> None:
        rest = ""
        if not parameter.kind.takes_all:
            text, _, rest = text.partition(" ")
            text = text.rstrip(TRAILING)
        value = parameter.kind.read(text, self.model)
        if isinstance(value, Fault):
            self.faults.append(f"`--{parameter.name}` {value.text}")
        elif rest := rest.strip(TRAILING):
            self._misplaced(rest, parameter.name)
        else:
            self._decide(parameter, parameter.decides(value))

    def _misplaced(self, text: str, name: str) -> None:
        self.faults.append(f"Put {quote(text)} in front of the parameters: it comes after {quote('--' + name)}")

    def _decide(self, parameter: Parameter, fields: dict[str, Any]) -> None:
        if self.settled & fields.keys():
            return
        if others := [self.deciders[name] for name in fields if name in self.deciders]:
            if parameter.repeatable and others[0] is parameter:
                self.values |= {name: self.values[name] + value for name, value in fields.items()}
            else:
                self.faults.append(_clash(others[0], parameter))
            return
        self.values |= fields
        self.deciders |= dict.fromkeys(fields, parameter)


HOW_TO_BRING_ONE = "attach one with the `image` option, or begin with a link to one"


def read_layers(
    typed: Iterable[str], defaults: Iterable[str], model: Model, *, has_picture: bool, options: Mapping[str, str]
) -> Layer:
    """Read the parameters of a prompt, then those of `defaults`, the strongest first, which fill its gaps."""
    prompt = Layer(model, has_picture, options={name.lower(): text for name, text in options.items()})
    for parameter in typed:
        prompt.add(parameter)
    for text in defaults:
        _fill_gaps(prompt, text)
    return prompt


def _fill_gaps(prompt: Layer, text: str) -> None:
    settled = prompt.values.keys() | ({"num_inference_steps"} if prompt.values.get("draft") else ())
    layer = Layer(prompt.model, prompt.has_picture, is_default=True, settled=frozenset(settled))
    pieces = take_apart(text)
    for parameter in pieces.parameters:
        layer.add(parameter)
    if pieces.text or pieces.links:
        layer.faults.append("only parameters can stand there")
    prompt.faults += [f"In the settings {quote(text)}: {fault}" for fault in (*pieces.faults, *layer.faults)]
    prompt.values |= layer.values


def _clash(one: Parameter, other: Parameter) -> str:
    if one is other:
        return f"`--{one.name}` is given more than once"
    return f"Cannot use `--{one.name}` and `--{other.name}` together"
