"""The clock of the fake Discord, which a test can advance."""

import time
from datetime import UTC, datetime


class Clock:
    """The real time plus the seconds added with `advance`."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def time(self) -> float:
        """Return seconds since 1970."""
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._ahead += seconds

    def iso(self) -> str:
        """Return the time in Discord's format."""
        return iso(self.time())


def iso(seconds: float) -> str:
    """Return `seconds` since 1970 as an ISO 8601 time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
