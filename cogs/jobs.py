"""The road of a job, from what was asked to the posted picture: `ask`, `deliver`, `answer`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Any, cast

import discord
from discord.ext import commands

from bot.client import Client
from bot.discord_calls import NO_MENTIONS, is_outage, is_too_large
from bot.images.metadata import filename_stem
from bot.jobs.delivery import ResultChannelGone, ResultMessage
from bot.jobs.destination import destination_from, is_private
from bot.jobs.progress import JobProgress, waiting_reason
from bot.jobs.result_channels import ResultChannels
from bot.jobs.status_message import StatusMessage
from bot.policy.context import context_from
from bot.policy.policy import JobRequest
from bot.policy.visibility import NSFW_WITHHELD_MESSAGE, allows_nsfw, is_nsfw_withheld
from bot.services import Services
from bot.ui import job_text
from bot.ui.errors import respond_ephemeral, user_message
from bot.ui.i18n import tr
from bot.ui.text import slugify
from cogs.image_buttons.buttons import (
    CancelButton,
    RerollButton,
    RetryButton,
    TileButton,
    cancel_view,
    custom_ids,
    failed_view,
    highlighted_view,
    result_view,
)
from db.guilds import AuditEntry
from db.jobs import JobRecord, JobState
from generation.errors import UserError, WorkerCrashed
from generation.job import Action, Job, Requester, Speed, new_job_id
from generation.messages import Generate, Grid
from generation.params import Params, Tile
from generation.prompt import format_prompt
from generation.queue.queue import MemberLimits

log = logging.getLogger(__name__)

Interaction = discord.Interaction[Client]
ButtonHandler = Callable[[Interaction, Tile], Awaitable[None]]

ALREADY_ACKNOWLEDGED = 40060  # Discord's code for a second first answer


class JobService(commands.Cog):
    """Take jobs on and bring them to their end. Every command and button ends in `ask`, every job in `deliver`."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.services = client.services
        self.delivery = client.delivery
        self.result_channels = ResultChannels(client, client.services, client.services.threads)
        # One at a time: a job that ends the process again must not take the others' second try with it.
        self.retry_lock = asyncio.Lock()
        self.button_handlers: dict[
            str, ButtonHandler
        ] = {}  # what is done when a button below a picture is pressed, by its custom_id

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
        """Accept a job, or raise Complaint; answer within three seconds; set it going.

        `speed` and `private` are what was typed for this job; None leaves them to what the person prefers. `pressed` is
        the custom_id of the button that turns blue.
        """
        if action is not Action.PICK:
            self.services.registry.require_supported(params)
        preferred = await self.services.preferences.get(interaction.user.id)
        private = is_private(interaction, private, preferred, await self._require_visible_parent(interaction, parent))
        speed_is_explicit, speed = speed is not None, speed or preferred.speed
        effective_action = await self._effective_action(action, parent)
        request = JobRequest(
            action=effective_action, params=params, speed=speed, speed_is_explicit=speed_is_explicit, private=private
        )
        async with self.services.policy.authorized(context_from(interaction), request) as grant:
            job = self.create_job(interaction, action, params, parent, grant.speed, private)
            if needs_gpu(job):
                self.services.queue.enqueue(
                    job, MemberLimits(waiting=grant.limits.waiting, running=grant.limits.running)
                )
            await self._store(job)
        await self._acknowledge(interaction, job, pressed)
        if grant.warning:
            await respond_ephemeral(interaction, grant.warning)

    async def _require_visible_parent(self, interaction: Interaction, parent: Tile | None) -> Job | None:
        """Give the job that another is made from; raises Complaint where that is somebody else's private matter."""
        record = await self.services.store.get(parent.job_id) if parent else None
        if record and record.job.destination.private and record.job.requester.id != interaction.user.id:
            raise UserError("This picture is private, so only its owner can make something from it.")
        return record.job if record else None

    async def _effective_action(self, action: Action, parent: Tile | None) -> Action:
        """Give what is really asked for: whatever is drawn once more is what it was the first time."""
        effective, ancestor = action, parent
        while (
            effective is Action.REROLL
            and ancestor is not None
            and (record := await self.services.store.get(ancestor.job_id))
        ):
            effective, ancestor = record.job.action, record.job.parent
        return action if effective is Action.PICK else effective  # for which nothing would be drawn

    async def _store(self, job: Job) -> None:
        try:
            await self.services.store.add_job(job)
        except Exception:
            self.services.queue.remove(job.id)
            raise

    async def _acknowledge(self, interaction: Interaction, job: Job, pressed: str) -> None:
        try:
            await _highlight_button(interaction, pressed)
            status_message_id = await self._respond_with_status(interaction, job) if needs_gpu(job) else None
            await self.start(job, status_message_id)
        except Exception:
            self.services.queue.remove(job.id)
            if not self.services.stopping:  # or else the answer may have been cut off on its way, and the job goes on
                await self.services.store.cancel(job.id, "It could not be answered in time.")
            raise

    async def start(self, job: Job, status_message_id: int | None) -> None:
        """Set an accepted job going, unless it was cancelled as soon as it was shown."""
        await self.services.store.set_status_message(job.id, status_message_id)
        record = await self.services.store.get(job.id)
        log.info("job %s: %s by %s", job.id, job.action, job.requester.id)
        if record is not None and record.state is JobState.WAITING:
            self.services.spawn(job.id, self.run(job, status_message_id))
        else:
            self.services.queue.remove(job.id)

    async def run(self, job: Job, status_message_id: int | None) -> None:
        """Wait for the job's turn, draw it, post it: also how a job goes on after a restart."""
        try:
            grid = await (
                self._generate_with_retry(job, status_message_id) if needs_gpu(job) else self._extract_tile(job)
            )
            if grid.sensitive:
                await self._require_nsfw_allowed(job, await self.result_channels.audience_channel_id(job))
            await self.services.images.save(job.id, grid)
            model = self.services.registry.model_name(job.params) if needs_gpu(job) else None
            if await self.services.store.mark_generated(
                job.id, grid.suffix, grid.seconds, model, sensitive=grid.sensitive
            ):
                await self.post_result(job, status_message_id, grid.image, grid.suffix)
        except Exception as error:
            await self.fail(job, status_message_id, error)

    async def _require_nsfw_allowed(self, job: Job, channel_id: int) -> None:
        if await is_nsfw_withheld(self.services.policy, self.client, job.destination.guild_id, channel_id):
            await self.services.images.delete(job.id)  # it was kept for a gallery that is gone
            raise UserError(NSFW_WITHHELD_MESSAGE)

    async def post_result(self, job: Job, status_message_id: int | None, sheet: bytes, suffix: str) -> None:
        """Post a drawn job's result and take its notice away."""
        job = await self.result_channels.assign(job)
        try:
            result_message_id = await self._post(job, status_message_id, sheet, suffix)
        except ResultChannelGone:
            job = await self.result_channels.fall_back(job)
            record = await self.services.store.get(job.id)
            if record is not None and record.sensitive:
                await self._require_nsfw_allowed(job, job.destination.channel_id)
            result_message_id = await self._post(job, status_message_id, sheet, suffix)
        await self.services.store.mark_posted(job.id, result_message_id)
        log.info("job %s: answered in message %s", job.id, result_message_id)
        await self.finish(job, status_message_id, result_message_id)
        self.client.dispatch("result_posted", job, result_message_id)

    async def cancel_from_button(self, interaction: Interaction, job_id: str) -> None:
        """Cancel a job by the button below its notice; raises Complaint when it may not or cannot be."""
        record, end_message = await self.cancel(job_id, interaction.user.id, partial(can_moderate, interaction))
        text = job_text.failed_or_cancelled(record.job, self.services.registry, end_message)
        try:
            await interaction.response.edit_message(
                content=text, attachments=[], view=None, allowed_mentions=NO_MENTIONS
            )
        except Exception:
            log.warning("job %s: could not answer that it is cancelled", job_id, exc_info=True)
            await self.report_end(record.job, record.status_message_id, end_message)
        await self.services.store.set_status_message(job_id, None)

    async def cancel(
        self, job_id: str, person_id: int, can_moderate: Callable[[Job], bool] = lambda job: False
    ) -> tuple[JobRecord, str]:
        """Cancel a job, and give it with the words for it; raises Complaint when it may not or cannot be.

        `moderates` tells whether somebody else's job may be cancelled as well. It is left to the caller to say in the
        notice that it is.
        """
        record = await self.services.store.get(job_id)
        if record is None:
            raise UserError("I do not know this job any more.")
        if person_id != record.job.requester.id and not can_moderate(record.job):
            raise UserError(f"Only <@{record.job.requester.id}> or a moderator can cancel this.")
        end_message = tr("Cancelled by {whom}.", whom=f"<@{person_id}>")
        if not await self.services.store.cancel(job_id, end_message):
            raise UserError("This has already ended, so there is nothing left to cancel.")
        await log_moderation(self.services, record.job, person_id, "cancelled")
        await self.services.cancel(job_id)
        return record, end_message

    def create_job(
        self, interaction: Interaction, action: Action, params: Params, parent: Tile | None, speed: Speed, private: bool
    ) -> Job:
        """Write down what somebody asks for, and where to answer."""
        return Job(
            id=new_job_id(),
            action=action,
            params=params,
            requester=Requester(interaction.user.id, interaction.user.name),
            destination=destination_from(interaction, private=private),
            parent=parent,
            asked_at=self.services.clock(),
            speed=speed,
        )

    async def require_parent(self, tile: Tile) -> Job:
        """Give the job that a tile is of; raises Complaint when that picture is not kept any more."""
        record = await self.services.store.get(tile.job_id)
        exists = await asyncio.to_thread(self.services.images.path(tile).exists)
        if record is None or not exists:
            raise UserError("This picture is not kept any more, so nothing can be made from it.")
        return record.job

    async def finish(self, job: Job, status_message_id: int | None, result_message_id: int | None) -> None:
        """Take away the notice of a job that is answered; it stays as the answer itself, or to lead to it elsewhere."""
        if status_message_id is not None and status_message_id != result_message_id:
            if job.destination.post_in is None:
                await self.delivery.delete_message(job, status_message_id)
            else:
                text = job_text.posted_elsewhere(job, self.services.registry, result_message_id)
                await self.delivery.report_end(job, status_message_id, text)
        await self.services.store.set_status_message(job.id, None)

    async def fail(self, job: Job, status_message_id: int | None, error: Exception) -> None:
        """End a job without a result, and say why."""
        end_message = user_message(error)
        if await self.services.store.mark_failed(job.id, end_message):
            await self.report_end(job, status_message_id, end_message, failed=True)

    async def report_end(
        self, job: Job, status_message_id: int | None, end_message: str, *, failed: bool = False
    ) -> None:
        """Say how a job ended that has no result, in its notice where it has one.

        One that `failed`, which nobody wanted, has a button that opens its prompt again.
        """
        text = job_text.failed_or_cancelled(job, self.services.registry, end_message)
        if status_message_id is not None:
            prompt = format_prompt(job.params, self.services.registry)
            view = failed_view(job, prompt) if failed else None
            await self.delivery.report_end(
                job, status_message_id, text, prompt if len(prompt) > job_text.MAX_PROMPT_LENGTH else "", view
            )
        elif not needs_gpu(job):
            await self.delivery.report_end_privately(job, text)
        await self.services.store.set_status_message(job.id, None)

    async def _generate_with_retry(self, job: Job, status_message_id: int | None) -> Grid:
        try:
            return await self._generate(job, status_message_id, nullcontext())
        except WorkerCrashed as crash:
            log.warning("job %s is drawn again: %s", job.id, crash)
        try:
            return await self._generate(job, status_message_id, self.retry_lock)
        except WorkerCrashed:
            raise UserError("The drawing process ended twice while it drew this, so I gave up.") from None

    async def _generate(
        self, job: Job, status_message_id: int | None, retry_guard: AbstractAsyncContextManager[Any, bool | None]
    ) -> Grid:
        progress = JobProgress(self.services, job, self._previews_allowed(job))
        async with (
            StatusMessage(self.delivery, job, status_message_id, progress.render),
            retry_guard,
            self.services.queue.acquire(job) as slot,
        ):
            progress.worker = slot.worker
            await self.services.policy.reauthorize(job)
            if not await self.services.store.mark_running(job.id):
                raise UserError("This was cancelled.")
            return await slot.worker.generate(await self._build_request(job, slot.order), progress.update)

    def _previews_allowed(self, job: Job) -> bool:
        """Nobody has looked at a preview, so it is shown only where everything may be seen."""
        return not self.services.config.sensitive_classifier or allows_nsfw(self.client, job.destination.channel_id)

    async def _extract_tile(self, job: Job) -> Grid:
        """Give the picture that is there already, as the result that a drawing would give."""
        if not await self.services.store.mark_running(job.id, served=False):
            raise UserError("This was cancelled.")
        assert job.parent is not None
        try:
            image = await self.services.images.read(job.parent)
        except FileNotFoundError:
            raise UserError("This picture is not kept any more.") from None
        limit = job.destination.upload_limit
        sheet, suffix = await self.services.resizer.fit_to_limit(image, "png", limit, job)
        origin = await self.services.store.get(job.parent.job_id)
        return Grid((image,), sheet, suffix, 0.0, sensitive=origin is not None and origin.sensitive)

    async def _build_request(self, job: Job, order: int) -> Generate:
        images, params = self.services.images, job.params
        try:
            source = await images.read(params.source) if params.source else None
            mask = await images.read(params.mask) if params.mask else None
            blended = tuple([await images.read(image) for image in params.blended])
        except FileNotFoundError:
            raise UserError("The picture to start from is not kept any more.") from None
        return Generate(job.id, params, order, job.destination.upload_limit, source, mask, blended)

    async def _respond_with_status(self, interaction: Interaction, job: Job) -> int | None:
        try:
            return await self.send_status_message(interaction, job)
        except Exception as error:
            # It may have reached Discord all the same; discord.py's second attempt is then one answer too many.
            if not is_outage(error) and getattr(error, "code", None) != ALREADY_ACKNOWLEDGED:
                raise
            if (status_message_id := await self.delivery.find_status_message(job)) is None:
                raise
            return status_message_id

    async def send_status_message(self, interaction: Interaction, job: Job) -> int | None:
        """Answer an interaction with a job's notice, and give that message's id."""
        position, reason = self.services.queue.position(job.id), waiting_reason(job, self.services.worker)
        text = job_text.waiting(job, self.services.registry, position, reason)
        view, private = cancel_view(job.id), job.destination.private
        match interaction.response.type:
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

    async def build_result_message(self, job: Job, sheet: bytes, suffix: str, channel_id: int | None) -> ResultMessage:
        """Put a result together as it is posted in a channel, None being direct messages."""
        record = await self.services.store.get(job.id)
        sensitive = record is not None and record.sensitive
        origin = await self.services.store.get(job.parent.job_id) if job.parent else None
        is_other_user = origin is not None and origin.job.requester.id != job.requester.id
        credit = origin.job.requester if origin and is_other_user and not origin.job.destination.private else None
        stem = f"{slugify(job.requester.name)}_{filename_stem(self.services.config, job.params)}_{job.id}"
        return ResultMessage(
            content=job_text.finished(job, self.services.registry, credit),
            image=sheet,
            filename=f"{stem}.{suffix}",
            view=result_view(job, self.services.registry.find(job.params.model)),
            spoiler=sensitive and not allows_nsfw(self.client, channel_id),
            nsfw=sensitive,
        )

    async def _post(self, job: Job, status_message_id: int | None, sheet: bytes, suffix: str) -> int:
        message = await self.build_result_message(job, sheet, suffix, job.destination.result_channel_id)
        try:
            return await self.delivery.post(job, status_message_id, message)
        except discord.HTTPException as error:
            if not is_too_large(error):
                raise
        limit = len(sheet) // 2
        log.info("job %s: the sheet was too large for Discord; trying %d bytes", job.id, limit)
        return await self._post(
            job, status_message_id, *await self.services.resizer.fit_to_limit(sheet, suffix, limit, job)
        )


