"""Content Credentials: a C2PA signature in an image file that marks it as AI-generated."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import c2pa
from PIL import Image

from generation.errors import UserError
from generation.files.c2pa_credentials import Credentials
from generation.files.infotext import parent_tiles
from generation.files.job_name import instance_id
from generation.params import Params, Tile

SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
MIME_TYPES = {"png": "image/png", "webp": "image/webp", "mp4": "video/mp4"}

# A thumbnail would double the size of the file. The credentials are verified once, not for each file.
_NO_THUMBNAIL = {"builder": {"thumbnail": {"enabled": False}}}
_UNVERIFIED = _NO_THUMBNAIL | {"verify": {"verify_after_sign": False}}
_VERIFIED = _NO_THUMBNAIL | {"verify": {"verify_after_sign": True}}

log = logging.getLogger(__name__)


class ContentCredentialsSigner:
    """The `Signer` for C2PA. Creating it raises UserError if C2PA rejects the credentials."""

    max_signature_bytes = 32 * 2**10  # 3 to 10 KiB with a usual certificate chain

    def __init__(self, credentials: Credentials) -> None:
        try:
            _sign(_context(credentials, _VERIFIED), _test_image(), "png", _manifest())
            self._context = _context(credentials, _UNVERIFIED)
        except c2pa.C2paError as error:
            raise UserError(f"Pictures cannot be signed with this certificate and key: {error}") from None

    def sign(self, data: bytes, suffix: str, params: Params, name: str = "") -> bytes:
        """Return the file `data` with a signature; if signing fails, log an error and return it unsigned."""
        try:
            return _sign(self._context, data, suffix, _manifest(params, name))
        except c2pa.C2paError as error:  # for example an expired certificate, which is no reason to withhold the image
            log.error("an image is posted without a signature: %s", error)
            return data


def _context(credentials: Credentials, settings: dict[str, Any]) -> c2pa.Context:
    # No time stamp authority: signing must not use the network.
    signer_info = c2pa.C2paSignerInfo(credentials.algorithm, credentials.certificates, credentials.key, None)
    return c2pa.Context.from_dict(settings, c2pa.Signer.from_info(signer_info))


def _manifest(params: Params | None = None, name: str = "") -> dict[str, Any]:
    """Return what is signed: that the image is generated, by which job, and from which of the bot's own images.

    One image is the parent; several are components: those that were blended, or a tile and what its edit changed. An
    ingredient is named by its id only: with its own signature in it, a file would grow from generation to generation.
    """
    parents = parent_tiles(params) if params else []
    relation = "parentOf" if params and not params.blended and len(parents) == 1 else "componentOf"
    has_source = params is not None and (params.source or params.original) is not None
    named = {"title": name, "instance_id": instance_id(name)} if name else {}
    return named | {
        "claim_generator_info": [{"name": "Atelier"}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": _actions(parents, relation, has_source)}}],
        "ingredients": [
            {
                "title": str(tile),
                "instance_id": f"atelier:{tile}",
                "label": str(tile),
                "relationship": relation,
                "format": MIME_TYPES["png"],
            }
            for tile in parents
        ],
    }


def _actions(parents: list[Tile], relation: str, has_source: bool) -> list[dict[str, Any]]:
    kind = "compositeWithTrainedAlgorithmicMedia" if has_source else "trainedAlgorithmicMedia"
    made = {"digitalSourceType": SOURCE_TYPES + kind, "softwareAgent": {"name": "Atelier"}}
    used = {"parameters": {"ingredientIds": [str(tile) for tile in parents]}}
    if not parents:
        return [{"action": "c2pa.created"} | made]
    if relation == "parentOf":
        return [{"action": "c2pa.opened"} | used, {"action": "c2pa.edited"} | made]
    return [{"action": "c2pa.created"} | made, {"action": "c2pa.placed"} | used]


def _sign(context: c2pa.Context, data: bytes, suffix: str, manifest: dict[str, Any]) -> bytes:
    signed = io.BytesIO()
    c2pa.Builder(json.dumps(manifest), context).sign(MIME_TYPES[suffix], io.BytesIO(data), signed)
    return signed.getvalue()


def _test_image() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG")
    return file.getvalue()
