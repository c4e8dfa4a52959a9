"""Rate limits: buckets by route and major parameter, and the headers that tell of them."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class RateLimit:
    """At most `count` requests in `seconds` for each channel or webhook token."""

    name: str
    methods: tuple[str, ...]
    path: str
    count: int
    seconds: float


# Discord publishes no numbers; these are what bots have met: about 5 in 5 s a channel, 5 in 2 s a webhook token.
LIMITS = (
    RateLimit("bulk-delete", ("POST",), "/channels/*/messages/bulk-delete", 1, 1.0),
    RateLimit("react", ("PUT", "DELETE"), "/channels/*/messages/*/reactions/*", 1, 0.25),
    RateLimit("post", ("POST",), "/channels/*/messages", 5, 5.0),
    RateLimit("edit", ("PATCH",), "/channels/*/messages/*", 5, 5.0),
    RateLimit("delete", ("DELETE",), "/channels/*/messages/*", 5, 1.0),
    RateLimit("webhook", ("POST", "PATCH", "GET", "DELETE"), "/webhooks/*", 5, 2.0),
    RateLimit("typing", ("POST",), "/channels/*/typing", 5, 5.0),
)
GLOBAL = RateLimit("global", (), "", 50, 1.0)


@dataclass
class RateLimitResult:
    """Whether a request may go on, with the headers for its answer."""

    headers: dict[str, str]
    retry_after: float | None = None
    is_global: bool = False


class RateLimiter:
    """Count requests in fixed windows, each starting with its first request; without limits all may pass."""

    def __init__(self, limits: tuple[RateLimit, ...] = LIMITS) -> None:
        self._limits = limits
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}

    def check(self, method: str, path: str) -> RateLimitResult:
        """Count one request."""
        if not self._limits:
            return RateLimitResult({})
        if not path.startswith(("/interactions/", "/webhooks/")):
            _, reset, over = self._count(GLOBAL, "")
            if over:
                return RateLimitResult({"X-RateLimit-Global": "true", "X-RateLimit-Scope": "global"}, reset, True)
        for limit in self._limits:
            if method in limit.methods and fnmatchcase(path, limit.path):
                return self._bucket(limit, path)
        return RateLimitResult({})

    def _bucket(self, limit: RateLimit, path: str) -> RateLimitResult:
        major = "/".join(path.split("/")[1 : 4 if path.startswith("/webhooks/") else 3])
        remaining, reset, over = self._count(limit, major)
        headers = {
            "X-RateLimit-Limit": str(limit.count),
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Reset": f"{time.time() + reset:.3f}",
            "X-RateLimit-Reset-After": f"{reset:.3f}",
            "X-RateLimit-Bucket": hashlib.md5(limit.name.encode(), usedforsecurity=False).hexdigest(),
        }
        if over:
            headers["X-RateLimit-Scope"] = "user"
        return RateLimitResult(headers, reset if over else None)

    def _count(self, limit: RateLimit, major: str) -> tuple[int, float, bool]:
        """Count one request; return what remains, the seconds until the window ends, and whether it is over."""
        now = time.monotonic()
        start, used = self._windows.get((limit.name, major), (now, 0))
        if now - start >= limit.seconds:
            start, used = now, 0
        over = used >= limit.count
        self._windows[limit.name, major] = (start, used if over else used + 1)
        reset = math.ceil((start + limit.seconds - now) * 1000) / 1000
        return max(0, limit.count - used - 1), reset, over
