"""The engine for families that diffusers' own pipelines draw: one job at a time, on a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial

import torch
from PIL import Image
from torch import Generator, Tensor

from generation.engine.album import Album
from generation.engine.apart import Steps
from generation.engine.classifier import NO_CLASSIFIER, Classifier
from generation.engine.engine import PREVIEW_EVERY
from generation.engine.esrgan import Enlarger
from generation.engine.memory import TOO_LARGE, is_out_of_memory, release_memory
from generation.engine.pace import Pace
from generation.engine.pictures import Source, read_source, to_images, to_pixels
from generation.engine.previews import Previews
from generation.engine.recipes import Order, Recipe
from generation.engine.stepping import Watch
from generation.errors import Complaint
from generation.imprint import PLAIN, Imprint
from generation.messages import Event, Failed, Finished, Generate, Progress, Reason
from generation.models import Model

STEP_WAIT = 0.005  # seconds that a step waits for the drawing thread; other models want their steps as well
MOST_TOGETHER = 4  # a grid


class Cancelled(Exception):
    """Raised within a pipeline's loop, to leave it."""


class WholeEngine:
    """Draws jobs one after the other, each from its first step to its last.

    All methods are for one thread. Events come through `emit`, which must be safe to call from several threads. Every
    job ends in exactly one Finished or Failed. An unknown error (any CUDA error) comes out of `step`: the process
    should end then.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: Model,
        device: torch.device,
        emit: Callable[[Event], None],
        imprint: Imprint = PLAIN,
        classifier: Classifier = NO_CLASSIFIER,
        enlarger: Enlarger | None = None,
        let_another_go: Callable[[], bool] = lambda: False,
        steps: Steps | None = None,
    ) -> None:
        self.model, self.device = model, str(device)
        self._emit, self._let_another_go = emit, let_another_go
        album = Album(model, imprint, classifier)
        self._painter = _Painter(recipe, model, device, emit, album, enlarger, steps or Steps())
        self._thread = ThreadPoolExecutor(1, "whole pipeline")
        self._waiting: dict[str, Generate] = {}
        self._request: Generate
        self._drawing: Future[bool] | None = None

    @property
    def busy(self) -> bool:
        """Say whether there is something to draw."""
        return bool(self._waiting) or self._drawing is not None

    def add(self, request: Generate) -> None:
        """Take a job."""
        self._waiting[request.job_id] = request

    def cancel(self, job_id: str) -> None:
        """End a job as cancelled, wherever it is; unknown ids are ignored."""
        if self._waiting.pop(job_id, None):
            self._emit(Failed(job_id, Reason.CANCELLED, "cancelled"))
        else:
            self._painter.cancel(job_id)

    def step(self) -> None:
        """Begin the next job where none is being drawn, or wait a moment for the one that is."""
        if self._drawing is None:
            if not self._waiting:
                return
            self._request = self._waiting.pop(min(self._waiting, key=lambda job_id: self._waiting[job_id].order))
            self._painter.expect(self._request.job_id)
            self._drawing = self._thread.submit(self._painter.paint, self._request)
        wait([self._drawing], STEP_WAIT)
        if self._drawing.done():
            drawing, self._drawing = self._drawing, None
            if not drawing.result():
                self._try_again()

    def _try_again(self) -> None:
        """Draw a job anew for which memory ran out, with more room or with less to draw at once."""
        if self._let_another_go() or self._painter.make_room():
            self._drawing = self._thread.submit(self._painter.paint, self._request)
        else:
            self._emit(Failed(self._request.job_id, Reason.OUT_OF_MEMORY, TOO_LARGE))

    def close(self) -> None:
        """Cancel what is being drawn, forget the rest, and end the engine's thread."""
        self._painter.cancel()
        self._thread.shutdown(cancel_futures=True)
        self._painter.leave()


