"""The engine for families that run through diffusers' own pipelines: one job at a time, on its own thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial

import torch
from PIL import Image
from torch import Generator, Tensor

from generation.engine.device.dtype_guard import StepGate
from generation.engine.device.gpu_sync import StepThrottle
from generation.engine.device.oom import OOM_MESSAGE, is_out_of_memory, release_memory
from generation.engine.images.io import SourceImage, read_fitted, read_source, to_images, to_pixels
from generation.engine.images.upscaler import Upscaler
from generation.engine.output.files import OutputWriter
from generation.engine.output.previews import PREVIEW_INTERVAL_S, LatentPreviewer
from generation.engine.output.safety_classifier import NO_CLASSIFIER, SafetyClassifier
from generation.engine.pipelines.pipeline_adapters import PipelineAdapter, PipelineCall
from generation.engine.pipelines.scheduler_hook import SchedulerHook
from generation.errors import UserError
from generation.files.metadata import DEFAULT_METADATA_POLICY, MetadataPolicy
from generation.messages import Event, Failed, FailureReason, Finished, Generate, Progress
from generation.models.model import Model
from generation.text import Text

STEP_WAIT_S = 0.005  # seconds that a step waits for the pipeline's thread; other models need their steps as well
MAX_BATCH_SIZE = 4  # a grid


class Cancelled(Exception):
    """Raised within a pipeline's loop to leave it."""


class PipelineEngine:
    """Generates jobs one after the other, each from its first step to its last.

    Call all methods from one thread. Events go through `emit`, which must be safe to call from several threads. Every
    job ends in exactly one Finished or Failed. An unexpected error (such as any CUDA error) is raised by `step`: the
    process should then end.
    """

    def __init__(
        self,
        adapter: PipelineAdapter,
        model: Model,
        device: torch.device,
        emit: Callable[[Event], None],
        metadata_policy: MetadataPolicy = DEFAULT_METADATA_POLICY,
        classifier: SafetyClassifier = NO_CLASSIFIER,
        upscaler: Upscaler | None = None,
        evict_idle_model: Callable[[], bool] = lambda: False,
        step_gate: StepGate | None = None,
    ) -> None:
        self.model, self.device = model, str(device)
        self._emit, self._evict_idle_model = emit, evict_idle_model
        writer = OutputWriter(model, metadata_policy, classifier)
        self._runner = _PipelineRunner(adapter, model, device, emit, writer, upscaler, step_gate or StepGate())
        self._thread = ThreadPoolExecutor(1, "pipeline")
        self._waiting: dict[str, Generate] = {}
        self._request: Generate
        self._running: Future[bool] | None = None

    @property
    def busy(self) -> bool:
        """Return whether a job waits or runs."""
        return bool(self._waiting) or self._running is not None

    def add(self, request: Generate) -> None:
        """Accept a job."""
        self._waiting[request.job_id] = request

    def cancel(self, job_id: str) -> None:
        """End a job as cancelled, wherever it is; unknown ids are ignored."""
        if self._waiting.pop(job_id, None):
            self._emit(Failed(job_id, FailureReason.CANCELLED, "cancelled"))
        else:
            self._runner.cancel(job_id)

    def step(self) -> None:
        """Start the next job if none is running, or wait a moment for the one that is."""
        if self._running is None:
            if not self._waiting:
                return
            self._request = self._waiting.pop(min(self._waiting, key=lambda job_id: self._waiting[job_id].order))
            self._runner.set_current_job(self._request.job_id)
            self._running = self._thread.submit(self._runner.run, self._request)
        wait([self._running], STEP_WAIT_S)
        if self._running.done():
            running, self._running = self._running, None
            if not running.result():
                self._retry_after_oom()

    def _retry_after_oom(self) -> None:
        """Run a job again that ran out of memory, after evicting an idle model or with less memory use."""
        if self._evict_idle_model() or self._runner.reduce_memory():
            self._running = self._thread.submit(self._runner.run, self._request)
        else:
            self._emit(Failed(self._request.job_id, FailureReason.OUT_OF_MEMORY, OOM_MESSAGE))

    def close(self) -> None:
        """Cancel the running job, drop the rest, and stop the engine's thread."""
        self._runner.cancel()
        self._thread.shutdown(cancel_futures=True)
        self._runner.remove_hooks()


