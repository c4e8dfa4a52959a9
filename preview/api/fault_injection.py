"""Trouble on demand: the next requests that match a route fail, hang or lose their answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from preview.state.world import Json

FaultKind = Literal["status", "rate_limit", "drop", "drop_response", "hold", "delay"]


@dataclass
class Fault:
    """One kind of trouble for the next `times` requests whose method and path match (`*` is a wildcard)."""

    kind: FaultKind
    method: str
    path: str
    times: int = 1
    status: int = 500
    body: Json | None = None
    retry_after: float = 0.0
    code: int | None = None
    via: bool = True
    is_global: bool = False
    seconds: float = 0.0
    hits: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Let the requests go on that a `hold` keeps."""
        self.times = 0
        self.released.set()


class FaultInjector:
    """The trouble that is planned. Paths are without `/api/v10`, as `/channels/*/messages`."""

    def __init__(self) -> None:
        self.planned: list[Fault] = []

    def fail(self, method: str, path: str, *, status: int = 502, times: int = 1, body: Json | None = None) -> Fault:
        """Answer with an HTTP status, without doing what was asked."""
        return self._add(Fault("status", method, path, times, status=status, body=body))

    def rate_limit(
        self,
        method: str,
        path: str,
        *,
        retry_after: float = 0.1,
        times: int = 1,
        code: int | None = None,
        via: bool = True,
        is_global: bool = False,
    ) -> Fault:
        """Answer 429; without `Via` it looks like a ban by Cloudflare, `everywhere` is the global limit.

        `code` 30046 is the limit on edits of messages older than an hour.
        """
        fault = Fault("rate_limit", method, path, times, retry_after=retry_after, code=code, via=via)
        fault.is_global = is_global
        return self._add(fault)

    def drop(self, method: str, path: str, *, times: int = 1) -> Fault:
        """Cut the connection before anything was done."""
        return self._add(Fault("drop", method, path, times))

    def drop_response(self, method: str, path: str, *, times: int = 1) -> Fault:
        """Do what was asked, then cut the connection."""
        return self._add(Fault("drop_response", method, path, times))

    def delay(self, method: str, path: str, seconds: float, *, times: int = 1) -> Fault:
        """Wait before doing what was asked."""
        return self._add(Fault("delay", method, path, times, seconds=seconds))

    def hold(self, method: str, path: str, *, times: int = 1) -> Fault:
        """Keep requests until `release()`; `await fault.reached.wait()` tells that one has come."""
        return self._add(Fault("hold", method, path, times))

    def clear(self) -> None:
        """Forget all trouble, and let held requests go on."""
        for fault in self.planned:
            fault.release()
        self.planned.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Take the first planned fault that matches a request."""
        for fault in self.planned:
            if fault.times > 0 and fault.method in ("*", method) and fnmatchcase(path, fault.path):
                fault.times -= 1
                fault.hits += 1
                fault.reached.set()
                return fault
        return None

    def _add(self, fault: Fault) -> Fault:
        self.planned.append(fault)
        return fault
