"""Read the JSON that other programs write about a picture.

The formats: InvokeAI's, Fooocus', SwarmUI's, NovelAI's and diffusers', by whatever spelling of their keys, and the
graph of a ComfyUI prompt. Python's dictionaries and calls, curly quotation marks, bare keys and commas at an end are
read as JSON too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

MAX_LINKS = 20  # from a sampler to its text

_POSITIVE = ("positiveprompt", "prompt", "positive", "inputs", "textprompts")
_NEGATIVE = ("negativeprompt", "negative", "uc", "undesiredcontent")
_LORAS = "loras"
# Settings by their keys in lower case without `_`, as AUTOMATIC1111's web UI calls them.
_SETTINGS = {
    key: name
    for name, keys in {
        "Steps": "steps numinferencesteps",
        "Seed": "seed noiseseed",
        "Width": "width",
        "Height": "height",
        "Size": "size resolution",
        "CFG scale": "cfgscale guidancescale guidance cfg scale",
        "Sampler": "sampler samplername",
        "Scheduler": "scheduler",
        "Schedule type": "scheduletype noiseschedule",
        "Model": "model basemodel modelname ckptname checkpoint",
        "Clip skip": "clipskip",
    }.items()
    for key in keys.split()
}
_NOT_LETTERS = re.compile(r"[\W_]")
_BEFORE_JSON = re.compile(
    r"[\W\d_]*+(?:prompt|parameters|settings|metadata|json|data|result)\W{0,4}(?=[{\[])", re.IGNORECASE
)
_CALL = re.compile(r"(?:[\w. =]{0,60}\(\s?)?(?=(?:positive_?)?prompt\s?=\s?[\"'“])", re.IGNORECASE)
_TOKEN = re.compile(
    r"""(?P<double>"(?:\\.|[^"\\])*+")|(?P<single>'(?:\\.|[^'\\])*+')|(?P<curly>[“”„][^“”„"]*+[“”])"""
    r"""|(?P<last>,\s*+(?=[}\])]))|(?P<number>[\d.][\w.]*+)|(?P<word>[^\W\d]\w*+)|(?P<mark>[()=])"""
)
_BARE_START = re.compile(r"\{\s?prompt\s?:", re.IGNORECASE)
_BARE_COMMA = re.compile(r",\s?(?=[^\W\d][\w ]{0,30}:)")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "t": "\t"}
_WORDS = {"True": "true", "False": "false", "None": "null"}
_MARKS = {"(": "[", ")": "]", "=": ":"}


def read_json(text: str) -> tuple[str, str, dict[str, str]] | None:
    """Return the positive prompt, the negative one and the settings, or None if `text` is no such JSON."""
    if not text.startswith(("{", "[")):
        if label := _BEFORE_JSON.match(text):
            text = text[label.end() :]
        elif call := _CALL.match(text):
            text = f"{{{text[call.end() :].removesuffix(')')}}}"
    if not text.startswith(("{", "[")):
        return None
    value = _load(text)
    if value is None:
        lenient = _TOKEN.sub(_as_json, text)
        # The last brace may not have been copied.
        value = _load(lenient) or _load(f"{lenient}}}") or _read_bare_values(text)
    return next(filter(None, map(_read_values, _objects(value))), None) or _read_graph(value)


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _read_bare_values(text: str) -> dict[str, str] | None:
    """Return the pairs of `{prompt: a red fox, seed: 5}`, whose values have no quotation marks."""
    if not _BARE_START.match(text) or not text.endswith("}"):
        return None
    pairs = [pair.split(":", 1) for pair in _BARE_COMMA.split(text[1:-1])]
    return {key.strip(): value.strip(" '\"") for key, value in pairs}


def _as_json(token: re.Match[str]) -> str:
    """Return what JSON writes for a token of Python or JavaScript."""
    kind, text = token.lastgroup, token[0]
    if kind in ("single", "curly"):
        return json.dumps(_ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), text[1:-1]))
    if kind == "word":
        return text if text in _WORDS.values() else _WORDS.get(text, json.dumps(text))
    return {"last": "", "mark": _MARKS.get(text, text)}.get(kind or "", text)


def _objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects that may hold a prompt: the outermost, and those directly in it."""
    outer = value if isinstance(value, list) else [value]
    inner = [each for one in outer if isinstance(one, dict) for each in one.values()]
    return [_with_parameters(each) for each in [*outer, *inner] if isinstance(each, dict)]


