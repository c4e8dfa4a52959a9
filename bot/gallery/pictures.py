"""Thumbnails and full pictures; each request asks again whether the visitor may see the picture."""

from __future__ import annotations

import hashlib

from aiohttp import web

from bot.gallery.pages import tile_of
from bot.gallery.sessions import Sessions
from bot.gallery.viewers import Viewers
from bot.images.metadata import filename_stem
from bot.services import Services
from bot.ui.i18n import tr
from generation.params import Tile


class Pictures:
    """Serve the files of pictures."""

    def __init__(self, services: Services, viewers: Viewers, sessions: Sessions) -> None:
        self._services, self._viewers, self._sessions = services, viewers, sessions

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the files."""
        tile = r"{job_id:[0-9a-f]{12}}-{index:[0-3]}"
        return [web.get(f"/thumbnails/{tile}.webp", self.thumbnail), web.get(f"/pictures/{tile}.png", self.full)]

    async def thumbnail(self, request: web.Request) -> web.Response:
        """Return a thumbnail."""
        tile, _ = await self._require(request)
        try:
            data = await self._services.images.thumbnails.get(tile)
        except FileNotFoundError:
            raise web.HTTPNotFound(text=tr("This picture is no longer stored.")) from None
        return _unless_known(request, web.Response(body=data, content_type="image/webp"), data)

    async def full(self, request: web.Request) -> web.Response:
        """Return a picture as it was drawn."""
        tile, stem = await self._require(request)
        try:
            data = await self._services.images.files.read(tile)
        except FileNotFoundError:
            raise web.HTTPNotFound(text=tr("This picture is no longer stored.")) from None
        headers = {}
        if "download" in request.query:
            ascii_stem = stem.encode("ascii", "ignore").decode() or "picture"
            headers["Content-Disposition"] = f'attachment; filename="{ascii_stem}_{tile}.png"'
        return _unless_known(request, web.Response(body=data, content_type="image/png", headers=headers), data)

    async def _require(self, request: web.Request) -> tuple[Tile, str]:
        tile = tile_of(request)
        record = await self._viewers.require_record(self._sessions.find(request), tile.job_id)
        if record is None or tile.index >= record.job.params.count:
            raise web.HTTPNotFound(text=tr("There is no such picture that you may see."))
        return tile, filename_stem(self._services.config, record.job.params)


def _unless_known(request: web.Request, response: web.Response, data: bytes) -> web.Response:
    """Return an answer, or that the browser's copy is still right: a canvas changes when a piece is taken out of it."""
    etag = f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    return response
