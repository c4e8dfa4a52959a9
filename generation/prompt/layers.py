"""The fields that parameters decide, layer by layer: what stands in the prompt beats what was set beforehand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from generation.prompt.faults import Fault, beyond, quote
from generation.prompt.kinds import Scope
from generation.prompt.marks import TRAILING
from generation.prompt.names import split_name, unknown
from generation.prompt.pieces import Pieces, take_apart
from generation.prompt.table import BY_NAME, COMING, Parameter

MOST_HINTS = 10


@dataclass(slots=True)
class Layer:
    """Parameters of one strength: the fields that they decide, and what was wrong with the others.

    Fields in `settled` are decided by something stronger. A name in `options` stands for a whole text, which is kept
    in `expanded` for its words and links. What the model cannot do is wrong, or passed over where that `is_lenient`.
    """

    scope: Scope
    settled: AbstractSet[str] = frozenset()
    options: Mapping[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    deciders: dict[str, Parameter] = field(default_factory=dict)
    expanded: dict[str, Pieces] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    is_lenient: bool = False

    def add(self, typed: str) -> None:
        """Take one parameter as typed, without its dashes."""
        name, value = split_name(typed)
        word, _, rest = typed.partition(" ")
        word = word.rstrip(TRAILING)
        if parameter := BY_NAME.get(name):
            if parameter.sets not in self.settled and self._can_be_done(parameter):
                self._take(parameter, value)
        elif name in COMING:
            self.faults.append(f"`--{name}` is not available here yet")
        elif word.lower() in self.options:
            self._expand(word.lower(), rest.strip(TRAILING))
        else:
            self.faults.append(unknown(name or word, self.options, with_hint=len(self.faults) < MOST_HINTS))

    def _can_be_done(self, parameter: Parameter) -> bool:
        if parameter.needs is None or parameter.needs in self.scope.model.features:
            return True
        if not self.is_lenient:
            self.faults.append(beyond(f"`--{parameter.name}`", self.scope.model, parameter.needs))
        return False

    def _take(self, parameter: Parameter, text: str) -> None:
        rest = ""
        if not parameter.kind.takes_all:
            text, _, rest = text.partition(" ")
            text, rest = text.rstrip(TRAILING), rest.strip(TRAILING)
        if not text and not parameter.kind.may_be_left_out:
            self.faults.append(f"`--{parameter.name}` needs a value such as `{parameter.example}`")
            return
        value = parameter.kind.read(text, self.scope)
        if isinstance(value, Fault):
            if not (value.of_model and self.is_lenient):
                self.faults.append(f"`--{parameter.name}` {value.text}")
        elif rest:
            self._refuse_text(rest, parameter.name)
        else:
            self._decide(parameter, parameter.decides(value))

    def _decide(self, parameter: Parameter, fields: dict[str, Any]) -> None:
        other = next((self.deciders[name] for name in fields if name in self.deciders), None)
        if other is parameter and parameter.repeatable:
            fields = {name: self.values[name] + value for name, value in fields.items()}
        elif other is not None:
            self.faults.append(_clash(other, parameter))
            return
        self.values |= fields
        self.deciders |= dict.fromkeys(fields, parameter)

    def _expand(self, name: str, rest: str) -> None:
        if rest:
            self._refuse_text(rest, name)
        if name in self.expanded:
            self.faults.append(f"{quote('--' + name)} is given more than once")
            return
        pieces = self.expanded[name] = take_apart(self.options[name])
        options, faults = self.options, self.faults
        self.options, self.faults = {}, [*pieces.faults]  # an option inside an option is unknown
        for parameter in pieces.parameters:
            self.add(parameter)
        self.options, self.faults = options, faults + [f"In {quote('--' + name)}: {fault}" for fault in self.faults]

    def _refuse_text(self, text: str, name: str) -> None:
        self.faults.append(f"Put {quote(text)} in front of the parameters: it comes after {quote('--' + name)}")


def read_typed(
    typed: Iterable[str], options: Mapping[str, str], scope: Scope, settled: AbstractSet[str] = frozenset()
) -> Layer:
    """Read the parameters of a prompt, but for the fields in `settled`."""
    layer = Layer(scope, settled, options={name.lower(): text for name, text in options.items()})
    for parameter in typed:
        layer.add(parameter)
    return layer


def read_default(text: str, settled: AbstractSet[str], scope: Scope) -> Layer:
    """Read parameters that were set beforehand, but for the fields in `settled`; its faults say where they stand."""
    layer, pieces = Layer(scope, settled, is_lenient=True), take_apart(text)
    for parameter in pieces.parameters:
        layer.add(parameter)
    faults = [*pieces.faults, *layer.faults]
    if pieces.text or pieces.links:
        faults.append("only parameters can be set")
    layer.faults = [f"In the settings {quote(text)}: {fault}" for fault in faults]
    return layer


def _clash(one: Parameter, other: Parameter) -> str:
    if one is other:
        return f"`--{one.name}` is given more than once"
    return f"Cannot use `--{one.name}` and `--{other.name}` together"
