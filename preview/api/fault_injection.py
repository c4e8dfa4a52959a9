"""Fault injection: the next requests that match a path fail, hang or lose their response."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from preview.state.world import Json

FaultKind = Literal["status", "page", "rate_limit", "drop", "drop_response", "hold", "delay"]


@dataclass
class Fault:
    """One fault for the next `times` requests whose method and path match (`*` is a wildcard)."""

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
        """Continue the requests that a `hold` fault blocks."""
        self.times = 0
        self.released.set()


class FaultInjector:
    """The planned faults. Paths omit `/api/v10`, for example `/channels/*/messages`."""

    def __init__(self) -> None:
        self.planned: list[Fault] = []

    def fail(self, method: str, path: str, *, status: int = 502, times: int = 1, body: Json | None = None) -> Fault:
        """Return an HTTP status without handling the request."""
        return self._add(Fault("status", method, path, times, status=status, body=body))

    def page(self, method: str, path: str, *, times: int = 1) -> Fault:
        """Return an HTML page with status 200 without handling the request, as some proxies do."""
        return self._add(Fault("page", method, path, times))

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
        """Return 429. Without `via` it looks like a ban by Cloudflare; `is_global` is the global limit.

        `code` 30046 is the limit on edits of messages older than an hour.
        """
        fault = Fault("rate_limit", method, path, times, retry_after=retry_after, code=code, via=via)
        fault.is_global = is_global
        return self._add(fault)

    def drop(self, method: str, path: str, *, times: int = 1) -> Fault:
        """Abort the connection before the request is handled."""
        return self._add(Fault("drop", method, path, times))

    def drop_response(self, method: str, path: str, *, times: int = 1) -> Fault:
        """Handle the request, then abort the connection."""
        return self._add(Fault("drop_response", method, path, times))

    def delay(self, method: str, path: str, seconds: float, *, times: int = 1) -> Fault:
        """Wait before the request is handled."""
        return self._add(Fault("delay", method, path, times, seconds=seconds))

    def hold(self, method: str, path: str, *, times: int = 1) -> Fault:
        """Block requests until `release()`; `await fault.reached.wait()` waits for the first one."""
        return self._add(Fault("hold", method, path, times))

    def clear(self) -> None:
        """Remove all faults and continue the blocked requests."""
        for fault in self.planned:
            fault.release()
        self.planned.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the first planned fault that matches a request, and count it as used."""
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
