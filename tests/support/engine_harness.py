"""An engine under observation: its events, its final latents, and its UNet calls."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import wait
from contextlib import contextmanager, suppress
from typing import Any
from unittest.mock import patch
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from generation.engine.denoising import engine as engine_module
from generation.engine.denoising import post_processor
from generation.engine.denoising.engine import DenoisingEngine
from generation.engine.denoising.job_setup import pass_strengths
from generation.engine.denoising.post_processor import DenoisingResult
from generation.engine.networks.pipeline_loader import Pipeline
from generation.engine.networks.sampler_tables import SamplerTables
from generation.engine.networks.vae import Vae
from generation.engine.output.previews import LatentPreviewer
from generation.errors import UserError
from generation.files.metadata import DEFAULT_METADATA_POLICY, MetadataPolicy
from generation.messages import Event, Failed, Finished, Generate, Progress, Read, Reading
from generation.models.adapters import NO_ADAPTERS, Adapters
from generation.params import Params, PromptPart
from tests.support.timing import TIMEOUT_S

UPLOAD_LIMIT = 10_000_000
_previewers: dict[tuple[object, ...], LatentPreviewer] = {}
_digests: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
_tables: dict[tuple[object, ...], SamplerTables] = {}


def fit_previewer(vae: Vae) -> LatentPreviewer:
    """Return what draws the previews of a VAE; to fit it takes longer than most tests, so equal ones are fitted once.

    Most tests that load a model of their own have the VAE of another test, with the same random weights.
    """
    network = vae._vae
    if network not in _digests:
        _digests[network] = _digest(network)
    key = (_digests[network], network.dtype, vae.device, vae.side)
    if key not in _previewers:
        _previewers[key] = LatentPreviewer(vae)
    return _previewers[key]


def _digest(network: Any) -> str:
    """Return what differs between networks of other weights or settings."""
    digest = hashlib.sha256()
    for weight in network.state_dict().values():
        digest.update(weight.cpu().contiguous().flatten().view(torch.uint8).numpy())
    settings = sorted((name, str(value)) for name, value in network.config.items() if not name.startswith("_"))
    return f"{digest.hexdigest()} {settings}"


def share_tables(scheduler: Any, device: torch.device) -> SamplerTables:
    """Return the tables of a model's samplers: one for all engines whose models have the same scheduler."""
    key = (type(scheduler), str(sorted(scheduler.config.items())), device)
    return _tables.setdefault(key, SamplerTables(scheduler, device))


class PreparedEngine(DenoisingEngine):
    """An engine that has been asked for every sampler before, so that a job begins with the next step."""

    def add(self, request: Generate) -> None:
        """Accept a job."""
        with suppress(UserError):
            for strength in pass_strengths(request):
                self._samplers.get(request.params, strength)
        super().add(request)


