"""What is written into the files of pictures besides the pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from generation.params import Params

if TYPE_CHECKING:
    from generation.files.c2pa_credentials import Credentials


class Signer(Protocol):
    """Signs pictures, in one thread; a signature takes at most `room` bytes."""

    max_signature_bytes: int

    def sign(self, data: bytes, suffix: str, params: Params) -> bytes:
        """Give a file of a kind ("png", "webp") with a signature in it."""


@dataclass(frozen=True, slots=True)
class MetadataPolicy:
    """Whether prompts are written into the files, and who signs these, if anybody does."""

    include_prompts: bool = True
    credentials: Credentials | None = None

    def load_signer(self) -> Signer:
        """Load what signs; raises Complaint when the credentials are no good."""
        if self.credentials is None:
            return NullSigner()
        from generation.files.c2pa_signing import ContentCredentialsSigner  # whose libraries are an extra

        return ContentCredentialsSigner(self.credentials)


class NullSigner:
    """Signs nothing."""

    max_signature_bytes = 0

    def sign(self, data: bytes, suffix: str, params: Params) -> bytes:
        """Give the file as it is."""
        return data


DEFAULT_METADATA_POLICY = MetadataPolicy()
