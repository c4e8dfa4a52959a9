"""Write the labels of pasted infotext plainly: `- **Negative prompt**: ugly` is `Negative prompt: ugly`."""

from __future__ import annotations

import re

from generation.prompt.syntax import COLON

PROMPT_LABEL = r"(?:positive(?:[ _]prompt)?|prompt)"
_NAME = (
    rf"{PROMPT_LABEL}|neg(?:ative)?(?:[ _]prompts?)?|steps|sampler|scheduler|seed|(?:cfg|guidance)(?:[ _]scale)?"
    r"|size|resolution|width|height|model|clip[ _]skip"
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


def write_labels_plainly(pasted: str) -> str:
    """Return the text with the labels at the starts of its lines plain; a text of one line is returned as it is."""
    if "\n" not in pasted:
        return pasted
    return _LABEL_LINE.sub(lambda line: f"{line[1] or line[2]}:", pasted)
