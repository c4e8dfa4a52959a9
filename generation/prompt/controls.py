"""The value of `--control`: ControlNets with their weights, and the picture that they read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from generation.models.adapters import incompatibility, is_compatible
from generation.models.files.controls import ControlNet
from generation.params import ControlWeight
from generation.prompt.characters import ANGLES_CLOSE, ANGLES_OPEN, COLONS, COMMAS, QUOTES
from generation.prompt.errors import ValueProblem, quote
from generation.prompt.syntax import IMAGE_LINK, is_link, unmask
from generation.prompt.values import WEIGHTED_NAME, Scope, list_names, parse_float
from generation.prompt.weights import format_number
from generation.text import Text

MAX_CONTROL_WEIGHT = 2
MAX_CONTROLS = 3
READS_PICTURES = ("canny", "scribble", "tile")  # kinds that take any picture; the others take a finished map
_CODE = re.compile(r"[0-9a-f]{6,64}", re.IGNORECASE)
_COLON = re.compile(f"[{re.escape(COLONS)}]")
_SPACED_COLON = re.compile(rf"\s*([{re.escape(COLONS)}])\s*")

Item = ControlWeight | str


@dataclass(frozen=True, slots=True)
class Controls:
    """ControlNets, each with an optional weight after a colon, and the picture: a link or the code of one."""

    greedy = True
    optional = False
    range = (
        f"names of ControlNets, each with an optional weight after a colon, from 0 to {MAX_CONTROL_WEIGHT}; a picture"
    )

    def read(self, text: str, scope: Scope) -> tuple[Item, ...] | ValueProblem:
        """Return the ControlNets, and links and codes as they were typed, in any order."""
        items: list[Item] = []
        for word in _words(unmask(text)):
            item = _read_item(word, scope)
            if isinstance(item, ValueProblem):
                return item
            items.append(item)
        return tuple(items) or ValueProblem(Text("needs at least one name"))

    def write(self, value: tuple[Item, ...]) -> str:
        """Format the ControlNets, then the picture."""
        uses = [use for use in value if isinstance(use, ControlWeight)]
        names = ", ".join(use.name if use.weight == 1 else f"{use.name}:{format_number(use.weight)}" for use in uses)
        return " ".join([names, *(item for item in value if isinstance(item, str))])


def _words(text: str) -> Iterator[str]:
    """Yield names with their weights, links and codes; only the commas of links and weights end none."""
    for spaced in _SPACED_COLON.sub(r"\1", text).split():
        word = spaced.strip(COMMAS + QUOTES)
        yield from [word] if is_link(word.lstrip(ANGLES_OPEN)) else WEIGHTED_NAME.findall(word)


def _read_item(word: str, scope: Scope) -> Item | ValueProblem:
    plain = word.strip(ANGLES_OPEN + ANGLES_CLOSE)
    if is_link(plain):
        return plain if IMAGE_LINK.fullmatch(plain) else _no_direct_link(plain)
    if _CODE.fullmatch(word) and not scope.registry.adapters.match_controls(word):
        return word.lower()
    name, *typed = _COLON.split(word)
    weight = parse_float(typed[0]) if len(typed) == 1 else None if typed else 1.0
    if not name or weight is None or not 0 <= weight <= MAX_CONTROL_WEIGHT:
        return ValueProblem(
            Text(
                "must be a name and a weight between {low} and {high} such as `canny:0.8`, not {typed}",
                low="0",
                high=str(MAX_CONTROL_WEIGHT),
                typed=quote(word),
            )
        )
    control = _match(name, scope)
    return control if isinstance(control, ValueProblem) else ControlWeight(control.name, weight)


def _no_direct_link(link: str) -> ValueProblem:
    return ValueProblem(
        Text(
            "{link} is not a direct link to a picture: use one that ends in .png, .jpg, .jpeg, .webp or .gif",
            link=quote(link),
        ),
        is_sentence=True,
    )


def _match(typed: str, scope: Scope) -> ControlNet | ValueProblem:
    adapters, model = scope.registry.adapters, scope.model
    matches = adapters.compatible_with(model).match_controls(typed)
    if len(matches) == 1:
        return matches[0]
    if matches:
        text = Text(
            "{typed} matches several ControlNets: {names}. Type more of the name",
            typed=quote(typed),
            names=list_names(matches),
        )
        return ValueProblem(text, is_sentence=True)
    others = [control for control in adapters.match_controls(typed) if not is_compatible(control, model)]
    if not others:
        return ValueProblem(_unknown(typed, scope), is_sentence=True)
    text = Text(
        "Cannot use the ControlNet {control} with {model}: {reason}",
        control=quote(others[0].name),
        model=model.name,
        reason=incompatibility(others[0]),
    )
    return ValueProblem(text, model_specific=True, is_sentence=True)


def _unknown(typed: str, scope: Scope) -> Text:
    adapters, model = scope.registry.adapters, scope.model
    if compatible := adapters.compatible_with(model).controls:
        return Text(
            "There is no ControlNet {typed} here. Available for {model}: {names}",
            typed=quote(typed),
            model=model.name,
            names=list_names(compatible),
        )
    if adapters.controls:
        return Text(
            "There is no ControlNet {typed}: none are installed for {model}", typed=quote(typed), model=model.name
        )
    return Text("There is no ControlNet {typed}: none are installed here", typed=quote(typed))


def control_problems(items: Sequence[Item], scope: Scope) -> list[Text]:
    """Return the problems of ControlNets and pictures that are each valid alone."""
    uses = [item for item in items if isinstance(item, ControlWeight)]
    pictures = {item for item in items if isinstance(item, str)}
    problems = []
    if len({use.name for use in uses}) < len(uses):
        problems.append(Text("`--control` names the same ControlNet more than once"))
    if len(uses) > MAX_CONTROLS:
        problems.append(
            Text(
                "A prompt can have at most {limit} ControlNets; this one has {number}",
                limit=MAX_CONTROLS,
                number=len(uses),
            )
        )
    if len(pictures) > 1:
        problems.append(Text("`--control` takes one picture; this prompt has {number}", number=len(pictures)))
    if uses and not pictures:
        problems.append(
            Text(
                "`--control` needs a picture: attach one with the `control` option, or write a link to one behind the "
                "name"
            )
        )
    if pictures and not uses and usual_control(scope) is None:
        problems.append(_which(scope))
    return problems


def _which(scope: Scope) -> Text:
    if names := list_names(scope.registry.adapters.compatible_with(scope.model).controls):
        return Text("`--control` has a picture and no ControlNet that reads it: add one of {names}", names=names)
    return Text("Cannot use a picture for `--control`: no ControlNet is installed for {model}", model=scope.model.name)


def usual_control(scope: Scope) -> ControlNet | None:
    """Return the ControlNet that reads a picture if none is named: one that takes any picture, or the only one."""
    fitting = scope.registry.adapters.compatible_with(scope.model).controls
    for kind in READS_PICTURES:
        if found := next((control for control in fitting if control.kind == kind), None):
            return found
    return fitting[0] if len(fitting) == 1 else None


def split_controls(items: Sequence[Item], scope: Scope) -> dict[str, Any]:
    """Return the fields of `Params` for the ControlNets and the link or code of their picture."""
    uses = tuple(item for item in items if isinstance(item, ControlWeight))
    code = next((item for item in items if isinstance(item, str)), "")
    if code and not uses and (usual := usual_control(scope)):
        uses = (ControlWeight(usual.name),)
    return {"controls": uses, "control_code": code}
