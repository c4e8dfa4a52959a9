"""Convert infotext into a prompt in the syntax of this package."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping

from generation.models.registry import ModelRegistry
from generation.models.samplers import find_sampler
from generation.prompt.edits import mark_edits, unmark_edits
from generation.prompt.infotext.finding import Infotext, find_infotext
from generation.prompt.infotext.labels import SETTINGS_HEADING
from generation.prompt.layers import layer_from_prompt
from generation.prompt.parameter_names import split_name, to_name
from generation.prompt.parameters import BY_NAME, Parameter
from generation.prompt.splitter import TAG, remove_tags, split_prompt
from generation.prompt.syntax import COLON, DOUBLE_COLON, escape_all, unmask_escaped
from generation.prompt.values import Scope

MAX_NAMED = 12

_AND = re.compile(r"\sAND\s")
_AND_WEIGHT = re.compile(rf"\s{COLON}\s?(-?(?:\d+\.?\d*|\.\d+))$")
_BREAK = re.compile(r"(?<!\S)BREAK(?!\S),?\s?")
_FOREIGN_SYNTAX = re.compile(rf"{DOUBLE_COLON}|[{{}}]|\*\*")
_BRACE = re.compile(r"(?<!\\)[{}]")
_SIZE = re.compile(r"[(\[]?(\d{1,5})\s?[x×*,]\s?(\d{1,5})[)\]]?", re.IGNORECASE)
_OFF = ("false", "none", "null", "")
_NOTHING = ("", "none", "null", "n/a", "-")  # what pages show for a negative prompt that was not given
_NO_SETTING = ("-1", "automatic", "normal", "default", "none", "")
# These say where a picture came from, not how to draw it.
_ABOUT_THE_FILE = re.compile(
    r"hash|version|date|user|civitai|metadata|resources|^(?:app|backend|parser|tile|rng|pipeline|generation_mode)$|^time"
    rf"|^{SETTINGS_HEADING}$",
    re.IGNORECASE,
)
# Settings by name, in lower case with plain blanks, and the parameters that take their values as they are.
_DIRECT = {
    "steps": "steps",
    "sampling steps": "steps",
    "步数": "steps",
    "采样步数": "steps",
    "迭代步数": "steps",
    "seed": "seed",
    "random seed": "seed",
    "种子": "seed",
    "随机种子": "seed",
    "cfg scale": "cfg",
    "cfg": "cfg",
    "guidance scale": "cfg",
    "guidance": "cfg",
    "prompt guidance": "cfg",
    "scale": "cfg",
    "model": "model",
    "base model": "model",
    "checkpoint": "model",
}
_SAMPLER = ("sampler", "sampler name", "scheduler", "schedule type")
_RATIOS = ("aspect ratio", "aspectratio", "ar")
_SIZES = ("size", "resolution", "width", "height", *_RATIOS)


def convert_infotext(typed: str, registry: ModelRegistry) -> tuple[str, tuple[str, ...]]:
    """Return a prompt with the infotext in it converted, and the names of the settings that are not taken over."""
    infotext = find_infotext(typed)
    if infotext is None:
        return typed, ()
    left_out: dict[str, None] = {}
    if infotext.own:
        split = split_prompt(infotext.own)
        text, found = unmask_escaped(split.text), [("", unmask_escaped(each)) for each in _last_ones(split.parameters)]
    else:
        text, found = _convert_text(infotext, left_out), [*_convert_settings(infotext, left_out)]
    parameters = _usable(found, f"{text} {infotext.typed}", registry, left_out)
    written = " ".join(filter(None, [text, *(f"--{parameter}" for parameter in parameters), infotext.typed]))
    return written, tuple(left_out)[:MAX_NAMED]


def _convert_text(infotext: Infotext, left_out: dict[str, None]) -> str:
    if not infotext.settings:
        return infotext.positive  # typed here, in this package's own syntax
    text, without_breaks = infotext.positive, _BREAK.sub("", infotext.positive)
    if without_breaks != text:
        left_out["BREAK"] = None
    text = remove_tags(without_breaks)
    parts = [_escape_foreign(part).strip() for part in _AND.split(text)]
    return parts[0] if len(parts) == 1 else " ".join(_AND_WEIGHT.sub(r"::\1", part) + _mark(part) for part in parts)


def _escape_foreign(text: str) -> str:
    """Escape what means something in this package's syntax only; the edits of prompts mean the same in both."""
    return unmark_edits(_FOREIGN_SYNTAX.sub(lambda match: escape_all(match[0]), mark_edits(text)))


def _mark(part: str) -> str:
    return "" if _AND_WEIGHT.search(part) else "::"