class _Painter:
    """What happens on the drawing thread; `expect` and `cancel` are for the other one."""

    def __init__(
        self,
        recipe: Recipe,
        model: Model,
        device: torch.device,
        emit: Callable[[Event], None],
        album: Album,
        enlarger: Enlarger | None,
        steps: Steps,
    ) -> None:
        self._recipe, self._model, self._device, self._steps = recipe, model, device, steps
        self._emit, self._album, self._enlarger = emit, album, enlarger
        self._pace = Pace(device)
        self._watches = {
            id(scheduler): Watch(scheduler, partial(self._stepped, scheduler is recipe.showing))
            for scheduler in recipe.schedulers
        }
        self._together, self._tried = MOST_TOGETHER, 0
        self._previews = None if recipe.encoder is None else Previews(recipe.encoder)
        self._is_cancelled = threading.Event()
        self._job_id = ""
        self._request: Generate
        self._painted: list[Image.Image] = []
        self._order: Order
        self._called, self._previewed = 0, 0.0

    def expect(self, job_id: str) -> None:
        """Note which job is drawn from now on."""
        self._job_id = job_id
        self._is_cancelled.clear()

    def cancel(self, job_id: str | None = None) -> None:
        """Have the job leave its loop at the next step; one that is not being drawn is ignored, None is any."""
        if job_id in (None, self._job_id):
            self._is_cancelled.set()

    def make_room(self) -> bool:
        """Draw fewer tiles together from now on, or keep only the network at work on the device; False for neither."""
        release_memory(self._device)
        if self._tried > 1:
            self._together = self._tried // 2
            return True
        return self._tried == 1 and self._recipe.offload(self._device)

    def leave(self) -> None:
        """Leave the pipelines as they were."""
        for watch in self._watches.values():
            watch.end()

    def paint(self, request: Generate) -> bool:
        """Draw a job and answer for it; False where there was not enough memory."""
        self._tried = 0
        try:
            with self._steps.one():
                event: Event = self._paint(request)
        except Cancelled:
            self._recipe.rest()
            event = Failed(request.job_id, Reason.CANCELLED, "cancelled")
        except Complaint as complaint:
            event = Failed(request.job_id, Reason.COMPLAINT, str(complaint))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            self._recipe.rest()
            return False
        self._job_id = ""
        self._emit(event)
        return True

    def _paint(self, request: Generate) -> Finished:
        started = self._previewed = time.monotonic()
        params = request.params
        self._leave_if_cancelled()
        self._check_size(request)
        source = read_source(request, self._enlarger)
        self._request, self._painted = request, []
        while len(self._painted) < params.count:
            self._painted += self._some(source)
        images = [self._mended(image, source) for image in self._painted]
        tiles = []
        for index, image in enumerate(images):
            self._leave_if_cancelled()
            tiles.append(self._album.tile(image, index, params))
        grid = self._album.grid(images, tiles, request, started)
        self._leave_if_cancelled()
        return Finished(request.job_id, grid)

    def _check_size(self, request: Generate) -> None:
        width, height, multiple = request.params.width, request.params.height, self._model.size_multiple
        if width % multiple or height % multiple:
            raise Complaint(f"{width}×{height} cannot be drawn: both must be multiples of {multiple}.")

    def _some(self, source: Source | None) -> list[Image.Image]:
        """Draw the next tiles, as many together as there is memory for."""
        params = self._request.params
        if source is not None and params.strength == 0:
            return to_images(source.pixels) * params.count
        numbers = range(len(self._painted), min(len(self._painted) + self._together, params.count))
        generators = [Generator("cpu").manual_seed(params.seed_of(number)) for number in numbers]
        picture = None if source is None else to_images(source.pixels)[0]
        order = Order(params=params, generators=generators, picture=picture)
        self._tried = len(generators)
        self._begin(order, source)
        drawn = self._recipe.draw(order)
        self._tried = 0
        return drawn

    def _begin(self, order: Order, source: Source | None) -> None:
        self._order, self._called = order, 0
        shown = self._watches.get(id(self._recipe.showing))
        for watch in self._watches.values():
            watch.begin()
        if shown is not None:
            shown.begin(self._freedom(source), self._recipe.shape(order.params))

    def _freedom(self, source: Source | None) -> Tensor | None:
        if source is None or self._recipe.encoder is None:
            return None
        return source.freedom(self._recipe.encoder.scale, self._model.native_size)

    def _stepped(self, is_shown: bool, clean: Tensor | None) -> None:
        """Tell of a step that a scheduler has made."""
        self._leave_if_cancelled()
        self._pace.keep()
        self._steps.between()
        self._called += 1
        step, steps = self._progress()
        self._emit(Progress(self._request.job_id, step, steps))
        now = time.monotonic()
        if is_shown and clean is not None and self._previews and now - self._previewed >= PREVIEW_EVERY:
            self._previewed = now
            preview = self._previews.draw(self._recipe.clean(clean.float()))
            self._emit(Progress(self._request.job_id, step, steps, preview))

    def _progress(self) -> tuple[int, int]:
        """Give how many steps are made, of how many, as if all tiles were drawn together."""
        steps, together = self._recipe.steps(self._order), len(self._order.generators)
        made = len(self._painted) * steps + together * min(self._called, steps)
        return made // self._request.params.count, steps

    def _leave_if_cancelled(self) -> None:
        if self._is_cancelled.is_set():
            raise Cancelled

    def _mended(self, image: Image.Image, source: Source | None) -> Image.Image:
        if source is None or source.mask is None or self._recipe.encoder is None:
            return image
        return to_images(source.mended(to_pixels(image), self._recipe.encoder.scale, self._model.native_size))[0]