class EngineHarness:
    """An engine, its events, the final latents by job, the rows of each UNet call, and the pixels of all calls."""

    def __init__(
        self,
        pipeline: Pipeline,
        metadata_policy: MetadataPolicy = DEFAULT_METADATA_POLICY,
        adapters: Adapters = NO_ADAPTERS,
    ) -> None:
        self.events: list[Event] = []
        self.latents: dict[str, Tensor] = {}
        self.calls: list[int] = []
        self.pixels = 0
        self._received = threading.Condition()
        shared = patch.object(post_processor, "LatentPreviewer", fit_previewer)
        with shared, patch.object(engine_module, "SamplerTables", share_tables):
            self.engine = PreparedEngine(pipeline, self._on_event, metadata_policy, adapters=adapters)
        self._hook = pipeline.unet.register_forward_pre_hook(lambda _, inputs: self._record_call(inputs[0]))
        self._record_latents()

    def generate(self, *requests: Generate) -> list[Finished | Failed]:
        """Generate the requests together and return their ends, in the order of the requests."""
        self.add(*requests)
        self.run_until_idle()
        return [self.wait_for_end(request.job_id) for request in requests]

    def denoise(self, *requests: Generate) -> list[Tensor]:
        """Denoise the requests together and return their latents, in the order of the requests; none becomes images."""
        with self.without_images():
            self.add(*requests)
            self.run_until_idle()
        return [self.latents[request.job_id] for request in requests]

    @contextmanager
    def without_images(self) -> Iterator[None]:
        """Keep only the latents of the jobs that are denoised meanwhile."""
        with patch.object(self.engine._post_processor, "finish", self._keep_latents):
            yield

    def add(self, *requests: Generate) -> None:
        """Accept jobs that all begin with the next step, also those whose pictures are read first."""
        for request in requests:
            self.engine.add(request)
        wait([waiting.inputs for waiting in self.engine._waiting.values()], TIMEOUT_S)

    def read(self, *requests: Generate) -> list[Reading]:
        """Read what the requests ask about, all together, and return the results in their order."""
        for request in requests:
            self.engine.add(request)
        self.run_until_idle()
        found = {event.job_id: event.reading for event in self.events if isinstance(event, Read)}
        return [found[request.job_id] for request in requests]

    def run_until_idle(self) -> None:
        """Step as the GPU process does."""
        while self.engine.busy:
            self.engine.step()

    def wait_for_end(self, job_id: str) -> Finished | Failed:
        """Wait for a job's end."""
        with self._received:
            assert self._received.wait_for(lambda: self.end_events(job_id), TIMEOUT_S), f"{job_id} has not ended"
        return self.end_events(job_id)[0]

    def end_events(self, job_id: str) -> list[Finished | Failed]:
        """Return all ends of a job; there should be one."""
        return [event for event in self.events if isinstance(event, Finished | Failed) and event.job_id == job_id]

    def progress(self, job_id: str) -> list[Progress]:
        """Return a job's progress, without the previews."""
        progress = [event for event in self.events if isinstance(event, Progress)]
        return [event for event in progress if event.job_id == job_id and event.preview is None]

    def previews(self) -> list[Progress]:
        """Return the previews so far."""
        return [event for event in self.events if isinstance(event, Progress) and event.preview]

    def wait_for_preview(self) -> Progress:
        """Wait for a step with a preview."""
        with self._received:
            assert self._received.wait_for(self.previews, TIMEOUT_S)
        return self.previews()[0]

    def close(self) -> None:
        """Close the engine."""
        self._hook.remove()
        self.engine.close()

    def _on_event(self, event: Event) -> None:
        with self._received:
            self.events.append(event)
            self._received.notify_all()

    def _record_call(self, latents: Tensor) -> None:
        rows, _, height, width = latents.shape
        self.calls.append(rows)
        self.pixels += rows * height * width * self.engine._vae.scale**2

    def _record_latents(self) -> None:
        post_processor = self.engine._post_processor
        finish = post_processor.finish

        def recorded(result: DenoisingResult) -> None:
            self._keep_latents(result)
            finish(result)

        post_processor.finish = recorded  # type: ignore[method-assign]

    def _keep_latents(self, result: DenoisingResult) -> None:
        self.latents[result.request.job_id] = result.latents.clone()


def make_params(text: str = "a red fox", **changes: Any) -> Params:
    """Return params for the tiny model: one 64×64 tile in two steps, unless changed."""
    values: dict[str, Any] = {
        "parts": (PromptPart(text),),
        "width": 64,
        "height": 64,
        "seed": 5,
        "num_inference_steps": 2,
        "guidance_scale": 5.0,
        "count": 1,
    }
    return Params(**values | changes)


def make_request(job_id: str, params: Params | None = None, *, order: int = 0, **more: Any) -> Generate:
    """Return the request of a job."""
    values = {"upload_limit": UPLOAD_LIMIT} | more
    return Generate(job_id=job_id, params=params or make_params(), order=order, **values)


def limit_unet_rows(pipeline: Pipeline, rows: int) -> Any:
    """Make the UNet run out of memory for more than `rows`; `remove()` of the returned hook ends this."""

    def refuse(_: Any, inputs: tuple[Tensor, ...]) -> None:
        if len(inputs[0]) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    return pipeline.unet.register_forward_pre_hook(refuse)


def assert_close(mine: Tensor, theirs: Tensor, tolerance: float = 1e-4, what: str = "") -> None:
    """Check that latents agree within `tolerance` of their range; a failure names `what` they are."""
    assert mine.shape == theirs.shape, what
    assert torch.isfinite(mine).all(), what
    spread = float(theirs.max() - theirs.min())
    assert float((mine - theirs).abs().max()) <= tolerance * spread, what


def run_staggered(harness: EngineHarness, requests: Iterable[Generate], steps_between: int) -> None:
    """Add the requests one after the other, some steps apart, and denoise all of them."""
    with harness.without_images():
        for request in requests:
            harness.add(request)
            for _ in range(steps_between):
                harness.engine.step()
        harness.run_until_idle()
