"""The fields set by parameters, layer by layer: the prompt's parameters override defaults."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any

from generation.prompt.characters import CLOSING_MARKS, DASHES, OPENING_MARKS, PERCENT_SIGNS, QUOTES, SEPARATORS
from generation.prompt.errors import ValueProblem, quote, unsupported
from generation.prompt.parameter_names import ASSIGNMENT, split_name, unknown_parameter
from generation.prompt.parameters import BY_NAME, PLANNED, Parameter
from generation.prompt.splitter import SplitPrompt, split_prompt
from generation.prompt.syntax import COLON
from generation.prompt.values import FreeText, Scope, TextList
from generation.text import Text

_SPACED_RATIO = re.compile(rf"^(\d+)\s?({COLON}|[/x×*])\s?(\d+)(?!\w)", re.IGNORECASE)
_AFTER_VALUE = CLOSING_MARKS.translate(str.maketrans("", "", PERCENT_SIGNS))
MAX_HINTS = 10
MAX_PROBLEMS = 50  # nobody reads more, and each takes time


@dataclass(slots=True)
class ParameterLayer:
    """Parameters of one precedence: the fields that they set, and the problems found.

    `values` holds the fields, and `typed` the value of each parameter by its long name.
    Fields in `overridden` are set by a layer of higher precedence. A name in `options` stands for a whole text, which
    is stored in `expanded` for its text and links. Parameters that the model does not support are problems, unless
    `ignore_unsupported`.
    """

    scope: Scope
    overridden: AbstractSet[str] = frozenset()
    options: Mapping[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    typed: dict[str, Any] = field(default_factory=dict)
    set_by: dict[str, Parameter] = field(default_factory=dict)
    expanded: dict[str, SplitPrompt] = field(default_factory=dict)
    problems: list[Text] = field(default_factory=list)
    ignore_unsupported: bool = False

    def add(self, typed: str) -> None:
        """Add one parameter as typed, without its dashes; after very many problems, ignore it."""
        if len(self.problems) >= MAX_PROBLEMS:
            return
        name, value = split_name(typed)
        word, _, rest = typed.partition(" ")
        word = word.rstrip(SEPARATORS)
        if parameter := BY_NAME.get(name):
            if parameter.field not in self.overridden and self._is_supported(parameter):
                self._read_value(parameter, name, value)
        elif word.lower() in self.options:  # before the planned parameters, which are newer than some options
            self._expand(word.lower(), rest.strip(SEPARATORS))
        elif name in PLANNED:
            self.problems.append(_not_available(name))
        else:
            self.problems.append(
                unknown_parameter(name or word, self.options, with_hint=len(self.problems) < MAX_HINTS)
            )

    def _is_supported(self, parameter: Parameter) -> bool:
        if parameter.requires is None or parameter.requires in self.scope.model.capabilities:
            return True
        if not self.ignore_unsupported:
            self.problems.append(unsupported(f"`--{parameter.name}`", self.scope.model, parameter.requires))
        return False

    def _read_value(self, parameter: Parameter, name: str, text: str) -> None:
        rest = ""
        if not parameter.value_type.greedy:
            text = _SPACED_RATIO.sub(r"\1\2\3", text.lstrip(f"{ASSIGNMENT} "))
            text, _, rest = text.partition(" ")
            text = text.lstrip(OPENING_MARKS).rstrip(_AFTER_VALUE)
            rest = rest.strip(SEPARATORS) if rest.strip(CLOSING_MARKS + DASHES) else ""
        if not isinstance(parameter.value_type, FreeText | TextList):
            text = text.strip(QUOTES)
        if not text and not parameter.value_type.optional:
            self.problems.append(
                Text(
                    "`--{parameter}` needs a value such as `{example}`",
                    parameter=parameter.name,
                    example=parameter.example,
                )
            )
            return
        as_typed = "" if name == "model" else f"--{name} {text}".strip()
        value = parameter.value_type.read(text, replace(self.scope, typed=as_typed))
        if isinstance(value, ValueProblem):
            if not (value.model_specific and self.ignore_unsupported):
                self.problems.append(value.message(parameter.name))
        elif rest:
            self._reject_text(rest, parameter.name)
        else:
            self._set_fields(parameter, value)

    def _set_fields(self, parameter: Parameter, value: Any) -> None:
        fields = parameter.field_values(value)
        other = next((self.set_by[name] for name in fields if name in self.set_by), None)
        if other is parameter and parameter.repeatable:
            value = self.values[parameter.field] + value
            fields = parameter.field_values(value)
        elif other is not None:
            self.problems.append(_conflict(other, parameter))
            return
        self.values |= fields
        self.typed[parameter.long_name] = value
        self.set_by |= dict.fromkeys(fields, parameter)

    def _expand(self, name: str, rest: str) -> None:
        if rest:
            self._reject_text(rest, name)
        if name in self.expanded:
            self.problems.append(Text("{parameter} is given more than once", parameter=quote("--" + name)))
            return
        parts = self.expanded[name] = split_prompt(self.options[name])
        options, problems = self.options, self.problems
        self.options, self.problems = {}, [*parts.problems]  # an option inside an option is unknown
        for parameter in parts.parameters:
            self.add(parameter)
        self.options, self.problems = (
            options,
            problems
            + [Text("In {option}: {problem}", option=quote("--" + name), problem=each) for each in self.problems],
        )

    def _reject_text(self, text: str, name: str) -> None:
        self.problems.append(
            Text(
                "Move {typed} before the parameters: it comes after {parameter}",
                typed=quote(text),
                parameter=quote("--" + name),
            )
        )


def layer_from_prompt(
    typed: Iterable[str], options: Mapping[str, str], scope: Scope, overridden: AbstractSet[str] = frozenset()
) -> ParameterLayer:
    """Read the parameters of a prompt, except the fields in `overridden`."""
    layer = ParameterLayer(scope, overridden, options={name.lower(): text for name, text in options.items()})
    for parameter in typed:
        layer.add(parameter)
    return layer


def layer_from_defaults(text: str, overridden: AbstractSet[str], scope: Scope) -> ParameterLayer:
    """Read default parameters, except the fields in `overridden`; each problem quotes the defaults."""
    layer, parts = ParameterLayer(scope, overridden, ignore_unsupported=True), split_prompt(text)
    for parameter in parts.parameters:
        layer.add(parameter)
    problems = [*parts.problems, *layer.problems]
    if parts.text or parts.links:
        problems.append(Text("only parameters are allowed"))
    layer.problems = [
        Text("In the settings {parameters}: {problem}", parameters=quote(text), problem=each) for each in problems
    ]
    return layer


def _not_available(name: str) -> Text:
    if nearest := PLANNED[name]:
        return Text("`--{parameter}` is not available here yet. {nearest}", parameter=name, nearest=nearest)
    return Text("`--{parameter}` is not available here yet: remove it", parameter=name)


def _conflict(first: Parameter, second: Parameter) -> Text:
    if first is second:
        return Text("{parameter} is given more than once", parameter=f"`--{first.name}`")
    return Text("Cannot use `--{first}` and `--{second}` together", first=first.name, second=second.name)
