"""The thread that makes pictures of latents, so that the step loop need not wait for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from generation.engine.album import Album
from generation.engine.classifier import Classifier
from generation.engine.memory import TOO_LARGE, bearing_lack_of_memory, is_out_of_memory
from generation.engine.pictures import Source, to_images
from generation.engine.previews import Previews
from generation.engine.vae import Vae
from generation.imprint import Imprint
from generation.messages import Event, Failed, Finished, Generate, Grid, Progress, Reason
from generation.models import Model
from generation.params import Params


@dataclass(frozen=True, slots=True)
class Result:
    """The final latents of a job that was started at `started` (time.monotonic), from `source` if it had one."""

    request: Generate
    latents: Tensor
    started: float
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class Glimpse:
    """The clean latents that a job is heading for at a step."""

    job_id: str
    step: int
    of: int
    latents: Tensor


class Finisher:
    """Decodes, encodes and composes results, and draws previews in between; answers through `emit`.

    Every result taken ends in one Finished or one Failed. An error that is neither is left to end the thread, which
    `threading.excepthook` hears of. `unet_call` is held by whoever uses the UNet.
    """

    def __init__(
        self,
        vae: Vae,
        model: Model,
        emit: Callable[[Event], None],
        unet_call: threading.Lock,
        imprint: Imprint,
        classifier: Classifier,
    ) -> None:
        self._vae, self._previews = vae, Previews(vae)
        self._model, self._emit = model, emit
        self._album = Album(model, imprint, classifier)
        self._unet_call = unet_call
        self._lock = threading.Lock()
        self._ending: set[str] = set()
        self._cancelled: set[str] = set()
        self._glimpses: dict[str, Glimpse] = {}
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="finisher", daemon=True)
        self._thread.start()

    def finish(self, result: Result) -> None:
        """Take a job's final latents and answer for it from now on."""
        with self._lock:
            self._ending.add(result.request.job_id)
            self._glimpses.pop(result.request.job_id, None)
        self._tasks.put(lambda: self._finish(result))

    def preview(self, glimpse: Glimpse) -> None:
        """Draw a preview when there is time for it; a newer one takes the place of one that still waits."""
        with self._lock:
            self._glimpses[glimpse.job_id] = glimpse
        self._tasks.put(self._show_glimpses)

    def cancel(self, job_id: str) -> None:
        """Let a job end as cancelled if it is not at its end yet; unknown ids are ignored."""
        with self._lock:
            self._glimpses.pop(job_id, None)
            if job_id in self._ending:
                self._cancelled.add(job_id)

    @property
    def broken(self) -> bool:
        """Say whether an unknown error ended the thread."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """End the thread when it has finished what it has."""
        self._tasks.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()

    def _show_glimpses(self) -> None:
        with self._lock:
            glimpses, self._glimpses = self._glimpses, {}
        for glimpse in glimpses.values():
            with bearing_lack_of_memory():  # nobody misses a preview
                preview = self._previews.draw(glimpse.latents)
                self._emit(Progress(glimpse.job_id, glimpse.step, glimpse.of, preview))

    def _finish(self, result: Result) -> None:
        job_id = result.request.job_id
        try:
            grid = self._grid(result)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            self._end(job_id, Failed(job_id, Reason.OUT_OF_MEMORY, TOO_LARGE))
        else:
            self._end(job_id, Finished(job_id, grid) if grid else None)

    def _grid(self, result: Result) -> Grid | None:
        """Make the result, or None if the job was cancelled meanwhile."""
        params, images, tiles = result.request.params, [], []
        for index, latents in enumerate(torch.split(result.latents, 1)):
            if result.request.job_id in self._cancelled:
                return None
            images += to_images(self._mended(self._decode(latents, params), result.source))
            tiles.append(self._album.tile(images[-1], index, params))
            self._show_glimpses()
        return self._album.grid(images, tiles, result.request, result.started)

    def _mended(self, pixels: Tensor, source: Source | None) -> Tensor:
        return pixels if source is None else source.mended(pixels, self._vae.scale, self._model.native_size)

    def _decode(self, latents: Tensor, params: Params) -> Tensor:
        vae = self._vae.endless if params.seamless else self._vae
        return vae.decode_beside(self._unet_call, latents)

    def _end(self, job_id: str, event: Event | None) -> None:
        with self._lock:
            self._ending.remove(job_id)
            self._glimpses.pop(job_id, None)
            cancelled = job_id in self._cancelled
            self._cancelled.discard(job_id)
        if cancelled or event is None:
            event = Failed(job_id, Reason.CANCELLED, "cancelled")
        self._emit(event)
