"""The engine: takes jobs, denoises them together step by step, and tells how they go."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from generation.additions import NO_ADDITIONS, Additions
from generation.engine.apart import Steps
from generation.engine.batch import Share, Turns
from generation.engine.classifier import NO_CLASSIFIER, Classifier
from generation.engine.compiled import Compiled
from generation.engine.esrgan import Enlarger
from generation.engine.finisher import Finisher, Glimpse, Result
from generation.engine.loading import Pipeline, load_pipeline
from generation.engine.memory import TOO_LARGE, bearing_lack_of_memory, is_out_of_memory, release_memory
from generation.engine.pace import Pace
from generation.engine.pictures import Source, read_source
from generation.engine.run import Encoded, Rows, Run, encode, prepare
from generation.engine.second_pass import enlarge, second_pass
from generation.engine.vae import Vae
from generation.engine.variants import Variant, Variants
from generation.errors import Complaint
from generation.imprint import PLAIN, Imprint
from generation.messages import Event, Failed, Generate, Progress, Reason
from generation.models import Model

# Rows at the model's native size in one UNet call. More rows cost a CPU as much each, so company would only mean delay.
MAX_ROWS = {"cpu": 8, "mps": 8, "cuda": 32}
PREVIEW_EVERY = 1.0  # seconds; drawing one takes two milliseconds, and Discord shows one every two or three seconds
PICTURE_WAIT = 0.02  # seconds that a step without runs waits for something to be read or enlarged
OVERFLOWN = "The numbers grew too large for this device's precision. Another seed or a lower `--cfg` may help."


log = logging.getLogger(__name__)


class _Material(NamedTuple):
    """What a job's first pass begins from, besides its parameters."""

    variant: Variant
    encoded: Encoded | None = None


def _at_once(material: _Material) -> Future[Any]:
    ready: Future[Any] = Future()
    ready.set_result(material)
    return ready


@dataclass(slots=True)
class _Waiting:
    """A job whose next pass begins from what is still read, or enlarged, on another thread: a picture, LoRAs."""

    request: Generate
    material: Future[Any]
    begin: Callable[[Any], _Running]


@dataclass(slots=True)
class _Running:
    run: Run
    variant: Variant
    source: Source | None
    started: float
    previewed: float


