"""Parse typed text into a `PromptRequest`, or report all its problems.

The order: strip copied text, expand permutations (done by the caller, since each is a separate prompt), links, text
and weights, the model (its capabilities decide what else is valid), parameters, and then defaults.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from generation.models.adapters import incompatibility, is_compatible
from generation.models.capabilities import Capability
from generation.models.files.image_adapters import ImageAdapter
from generation.models.model import Model, size_for
from generation.models.registry import ModelRegistry, needs_picture
from generation.params import DEFAULT_IMAGE_GUIDANCE, ImageRef, LoraWeight, Params, PromptPart
from generation.planning.actions import new_seed as random_seed
from generation.planning.image_prompts import DEFAULT_IMAGE_WEIGHT
from generation.prompt.controls import control_problems, split_controls
from generation.prompt.edits import edit_problems
from generation.prompt.errors import PromptError, quote, unsupported
from generation.prompt.image_prompts import character_problems, prompt_adapter, with_image_adapters
from generation.prompt.infotext.conversion import convert_infotext
from generation.prompt.layers import ParameterLayer, layer_from_defaults, layer_from_prompt
from generation.prompt.parameter_names import split_name
from generation.prompt.parameters import BY_NAME, PARAMETERS, StepFraction, steps_for
from generation.prompt.request import PENDING_IMAGE, PromptRequest
from generation.prompt.splitter import split_prompt
from generation.prompt.syntax import unmask_escaped
from generation.prompt.values import Scope
from generation.prompt.weights import default_strength, parse_parts, weight_problems
from generation.text import Text

MAX_IMAGES = 5
MAX_LORAS = 5
NO_OPTIONS: Mapping[str, str] = MappingProxyType({})
_ALL_EXCEPT_MODEL = frozenset(parameter.field for parameter in PARAMETERS) - {"model"}
_TOKEN = re.compile(r"<([\w.-]+)>")


@dataclass(frozen=True, slots=True)
class PromptReading:
    """What was read of a prompt: its parts, the values of its parameters by their long names, links and problems.

    `request` is None if there are problems. `left_out` names the settings of pasted infotext that are not used.
    """

    parts: tuple[PromptPart, ...]
    parameters: Mapping[str, Any]
    links: tuple[str, ...]
    problems: tuple[Text, ...]
    request: PromptRequest | None
    left_out: tuple[str, ...] = ()


def parse_prompt(
    text: str,
    registry: ModelRegistry,
    *,
    attached: int = 0,
    defaults: Sequence[str] = (),
    options: Mapping[str, str] = NO_OPTIONS,
    forms: Collection[str] | None = None,
    new_seed: Callable[[], int] = random_seed,
    starts_from_images: bool = False,
    ignored: Collection[str] = (),
) -> PromptRequest:
    """Parse one prompt with `attached` images; raise PromptError with all its problems.

    The arguments are those of `read_prompt`.
    """
    reading = read_prompt(
        text,
        registry,
        attached=attached,
        defaults=defaults,
        options=options,
        forms=forms,
        new_seed=new_seed,
        starts_from_images=starts_from_images,
        ignored=ignored,
    )
    if reading.problems:
        raise PromptError(*reading.problems)
    assert reading.request is not None
    return reading.request


def read_prompt(
    text: str,
    registry: ModelRegistry,
    *,
    attached: int = 0,
    defaults: Sequence[str] = (),
    options: Mapping[str, str] = NO_OPTIONS,
    forms: Collection[str] | None = None,
    new_seed: Callable[[], int] = random_seed,
    starts_from_images: bool = False,
    ignored: Collection[str] = (),
) -> PromptReading:
    """Read one prompt with `attached` images, and find all its problems.

    `defaults` are parameters for what the prompt leaves open, highest precedence first; the model's own defaults come
    last. They do not set the fields that are `ignored`. A name in `options` stands for a text: `--mine` appends its
    text to the prompt's, and its parameters count as typed. `forms` are parameters that are valid because of the form
    that the prompt was typed into, if it was.
    """
    text, left_out = convert_infotext(text, registry)
    prompt = split_prompt(text, options)
    model = _resolve_model(prompt.parameters, defaults, options, registry)
    typed = layer_from_prompt(prompt.parameters, options, Scope(registry, model))
    sources = (prompt, *typed.expanded.values())
    links = tuple(link for source in sources for link in source.links)
    images = (PENDING_IMAGE,) * (attached + len(links))
    whole = " ".join(source.text for source in sources if source.text)
    parts = parse_parts(whole)
    given, problems = _apply_defaults(typed, defaults, parts, ignored, images=len(images))
    problems += _combined_problems(typed, given, whole, parts, forms, images=len(images))
    problems = list(dict.fromkeys([*prompt.problems, *problems]))
    request = None
    if not problems:
        request = _build_request(
            given, parts, images, links, typed.scope, new_seed, starts_from_images=starts_from_images
        )
    if request is not None and left_out:
        request = replace(request, left_out=left_out)
    return PromptReading(parts, typed.typed, links, tuple(problems), request, left_out)


def _combined_problems(
    typed: ParameterLayer,
    given: Mapping[str, Any],
    whole: str,
    parts: tuple[PromptPart, ...],
    form: Collection[str] | None,
    *,
    images: int,
) -> list[Text]:
    """Return the problems of what is valid alone, and not with the words, the pictures, the model or the form."""
    scope, forms = typed.scope, form or ()
    return [
        *_form_problems(given, forms, has_image=images > 0),
        *_hold_problems(given, forms, parts, scope.model, has_image=images > 0),
        *weight_problems(parts, given.get("no", ())),
        *edit_problems(whole),
        *_image_problems(images, parts, typed, in_form=form is not None),
        *_edit_problems(images, forms, scope.model),
        *_unsupported_inputs(images, parts, scope.model),
        *_style_problems(typed.values, given),
        *lora_problems(given.get("loras", ())),
        *embedding_problems(_all_texts(parts, given), scope),
        *control_problems(given.get("controls", ()), scope),
        *character_problems(typed.values, given, scope),
    ]


def parse_params(
    text: str, registry: ModelRegistry, *, source: ImageRef | None = None, new_seed: Callable[[], int] = random_seed
) -> Params:
    """Parse a prompt that has `source` as its image and no links; raise PromptError with all its problems."""
    images = () if source is None else (source,)
    request = parse_prompt(text, registry, attached=len(images), new_seed=new_seed, starts_from_images=True)
    if request.links:
        raise PromptError(Text("Links to pictures do not work here: attach the picture instead"))
    return request.with_images(images)


def drop_unknown(parameters: str, registry: ModelRegistry) -> str:
    """Remove default parameters that name a model or LoRA that is no longer installed."""
    scope = Scope(registry, registry.default)
    if not layer_from_defaults(parameters, frozenset(), scope).problems:
        return parameters
    each = [f"--{unmask_escaped(parameter)}" for parameter in split_prompt(parameters).parameters]
    return " ".join(parameter for parameter in each if not layer_from_defaults(parameter, frozenset(), scope).problems)


def without_model(typed: str) -> str:
    """Return the typed prompt without the parameters that choose a model; unchanged if it has choices in braces."""
    if "{" in typed:
        return typed
    parts = split_prompt(typed)
    kept = [f"--{unmask_escaped(parameter)}" for parameter in parts.parameters if not _chooses_model(parameter)]
    return " ".join(filter(None, (*parts.links, unmask_escaped(parts.text), *kept)))


def sets_field(typed: str, field: str) -> bool:
    """Return whether a typed prompt has a parameter that sets this field."""
    known = (BY_NAME.get(split_name(parameter)[0]) for parameter in split_prompt(typed).parameters)
    return any(each is not None and each.field == field for each in known)


def _chooses_model(parameter: str) -> bool:
    known = BY_NAME.get(split_name(parameter)[0])
    return known is not None and known.field == "model"


def choose_model(defaults: Sequence[str], registry: ModelRegistry) -> Model:
    """Return the model that the defaults choose if the prompt names none."""
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
    typed: ParameterLayer,
    defaults: Sequence[str],
    parts: tuple[PromptPart, ...],
    ignored: Collection[str],
    *,
    images: int,
) -> tuple[dict[str, Any], list[Text]]:
    values, problems = typed.values, [*typed.problems]
    for text in defaults:
        overridden = {*values, *ignored}
        if values.get("draft"):
            overridden.add("num_inference_steps")  # else a draft could cost more than half
        if images == 0 or values.get("hold") or values.get("retouch"):
            overridden |= {"mix", "keep"}
        if images == 0:
            overridden.add("strength")
        if Capability.MIX not in typed.scope.model.capabilities:
            overridden.add("keep")  # which says how much a mix keeps
        if images != 1:
            overridden |= {"colourise", "retouch"}
        if values.get("mix") or not any(part.edited for part in parts):
            overridden |= {"hold", "retouch"}
        overridden.add("controls")  # they need a picture, which belongs to one prompt
        if Capability.EDIT in typed.scope.model.capabilities:
            overridden |= {"aspect", "retouch"}  # an edit has the shape of its picture, and starts from noise
        layer = layer_from_defaults(text, overridden, typed.scope)
        values = _fitting(layer.values, typed.scope) | values
        problems += layer.problems
    return values, problems


def _fitting(values: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Return the values of defaults that fit the model and each other."""
    kept = _without_foreign_embeddings(values, scope)
    unfit = {"hold", "retouch"} if "mix" in kept else {"keep"} if "mix" in values else set()
    return {field: value for field, value in kept.items() if field not in unfit}