def _with_parameters(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with those that an API takes beside the prompt, in an object of their own."""
    beside = values.get("parameters")
    return (
        beside | {key: value for key, value in values.items() if value is not beside} if _is_object(beside) else values
    )


def _is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _read_values(values: Mapping[str, Any]) -> tuple[str, str, dict[str, str]] | None:
    plain = {_NOT_LETTERS.sub("", key.lower()): (key, value) for key, value in values.items()}
    positive = next((text for key in _POSITIVE if (text := _text(plain.get(key, ("", ""))[1]))), None)
    if positive is None:
        return None
    negative = next((text for key in _NEGATIVE if (text := _text(plain.get(key, ("", ""))[1]))), "")
    negative = negative or _text(plain.get("textprompts", ("", ""))[1], wanted=False)
    loras = [*_lora_tags(plain.pop(_LORAS, ("", ()))[1])]
    settings = {
        _SETTINGS.get(short, key): _plain(value)
        for short, (key, value) in plain.items()
        if not short.endswith("prompt") and short not in (*_POSITIVE, *_NEGATIVE)
    }
    return " ".join([positive, *loras]), negative, settings


def _text(value: Any, *, wanted: bool = True) -> str:
    """Return a text, or those of a list whose weights say whether they are wanted."""
    if not isinstance(value, list):
        return value if isinstance(value, str) and wanted else ""
    parts = [each for each in value if isinstance(each, dict) and _is_wanted(each) is wanted]
    return ", ".join(filter(None, (_text(each.get("prompt", each.get("text"))) for each in parts)))


def _is_wanted(part: Mapping[str, Any]) -> bool:
    weight = part.get("weight", 1)
    return not isinstance(weight, int | float) or weight >= 0


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return next((str(value[key]) for key in ("name", "model_name") if key in value), "")
    return str(value)


def _lora_tags(value: Any) -> Iterator[str]:
    """Yield InvokeAI's objects and Fooocus' lists as tags."""
    for lora in value if isinstance(value, list) else ():
        if isinstance(lora, dict):
            name, weight = _plain(lora.get("model", lora.get("lora", lora))), lora.get("weight", 1)
        elif isinstance(lora, list) and len(lora) > 1:
            name, weight = str(lora[0]), lora[1]
        else:
            name, weight = str(lora), 1
        yield f"<lora:{name}:{weight}>"


def _read_graph(value: Any) -> tuple[str, str, dict[str, str]] | None:
    """Read the graph of a ComfyUI prompt: the texts that its sampler is linked to, and the settings of all nodes."""
    nodes = value.get("prompt", value) if isinstance(value, dict) else {}
    inputs = {key: node["inputs"] for key, node in nodes.items() if _is_node(node)} if isinstance(nodes, dict) else {}
    sampler = next((each for each in inputs.values() if "positive" in each and "negative" in each), None)
    if sampler is None:
        return None
    settings: dict[str, str] = {}
    for each in (sampler, *inputs.values()):
        for key, setting in each.items():
            name = _SETTINGS.get(_NOT_LETTERS.sub("", key))
            if name and name not in settings and isinstance(setting, str | int | float):
                settings[name] = str(setting)
    loras = [
        f"<lora:{each['lora_name']}:{each.get('strength_model', 1)}>" for each in inputs.values() if "lora_name" in each
    ]
    positive = _linked_text(sampler["positive"], inputs)
    return " ".join([positive, *loras]), _linked_text(sampler["negative"], inputs), settings


def _is_node(node: Any) -> bool:
    return isinstance(node, dict) and "class_type" in node and isinstance(node.get("inputs"), dict)


def _linked_text(value: Any, inputs: Mapping[str, dict[str, Any]]) -> str:
    for _ in range(MAX_LINKS):
        if not isinstance(value, list) or not value:
            break
        node = inputs.get(str(value[0]), {})
        value = next(
            (node[key] for key in ("text", "text_g", "string", "value", "conditioning", "positive") if key in node), ""
        )
    return value if isinstance(value, str) else ""
