"""Of a model's description an engine that draws with it: what is loaded, where to, and what all engines share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from generation.additions import NO_ADDITIONS, Additions
from generation.catalogue import DRAWN_WHOLE
from generation.child import Emit, Engine
from generation.engine.apart import Steps, apart_from
from generation.engine.classifier import load_classifier
from generation.engine.downloads import told_of_downloads
from generation.engine.engine import Engine as DenoisingEngine
from generation.engine.esrgan import Enlarger
from generation.engine.families import settled
from generation.engine.loading import NETWORKS, choose_device, load_pipeline
from generation.engine.weights import expected_size
from generation.imprint import PLAIN, Imprint
from generation.messages import Loading
from generation.models import Model
from generation.upscaler import Upscaler


@dataclass(frozen=True, slots=True)
class Networks:
    """A loaded model, on the device or in RAM.

    `begin` makes an engine of it once it is on the device, which is given a way to let another model go.
    """

    model: Model
    modules: Sequence[Any]
    begin: Callable[[Emit, Callable[[], bool]], Engine]

    @property
    def size(self) -> int:
        """Give the bytes of all weights."""
        modules = torch.nn.ModuleList(self.modules)  # which counts shared weights once
        return sum(tensor.nbytes for tensor in (*modules.parameters(), *modules.buffers()))

    def move(self, device: torch.device) -> None:
        """Bring the weights to another memory."""
        for module in self.modules:
            module.to(device)


class Maker:
    """Loads models onto a device; what their engines have in common is loaded once.

    `classifier` is one for sensitive pictures, by folder or hub id. Raises what `load_classifier` does.
    """

    def __init__(
        self,
        device: str,
        imprint: Imprint = PLAIN,
        classifier: str = "",
        upscaler: Upscaler | None = None,
        additions: Additions = NO_ADDITIONS,
        *,
        compiles: bool = False,
    ) -> None:
        self.device, self._precision = choose_device(device)
        self._imprint = imprint
        self._classifier = load_classifier(classifier)  # first: it is small, and may be wrong
        self._enlarger = Enlarger(upscaler, self.device) if upscaler else None
        self._additions, self._compiles = additions, compiles
        self._unet_call, self._steps = threading.Lock(), Steps()

    def expected_size(self, model: Model) -> int:
        """Foresee how many bytes a model's weights take on the device."""
        return expected_size(model, self._precision_of(model).itemsize)

    def _precision_of(self, model: Model) -> torch.dtype:
        if model.family not in DRAWN_WHOLE:
            return self._precision
        from generation.engine.whole_loading import precision_of

        return precision_of(model.family, self._precision)

    def load(self, model: Model, report: Callable[[Loading], None]) -> Networks:
        """Load a model; this alone knows which engine draws which family.

        Raises Complaint for what cannot be drawn, FileNotFoundError or OSError for what is not there.
        """
        with told_of_downloads(model, report) as report, apart_from(self._steps):
            model = settled(model)
            return self._whole(model, report) if model.family in DRAWN_WHOLE else self._denoised(model, report)

    def _whole(self, model: Model, report: Callable[[Loading], None]) -> Networks:
        # Imported when one is wanted: all these pipelines together take half a second, and warn of what they lack.
        from generation.engine.whole import WholeEngine
        from generation.engine.whole_loading import load_recipe

        recipe = load_recipe(model, self.device, self._precision, report)

        def begin(emit: Emit, let_another_go: Callable[[], bool]) -> Engine:
            return WholeEngine(
                recipe,
                model,
                self.device,
                emit,
                self._imprint,
                self._classifier,
                self._enlarger,
                let_another_go,
                self._steps,
            )

        return Networks(model, recipe.networks, begin)

    def _denoised(self, model: Model, report: Callable[[Loading], None]) -> Networks:
        pipeline = load_pipeline(model.ref, str(self.device), report)
        modules = [module for part in NETWORKS if (module := getattr(pipeline, part)) is not None]

        def begin(emit: Emit, let_another_go: Callable[[], bool]) -> Engine:
            return DenoisingEngine(
                pipeline,
                emit,
                self._imprint,
                self._classifier,
                self._enlarger,
                self._unet_call,
                self._additions,
                let_another_go,
                self._steps,
                compiles=self._compiles,
            )

        return Networks(pipeline.model, modules, begin)
