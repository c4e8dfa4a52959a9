"""Load models and build the engine for their family."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError

from generation.engine.base import Emit, Engine
from generation.engine.denoising.engine import DenoisingEngine
from generation.engine.device.availability import no_fp8
from generation.engine.device.device import choose_device, multiplies_fp8, require_device
from generation.engine.device.dtype_guard import StepGate, guard_default_dtype
from generation.engine.device.oom import DEVICE_ERROR, is_out_of_memory
from generation.engine.images.upscaler import Upscaler
from generation.engine.networks.control import ControlNetworks
from generation.engine.networks.download_progress import report_downloads
from generation.engine.networks.family_detection import detect_family
from generation.engine.networks.image_adapter import ImageAdapterNetworks
from generation.engine.networks.load_check import find_load_problem
from generation.engine.networks.model_size import expected_size
from generation.engine.networks.pipeline_loader import NETWORKS, load_pipeline
from generation.engine.output.safety_classifier import load_classifier
from generation.errors import ModelUnreachable, UserError, first_line
from generation.files.metadata import DEFAULT_METADATA_POLICY, MetadataPolicy
from generation.messages import Loading
from generation.models.adapters import NO_ADAPTERS, Adapters
from generation.models.catalogue import PIPELINE_ONLY
from generation.models.files.model_files import require_local_files
from generation.models.files.upscaler import UpscalerInfo
from generation.models.model import Model

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A loaded model, on the device or in RAM.

    `create_engine` builds its engine once it is on the device. Its arguments are `emit`, and a callback that evicts an
    idle model. `controls` and `image_adapters` are those that its jobs have used, which count as part of it.
    """

    model: Model
    modules: Sequence[Any]
    create_engine: Callable[[Emit, Callable[[], bool]], Engine]
    controls: ControlNetworks | None = None
    image_adapters: ImageAdapterNetworks | None = None

    @property
    def size(self) -> int:
        """Return the bytes of all weights."""
        modules = torch.nn.ModuleList(self._all_modules())  # it counts shared weights once
        return sum(tensor.nbytes for tensor in (*modules.parameters(), *modules.buffers()))

    def move(self, device: torch.device) -> None:
        """Move the weights to another device."""
        for module in self._all_modules():
            module.to(device)

    def _all_modules(self) -> list[Any]:
        controls = self.controls.modules if self.controls else ()
        return [*self.modules, *controls, *(self.image_adapters.modules if self.image_adapters else ())]


class ModelLoader:
    """Loads models onto a device; what their engines share is loaded once.

    `classifier` is the folder or hub id of a safety classifier. With `fp8`, UNets multiply in 8 bits. Raises
    DeviceUnavailable, also if the device cannot do that, and the errors of `load_classifier`.
    """

    def __init__(
        self,
        device: str,
        metadata_policy: MetadataPolicy = DEFAULT_METADATA_POLICY,
        classifier: str = "",
        upscaler_info: UpscalerInfo | None = None,
        adapters: Adapters = NO_ADAPTERS,
        *,
        compile_unets: bool = False,
        fp8: bool = False,
    ) -> None:
        require_device(device)
        self.device, self._precision = choose_device(device)
        if fp8 and not multiplies_fp8(self.device):
            raise no_fp8(str(self.device))
        self._metadata_policy = metadata_policy
        self._classifier = load_classifier(classifier)  # first: it is small, and may be misconfigured
        self._upscaler = Upscaler(upscaler_info, self.device) if upscaler_info else None
        self._adapters, self._compile_unets, self._fp8 = adapters, compile_unets, fp8
        self._unet_lock, self._step_gate = threading.Lock(), StepGate()

    def expected_size(self, model: Model) -> int:
        """Estimate how many bytes a model's weights take on the device."""
        return expected_size(model, self._weight_dtype(model).itemsize)

    def _weight_dtype(self, model: Model) -> torch.dtype:
        if model.family not in PIPELINE_ONLY:
            return self._precision
        from generation.engine.pipelines.loader import family_dtype

        return family_dtype(model.family, self._precision)

    def load(self, model: Model, report: Callable[[Loading], None]) -> LoadedModel:
        """Load a model; only this method knows which family uses which engine.

        Raises UserError for a model that is unsupported or damaged, FileNotFoundError or OSError for a missing one.
        """
        require_local_files(model)
        try:
            return self._load(model, report)
        except Exception as error:
            raise _explain(model, error) from error

    def _load(self, model: Model, report: Callable[[Loading], None]) -> LoadedModel:
        with report_downloads(model, report) as report, guard_default_dtype(self._step_gate):
            model = detect_family(model)
            return (
                self._load_pipeline_model(model, report)
                if model.family in PIPELINE_ONLY
                else self._load_unet_model(model, report)
            )

    def _load_pipeline_model(self, model: Model, report: Callable[[Loading], None]) -> LoadedModel:
        # Imported on demand: these pipelines take half a second to import, and warn about missing packages.
        from generation.engine.pipelines.loader import load_pipeline_adapter
        from generation.engine.pipelines.pipeline_engine import PipelineEngine

        adapter = load_pipeline_adapter(model, self.device, self._precision, report)

        def create_engine(emit: Emit, evict_idle_model: Callable[[], bool]) -> Engine:
            return PipelineEngine(
                adapter,
                model,
                self.device,
                emit,
                self._metadata_policy,
                self._classifier,
                self._upscaler,
                evict_idle_model,
                self._step_gate,
            )

        return LoadedModel(model, adapter.networks, create_engine)

    def _load_unet_model(self, model: Model, report: Callable[[Loading], None]) -> LoadedModel:
        pipeline = load_pipeline(model.ref, str(self.device), report, fp8=self._fp8)
        modules = [module for part in NETWORKS if (module := getattr(pipeline, part)) is not None]
        controls, images = ControlNetworks(pipeline, self._adapters), ImageAdapterNetworks(pipeline, self._adapters)

        def create_engine(emit: Emit, evict_idle_model: Callable[[], bool]) -> Engine:
            engine = DenoisingEngine(
                pipeline,
                emit,
                self._metadata_policy,
                self._classifier,
                self._upscaler,
                self._unet_lock,
                self._adapters,
                evict_idle_model,
                self._step_gate,
                controls,
                images,
                compile_unet=self._compile_unets,
            )
            engine.warm_up()
            return engine

        return LoadedModel(pipeline.model, modules, create_engine, controls, images)


def _explain(model: Model, error: Exception) -> Exception:
    """Return the error to raise when a model could not be loaded: about its files unless another try may succeed."""
    if isinstance(error, UserError | MemoryError):
        return error
    if isinstance(error, RuntimeError) and (is_out_of_memory(error) or DEVICE_ERROR.search(str(error))):
        return error
    if problem := find_load_problem(model):
        return problem
    if isinstance(error, OSError) and not Path(model.ref).exists():  # the hub may answer later
        return _explain_download(model, error)
    log.info("%s cannot be loaded", model.ref, exc_info=error)
    return UserError(f"{model.ref} cannot be loaded: {type(error).__name__}: {first_line(error)}")


def _explain_download(model: Model, error: OSError) -> OSError:
    """Return what kept a model from being downloaded: diffusers says of each failure that a file is missing."""
    causes = list(_causes(error))
    if any(isinstance(cause, LocalEntryNotFoundError) for cause in causes):
        return ModelUnreachable(f"{model.ref} is not on this machine, and huggingface.co cannot be reached")
    if any(isinstance(cause, RepositoryNotFoundError) for cause in causes):
        return ModelUnreachable(f"huggingface.co has no {model.ref}, or only for those with access: see HF_TOKEN")
    return error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
