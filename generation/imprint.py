"""What is written into the files of pictures besides the pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from generation.params import Params

if TYPE_CHECKING:
    from generation.credentials import Credentials

Sign = Callable[[bytes, str, Params], bytes]


@dataclass(frozen=True, slots=True)
class Imprint:
    """Whether prompts are written into the files, and who signs these, if anybody does."""

    prompts: bool = True
    credentials: Credentials | None = None

    def signer(self) -> Sign | None:
        """Load what signs a file of a kind ("png", "webp"); raises Complaint when the credentials are no good."""
        if self.credentials is None:
            return None
        from generation.signing import Signer  # whose libraries are there only where signing is wanted

        return Signer(self.credentials).sign


PLAIN = Imprint()