def get_job_service(client: discord.Client) -> JobService:
    """Give the road to another cog, or to a button, which knows only its interaction."""
    return cast(JobService, cast(Client, client).get_cog("JobService"))


async def setup(client: Client) -> None:
    """Add the cog and its buttons; discord.py calls this."""
    await client.add_cog(JobService(client))
    client.add_dynamic_items(TileButton, RerollButton, CancelButton, RetryButton)


def needs_gpu(job: Job) -> bool:
    """Tell whether something has to be drawn for a job."""
    return job.action is not Action.PICK


async def _highlight_button(interaction: Interaction, pressed: str) -> None:
    """Answer a press by showing which button was pressed, where its message is the one that is answered."""
    if interaction.message is not None and pressed in custom_ids(interaction.message):
        await interaction.response.edit_message(view=highlighted_view(interaction.message, pressed))


def can_moderate(interaction: Interaction, job: Job) -> bool:
    """Tell whether somebody may cancel others' jobs and delete their results, in the channel or all over the server.

    A picture may be shown again elsewhere, where somebody else is the moderator and has no say in it.
    """
    destination = job.destination
    if destination.guild_id is None or destination.guild_id != interaction.guild_id:
        return False
    if interaction.channel_id in (destination.channel_id, destination.post_in):
        return interaction.permissions.manage_messages
    member = interaction.user
    return isinstance(member, discord.Member) and member.guild_permissions.manage_messages


async def log_moderation(services: Services, job: Job, person_id: int, outcome: str) -> None:
    """Put into the audit what a moderator did with somebody else's job."""
    guild_id = job.destination.guild_id
    if person_id != job.requester.id and guild_id is not None:
        details = f"{outcome} job {job.id} of <@{job.requester.id}>"
        entry = AuditEntry(
            guild_id=guild_id, person_id=person_id, act="moderation", details=details, at=services.clock()
        )
        await services.guilds.add_audit_entry(entry)
