"""Tell a dash of prose before a parameter's name (`a hall —no one is here`) from a phone's `--` (`a fox —no snow`).

A phone makes one long dash of two hyphens, so a name and a value that fits it are a parameter. What follows `no` fits
nearly always; there, English itself decides.
"""

from __future__ import annotations

import re

from generation.prompt.characters import CLOSING_MARKS
from generation.prompt.controls import Controls
from generation.prompt.parameters import BY_NAME
from generation.prompt.values import Choice, Flag, FreeText, Loras, ModelName, TextList

MIN_WORD = 4  # letters; a shorter name such as `ar` or `cfg` is no word of a sentence

_NO_PHRASE = re.compile(
    r"[,，?？!！.…]|(?:one|longer|matter|more|less|doubt|wonder|way|other|two|end|sooner|such|mere|ordinary|common|simple|small|mean"
    r"|idea|telling|exceptions?|apparent|particular|real|great|good|use|need|stranger|question)\b|\w+er\sthan\b",
    re.IGNORECASE,
)
# Of a whole sentence; a clause with `that` belongs to a thing to keep out.
_VERB = re.compile(
    r"^(?!.*\b(?:that|which|who)\b).*\b(?:is|are|was|were|has|have|had|can|could|will|would|shall|should|may|might|must"
    r"|does|did|dares?)\b",
    re.IGNORECASE,
)
_FUNCTION_WORD = re.compile(r"(?:of|for|in|on|at|with|and|to|the|an?|who|that|by|from)\b", re.IGNORECASE)


def is_sentence(name: str, value: str) -> bool:
    """Return whether a known name and the text behind it continue a sentence, rather than set a parameter."""
    parameter = BY_NAME.get(name)
    if parameter is None or not value.strip(CLOSING_MARKS) or (len(name) < MIN_WORD and name not in ("no", "raw")):
        return False
    match parameter.value_type:
        case Flag():
            return True
        case TextList() | FreeText():
            return bool(_NO_PHRASE.match(value) or _VERB.match(value))
        case ModelName() | Loras() | Controls():
            return _FUNCTION_WORD.match(value) is not None
        case Choice(names=names):
            return not any(each.startswith(value[:3].lower()) for each in names)
    return value[0].isalpha()
