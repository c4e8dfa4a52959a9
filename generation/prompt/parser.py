"""From the typed text to a `Wish`, or to everything that is wrong with it.

The order of work: junk off, permutations (which are the caller's, since each is a prompt of its own), links, text and
weights, the model, since what else can be said depends on it, parameters, and then what was set beforehand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from generation.models.adapters import incompatibility, is_compatible
from generation.models.capabilities import Capability
from generation.models.model import Model, size_for
from generation.models.registry import ModelRegistry
from generation.params import ImageRef, LoraWeight, Params, PromptPart
from generation.planning.actions import new_seed as random_seed
from generation.prompt.errors import PromptError, quote, unsupported
from generation.prompt.layers import ParameterLayer, layer_from_defaults, layer_from_prompt
from generation.prompt.parameters import PARAMETERS, StepFraction, steps_for
from generation.prompt.request import PENDING_IMAGE, PromptRequest
from generation.prompt.splitter import split_prompt
from generation.prompt.syntax import unmask_escaped
from generation.prompt.values import Scope
from generation.prompt.weights import parse_parts, strength_for, weight_problems

MAX_IMAGES = 5
MAX_LORAS = 5
NO_OPTIONS: Mapping[str, str] = MappingProxyType({})
_ALL_EXCEPT_MODEL = frozenset(parameter.field for parameter in PARAMETERS) - {"model"}
_TOKEN = re.compile(r"<([\w.-]+)>")


def parse_prompt(
    text: str,
    registry: ModelRegistry,
    *,
    attached: int = 0,
    defaults: Sequence[str] = (),
    options: Mapping[str, str] = NO_OPTIONS,
    allow_zoom: bool = False,
    new_seed: Callable[[], int] = random_seed,
) -> PromptRequest:
    """Read one prompt with `attached` pictures; raises PromptFaults naming all that is wrong.

    `defaults` are parameters that fill the prompt's gaps, the strongest first; those of the model that was chosen come
    last. A name in `options` stands for a text: `--mine` brings its words to the end of the prompt's, and its
    parameters count as typed. Only when `zooming` can there be a `--zoom`.
    """
    prompt = split_prompt(text)
    model = _resolve_model(prompt.parameters, defaults, options, registry)
    typed = layer_from_prompt(prompt.parameters, options, Scope(registry, model))
    sources = (prompt, *typed.expanded.values())
    links = tuple(link for source in sources for link in source.links)
    images = (PENDING_IMAGE,) * (attached + len(links))
    parts = parse_parts(" ".join(source.text for source in sources if source.text))
    given, problems = _apply_defaults(typed, defaults, has_image=bool(images))
    if "zoom" in given and not allow_zoom:
        problems.append("Cannot use `--zoom` here: it belongs into the form of Custom Zoom")
    problems += [*weight_problems(parts, given.get("no", ())), *_image_problems(len(images), parts, typed)]
    problems += _unsupported_inputs(len(images), parts, model)
    problems += [*lora_problems(given.get("loras", ())), *embedding_problems(_all_texts(parts, given), typed.scope)]
    if prompt.problems or problems:
        raise PromptError(*dict.fromkeys([*prompt.problems, *problems]))
    return _build_request(given, parts, images, links, model, new_seed)


def parse_params(
    text: str, registry: ModelRegistry, *, source: ImageRef | None = None, new_seed: Callable[[], int] = random_seed
) -> Params:
    """Read a prompt that goes with `source` and no links; raises PromptFaults naming all that is wrong."""
    images = () if source is None else (source,)
    request = parse_prompt(text, registry, attached=len(images), new_seed=new_seed)
    if request.links:
        raise PromptError("Links to pictures are not followed here: attach the picture instead")
    return request.with_images(images)


def drop_unknown(parameters: str, registry: ModelRegistry) -> str:
    """Leave out of parameters that were set beforehand those that name what is not here any more."""
    scope = Scope(registry, registry.default)
    if not layer_from_defaults(parameters, frozenset(), scope).problems:
        return parameters
    each = [f"--{unmask_escaped(parameter)}" for parameter in split_prompt(parameters).parameters]
    return " ".join(parameter for parameter in each if not layer_from_defaults(parameter, frozenset(), scope).problems)


def choose_model(defaults: Sequence[str], registry: ModelRegistry) -> Model:
    """Give the model that draws where nothing is typed, as was set beforehand."""
    return _resolve_model((), defaults, NO_OPTIONS, registry)


def _resolve_model(
    typed: Sequence[str], defaults: Sequence[str], options: Mapping[str, str], registry: ModelRegistry
) -> Model:
    scope = Scope(registry, registry.default)
    layer = layer_from_prompt(typed, options, scope, _ALL_EXCEPT_MODEL)
    for text in defaults:
        if "model" in layer.values:
            break
        layer = layer_from_defaults(text, _ALL_EXCEPT_MODEL, scope)
    return registry.find(layer.values.get("model", "")) or registry.default


def _apply_defaults(
    typed: ParameterLayer, defaults: Sequence[str], *, has_image: bool
) -> tuple[dict[str, Any], list[str]]:
    values, problems = typed.values, [*typed.problems]
    for text in defaults:
        overridden = {*values}
        if values.get("draft"):
            overridden.add("num_inference_steps")  # else a draft could cost more than half
        if not has_image:
            overridden.add("strength")
        layer = layer_from_defaults(text, overridden, typed.scope)
        values = layer.values | values
        problems += layer.problems
    return values, problems


def _all_texts(parts: tuple[PromptPart, ...], given: Mapping[str, Any]) -> list[str]:
    return [*(part.text for part in parts), *given.get("no", ()), given.get("negative_prompt") or ""]


def _image_problems(images: int, parts: tuple[PromptPart, ...], typed: ParameterLayer) -> list[str]:
    if images > MAX_IMAGES:
        return [f"At most {MAX_IMAGES} pictures can go with a prompt, these are {images}"]
    if images == 1 and not any(part.text for part in parts):
        return ["Say in words what to draw from the picture, or bring a second one to blend it with"]
    if images == 0 and "strength" in typed.values:
        return ["Cannot use `--iw` without a picture: attach one with the `image` option, or begin with a link to one"]
    return []


def _unsupported_inputs(images: int, parts: tuple[PromptPart, ...], model: Model) -> list[str]:
    """Name what the model cannot do of what is said without a parameter."""
    weighs = len(parts) > 1 or parts[0].weight != 1
    asked = {Capability.IMG2IMG: images > 0, Capability.BLEND: images > 1, Capability.PROMPT_WEIGHTS: weighs}
    typed = {Capability.IMG2IMG: "a picture", Capability.BLEND: "several pictures", Capability.PROMPT_WEIGHTS: "`::`"}
    missing = [feature for feature, is_asked in asked.items() if is_asked and feature not in model.capabilities]
    return [unsupported(typed[feature], model, feature) for feature in missing]


def _build_request(
    given: dict[str, Any],
    parts: tuple[PromptPart, ...],
    images: tuple[ImageRef, ...],
    links: tuple[str, ...],
    model: Model,
    new_seed: Callable[[], int],
) -> PromptRequest:
    job_settings = {name: given[name] for name in ("speed", "private", "repeat", "zoom") if name in given}
    fields = {name: value for name, value in given.items() if name not in job_settings}
    draft = fields.get("draft", False)
    width, height = size_for(model, fields.get("aspect", (1, 1)), draft=draft)
    defaults: dict[str, Any] = {
        "guidance_scale": model.guidance_scale,
        "strength": strength_for(1) if images else 1.0,
        "house_style": "" if fields.get("raw") else model.trigger_words,
    }
    computed: dict[str, Any] = {
        "parts": parts,
        "model": model.name,
        "source": next(iter(images), None),
        "blended": images[1:],
        "width": width,
        "height": height,
        "seed": fields["seed"] if "seed" in fields else new_seed(),
        "num_inference_steps": steps_for(fields.get("num_inference_steps", StepFraction(1)), model, draft=draft),
    }
    return PromptRequest(
        params=Params(**defaults | fields | computed), links=links, aspect=given.get("aspect"), **job_settings
    )


def lora_problems(loras: Sequence[LoraWeight]) -> list[str]:
    """Name what is wrong with LoRAs that are well each by itself."""
    counted = Counter(use.name for use in loras)
    problems = [f"`--lora` names {quote(name)} more than once" for name, times in counted.items() if times > 1]
    if len(loras) > MAX_LORAS:
        problems.append(f"At most {MAX_LORAS} LoRAs can be used at once, these are {len(loras)}")
    return problems


def embedding_problems(texts: Iterable[str], scope: Scope) -> list[str]:
    """Name the learnt words that the model cannot be told; anything else in angle brackets is only text."""
    typed = dict.fromkeys(name for text in texts for name in _TOKEN.findall(text))
    embeddings = filter(None, map(scope.registry.adapters.find_embedding, typed))
    return [
        f"Cannot use {quote(f'<{word.name}>')} {incompatibility(word, scope.model)}"
        for word in embeddings
        if not is_compatible(word, scope.model)
    ]
