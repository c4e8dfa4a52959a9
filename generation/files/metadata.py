"""The metadata written into image files: generation parameters and signatures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from generation.params import Params

if TYPE_CHECKING:
    from generation.files.c2pa_credentials import Credentials


class Signer(Protocol):
    """Signs images, in one thread; a signature has at most `max_signature_bytes`."""

    max_signature_bytes: int

    def sign(self, data: bytes, suffix: str, params: Params, name: str = "") -> bytes:
        """Return the file `data` of type `suffix` ("png", "webp") with a signature in it; `name` is its tile or job."""


@dataclass(frozen=True, slots=True)
class MetadataPolicy:
    """Whether prompts are written into the files, and the credentials to sign these with; None for no signature."""

    include_prompts: bool = True
    credentials: Credentials | None = None

    def load_signer(self) -> Signer:
        """Return the signer; raise UserError if the credentials are rejected."""
        if self.credentials is None:
            return NullSigner()
        from generation.files.c2pa_signing import ContentCredentialsSigner  # needs the optional `c2pa` extra

        return ContentCredentialsSigner(self.credentials)


class NullSigner:
    """Signs nothing."""

    max_signature_bytes = 0

    def sign(self, data: bytes, suffix: str, params: Params, name: str = "") -> bytes:
        """Return the file unchanged."""
        return data


DEFAULT_METADATA_POLICY = MetadataPolicy()
