"""The stand-in's clock, which a test can put forward."""

import time
from datetime import UTC, datetime


class Clock:
    """Tell the real time plus whatever was added with `advance`."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def time(self) -> float:
        """Return seconds since 1970."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Put the clock forward."""
        self._ahead += seconds

    def iso(self) -> str:
        """Return the time as Discord writes it."""
        return iso(self.time())


def iso(seconds: float) -> str:
    """Write `seconds` since 1970 as an ISO 8601 time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
