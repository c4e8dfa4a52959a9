"""The latest networks that jobs have used beside a model's own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Network = TypeVar("Network")


class NetworkCache(Generic[Key, Network]):
    """Loads networks, and keeps the `most` that were used last; a running job keeps its own.

    It is safe to call from several threads: jobs that arrive together read a file once.
    """

    def __init__(self, load: Callable[[Key], Network], most: int) -> None:
        self._load, self._most = load, most
        self._loaded: dict[Key, Network] = {}
        self._lock = threading.Lock()

    @property
    def values(self) -> list[Network]:
        """Return the networks in memory."""
        return list(self._loaded.values())

    def get(self, key: Key) -> Network:
        """Return a network, which is loaded unless it is in memory."""
        with self._lock:
            network = self._loaded.pop(key, None) or self._load(key)
            self._loaded[key] = network
            while len(self._loaded) > self._most:
                del self._loaded[next(iter(self._loaded))]
            return network

    def release(self, used: Collection[Network] = ()) -> bool:
        """Forget the networks that are not `used`; return whether there was one."""
        with self._lock:
            idle = [key for key, network in self._loaded.items() if network not in used]
            for key in idle:
                del self._loaded[key]
            return bool(idle)
