"""Rate limits: buckets by route and major parameter, and their response headers."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class RateLimit:
    """A limit of `count` requests in `seconds` for each channel or webhook token."""

    name: str
    methods: tuple[str, ...]
    path: str
    count: int
    seconds: float


# Discord publishes no numbers. Bots have observed about 5 in 5 s for a channel and 5 in 2 s for a webhook token.
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
    """The result of a check: headers for the response, and the seconds to wait if the request is over the limit."""

    headers: dict[str, str]
    retry_after: float | None = None
    is_global: bool = False


class RateLimiter:
    """Count requests in fixed windows that start with their first request. Without limits every request passes."""

    def __init__(self, limits: tuple[RateLimit, ...] = LIMITS) -> None:
        self._limits = limits
        self._windows: dict[tuple[str, str], tuple[float, int]] = {}

    def check(self, method: str, path: str) -> RateLimitResult:
        """Count one request against its limits."""
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
        """Count one request; return the remaining requests, the seconds to the window's end, and whether it is over."""
        now = time.monotonic()
        start, used = self._windows.get((limit.name, major), (now, 0))
        if now - start >= limit.seconds:
            start, used = now, 0
        over = used >= limit.count
        self._windows[limit.name, major] = (start, used if over else used + 1)
        reset = math.ceil((start + limit.seconds - now) * 1000) / 1000
        return max(0, limit.count - used - 1), reset, over
