"""Show what a job found out that reads a prompt or a picture, in its status message."""

from __future__ import annotations

from dataclasses import replace

import discord

from bot.jobs.delivery import Delivery
from bot.jobs.describing import allowed_texts
from bot.services import Services
from bot.ui import reading_text
from bot.ui.i18n import audience
from db.readings import StoredReading
from db.storage import retry_until_stored
from generation.job import Job
from generation.messages import Reading
from generation.params import Params, PromptPart, ReadingKind
from generation.planning.descriptions import DESCRIPTIONS
from generation.planning.shortening import shorter_texts
from generation.prompt import format_prompt

GRID_TILES = 4  # that a prompt behind a button draws


class ReadingDelivery:
    """Stores the results of readings and shows them. Its last edit can be repeated, so a restart repeats it."""

    def __init__(self, services: Services, delivery: Delivery) -> None:
        self._services, self._delivery = services, delivery

    async def finish(self, job: Job, status_message_id: int | None, reading: Reading) -> None:
        """Store a job's result and show it, unless the job was cancelled."""
        services = self._services
        texts = await allowed_texts(services, job.destination.guild_id, reading.texts)
        reading = replace(reading, texts=tuple(texts))
        stored = StoredReading(prompts_of(job, reading, services), reading.words)
        model = services.registry.model_name(job.params)
        if await retry_until_stored(lambda: services.db.jobs.mark_read(job.id, stored, reading.seconds, model)):
            await self.show(job, status_message_id)

    async def show(self, job: Job, status_message_id: int | None) -> None:
        """Show a stored result in the job's status message, or in a direct message if that cannot be edited."""
        stored = await self._services.db.readings.get(job.id)
        if stored is not None and status_message_id is not None:
            with audience(private=job.destination.private):
                text, view = present(job, stored)
            await self._delivery.report_end(job, status_message_id, text, view=view)
        await retry_until_stored(lambda: self._services.db.jobs.set_status_message(job.id, None))


def present(job: Job, stored: StoredReading) -> tuple[str, discord.ui.View]:
    """Return the text and the buttons of a result."""
    if job.params.reading is ReadingKind.DESCRIBE:
        return reading_text.described(job, stored), reading_text.described_view(job, stored)
    return reading_text.shortened(job, stored), reading_text.shortened_view(job, stored)


def prompts_of(job: Job, reading: Reading, services: Services) -> tuple[str, ...]:
    """Return the prompts behind the buttons of a result."""
    params = replace(job.params, reading=None, count=GRID_TILES)
    if job.params.reading is ReadingKind.DESCRIBE:
        known = "".join(part.text for part in params.parts)
        plain = replace(params, source=None)
        texts = [format_prompt(replace(plain, parts=(PromptPart(each),)), services.registry) for each in reading.texts]
        return tuple(dict.fromkeys(filter(None, (known, *texts))))[:DESCRIPTIONS]
    return tuple(dict.fromkeys(format_prompt(each, services.registry) for each in _shorter(params, reading)))


def _shorter(params: Params, reading: Reading) -> list[Params]:
    """Return params with each part of the prompt shortened, step by step; a part that is short already stays."""
    texts = [shorter_texts(words) for words in reading.words]
    return [
        replace(
            params,
            parts=tuple(
                PromptPart(of_part[min(step, len(of_part) - 1)] if of_part else part.text, part.weight)
                for of_part, part in zip(texts, params.parts, strict=True)
            ),
        )
        for step in range(max(map(len, texts), default=0))
    ]


def is_reading(job: Job) -> bool:
    """Return whether a job's result is words, not a picture."""
    return job.params.reading is not None
