"""Find infotext in what was pasted as a prompt: what this and other programs write about a picture.

The formats: AUTOMATIC1111's web UI, Forge, SD.Next, Fooocus, Civitai and ComfyUI's nodes that save pictures, with line
breaks or without (Discord removes them); InvokeAI's JSON and its command line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice, pairwise

from generation.prompt.characters import COMMAS, to_narrow
from generation.prompt.copied_markup import undo_markup
from generation.prompt.copied_text import strip_copied_text
from generation.prompt.infotext.json_formats import read_json
from generation.prompt.infotext.keys import (
    AS_COLON,
    BRACKETED,
    FOOOCUS_SETTING,
    LEADING_KEY,
    LOOSE_MARKERS,
    NEGATIVE,
    NUMBER_SETTING,
    SETTING,
    SHORT_NEGATIVE,
    STEPS_SETTING,
)
from generation.prompt.infotext.labels import PROMPT_LABEL, SETTINGS_HEADING, write_labels_plainly
from generation.prompt.syntax import COLON, DASH, PARAMETER_START, normalize_text, unmask_escaped

OWN_KEY = "Atelier"  # holds the whole prompt in the syntax of this package
MIN_SETTINGS = 2  # that a text without a negative prompt must have, to be infotext
# In one line, words such as `a receipt: CFG: 7, Seed: 2` are a sentence: other programs begin with the steps.
MIN_SETTINGS_WITHOUT_STEPS = 3
MIN_DREAM_OPTIONS = 3
MAX_JSON_ENDS = 5  # that are tried
MAX_LEADING = 300  # characters before the first certain setting, in which others are looked for

_MARK = re.compile(LOOSE_MARKERS, re.IGNORECASE)
_NEGATIVE = re.compile(NEGATIVE, re.IGNORECASE)
_MORE_NEGATIVE = re.compile(rf"\s?,?\s?{NEGATIVE}", re.IGNORECASE)
_SHORT_NEGATIVE = re.compile(SHORT_NEGATIVE, re.IGNORECASE)
_POSITIVE = re.compile(rf"^[\W\d_]*+(?:{PROMPT_LABEL}|parameters)\s?{COLON}\s?", re.IGNORECASE)
_LATER_LABEL = re.compile(rf"(?<=\s)(?<!negative\s)(?<!neg\s){PROMPT_LABEL}\s?{COLON}\s?", re.IGNORECASE)
_LABEL = re.compile(rf"[\W\d_]*+{PROMPT_LABEL}[\s*_`\"]*{COLON}", re.IGNORECASE)
# A person who knows the parameter may put it before the other programs' words for it.
_TYPED_NEGATIVE = re.compile(rf"(?:^|\s){DASH}+(?:no|negative)\s*$", re.IGNORECASE)
_SETTING = re.compile(SETTING, re.IGNORECASE)
_SAMPLER_WORDS = re.compile(r"[\w+. ()-]{1,24}")  # after the first: `DPM++ 2M Karras`
_AFTER_SETTING = re.compile(rf"\s*+(?:$|[,;|/.)\]}}•·–—-]|[^\W\d_][\w ]{{0,30}}{AS_COLON})")
_TYPED_AFTER_JSON = re.compile(rf"(?<=[}}\])\"'”])[,;]?\s(?={PARAMETER_START.pattern})")
_JSON_COMMENT = re.compile(r"(?<![:\w\"])//[^\n]*")
_STEPS = re.compile(STEPS_SETTING, re.IGNORECASE)
_SETTING_LINE = re.compile(rf"\n[^\w\n]*+{SETTING}", re.IGNORECASE)
_BRACKETED = re.compile(BRACKETED, re.IGNORECASE)
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_NUMBER_SETTING = re.compile(NUMBER_SETTING, re.IGNORECASE)
_LEADING = re.compile(
    rf"(?:(?<!\S)(?:{LEADING_KEY}\s?{COLON}[^,:]{{0,80}}+,|{SETTINGS_HEADING}\s?{COLON})\s?)+$", re.IGNORECASE
)
_FOOOCUS_SETTING = re.compile(FOOOCUS_SETTING)
_SEPARATORS = " ,;|/•·"
_MARKS = f"{_SEPARATORS}.`*_"  # around a value
_LIST_MARK = re.compile(r"(?:;|\s(?:[-–—•·|#>/]+|\d{1,2}[.)]|Other metadata))$", re.IGNORECASE)
_LIST_MARKS = f"{_SEPARATORS}.-–—#"
_BETWEEN = re.compile(rf"(?:[{_SEPARATORS}]|[-–—](?=\s))*+")
_KEY = re.compile(rf"([^\W\d_][\w \-/.()]{{0,60}}?){AS_COLON}")
_QUOTED_PROMPT = re.compile(r"(?<=[\"”])\s?,$")
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*+"')
_VALUE_END = re.compile(rf",|(?<=\s)(?:{SETTING}|{FOOOCUS_SETTING})|{PARAMETER_START.pattern}", re.IGNORECASE)
_OWN = re.compile(rf", {OWN_KEY}: (?:({_QUOTED.pattern})|(?!\"))(.*)")
_DREAM_OPTION = re.compile(r"-([sSWHCA])([\w.]*)")
_DREAM_KEYS = {"s": "Steps", "S": "Seed", "W": "Width", "H": "Height", "C": "CFG scale", "A": "Sampler"}


@dataclass(frozen=True, slots=True)
class Infotext:
    """The texts, the settings by their names, and what a person typed behind them.

    `own` is the whole prompt in the syntax of this package, if the file is one of this program's. Without settings,
    the text is a person's, in which only the negative prompt is marked as other programs mark it.
    """

    positive: str = ""
    negative: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    typed: str = ""
    own: str = ""


def find_infotext(pasted: str) -> Infotext | None:
    """Return the infotext that the whole of `pasted` is, or None."""
    pasted = write_labels_plainly(undo_markup(pasted))
    if pasted.lstrip().startswith(("{", "[")):
        pasted = _JSON_COMMENT.sub("", pasted)
    plain = to_narrow(pasted.replace("*", ""))
    if _MARK.search(plain) is None:
        return None
    text = normalize_text(pasted)
    if own := _read_own(text):
        return own
    text = unmask_escaped(strip_copied_text(pasted))
    is_labelled = _LABEL.match(pasted) is not None
    has_lines = is_labelled or _SETTING_LINE.search(plain) is not None
    return _read_json(text) or _read_dream(text) or _read_lines(text, is_labelled=is_labelled, has_lines=has_lines)


def _read_own(text: str) -> Infotext | None:
    start = text.rfind(f", {OWN_KEY}: ")
    match = _OWN.fullmatch(text, start) if start >= 0 else None
    if match is None or _SETTING.search(text, 0, start) is None:
        return None
    if match[1] is None:  # a prompt without commas and colons is not quoted
        return Infotext(own=match[2])
    try:
        return Infotext(own=json.loads(match[1]), typed=match[2].strip())
    except ValueError:
        return None


def _read_json(text: str) -> Infotext | None:
    """Read JSON, and the parameters that a person typed behind it."""
    for gap in islice(_TYPED_AFTER_JSON.finditer(text), MAX_JSON_ENDS):
        before = text[: gap.start()]
        is_inside = before.count("{") > before.count("}")
        if not is_inside and (found := read_json(before)):
            return Infotext(*found, typed=text[gap.end() :])
    found = read_json(text)
    return Infotext(*found) if found else None


def _read_dream(text: str) -> Infotext | None:
    """Read InvokeAI's command line, whose options come last: `"a fox" -s 50 -S 42 -W 512 -H 768`."""
    words, settings = text.split(" "), dict[str, str]()
    while words:
        number = 2 if len(words) > 1 and not words[-1].startswith("-") else 1
        option = _DREAM_OPTION.fullmatch("".join(words[-number:]))
        if option is None or not option[2]:
            break
        settings[_DREAM_KEYS[option[1]]] = option[2]
        del words[-number:]
    if len(settings) < MIN_DREAM_OPTIONS:
        return None
    return Infotext(" ".join(words).strip("\"'"), settings=dict(reversed(settings.items())))


