"""What visitors do: find a picture, mark favourites, delete their own pictures, download some as a zip, log out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiohttp import web

from bot.client import Client
from bot.gallery.pages import Pages
from bot.gallery.sessions import CSRF_HEADER, Session, Sessions, has_token
from bot.gallery.viewers import Viewers
from bot.images.picture_zip import MAX_PICTURES, ZippedPicture, stream_zip
from bot.jobs.deletion import delete_job
from bot.services import Services
from bot.ui.i18n import tr
from db.jobs import JobRecord, JobState
from generation.errors import UserError
from generation.files import sanitize
from generation.files.job_name import named_job
from generation.params import Tile

MAX_SEARCHES = 2  # at once; each decodes a picture of any size
UPLOAD_TIMEOUT_S, BODY_TIMEOUT_S = 60.0, 10.0


class Actions:
    """Answer what changes something, or takes a file. Each needs the token of the session's pages."""

    def __init__(
        self, services: Services, viewers: Viewers, sessions: Sessions, pages: Pages, *, with_login: bool
    ) -> None:
        self._services, self._viewers, self._sessions, self._pages = services, viewers, sessions, pages
        self._with_login = with_login
        self._searches = asyncio.Semaphore(MAX_SEARCHES)
        self._searching: set[int] = set()  # the people who send a picture, or wait for what is found

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the actions."""
        return [
            web.post("/api/find", self.find),
            web.post("/api/favourite", self.favourite),
            web.post("/api/delete", self.delete),
            web.post("/zip", self.zip),
            web.post("/logout", self.log_out),
        ]

    async def find(self, request: web.Request) -> web.Response:
        """Find the job that made a picture: the body is the file, its name may be in the query."""
        session = self._session(request, request.headers.get(CSRF_HEADER, ""))
        seen = await self._viewers.view(session, int(request.query.get("guild", "0")))
        if seen is None and session is None:
            raise web.HTTPForbidden(text=tr("You may not look at this server's pictures."))
        person_id = session.person_id if session else 0
        with self._one_search_of(person_id):
            data = await _read_picture(request)
            async with self._searches:
                png = await asyncio.to_thread(sanitize.sanitize_image, data)
            named = named_job(data, request.query.get("name", "")[:200])
            matches = await self._client().finder.find(png, seen.view if seen else None, person_id, named)
        found = await self._pages.matches(session, [match.tile for match in matches])
        verdicts = {str(match.tile): match.verdict.value for match in matches}
        for picture in found["pictures"]:
            picture["verdict"] = verdicts[picture["tiles"][0]["id"]]
        return web.json_response(found)

    async def favourite(self, request: web.Request) -> web.Response:
        """Add a picture to the visitor's favourites, or remove it."""
        session = self._require_session(request, request.headers.get(CSRF_HEADER, ""))
        body = await _json_object(request)
        tile, favourites = Tile.parse(str(body.get("tile"))), self._services.db.favourites
        if await self._viewers.require_record(session, tile.job_id) is None:
            raise web.HTTPNotFound(text=tr("There is no such picture that you may see."))
        change = favourites.add if body.get("on") else favourites.remove
        await change(session.person_id, tile)
        return web.json_response({"liked": bool(body.get("on"))})

    async def delete(self, request: web.Request) -> web.Response:
        """Delete the visitor's own results: their messages and files."""
        session = self._require_session(request, request.headers.get(CSRF_HEADER, ""))
        given = (await _json_object(request)).get("jobs")
        job_ids = [str(each) for each in given] if isinstance(given, list) else []
        records = await self._services.db.jobs.get_many(job_ids[:MAX_PICTURES])
        own = [each for each in records.values() if _is_deletable(each, session.person_id)]
        for record in own:
            await delete_job(self._services, self._client().delivery, record)
        return web.json_response({"deleted": [record.job.id for record in own]})

    async def zip(self, request: web.Request) -> web.StreamResponse:
        """Send chosen pictures as a zip, one after another."""
        if self._with_login and self._sessions.find(request) is None:
            raise web.HTTPUnauthorized(text=tr("Log in first."))
        async with _arriving(BODY_TIMEOUT_S):
            form = await request.post()
        session = self._session(request, str(form.get("csrf", "")))
        tiles = [Tile.parse(each) for each in str(form.get("tiles", "")).split()]
        if not tiles or len(tiles) > MAX_PICTURES:
            raise web.HTTPBadRequest(text=tr("Choose up to {n} pictures.", n=MAX_PICTURES))
        chosen = [each for tile in dict.fromkeys(tiles) if (each := await self._zipped(session, tile)) is not None]
        response = web.StreamResponse(
            headers={"Content-Type": "application/zip", "Content-Disposition": 'attachment; filename="pictures.zip"'}
        )
        await response.prepare(request)
        async for chunk in stream_zip(self._services.images.files, chosen):
            await response.write(chunk)
        await response.write_eof()
        return response

    async def log_out(self, request: web.Request) -> web.Response:
        """End the session."""
        self._require_session(request, request.headers.get(CSRF_HEADER, ""))
        response = web.json_response({})
        self._sessions.end(request, response)
        return response

    async def _zipped(self, session: Session | None, tile: Tile) -> ZippedPicture | None:
        record = await self._viewers.require_record(session, tile.job_id)
        if record is None or tile.index >= record.job.params.count:
            return None
        settings = await self._services.policy.settings(record.job.destination.guild_id)
        is_own = session is not None and record.job.requester.id == session.person_id
        is_named = settings.gallery_names and not await self._viewers.anonymous(session, [record])
        return ZippedPicture.of(record.job, tile, self._services.registry, with_name=is_named or is_own)

    @contextmanager
    def _one_search_of(self, person_id: int) -> Iterator[None]:
        """Refuse a second search at once: so nobody's slow uploads take the memory or the turns of others."""
        if person_id in self._searching:
            raise web.HTTPTooManyRequests(text=tr("One search after another: wait for the one before."))
        self._searching.add(person_id)
        try:
            yield
        finally:
            self._searching.remove(person_id)

    def _client(self) -> Client:
        if (client := self._viewers.client) is None:
            raise web.HTTPServiceUnavailable(text=tr("The bot is not connected to Discord. Try again in a moment."))
        return client

    def _session(self, request: web.Request, token: str) -> Session | None:
        """Return the session whose page sent a request; without a login there is none."""
        session = self._sessions.find(request)
        if session is None and not self._with_login:
            return None
        return self._require_session(request, token)

    def _require_session(self, request: web.Request, token: str) -> Session:
        session = self._sessions.find(request)
        if session is None:
            raise web.HTTPUnauthorized(text=tr("Log in first."))
        if not has_token(session, token):
            raise web.HTTPForbidden(text=tr("This page is out of date: load it again."))
        return session


def _is_deletable(record: JobRecord, person_id: int) -> bool:
    """Return whether a job is a person's own and has ended with a result; others are cancelled in Discord."""
    return record.job.requester.id == person_id and record.state is JobState.POSTED and not record.deleted


async def _read_picture(request: web.Request) -> bytes:
    """Return a body that may be as large as a picture; those of all other requests are small."""
    async with _arriving(UPLOAD_TIMEOUT_S):
        return await request.clone(client_max_size=sanitize.MAX_BYTES).read()


@asynccontextmanager
async def _arriving(seconds: float) -> AsyncIterator[None]:
    """Refuse a body that takes too long: its connection would keep out other visitors."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=tr("This request takes too long to arrive.")) from None


async def _json_object(request: web.Request) -> dict[str, Any]:
    async with _arriving(BODY_TIMEOUT_S):
        body = await request.json()
    if not isinstance(body, dict):
        raise UserError(tr("This request is malformed."))
    return body
