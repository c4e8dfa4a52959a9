"""Choose the thread or gallery for results, as the server's settings say."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from weakref import WeakValueDictionary

import discord

from bot.discord_calls import retry_until_available
from bot.policy.settings import ResultPlacement
from bot.services import Services
from bot.ui.i18n import tr
from bot.ui.text import truncate
from db.storage import retry_until_stored
from db.threads import ThreadStore
from generation.job import Job

log = logging.getLogger(__name__)

MAX_THREAD_NAME = 90  # characters; Discord allows 100


class ResultChannels:
    """Find or create the channel for each job's result."""

    def __init__(self, client: discord.Client, services: Services, threads: ThreadStore) -> None:
        self._client, self._services, self._threads = client, services, threads
        # One lock per user, so that two jobs do not create two threads. A rate limit may delay one for minutes.
        self._thread_locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def assign(self, job: Job) -> Job:
        """Choose and store the channel for the result; return the job unchanged if that is where it was requested."""
        to = job.destination
        if to.post_in is not None or not to.by_channel or to.guild_id is None or not to.has_interaction:
            return job
        try:
            async with self._thread_locks.setdefault(job.requester.id, asyncio.Lock()):
                channel_id = await self._resolve_channel(job)
        except discord.HTTPException as error:
            log.warning("job %s: could not create a thread, so the result is posted in the channel: %s", job.id, error)
            return job
        return job if channel_id is None else await self._store_channel(job, channel_id)

    async def audience_channel_id(self, job: Job) -> int:
        """Return the channel whose NSFW rules apply to the result (a thread uses its parent's)."""
        to = job.destination
        if to.post_in is None and to.by_channel and to.guild_id is not None and to.has_interaction:
            settings = await self._services.policy.settings(to.guild_id)
            if settings.delivery is ResultPlacement.GALLERY and settings.gallery is not None:
                return settings.gallery
        return to.result_channel_id

    async def fall_back(self, job: Job) -> Job:
        """Forget a thread or gallery that Discord does not let the bot use, and return the job without it."""
        assert job.destination.post_in is not None
        gone = job.destination.post_in
        await retry_until_stored(lambda: self._threads.delete(gone))
        return await self._store_channel(job, None)

    async def _store_channel(self, job: Job, channel_id: int | None) -> Job:
        await retry_until_stored(lambda: self._services.db.jobs.set_result_channel(job.id, channel_id))
        return replace(job, destination=replace(job.destination, post_in=channel_id))

    async def _resolve_channel(self, job: Job) -> int | None:
        settings = await self._services.policy.settings(job.destination.guild_id)
        match settings.delivery:
            case ResultPlacement.GALLERY:
                return settings.gallery
            case ResultPlacement.THREAD_OF_PERSON:
                return await self._user_thread(job)
            case ResultPlacement.THREAD_OF_JOB:
                return await self._create_thread(job, job.params.parts[0].text or tr("Pictures"))
            case ResultPlacement.HERE:
                return None

    async def _user_thread(self, job: Job) -> int | None:
        person, channel_id = job.requester, job.destination.channel_id
        if known := await self._threads.find(person.id, channel_id):
            return known
        thread_id = await self._create_thread(job, tr("Pictures of {name}", name=person.name))
        if thread_id is not None:
            await retry_until_stored(lambda: self._threads.save(person.id, channel_id, thread_id))
        return thread_id

    async def _create_thread(self, job: Job, name: str) -> int | None:
        channel = self._client.get_channel(job.destination.channel_id)
        if not isinstance(channel, discord.TextChannel):  # threads and voice channels have no threads
            return None
        title = truncate(" ".join(name.split()), MAX_THREAD_NAME)
        thread = await retry_until_available(
            lambda: channel.create_thread(name=title, type=discord.ChannelType.public_thread)
        )
        return thread.id