def _convert_settings(infotext: Infotext, left_out: dict[str, None]) -> Iterator[tuple[str, str]]:
    """Yield each setting's name and the parameter that it becomes; name those that become none."""
    if negative := _convert_negative(infotext):
        yield "Negative prompt", f"negative {negative}"
    if infotext.settings:
        tags = TAG.findall(infotext.positive)
        yield from (_convert_tag(kind, value) for kind, value in tags)
        yield from () if tags else _convert_resources(infotext.settings.get("Civitai resources", ""))
    values = {to_name(name).replace("_", " "): (name, value) for name, value in infotext.settings.items()}
    yield from _convert_sampler(values, left_out)
    yield from _convert_size({name: values[name][1] for name in _SIZES if name in values})
    for plain, (name, value) in values.items():
        if plain in _DIRECT and value.casefold() not in _NO_SETTING:
            yield name, f"{_DIRECT[plain]} {value}"
        elif plain not in {*_DIRECT, *_SAMPLER, *_SIZES} and not _says_nothing(plain, value):
            left_out[name] = None


def _convert_negative(infotext: Infotext) -> str:
    text = remove_tags(infotext.negative).strip()
    if text.casefold() in _NOTHING:
        return ""
    return _BRACE.sub(r"\\\g<0>", text) if infotext.settings else text


def _convert_resources(value: str) -> Iterator[tuple[str, str]]:
    """Yield the LoRAs that Civitai used, which the prompt does not name."""
    try:
        resources = json.loads(value)
    except (ValueError, RecursionError):
        return
    for each in resources if isinstance(resources, list) else ():
        if isinstance(each, dict) and "lora" in str(each.get("type")).lower():
            name = str(each.get("modelName") or each.get("name") or "")
            yield f"LoRA {name}", f"lora {name}:{each.get('weight', 1)}"


def _says_nothing(plain: str, value: str) -> bool:
    return value.casefold() in _OFF or _ABOUT_THE_FILE.search(plain) is not None


def _convert_tag(kind: str, value: str) -> tuple[str, str]:
    return f"<{kind}:{value}>", f"{'hypernet' if kind.lower() == 'hypernet' else 'lora'} {value}"


def _convert_sampler(values: Mapping[str, tuple[str, str]], left_out: dict[str, None]) -> Iterator[tuple[str, str]]:
    key = next((key for key in ("sampler", "sampler name") if key in values), "scheduler")
    if key not in values:
        return
    name, typed = values[key]
    schedules = [values[each] for each in ("schedule type", "scheduler") if each in values and each != key]
    schedule = next((value for _, value in schedules if value.casefold() not in _NO_SETTING), "")
    sampler = find_sampler(typed, schedule)
    if schedule and (sampler is None or not sampler.endswith(schedule.casefold())):
        left_out["Schedule type"] = None
    if sampler is not None:
        yield name, f"sampler {sampler}"
    elif typed.casefold() not in ("", "undefined"):
        left_out[name] = None


def _convert_size(sizes: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    text = sizes.get("size") or sizes.get("resolution") or f"{sizes.get('width')}x{sizes.get('height')}"
    if (size := _SIZE.fullmatch(text.strip())) and (divisor := math.gcd(int(size[1]), int(size[2]))):
        yield "Size", f"ar {int(size[1]) // divisor}:{int(size[2]) // divisor}"
    elif ratio := next((sizes[name] for name in _RATIOS if name in sizes), None):
        yield "Aspect ratio", f"ar {ratio}"


def _usable(found: list[tuple[str, str]], typed: str, registry: ModelRegistry, left_out: dict[str, None]) -> list[str]:
    """Return the parameters that can be used here and that were not typed; the others are named in `left_out`."""
    overridden = {known.field for each in split_prompt(typed).parameters if (known := _parameter(each))}
    model = registry.default
    usable = list[str]()
    for name, parameter in sorted(found, key=lambda each: split_name(each[1])[0] != "model"):
        here = _parameter(parameter)
        if here is not None and here.field in overridden:
            continue
        layer = layer_from_prompt([parameter], {}, Scope(registry, model))
        if layer.problems:
            left_out[name or f"--{split_name(parameter)[0]}"] = None
            continue
        model = registry.find(layer.values.get("model", model.name)) or model
        usable.append(parameter)
    return usable


def _last_ones(parameters: list[str]) -> list[str]:
    """Return the parameters without those that a later one overrides: a person added that one."""
    last = {known.name if (known := _parameter(each)) else each: each for each in parameters}
    return list(last.values())


def _parameter(typed: str) -> Parameter | None:
    return BY_NAME.get(split_name(typed)[0])
