"""What can be wrong with the LoRAs and the learnt words of a whole prompt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from generation.additions import incompatibility, is_compatible
from generation.params import LoraWeight
from generation.prompt.faults import quote
from generation.prompt.kinds import Scope

MAX_LORAS = 5

_TOKEN = re.compile(r"<([\w.-]+)>")


def lora_problems(loras: Sequence[LoraWeight]) -> list[str]:
    """Name what is wrong with LoRAs that are well each by itself."""
    counted = Counter(use.name for use in loras)
    problems = [f"`--lora` names {quote(name)} more than once" for name, times in counted.items() if times > 1]
    if len(loras) > MAX_LORAS:
        problems.append(f"At most {MAX_LORAS} LoRAs can be used at once, these are {len(loras)}")
    return problems


def embedding_problems(texts: Iterable[str], scope: Scope) -> list[str]:
    """Name the learnt words that the model cannot be told; anything else in angle brackets is only text."""
    typed = dict.fromkeys(name for text in texts for name in _TOKEN.findall(text))
    embeddings = filter(None, map(scope.registry.adapters.find_embedding, typed))
    return [
        f"Cannot use {quote(f'<{word.name}>')} {incompatibility(word, scope.model)}"
        for word in embeddings
        if not is_compatible(word, scope.model)
    ]
