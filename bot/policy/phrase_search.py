"""Search for many phrases at once: one pass over the text, however many phrases there are and however they nest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, TypeVar

Phrase = TypeVar("Phrase", bound=Sequence[str])
Value = TypeVar("Value")


class PhraseSearch(Generic[Phrase, Value]):
    """Aho and Corasick's automaton. A phrase is a sequence of symbols: the letters of a word, or the words of a text.

    State 0 is the beginning; each other state is the beginning of a phrase.
    """

    def __init__(self, phrases: Mapping[Phrase, Value]) -> None:
        self._next: dict[tuple[int, str], int] = {}
        self._values: dict[int, Value] = {}
        depths = [0]
        for phrase, value in phrases.items():
            state = 0
            for depth, symbol in enumerate(phrase, 1):
                state = self._next.setdefault((state, symbol), len(depths))
                if state == len(depths):
                    depths.append(depth)
            if state:
                self._values[state] = value
        # Of each state: the longest other one that its phrase ends with, and the longest that is a whole phrase.
        self._fallback, self._shorter = [0] * len(depths), [0] * len(depths)
        for (parent, symbol), state in sorted(self._next.items(), key=lambda each: depths[each[1]]):
            if parent:
                fallback = self._step(self._fallback[parent], symbol)
                self._fallback[state] = fallback
                self._shorter[state] = fallback if fallback in self._values else self._shorter[fallback]

    def find(self, symbols: Sequence[str]) -> Iterator[Value]:
        """Yield the values of the phrases among the symbols, each once."""
        seen: set[int] = set()
        state = 0
        for symbol in symbols:
            if not state and (0, symbol) not in self._next:  # as most symbols of most texts
                continue
            state = self._step(state, symbol)
            found = state if state in self._values else self._shorter[state]
            while found and found not in seen:
                seen.add(found)
                yield self._values[found]
                found = self._shorter[found]

    def _step(self, state: int, symbol: str) -> int:
        while state and (state, symbol) not in self._next:
            state = self._fallback[state]
        return self._next.get((state, symbol), 0)
