"""The data of the gallery's pages, as JSON: lists, one picture, its family, and what was found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from aiohttp import web

from bot.finding.query import parse_query
from bot.gallery.sessions import Session, Sessions
from bot.gallery.texts import current_language, page_texts
from bot.gallery.viewers import GuildView, Viewers
from bot.services import Services
from bot.ui.i18n import tr
from bot.ui.job_text import image_description, made_how
from bot.ui.text import jump_url
from db.finding.search import words_of
from db.jobs import JobRecord
from generation.job import Action
from generation.params import PromptPart, Tile
from generation.planning.actions import size_of
from generation.prompt import format_prompt

Json = dict[str, Any]
PAGE_SIZE = 40  # results
MAX_CHILDREN = 24
MAX_FAMILY = 60
MAX_QUERY_LENGTH = 300


class Pages:
    """Answer what the pages ask for."""

    def __init__(self, services: Services, viewers: Viewers, sessions: Sessions, *, with_login: bool) -> None:
        self._services, self._viewers, self._sessions, self._with_login = services, viewers, sessions, with_login

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the pages' data."""
        tile = r"{job_id:[0-9a-f]{12}}-{index:[0-3]}"
        return [
            web.get("/api/me", self.me),
            web.get("/api/pictures", self.newest),
            web.get(f"/api/pictures/{tile}", self.picture),
            web.get(f"/api/like/{tile}", self.like),
            web.get("/api/mine", self.mine),
            web.get("/api/tree/{job_id:[0-9a-f]{12}}", self.tree),
        ]

    async def me(self, request: web.Request) -> web.Response:
        """Return who is logged in, and the servers that they may look at."""
        session = self._sessions.find(request)
        guilds = [] if session is None and self._with_login else await self._viewers.guilds(session)
        return web.json_response(
            {
                "person": {"id": str(session.person_id), "name": session.name} if session else None,
                "csrf": session.csrf if session else "",
                "login": self._with_login,
                "connected": self._viewers.client is not None,
                "language": current_language(),
                "texts": page_texts(),
                "guilds": [{"id": str(guild.id), "name": guild.name} for guild in guilds],
            }
        )

    async def newest(self, request: web.Request) -> web.Response:
        """Return a page of a server's pictures, newest first, or of those that a search finds."""
        session = self._sessions.find(request)
        seen = await self.require_view(session, request)
        query = parse_query(request.query.get("q", "")[:MAX_QUERY_LENGTH], self._services.clock())
        page = await self._services.db.gallery.page(seen.view, query, request.query.get("before"), PAGE_SIZE)
        records = await self._records(page.job_ids)
        shown = [record for record in records if not self._viewers.is_withheld(seen.settings, record)]
        return web.json_response({"pictures": await self._listed(session, shown), "next": page.next})

    async def mine(self, request: web.Request) -> web.Response:
        """Return a page of the visitor's own pictures or of their favourites."""
        session = self._require_session(request)
        kind, before = request.query.get("kind", "history"), request.query.get("before")
        gallery, words = self._services.db.gallery, words_of(request.query.get("q", "")[:MAX_QUERY_LENGTH])
        if kind == "favourites":
            return await self._favourites(session, before)
        if words:
            page = await gallery.own_by_words(session.person_id, words, before, PAGE_SIZE)
        else:
            page = await gallery.own(session.person_id, before, PAGE_SIZE, private=kind == "private")
        records = await self._records(page.job_ids)
        return web.json_response({"pictures": await self._listed(session, records), "next": page.next})

    async def picture(self, request: web.Request) -> web.Response:
        """Return everything about one picture."""
        session, tile = self._sessions.find(request), tile_of(request)
        record = await self._viewers.require_record(session, tile.job_id)
        if record is None or tile.index >= record.job.params.count:
            raise web.HTTPNotFound(text=tr("There is no such picture that you may see."))
        (listed,) = await self._listed(session, [record])
        whom = listed["author"] or tr("somebody")
        details = await self._details(session, record, whom)
        if listed["anonymous"]:  # its message, its channel and its family tell whose it is
            details |= {"channel": "", "link": None, "parents": [], "children": []}
        return web.json_response(listed | details)

    async def like(self, request: web.Request) -> web.Response:
        """Return pictures that look like one."""
        session, tile = self._sessions.find(request), tile_of(request)
        if await self._viewers.require_record(session, tile.job_id) is None:
            raise web.HTTPNotFound(text=tr("There is no such picture that you may see."))
        shown = await self._services.db.picture_index.find_shown(tile.job_id)
        seen = await self._viewers.view(session, shown.guild_id) if shown else None
        client = self._viewers.client
        if client is None:
            raise web.HTTPServiceUnavailable(text=tr("The bot is not connected to Discord."))
        matches = await client.finder.like(tile, seen.view if seen else None, session.person_id if session else 0)
        return web.json_response(await self.matches(session, [match.tile for match in matches]))

    async def tree(self, request: web.Request) -> web.Response:
        """Return a picture's family: what it was made from, and what was made from that and from itself."""
        session, asked = self._sessions.find(request), request.match_info["job_id"]
        if await self._viewers.require_record(session, asked) is None:
            raise web.HTTPNotFound(text=tr("There is no such picture that you may see."))
        lineage = self._services.db.lineage
        line = [each.job_id for each in await lineage.line(asked)]
        edges: list[tuple[str, str]] = [(parent, child) for child, parent in pairwise(line)]
        known, waiting = dict.fromkeys(line), [line[-1]]
        while waiting and len(known) < MAX_FAMILY:
            for edge in await lineage.children(waiting.pop(0), MAX_CHILDREN):
                if edge.child not in known:
                    waiting.append(edge.child)
                known.setdefault(edge.child)
                edges.append((edge.parent_job, edge.child))
        visible = [record for job_id in known if (record := await self._viewers.require_record(session, job_id))]
        if anonymous := await self._viewers.anonymous(session, visible):  # whose relatives tell who made it
            visible = [each for each in visible if (each.job.id not in anonymous) != (asked in anonymous)]
        shown = {record.job.id for record in visible}
        names = {job_id: job_id if job_id in shown else f"hidden-{n}" for n, job_id in enumerate(sorted(known))}
        return web.json_response(
            {
                "asked": asked,
                "pictures": await self._listed(session, visible),
                "hidden": len(known) - len(visible),
                "edges": sorted({(names[old], names[new]) for old, new in edges if {old, new} <= known.keys()}),
            }
        )

    async def matches(self, session: Session | None, tiles: Sequence[Tile]) -> Json:
        """Return pictures in the order in which they were found."""
        records = {record.job.id: record for record in await self._records(tile.job_id for tile in tiles)}
        visible = [each for each in records.values() if await self._viewers.require_record(session, each.job.id)]
        listed = {each["job"]: each for each in await self._listed(session, visible)}
        best: dict[str, Tile] = {}
        for tile in tiles:
            best.setdefault(tile.job_id, tile)
        return {
            "pictures": [
                listed[job_id] | {"tiles": [each for each in listed[job_id]["tiles"] if each["id"] == str(tile)]}
                for job_id, tile in best.items()
                if job_id in listed
            ],
            "next": None,
        }

    async def _favourites(self, session: Session, before: str | None) -> web.Response:
        tiles, following = await self._services.db.gallery.favourites(session.person_id, before, PAGE_SIZE)
        found = await self.matches(session, tiles)
        liked = {str(tile) for tile in tiles}
        for picture in found["pictures"]:
            own = [Tile(picture["job"], index) for index in range(picture["count"])]
            picture["tiles"] = [{"id": str(tile), "liked": True} for tile in own if str(tile) in liked]
        return web.json_response(found | {"next": following})

    async def _records(self, job_ids: Iterable[str]) -> list[JobRecord]:
        wanted = list(dict.fromkeys(job_ids))
        found = await self._services.db.jobs.get_many(wanted)
        return [found[job_id] for job_id in wanted if job_id in found and not found[job_id].deleted]

    async def _listed(self, session: Session | None, records: Sequence[JobRecord]) -> list[Json]:
        person_id = session.person_id if session else 0
        liked = await self._services.db.gallery.favourite_tiles(person_id, (record.job.id for record in records))
        anonymous = await self._viewers.anonymous(session, records)
        return [await self._item(each, person_id, liked, is_anonymous=each.job.id in anonymous) for each in records]

    async def _item(self, record: JobRecord, person_id: int, liked: set[Tile], *, is_anonymous: bool) -> Json:
        job, to, registry = record.job, record.job.destination, self._services.registry
        settings = await self._services.policy.settings(to.guild_id)
        tiles = [Tile(job.id, index) for index in range(job.params.count)]
        width, height = size_of(job.params)
        own = bool(person_id) and job.requester.id == person_id
        return {
            "job": job.id,
            "tiles": [{"id": str(tile), "liked": tile in liked} for tile in tiles],
            "count": job.params.count,
            "prompt": format_prompt(job.params, registry),
            "description": image_description(job, registry),
            "author": job.requester.name if (settings.gallery_names and not is_anonymous) or own else None,
            "anonymous": is_anonymous,
            "own": own,
            "private": to.private,
            "at": job.asked_at,
            "width": width,
            "height": height,
            "blurred": self._viewers.is_blurred(record),
        }

    async def _details(self, session: Session | None, record: JobRecord, whom: str) -> Json:
        job, to, registry = record.job, record.job.destination, self._services.registry
        client, lineage = self._viewers.client, self._services.db.lineage
        channel = client.get_channel(to.result_channel_id) if client is not None else None
        link = jump_url(to.guild_id, to.result_channel_id, record.result_message_id)
        parents = [Tile(edge.parent_job, edge.parent_index) for edge in await lineage.parents([job.id])]
        children = [Tile(edge.child, 0) for edge in await lineage.children(job.id, MAX_CHILDREN)]
        settings = format_prompt(replace(job.params, parts=(PromptPart(""),), model=""), None)
        return {
            "withSeed": format_prompt(job.params, registry, seed=True),
            "facts": {
                tr("How"): made_how(job, whom),
                tr("Model"): registry.model_name(job.params),
                tr("Seed"): str(job.params.seed),
                tr("Size"): "{} × {}".format(*size_of(job.params)),
                tr("Steps"): str(job.params.num_inference_steps),
                tr("Parameters"): settings.strip(),
                tr("Drawn in"): f"{record.seconds:.1f} s" if record.seconds and job.action is not Action.PICK else "",
                tr("Job"): job.id,
            },
            "channel": f"#{getattr(channel, 'name', '')}" if channel is not None and not to.private else "",
            "link": link if record.result_message_id is not None and not to.private else None,
            "parents": await self._relatives(session, parents),
            "children": await self._relatives(session, children),
        }

    async def _relatives(self, session: Session | None, tiles: Sequence[Tile]) -> list[Json]:
        """Return relatives of a picture without entries of open contests, whose author is often the picture's."""
        return [each for each in (await self.matches(session, tiles))["pictures"] if not each["anonymous"]]

    async def require_view(self, session: Session | None, request: web.Request) -> GuildView:
        """Return what the visitor may see of the server that a request names; raise HTTPForbidden if it is nothing."""
        seen = await self._viewers.view(session, int(request.query.get("guild", "0")))
        if seen is None:
            raise web.HTTPForbidden(text=tr("You may not look at this server's pictures."))
        return seen

    def _require_session(self, request: web.Request) -> Session:
        session = self._sessions.find(request)
        if session is None:
            raise web.HTTPUnauthorized(text=tr("Log in to see your own pictures."))
        return session


def tile_of(request: web.Request) -> Tile:
    """Return the tile in a request's path."""
    return Tile(request.match_info["job_id"], int(request.match_info["index"]))