def _read_lines(text: str, *, is_labelled: bool, has_lines: bool) -> Infotext | None:
    text = _prompt_first(_without_brackets(text))
    plain = to_narrow(text)
    mark = _find_negative(plain, is_labelled=is_labelled)
    needed = 1 if mark else MIN_SETTINGS
    start = _settings_start(plain, mark.end() if mark else 0, needed, anywhere=mark is not None or has_lines)
    if mark is None and start is None:
        return None
    end = len(text) if start is None else start
    positive = text[: mark.start() if mark else end]
    negative = _MORE_NEGATIVE.sub(", ", text[mark.end() : end]) if mark else ""
    settings = dict[str, str]()
    if start is None:
        negative, typed = _split_typed(negative)
    else:
        settings, typed = _read_settings(plain, start)
    positive = _TYPED_NEGATIVE.sub("", _POSITIVE.sub("", positive))
    return Infotext(_without_list_mark(positive), _without_list_mark(negative).strip(f" {COMMAS}"), settings, typed)


def _split_typed(text: str) -> tuple[str, str]:
    """Return a text before the parameters that a person typed behind it, and these."""
    start = PARAMETER_START.search(text)
    return (text[: start.start()], text[start.start() :]) if start else (text, "")


def _without_brackets(text: str) -> str:
    """Return the text without the brackets around infotext at its end; in the middle of a sentence they stay."""
    plain = to_narrow(text)
    opening = _BRACKETED.search(plain)
    if opening is None:
        return text
    start = opening.start()
    end = plain.rfind(_CLOSING[plain[start]], start)
    after = plain[end + 1 :].strip(f"{_SEPARATORS}.")
    if end < 0 or (after and not PARAMETER_START.match(after)):
        return text
    return f"{text[:start]} {text[start + 1 : end]} {text[end + 1 :]}"


