"""The names of parameters, those of other programs for them, and suggestions for misspelt ones."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

from generation.prompt.characters import COLONS
from generation.prompt.errors import quote
from generation.prompt.parameters import BY_NAME, PLANNED
from generation.text import Text

PARAMETER_NAMES = (*BY_NAME, *PLANNED)
MIN_TYPO_LENGTH, MAX_TYPO_LENGTH = 3, 20
MIN_SIMILARITY = 0.6  # of the few names whose distance is measured
LETTERS_PER_TYPO = 4  # a suggestion with more differences than one in so many letters misleads

# What AUTOMATIC1111's web UI and its API, diffusers, InvokeAI and other bots call it, without `-` and `_`.
FOREIGN_NAMES = {
    foreign: name
    for name, names in {
        "ar": "h width height size resolution dimensions aspectratio ratio",
        "cfg": "cfgscale guidance guidancescale scale",
        "steps": "step numsteps inferencesteps numinferencesteps samplingsteps",
        "no": "without exclude",
        "negative": "neg negativeprompt negprompt nprompt",
        "sampler": "samplername samplingmethod scheduler",
        "model": "checkpoint ckpt sdmodel datamodel modelid",
        "iw": "strength denoise denoising denoisingstrength imageweight promptstrength",
        "repeat": "n b num images count batch batchsize batchcount niter numimages numoutputs",
        "hd": "hr hires hiresfix highres highresfix enablehr",
        "tile": "tiling seamless",
        "lora": "loras lyco lycoris",
    }.items()
    for foreign in names.split()
}

_NAME = re.compile(r"[^\W\d_]+(?:[-_][^\W\d_]+)*")
_RATIO = re.compile(rf"\d{{1,6}}[{re.escape(COLONS)}]\d{{1,6}}")
ASSIGNMENT = f"=＝{COLONS}"


def to_name(typed: str) -> str:
    """Return a name as it is compared: in lower case, with plain letters for full-width ones and the Turkish i."""
    return unicodedata.normalize("NFKC", typed).lower().replace("i\u0307", "i").replace("ı", "i")


def split_name(typed: str) -> tuple[str, str]:
    """Split a parameter as typed, without its dashes, into name and value: `ar 3:2`, `seed=5`, `v5`."""
    match = _NAME.match(typed)
    end = match.end() if match else 0
    value = typed[end:]
    return to_name(typed[:end]), (value[1:] if value[:1] in ASSIGNMENT and value else value).strip()


def is_parameter_name(name: str) -> bool:
    """Return whether a name is a parameter's, here or, if it is no single word of a sentence, elsewhere."""
    plain = name.replace("-", "").replace("_", "")
    return name in PARAMETER_NAMES or (plain != name and plain in FOREIGN_NAMES)


def is_reserved_name(name: str) -> bool:
    """Return whether `--name` already is a parameter, so that no custom option can have this name."""
    return split_name(name)[0] in PARAMETER_NAMES


def unknown_parameter(name: str, options: Iterable[str], *, with_hint: bool) -> Text:
    """Return the problem of an unknown parameter, with the known name that was meant, if any and if `with_hint`."""
    typed = quote("--" + name)
    nearest = nearest_name(name, options) if with_hint else None
    if name.startswith(("no-", "no_")):
        nearest = "no"
    if _RATIO.fullmatch(name):
        nearest = "ar"
    if nearest is None:
        return Text("Unrecognized parameter {typed}", typed=typed)
    if nearest in PLANNED:
        return Text(
            "Unrecognized parameter {typed}: `--{nearest}` is not available here yet", typed=typed, nearest=nearest
        )
    return Text("Unrecognized parameter {typed}: did you mean {nearest}?", typed=typed, nearest=quote("--" + nearest))


def nearest_name(name: str, options: Iterable[str] = ()) -> str | None:
    """Return the known name that an unknown one most likely stands for, or None."""
    if foreign := FOREIGN_NAMES.get(name.replace("-", "").replace("_", "")):
        return foreign
    names = [*PARAMETER_NAMES, *options]
    if not MIN_TYPO_LENGTH <= len(name) <= MAX_TYPO_LENGTH:
        return None
    similar = difflib.get_close_matches(name, names, 3, MIN_SIMILARITY)
    close = [known for known in similar if _distance(name, known) <= max(1, len(name) // LETTERS_PER_TYPO)]
    longer = (known for known in names if known.startswith(name))
    return min(close, key=lambda known: _distance(name, known), default=None) or next(longer, None)


def _distance(one: str, other: str) -> int:
    """Return how many letters are added, left out, replaced or swapped with the next to make `other` of `one`."""
    before, row = list[int](), list(range(len(other) + 1))
    for i, char in enumerate(one, 1):
        older, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (char != wanted))
            if i > 1 and j > 1 and char == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
    return row[-1]
