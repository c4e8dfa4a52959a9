"""What can be wrong with the LoRAs and the learnt words of a whole prompt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from generation.additions import fits, misfit
from generation.params import LoraUse
from generation.prompt.faults import quote
from generation.prompt.kinds import Scope

MOST_LORAS = 5

_WORD = re.compile(r"<([\w.-]+)>")


def lora_faults(loras: Sequence[LoraUse]) -> list[str]:
    """Name what is wrong with LoRAs that are well each by itself."""
    counted = Counter(use.name for use in loras)
    faults = [f"`--lora` names {quote(name)} more than once" for name, times in counted.items() if times > 1]
    if len(loras) > MOST_LORAS:
        faults.append(f"At most {MOST_LORAS} LoRAs can be used at once, these are {len(loras)}")
    return faults


def word_faults(texts: Iterable[str], scope: Scope) -> list[str]:
    """Name the learnt words that the model cannot be told; anything else in angle brackets is only text."""
    typed = dict.fromkeys(name for text in texts for name in _WORD.findall(text))
    learnt = filter(None, map(scope.repertoire.additions.learnt, typed))
    return [
        f"Cannot use {quote(f'<{word.name}>')} {misfit(word, scope.model)}"
        for word in learnt
        if not fits(word, scope.model)
    ]
