"""The engine: accept jobs, denoise them together step by step, and report their progress."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from generation.engine.denoising.advance import advance, group_by_canvas
from generation.engine.denoising.batching import Batcher, BatchSlice
from generation.engine.denoising.control import Control, control_conditions, encode_controls
from generation.engine.denoising.hires import prepare_hires_pass, upscale_latents
from generation.engine.denoising.image_prompts import ImagePrompt, read_image_prompts
from generation.engine.denoising.job import DenoisingJob
from generation.engine.denoising.job_setup import (
    EncodedPictures,
    check_size,
    encode_source,
    is_upscale,
    pass_strengths,
    prepare_job,
)
from generation.engine.denoising.model_variants import ModelVariant, ModelVariants
from generation.engine.denoising.original import encode_original
from generation.engine.denoising.post_processor import DenoisingResult, PostProcessor, PreviewRequest
from generation.engine.denoising.reading import ReadingJob
from generation.engine.denoising.reading_setup import prepare_reading
from generation.engine.denoising.rows import Rows, join_rows
from generation.engine.denoising.style import encode_style
from generation.engine.denoising.usual_rows import usual_params, usual_rows
from generation.engine.device.dtype_guard import StepGate
from generation.engine.device.gpu_sync import StepThrottle
from generation.engine.device.oom import (
    OOM_MESSAGE,
    OVERFLOW_MESSAGE,
    is_out_of_memory,
    release_memory,
    suppress_oom,
)
from generation.engine.device.side_stream import SideStream
from generation.engine.images.io import SourceImage, read_source
from generation.engine.images.upscaler import Upscaler
from generation.engine.networks.compiled import CompiledUnet
from generation.engine.networks.control import ControlNetwork, ControlNetworks
from generation.engine.networks.image_adapter import ImageAdapterNetworks
from generation.engine.networks.image_attention import attending_to
from generation.engine.networks.pipeline_loader import Pipeline, load_pipeline
from generation.engine.networks.row_buckets import bucket_of, call_padded
from generation.engine.networks.sampler_tables import SamplerTables
from generation.engine.networks.vae import Vae
from generation.engine.output.previews import PREVIEW_INTERVAL_S
from generation.engine.output.safety_classifier import NO_CLASSIFIER, SafetyClassifier
from generation.engine.output.trail import Trail
from generation.errors import UserError
from generation.files.metadata import DEFAULT_METADATA_POLICY, MetadataPolicy
from generation.messages import Event, Failed, FailureReason, Generate, Progress, Read
from generation.models.adapters import NO_ADAPTERS, Adapters
from generation.models.model import Model
from generation.planning.compute_cost import HIRES_FACTOR, has_hires_pass
from generation.planning.control import has_control

# Rows at the model's native size in one UNet call. On a CPU each further row costs as much, so batching adds delay.
MAX_ROWS = {"cpu": 8, "mps": 8}
MAX_GPU_ROWS = 32
INPUT_WAIT_S = 0.02  # seconds that a step without running jobs waits for inputs to be read or upscaled

ResultT = TypeVar("ResultT")

log = logging.getLogger(__name__)


class _JobInputs(NamedTuple):
    """The inputs of a job's first pass, beside its parameters."""

    variant: ModelVariant
    pictures: EncodedPictures = EncodedPictures()


class _HiresInputs(NamedTuple):
    """The inputs of a job's second pass."""

    upscaled: Tensor
    controls: tuple[Control, ...]
    original: Tensor | None


def _completed_future(inputs: _JobInputs) -> Future[Any]:
    ready: Future[Any] = Future()
    ready.set_result(inputs)
    return ready


@dataclass(slots=True)
class _WaitingJob:
    """A job whose next pass needs `inputs` that another thread still reads or upscales: an image, LoRAs.

    `again` reads them once more; `is_retry` says that they were read before.
    """

    request: Generate
    inputs: Future[Any]
    begin: Callable[[Any], _ActiveJob]
    again: Callable[[], None] | None = None
    is_retry: bool = False


@dataclass(slots=True)
class _ActiveJob:
    job: DenoisingJob | ReadingJob
    variant: ModelVariant
    source: SourceImage | None
    started: float
    previewed_at: float
    trail: Trail | None = None


