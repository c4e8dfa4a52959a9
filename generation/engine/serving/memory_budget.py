"""Choose the models to evict from a bounded memory."""

from __future__ import annotations

from collections.abc import Container


class MemoryBudget:
    """Counts the bytes of the models in a memory, least recently used first.

    The `limit` is soft: a model that exceeds it is still allowed once nothing else is loaded.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._sizes: dict[str, int] = {}

    def add(self, name: str, size: int) -> None:
        """Add a model of `size` bytes as the most recently used."""
        self._sizes.pop(name, None)
        self._sizes[name] = size

    def resize(self, name: str, size: int) -> None:
        """Correct the size of a model."""
        self._sizes[name] = size

    def touch(self, name: str) -> None:
        """Mark a model as the most recently used; harmless for one that is not counted."""
        if name in self._sizes:
            self._sizes[name] = self._sizes.pop(name)

    def remove(self, name: str) -> None:
        """Remove a model."""
        del self._sizes[name]

    def lru_idle(self, busy: Container[str]) -> str | None:
        """Return the least recently used model that is not `busy`, or None."""
        return next((name for name in self._sizes if name not in busy), None)

    def plan_eviction(self, size: int, busy: Container[str]) -> list[str] | None:
        """Return the models to evict for one of `size` bytes, least recently used first.

        None while `busy` models, which cannot be evicted, take up too much.
        """
        missing = sum(self._sizes.values()) + size - self.limit
        evicted = []
        for name in self._sizes:
            if missing > 0 and name not in busy:
                evicted.append(name)
                missing -= self._sizes[name]
        return None if missing > 0 and len(evicted) < len(self._sizes) else evicted
