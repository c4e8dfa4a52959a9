"""Draw a film: its pictures, some at a time, then the file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from weakref import WeakValueDictionary

from bot.images.films import MAX_BYTES, FilmNotMade
from bot.jobs.films.pictures import PICTURES
from bot.services import Services
from bot.ui.i18n import tr
from db.image_files import ImageStore
from db.jobs import JobState
from db.storage import retry_until_stored
from generation.errors import UserError
from generation.films.mp4 import find_ffmpeg
from generation.job import Action, Job
from generation.messages import Generate, Grid, Progress
from generation.models.model import Model
from generation.params import FilmKind, FilmPlan, Tile
from generation.worker.worker import Worker

PROGRESS_PER_PICTURE = 100
PROGRESS_OF_ENCODING = 50

log = logging.getLogger(__name__)

OnProgress = Callable[[Progress], None]


@dataclass(slots=True)
class _Drawn:
    """The pictures that are drawn so far, in order; `sensitive` if the classifier flagged one."""

    pictures: list[bytes] = field(default_factory=list)
    seconds: float = 0.0
    sensitive: bool = False


class FilmDrawing:
    """Draws the jobs that have a film in their params; each picture is stored, so that a restart goes on from it.

    A job's tiles on disk are its finished picture as number 0, and the others; see `film_tile`.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._mp4_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def draw(self, worker: Worker, job: Job, first: Generate, on_progress: OnProgress) -> Grid:
        """Draw the pictures that are still missing, and return all as tiles, in the order in which they are drawn.

        `first` is the request for the first picture. A cancelled job leaves no pictures behind.
        """
        async with self._discarded_if_cancelled(job):
            return await self._draw(worker, job, first, on_progress)

    @asynccontextmanager
    async def _discarded_if_cancelled(self, job: Job) -> AsyncIterator[None]:
        """Delete a job's pictures if it is cancelled meanwhile; they stay if the bot stops."""
        try:
            yield
        except asyncio.CancelledError:
            record = await self._services.db.jobs.get(job.id)
            if record is not None and record.state is JobState.CANCELLED:
                await self.discard_unfinished(job)
            raise

    async def remaining(self, job: Job) -> Job:
        """Return a job as the queue has to see it: with as many pictures as a restart has left to draw."""
        film = job.params.film
        if film is None:
            return job
        left = film.steps - len(await stored_pictures(self._services.images.files, job.id, film))
        return replace(job, params=replace(job.params, film=replace(film, steps=max(1, left))))

    async def discard_unfinished(self, job: Job) -> None:
        """Delete the pictures of a job that ended before it had a film."""
        files = self._services.images.files
        if not await asyncio.to_thread(files.grid_path(job.id, "webp").exists):
            await files.delete(job.id)

    async def _draw(self, worker: Worker, job: Job, first: Generate, on_progress: OnProgress) -> Grid:
        plan = _plan(job)
        drawn = _Drawn(await stored_pictures(self._services.images.files, job.id, plan))
        pictures = PICTURES[plan.kind](job.params, self._model(job), first)
        await self._take_ends(job, drawn)
        while len(drawn.pictures) < plan.steps:
            request = await asyncio.to_thread(pictures.following, drawn.pictures)
            grid = await worker.generate(request, _part_of_progress(len(drawn.pictures), request, plan, on_progress))
            await self._keep(job, drawn, grid)
        return Grid(tuple(drawn.pictures), b"", "webp", drawn.seconds, drawn.sensitive)

    async def _take_ends(self, job: Job, drawn: _Drawn) -> None:
        """Begin a walk with the pictures that it goes between, if they are drawn already, the last one first."""
        plan = _plan(job)
        if plan.to is None or drawn.pictures:
            return
        with suppress(FileNotFoundError, UserError):  # deleted meanwhile, or damaged: they are drawn again
            ends = [await self._services.images.files.read(tile) for tile in reversed(plan.to.tiles)]
            for picture in ends:
                drawn.pictures.append(picture)
                await self._store(film_tile(job.id, len(drawn.pictures), plan), picture)

    async def _keep(self, job: Job, drawn: _Drawn, grid: Grid) -> None:
        """Add pictures, and store them unless a restart has to classify them again."""
        drawn.seconds += grid.seconds
        drawn.sensitive |= grid.sensitive
        for picture in grid.tiles:
            drawn.pictures.append(picture)
            if not drawn.sensitive:
                await self._store(film_tile(job.id, len(drawn.pictures), _plan(job)), picture)

    async def _store(self, tile: Tile, picture: bytes) -> None:
        await retry_until_stored(lambda: self._services.images.files.save_tile(tile, picture))

    async def finish(self, job: Job, drawn: Grid) -> Grid:
        """Return the result of a job: its film, and its pictures as they are stored; raise UserError without a film."""
        async with self._discarded_if_cancelled(job):
            image = await self._encode(job, drawn.tiles, job.destination.upload_limit)
        plan = _plan(job)
        places = {film_tile(job.id, number, plan).index: tile for number, tile in enumerate(drawn.tiles, start=1)}
        tiles = tuple(places[index] for index in range(plan.steps))
        origin = await self._services.db.jobs.get(job.parent.job_id) if job.parent else None
        sensitive = drawn.sensitive or (origin is not None and origin.sensitive)
        return replace(drawn, tiles=tiles, image=image, sensitive=sensitive)

    async def encode(self, job: Job, limit: int, ffmpeg: str | None = None) -> bytes:
        """Return the film of a finished job in at most `limit` bytes, as an MP4 with `ffmpeg`; raise UserError."""
        pictures = await stored_pictures(self._services.images.files, job.id, _plan(job))
        if len(pictures) < _plan(job).steps:
            raise _not_kept()
        return await self._encode(job, pictures, limit, ffmpeg)

    async def as_posted(self, job: Job, film: bytes, suffix: str) -> tuple[bytes, str]:
        """Return a film in the operator's format, with its suffix; unchanged where that is not possible."""
        ffmpeg = find_ffmpeg() if self._services.config.film_format == "mp4" else None
        if ffmpeg is None:
            return film, suffix
        try:
            mp4 = await self.mp4(job, ffmpeg)
        except UserError:  # logged
            return film, suffix
        return (mp4, "mp4") if len(mp4) <= job.destination.upload_limit else (film, suffix)

    async def mp4(self, job: Job, ffmpeg: str) -> bytes:
        """Return the film of a finished job as an MP4; it is encoded once and stored beside the film."""
        files = self._services.images.files
        async with self._mp4_locks.setdefault(job.id, asyncio.Lock()):
            with suppress(FileNotFoundError, UserError):  # not made yet, or damaged
                return await files.read_grid(job.id, "mp4")
            film = await self.encode(job, MAX_BYTES, ffmpeg)
            await files.save_grid(job.id, "mp4", film)
            record = await self._services.db.jobs.get(job.id)
            if record is None or record.deleted:  # meanwhile: nothing of it may stay
                await files.delete(job.id)
                raise _not_kept()
            return film

    async def _encode(self, job: Job, pictures: Sequence[bytes], limit: int, ffmpeg: str | None = None) -> bytes:
        """Encode the film of `pictures`, which are in the order in which they were drawn."""
        plan, inner = _plan(job), await self._inner_picture(job)
        order = await asyncio.to_thread(
            PICTURES[plan.kind](job.params, self._model(job)).order, pictures, limit, ffmpeg, inner
        )
        try:
            return await self._services.images.films.make(order, job.params)
        except FilmNotMade as error:
            log.error("job %s: its film could not be made: %s", job.id, error)
            raise UserError(tr("The pictures are drawn, but I could not make a film of them.")) from None

    async def _inner_picture(self, job: Job) -> bytes | None:
        """Return the picture around which a zoom is drawn."""
        tile = job.params.source
        if _plan(job).kind is FilmKind.WALK:
            return None
        assert isinstance(tile, Tile), "a zoom is made from a picture"
        return await self._read(self._services.images.files, tile)

    async def _read(self, files: ImageStore, tile: Tile) -> bytes:
        try:
            return await files.read(tile)
        except FileNotFoundError:
            raise _not_kept() from None

    def _model(self, job: Job) -> Model:
        return self._services.registry.resolve(job.params)