def _prompt_first(text: str) -> str:
    """Return the text with the settings in front of its labelled prompt behind it, before typed parameters."""
    label = _LATER_LABEL.search(text)
    if label is None or not _SETTING.match(text) or _NEGATIVE.search(text, 0, label.start()):
        return text
    last_piece = text[: label.start()].rpartition(",")[2]
    if not _KEY.search(last_piece):
        return text  # it is a part of a setting's name: `Hires prompt`
    *_, last = [label, *_MARK.finditer(text, label.end())]
    typed = PARAMETER_START.search(text, last.end())
    end = typed.start() if typed else len(text)
    return f"{text[label.start() : end]} {text[: label.start()]}{text[end:]}"


def _without_list_mark(text: str) -> str:
    """Return a text without the mark of the list item, or Civitai's heading, that follows it."""
    return _QUOTED_PROMPT.sub("", _LIST_MARK.sub("", text.strip()))


def _find_negative(text: str, *, is_labelled: bool) -> re.Match[str] | None:
    """Return the words before the negative prompt; short ones count if the prompt has a label, or before settings."""
    if mark := _NEGATIVE.search(text):
        return mark
    short = _SHORT_NEGATIVE.search(text)
    if short and (is_labelled or _settings_start(text, short.end(), MIN_SETTINGS) is not None):
        return short
    return None


def _settings_start(text: str, begin: int, needed: int, *, anywhere: bool = True) -> int | None:
    """Return where the first run of at least so many settings begins; only other settings are between them.

    Unless a run may be `anywhere`, it has the steps or is longer: a sentence can have two words with a colon.
    """
    run: list[re.Match[str]] = []
    for before, setting in pairwise([None, *_SETTING.finditer(text, begin)]):
        assert setting is not None
        between = text[before.end() : setting.start()].strip(_LIST_MARKS) if before else ""
        run = [*run, setting] if not between or _is_setting(before, between) else [setting]
        if len(run) >= needed and (anywhere or _is_certain(text, run)):
            return _leading_start(text, begin, run[0].start())
    return None


def _is_setting(before: re.Match[str] | None, between: str) -> bool:
    """Return whether the text between two settings is another one, or the end of a sampler's name."""
    is_sampler = before is not None and not _NUMBER_SETTING.match(before[0])
    return bool(_KEY.match(between) or (is_sampler and _SAMPLER_WORDS.fullmatch(between)))


def _is_certain(text: str, run: list[re.Match[str]]) -> bool:
    """Return whether a run of settings in one line is no part of a sentence."""
    is_typical = len(run) >= MIN_SETTINGS_WITHOUT_STEPS or any(_STEPS.match(each[0]) for each in run)
    is_number = _NUMBER_SETTING.match(run[-1][0]) is not None
    return is_typical and not (is_number and _AFTER_SETTING.match(text, run[-1].end()) is None)


def _leading_start(text: str, begin: int, first: int) -> int:
    """Return where the settings begin that stand before the first certain one."""
    leading = _LEADING.search(text, max(begin, first - MAX_LEADING), first) or _FOOOCUS_SETTING.search(
        text, begin, first
    )
    return leading.start() if leading else first


def _read_settings(text: str, place: int) -> tuple[dict[str, str], str]:
    """Return the settings from `place` on, and the parameters that follow them."""
    values, key, typed = dict[str, list[str]](), "", ""
    while (place := _end_of(_BETWEEN, text, place)) < len(text):
        if (name := _KEY.match(text, place)) and not _FOOOCUS_SETTING.search(text, place + 1, name.end() + 1):
            number, key, place = _NUMBER_SETTING.match(text, place), name[1], name.end()
            values[key] = []
            if number:  # a key may follow without a comma
                values[key].append(text[place : number.end()])
                place = number.end()
                continue
        value, place = _read_value(text, place)
        values.setdefault(key, []).extend([value] if value else [])
        end = _VALUE_END.search(text, place)
        if end is None:
            break
        if PARAMETER_START.match(text, end.start()):
            typed = text[end.start() :]
            break
        place = max(place, end.start())
    return {key: ", ".join(pieces) for key, pieces in values.items()}, typed


def _end_of(pattern: re.Pattern[str], text: str, place: int) -> int:
    match = pattern.match(text, place)
    return match.end() if match else place


def _read_value(text: str, place: int) -> tuple[str, int]:
    """Return one value and where it ends; commas inside quotation marks and JSON belong to it."""
    if quoted := _QUOTED.match(text, place):
        try:
            return str(json.loads(quoted[0])), quoted.end()
        except ValueError:
            return quoted[0][1:-1], quoted.end()
    if text[place : place + 1] in ("[", "{"):
        try:
            _, end = json.JSONDecoder().raw_decode(text, place)
            return text[place:end], end
        except (ValueError, RecursionError):
            pass  # it only looks like JSON
    after = _VALUE_END.search(text, place)
    stop = after.start() if after else len(text)
    return text[place:stop].strip(_MARKS), stop
