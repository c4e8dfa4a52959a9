"""Every parameter: a new one is a new row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from generation.models import Model
from generation.params import MAX_SEED, Params, Upload
from generation.prompt.image_weight import image_weight_for, strength_for
from generation.prompt.kinds import Aspect, Choice, Decimal, Items, Kind, Step, Whole, Words
from generation.samplers import SAMPLERS

MAX_STEPS = 150


def _as_it_is(value: Any, model: Model) -> Any:
    return value


def _never(params: Params, model: Model | None) -> None:
    return None


def _unless(default: Any, field: str) -> Callable[[Params, Model | None], Any]:
    def applied(params: Params, model: Model | None) -> Any:
        value = getattr(params, field)
        return None if value == default else value

    return applied


def _unless_models(field: str) -> Callable[[Params, Model | None], Any]:
    def applied(params: Params, model: Model | None) -> Any:
        value = getattr(params, field)
        return None if model is not None and value == getattr(model, field) else value

    return applied


def _applied_image_weight(params: Params, model: Model | None) -> float | None:
    # Only a picture that somebody brought can be brought again; a tile's strength belongs to the button.
    if not isinstance(params.source, Upload) or params.strength == strength_for(1):
        return None
    return image_weight_for(params.strength)


def _share_of_steps(share: float, model: Model) -> int:
    return min(max(1, round(model.num_inference_steps * share)), MAX_STEPS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter: its names, the one that is written first, and the field of `Params` that it `sets`.

    `to_field` makes the field's value from the one that was read; `applied` gives the value to write for what was
    applied, None for the default. `example` and `default` are for people.
    """

    names: tuple[str, ...]
    kind: Kind
    sets: str
    example: str
    default: str
    help: str
    to_field: Callable[[Any, Model], Any] = _as_it_is
    applied: Callable[[Params, Model | None], Any]
    needs_picture: bool = False
    repeatable: bool = False

    @property
    def name(self) -> str:
        return self.names[0]


PARAMETERS = (
    Parameter(
        names=("ar", "aspect"),
        kind=Aspect(),
        sets="aspect",
        example="3:2",
        default="1:1",
        help="Width to height.",
        applied=_unless((1, 1), "aspect"),
    ),
    Parameter(
        names=("no",),
        kind=Items(),
        sets="no",
        example="text, people",
        default="nothing",
        help="What to keep out of the picture; each item weighs -0.5.",
        applied=_unless((), "no"),
        repeatable=True,
    ),
    Parameter(
        names=("iw",),
        kind=Decimal(0, 3),
        sets="strength",
        example="1.5",
        default="1",
        help="How much of your picture is kept: 0 forgets it, 3 keeps nearly everything.",
        to_field=lambda weight, model: strength_for(weight),
        applied=_applied_image_weight,
        needs_picture=True,
    ),
    Parameter(
        names=("quality", "q"),
        kind=Step((0.25, 0.5, 1, 2, 4)),
        sets="num_inference_steps",
        example="0.5",
        default="1",
        help="Time spent: this share of the model's own number of steps.",
        to_field=_share_of_steps,
        applied=_never,
    ),
    Parameter(
        names=("steps",),
        kind=Whole(1, MAX_STEPS),
        sets="num_inference_steps",
        example="30",
        default="the model's",
        help="The exact number of denoising steps.",
        applied=_unless_models("num_inference_steps"),
    ),
    Parameter(
        names=("cfg",),
        kind=Decimal(0, 30),
        sets="guidance_scale",
        example="5",
        default="the model's",
        help="How closely the prompt is followed (guidance scale).",
        applied=_unless_models("guidance_scale"),
    ),
    Parameter(
        names=("sampler",),
        kind=Choice(SAMPLERS),
        sets="sampler",
        example="euler_a",
        default="the model's",
        help="The noise scheduler.",
        applied=_unless(None, "sampler"),
    ),
    Parameter(
        names=("negative",),
        kind=Words(),
        sets="negative_prompt",
        example="blurry, low contrast",
        default="nothing",
        help="A classic negative prompt, in place of the empty one.",
        applied=_unless(None, "negative_prompt"),
    ),
    Parameter(
        names=("seed",),
        kind=Whole(0, MAX_SEED),
        sets="seed",
        example="1234",
        default="random",
        help="The same seed and prompt give the same pictures.",
        applied=lambda params, model: params.seed,
    ),
)

# Real words of the language that do nothing here yet, so that nobody is told they do not exist.
COMING = (
    *("sameseed", "chaos", "c", "stylize", "s", "weird", "w", "stop", "tile", "repeat", "r"),
    *("sref", "sw", "cref", "cw", "version", "v", "niji", "model", "style", "raw", "draft", "hd", "video"),
    *("fast", "relax", "turbo", "stealth", "public", "lora"),
)

BY_NAME = {name: parameter for parameter in PARAMETERS for name in parameter.names}
