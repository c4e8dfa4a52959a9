"""Several jobs from one prompt: a question first, and then all of them or none."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, cast

import discord

from bot.client import Client
from bot.discord_calls import TRANSPORT_ERRORS
from bot.jobs.destination import is_private
from bot.policy.context import context_from
from bot.policy.policy import JobRequest
from bot.ui.errors import report_errors, respond_ephemeral
from bot.ui.prompt_block import extract_prompt, format_prompt_block
from bot.ui.text import escape_markdown, truncate
from cogs.jobs import Interaction, JobService, get_job_service
from cogs.prompt_modal import TARGET_PATTERN, EditPromptButton, PromptTarget, reject_prompt
from generation.errors import UserError
from generation.job import Action, Job
from generation.params import Params, Upload
from generation.prompt import PromptRequest, format_prompt
from generation.prompt.preferences import Preferences
from generation.queue.queue import MemberLimits

if TYPE_CHECKING:
    from cogs.imagine import Imagine

log = logging.getLogger(__name__)

MAX_FOLLOWUPS = 5  # that Discord allows where only the person has installed the bot
MAX_SHOWN = 3
MAX_SHOWN_LENGTH = 100  # characters of each


async def confirm_batch(
    interaction: Interaction, target: PromptTarget, prompt: str, prompt_requests: list[PromptRequest]
) -> None:
    """Ask privately whether all the jobs are meant that a prompt makes."""
    shown = [
        f"{number}. {_prompt_preview(prompt_request, interaction)}"
        for number, prompt_request in enumerate(prompt_requests[:MAX_SHOWN], start=1)
    ]
    more = [f"-# … and {len(prompt_requests) - MAX_SHOWN} more"] if len(prompt_requests) > MAX_SHOWN else []
    content, files = format_prompt_block("\n".join([f"This makes {len(prompt_requests)} jobs:", *shown, *more]), prompt)
    view = discord.ui.View(timeout=None)
    view.add_item(ConfirmBatchButton(target))
    view.add_item(EditPromptButton(target, "Edit"))
    view.add_item(DismissButton())
    await respond_ephemeral(interaction, content, files=files, view=view)


class ConfirmBatchButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=rf"all:{TARGET_PATTERN}"):
    """Draw all: asks for every job of the prompt that stands in the message."""

    def __init__(self, target: PromptTarget) -> None:
        self.target = target
        style = discord.ButtonStyle.primary
        super().__init__(discord.ui.Button(label="Draw all", custom_id=f"all:{target}", style=style))

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], match: re.Match[str]) -> Self:
        return cls(PromptTarget.from_match(match))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            assert interaction.message is not None
            prompt = await extract_prompt(interaction.message)
            try:
                await self._submit_all(interaction, prompt, interaction.message.id)
            except Exception as error:
                await reject_prompt(interaction, error, self.target, prompt)

    async def _submit_all(self, interaction: Interaction, prompt: str, question_id: int) -> None:
        imagine = cast("Imagine", interaction.client.get_cog("Imagine"))
        image = Upload(self.target.payload) if self.target.payload else None
        prompt_requests = await imagine.parse(interaction, prompt, with_image=image is not None)
        await interaction.response.defer()
        params_list = await imagine.resolve_images(prompt_requests, image)
        preferred = await interaction.client.services.preferences.get(interaction.user.id)
        job_requests = [
            _job_request(interaction, params, prompt_request, len(prompt_requests), preferred)
            for params, prompt_request in zip(params_list, prompt_requests, strict=True)
        ]
        if not await submit_batch(interaction, job_requests, key=str(question_id)):
            await respond_ephemeral(interaction, "You have confirmed this before.")


class DismissButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template="drop"):
    """Cancel, below the question whether several jobs are meant."""

    def __init__(self) -> None:
        super().__init__(discord.ui.Button(label="Cancel", custom_id="drop"))

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], ___: re.Match[str]) -> Self:
        return cls()

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            await interaction.response.defer()
            await interaction.delete_original_response()


async def submit_batch(interaction: Interaction, job_requests: Sequence[JobRequest], *, key: str) -> bool:
    """Accept several jobs together, or raise Complaint; False when they were accepted before, by the same `key`.

    The interaction must be answered already, by a deferred change of the question that these jobs confirm.
    """
    job_service, warnings = get_job_service(interaction.client), list[str]()
    jobs = await _accept(interaction, job_service, job_requests, key, warnings)
    if not jobs:
        return False
    with suppress(*TRANSPORT_ERRORS):  # the jobs are accepted, and go on whatever can be said of them
        text = f"{len(jobs)} jobs are on their way."
        await interaction.edit_original_response(content=text, attachments=[], view=None)
    for job in jobs:
        await job_service.start(job, await _send_status_message(interaction, job_service, job))
    for warning in dict.fromkeys(warnings):
        await respond_ephemeral(interaction, warning)
    return True


async def _accept(
    interaction: Interaction, job_service: JobService, job_requests: Sequence[JobRequest], key: str, warnings: list[str]
) -> list[Job]:
    context, jobs = context_from(interaction), list[Job]()
    policy, queue, store = job_service.services.policy, job_service.services.queue, job_service.services.store
    async with policy.authorized(context, job_requests[0]) as grant:
        if await store.get(_batch_job_id(key, 0)):
            return []
        for number, job_request in enumerate(job_requests):
            grant = await policy.authorize(context, job_request)
            warnings += [grant.warning] if grant.warning else []
            job = job_service.create_job(
                interaction, job_request.action, job_request.params, None, grant.speed, job_request.private
            )
            jobs.append(dataclasses.replace(job, id=_batch_job_id(key, number)))
        if len(jobs) > MAX_FOLLOWUPS and not (interaction.context.dm_channel or interaction.is_guild_integration()):
            raise UserError(f"Discord lets me answer with {MAX_FOLLOWUPS} jobs at once here, not with {len(jobs)}.")
        allowance = MemberLimits(waiting=grant.limits.waiting, running=grant.limits.running)
        queue.check_limits(context.person_id, context.guild_id, allowance, len(jobs))
        return jobs if await _store(job_service, jobs, allowance) else []


async def _store(job_service: JobService, jobs: list[Job], allowance: MemberLimits) -> bool:
    stored = False
    for job in jobs:
        job_service.services.queue.enqueue(job, allowance)
    try:
        stored = await job_service.services.store.add_jobs(jobs)
    finally:
        for job in () if stored else jobs:
            job_service.services.queue.remove(job.id)
    return stored


async def _send_status_message(interaction: Interaction, job_service: JobService, job: Job) -> int | None:
    try:
        return await job_service.send_status_message(interaction, job)
    except TRANSPORT_ERRORS:  # the job was confirmed, and goes on without
        log.warning("job %s: it has no notice", job.id, exc_info=True)
        return None


def _job_request(
    interaction: Interaction, params: Params, prompt_request: PromptRequest, jobs: int, preferred: Preferences
) -> JobRequest:
    return JobRequest(
        action=infer_action(params),
        params=params,
        speed=prompt_request.speed or preferred.speed,
        speed_is_explicit=prompt_request.speed is not None,
        private=is_private(interaction, prompt_request.private, preferred),
        jobs=jobs,
        repeated=prompt_request.repeat > 1,
        permuted=jobs > prompt_request.repeat,
    )


def infer_action(params: Params) -> Action:
    """Tell drawing from words from blending pictures without any."""
    return Action.IMAGINE if any(part.text for part in params.parts) else Action.BLEND


def _batch_job_id(key: str, number: int) -> str:
    """Give a job the same id whenever it is asked for by the same key, so that it is accepted once."""
    return hashlib.sha256(f"{key}:{number}".encode()).hexdigest()[:12]


def _prompt_preview(prompt_request: PromptRequest, interaction: Interaction) -> str:
    return escape_markdown(
        truncate(format_prompt(prompt_request.params, interaction.client.services.registry), MAX_SHOWN_LENGTH)
    )


async def setup(client: Client) -> None:
    """Add the question's buttons; discord.py calls this."""
    client.add_dynamic_items(ConfirmBatchButton, DismissButton)
