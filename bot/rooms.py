"""Where results are posted when the owners want them elsewhere: a thread, or a gallery."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from weakref import WeakValueDictionary

import discord

from bot.delivery import persist
from bot.policy.settings import Delivery
from bot.studio import Studio
from db.threads import ThreadStore
from generation.display import shorten
from generation.job import Job

log = logging.getLogger(__name__)

LONGEST_NAME = 90  # characters of a thread's name, of which Discord takes 100


class Rooms:
    """Find, or make, the place for each job's result."""

    def __init__(self, client: discord.Client, studio: Studio, threads: ThreadStore) -> None:
        self._client, self._studio, self._threads = client, studio, threads
        # By person, so that two jobs of theirs do not make two threads; a thread may take minutes where many are made.
        self._making: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def assigned(self, job: Job) -> Job:
        """Give the job with the place for its result settled and kept; unchanged where that is where it was asked."""
        to = job.destination
        if to.post_in is not None or not to.by_channel or to.guild_id is None:
            return job
        try:
            async with self._making.setdefault(job.requester.id, asyncio.Lock()):
                room = await self._room(job)
        except discord.HTTPException as error:
            log.warning(
                "job %s: no thread could be made, so the result is posted where it was asked for: %s", job.id, error
            )
            return job
        return job if room is None else await self._settled(job, room)

    async def seen_from(self, job: Job) -> int:
        """Give the channel whose rules hold for who sees the result: a thread, also one to come, is as its channel."""
        to = job.destination
        if to.post_in is None and to.by_channel and to.guild_id is not None:
            settings = await self._studio.policy.settings(to.guild_id)
            if settings.delivery is Delivery.GALLERY and settings.gallery is not None:
                return settings.gallery
        return to.result_channel_id

    async def lost(self, job: Job) -> Job:
        """Give the job without its place, which Discord does not let the bot use."""
        assert job.destination.post_in is not None
        await self._threads.delete(job.destination.post_in)
        return await self._settled(job, None)

    async def _settled(self, job: Job, room: int | None) -> Job:
        await self._studio.store.set_result_channel(job.id, room)
        return replace(job, destination=replace(job.destination, post_in=room))

    async def _room(self, job: Job) -> int | None:
        settings = await self._studio.policy.settings(job.destination.guild_id)
        match settings.delivery:
            case Delivery.GALLERY:
                return settings.gallery
            case Delivery.THREAD_OF_PERSON:
                return await self._thread_of_person(job)
            case Delivery.THREAD_OF_JOB:
                return await self._new_thread(job, job.params.parts[0].text or "Pictures")
            case Delivery.HERE:
                return None

    async def _thread_of_person(self, job: Job) -> int | None:
        person, channel_id = job.requester, job.destination.channel_id
        if known := await self._threads.find(person.id, channel_id):
            return known
        thread_id = await self._new_thread(job, f"Pictures of {person.name}")
        if thread_id is not None:
            await self._threads.save(person.id, channel_id, thread_id)
        return thread_id

    async def _new_thread(self, job: Job, name: str) -> int | None:
        channel = self._client.get_channel(job.destination.channel_id)
        if not isinstance(channel, discord.TextChannel):  # a thread has no threads, and a voice channel has none either
            return None
        title = shorten(" ".join(name.split()), LONGEST_NAME)
        thread = await persist(lambda: channel.create_thread(name=title, type=discord.ChannelType.public_thread))
        return thread.id
