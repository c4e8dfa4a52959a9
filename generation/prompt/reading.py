"""From the typed text to `Params`, or to everything that is wrong with it.

The order of work: junk off, links, text and weights, parameters.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from generation.actions import new_seed as random_seed
from generation.models import Model, size_for
from generation.params import Params, Picture
from generation.prompt.faults import Fault, PromptFaults, quote
from generation.prompt.image_weight import strength_for
from generation.prompt.junk import strip_junk
from generation.prompt.marks import FRONT_LINKS, GROUP, PARAMETER_START
from generation.prompt.table import BY_NAME, COMING, Parameter
from generation.prompt.weights import read_parts, weight_faults

MAX_LENGTH = 6000
LONGEST_TYPO = 20
MOST_HINTS = 10
TRAILING = " ,;."

_NAMES = (*BY_NAME, *COMING)
_ANY_NAME = "|".join(sorted(_NAMES, key=len, reverse=True))
_LOOSE_START = re.compile(rf"(?<!\S)(?:--+|[–—])\s(?=(?:{_ANY_NAME})\s[.\d])", re.IGNORECASE)
_GLUED = re.compile(r"(?<=[^\s\-–—])--([^\W\d_]+)")
_NAME = re.compile(r"[^\W\d_]+(?:[-_][^\W\d_]+)*")


def parse(
    text: str, model: Model, *, source: Picture | None = None, new_seed: Callable[[], int] = random_seed
) -> Params:
    """Read a prompt, filling its gaps with the model's defaults; raises PromptFaults naming all that is wrong."""
    plain = strip_junk(text)
    faults = _faults_of_the_whole(plain)
    body, typed = _split(GROUP.sub(r"\1", plain))
    if links := FRONT_LINKS.match(body):
        faults.append("Attach the picture with the `image` option: links are not available here yet")
        body = body[links.end() :]
    given = _Given(model, has_picture=source is not None, faults=faults)
    for chunk in typed:
        given.add(chunk)
    parts = read_parts(body)
    faults += weight_faults(parts, given.values.get("no", ()))
    if faults:
        raise PromptFaults(*dict.fromkeys(faults))
    return _fill(given.values | {"parts": parts, "source": source}, model, new_seed)


def _faults_of_the_whole(text: str) -> list[str]:
    faults = []
    if len(text) > MAX_LENGTH:
        faults.append(f"The prompt must be at most {MAX_LENGTH} characters long, this one has {len(text)}")
    if group := GROUP.search(text):
        faults.append(f"Choices such as {quote(group[0])} are not available here yet; a plain brace is `\\{{`")
    glued = (name.lower() for name in _GLUED.findall(text))
    return faults + [f"Put a space before `--{name}`" for name in glued if name in _NAMES]


def _split(text: str) -> tuple[str, list[str]]:
    body, *typed = PARAMETER_START.split(_LOOSE_START.sub("--", text))
    return body.strip(), [chunk.strip() for chunk in typed]


def _fill(given: dict[str, Any], model: Model, new_seed: Callable[[], int]) -> Params:
    width, height = size_for(model, given.get("aspect", (1, 1)))
    defaults = {
        "num_inference_steps": model.num_inference_steps,
        "guidance_scale": model.guidance_scale,
        "strength": 1.0 if given["source"] is None else strength_for(1),
    }
    seed = given["seed"] if "seed" in given else new_seed()
    return Params(**defaults | given | {"width": width, "height": height, "seed": seed})


@dataclass(slots=True)
class _Given:
    """The fields that the typed parameters set, and what was wrong with the others."""

    model: Model
    has_picture: bool
    faults: list[str]
    values: dict[str, Any] = field(default_factory=dict)
    setters: dict[str, Parameter] = field(default_factory=dict)

    def add(self, chunk: str) -> None:
        """Take one parameter as typed, without its dashes: `ar 3:2`, `seed=5`, `v5`."""
        match = _NAME.match(chunk)
        name = match[0].lower() if match else ""
        value = chunk[len(match[0]) if match else 0 :].removeprefix("=").strip()
        if parameter := BY_NAME.get(name):
            self._take(parameter, value)
        elif name in COMING:
            self.faults.append(f"`--{name}` is not available here yet")
        else:
            self.faults.append(_unknown(name or chunk.partition(" ")[0], with_hint=len(self.faults) < MOST_HINTS))

    def _take(self, parameter: Parameter, text: str) -> None:
        if clash := self._clash(parameter):
            self.faults.append(clash)
        elif not (text if parameter.kind.takes_all else text.strip(TRAILING)):
            self.faults.append(f"`--{parameter.name}` needs a value such as `{parameter.example}`")
        else:
            self._read(parameter, text)

    def _clash(self, parameter: Parameter) -> str | None:
        if parameter.needs_picture and not self.has_picture:
            return f"Cannot use `--{parameter.name}` without a picture: attach one with the `image` option"
        is_repeated = parameter.sets in self.setters
        other = self.setters.setdefault(parameter.sets, parameter)
        if other is not parameter:
            return f"Cannot use `--{other.name}` and `--{parameter.name}` together"
        if is_repeated and not parameter.repeatable:
            return f"`--{parameter.name}` is given more than once"
        return None

    def _read(self, parameter: Parameter, text: str) -> None:
        rest = ""
        if not parameter.kind.takes_all:
            text, _, rest = text.partition(" ")
            text = text.rstrip(TRAILING)
        value = parameter.kind.read(text, self.model)
        if isinstance(value, Fault):
            self.faults.append(f"`--{parameter.name}` {value.text}")
        elif rest := rest.strip(TRAILING):
            self.faults.append(f"Put {quote(rest)} in front of the parameters: it comes after `--{parameter.name}`")
        else:
            self._set(parameter, parameter.to_field(value, self.model))

    def _set(self, parameter: Parameter, value: Any) -> None:
        if parameter.repeatable and parameter.sets in self.values:
            value = self.values[parameter.sets] + value
        self.values[parameter.sets] = value


def _unknown(name: str, *, with_hint: bool) -> str:
    fault = f"Unrecognized parameter {quote('--' + name)}"
    nearest = _nearest(name) if with_hint else None
    if nearest is None:
        return fault
    return f"{fault}: did you mean `--{nearest}`?" if nearest in BY_NAME else f"{fault}: `--{nearest}` is not here yet"


def _nearest(name: str) -> str | None:
    close = difflib.get_close_matches(name[:LONGEST_TYPO], _NAMES, 1)
    longer = (known for known in _NAMES if len(name) > 2 and known.startswith(name))
    return next(iter(close), None) or next(longer, None)
