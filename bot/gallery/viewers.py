"""What a visitor of the gallery may see: a server's channels now, and single pictures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from weakref import WeakValueDictionary

import discord

from bot.client import Client
from bot.finding.views import viewable_channels
from bot.gallery.sessions import Session
from bot.policy.settings import GuildSettings, NsfwMode
from bot.policy.visibility import allows_nsfw, can_read
from bot.services import Services
from db.finding.gallery import View
from db.finding.picture_index import ShownPicture
from db.jobs import JobRecord, JobState
from generation.job import Action

MEMBER_LIFETIME_S = 300.0  # Discord tells the bot of no change of a member
MAX_MEMBERS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GuildView:
    """What a visitor may see of a server, with the rules of its owners."""

    guild: discord.Guild
    settings: GuildSettings
    view: View


class Viewers:
    """Ask Discord who a visitor is in a server, and compute what they may view as Discord does."""

    def __init__(self, services: Services, current_client: Callable[[], Client | None], *, with_login: bool) -> None:
        self._services, self._current_client, self._with_login = services, current_client, with_login
        self._members: dict[tuple[int, int], tuple[float, discord.Member | None]] = {}
        self._asking: WeakValueDictionary[tuple[int, int], asyncio.Lock] = WeakValueDictionary()

    @property
    def client(self) -> Client | None:
        """Return the bot's client, once it is connected."""
        client = self._current_client()
        return client if client is not None and client.is_ready() else None

    async def guilds(self, session: Session | None) -> list[discord.Guild]:
        """Return the servers that a visitor may look at, by name."""
        client = self.client
        if client is None:
            return []
        own = client.guilds if session is None else [each for each in client.guilds if each.id in session.guild_ids]
        found = [each for each in own if await self.view(session, each.id) is not None]
        return sorted(found, key=lambda guild: guild.name.casefold())

    async def view(self, session: Session | None, guild_id: int) -> GuildView | None:
        """Return what a visitor may see of a server; None if it is closed to them or not known."""
        visitor = await self._visitor(session, guild_id)
        if visitor is None:
            return None
        guild, settings, who = visitor
        channels = viewable_channels(guild, lambda channel: can_read(channel, who))
        view = View(
            guild_id=guild_id,
            channels=channels - set(settings.gallery_hidden),
            person_id=session.person_id if session else 0,
        )
        return GuildView(guild=guild, settings=settings, view=view)

    async def require_record(self, session: Session | None, job_id: str) -> JobRecord | None:
        """Return a result if the visitor may see it: their own, or one in a channel that they may view."""
        record = await self._services.db.jobs.get(job_id)
        if record is None or record.deleted or record.suffix is None or record.state is not JobState.POSTED:
            return None
        if session is not None and record.job.requester.id == session.person_id:
            return record
        places = await self._places(record)
        if not places or not all([await self._may_see(session, each) for each in places]):
            return None
        settings = await self._services.policy.settings(places[0].guild_id)
        return None if self.is_withheld(settings, record) else record

    async def anonymous(self, session: Session | None, records: Iterable[JobRecord]) -> set[str]:
        """Return the jobs whose requester may not be named to a visitor: others' entries of open contests."""
        person_id = session.person_id if session else 0
        others = [record.job.id for record in records if record.job.requester.id != person_id]
        return await self._services.db.gallery.anonymous(person_id, others)

    def is_withheld(self, settings: GuildSettings, record: JobRecord) -> bool:
        """Return whether a server shows a sensitive picture in age-restricted channels only, and this one is not."""
        return settings.sensitive is NsfwMode.WITHHOLD and self.is_blurred(record)

    def is_blurred(self, record: JobRecord) -> bool:
        """Return whether a picture is covered until somebody asks for it."""
        client = self.client
        return record.sensitive and not (
            client is not None and allows_nsfw(client, record.job.destination.result_channel_id)
        )

    async def _places(self, record: JobRecord) -> list[ShownPicture]:
        """Return where a result is shown; one that was taken out of a grid, also where that is."""
        job, find_shown = record.job, self._services.db.picture_index.find_shown
        shown = await find_shown(job.id)
        if shown is not None or job.action is not Action.PICK:
            return [shown] if shown is not None else []
        own = self._own_place(record)
        grid = await find_shown(job.parent.job_id) if job.parent is not None else own  # a canvas has no grid
        return [grid, own] if grid is not None and own is not None else []

    def _own_place(self, record: JobRecord) -> ShownPicture | None:
        """Return where a picture is that the index does not have, since it is part of another."""
        job, to = record.job, record.job.destination
        guild = self.client.get_guild(to.guild_id) if self.client is not None and to.guild_id is not None else None
        place = guild.get_channel_or_thread(to.result_channel_id) if guild is not None else None
        is_hidden = to.private or (isinstance(place, discord.Thread) and place.is_private())
        if guild is None or place is None or is_hidden:
            return None
        channel_id = place.parent_id if isinstance(place, discord.Thread) else place.id
        return ShownPicture(job_id=job.id, guild_id=guild.id, channel_id=channel_id, person_id=job.requester.id)

    async def _may_see(self, session: Session | None, shown: ShownPicture) -> bool:
        if not await self._may_view_channel(session, shown.guild_id, shown.channel_id):
            return False
        return not await self._services.db.guilds.active_block(shown.guild_id, shown.person_id)

    async def _may_view_channel(self, session: Session | None, guild_id: int, channel_id: int) -> bool:
        visitor = await self._visitor(session, guild_id)
        if visitor is None:
            return False
        guild, settings, who = visitor
        channel = guild.get_channel(channel_id)
        if channel is None or channel_id in settings.gallery_hidden:
            return False
        return channel.permissions_for(guild.me).view_channel and can_read(channel, who)

    async def _visitor(
        self, session: Session | None, guild_id: int
    ) -> tuple[discord.Guild, GuildSettings, discord.Member | discord.Role] | None:
        """Return a server, its rules, and as whom a visitor looks at it: without a login, as everybody."""
        client = self.client
        guild = client.get_guild(guild_id) if client is not None else None
        if guild is None or guild.me is None or (session is None and self._with_login):
            return None
        settings = await self._services.policy.settings(guild_id)
        if not settings.gallery_pages:
            return None
        if session is None:
            return guild, settings, guild.default_role
        member = await self._member(guild, session.person_id)
        if member is None or await self._services.db.guilds.active_block(guild_id, session.person_id):
            return None
        return guild, settings, member

    async def _member(self, guild: discord.Guild, person_id: int) -> discord.Member | None:
        """Return a member; the requests of a page that come at the same time ask Discord once."""
        key = (guild.id, person_id)
        asking = self._asking.setdefault(key, asyncio.Lock())
        async with asking:
            known, now = self._members.get(key), time.monotonic()
            if known is None or now - known[0] >= MEMBER_LIFETIME_S:
                if len(self._members) >= MAX_MEMBERS:
                    self._members.clear()
                known = self._members[key] = (now, await _fetch_member(guild, person_id))
        return known[1]

    def forget(self, person_id: int) -> None:
        """Forget a person; if they come again, Discord is asked again."""
        for key in [key for key in self._members if key[1] == person_id]:
            del self._members[key]


async def _fetch_member(guild: discord.Guild, person_id: int) -> discord.Member | None:
    try:
        return await guild.fetch_member(person_id)
    except (discord.NotFound, discord.Forbidden):
        return None
