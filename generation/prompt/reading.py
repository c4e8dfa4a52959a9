"""From the typed text to a `Wish`, or to everything that is wrong with it.

The order of work: junk off, permutations (which are the caller's, since each is a prompt of its own), links, text and
weights, the model, since what else can be said depends on it, parameters, and then what was set beforehand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from generation.actions import new_seed as random_seed
from generation.features import Feature
from generation.models import Model, size_for
from generation.params import Params, Picture, TextPart
from generation.prompt.additions import lora_faults, word_faults
from generation.prompt.escapes import restore
from generation.prompt.faults import PromptFaults, beyond
from generation.prompt.image_weight import strength_for
from generation.prompt.kinds import Scope
from generation.prompt.layers import Layer, read_default, read_typed
from generation.prompt.pieces import take_apart
from generation.prompt.table import PARAMETERS, Share, steps_for
from generation.prompt.weights import read_parts, weight_faults
from generation.prompt.wish import TO_COME, Wish
from generation.repertoire import Repertoire

MOST_PICTURES = 5
NO_OPTIONS: Mapping[str, str] = MappingProxyType({})
_ALL_BUT_THE_MODEL = frozenset(parameter.sets for parameter in PARAMETERS) - {"model"}


def read(
    text: str,
    repertoire: Repertoire,
    *,
    attached: int = 0,
    defaults: Sequence[str] = (),
    options: Mapping[str, str] = NO_OPTIONS,
    zooming: bool = False,
    new_seed: Callable[[], int] = random_seed,
) -> Wish:
    """Read one prompt with `attached` pictures; raises PromptFaults naming all that is wrong.

    `defaults` are parameters that fill the prompt's gaps, the strongest first; those of the model that was chosen come
    last. A name in `options` stands for a text: `--mine` brings its words to the end of the prompt's, and its
    parameters count as typed. Only when `zooming` can there be a `--zoom`.
    """
    prompt = take_apart(text)
    model = _chosen(prompt.parameters, defaults, options, repertoire)
    typed = read_typed(prompt.parameters, options, Scope(repertoire, model))
    sources = (prompt, *typed.expanded.values())
    links = tuple(link for source in sources for link in source.links)
    pictures = (TO_COME,) * (attached + len(links))
    parts = read_parts(" ".join(source.text for source in sources if source.text))
    given, faults = _fill_gaps(typed, defaults, has_picture=bool(pictures))
    if "zoom" in given and not zooming:
        faults.append("Cannot use `--zoom` here: it belongs into the form of Custom Zoom")
    faults += [*weight_faults(parts, given.get("no", ())), *_picture_faults(len(pictures), parts, typed)]
    faults += _beyond(len(pictures), parts, model)
    faults += [*lora_faults(given.get("loras", ())), *word_faults(_all_texts(parts, given), typed.scope)]
    if prompt.faults or faults:
        raise PromptFaults(*dict.fromkeys([*prompt.faults, *faults]))
    return _wish(given, parts, pictures, links, model, new_seed)


def parse(
    text: str, repertoire: Repertoire, *, source: Picture | None = None, new_seed: Callable[[], int] = random_seed
) -> Params:
    """Read a prompt that goes with `source` and no links; raises PromptFaults naming all that is wrong."""
    pictures = () if source is None else (source,)
    wish = read(text, repertoire, attached=len(pictures), new_seed=new_seed)
    if wish.links:
        raise PromptFaults("Links to pictures are not followed here: attach the picture instead")
    return wish.with_pictures(pictures)


def still_known(parameters: str, repertoire: Repertoire) -> str:
    """Leave out of parameters that were set beforehand those that name what is not here any more."""
    scope = Scope(repertoire, repertoire.default)
    if not read_default(parameters, frozenset(), scope).faults:
        return parameters
    each = [f"--{restore(parameter)}" for parameter in take_apart(parameters).parameters]
    return " ".join(parameter for parameter in each if not read_default(parameter, frozenset(), scope).faults)


def choose_model(defaults: Sequence[str], repertoire: Repertoire) -> Model:
    """Give the model that draws where nothing is typed, as was set beforehand."""
    return _chosen((), defaults, NO_OPTIONS, repertoire)


def _chosen(typed: Sequence[str], defaults: Sequence[str], options: Mapping[str, str], repertoire: Repertoire) -> Model:
    scope = Scope(repertoire, repertoire.default)
    layer = read_typed(typed, options, scope, _ALL_BUT_THE_MODEL)
    for text in defaults:
        if "model" in layer.values:
            break
        layer = read_default(text, _ALL_BUT_THE_MODEL, scope)
    return repertoire.find(layer.values.get("model", "")) or repertoire.default


def _fill_gaps(typed: Layer, defaults: Sequence[str], *, has_picture: bool) -> tuple[dict[str, Any], list[str]]:
    values, faults = typed.values, [*typed.faults]
    for text in defaults:
        settled = {*values}
        if values.get("draft"):
            settled.add("num_inference_steps")  # else a draft could cost more than half
        if not has_picture:
            settled.add("strength")
        layer = read_default(text, settled, typed.scope)
        values = layer.values | values
        faults += layer.faults
    return values, faults


def _all_texts(parts: tuple[TextPart, ...], given: Mapping[str, Any]) -> list[str]:
    return [*(part.text for part in parts), *given.get("no", ()), given.get("negative_prompt") or ""]


def _picture_faults(pictures: int, parts: tuple[TextPart, ...], typed: Layer) -> list[str]:
    if pictures > MOST_PICTURES:
        return [f"At most {MOST_PICTURES} pictures can go with a prompt, these are {pictures}"]
    if pictures == 1 and not any(part.text for part in parts):
        return ["Say in words what to draw from the picture, or bring a second one to blend it with"]
    if pictures == 0 and "strength" in typed.values:
        return ["Cannot use `--iw` without a picture: attach one with the `image` option, or begin with a link to one"]
    return []


def _beyond(pictures: int, parts: tuple[TextPart, ...], model: Model) -> list[str]:
    """Name what the model cannot do of what is said without a parameter."""
    weighs = len(parts) > 1 or parts[0].weight != 1
    asked = {Feature.PICTURE: pictures > 0, Feature.BLEND: pictures > 1, Feature.WEIGHTS: weighs}
    typed = {Feature.PICTURE: "a picture", Feature.BLEND: "several pictures", Feature.WEIGHTS: "`::`"}
    beyond_it = [feature for feature, is_asked in asked.items() if is_asked and feature not in model.features]
    return [beyond(typed[feature], model, feature) for feature in beyond_it]


def _wish(
    given: dict[str, Any],
    parts: tuple[TextPart, ...],
    pictures: tuple[Picture, ...],
    links: tuple[str, ...],
    model: Model,
    new_seed: Callable[[], int],
) -> Wish:
    run = {name: given[name] for name in ("speed", "private", "repeat", "zoom") if name in given}
    fields = {name: value for name, value in given.items() if name not in run}
    draft = fields.get("draft", False)
    width, height = size_for(model, fields.get("aspect", (1, 1)), draft=draft)
    defaults: dict[str, Any] = {
        "guidance_scale": model.guidance_scale,
        "strength": strength_for(1) if pictures else 1.0,
        "house_style": "" if fields.get("raw") else model.trigger_words,
    }
    settled: dict[str, Any] = {
        "parts": parts,
        "model": model.name,
        "source": next(iter(pictures), None),
        "blended": pictures[1:],
        "width": width,
        "height": height,
        "seed": fields["seed"] if "seed" in fields else new_seed(),
        "num_inference_steps": steps_for(fields.get("num_inference_steps", Share(1)), model, draft=draft),
    }
    return Wish(params=Params(**defaults | fields | settled), links=links, aspect=given.get("aspect"), **run)
