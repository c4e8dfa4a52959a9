"""What people made together, as JSON: lists of canvases, contests, jams, telephones and families, and one of each."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from bot.gallery.pages import Json, Pages
from bot.gallery.sessions import Session, Sessions
from bot.gallery.viewers import GuildView, Viewers
from bot.services import Services
from bot.ui.i18n import tr
from bot.ui.text import jump_url
from db.finding.gallery import PictureQuery
from db.finding.shown_sessions import ShownSession
from db.together.sessions import SessionKind
from generation.params import Tile

SESSIONS = 12  # on a page
COVERS = 4  # pictures of a session in a list
FAMILY_WINDOW = 80  # results among which a page of families is looked for
MAX_ENTRIES = 60  # of a contest on its page
KINDS = "|".join(SessionKind)


class SessionPages:
    """Answer what the pages of sessions and families ask for: only what the visitor may see now."""

    def __init__(self, services: Services, viewers: Viewers, sessions: Sessions, pages: Pages) -> None:
        self._services, self._viewers, self._sessions, self._pages = services, viewers, sessions, pages

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the pages' data."""
        return [
            web.get(f"/api/sessions/{{kind:{KINDS}}}", self.page),
            web.get(f"/api/sessions/{{kind:{KINDS}}}/{{id:[0-9a-f]{{12}}}}", self.one),
            web.get("/api/families", self.families),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """Return a page of a server's sessions of a kind, the newest first, each with some of its pictures."""
        session = self._sessions.find(request)
        seen = await self._pages.require_view(session, request)
        found, following = await self._services.db.shown_sessions.page(
            seen.view, SessionKind(request.match_info["kind"]), request.query.get("before"), SESSIONS
        )
        items = [await self._item(session, each, _covers(each)) for each in found]
        return web.json_response({"sessions": [each for each in items if each["pictures"]], "next": following})

    async def one(self, request: web.Request) -> web.Response:
        """Return everything about a session."""
        session, kind = self._sessions.find(request), SessionKind(request.match_info["kind"])
        stored = await self._services.db.sessions.get(request.match_info["id"])
        seen = await self._viewers.view(session, stored.guild_id) if stored is not None else None
        found = (
            await self._services.db.shown_sessions.get(seen.view, kind, stored.id)
            if seen is not None and stored is not None
            else None
        )
        if seen is None or found is None:
            raise web.HTTPNotFound(text=tr("There is nothing here that you may see."))
        item = await self._item(session, found, _tiles(found))
        if kind is SessionKind.CANVAS:
            if not item["pictures"]:  # withheld here, or of somebody who is blocked
                raise web.HTTPNotFound(text=tr("There is nothing here that you may see."))
            item |= await self._canvas(seen, found)
        if kind is SessionKind.CONTEST:
            item["voters"] = len(await self._voters(found))
        return web.json_response(item)

    async def families(self, request: web.Request) -> web.Response:
        """Return families: each by its oldest picture that the visitor may see, with how many were made from it."""
        session = self._sessions.find(request)
        seen = await self._pages.require_view(session, request)
        db, before = self._services.db, request.query.get("before")
        page = await db.gallery.page(seen.view, PictureQuery(), before, FAMILY_WINDOW)
        counts = await db.shown_sessions.families(seen.view, page.job_ids)
        roots = [Tile(job_id, 0) for job_id in page.job_ids if job_id in counts]
        pictures = (await self._pages.matches(session, roots))["pictures"]
        shown = [each | {"children": counts[each["job"]]} for each in pictures if not each["anonymous"]]
        return web.json_response({"pictures": shown, "next": page.next})

    async def _item(self, session: Session | None, found: ShownSession, tiles: Sequence[Tile]) -> Json:
        pictures = [await self._round(found, each) for each in (await self._pages.matches(session, tiles))["pictures"]]
        return {
            "id": found.id,
            "kind": found.kind,
            "subject": found.subject or next((each["words"] for each in pictures if each.get("words")), ""),
            "at": found.made_at,
            "going": found.ended_at is None,
            "link": jump_url(found.guild_id, found.place_id, found.message_id) if found.message_id else None,
            "pictures": pictures,
        }

    async def _round(self, found: ShownSession, picture: Json) -> Json:
        """Return a picture with its place in a contest, or with the words of its round and what went on from it."""
        if found.kind is SessionKind.CONTEST:
            places = {str(tile): place for tile, place in found.places}
            return picture | {"place": places[picture["tiles"][0]["id"]]}
        number = next(each.number for each in found.rounds if each.job_id == picture["job"])
        facts = {each.number: each.facts for each in found.rounds}
        return picture | {
            "round": number,
            "words": str(facts[number].get("words", "")),
            "robot": bool(facts[number].get("robot")),
        }

    async def _canvas(self, seen: GuildView, found: ShownSession) -> Json:
        """Return the size of a canvas and its pieces with their words and painters, as far as they may be named."""
        db = self._services.db
        canvas, pieces = await db.canvases.get(found.id), await db.canvases.pieces(found.id)
        assert canvas is not None, "its session is there"
        hidden = await db.guilds.blocked_among(found.guild_id, {piece.person_id for piece in pieces})
        cells: dict[int, list[tuple[int, int]]] = {}
        for cell in await db.canvases.cells(found.id):
            cells.setdefault(cell.piece, []).append((cell.x, cell.y))
        return {
            "columns": canvas.columns,
            "rows": canvas.rows,
            "pieces": [
                {
                    "words": "" if piece.person_id in hidden else piece.words,
                    "author": piece.name if seen.settings.gallery_names and piece.person_id not in hidden else None,
                    "cells": cells.get(piece.number, []),
                }
                for piece in pieces
            ],
        }

    async def _voters(self, found: ShownSession) -> set[int]:
        number = next((each.facts["vote_round"] for each in found.rounds if "vote_round" in each.facts), None)
        return set() if number is None else await self._services.db.ballots.voters(found.id, int(number))


def _tiles(found: ShownSession) -> Sequence[Tile]:
    """Return the pictures of a session, those of a contest by their ranks."""
    if found.kind is SessionKind.CONTEST:
        return [tile for tile, _ in found.places[:MAX_ENTRIES]]
    followed = {Tile.parse(each.facts["parent"]) for each in found.rounds if "parent" in each.facts}
    went_on = {tile.job_id: tile for tile in followed}  # of a jam's grid, the one that won
    return [went_on.get(each.job_id, Tile(each.job_id, 0)) for each in found.rounds]


def _covers(found: ShownSession) -> Sequence[Tile]:
    tiles = _tiles(found)
    return tiles[-COVERS:] if found.kind is SessionKind.JAM else tiles[:COVERS]
