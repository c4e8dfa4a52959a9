"""The CDN: attachments at signed, expiring addresses."""

from __future__ import annotations

import hmac
import mimetypes
from urllib.parse import quote

from aiohttp import web

from preview.state.core import CORE

routes = web.RouteTableDef()
NOT_FOUND_TEXT = "This content is no longer available."


@routes.get("/attachments/{channel_id}/{attachment_id}/{filename}")
@routes.get("/ephemeral-attachments/{channel_id}/{attachment_id}/{filename}")
async def download(request: web.Request) -> web.Response:
    core = request.app[CORE]
    place = request.path.split("/")[1]
    info = request.match_info
    path = f"/{place}/{info['channel_id']}/{info['attachment_id']}/{quote(info['filename'])}"
    expires = request.query.get("ex", "")
    signed = hmac.compare_digest(core.sign_cdn_path(path, expires).encode(), request.query.get("hm", "").encode())
    # The signature covers both numbers, so they are read only after it.
    data = core.files.get(int(info["attachment_id"])) if signed and int(expires, 16) >= core.clock.time() else None
    if data is None:
        return web.Response(status=404, text=NOT_FOUND_TEXT)
    return web.Response(
        body=data, headers={"Content-Type": _content_type(info["filename"]), "X-Content-Type-Options": "nosniff"}
    )


def _content_type(filename: str) -> str:
    """Return the content type to serve. Anything but images, audio and video is only offered for download."""
    kind = mimetypes.guess_type(filename)[0] or ""
    safe = kind.startswith(("image/", "audio/", "video/")) and kind != "image/svg+xml"
    return kind if safe else "application/octet-stream"
