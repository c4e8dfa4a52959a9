"""The thread that turns latents into images, so that the step loop need not wait for it."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from generation.engine.denoising.trail_decoder import TrailDecoder
from generation.engine.device.oom import OOM_MESSAGE, OVERFLOW_MESSAGE, is_out_of_memory, suppress_oom
from generation.engine.device.side_stream import SideStream
from generation.engine.images.io import SourceImage, from_bytes, to_bytes, to_images
from generation.engine.networks.vae import Vae
from generation.engine.output.files import EncodedTile, OutputWriter
from generation.engine.output.previews import LatentPreviewer, preview_file
from generation.engine.output.safety_classifier import SafetyClassifier
from generation.engine.output.trail import pack_trail
from generation.errors import UserError
from generation.files.metadata import MetadataPolicy
from generation.messages import Event, Failed, FailureReason, Finished, Generate, Progress
from generation.models.model import Model

ENCODER_THREADS = 3  # encoding a grid takes longer than decoding it on a fast GPU


@dataclass(frozen=True, slots=True)
class DenoisingResult:
    """The final latents of a job that began at `started` (time.monotonic), with its `source` if it had one.

    `trail` holds the latents of earlier steps, for a video.
    """

    request: Generate
    latents: Tensor
    started: float
    source: SourceImage | None = None
    trail: tuple[Tensor, ...] = ()

    @property
    def has_mask(self) -> bool:
        """Return whether part of the source is kept."""
        return self.source is not None and self.source.mask is not None


@dataclass(frozen=True, slots=True)
class PreviewRequest:
    """The clean latents that a job's step predicted."""

    job_id: str
    step: int
    total: int
    latents: Tensor


