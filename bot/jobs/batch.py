"""Submit several jobs together: all of them or none."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import discord

from bot.discord_calls import TRANSPORT_ERRORS
from bot.jobs.service import JobService
from bot.policy.context import context_from
from bot.policy.policy import JobRequest
from bot.ui.errors import respond_ephemeral
from bot.ui.i18n import audience, tr, trn
from generation.errors import UserError
from generation.job import Job
from generation.queue.limits import MemberLimits

log = logging.getLogger(__name__)

Interaction = discord.Interaction[Any]

MAX_FOLLOWUPS = 5  # Discord allows no more where only the user has installed the bot


async def submit_batch(jobs: JobService, interaction: Interaction, requests: Sequence[JobRequest], *, key: str) -> bool:
    """Accept several jobs together or raise UserError; return False if the same `key` was accepted before.

    The interaction must be deferred as an update of the message that asked for confirmation.
    """
    warnings = list[str]()
    accepted = await _accept(jobs, interaction, requests, key, warnings)
    if not accepted:
        return False
    with suppress(*TRANSPORT_ERRORS):  # the jobs are accepted and run even if this cannot be shown
        text = trn("{n} job is on its way.", "{n} jobs are on their way.", len(accepted))
        await interaction.edit_original_response(content=text, attachments=[], view=None)
    for job in accepted:
        with audience(private=job.destination.private):
            await jobs.runner.start(job, await _send_status_message(jobs, interaction, job))
    for warning in dict.fromkeys(warnings):
        await respond_ephemeral(interaction, warning)
    return True


async def _accept(
    jobs: JobService, interaction: Interaction, requests: Sequence[JobRequest], key: str, warnings: list[str]
) -> list[Job]:
    context, batch = context_from(interaction), list[Job]()
    policy, queue, store = jobs.services.policy, jobs.services.queue, jobs.services.db.jobs
    async with policy.authorized(context, requests[0]) as grant:
        if await store.get(_batch_job_id(key, 0)):
            return []
        for number, request in enumerate(requests):
            grant = await policy.authorize(context, request)
            warnings += [grant.warning] if grant.warning else []
            job = jobs.create_job(interaction, request.action, request.params, None, grant.speed, request.private)
            batch.append(dataclasses.replace(job, id=_batch_job_id(key, number)))
        if len(batch) > MAX_FOLLOWUPS and not (interaction.context.dm_channel or interaction.is_guild_integration()):
            raise UserError(
                tr(
                    "Discord lets me answer with {most} jobs at once here, not with {number}.",
                    most=MAX_FOLLOWUPS,
                    number=len(batch),
                )
            )
        limits = MemberLimits(waiting=grant.limits.waiting, running=grant.limits.running)
        queue.check_limits(context.person_id, context.guild_id, limits, len(batch))
        return batch if await _store(jobs, batch, limits) else []


async def _store(jobs: JobService, batch: list[Job], limits: MemberLimits) -> bool:
    stored = False
    for job in batch:
        jobs.services.queue.enqueue(job, limits)
    try:
        stored = await jobs.services.db.jobs.add_jobs(batch)
    finally:
        for job in () if stored else batch:
            jobs.services.queue.remove(job.id)
    return stored


async def _send_status_message(jobs: JobService, interaction: Interaction, job: Job) -> int | None:
    try:
        return await jobs.send_status_message(interaction, job)
    except TRANSPORT_ERRORS:  # the job was confirmed, and runs without a status message
        log.warning("job %s: it has no status message", job.id, exc_info=True)
        return None


def _batch_job_id(key: str, number: int) -> str:
    """Return the same id for the same key, so that a batch confirmed twice is accepted once."""
    return hashlib.sha256(f"{key}:{number}".encode()).hexdigest()[:12]
