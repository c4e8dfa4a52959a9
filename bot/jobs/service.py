"""Accept and cancel jobs; every command and button that makes a job ends here."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from logging import getLogger
from typing import Any

import discord

from bot.discord_calls import NO_MENTIONS, TRANSPORT_ERRORS, is_outage
from bot.jobs.delivery import Delivery
from bot.jobs.destination import destination_from, is_private
from bot.jobs.presses import Press, RecentPresses
from bot.jobs.progress import waiting_reason
from bot.jobs.runner import JobRunner, needs_gpu
from bot.jobs.tasks import TaskRegistry
from bot.policy.context import context_from
from bot.policy.moderation import can_moderate, log_moderation
from bot.policy.policy import JobRequest, RequestContext
from bot.services import Services
from bot.ui import job_text
from bot.ui.errors import respond_ephemeral
from bot.ui.i18n import audience, audience_locale, tr
from bot.ui.job_views import cancel_view, custom_ids, highlighted_view
from bot.ui.modals import parse_modal
from db.jobs import JobRecord, JobState
from db.lineage import Credit
from db.storage import retry_until_stored
from generation.errors import UserError
from generation.job import Action, Job, Requester, Speed, new_job_id
from generation.params import Params, Tile
from generation.queue.limits import MemberLimits

log = getLogger(__name__)

Interaction = discord.Interaction[Any]

UNFINISHED = (JobState.WAITING, JobState.RUNNING)
REPEATABLE = (Action.REROLL, Action.VARY_SUBTLE, Action.VARY_STRONG)  # pressed twice, they are wanted twice
ALREADY_ACKNOWLEDGED = 40060  # Discord's code for a second first response


class JobService:
    """Accept jobs, store them, send their status messages, and start them."""

    def __init__(self, services: Services, tasks: TaskRegistry, delivery: Delivery, runner: JobRunner) -> None:
        self.services = services
        self.tasks = tasks
        self.delivery = delivery
        self.runner = runner
        self.presses = RecentPresses(services.db.jobs)

    async def submit(
        self,
        interaction: Interaction,
        action: Action,
        params: Params,
        parent: Tile | None = None,
        *,
        speed: Speed | None = None,
        private: bool | None = None,
        pressed: str = "",
    ) -> None:
        """Accept a job or raise UserError, respond within three seconds, and start the job.

        `speed` and `private` are what was typed for this job; None means the user's preferences. `pressed` is the
        custom_id of the button to highlight. A second press by mistake makes no second job, nor does the same form; a
        form with other words or files does.
        """
        press = _press(interaction, pressed)
        if press is None or action in REPEATABLE:
            await self._submit(interaction, action, params, parent, speed, private, pressed)
            return
        if await self.presses.is_repeated(press):
            await _ignore(interaction)
            return
        try:
            self.presses.accepted(
                press, await self._submit(interaction, action, params, parent, speed, private, pressed)
            )
        except BaseException:
            self.presses.refused(press)
            raise

    async def _submit(
        self,
        interaction: Interaction,
        action: Action,
        params: Params,
        parent: Tile | None,
        speed: Speed | None,
        private: bool | None,
        pressed: str,
    ) -> str:
        """Accept, acknowledge and start a job; return its id."""
        if action is not Action.PICK:
            self.services.registry.require_supported(params)
        preferred = await self.services.db.preferences.get(interaction.user.id)
        parent_job = await self._require_visible_parent(interaction, parent)
        private = is_private(interaction, private, preferred, parent_job)
        is_private_already = action is Action.PICK and parent_job is not None and parent_job.destination.private
        speed_is_explicit, speed = speed is not None, speed or preferred.speed
        request = JobRequest(
            action=await self.effective_action(action, parent),
            params=params,
            speed=speed,
            speed_is_explicit=speed_is_explicit,
            private=private and not is_private_already,
        )
        async with self.services.policy.authorized(context_from(interaction), request) as grant:
            job = self.create_job(interaction, action, params, parent, grant.speed, private)
            if needs_gpu(job):
                limits = MemberLimits(waiting=grant.limits.waiting, running=grant.limits.running)
                self.services.queue.enqueue(job, limits)
            await self._store(job)
        with audience(private=private):
            await self._acknowledge(interaction, job, pressed)
        if grant.warning:
            await respond_ephemeral(interaction, grant.warning)
        return job.id

    async def submit_for(
        self, context: RequestContext, request: JobRequest, job: Job, credited: Sequence[Credit] | None = None
    ) -> None:
        """Accept a job that no interaction asks for, or raise UserError; start it.

        `context` is that of the job's requester, whose rules and limits apply. `credited` are those who had a part in
        it. Nothing happens if the job is stored already, so that a step can be repeated after a crash.
        """
        if await self.services.db.jobs.get(job.id) is not None:
            return
        job = await self._accept(context, request, job, credited)
        await self.runner.start(job, await self._send_to_channel(job) if _is_announced(job) else None)

    async def submit_prepared(self, interaction: Interaction, request: JobRequest, job: Job) -> None:
        """Accept a job that was prepared for an interaction, or raise UserError; respond and start it.

        Its destination says how private its messages are, which is not what `request` asks for.
        """
        job = await self._accept(context_from(interaction), request, job)
        with audience(private=job.destination.private):
            await self._acknowledge(interaction, job, "")

    async def _accept(
        self, context: RequestContext, request: JobRequest, job: Job, credited: Sequence[Credit] | None = None
    ) -> Job:
        if needs_gpu(job):
            self.services.registry.require_supported(request.params)
        async with self.services.policy.authorized(context, request) as grant:
            job = replace(job, speed=grant.speed)
            if needs_gpu(job):
                limits = MemberLimits(waiting=grant.limits.waiting, running=grant.limits.running)
                self.services.queue.enqueue(job, limits)
            await self._store(job, credited)
        return job

    async def _send_to_channel(self, job: Job) -> int | None:
        """Send a status message to the job's channel; the job goes on if that is not possible."""
        try:
            return await self.delivery.send_status_message(job, self._waiting_text(job), cancel_view(job.id))
        except discord.HTTPException as error:
            log.warning("job %s: could not send its status message: %s", job.id, error)
            return None

    async def _require_visible_parent(self, interaction: Interaction, parent: Tile | None) -> Job | None:
        """Return the parent job; raise UserError if it is another user's private job."""
        record = await self.services.db.jobs.get(parent.job_id) if parent else None
        if record and record.job.destination.private and record.job.requester.id != interaction.user.id:
            raise UserError(tr("This picture is private, so only its owner can make something from it."))
        return record.job if record else None

    async def effective_action(self, action: Action, parent: Tile | None) -> Action:
        """Return the action to authorize: a reroll counts as the action that it repeats."""
        effective, tile = action, parent
        while (
            effective is Action.REROLL and tile is not None and (record := await self.services.db.jobs.get(tile.job_id))
        ):
            effective, tile = record.job.action, record.job.parent
        return action if effective is Action.PICK else effective  # PICK generates nothing

    async def _store(self, job: Job, credited: Sequence[Credit] | None = None) -> None:
        try:
            await self.services.db.jobs.add_job(job, credited)
        except BaseException:
            self.services.queue.remove(job.id)
            raise

    async def _acknowledge(self, interaction: Interaction, job: Job, pressed: str) -> None:
        """Respond to the interaction and start the job; cancel the job if the response fails."""
        try:
            status_message_id = await self._respond(interaction, job, pressed)
            await self.runner.start(job, status_message_id)
        except asyncio.CancelledError:  # the bot stops, and resumes the job at the next start
            self.services.queue.remove(job.id)
            raise
        except Exception:
            self.services.queue.remove(job.id)
            if not self.tasks.stopping:  # otherwise the response may have arrived, and the job is resumed
                await self.services.db.jobs.cancel(job.id, tr("I could not respond in time."))
            raise
        await self._highlight_parent(interaction, job, pressed)

    async def _respond(self, interaction: Interaction, job: Job, pressed: str) -> int | None:
        """Respond to the interaction; return the id of the status message, if there is one.

        A token can find only its first response again, after an outage or a kill. So that response is the job's own
        message, except in a channel that can be searched.
        """
        if job.destination.by_channel:
            await _highlight_button(interaction, pressed)
            if not needs_gpu(job):
                return None
        return await self._send_first_message(interaction, job)

    async def _send_first_message(self, interaction: Interaction, job: Job) -> int | None:
        try:
            return await self.send_status_message(interaction, job)
        except Exception as error:
            # The response may still have arrived: discord.py's second attempt then fails as a duplicate.
            if not is_outage(error) and getattr(error, "code", None) != ALREADY_ACKNOWLEDGED:
                raise
            if (status_message_id := await self.delivery.find_status_message(job)) is None:
                raise
            return status_message_id

    async def _highlight_parent(self, interaction: Interaction, job: Job, pressed: str) -> None:
        """Highlight the pressed button of a message that the response did not update."""
        message = interaction.message
        if job.destination.by_channel or message is None or job.parent is None or pressed not in custom_ids(message):
            return
        parent = await self.services.db.jobs.get(job.parent.job_id)
        with suppress(*TRANSPORT_ERRORS):
            if parent is not None:
                await self.delivery.highlight_button(parent.job, message, highlighted_view(message, pressed))

    async def send_status_message(self, interaction: Interaction, job: Job) -> int | None:
        """Respond to an interaction with a job's status message; return that message's id."""
        text, view, private = self._waiting_text(job), cancel_view(job.id), job.destination.private
        match interaction.response.type:
            case None if not needs_gpu(job):  # it takes a moment
                deferred = await interaction.response.defer(thinking=True, ephemeral=private)
                return deferred.message_id if deferred else None
            case None:
                callback = await interaction.response.send_message(
                    text, view=view, ephemeral=private, allowed_mentions=NO_MENTIONS
                )
                return callback.message_id
            case discord.InteractionResponseType.deferred_channel_message:
                return (await interaction.edit_original_response(content=text, view=view)).id
            case _:
                followup = await interaction.followup.send(
                    text, view=view, ephemeral=private, allowed_mentions=NO_MENTIONS, wait=True
                )
                return followup.id

    def _waiting_text(self, job: Job) -> str:
        position, reason = self.services.queue.position(job.id), waiting_reason(job, self.services.fleet.workers)
        return job_text.waiting(job, self.services.registry, position, reason)

    def create_job(
        self, interaction: Interaction, action: Action, params: Params, parent: Tile | None, speed: Speed, private: bool
    ) -> Job:
        """Return a new job with its requester and destination."""
        return Job(
            id=new_job_id(),
            action=action,
            params=params,
            requester=Requester(interaction.user.id, interaction.user.name),
            destination=destination_from(interaction, private=private),
            parent=parent,
            asked_at=self.services.clock(),
            speed=speed,
            locale=audience_locale(private=private),
        )

    async def require_parent(self, tile: Tile) -> Job:
        """Return the job that a tile belongs to; raise UserError if its image is deleted."""
        record = await self.services.db.jobs.get(tile.job_id)
        exists = await asyncio.to_thread(self.services.images.files.path(tile).exists)
        if record is None or not exists:
            raise UserError(tr("This picture is not kept any more, so nothing can be made from it."))
        return record.job

    async def cancel_from_button(self, interaction: Interaction, job_id: str) -> None:
        """Cancel a job by the button below its status message; raise UserError if that is not possible."""
        if interaction.message is not None:  # the bot may be killed before it has learned this id itself
            await self._adopt_status_message(job_id, interaction.message.id)
        record, end_message = await self.cancel(job_id, interaction.user.id, partial(can_moderate, interaction))
        with audience(private=record.job.destination.private):
            text = job_text.failed_or_cancelled(record.job, self.services.registry, end_message)
        try:
            await interaction.response.edit_message(
                content=text, attachments=[], view=None, allowed_mentions=NO_MENTIONS
            )
        except Exception:
            log.warning("job %s: could not show that it was cancelled", job_id, exc_info=True)
            await self.runner.report_end(record.job, record.status_message_id, end_message)
        await retry_until_stored(lambda: self.services.db.jobs.set_status_message(job_id, None))

    async def _adopt_status_message(self, job_id: str, message_id: int) -> None:
        record = await self.services.db.jobs.get(job_id)
        if record is not None and record.status_message_id is None and record.state in UNFINISHED:
            await self.services.db.jobs.set_status_message(job_id, message_id)

    async def cancel(
        self, job_id: str, person_id: int, can_moderate: Callable[[Job], bool] = lambda job: False
    ) -> tuple[JobRecord, str]:
        """Cancel a job and return it with its end message; raise UserError if that is not possible.

        `can_moderate` returns whether the user may cancel another user's job. The caller updates the status message.
        """
        record = await self.services.db.jobs.get(job_id)
        if record is None:
            raise UserError(tr("I no longer know this job."))
        if person_id != record.job.requester.id and not can_moderate(record.job):
            raise UserError(tr("Only {whom} or a moderator can cancel this.", whom=f"<@{record.job.requester.id}>"))
        with audience(private=record.job.destination.private):
            end_message = tr("Cancelled by {whom}.", whom=f"<@{person_id}>")
        if not await self.services.db.jobs.cancel(job_id, end_message):
            raise UserError(await self._nothing_to_cancel(job_id))
        await log_moderation(self.services.db.guilds, record.job, person_id, "cancelled", self.services.clock())
        await self.tasks.cancel(job_id)
        return record, end_message

    async def _nothing_to_cancel(self, job_id: str) -> str:
        record = await self.services.db.jobs.get(job_id)
        if record is not None and record.state in (JobState.GENERATED, JobState.POSTED):
            return tr("This picture is finished. *Delete* below it removes it, and so does your reaction ❌.")
        return tr("This has already ended, so there is nothing left to cancel.")


