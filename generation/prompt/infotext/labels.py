"""Write the labels of pasted infotext plainly: `- **Negative prompt**: ugly` is `Negative prompt: ugly`."""

from __future__ import annotations

import re

from generation.prompt.infotext.keys import LEADING_KEY, SETTING
from generation.prompt.syntax import COLON

PROMPT_LABEL = r"(?:positive(?:[ _]prompt)?|(?:positiver )?prompt|промпт|(?:正\w)?提示词|プロンプト)"
_NAME = (
    rf"{PROMPT_LABEL}|neg(?:ative)?(?:[ _]prompts?)?|steps|sampler|scheduler|seed|(?:cfg|guidance)(?:[ _]scale)?"
    r"|prompt guidance|size|resolution|width|height|model|clip[ _]skip"
)
_MARKS = r"[*_`\"]"
# Web pages show these as headings, without a colon.
SETTINGS_HEADING = r"(?:settings|(?:generation )?parameters|generation data|other metadata)"
_HEADING = rf"{PROMPT_LABEL}|negative prompts?|{SETTINGS_HEADING}"
_LABEL_LINE = re.compile(
    rf"^[^\S\n]*(?:[-*+•·#>]+[^\S\n]+|\d{{1,2}}[.)][^\S\n]*)?"
    rf"(?:{_MARKS}{{0,3}}({_NAME})[^\S\n]?{_MARKS}{{0,3}}[^\S\n]?{COLON}{_MARKS}{{0,3}}"
    rf"|{_MARKS}{{0,3}}({_HEADING}){_MARKS}{{0,3}}[^\S\n]*$)",
    re.IGNORECASE | re.MULTILINE,
)
# Web pages show a setting's name above its value, or beside it without a colon.
_BARE_SETTING = re.compile(
    r"^[^\S\n]*(?:(steps|seed|(?:cfg|guidance)(?:[ _]scale)?|clip[ _]skip)\s+(?=\d)"
    r"|(sampler|scheduler|model)[^\S\n]*\n\s*)(\S[^\n:]{0,60}?)(?=$|\s--\w)",
    re.IGNORECASE | re.MULTILINE,
)
MIN_BARE_SETTINGS = 2
_PROMPT_LINE = re.compile(rf"^[^\S\n]*{PROMPT_LABEL}\s?{COLON}", re.IGNORECASE | re.MULTILINE)
_NEGATIVE_LINE = re.compile(rf"^[^\S\n]*neg(?:ative)?(?:[ _]prompts?)?\s?{COLON}", re.IGNORECASE | re.MULTILINE)
_SETTING_LINES = re.compile(rf"(?:\s*+{SETTING}[^\n]*\n)+(?!\s*+{SETTING}|\s*+$)", re.IGNORECASE)
_FIRST_SETTING_LINE = re.compile(rf"^[^\w\n]*(?:{LEADING_KEY}{COLON}|{SETTING})", re.IGNORECASE | re.MULTILINE)
_LATER_KEY_LINE = re.compile(
    rf"(?<![\s,])[^\S\n]*+\n(?=\s*+(?:[-*•·>]++[^\S\n]*+)*+(?!{PROMPT_LABEL}|neg(?:ative)?(?:[ _]prompts?)?\s?{COLON})"
    rf"[^\W\d_][\w \-/.()]{{0,60}}{COLON})",
    re.IGNORECASE,
)
_KEY_LINE = re.compile(
    rf"^[^\S\n]*(?!{PROMPT_LABEL})[^\W\d_][\w \-]{{0,30}}{COLON}(?!{COLON})", re.IGNORECASE | re.MULTILINE
)


def write_labels_plainly(pasted: str) -> str:
    """Return the text with the labels at the starts of its lines plain; a text of one line is returned as it is."""
    if "\n" not in pasted:
        return pasted
    text = _LABEL_LINE.sub(lambda line: f"{line[1] or line[2]}:", pasted)
    if len(_BARE_SETTING.findall(text)) >= MIN_BARE_SETTINGS:
        text = _BARE_SETTING.sub(lambda line: f"{line[1] or line[2]}: {line[3]}", text)
    return _end_settings(_prompt_first(text))


def _prompt_first(text: str) -> str:
    """Return the text with the lines of its prompt, the negative one, and then the settings in front of the prompt."""
    start = _PROMPT_LINE.search(text)
    if start is None:
        settings = _SETTING_LINES.match(text)
        return f"{text[settings.end() :]}\n{settings[0]}" if settings else text
    if not _KEY_LINE.match(text):
        return text
    before, after = text[: start.start()], text[start.start() :]
    negative, end = _NEGATIVE_LINE.search(before), _KEY_LINE.search(after, start.end() - start.start())
    if negative is None or end is None:
        return f"{after}\n{before}"
    return "\n".join(
        [after[: end.start()], before[negative.start() :], before[: negative.start()], after[end.start() :]]
    )


def _end_settings(text: str) -> str:
    """Return the text with a comma at the end of each setting that has a line of its own."""
    first = _FIRST_SETTING_LINE.search(text)
    return text[: first.start()] + _LATER_KEY_LINE.sub(",\n", text[first.start() :]) if first else text
