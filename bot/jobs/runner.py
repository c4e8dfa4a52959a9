"""Run a job to its end: wait for a slot, generate, then post the result or the reason of the failure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from weakref import WeakKeyDictionary, WeakValueDictionary

import discord

from bot.discord_calls import TRANSPORT_ERRORS, is_too_large
from bot.images import inputs
from bot.images.metadata import filename_stem
from bot.jobs.delivery import Delivery, Inputs, ResultChannelGone, ResultMessage
from bot.jobs.family_line import family_line
from bot.jobs.films.drawing import FilmDrawing, is_film
from bot.jobs.films.videos import Videos
from bot.jobs.progress import JobProgress
from bot.jobs.readings import ReadingDelivery
from bot.jobs.result_channels import ResultChannels
from bot.jobs.status_message import StatusMessage
from bot.jobs.tasks import TaskRegistry
from bot.policy.visibility import allows_nsfw, is_nsfw_withheld, may_embed, nsfw_withheld_message
from bot.services import Services
from bot.ui import job_text
from bot.ui.errors import user_message
from bot.ui.i18n import audience, tr
from bot.ui.job_views import failed_view, result_view
from bot.ui.text import slugify
from db.jobs import JobState
from db.storage import retry_until_stored
from generation.errors import MachineLost, UserError, WorkerCrashed, WorkerLost
from generation.job import Action, Job
from generation.messages import Generate, Grid, Reading, Ready
from generation.params import ImageRef
from generation.planning.actions import ENLARGING
from generation.planning.control import has_control
from generation.planning.image_prompts import has_character, has_image_prompts
from generation.planning.style import has_style
from generation.prompt import format_prompt
from generation.prompt.errors import quote
from generation.worker.worker import Broken, Worker

MAX_LOSSES = 10  # how often a job is generated again because its worker was lost; it might be what ends the workers

log = logging.getLogger(__name__)


def needs_gpu(job: Job) -> bool:
    """Return whether a job generates anything; PICK only crops a tile from a grid, or puts a picture together."""
    return job.action is not Action.PICK


class JobRunner:
    """Run stored jobs to their end; `run` also resumes a job after a restart."""

    def __init__(self, client: discord.Client, services: Services, tasks: TaskRegistry, delivery: Delivery) -> None:
        self.client = client
        self.services = services
        self.tasks = tasks
        self.delivery = delivery
        self.films = FilmDrawing(services)
        self.readings = ReadingDelivery(services, delivery)
        self.videos = Videos(client, services, tasks, delivery)
        self.result_channels = ResultChannels(client, services, services.db.threads)
        # Of the jobs that one worker's crash ended, one at a time is retried: the job that crashes the next process too
        # must not end the retries of the others.
        self.retry_locks: WeakKeyDictionary[Worker, asyncio.Lock] = WeakKeyDictionary()
        # They give the result of a session's job the session's text and buttons.
        self.presenters: list[Callable[[Job, ResultMessage], Awaitable[ResultMessage]]] = []
        # They put a picture together that has no parent: its PNG, and whether it is sensitive.
        self.composers: list[Callable[[Job], Awaitable[tuple[bytes, bool] | None]]] = []
        self.progress: WeakValueDictionary[str, JobProgress] = WeakValueDictionary()  # of the jobs that run now

    async def start(self, job: Job, status_message_id: int | None) -> None:
        """Start an accepted job, unless it was cancelled meanwhile."""
        await retry_until_stored(lambda: self.services.db.jobs.set_status_message(job.id, status_message_id))
        record = await self.services.db.jobs.get(job.id)
        log.info("job %s: %s by %s", job.id, job.action, job.requester.id)
        if record is not None and record.state is JobState.WAITING:
            self.tasks.spawn(job.id, self.run(job, status_message_id))
            return
        self.services.queue.remove(job.id)
        if record is not None:  # it was cancelled before its status message was known
            await self.report_end(job, status_message_id, record.end_message or "")

    async def find_status_message(self, job: Job) -> int | None:
        """Find and store a status message that Discord has, although its id was never stored."""
        found = await self.delivery.find_status_message(job)
        if found is not None:
            await retry_until_stored(lambda: self.services.db.jobs.set_status_message(job.id, found))
        return found

    async def run(self, job: Job, status_message_id: int | None) -> None:
        """Wait for a slot, generate, store and post; end the job with a message if that fails."""
        try:
            grid = await (
                self._generate_with_retries(job, status_message_id) if needs_gpu(job) else self._extract_tile(job)
            )
            with self.services.queue.posting(job):
                await self._store_and_post(job, status_message_id, grid)
        except Exception as error:
            await self.fail(job, status_message_id, error)

    async def _store_and_post(self, job: Job, status_message_id: int | None, grid: Grid | Reading) -> None:
        if isinstance(grid, Reading):
            await self.readings.finish(job, status_message_id, grid)
            return
        if grid.sensitive:
            await self._require_nsfw_allowed(job, await self.result_channels.audience_channel_id(job))
        # A session posts a result that it holds itself, when it shows it.
        if await self._store_images(job, status_message_id, grid) and not job.destination.is_held:
            await self.post_result(job, status_message_id, grid.image, grid.suffix)

    async def _store_images(self, job: Job, status_message_id: int | None, grid: Grid) -> bool:
        """Store a job's images, as soon as there is room; return False if the job was cancelled."""
        files, jobs = self.services.images.files, self.services.db.jobs
        on_wait = partial(self._report_wait_for_disk, job, status_message_id)
        await retry_until_stored(lambda: files.save(job.id, grid), on_wait)
        model = self.services.registry.model_name(job.params) if needs_gpu(job) else None
        return await retry_until_stored(
            lambda: jobs.mark_generated(job.id, grid.suffix, grid.seconds, model, sensitive=grid.sensitive), on_wait
        )

    async def _report_wait_for_disk(self, job: Job, status_message_id: int | None) -> None:
        if status_message_id is None:
            return
        with audience(private=job.destination.private):
            text = job_text.waiting_for_disk(job, self.services.registry)
        with suppress(*TRANSPORT_ERRORS):
            await self.delivery.edit_status_message(job, status_message_id, content=text)

    async def _require_nsfw_allowed(self, job: Job, channel_id: int) -> None:
        if await is_nsfw_withheld(self.services.policy, self.client, job.destination.guild_id, channel_id):
            await self.services.images.files.delete(job.id)  # it may be stored already, if its gallery is gone
            raise UserError(nsfw_withheld_message())

    async def post_result(self, job: Job, status_message_id: int | None, image: bytes, suffix: str) -> None:
        """Post a generated job's result and remove its status message."""
        job = await self.result_channels.assign(job)
        if is_film(job):
            image, suffix = await self.films.as_posted(job, image, suffix)
        try:
            result_message_id = await self._post(job, status_message_id, image, suffix)
        except ResultChannelGone:
            job = await self.result_channels.fall_back(job)
            record = await self.services.db.jobs.get(job.id)
            if record is not None and record.sensitive:
                await self._require_nsfw_allowed(job, job.destination.channel_id)
            result_message_id = await self._post(job, status_message_id, image, suffix)
        await self.mark_posted(job, status_message_id, result_message_id)

    async def mark_posted(self, job: Job, status_message_id: int | None, result_message_id: int) -> None:
        """Record that a job's result is posted, finish the job, and send a copy to a user who wants all results."""
        preferences = await self.services.db.preferences.get(job.requester.id)
        was_posted_by_dm = job.destination.guild_id is None and job.destination.by_channel
        copy_for = job.requester.id if preferences.auto_dm and not was_posted_by_dm else None
        await retry_until_stored(lambda: self.services.db.jobs.mark_posted(job.id, result_message_id, copy_for))
        log.info("job %s: answered in message %s", job.id, result_message_id)
        await self.finish(job, status_message_id, result_message_id)
        self.videos.start(job)
        if copy_for is not None:
            self.client.dispatch("copy_wanted", job)

    async def finish(self, job: Job, status_message_id: int | None, result_message_id: int | None) -> None:
        """Remove a posted job's status message, unless it became the result or links to it elsewhere."""
        if status_message_id is not None and status_message_id != result_message_id:
            if job.destination.post_in is None:
                await self.delivery.delete_message(job, status_message_id)
            else:
                text = job_text.posted_elsewhere(job, self.services.registry, result_message_id)
                await self.delivery.report_end(job, status_message_id, text)
        await retry_until_stored(lambda: self.services.db.jobs.set_status_message(job.id, None))

    async def fail(self, job: Job, status_message_id: int | None, error: Exception) -> None:
        """End a job without a result, and report the error."""
        end_message = user_message(error)
        if await retry_until_stored(lambda: self.services.db.jobs.mark_failed(job.id, end_message)):
            if job.params.film is not None:
                await self.films.discard_unfinished(job)
            await self.report_end(job, status_message_id, end_message, failed=True)

    async def report_end(
        self, job: Job, status_message_id: int | None, end_message: str, *, failed: bool = False
    ) -> None:
        """Report the end of a job without a result, in its status message if it has one.

        A job that `failed` gets a button that opens its prompt again.
        """
        with audience(private=job.destination.private):
            text = job_text.failed_or_cancelled(job, self.services.registry, end_message)
        if status_message_id is not None:
            prompt = format_prompt(job.params, self.services.registry)
            view = failed_view(job, prompt) if failed else None
            await self.delivery.report_end(
                job, status_message_id, text, prompt if len(prompt) > job_text.MAX_PROMPT_LENGTH else "", view
            )
        elif not needs_gpu(job):
            await self.delivery.report_end_privately(job, text)
        await retry_until_stored(lambda: self.services.db.jobs.set_status_message(job.id, None))

    async def build_result_message(self, job: Job, image: bytes, suffix: str, channel_id: int | None) -> ResultMessage:
        """Build the result message for a channel; a `channel_id` of None stands for direct messages."""
        record = await self.services.db.jobs.get(job.id)
        sensitive = record is not None and record.sensitive
        origin = await self.services.db.jobs.get(job.parent.job_id) if job.parent else None
        credit = origin.job.requester if origin and _may_be_credited(origin.job, job) else None
        stem = f"{slugify(job.requester.name)}_{filename_stem(self.services.config, job.params)}_{job.id}"
        family = family_line(await self.services.db.lineage.line(job.id), job)
        return ResultMessage(
            content=job_text.finished(job, self.services.registry, credit) + family,
            image=image,
            filename=f"{stem}.{suffix}",
            view=result_view(job, self.services.registry.find(job.params.model)),
            description=job_text.image_description(job, self.services.registry),
            spoiler=sensitive and not allows_nsfw(self.client, channel_id),
            nsfw=sensitive,
            inputs=None if sensitive else await self._inputs(job, channel_id),
        )

    async def _inputs(self, job: Job, channel_id: int | None) -> Inputs | None:
        """Return the pictures that people gave for a job, where an embed may show them."""
        if not needs_gpu(job) or not may_embed(self.client, job, channel_id):
            return None
        image = await inputs.draw_inputs(self.services.images.files, job.params)
        if image is None:
            return None
        title, description = tr("Drawn from"), tr("The pictures that this was drawn from")
        match inputs.purposes(job.params):
            case ["style"]:
                title, description = tr("In the style of"), tr("The picture whose style this has")
            case ["control"]:
                title, description = tr("Drawn over"), tr("The picture whose edges, depth or pose this has")
            case ["character"]:
                title, description = tr("With the character of"), tr("The picture whose character this shows")
        if job.params.original is not None:
            title, description = tr("Changed from"), tr("The picture that was changed")
        if inputs.is_masked(job.params):
            title, description = tr("Changed here"), tr("The part of the picture that was drawn anew")
        return Inputs(image, f"{inputs.FILENAME_PREFIX}{job.id}.jpg", title, description)

    async def _generate_with_retries(self, job: Job, status_message_id: int | None) -> Grid | Reading:
        """Generate a job; if its worker crashes, once more, on another worker where one is free.

        A worker that was lost is not the job's fault while others go on: it is generated again without being counted.
        """
        crashed_on: Worker | None = None
        losses = 0
        try:
            while True:
                self.progress[job.id] = progress = JobProgress(self.services, job, self._previews_allowed(job))
                try:
                    return await self._generate(job, status_message_id, progress, crashed_on)
                except WorkerCrashed as crash:
                    if self._is_blameless(crash) and losses < MAX_LOSSES:
                        losses += 1
                        await retry_until_stored(lambda: self.services.db.jobs.undo_attempt(job.id))
                    elif crashed_on is None:
                        crashed_on = progress.worker
                    else:
                        raise _gave_up(losses) from None
                    log.warning("job %s is generated again: %s", job.id, crash)
        finally:
            self.services.queue.remove(job.id)  # where it is after a loss

    def _is_blameless(self, crash: WorkerCrashed) -> bool:
        """Return whether a worker's end cannot be the job's fault: its machine went, or it was killed beside others."""
        others = len(self.services.fleet.workers) > 1
        return isinstance(crash, MachineLost) or (isinstance(crash, WorkerLost) and others)

    async def _generate(
        self, job: Job, status_message_id: int | None, progress: JobProgress, crashed_on: Worker | None
    ) -> Grid | Reading:
        gate = self.retry_locks.setdefault(crashed_on, asyncio.Lock()) if crashed_on is not None else nullcontext()
        async with StatusMessage(self.delivery, job, status_message_id, progress.render), gate:
            async with self.services.queue.acquire(await self.films.remaining(job), avoid=crashed_on) as slot:
                progress.worker = slot.worker
                await self.services.policy.reauthorize(job, await self._worded_by(job))
                if not await retry_until_stored(lambda: self.services.db.jobs.mark_running(job.id)):
                    raise UserError(tr("This was cancelled."))
                request = await self._build_request(job, slot.order)
                if not isinstance(slot.worker.state, Ready) and self._may_go_elsewhere():
                    raise WorkerLost("the worker ended before it was given the job")
                if job.params.reading is not None:
                    return await slot.worker.read(request, progress.update)
                if job.params.film is None:
                    return await slot.worker.generate(request, progress.update)
                drawn = await self.films.draw(slot.worker, job, request, progress.update)
            return await self.films.finish(job, drawn)

    def _may_go_elsewhere(self) -> bool:
        """Return whether a job that its worker cannot start goes back, for the worker that is ready first."""
        fleet = self.services.fleet
        return len(fleet.workers) > 1 and not isinstance(fleet.state, Broken)

    async def _worded_by(self, job: Job) -> list[int]:
        return [each.person_id for each in await self.services.db.lineage.credits(job.id) if each.part == "worded"]

    def _previews_allowed(self, job: Job) -> bool:
        """Return whether previews can be shown. They are not classified, so they need a channel that allows NSFW."""
        return not self.services.config.sensitive_classifier or allows_nsfw(self.client, job.destination.channel_id)

    async def _extract_tile(self, job: Job) -> Grid:
        """Return an existing tile in the same form as a generated grid."""
        if not await retry_until_stored(lambda: self.services.db.jobs.mark_running(job.id, served=False)):
            raise UserError(tr("This was cancelled."))
        if job.parent is None:
            return await self._compose(job)
        try:
            tile = await self.services.images.files.read(job.parent)
        except FileNotFoundError:
            raise UserError(tr("This picture is not kept any more.")) from None
        limit = job.destination.upload_limit
        image, suffix = await self.services.images.resizer.fit_to_limit(tile, "png", limit, job)
        origin = await self.services.db.jobs.get(job.parent.job_id)
        return Grid((tile,), image, suffix, 0.0, sensitive=origin is not None and origin.sensitive)

    async def _compose(self, job: Job) -> Grid:
        """Return a picture that a session puts together from what people have drawn."""
        for compose in self.composers:
            if composed := await compose(job):
                picture, sensitive = composed
                limit = job.destination.upload_limit
                image, suffix = await self.services.images.resizer.fit_to_limit(picture, "png", limit, job)
                return Grid((picture,), image, suffix, 0.0, sensitive=sensitive)
        raise UserError(tr("This picture is not kept any more."))

    async def _build_request(self, job: Job, order: int) -> Generate:
        files, params = self.services.images.files, job.params
        try:
            source = await files.read(params.source) if params.source else None
            mask = await files.read(params.mask) if params.mask else None
            blended = tuple([await files.read(image) for image in params.blended])
            acting = params.image_prompts if has_image_prompts(params) and job.action not in ENLARGING else ()
            prompts = tuple([await files.read(image) for image in acting])
            original = await files.read(params.original) if params.original else None
        except FileNotFoundError:
            raise UserError(tr("The picture to start from is not kept any more.")) from None
        style = await self._reference(job, params.style, params.style_code) if has_style(params) else None
        control = await self._reference(job, params.control, params.control_code) if has_control(params) else None
        shown = params.character if has_character(params) else None
        return Generate(
            job.id,
            params,
            order,
            job.destination.upload_limit,
            source,
            mask,
            blended,
            style=style,
            control=control,
            character=await self._reference(job, shown, params.character_code),
            image_prompts=prompts,
            original=original,
        )

    async def _reference(self, job: Job, image: ImageRef | None, code: str) -> bytes | None:
        """Return the picture of a style, a character or ControlNets; an image that is enlarged has followed it."""
        if image is None or job.action in ENLARGING:
            return None
        try:
            return await self.services.images.files.read(image)
        except FileNotFoundError:
            raise UserError(tr("The picture {code} is not kept any more.", code=quote(code))) from None

    async def _post(self, job: Job, status_message_id: int | None, image: bytes, suffix: str) -> int:
        message = await self.build_result_message(job, image, suffix, job.destination.result_channel_id)
        message = replace(message, content=message.content + await self.videos.note(job))
        if not job.destination.has_interaction or job.destination.private:
            for present in self.presenters:
                message = await present(job, message)
        try:
            return await self.delivery.post(job, status_message_id, message)
        except discord.HTTPException as error:
            if not is_too_large(error):
                raise
        limit = len(image) // 2
        log.info("job %s: the grid was too large for Discord; trying %d bytes", job.id, limit)
        smaller, suffix = await self._fit_to_limit(job, image, suffix, limit)
        return await self._post(job, status_message_id, smaller, suffix)

    async def _fit_to_limit(self, job: Job, image: bytes, suffix: str, limit: int) -> tuple[bytes, str]:
        """Return a result's file in at most `limit` bytes; a film stays one."""
        if is_film(job):
            return await self.films.encode(job, limit), "webp"
        return await self.services.images.resizer.fit_to_limit(image, suffix, limit, job)


def _gave_up(losses: int) -> UserError:
    if losses:
        text = tr("The drawing process ended {number} times while it drew this, so I gave up.", number=losses + 2)
    else:
        text = tr("The drawing process ended twice while it drew this, so I gave up.")
    return UserError(text)


def _may_be_credited(origin: Job, job: Job) -> bool:
    """Return whether a result names who made its parent: another person, of a public picture of the same server."""
    to, is_other_user = origin.destination, origin.requester.id != job.requester.id
    return is_other_user and not to.private and to.guild_id == job.destination.guild_id
