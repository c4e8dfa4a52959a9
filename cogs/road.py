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
from cogs.buttons import (
    CancelButton,
    RerollButton,
    RetryButton,
    TileButton,
    cancel_view,
    custom_ids,
    failed_view,
    pressed_view,
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
Door = Callable[[Interaction, Tile], Awaitable[None]]

ALREADY_ANSWERED = 40060  # Discord's code for a second first answer


class Road(commands.Cog):
    """Take jobs on and bring them to their end. Every command and button ends in `ask`, every job in `deliver`."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.studio = client.services
        self.delivery = client.delivery
        self.rooms = ResultChannels(client, client.services, client.services.threads)
        # One at a time: a job that ends the process again must not take the others' second try with it.
        self.second_tries = asyncio.Lock()
        self.doors: dict[str, Door] = {}  # what is done when a button below a picture is pressed, by its custom_id

    async def ask(
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
            self.studio.registry.require_supported(params)
        preferred = await self.studio.preferences.get(interaction.user.id)
        private = is_private(interaction, private, preferred, await self._origin(interaction, parent))
        insisted, speed = speed is not None, speed or preferred.speed
        judged = await self._made_by(action, parent)
        asked = JobRequest(action=judged, params=params, speed=speed, speed_is_explicit=insisted, private=private)
        async with self.studio.policy.authorized(context_from(interaction), asked) as terms:
            job = self.job(interaction, action, params, parent, terms.speed, private)
            if needs_turn(job):
                self.studio.queue.enqueue(job, MemberLimits(waiting=terms.limits.waiting, running=terms.limits.running))
            await self._keep(job)
        await self._set_going(interaction, job, pressed)
        if terms.warning:
            await respond_ephemeral(interaction, terms.warning)

    async def _origin(self, interaction: Interaction, parent: Tile | None) -> Job | None:
        """Give the job that another is made from; raises Complaint where that is somebody else's private matter."""
        record = await self.studio.store.get(parent.job_id) if parent else None
        if record and record.job.destination.private and record.job.requester.id != interaction.user.id:
            raise UserError("This picture is private, so only its owner can make something from it.")
        return record.job if record else None

    async def _made_by(self, action: Action, parent: Tile | None) -> Action:
        """Give what is really asked for: whatever is drawn once more is what it was the first time."""
        made, of = action, parent
        while made is Action.REROLL and of is not None and (record := await self.studio.store.get(of.job_id)):
            made, of = record.job.action, record.job.parent
        return action if made is Action.PICK else made  # for which nothing would be drawn

    async def _keep(self, job: Job) -> None:
        try:
            await self.studio.store.add_job(job)
        except Exception:
            self.studio.queue.remove(job.id)
            raise

    async def _set_going(self, interaction: Interaction, job: Job, pressed: str) -> None:
        try:
            await _turn_blue(interaction, pressed)
            notice_id = await self._first_answer(interaction, job) if needs_turn(job) else None
            await self.go_on_with(job, notice_id)
        except Exception:
            self.studio.queue.remove(job.id)
            if not self.studio.stopping:  # or else the answer may have been cut off on its way, and the job goes on
                await self.studio.store.cancel(job.id, "It could not be answered in time.")
            raise

    async def go_on_with(self, job: Job, notice_id: int | None) -> None:
        """Set an accepted job going, unless it was cancelled as soon as it was shown."""
        await self.studio.store.set_status_message(job.id, notice_id)
        record = await self.studio.store.get(job.id)
        log.info("job %s: %s by %s", job.id, job.action, job.requester.id)
        if record is not None and record.state is JobState.WAITING:
            self.studio.spawn(job.id, self.deliver(job, notice_id))
        else:
            self.studio.queue.remove(job.id)

    async def deliver(self, job: Job, notice_id: int | None) -> None:
        """Wait for the job's turn, draw it, post it: also how a job goes on after a restart."""
        try:
            grid = await (self._draw_or_draw_again(job, notice_id) if needs_turn(job) else self._pick(job))
            if grid.sensitive:
                await self._refuse_withheld(job, await self.rooms.audience_channel_id(job))
            await self.studio.images.save(job.id, grid)
            model = self.studio.registry.model_name(job.params) if needs_turn(job) else None
            if await self.studio.store.mark_generated(
                job.id, grid.suffix, grid.seconds, model, sensitive=grid.sensitive
            ):
                await self.answer(job, notice_id, grid.image, grid.suffix)
        except Exception as error:
            await self.give_up(job, notice_id, error)

    async def _refuse_withheld(self, job: Job, channel_id: int) -> None:
        if await is_nsfw_withheld(self.studio, self.client, job.destination.guild_id, channel_id):
            await self.studio.images.delete(job.id)  # it was kept for a gallery that is gone
            raise UserError(NSFW_WITHHELD_MESSAGE)

    async def answer(self, job: Job, notice_id: int | None, sheet: bytes, suffix: str) -> None:
        """Post a drawn job's result and take its notice away."""
        job = await self.rooms.assign(job)
        try:
            answer_id = await self._post(job, notice_id, sheet, suffix)
        except ResultChannelGone:
            job = await self.rooms.fall_back(job)
            record = await self.studio.store.get(job.id)
            if record is not None and record.sensitive:
                await self._refuse_withheld(job, job.destination.channel_id)
            answer_id = await self._post(job, notice_id, sheet, suffix)
        await self.studio.store.mark_posted(job.id, answer_id)
        log.info("job %s: answered in message %s", job.id, answer_id)
        await self.settle(job, notice_id, answer_id)
        self.client.dispatch("job_answered", job, answer_id)

    async def cancel(self, interaction: Interaction, job_id: str) -> None:
        """Cancel a job by the button below its notice; raises Complaint when it may not or cannot be."""
        record, ending = await self.call_off(job_id, interaction.user.id, partial(moderates, interaction))
        text = job_text.failed_or_cancelled(record.job, self.studio.registry, ending)
        try:
            await interaction.response.edit_message(
                content=text, attachments=[], view=None, allowed_mentions=NO_MENTIONS
            )
        except Exception:
            log.warning("job %s: could not answer that it is cancelled", job_id, exc_info=True)
            await self.tell_ending(record.job, record.status_message_id, ending)
        await self.studio.store.set_status_message(job_id, None)

    async def call_off(
        self, job_id: str, person_id: int, moderates: Callable[[Job], bool] = lambda job: False
    ) -> tuple[JobRecord, str]:
        """Cancel a job, and give it with the words for it; raises Complaint when it may not or cannot be.

        `moderates` tells whether somebody else's job may be cancelled as well. It is left to the caller to say in the
        notice that it is.
        """
        record = await self.studio.store.get(job_id)
        if record is None:
            raise UserError("I do not know this job any more.")
        if person_id != record.job.requester.id and not moderates(record.job):
            raise UserError(f"Only <@{record.job.requester.id}> or a moderator can cancel this.")
        ending = tr("Cancelled by {whom}.", whom=f"<@{person_id}>")
        if not await self.studio.store.cancel(job_id, ending):
            raise UserError("This has already ended, so there is nothing left to cancel.")
        await note_moderation(self.studio, record.job, person_id, "cancelled")
        await self.studio.cancel(job_id)
        return record, ending

    def job(
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
            asked_at=self.studio.clock(),
            speed=speed,
        )

    async def parent(self, tile: Tile) -> Job:
        """Give the job that a tile is of; raises Complaint when that picture is not kept any more."""
        record = await self.studio.store.get(tile.job_id)
        kept = await asyncio.to_thread(self.studio.images.path(tile).exists)
        if record is None or not kept:
            raise UserError("This picture is not kept any more, so nothing can be made from it.")
        return record.job

    async def settle(self, job: Job, notice_id: int | None, answer_id: int | None) -> None:
        """Take away the notice of a job that is answered; it stays as the answer itself, or to lead to it elsewhere."""
        if notice_id is not None and notice_id != answer_id:
            if job.destination.post_in is None:
                await self.delivery.delete_message(job, notice_id)
            else:
                text = job_text.posted_elsewhere(job, self.studio.registry, answer_id)
                await self.delivery.report_end(job, notice_id, text)
        await self.studio.store.set_status_message(job.id, None)

    async def give_up(self, job: Job, notice_id: int | None, error: Exception) -> None:
        """End a job without a result, and say why."""
        ending = user_message(error)
        if await self.studio.store.mark_failed(job.id, ending):
            await self.tell_ending(job, notice_id, ending, failed=True)

    async def tell_ending(self, job: Job, notice_id: int | None, ending: str, *, failed: bool = False) -> None:
        """Say how a job ended that has no result, in its notice where it has one.

        One that `failed`, which nobody wanted, has a button that opens its prompt again.
        """
        text = job_text.failed_or_cancelled(job, self.studio.registry, ending)
        if notice_id is not None:
            prompt = format_prompt(job.params, self.studio.registry)
            view = failed_view(job, prompt) if failed else None
            await self.delivery.report_end(
                job, notice_id, text, prompt if len(prompt) > job_text.MAX_PROMPT_LENGTH else "", view
            )
        elif not needs_turn(job):
            await self.delivery.report_end_privately(job, text)
        await self.studio.store.set_status_message(job.id, None)

    async def _draw_or_draw_again(self, job: Job, notice_id: int | None) -> Grid:
        try:
            return await self._draw(job, notice_id, nullcontext())
        except WorkerCrashed as death:
            log.warning("job %s is drawn again: %s", job.id, death)
        try:
            return await self._draw(job, notice_id, self.second_tries)
        except WorkerCrashed:
            raise UserError("The drawing process ended twice while it drew this, so I gave up.") from None

    async def _draw(self, job: Job, notice_id: int | None, gate: AbstractAsyncContextManager[Any, bool | None]) -> Grid:
        standing = JobProgress(self.studio, job, self._may_preview(job))
        async with (
            StatusMessage(self.delivery, job, notice_id, standing.render),
            gate,
            self.studio.queue.acquire(job) as turn,
        ):
            standing.worker = turn.worker
            await self.studio.policy.reauthorize(job)
            if not await self.studio.store.mark_running(job.id):
                raise UserError("This was cancelled.")
            return await turn.worker.generate(await self._request(job, turn.order), standing.update)

    def _may_preview(self, job: Job) -> bool:
        """Nobody has looked at a preview, so it is shown only where everything may be seen."""
        return not self.studio.config.sensitive_classifier or allows_nsfw(self.client, job.destination.channel_id)

    async def _pick(self, job: Job) -> Grid:
        """Give the picture that is there already, as the result that a drawing would give."""
        if not await self.studio.store.mark_running(job.id, served=False):
            raise UserError("This was cancelled.")
        assert job.parent is not None
        try:
            tile = await self.studio.images.read(job.parent)
        except FileNotFoundError:
            raise UserError("This picture is not kept any more.") from None
        limit = job.destination.upload_limit
        sheet, suffix = await self.studio.resizer.fit_to_limit(tile, "png", limit, job)
        origin = await self.studio.store.get(job.parent.job_id)
        return Grid((tile,), sheet, suffix, 0.0, sensitive=origin is not None and origin.sensitive)

    async def _request(self, job: Job, order: int) -> Generate:
        pictures, params = self.studio.images, job.params
        try:
            source = await pictures.read(params.source) if params.source else None
            mask = await pictures.read(params.mask) if params.mask else None
            blended = tuple([await pictures.read(picture) for picture in params.blended])
        except FileNotFoundError:
            raise UserError("The picture to start from is not kept any more.") from None
        return Generate(job.id, params, order, job.destination.upload_limit, source, mask, blended)

    async def _first_answer(self, interaction: Interaction, job: Job) -> int | None:
        try:
            return await self.say_that_it_waits(interaction, job)
        except Exception as error:
            # It may have reached Discord all the same; discord.py's second attempt is then one answer too many.
            if not is_outage(error) and getattr(error, "code", None) != ALREADY_ANSWERED:
                raise
            if (notice_id := await self.delivery.find_status_message(job)) is None:
                raise
            return notice_id

    async def say_that_it_waits(self, interaction: Interaction, job: Job) -> int | None:
        """Answer an interaction with a job's notice, and give that message's id."""
        place, why = self.studio.queue.position(job.id), waiting_reason(job, self.studio.worker)
        text = job_text.waiting(job, self.studio.registry, place, why)
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

    async def compose_answer(self, job: Job, sheet: bytes, suffix: str, channel_id: int | None) -> ResultMessage:
        """Put a result together as it is posted in a channel, None being direct messages."""
        record = await self.studio.store.get(job.id)
        sensitive = record is not None and record.sensitive
        origin = await self.studio.store.get(job.parent.job_id) if job.parent else None
        is_anothers = origin is not None and origin.job.requester.id != job.requester.id
        credit = origin.job.requester if origin and is_anothers and not origin.job.destination.private else None
        return ResultMessage(
            content=job_text.finished(job, self.studio.registry, credit),
            image=sheet,
            filename=f"{slugify(job.requester.name)}_{filename_stem(self.studio.config, job.params)}_{job.id}.{suffix}",
            view=result_view(job, self.studio.registry.find(job.params.model)),
            spoiler=sensitive and not allows_nsfw(self.client, channel_id),
            nsfw=sensitive,
        )

    async def _post(self, job: Job, notice_id: int | None, sheet: bytes, suffix: str) -> int:
        answer = await self.compose_answer(job, sheet, suffix, job.destination.result_channel_id)
        try:
            return await self.delivery.post(job, notice_id, answer)
        except discord.HTTPException as error:
            if not is_too_large(error):
                raise
        limit = len(sheet) // 2
        log.info("job %s: the sheet was too large for Discord; trying %d bytes", job.id, limit)
        return await self._post(job, notice_id, *await self.studio.resizer.fit_to_limit(sheet, suffix, limit, job))


def road_of(client: discord.Client) -> Road:
    """Give the road to another cog, or to a button, which knows only its interaction."""
    return cast(Road, cast(Client, client).get_cog("Road"))


async def setup(client: Client) -> None:
    """Add the cog and its buttons; discord.py calls this."""
    await client.add_cog(Road(client))
    client.add_dynamic_items(TileButton, RerollButton, CancelButton, RetryButton)


def needs_turn(job: Job) -> bool:
    """Tell whether something has to be drawn for a job."""
    return job.action is not Action.PICK


async def _turn_blue(interaction: Interaction, pressed: str) -> None:
    """Answer a press by showing which button was pressed, where its message is the one that is answered."""
    if interaction.message is not None and pressed in custom_ids(interaction.message):
        await interaction.response.edit_message(view=pressed_view(interaction.message, pressed))


def moderates(interaction: Interaction, job: Job) -> bool:
    """Tell whether somebody may cancel others' jobs and delete their results, in the channel or all over the server.

    A picture may be shown again elsewhere, where somebody else is the moderator and has no say in it.
    """
    to = job.destination
    if to.guild_id is None or to.guild_id != interaction.guild_id:
        return False
    if interaction.channel_id in (to.channel_id, to.post_in):
        return interaction.permissions.manage_messages
    member = interaction.user
    return isinstance(member, discord.Member) and member.guild_permissions.manage_messages


async def note_moderation(studio: Services, job: Job, person_id: int, what: str) -> None:
    """Put into the audit what a moderator did with somebody else's job."""
    guild_id = job.destination.guild_id
    if person_id != job.requester.id and guild_id is not None:
        details = f"{what} job {job.id} of <@{job.requester.id}>"
        act = AuditEntry(guild_id=guild_id, person_id=person_id, act="moderation", details=details, at=studio.clock())
        await studio.guilds.add_audit_entry(act)
