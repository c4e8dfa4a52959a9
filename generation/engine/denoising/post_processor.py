"""The thread that turns latents into images, so that the step loop need not wait for it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from generation.engine.device.oom import OOM_MESSAGE, is_out_of_memory, suppress_oom
from generation.engine.images.io import SourceImage, to_images
from generation.engine.networks.vae import Vae
from generation.engine.output.files import OutputWriter
from generation.engine.output.previews import LatentPreviewer
from generation.engine.output.safety_classifier import SafetyClassifier
from generation.files.metadata import MetadataPolicy
from generation.messages import Event, Failed, FailureReason, Finished, Generate, Grid, Progress
from generation.models.model import Model
from generation.params import Params


@dataclass(frozen=True, slots=True)
class DenoisingResult:
    """The final latents of a job that began at `started` (time.monotonic), with its `source` if it had one."""

    request: Generate
    latents: Tensor
    started: float
    source: SourceImage | None = None


@dataclass(frozen=True, slots=True)
class PreviewRequest:
    """The clean latents that a job's step predicted."""

    job_id: str
    step: int
    total: int
    latents: Tensor


class PostProcessor:
    """Decodes, encodes and composes results, and renders previews in between; reports through `emit`.

    Every result accepted ends in one Finished or one Failed. Any other error ends the thread and is passed to
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
        self._lock = threading.Lock()
        self._ending: set[str] = set()
        self._cancelled: set[str] = set()
        self._preview_requests: dict[str, PreviewRequest] = {}
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="post-processor", daemon=True)
        self._thread.start()

    def finish(self, result: DenoisingResult) -> None:
        """Accept a job's final latents, and report its end from now on."""
        with self._lock:
            self._ending.add(result.request.job_id)
            self._preview_requests.pop(result.request.job_id, None)
        self._tasks.put(lambda: self._finish(result))

    def preview(self, request: PreviewRequest) -> None:
        """Render a preview when there is time for it; a newer one replaces one that still waits."""
        with self._lock:
            self._preview_requests[request.job_id] = request
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
        """Stop the thread once it has finished its tasks."""
        self._tasks.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()

    def _render_previews(self) -> None:
        with self._lock:
            requests, self._preview_requests = self._preview_requests, {}
        for request in requests.values():
            with suppress_oom():  # a preview is optional
                preview = self._previewer.render(request.latents)
                self._emit(Progress(request.job_id, request.step, request.total, preview))

    def _finish(self, result: DenoisingResult) -> None:
        job_id = result.request.job_id
        try:
            grid = self._build_grid(result)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            self._end(job_id, Failed(job_id, FailureReason.OUT_OF_MEMORY, OOM_MESSAGE))
        else:
            self._end(job_id, Finished(job_id, grid) if grid else None)

    def _build_grid(self, result: DenoisingResult) -> Grid | None:
        """Return the result, or None if the job was cancelled meanwhile."""
        params, images, tiles = result.request.params, [], []
        for index, latents in enumerate(torch.split(result.latents, 1)):
            if result.request.job_id in self._cancelled:
                return None
            images += to_images(self._composite(self._decode(latents, params), result.source))
            tiles.append(self._writer.encode_tile(images[-1], index, params))
            self._render_previews()
        return self._writer.build_grid(images, tiles, result.request, result.started)

    def _composite(self, pixels: Tensor, source: SourceImage | None) -> Tensor:
        return pixels if source is None else source.composite(pixels, self._vae.scale, self._model.native_size)

    def _decode(self, latents: Tensor, params: Params) -> Tensor:
        vae = self._vae.seamless if params.seamless else self._vae
        return vae.decode_low_memory(self._unet_lock, latents)

    def _end(self, job_id: str, event: Event | None) -> None:
        with self._lock:
            self._ending.remove(job_id)
            self._preview_requests.pop(job_id, None)
            cancelled = job_id in self._cancelled
            self._cancelled.discard(job_id)
        if cancelled or event is None:
            event = Failed(job_id, FailureReason.CANCELLED, "cancelled")
        self._emit(event)
