"""Draw a film: one picture after the other, each around the one before it, then the file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from weakref import WeakValueDictionary

from bot.images.films import MAX_BYTES, FilmNotMade
from bot.services import Services
from bot.ui.i18n import tr
from db.image_files import ImageStore
from db.jobs import JobState
from db.storage import retry_until_stored
from generation.errors import UserError
from generation.films.mp4 import find_ffmpeg
from generation.films.order import FilmOrder, ZoomOrder
from generation.job import Action, Job
from generation.messages import Generate, Grid, Progress
from generation.models.model import Model
from generation.params import Tile
from generation.planning.films import film_steps
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

    A job's tiles on disk are its last picture as number 0, and the others by their place in the film.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._mp4_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def draw(self, worker: Worker, job: Job, first: Generate, on_progress: OnProgress) -> Grid:
        """Draw the pictures that are still missing, and return all as tiles, the innermost first.

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
        left = film.steps - len(await stored_pictures(self._services.images.files, job.id, film.steps))
        return replace(job, params=replace(job.params, film=replace(film, steps=max(1, left))))

    async def discard_unfinished(self, job: Job) -> None:
        """Delete the pictures of a job that ended before it had a film."""
        files = self._services.images.files
        if not await asyncio.to_thread(files.grid_path(job.id, "webp").exists):
            await files.delete(job.id)

    async def _draw(self, worker: Worker, job: Job, first: Generate, on_progress: OnProgress) -> Grid:
        steps = film_steps(job.params, self._model(job))
        assert first.source is not None, "a film is made from a picture"
        drawn = _Drawn(await stored_pictures(self._services.images.files, job.id, len(steps)))
        for number in range(len(drawn.pictures), len(steps)):
            source = drawn.pictures[-1] if drawn.pictures else first.source
            request = replace(first, params=steps[number], source=source)
            grid = await worker.generate(request, _step_progress(number, len(steps), on_progress))
            await self._keep(job, drawn, grid, len(steps))
        return Grid(tuple(drawn.pictures), b"", "webp", drawn.seconds, drawn.sensitive)

    async def _keep(self, job: Job, drawn: _Drawn, grid: Grid, steps: int) -> None:
        """Add a picture, and store it unless a restart has to classify it again."""
        drawn.pictures.append(grid.tiles[0])
        drawn.seconds += grid.seconds
        drawn.sensitive |= grid.sensitive
        if not drawn.sensitive:
            tile = film_tile(job.id, len(drawn.pictures), steps)
            await retry_until_stored(lambda: self._services.images.files.save_tile(tile, grid.tiles[0]))

    async def finish(self, job: Job, drawn: Grid) -> Grid:
        """Return the result of a job: its film, and its pictures as they are stored; raise UserError without a film."""
        files, parent = self._services.images.files, job.params.source
        assert isinstance(parent, Tile)
        origin = await self._services.db.jobs.get(parent.job_id)
        async with self._discarded_if_cancelled(job):
            pictures = (await self._read(files, parent), *drawn.tiles)
            image = await self._encode(job, pictures, job.destination.upload_limit)
        tiles = (drawn.tiles[-1], *drawn.tiles[:-1])
        sensitive = drawn.sensitive or (origin is not None and origin.sensitive)
        return replace(drawn, tiles=tiles, image=image, sensitive=sensitive)

    async def encode(self, job: Job, limit: int, ffmpeg: str | None = None) -> bytes:
        """Return the film of a finished job in at most `limit` bytes, as an MP4 with `ffmpeg`; raise UserError."""
        files, parent = self._services.images.files, job.params.source
        assert isinstance(parent, Tile) and job.params.film is not None
        inner = await self._read(files, parent)
        pictures = await stored_pictures(files, job.id, job.params.film.steps)
        if len(pictures) < job.params.film.steps:
            raise _not_kept()
        return await self._encode(job, (inner, *pictures), limit, ffmpeg)

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

    async def _encode(self, job: Job, pictures: tuple[bytes, ...], limit: int, ffmpeg: str | None = None) -> bytes:
        params = job.params
        assert params.film is not None
        frames = tuple(step.frame for step in film_steps(params, self._model(job)) if step.frame is not None)
        order = FilmOrder(pictures, limit, ZoomOrder(params.film.kind, frames), ffmpeg)
        try:
            return await self._services.images.films.make(order, params)
        except FilmNotMade as error:
            log.error("job %s: its film could not be made: %s", job.id, error)
            raise UserError(tr("The pictures are drawn, but I could not make a film of them.")) from None

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


def film_tile(job_id: str, number: int, steps: int) -> Tile:
    """Return where picture number `number` (from 1) of a film is stored: the last one is the job's tile."""
    return Tile(job_id, number % steps)


async def stored_pictures(files: ImageStore, job_id: str, steps: int) -> list[bytes]:
    """Return the pictures of a film that are stored, in order, up to the first that is missing or damaged."""
    pictures = list[bytes]()
    for number in range(1, steps + 1):
        try:
            pictures.append(await files.read(film_tile(job_id, number, steps)))
        except (FileNotFoundError, UserError):
            break
    return pictures


def _step_progress(number: int, steps: int, on_progress: OnProgress) -> OnProgress:
    """Return a receiver that reports the progress of one picture as a part of the film's."""
    total = steps * PROGRESS_PER_PICTURE + PROGRESS_OF_ENCODING

    def report(progress: Progress) -> None:
        done = PROGRESS_PER_PICTURE * progress.step // max(1, progress.total)
        on_progress(replace(progress, step=number * PROGRESS_PER_PICTURE + done, total=total))

    return report


def _not_kept() -> UserError:
    return UserError(tr("The pictures of this film are not kept any more."))