class Engine:
    """Draws jobs with one model, all of them at once, one UNet call a step.

    All methods are for one thread. Events come through `emit`, which must be safe to call from several threads. Every
    job ends in exactly one Finished or Failed. An unknown error (any CUDA error) comes out of `step`: the process
    should end then. Engines on one device share `unet_call`, which is held by whoever uses a UNet there.
    Where memory runs out, `let_another_go` takes that of a model which draws nothing, and says whether there was one.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        emit: Callable[[Event], None],
        imprint: Imprint = PLAIN,
        classifier: Classifier = NO_CLASSIFIER,
        enlarger: Enlarger | None = None,
        unet_call: threading.Lock | None = None,
        additions: Additions = NO_ADDITIONS,
        let_another_go: Callable[[], bool] = lambda: False,
        steps: Steps | None = None,
        *,
        compiles: bool = False,
    ) -> None:
        self.model: Model = pipeline.model
        self.device = str(pipeline.device)
        self._pipeline, self._emit = pipeline, emit
        self._vae = Vae(pipeline)
        self._enlarger = enlarger
        self._variants = Variants(pipeline, additions)
        self._quick = Compiled(pipeline.unet) if compiles else None
        self._unet_call = unet_call or threading.Lock()
        self._let_another_go = let_another_go
        self._steps = steps or Steps()
        self._finisher = Finisher(self._vae, pipeline.model, emit, self._unet_call, imprint, classifier)
        self._turns = Turns(MAX_ROWS[pipeline.device.type] * pipeline.model.native_size**2)
        self._pace = Pace(pipeline.device)
        self._picture_threads = ThreadPoolExecutor(2, "pictures")
        self._waiting: dict[str, _Waiting] = {}
        self._running: dict[str, _Running] = {}

    @classmethod
    def load(cls, ref: str, device: str, emit: Callable[[Event], None]) -> Engine:
        """Load the model at `ref`, a folder or a hub id, on "auto", "cpu", "cuda", "cuda:1" or "mps".

        Raises Complaint for a model of another family, FileNotFoundError or OSError for one that is not there.
        """
        return cls(load_pipeline(ref, device, emit), emit)

    @property
    def busy(self) -> bool:
        """Say whether a step can be made."""
        return bool(self._waiting or self._running) or self._finisher.broken

    def add(self, request: Generate) -> None:
        """Take a job."""
        takes_a_while = request.source is not None or request.params.lora_set
        material = (
            self._picture_threads.submit(self._read, request)
            if takes_a_while
            else _at_once(_Material(self._variants.plain))
        )
        begin = partial(self._first_pass, request, time.monotonic())
        self._waiting[request.job_id] = _Waiting(request, material, begin)

    def _read(self, request: Generate) -> _Material:
        variant = self._variants.of(request.params)
        source = read_source(request, self._enlarger)
        vae = self._vae.endless if request.params.seamless else self._vae
        return _Material(variant, None if source is None else encode(source, vae, self._unet_call))

    def cancel(self, job_id: str) -> None:
        """End a job as cancelled, wherever it is; unknown ids are ignored."""
        waiting, running = self._waiting.pop(job_id, None), self._running.pop(job_id, None)
        if waiting:
            waiting.material.cancel()
        self._finisher.cancel(job_id)
        if waiting or running:
            self._emit(Failed(job_id, Reason.CANCELLED, "cancelled"))

    @torch.inference_mode()
    def step(self) -> None:
        """Prepare the jobs that came, make one UNet call for those that share it, and hand over what is finished."""
        if self._finisher.broken:
            raise RuntimeError("the thread that finishes pictures has died")
        self._prepare()
        if not self._running:
            return
        with self._steps.one():
            self._step()

    def _step(self) -> None:
        shares = self._turns.next_call([running.run for running in self._running.values()])
        predictions = self._predict(shares)
        if predictions is None:
            self._make_room(shares)
            return
        self._turns.note_success()
        for (run, _), prediction in zip(shares, predictions, strict=True):
            self._advance(run, prediction)
        self._pace.keep()

    def close(self) -> None:
        """Finish what is being decoded, forget the rest, and end the engine's threads."""
        self._picture_threads.shutdown(cancel_futures=True)
        if self._quick:
            self._quick.close()
        self._finisher.close()

    def _prepare(self) -> None:
        if not self._running:
            wait([waiting.material for waiting in self._waiting.values()], PICTURE_WAIT, "FIRST_COMPLETED")
        for waiting in [waiting for waiting in self._waiting.values() if waiting.material.done()]:
            del self._waiting[waiting.request.job_id]
            with self._steps.one():  # it draws the noise
                self._start(waiting)

    def _start(self, waiting: _Waiting) -> None:
        request = waiting.request
        try:
            running = waiting.begin(waiting.material.result())
        except Complaint as complaint:
            self._emit(Failed(request.job_id, Reason.COMPLAINT, str(complaint)))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            self._emit(Failed(request.job_id, Reason.OUT_OF_MEMORY, TOO_LARGE))
        else:
            self._running[request.job_id] = running
            self._hand_over_if_done(running)

    def _first_pass(self, request: Generate, started: float, material: _Material) -> _Running:
        variant, encoded = material
        run = prepare(request, encoded, variant.encoder, self._vae, self.model, self._pipeline.scheduler)
        return _Running(run, variant, None if encoded is None else encoded.source, started, started)

    def _second_pass(self, before: _Running, enlarged: Tensor) -> _Running:
        run = second_pass(before.run, enlarged, self._vae, self._pipeline.scheduler)
        return _Running(run, before.variant, None, before.started, before.previewed)

    def _predict(self, shares: Sequence[Share]) -> Sequence[Tensor] | None:
        """Ask the UNet for all shares at once; None if there was not enough memory."""
        first = shares[0].run
        unet = self._running[first.job_id].variant.unet(seamless=first.key.seamless)
        if self._quick and unet is self._pipeline.unet:  # with LoRAs, and for textures, it is another one
            unet = self._quick
        with bearing_lack_of_memory():
            rows = Rows(*map(torch.cat, zip(*(run.rows(count) for run, count in shares), strict=True)))
            with self._unet_call:
                predicted: Tensor = unet(
                    rows.latents.to(unet.dtype),
                    rows.timesteps.to(unet.device),
                    **rows.conditions,
                    return_dict=False,
                )[0]
            return torch.split(predicted, [rows for _, rows in shares])
        return None

    def _make_room(self, shares: Sequence[Share]) -> None:
        release_memory(self._pipeline.device)
        if self._let_another_go():
            return
        if self._turns.shrink(shares):
            rows = sum(rows for _, rows in shares)
            log.warning("there is not enough memory for %d rows in a call: half as many for now", rows)
        else:
            self._drop(shares[0].run, Reason.OUT_OF_MEMORY, TOO_LARGE)

    def _advance(self, run: Run, prediction: Tensor) -> None:
        try:
            if run.take(prediction):
                self._tell(self._running[run.job_id])
        except NotImplementedError:  # some samplers cannot work with models that predict the clean picture
            self._drop(
                run, Reason.COMPLAINT, f"This model cannot be used with the sampler {run.request.params.sampler}."
            )
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            release_memory(self._pipeline.device)
            self._drop(run, Reason.OUT_OF_MEMORY, TOO_LARGE)

    def _drop(self, run: Run, reason: Reason, text: str) -> None:
        self._running.pop(run.job_id, None)  # it is gone already where there was no memory for handing it over
        self._emit(Failed(run.job_id, reason, text))

    def _tell(self, running: _Running) -> None:
        """Report a step, with a preview now and then."""
        run = running.run
        self._emit(Progress(run.job_id, *run.progress))
        now = time.monotonic()
        if not run.done and now - running.previewed >= PREVIEW_EVERY:
            running.previewed = now
            self._finisher.preview(Glimpse(run.job_id, *run.progress, run.predicted_clean()))
        self._hand_over_if_done(running)

    def _hand_over_if_done(self, running: _Running) -> None:
        run = running.run
        if not run.done:
            return
        del self._running[run.job_id]
        if not run.latents.isfinite().all():  # it would be black
            self._emit(Failed(run.job_id, Reason.COMPLAINT, OVERFLOWN))
        elif run.is_last:
            self._finisher.finish(Result(run.request, run.result, running.started, running.source))
        else:
            enlarged = self._picture_threads.submit(enlarge, run, self._vae, self._unet_call)
            self._waiting[run.job_id] = _Waiting(run.request, enlarged, partial(self._second_pass, running))
