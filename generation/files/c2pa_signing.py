"""Content Credentials: a signature in a picture's file, after C2PA, that says a machine made it."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import c2pa
from PIL import Image

from generation.errors import UserError
from generation.files.c2pa_credentials import Credentials
from generation.params import Params

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
MIME_TYPES = {"png": "image/png", "webp": "image/webp"}

# A thumbnail would double the size of the file; and that the credentials are good is tried once, not each time.
_NO_THUMBNAIL = {"builder": {"thumbnail": {"enabled": False}}}
_UNVERIFIED = _NO_THUMBNAIL | {"verify": {"verify_after_sign": False}}
_VERIFIED = _NO_THUMBNAIL | {"verify": {"verify_after_sign": True}}

log = logging.getLogger(__name__)


class ContentCredentialsSigner:
    """The `Signer` that signs. Raises Complaint when C2PA does not take the credentials."""

    max_signature_bytes = 32 * 2**10  # with a usual chain of certificates it is 3 to 10 KiB

    def __init__(self, credentials: Credentials) -> None:
        try:
            _sign(_context(credentials, _VERIFIED), _test_image(), "png", has_source=False)
            self._context = _context(credentials, _UNVERIFIED)
        except c2pa.C2paError as error:
            raise UserError(f"Pictures cannot be signed with this certificate and key: {error}") from None

    def sign(self, data: bytes, suffix: str, params: Params) -> bytes:
        """Give the file `data` with a signature; without one, and a word in the log, where it cannot be made."""
        try:
            return _sign(self._context, data, suffix, has_source=params.source is not None)
        except c2pa.C2paError as error:  # the certificate has expired, for one: no reason to keep the picture back
            log.error("a picture goes out without a signature: %s", error)
            return data


def _context(credentials: Credentials, settings: dict[str, Any]) -> c2pa.Context:
    # Without an authority for time stamps: nothing here goes to the network.
    signer_info = c2pa.C2paSignerInfo(credentials.algorithm, credentials.certificates, credentials.key, None)
    return c2pa.Context.from_dict(settings, c2pa.Signer.from_info(signer_info))


def _sign(context: c2pa.Context, data: bytes, suffix: str, *, has_source: bool) -> bytes:
    kind = "compositeWithTrainedAlgorithmicMedia" if has_source else "trainedAlgorithmicMedia"
    created = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPES + kind, "softwareAgent": {"name": "Atelier"}}
    manifest = {
        "claim_generator_info": [{"name": "Atelier"}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
    }
    signed = io.BytesIO()
    c2pa.Builder(json.dumps(manifest), context).sign(MIME_TYPES[suffix], io.BytesIO(data), signed)
    return signed.getvalue()


def _test_image() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG")
    return file.getvalue()