def _press(interaction: Interaction, pressed: str) -> Press | None:
    """Return what is the same when somebody presses a button or submits its form twice; None for a command."""
    data: Any = interaction.data or {}
    custom_id = pressed or data.get("custom_id")
    if not custom_id or interaction.message is None:
        return None
    values = parse_modal(interaction)
    files = {name: (file.filename, file.size) for name, file in values.files.items()}
    typed = hashlib.blake2b(repr((values.texts, values.selected, files)).encode(), digest_size=8).hexdigest()
    return interaction.user.id, interaction.message.id, f"{custom_id} {typed}"


async def _ignore(interaction: Interaction) -> None:
    """Respond to a press that is a mistake without any change."""
    if not interaction.response.is_done():
        await interaction.response.defer()
    elif interaction.response.type is discord.InteractionResponseType.deferred_channel_message:
        await interaction.delete_original_response()  # "is thinking…"


def _is_announced(job: Job) -> bool:
    return needs_gpu(job) and not job.destination.is_held


async def _highlight_button(interaction: Interaction, pressed: str) -> None:
    """Respond to a press by highlighting the pressed button, if its message is the one to update."""
    if interaction.message is not None and pressed in custom_ids(interaction.message):
        await interaction.response.edit_message(view=highlighted_view(interaction.message, pressed))