class PostProcessor:
    """Decodes, encodes and composes results, and renders previews in between; reports through `emit`.

    One thread queues a job's tiles on the device and waits once for all of them; a few others encode what it fetches.
    Every result accepted ends in one Finished or one Failed. Any other error ends the first thread and is passed to
    `threading.excepthook`. `unet_lock` is held while the UNet runs.
    """

    def __init__(
        self,
        vae: Vae,
        model: Model,
        emit: Callable[[Event], None],
        unet_lock: threading.Lock,
        metadata_policy: MetadataPolicy,
        classifier: SafetyClassifier,
    ) -> None:
        self._vae, self._previewer = vae, LatentPreviewer(vae)
        self._model, self._emit = model, emit
        self._writer = OutputWriter(model, metadata_policy, classifier)
        self._unet_lock = unet_lock
        self._stream = SideStream(vae.device)
        self._decoder = TrailDecoder(vae, self._writer, self._stream, unet_lock)
        self._encoders = ThreadPoolExecutor(ENCODER_THREADS, "encoders")
        self._lock = threading.Lock()
        self._ending: set[str] = set()
        self._cancelled: set[str] = set()
        self._preview_requests: dict[str, tuple[PreviewRequest, Any]] = {}
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._developing: deque[tuple[str, Iterator[Event | None]]] = deque()  # when no other task waits
        self._thread = threading.Thread(target=self._work, name="post-processor", daemon=True)
        self._thread.start()

    def finish(self, result: DenoisingResult) -> None:
        """Accept a job's final latents, and report its end from now on."""
        with self._lock:
            self._ending.add(result.request.job_id)
            self._preview_requests.pop(result.request.job_id, None)
        mark = self._stream.handover()
        self._tasks.put(lambda: self._finish(result, mark))

    def develop(self, request: Generate) -> None:
        """Decode a job's trail into the sheets of a video whenever no result or preview waits, and report its end."""
        with self._lock:
            self._ending.add(request.job_id)
        self._tasks.put(lambda: self._developing.append((request.job_id, self._decoder.decode(request))))

    def preview(self, request: PreviewRequest) -> None:
        """Render a preview when there is time for it; a newer one replaces one that still waits."""
        with self._lock:
            self._preview_requests[request.job_id] = request, self._stream.handover()
        self._tasks.put(self._render_previews)

    def cancel(self, job_id: str) -> None:
        """End a job as cancelled unless it has ended; unknown ids are ignored."""
        with self._lock:
            self._preview_requests.pop(job_id, None)
            if job_id in self._ending:
                self._cancelled.add(job_id)

    @property
    def broken(self) -> bool:
        """Return whether an unexpected error ended the thread."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """Stop the threads once they have finished their tasks."""
        self._tasks.put(None)
        self._thread.join()
        self._encoders.shutdown()

    def _work(self) -> None:
        while (task := self._next_task()) is not None:
            task()

    def _next_task(self) -> Callable[[], None] | None:
        if not self._developing:
            return self._tasks.get()
        with suppress(queue.Empty):
            return self._tasks.get_nowait()
        return self._develop_further

    def _develop_further(self) -> None:
        """Decode one more tile of the oldest trail, unless it was cancelled."""
        job_id, events = self._developing[0]
        cancelled = job_id in self._cancelled
        event = None if cancelled else next(events)
        if cancelled or isinstance(event, Finished | Failed):
            self._developing.popleft()
            self._end(job_id, event)
        elif event is not None:
            self._emit(event)

    def _render_previews(self) -> None:
        """Render all previews that wait, with one wait for the device."""
        with self._lock:
            requests, self._preview_requests = list(self._preview_requests.values()), {}
        if not requests:
            return
        colours = []
        for request, mark in requests:
            with suppress_oom(), self._stream.after(mark, request.latents):  # a preview is optional
                colours.append((request, self._previewer.colours(request.latents)))
        with self._stream.after(None):
            images = self._stream.fetch([values for _, values in colours])
        for (request, _), values in zip(colours, images, strict=True):
            self._emit(Progress(request.job_id, request.step, request.total, preview_file(values)))

    def _finish(self, result: DenoisingResult, mark: Any) -> None:
        job_id = result.request.job_id
        try:
            with self._stream.after(mark, result.latents, *result.trail):
                images, trail = self._decode(result)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            self._end(job_id, Failed(job_id, FailureReason.OUT_OF_MEMORY, OOM_MESSAGE))
        except UserError as error:
            self._end(job_id, Failed(job_id, FailureReason.USER_ERROR, str(error)))
        else:
            self._encode(result, images, trail)

    def _decode(self, result: DenoisingResult) -> tuple[list[Image.Image], bytes]:
        """Return a result's images and its packed trail; there are none if the job was cancelled meanwhile.

        Raise UserError if its latents overflowed: the images would be black.
        """
        vae = self._vae.suited(result.request.params)
        tiles, values = torch.split(result.latents, 1), []
        sound = [result.latents.isfinite().all()]
        for tile in tiles:
            if result.request.job_id in self._cancelled:
                return [], b""
            decoded = vae.queue_low_memory(self._unet_lock, tile)
            sound.append(decoded.isfinite().all())
            values.append(decoded if result.has_mask else to_bytes(decoded))
            if not self._stream.is_asynchronous:  # there a preview would wait for the tile
                self._render_previews()
        checks, *fetched = self._stream.fetch([torch.stack(sound), *values, *result.trail])
        fetched, trail = fetched[: len(tiles)], fetched[len(tiles) :]
        if not checks[0]:
            raise UserError(OVERFLOW_MESSAGE)
        for index in (~checks[1:]).nonzero().flatten().tolist():
            again = vae.decode_low_memory(self._unet_lock, tiles[index])
            fetched[index] = (again if result.has_mask else to_bytes(again)).cpu()
        images = [image for pixels in fetched for image in self._images(pixels, result.source)]
        return images, pack_trail(trail)

    def _images(self, pixels: Tensor, source: SourceImage | None) -> list[Image.Image]:
        if source is None:
            return from_bytes(pixels)
        is_masked = source.mask is not None
        scale, native_size = self._vae.scale, self._model.native_size
        images = to_images(source.composite(pixels, scale, native_size)) if is_masked else from_bytes(pixels)
        return [source.with_lightness(image) for image in images]

    def _encode(self, result: DenoisingResult, images: list[Image.Image], trail: bytes) -> None:
        """Encode the images on the other threads; the last of their tasks ends the job."""
        job_id = result.request.job_id
        if not images:
            self._end(job_id, None)
            return
        submit, request = self._encoders.submit, result.request
        # The sheet takes longest.
        sheet = submit(self._writer.encode_sheet, images, request) if len(images) > 1 else None
        tiles = [submit(self._writer.encode_tile, image, index, request) for index, image in enumerate(images)]
        end = submit(self._build_grid, result, images, tiles, sheet, trail)  # begins when all of them have begun
        end.add_done_callback(self._raise_in_thread)

    def _build_grid(
        self,
        result: DenoisingResult,
        images: list[Image.Image],
        tiles: Sequence[Future[EncodedTile]],
        sheet: Future[tuple[bytes, str]] | None,
        trail: bytes,
    ) -> None:
        files = [tile.result() for tile in tiles]
        joined = None if sheet is None else sheet.result()
        grid = self._writer.build_grid(images, files, result.request, result.started, joined)
        self._end(result.request.job_id, Finished(result.request.job_id, replace(grid, trail=trail)))

    def _raise_in_thread(self, task: Future[None]) -> None:
        """Let the first thread end with the error that a task has raised."""
        if (error := task.exception()) is not None:
            self._tasks.put(partial(_raise, error))

    def _end(self, job_id: str, event: Event | None) -> None:
        with self._lock:
            self._ending.remove(job_id)
            self._preview_requests.pop(job_id, None)
            cancelled = job_id in self._cancelled
            self._cancelled.discard(job_id)
        if cancelled or event is None:
            event = Failed(job_id, FailureReason.CANCELLED, "cancelled")
        self._emit(event)


def _raise(error: BaseException) -> None:
    raise error