def _without_foreign_embeddings(values: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Return the values of defaults without the items that name an embedding for other models."""
    kept = dict(values)
    if "no" in values:
        kept["no"] = tuple(item for item in values["no"] if not embedding_problems([item], scope))
    for field in {"negative_prompt", "mix"} & values.keys():
        if embedding_problems([values[field]], scope):
            items = (item for item in values[field].split(",") if not embedding_problems([item], scope))
            kept[field] = ",".join(items).strip()
    return {field: value for field, value in kept.items() if value or field not in ("no", "negative_prompt", "mix")}


def _all_texts(parts: tuple[PromptPart, ...], given: Mapping[str, Any]) -> list[str]:
    words = (*(text for part in parts for text in part.texts), given.get("mix", ""))
    return [*words, *given.get("no", ()), given.get("negative_prompt") or ""]


def _image_problems(images: int, parts: tuple[PromptPart, ...], typed: ParameterLayer, *, in_form: bool) -> list[Text]:
    if images > MAX_IMAGES:
        return [
            Text("A prompt can have at most {limit} pictures; this one has {number}", limit=MAX_IMAGES, number=images)
        ]
    if images > 1 and typed.values.get("colourise"):
        return [Text("`--colour` works with one picture only")]
    if images > 1 and typed.values.get("retouch"):
        return [Text("`--retouch` works with one picture only")]
    has_text = typed.values.get("colourise") or any(_all_texts(parts, {"mix": typed.values.get("mix", "")}))
    if images == 1 and not has_text and Capability.EDIT in typed.scope.model.capabilities:
        return [Text("Say what to change in the picture")]
    if images == 1 and not has_text:
        return [Text("Add some text, or a second picture to blend with")]
    if images == 0 and not has_text:
        return [Text("Say what to draw: there is no text and no picture")]
    if images == 0 and "strength" in typed.values and in_form:
        return [Text("`--iw` does not work in this form: leave it out")]
    if images == 0 and "strength" in typed.values:
        return [
            Text("Cannot use `--iw` without a picture: attach one with the `image` option, or start with a link to one")
        ]
    return []


def _form_problems(given: Mapping[str, Any], forms: Collection[str], *, has_image: bool) -> list[Text]:
    """Return the problems of parameters that need a picture, which some forms are about."""
    problems: list[Text] = []
    if "zoom" in given and "zoom" not in forms:
        problems.append(Text("`--zoom` works in the Custom Zoom form only"))
    if "mix" in given and "mix" not in forms and not has_image:
        problems.append(Text("Cannot use `--mix` without a picture: attach one, or press *Remix* below one"))
    if given.get("colourise") and "colour" not in forms and not has_image:
        problems.append(Text("Cannot use `--colour` without a picture: attach one, or press *Remix* below one"))
    if "keep" in given and "keep" not in forms and "mix" not in given:
        problems.append(Text("`--keep` works with `--mix`, and in the form of *Edit words*"))
    return problems


def _hold_problems(
    given: Mapping[str, Any], forms: Collection[str], parts: tuple[PromptPart, ...], model: Model, *, has_image: bool
) -> list[Text]:
    problems: list[Text] = []
    holds, changes = given.get("hold") or given.get("retouch"), any(part.edited for part in parts)
    if holds and given.get("mix"):
        problems.append(Text("Cannot use `--hold` or `--retouch` with `--mix`: leave them out"))
    elif holds and not changes and "keep" not in forms:
        problems.append(
            Text(
                "`--hold` and `--retouch` work where words change, as in `[red:blue:.1]`, "
                "and in the form of *Edit words*"
            )
        )
    if given.get("retouch") and not has_image and "colour" not in forms:
        problems.append(Text("Cannot use `--retouch` without a picture: attach one, or press *Remix* below one"))
    if given.get("retouch") and not {"colour", "keep"} & {*forms} and Capability.EDIT in model.capabilities:
        problems.append(unsupported("`--retouch`", model, Capability.INPAINT))
    return problems


def _edit_problems(images: int, forms: Collection[str], model: Model) -> list[Text]:
    if Capability.EDIT in model.capabilities and not images and "edit" not in forms:
        return [needs_picture(model)]
    return []


def _style_problems(typed: Mapping[str, Any], given: Mapping[str, Any]) -> list[Text]:
    if "style_weight" in typed and "style_code" not in given:
        return [
            Text("Cannot use `--sw` without a style: add `--sref` with a link or a code, or use the `style` option")
        ]
    return []


def _unsupported_inputs(images: int, parts: tuple[PromptPart, ...], model: Model) -> list[Text]:
    """Return the problems of input other than parameters that the model does not support."""
    has_weights = len(parts) > 1 or parts[0].weight != 1
    problems: list[Text] = []
    if images > 0 and not model.capabilities & {Capability.IMG2IMG, Capability.EDIT}:
        problems.append(
            Text(
                "Cannot use a picture with {model}: it cannot {capability}",
                model=model.name,
                capability=Capability.IMG2IMG.text,
            )
        )
    if images > 1 and (missing := Capability.BLEND) not in model.capabilities:
        problems.append(
            Text(
                "Cannot use several pictures with {model}: it cannot {capability}",
                model=model.name,
                capability=missing.text,
            )
        )
    if has_weights and Capability.PROMPT_WEIGHTS not in model.capabilities:
        problems.append(unsupported("`::`", model, Capability.PROMPT_WEIGHTS))
    if any(part.edited for part in parts) and Capability.PROMPT_EDITS not in model.capabilities:
        problems.append(unsupported("`[…:…:…]`", model, Capability.PROMPT_EDITS))
    return problems


def _default_strength(given: Mapping[str, Any]) -> float:
    return default_strength(given.get("mix", ""), given.get("colourise", False), given.get("retouch", False))


def _build_request(
    given: dict[str, Any],
    parts: tuple[PromptPart, ...],
    images: tuple[ImageRef, ...],
    links: tuple[str, ...],
    scope: Scope,
    new_seed: Callable[[], int],
    *,
    starts_from_images: bool,
) -> PromptRequest:
    model = scope.model
    adapter = None if starts_from_images or not images else prompt_adapter(given, parts, scope)
    job_settings = {name: given[name] for name in ("speed", "private", "repeat", "zoom", "keep") if name in given}
    fields = with_image_adapters({name: given[name] for name in given if name not in job_settings}, scope)
    if "mix" in fields and "keep" in job_settings:
        fields["mix_keep"] = job_settings.pop("keep")
    draft = fields.get("draft", False)
    width, height = size_for(model, fields.get("aspect", (1, 1)), draft=draft)
    defaults: dict[str, Any] = {
        "guidance_scale": model.guidance_scale,
        "strength": _default_strength(given) if images else 1.0,
        "house_style": "" if fields.get("raw") else model.trigger_words,
    }
    computed: dict[str, Any] = {
        "parts": parts,
        "model": model.name,
        **_picture_fields(images, model, adapter),
        "style": PENDING_IMAGE if "style_code" in fields else None,
        "control": PENDING_IMAGE if fields.get("controls") else None,
        **split_controls(fields.get("controls", ()), scope),
        "width": width,
        "height": height,
        "seed": fields["seed"] if "seed" in fields else new_seed(),
        "num_inference_steps": steps_for(
            fields.get("num_inference_steps", StepFraction(1)), model, fields.get("sampler"), draft=draft
        ),
    }
    return PromptRequest(
        params=Params(**defaults | fields | computed), links=links, aspect=given.get("aspect"), **job_settings
    )


def _picture_fields(images: tuple[ImageRef, ...], model: Model, adapter: ImageAdapter | None) -> dict[str, Any]:
    """Return what the pictures of a prompt are: the one that it edits, a prompt themselves, or what it starts from.

    `--iw` says how much of them counts, each in its own way.
    """
    unused: dict[str, Any] = {"image_guidance": DEFAULT_IMAGE_GUIDANCE, "image_weight": DEFAULT_IMAGE_WEIGHT}
    if Capability.EDIT in model.capabilities:
        del unused["image_guidance"]
        return unused | {"original": PENDING_IMAGE, "strength": 1.0}
    if adapter is None:
        return unused | {"source": next(iter(images), None), "blended": images[1:]}
    del unused["image_weight"]
    return unused | {"image_prompts": images, "image_adapter": adapter.name, "strength": 1.0}


def lora_problems(loras: Sequence[LoraWeight]) -> list[Text]:
    """Return the problems of LoRAs that are each valid alone: duplicates, and too many."""
    counted = Counter(use.name for use in loras)
    problems = [
        Text("The LoRA {lora} is given more than once", lora=quote(name))
        for name, times in counted.items()
        if times > 1
    ]
    if len(loras) > MAX_LORAS:
        problems.append(
            Text("A prompt can have at most {limit} LoRAs; this one has {number}", limit=MAX_LORAS, number=len(loras))
        )
    return problems


def embedding_problems(texts: Iterable[str], scope: Scope) -> list[Text]:
    """Return the problems of embeddings that do not fit the model; other text in angle brackets is plain text."""
    typed = dict.fromkeys(name for text in texts for name in _TOKEN.findall(text))
    embeddings = filter(None, map(scope.registry.adapters.find_embedding, typed))
    return [
        Text(
            "Cannot use {embedding} with {model}: {reason}",
            embedding=quote(f"<{embedding.name}>"),
            model=scope.model.name,
            reason=incompatibility(embedding),
        )
        for embedding in embeddings
        if not is_compatible(embedding, scope.model)
    ]
