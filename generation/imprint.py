"""What is written into the files of pictures besides the pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from generation.params import Params

if TYPE_CHECKING:
    from generation.credentials import Credentials


class Signer(Protocol):
    """Signs pictures, in one thread; a signature takes at most `room` bytes."""

    room: int

    def sign(self, data: bytes, suffix: str, params: Params) -> bytes:
        """Give a file of a kind ("png", "webp") with a signature in it."""


@dataclass(frozen=True, slots=True)
class Imprint:
    """Whether prompts are written into the files, and who signs these, if anybody does."""

    prompts: bool = True
    credentials: Credentials | None = None

    def signer(self) -> Signer:
        """Load what signs; raises Complaint when the credentials are no good."""
        if self.credentials is None:
            return Nobody()
        from generation.signing import ContentCredentials  # whose libraries are an extra

        return ContentCredentials(self.credentials)


class Nobody:
    """Signs nothing."""

    room = 0

    def sign(self, data: bytes, suffix: str, params: Params) -> bytes:
        """Give the file as it is."""
        return data


PLAIN = Imprint()