def is_film(job: Job) -> bool:
    """Return whether a job's result is a film."""
    return job.params.film is not None and job.action is not Action.PICK


def _plan(job: Job) -> FilmPlan:
    assert job.params.film is not None, "a film"
    return job.params.film


def film_tile(job_id: str, number: int, plan: FilmPlan) -> Tile:
    """Return where the picture that is drawn as number `number` (from 1) is stored: the finished one is tile 0.

    That is the last one of a zoom, and the first one that is drawn of a walk.
    """
    return Tile(job_id, number - 1 if plan.kind is FilmKind.WALK else number % plan.steps)


async def stored_pictures(files: ImageStore, job_id: str, plan: FilmPlan) -> list[bytes]:
    """Return the pictures of a film that are stored, as they were drawn, up to the first missing or damaged one."""
    pictures = list[bytes]()
    for number in range(1, plan.steps + 1):
        try:
            pictures.append(await files.read(film_tile(job_id, number, plan)))
        except (FileNotFoundError, UserError):
            break
    return pictures


def _part_of_progress(done: int, request: Generate, plan: FilmPlan, on_progress: OnProgress) -> OnProgress:
    """Return a receiver that reports the progress of some pictures as a part of the film's."""
    total = plan.steps * PROGRESS_PER_PICTURE + PROGRESS_OF_ENCODING

    def report(progress: Progress) -> None:
        made = request.params.count * PROGRESS_PER_PICTURE * progress.step // max(1, progress.total)
        on_progress(replace(progress, step=done * PROGRESS_PER_PICTURE + made, total=total))

    return report


def _not_kept() -> UserError:
    return UserError(tr("The pictures of this film are not kept any more."))
