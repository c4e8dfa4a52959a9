"""Whether a machine of the cluster can generate a job with the models and adapters that it offers."""

from __future__ import annotations

from collections.abc import Iterator

from generation.messages import Offered
from generation.models.files.controls import ControlNet
from generation.models.files.image_adapters import ImageAdapter
from generation.models.registry import ModelRegistry
from generation.params import Params, ReadingKind
from generation.planning.descriptions import can_describe


def covers(offered: Offered, registry: ModelRegistry, params: Params) -> bool:
    """Return whether everything that `params` need is offered; `registry` is the bot's.

    What the bot itself no longer has counts as offered: the worker then says so, and the job does not wait forever.
    """
    model = registry.find(params.model)
    if model is not None and model.name not in offered.models:
        return False
    if params.reading is ReadingKind.DESCRIBE and not (offered.captioner or _can_describe(registry, params)):
        return False
    found = (registry.adapters.find_lora(use.name) for use in params.lora_set)
    if not {lora.name for lora in found if lora is not None} <= offered.loras:
        return False
    if not {control.key for control in _controls(registry, params)} <= offered.controls:
        return False
    if not {adapter.key for adapter in _image_adapters(registry, params)} <= offered.image_adapters:
        return False
    return not any(_mentions(params, name) for name in offered.missing_embeddings)


def _can_describe(registry: ModelRegistry, params: Params) -> bool:
    model = registry.find(params.model)
    return model is not None and can_describe(model.vocabulary)


def _controls(registry: ModelRegistry, params: Params) -> Iterator[ControlNet]:
    if (model := registry.find(params.model)) is not None:
        fitting = registry.adapters.compatible_with(model)
        for use in params.control_set:
            yield from fitting.match_controls(use.name)[:1]


def _image_adapters(registry: ModelRegistry, params: Params) -> Iterator[ImageAdapter]:
    if (model := registry.find(params.model)) is not None:
        found = (registry.adapters.find_image_adapter(name, model) for name in params.adapter_set)
        yield from filter(None, found)


def _mentions(params: Params, embedding: str) -> bool:
    return any(f"<{embedding}>".casefold() in text.casefold() for text in _texts(params))


def _texts(params: Params) -> Iterator[str]:
    yield from (text for part in params.parts for text in part.texts)
    yield params.mix
    yield from params.no
    yield params.negative_prompt or ""
    yield params.house_style
    if params.film is not None:
        yield from params.film.words
