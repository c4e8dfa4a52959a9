"""Load one or two stock pipelines part by part, from folders or hub ids."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from generation.command_line import install_as_typed
from generation.engine.networks.pipeline_loader import read_index
from generation.engine.pipelines.pipeline_adapters import PIPELINE_ADAPTERS, PipelineAdapter, PipelineSpec
from generation.errors import UserError
from generation.messages import Loading
from generation.models.catalogue import Family
from generation.models.files.model_files import DIFFUSERS_WEIGHTS, TRANSFORMERS_WEIGHTS, variant_order
from generation.models.files.safetensors_header import CONVERT_HINT
from generation.models.model import Model

LIBRARIES_BY_NAME = {"diffusers": diffusers, "transformers": transformers}


def load_pipeline_adapter(
    model: Model, device: torch.device, precision: torch.dtype, report: Callable[[Loading], None]
) -> PipelineAdapter:
    """Load a model of a pipeline family onto `device`, reporting each part.

    `precision` is the device's best; a family may need another.

    Raises UserError for a model that is incomplete or unreadable, OSError for a missing one.
    """
    diffusers.utils.logging.set_verbosity_error()  # it would log the truncated end of a long prompt
    transformers.utils.logging.disable_progress_bar()
    adapter_class = PIPELINE_ADAPTERS[model.family]
    precision = family_dtype(model.family, precision)
    folders = [
        _PipelineFolder(ref, spec)
        for ref, spec in zip(_pipeline_refs(model, adapter_class), adapter_class.pipeline_specs, strict=True)
    ]
    total = sum(len(folder.parts) for folder in folders)
    done = 0
    pipelines = []
    for folder in folders:
        loaded = {}
        for part in folder.parts:
            report(Loading(part.replace("_", " "), done, total, model.name))
            loaded[part] = folder.load(part, precision, device)
            done += 1
        pipelines.append(folder.assemble(loaded))
    adapter = adapter_class(*pipelines)
    for pipeline in adapter.pipelines:
        pipeline.set_progress_bar_config(disable=True)
    return adapter


def family_dtype(family: Family, device_dtype: torch.dtype) -> torch.dtype:
    """Return the family's 16-bit precision where the device supports it."""
    half = PIPELINE_ADAPTERS[family].half_precision
    if device_dtype is torch.float16:
        return half if half is device_dtype or torch.cuda.is_bf16_supported() else device_dtype
    return device_dtype if device_dtype is half else torch.float32


def _pipeline_refs(model: Model, adapter_class: type[PipelineAdapter]) -> list[str]:
    if len(adapter_class.pipeline_specs) == 1:
        return [model.ref]
    if not model.partner:
        raise UserError(
            f"{model.ref} is one half of a model. Set `partner` in {model.ref}/atelier.json to the folder "
            f"or hub id of a {adapter_class.pipeline_specs[1].pipeline_class.__name__}."
        )
    return [model.ref, model.partner]


class _PipelineFolder:
    """A folder or hub id with a subfolder for each part of one pipeline."""

    def __init__(self, ref: str, spec: PipelineSpec) -> None:
        self._ref, self._pipeline_class = ref, spec.pipeline_class
        self._index = read_index(ref)
        self._parameters = inspect.signature(spec.pipeline_class.__init__).parameters
        class_name = str(self._index.get("_class_name"))
        if class_name != spec.pipeline_class.__name__:
            raise UserError(f"{ref} is a {class_name}, but a {spec.pipeline_class.__name__} is needed.")
        listed = [name for name in self._parameters if isinstance(self._index.get(name), list | tuple)]
        self.parts = [name for name in listed if name not in spec.excluded_parts and self._index[name][1] is not None]

    def load(self, part: str, precision: torch.dtype, device: torch.device) -> Any:
        """Load one part; a network goes onto the device."""
        part_class: Any = self._part_class(*self._index[part])
        try:
            if not issubclass(part_class, torch.nn.Module):
                return part_class.from_pretrained(self._ref, subfolder=part)
            network = self._network(part_class, part, precision)
        except (ImportError, ValueError) as error:
            if not part.startswith("tokenizer") or _can_read_sentencepiece():
                raise
            text = f"The {part} of {self._ref} needs missing packages: `{install_as_typed('deepfloyd')}`."
            raise UserError(text) from error
        except OSError as error:
            if "file named" not in str(error):  # as diffusers and transformers word it, for folders and the hub
                raise
            text = f"{self._ref} has no safetensors weights for its {part}. If it has pickled ones: {CONVERT_HINT}"
            raise UserError(text) from error
        return network.to(device).eval()

    def _network(self, part_class: Any, part: str, precision: torch.dtype) -> Any:
        folder, library = Path(self._ref, part), self._index[part][0]
        name = TRANSFORMERS_WEIGHTS if library == "transformers" else DIFFUSERS_WEIGHTS
        variants = variant_order(folder, name, half=precision.itemsize == 2) if folder.is_dir() else [None]
        return part_class.from_pretrained(
            self._ref, subfolder=part, dtype=precision, use_safetensors=True, variant=next(iter(variants), None)
        )

    def assemble(self, loaded: dict[str, Any]) -> Any:
        """Build the pipeline from its parts."""
        settings = {name: self._index[name] for name in self._parameters if name in self._index and name not in loaded}
        plain = {name: value for name, value in settings.items() if not isinstance(value, list | tuple)}
        missing = {name: None for name in self._parameters if name != "self" and self._is_missing(name, loaded)}
        return self._pipeline_class(**loaded, **missing, **plain)

    def _is_missing(self, name: str, loaded: dict[str, Any]) -> bool:
        required = self._parameters[name].default is inspect.Parameter.empty
        return required and name not in loaded and not isinstance(self._index.get(name), int | float | str)

    def _part_class(self, library: str, name: str) -> type[Any]:
        """Return the class of a part; one that belongs to a single pipeline is found in that pipeline's module.

        Diffusers has moved such modules since these models were published.
        """
        found: type[Any] = getattr(LIBRARIES_BY_NAME.get(library, sys.modules[self._pipeline_class.__module__]), name)
        return found


def _can_read_sentencepiece() -> bool:
    """Return whether a tokenizer that is only a `spiece.model` can be read; most have a `tokenizer.json`."""
    return bool(transformers.utils.is_sentencepiece_available() and transformers.utils.is_protobuf_available())