class _PipelineRunner:
    """The work of the pipeline's thread; during a job, the engine's thread may call only `cancel`."""

    def __init__(
        self,
        adapter: PipelineAdapter,
        model: Model,
        device: torch.device,
        emit: Callable[[Event], None],
        writer: OutputWriter,
        upscaler: Upscaler | None,
        step_gate: StepGate,
    ) -> None:
        self._adapter, self._model, self._device, self._step_gate = adapter, model, device, step_gate
        self._emit, self._writer, self._upscaler = emit, writer, upscaler
        self._throttle = StepThrottle(device)
        self._hooks = {
            id(scheduler): SchedulerHook(scheduler, partial(self._on_step, scheduler is adapter.preview_scheduler))
            for scheduler in adapter.schedulers
        }
        self._batch_size, self._attempted_batch_size = MAX_BATCH_SIZE, 0
        self._previewer = None if adapter.autoencoder is None else LatentPreviewer(adapter.autoencoder)
        self._is_cancelled = threading.Event()
        self._job_id = ""
        self._request: Generate
        self._images: list[Image.Image] = []
        self._call: PipelineCall
        self._steps_in_call, self._previewed_at = 0, 0.0

    def set_current_job(self, job_id: str) -> None:
        """Note which job runs from now on."""
        self._job_id = job_id
        self._is_cancelled.clear()

    def cancel(self, job_id: str | None = None) -> None:
        """Make the job leave its loop at the next step; one that is not running is ignored, None is any."""
        if job_id in (None, self._job_id):
            self._is_cancelled.set()

    def reduce_memory(self) -> bool:
        """Generate fewer tiles together from now on, or offload inactive networks; False if neither is possible."""
        release_memory(self._device)
        if self._attempted_batch_size > 1:
            self._batch_size = self._attempted_batch_size // 2
            return True
        return self._attempted_batch_size == 1 and self._adapter.offload(self._device)

    def remove_hooks(self) -> None:
        """Restore the methods of the pipelines' schedulers."""
        for hook in self._hooks.values():
            hook.remove()

    def run(self, request: Generate) -> bool:
        """Generate a job and report its end; False if memory ran out."""
        self._attempted_batch_size = 0
        try:
            with self._step_gate.step():
                event: Event = self._run(request)
        except Cancelled:
            self._adapter.free_hooks()
            event = Failed(request.job_id, FailureReason.CANCELLED, "cancelled")
        except UserError as error:
            event = Failed(request.job_id, FailureReason.USER_ERROR, str(error))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            self._adapter.free_hooks()
            return False
        self._job_id = ""
        self._emit(event)
        return True

    def _run(self, request: Generate) -> Finished:
        started = self._previewed_at = time.monotonic()
        params = request.params
        self._raise_if_cancelled()
        self._check_size(request)
        source = read_source(request, self._upscaler)
        self._request, self._images = request, []
        while len(self._images) < params.count:
            self._images += self._generate_batch(source)
        images = [self._composite(image, source) for image in self._images]
        tiles = []
        for index, image in enumerate(images):
            self._raise_if_cancelled()
            tiles.append(self._writer.encode_tile(image, index, request))
        grid = self._writer.build_grid(images, tiles, request, started)
        self._raise_if_cancelled()
        return Finished(request.job_id, grid)

    def _check_size(self, request: Generate) -> None:
        width, height, multiple = request.params.width, request.params.height, self._model.size_multiple
        if width % multiple or height % multiple:
            raise UserError(
                Text(
                    "{width}×{height} cannot be drawn: width and height must be multiples of {multiple}.",
                    width=width,
                    height=height,
                    multiple=multiple,
                )
            )

    def _generate_batch(self, source: SourceImage | None) -> list[Image.Image]:
        """Generate the next tiles, as many together as memory allows."""
        params = self._request.params
        if source is not None and params.strength == 0:
            return to_images(source.pixels) * params.count
        numbers = range(len(self._images), min(len(self._images) + self._batch_size, params.count))
        generators = [Generator("cpu").manual_seed(params.seed_of(number)) for number in numbers]
        image = None if source is None else to_images(source.pixels)[0]
        data, size = self._request.original, (params.width, params.height)
        original = None if data is None else read_fitted(data, size)
        call = PipelineCall(params=params, generators=generators, image=image, original=original)
        self._attempted_batch_size = len(generators)
        self._start_call(call, source)
        images = self._adapter.generate(call)
        self._attempted_batch_size = 0
        return images

    def _start_call(self, call: PipelineCall, source: SourceImage | None) -> None:
        self._call, self._steps_in_call = call, 0
        preview_hook = self._hooks.get(id(self._adapter.preview_scheduler))
        for hook in self._hooks.values():
            hook.reset()
        if preview_hook is not None:
            preview_hook.reset(self._change_map(source), self._adapter.latent_packing(call.params))

    def _change_map(self, source: SourceImage | None) -> Tensor | None:
        if source is None or self._adapter.autoencoder is None:
            return None
        return source.change_map(self._adapter.autoencoder.scale, self._model.native_size)

    def _on_step(self, is_shown: bool, clean: Tensor | None) -> None:
        """Report a step that a scheduler has made."""
        self._raise_if_cancelled()
        self._throttle.wait()
        self._step_gate.yield_point()
        self._steps_in_call += 1
        step, steps = self._progress()
        self._emit(Progress(self._request.job_id, step, steps))
        now = time.monotonic()
        if is_shown and clean is not None and self._previewer and now - self._previewed_at >= PREVIEW_INTERVAL_S:
            self._previewed_at = now
            preview = self._previewer.render(self._adapter.unscale_latents(clean.float()))
            self._emit(Progress(self._request.job_id, step, steps, preview))

    def _progress(self) -> tuple[int, int]:
        """Return the steps made and their total, as if all tiles were generated together."""
        steps, batch_size = self._adapter.steps(self._call), len(self._call.generators)
        made = len(self._images) * steps + batch_size * min(self._steps_in_call, steps)
        return made // self._request.params.count, steps

    def _raise_if_cancelled(self) -> None:
        if self._is_cancelled.is_set():
            raise Cancelled

    def _composite(self, image: Image.Image, source: SourceImage | None) -> Image.Image:
        if source is None:
            return image
        vae = self._adapter.autoencoder
        if source.mask is not None and vae is not None:
            image = to_images(source.composite(to_pixels(image), vae.scale, self._model.native_size))[0]
        return source.with_lightness(image)