class DenoisingEngine:
    """Generates jobs with one model, all of them together, one UNet call per step.

    Call all methods from one thread. Events go through `emit`, which must be safe to call from several threads. Every
    job ends in exactly one Finished, Read or Failed. An unexpected error (such as any CUDA error) is raised by `step`:
    the process should then end. Engines on one device share `unet_lock`, which is held while a UNet runs there. When
    memory runs out, `evict_idle_model` frees the memory of an idle model, and returns whether there was one.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        emit: Callable[[Event], None],
        metadata_policy: MetadataPolicy = DEFAULT_METADATA_POLICY,
        classifier: SafetyClassifier = NO_CLASSIFIER,
        upscaler: Upscaler | None = None,
        unet_lock: threading.Lock | None = None,
        adapters: Adapters = NO_ADAPTERS,
        evict_idle_model: Callable[[], bool] = lambda: False,
        step_gate: StepGate | None = None,
        controls: ControlNetworks | None = None,
        image_adapters: ImageAdapterNetworks | None = None,
        *,
        compile_unet: bool = False,
    ) -> None:
        self.model: Model = pipeline.model
        self.device = str(pipeline.device)
        self._pipeline, self._emit = pipeline, emit
        self._unet_dtype: torch.dtype = pipeline.unet.dtype  # read once: diffusers walks through all modules for it
        self._unet_channels: int = pipeline.unet.config.in_channels
        self._vae = Vae(pipeline)
        self._samplers = SamplerTables(pipeline.scheduler, pipeline.device)
        self._upscaler, self._variants = upscaler, ModelVariants(pipeline, adapters)
        self._controls = controls or ControlNetworks(pipeline, adapters)
        self._image_adapters = image_adapters or ImageAdapterNetworks(pipeline, adapters)
        self._has_row_buckets = pipeline.device.type == "cuda"
        self._compiled = CompiledUnet(pipeline.unet) if compile_unet else None
        self._unet_lock = unet_lock or threading.Lock()
        self._evict_idle_model = evict_idle_model
        self._step_gate = step_gate or StepGate()
        self._post_processor = PostProcessor(
            self._vae, pipeline.model, emit, self._unet_lock, metadata_policy, classifier
        )
        self._max_rows = MAX_ROWS.get(pipeline.device.type, MAX_GPU_ROWS)
        self._batcher = Batcher(self._max_rows * pipeline.model.native_size**2)
        self._throttle = StepThrottle(pipeline.device)
        self._image_threads, self._image_stream = ThreadPoolExecutor(2, "images"), SideStream(pipeline.device)
        self._waiting: dict[str, _WaitingJob] = {}
        self._running: dict[str, _ActiveJob] = {}

    @classmethod
    def load(cls, ref: str, device: str, emit: Callable[[Event], None]) -> DenoisingEngine:
        """Load the model at `ref`, a folder or a hub id, on "auto", "cpu", "cuda", "cuda:1" or "mps".

        Raises UserError for a model of an unsupported family, FileNotFoundError or OSError for a missing one.
        """
        return cls(load_pipeline(ref, device, emit), emit)

    @property
    def busy(self) -> bool:
        """Return whether there is a step to make."""
        return bool(self._waiting or self._running) or self._post_processor.broken

    def add(self, request: Generate) -> None:
        """Accept a job."""
        if request.trail:
            self._post_processor.develop(request)
        else:
            self._await_inputs(request, is_retry=False)

    def _await_inputs(self, request: Generate, *, is_retry: bool) -> None:
        inputs = (
            self._image_threads.submit(self._load_inputs, request)
            if self._needs_loading(request)
            else _completed_future(_JobInputs(self._variants.base))
        )
        begin = partial(self._first_pass, request, time.monotonic())
        again = partial(self._await_inputs, request, is_retry=True)
        self._waiting[request.job_id] = _WaitingJob(request, inputs, begin, again, is_retry)

    def _needs_loading(self, request: Generate) -> bool:
        pictures = request.source, request.style, request.control, request.original
        if request.params.lora_set or request.params.adapter_set or any(picture is not None for picture in pictures):
            return True
        return not all(self._samplers.has(request.params, strength) for strength in pass_strengths(request))

    def _load_inputs(self, request: Generate) -> _JobInputs:
        with self._step_gate.step():  # a table must not be read while the default dtype is another
            for strength in pass_strengths(request):
                self._samplers.get(request.params, strength)
        variant = self._variants.get(request.params)
        source = read_source(request, self._upscaler)
        vae = self._vae.suited(request.params)
        networks = self._control_networks(request, source)
        with self._image_stream.after(None):
            pictures = EncodedPictures(
                None if source is None else encode_source(source, vae, self._unet_lock),
                encode_style(request, vae, self.model, self._unet_lock),
                encode_controls(request, networks),
                self._read_image_prompts(request, source),
                encode_original(request, self._vae, self._pipeline, self._unet_lock),
            )
            self._image_stream.finish(*pictures.tensors)
        return _JobInputs(variant, pictures)

    def _control_networks(self, request: Generate, source: SourceImage | None) -> tuple[ControlNetwork, ...]:
        """Return the ControlNets that guide a request; an enlarged image needs no guidance."""
        if not has_control(request.params) or is_upscale(request.params, source):
            return ()
        check_size(request.params.width, request.params.height, self._vae)
        return self._controls.get(request.params)

    def _read_image_prompts(self, request: Generate, source: SourceImage | None) -> tuple[ImagePrompt, ...]:
        """Return what IP-Adapters see of a request's images; an enlarged image has them already."""
        if is_upscale(request.params, source):
            return ()
        return read_image_prompts(request, self._image_adapters, self.model)

    def _upscale(self, job: DenoisingJob, mark: Any) -> _HiresInputs:
        """Return a first pass's latents at twice their size, and its controls; raises UserError if they overflowed."""
        with self._image_stream.after(mark, job.result):
            if not job.result.isfinite().all():
                raise UserError(OVERFLOW_MESSAGE)
            upscaled = upscale_latents(job, self._vae, self._unet_lock)
            controls = encode_controls(job.request, job.networks, HIRES_FACTOR)
            original = encode_original(job.request, self._vae, self._pipeline, self._unet_lock, HIRES_FACTOR)
            pictures = [control.picture for control in controls] + ([] if original is None else [original])
            self._image_stream.finish(upscaled, *pictures)
        return _HiresInputs(upscaled, controls, original)

    def cancel(self, job_id: str) -> None:
        """End a job as cancelled, wherever it is; unknown ids are ignored."""
        waiting, running = self._waiting.pop(job_id, None), self._running.pop(job_id, None)
        if waiting:
            waiting.inputs.cancel()
        self._post_processor.cancel(job_id)
        if waiting or running:
            self._emit(Failed(job_id, FailureReason.CANCELLED, "cancelled"))

    @torch.inference_mode()
    def step(self) -> None:
        """Prepare new jobs, make one UNet call for those that share it, and hand over finished ones."""
        if self._post_processor.broken:
            raise RuntimeError("the post-processing thread has died")
        self._prepare()
        if not self._running:
            return
        with self._step_gate.step():
            self._step()

    def _step(self) -> None:
        slices = self._batcher.next_batch([running.job for running in self._running.values()])
        predictions = self._predict(slices)
        if predictions is None:
            self._handle_out_of_memory(slices)
            return
        self._batcher.record_success()
        self._advance(slices, predictions)
        self._throttle.wait()

    def warm_up(self) -> None:
        """Read the usual sampler's table, and compile the UNet for one grid if it is to be compiled.

        Compiling it for several grids in one call begins as well.
        """
        with suppress(UserError):  # a job that asks for it gets the error
            self._samplers.get(usual_params(self.model), 1.0)
        if self._compiled:
            grids = usual_rows(self.model, self._variants.base.encoder, self._vae, self._samplers, self._max_rows)
            self._compiled.warm_up(map(self._given, grids))

    def close(self) -> None:
        """Finish what is being decoded, drop the rest, and stop the engine's threads."""
        self._image_threads.shutdown(cancel_futures=True)
        if self._compiled:
            self._compiled.close()
        self._post_processor.close()

    def _prepare(self) -> None:
        if not self._running:
            wait([waiting.inputs for waiting in self._waiting.values()], INPUT_WAIT_S, "FIRST_COMPLETED")
        for waiting in [waiting for waiting in self._waiting.values() if waiting.inputs.done()]:
            del self._waiting[waiting.request.job_id]
            with self._step_gate.step():  # it samples the noise
                self._start(waiting)

    def _start(self, waiting: _WaitingJob) -> None:
        request = waiting.request
        try:
            running = waiting.begin(waiting.inputs.result())
        except UserError as error:
            self._emit(Failed(request.job_id, FailureReason.USER_ERROR, str(error)))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            release_memory(self._pipeline.device)
            if waiting.again and self._make_room(with_networks=not waiting.is_retry):
                waiting.again()
                return
            self._emit(Failed(request.job_id, FailureReason.OUT_OF_MEMORY, OOM_MESSAGE))
        else:
            self._running[request.job_id] = running
            self._finish_if_done(running)

    def _first_pass(self, request: Generate, started: float, inputs: _JobInputs) -> _ActiveJob:
        variant, pictures = inputs
        if request.params.reading is not None:
            reading = prepare_reading(
                request, pictures.source, variant.encoder, self._vae, self._pipeline.scheduler, self.model
            )
            return _ActiveJob(reading, variant, None, started, started)
        job = prepare_job(request, pictures, variant.encoder, self._vae, self.model, self._samplers)
        source = None if pictures.source is None else pictures.source.source
        return _ActiveJob(job, variant, source, started, started, _trail(job))

    def _hires_pass(self, before: _ActiveJob, inputs: _HiresInputs) -> _ActiveJob:
        assert isinstance(before.job, DenoisingJob)
        job = prepare_hires_pass(before.job, vae=self._vae, samplers=self._samplers, **inputs._asdict())
        return _ActiveJob(job, before.variant, before.source, before.started, before.previewed_at, before.trail)

    def _predict(self, slices: Sequence[BatchSlice]) -> Sequence[Tensor] | None:
        """Run the UNet on all slices at once; None if memory ran out."""
        first = slices[0].job
        key = first.key
        variant = self._running[first.job_id].variant
        with suppress_oom():
            rows = join_rows([job.next_rows(count) for job, count in slices])
            unet = variant.unet(seamless=key.seamless, leaders=key.leaders, images=bool(rows.images))
            if self._compiled and unet is self._pipeline.unet:  # LoRAs, seamless images and others use copies
                unet = self._compiled
            with self._unet_lock, attending_to(rows.images):
                predicted = self._call(unet, rows, seamless=key.seamless)
            return torch.split(predicted, [each.rows_in_call for each in slices])
        return None

    def _call(self, unet: Any, rows: Rows, *, seamless: bool) -> Tensor:
        """Return the UNet's output; on a GPU with one of few numbers of rows, each of which it plans for once."""
        count = (bucket_of(len(rows)) if self._has_row_buckets else None) or len(rows)
        latents, timesteps, conditions = self._given(rows)
        conditions |= control_conditions(rows, latents, conditions, seamless=seamless)
        return call_padded(unet, count, latents, timesteps, conditions)[0]

    def _given(self, rows: Rows) -> tuple[Tensor, Tensor, dict[str, Any]]:
        """Return the UNet's latents, timesteps and conditions."""
        latents = rows.inputs(self._unet_channels).to(self._unet_dtype)
        return latents, rows.timesteps, rows.conditions | {"return_dict": False}

    def _handle_out_of_memory(self, slices: Sequence[BatchSlice]) -> None:
        release_memory(self._pipeline.device)
        if self._make_room():
            return
        if self._batcher.halve(slices):
            rows = sum(each.rows_in_call for each in slices)
            log.warning("not enough memory for %d rows in a UNet call: using half as many for now", rows)
        else:
            self._fail(slices[0].job, FailureReason.OUT_OF_MEMORY, OOM_MESSAGE)

    def _make_room(self, *, with_networks: bool = True) -> bool:
        """Give up what no running job uses; return whether there was something.

        IP-Adapters and ControlNets go before models, but only once for a job whose inputs need them: it reads them
        again.
        """
        if with_networks and self._release_networks():
            release_memory(self._pipeline.device)
            return True
        return self._evict_idle_model()

    def _release_networks(self) -> bool:
        jobs = (running.job for running in self._running.values())
        used = {network for job in jobs if isinstance(job, DenoisingJob) for network in job.networks}
        released = self._image_adapters.release(), self._controls.release(used)
        return any(released)

    def _advance(self, slices: Sequence[BatchSlice], predictions: Sequence[Tensor]) -> None:
        """Make the step of each job that has all its predictions now, those of one canvas size together."""
        complete = [
            job
            for (job, _), prediction in zip(slices, predictions, strict=True)
            if self._in_memory(job, partial(job.add_prediction, prediction))
        ]
        for group in group_by_canvas([job for job in complete if isinstance(job, DenoisingJob)]):
            with suppress_oom():
                advance(group)
                continue
            release_memory(self._pipeline.device)
            for job in group:
                self._in_memory(job, partial(advance, [job]))
        for job in complete:
            if job.job_id in self._running:
                self._in_memory(job, partial(self._report_progress, self._running[job.job_id]))

    def _in_memory(self, job: DenoisingJob | ReadingJob, work: Callable[[], ResultT]) -> ResultT | None:
        """Do a job's part of a step; if memory runs out, fail that job alone and return None."""
        with suppress_oom():
            return work()
        release_memory(self._pipeline.device)
        self._fail(job, FailureReason.OUT_OF_MEMORY, OOM_MESSAGE)
        return None

    def _fail(self, job: DenoisingJob | ReadingJob, reason: FailureReason, text: str) -> None:
        self._running.pop(job.job_id, None)  # already removed if memory ran out while it was handed over
        self._emit(Failed(job.job_id, reason, text))

    def _report_progress(self, running: _ActiveJob) -> None:
        """Report a step, with a preview if one is due."""
        job = running.job
        self._emit(Progress(job.job_id, *job.progress))
        if isinstance(job, DenoisingJob):
            _keep_step(running.trail, job)
        now = time.monotonic()
        if isinstance(job, DenoisingJob) and not job.done and now - running.previewed_at >= PREVIEW_INTERVAL_S:
            running.previewed_at = now
            self._post_processor.preview(PreviewRequest(job.job_id, *job.progress, job.predict_original_sample()))
        if isinstance(job, ReadingJob) and job.is_answered:
            self._think(running, job)
        else:
            self._finish_if_done(running)

    def _think(self, running: _ActiveJob, job: ReadingJob) -> None:
        """Let a reading ask further: on another thread where that waits for the device."""
        if not self._image_stream.is_asynchronous:
            job.think()
            self._finish_if_done(running)
            return
        del self._running[job.job_id]
        mark = self._image_stream.handover()

        def think() -> None:
            with self._image_stream.after(mark, *job.answers):
                job.think()

        thought = self._image_threads.submit(think)
        self._waiting[job.job_id] = _WaitingJob(job.request, thought, lambda _: running)

    def _finish_if_done(self, running: _ActiveJob) -> None:
        job = running.job
        if not job.done:
            return
        del self._running[job.job_id]
        if isinstance(job, ReadingJob):
            seconds = time.monotonic() - running.started
            self._emit(Read(job.job_id, replace(job.result, seconds=seconds)))
        elif job.is_last_pass:
            trail = () if running.trail is None else tuple(running.trail.latents)
            result = DenoisingResult(job.request, job.result, running.started, running.source, trail)
            self._post_processor.finish(result)
        else:
            upscaled = self._image_threads.submit(self._upscale, job, self._image_stream.handover())
            self._waiting[job.job_id] = _WaitingJob(job.request, upscaled, partial(self._hires_pass, running))


def _keep_step(trail: Trail | None, job: DenoisingJob) -> None:
    """Add a step to the trail of a job that becomes a video; its last one is the result itself."""
    if trail is not None and trail.wants(*job.progress) and not (job.done and job.is_last_pass):
        trail.add(job.predict_original_sample())


def _trail(job: DenoisingJob) -> Trail | None:
    """Return an empty trail for a job that becomes a video, else None."""
    if not job.request.params.video:
        return None
    latents = job.result.numel() * (HIRES_FACTOR**2 if has_hires_pass(job.request.params) else 1)
    return Trail(latents * torch.float16.itemsize)
