"""Which models are held in a bounded memory, and which of them make room for another."""

from __future__ import annotations

from collections.abc import Container


class MemoryBudget:
    """Counts the bytes of the models that are held, the least recently used of them first.

    The `budget` is a wish: a model that has no room in it is held all the same, once nothing else is.
    """

    def __init__(self, budget: int) -> None:
        self.limit = budget
        self._sizes: dict[str, int] = {}

    def add(self, name: str, size: int) -> None:
        """Count a model of `size` bytes, which is now the one most recently used."""
        self._sizes.pop(name, None)
        self._sizes[name] = size

    def touch(self, name: str) -> None:
        """Note that a model is being used; harmless for one that is not held."""
        if name in self._sizes:
            self._sizes[name] = self._sizes.pop(name)

    def remove(self, name: str) -> None:
        """Count a model no more."""
        del self._sizes[name]

    def lru_idle(self, busy: Container[str]) -> str | None:
        """Give the model that was not used for the longest time, of those that are not `busy`."""
        return next((name for name in self._sizes if name not in busy), None)

    def plan_eviction(self, size: int, busy: Container[str]) -> list[str] | None:
        """Give who has to leave for a model of `size` bytes, the least recently used first.

        None while those that are `busy`, and so cannot leave, take up too much.
        """
        missing = sum(self._sizes.values()) + size - self.limit
        evicted = []
        for name in self._sizes:
            if missing > 0 and name not in busy:
                evicted.append(name)
                missing -= self._sizes[name]
        return None if missing > 0 and len(evicted) < len(self._sizes) else evicted
