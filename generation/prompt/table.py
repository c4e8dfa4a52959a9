"""Every parameter: a new one is a new row here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from generation.actions import ZOOM_LEAST, ZOOM_MOST
from generation.features import Feature
from generation.job import Speed
from generation.models import Model
from generation.params import MAX_SEED, Params, Upload
from generation.prompt.image_weight import image_weight_for, strength_for
from generation.prompt.kinds import (
    Aspect,
    Choice,
    Decimal,
    Flag,
    FlagOrWhole,
    Items,
    Kind,
    Loras,
    ModelName,
    Step,
    Whole,
    Words,
)
from generation.repertoire import Repertoire
from generation.samplers import SAMPLERS

Applied = Callable[[Params, Repertoire | None], Any]

MAX_STEPS = 150
MAX_REPEAT = 40
MAX_LORA_WEIGHT = 2


@dataclass(frozen=True, slots=True)
class Share:
    """A number of steps as a share of the default."""

    of_default: float


def default_steps(model: Model, *, draft: bool) -> int:
    """Give the number of steps that are taken when nothing is said about it."""
    return max(1, round(model.num_inference_steps / 2)) if draft else model.num_inference_steps


def steps_for(asked: int | Share, model: Model, *, draft: bool) -> int:
    """Give the number of steps that were asked for."""
    if isinstance(asked, int):
        return asked
    return min(max(1, round(default_steps(model, draft=draft) * asked.of_default)), MAX_STEPS)


def _never(params: Params, repertoire: Repertoire | None) -> None:
    return None


def _unless(default: Any, field: str) -> Applied:
    def applied(params: Params, repertoire: Repertoire | None) -> Any:
        value = getattr(params, field)
        return None if value == default else value

    return applied


def _model(params: Params, repertoire: Repertoire | None) -> Model | None:
    return None if repertoire is None else repertoire.find(params.model)


def _applied_model(params: Params, repertoire: Repertoire | None) -> str | None:
    is_default = repertoire is not None and _model(params, repertoire) is repertoire.default
    return None if is_default or not params.model else params.model


def _applied_steps(params: Params, repertoire: Repertoire | None) -> int | None:
    model, steps = _model(params, repertoire), params.num_inference_steps
    return None if model is not None and steps == default_steps(model, draft=params.draft) else steps


def _applied_guidance(params: Params, repertoire: Repertoire | None) -> float | None:
    model, guidance = _model(params, repertoire), params.guidance_scale
    return None if model is not None and guidance == model.guidance_scale else guidance


def _applied_image_weight(params: Params, repertoire: Repertoire | None) -> float | None:
    # Only a picture that somebody brought can be brought again; a tile's strength belongs to the button.
    if not isinstance(params.source, Upload) or params.strength == strength_for(1):
        return None
    return image_weight_for(params.strength)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter: its names, the one that is written first, and the field of `Params` or `Wish` that it `sets`.

    `fields` makes of the value that was read all the fields that it decides: of two parameters that decide the same
    one, only one can be used. `applied` gives the value to write for what was applied, None for the default. `needs` is
    what a model must be able to do for it. `example` and `default` are for people.
    """

    names: tuple[str, ...]
    kind: Kind
    sets: str
    example: str = ""
    default: str = "off"
    help: str
    fields: Callable[[Any], dict[str, Any]] | None = None
    applied: Applied = _never
    repeatable: bool = False
    needs: Feature | None = None

    @property
    def name(self) -> str:
        return self.names[0]

    def decides(self, value: Any) -> dict[str, Any]:
        """Give the fields that the value decides."""
        return {self.sets: value} if self.fields is None else self.fields(value)


def _speed(speed: Speed, help_: str) -> Parameter:
    return Parameter(
        names=(speed.value,),
        kind=Flag(),
        sets="speed",
        default="your setting",
        help=help_,
        fields=lambda flag: {"speed": speed},
    )


PARAMETERS = (
    Parameter(
        names=("ar", "aspect"),
        kind=Aspect(),
        sets="aspect",
        example="3:2",
        default="1:1",
        help="Width to height.",
        applied=_unless((1, 1), "aspect"),
        needs=Feature.SHAPES,
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
        needs=Feature.NEGATIVE,
    ),
    Parameter(
        names=("chaos", "c"),
        kind=Whole(0, 100),
        sets="chaos",
        example="25",
        default="0",
        help="How far the four pictures lie apart.",
        applied=_unless(0, "chaos"),
        needs=Feature.WANDER,
    ),
    Parameter(
        names=("stylize", "s"),
        kind=Whole(0, 1000),
        sets="stylize",
        example="250",
        default="100",
        help="How strongly the model's house style is applied; 0 is your words alone.",
        applied=_unless(100, "stylize"),
        needs=Feature.WEIGHTS,
    ),
    Parameter(
        names=("weird", "w"),
        kind=Whole(0, 3000),
        sets="weird",
        example="500",
        default="0",
        help="How far all four pictures are pushed off the beaten track.",
        applied=_unless(0, "weird"),
        needs=Feature.WANDER,
    ),
    Parameter(
        names=("raw",),
        kind=Flag(),
        sets="raw",
        help="Without the model's house style.",
        applied=_unless(False, "raw"),
    ),
    Parameter(
        names=("style",),
        kind=Choice({"raw": True}),
        sets="raw",
        example="raw",
        default="the model's",
        help="Another way to say `--raw`.",
        fields=lambda name: {"raw": True},
    ),
    Parameter(
        names=("tile",),
        kind=Flag(),
        sets="seamless",
        help="A seamless texture: the edges match.",
        applied=_unless(False, "seamless"),
        needs=Feature.SEAMLESS,
    ),
    Parameter(
        names=("iw",),
        kind=Decimal(0, 3),
        sets="strength",
        example="1.5",
        default="1",
        help="How much of your picture is kept: 0 forgets it, 3 keeps nearly everything.",
        fields=lambda weight: {"strength": strength_for(weight)},
        applied=_applied_image_weight,
        needs=Feature.PICTURE,
    ),
    Parameter(
        names=("model", "version", "v"),
        kind=ModelName(),
        sets="model",
        example="storybook",
        default="yours, or the server's",
        help="Which model draws.",
        applied=_applied_model,
    ),
    Parameter(
        names=("niji",),
        kind=ModelName(family="niji"),
        sets="model",
        example="6",
        default="the server's",
        help="The model called Niji, where there is one.",
    ),
    Parameter(
        names=("lora",),
        kind=Loras(-MAX_LORA_WEIGHT, MAX_LORA_WEIGHT),
        sets="loras",
        example="ink:0.8",
        default="none",
        help="LoRAs that change the model, and how strongly.",
        applied=_unless((), "loras"),
        repeatable=True,
        needs=Feature.ADDITIONS,
    ),
    Parameter(
        names=("quality", "q"),
        kind=Step((0.25, 0.5, 1, 2, 4)),
        sets="num_inference_steps",
        example="0.5",
        default="1",
        help="Time spent: this share of the model's own number of steps.",
        fields=lambda share: {"num_inference_steps": Share(share)},
    ),
    Parameter(
        names=("stop",),
        kind=Whole(10, 100),
        sets="stop",
        example="80",
        default="100",
        help="Ends at this percentage of the steps, with softer pictures.",
        applied=_unless(100, "stop"),
        needs=Feature.STOP,
    ),
    Parameter(
        names=("draft",),
        kind=Flag(),
        sets="draft",
        help="Half the size and half the steps: quick and cheap.",
        fields=lambda flag: {"draft": True, "hd": False},
        applied=_unless(False, "draft"),
        needs=Feature.SHAPES,
    ),
    Parameter(
        names=("hd",),
        kind=Flag(),
        sets="hd",
        help="Goes over the pictures again at twice the size.",
        fields=lambda flag: {"hd": True, "draft": False},
        applied=_unless(False, "hd"),
        needs=Feature.HD,
    ),
    Parameter(
        names=("steps",),
        kind=Whole(1, MAX_STEPS),
        sets="num_inference_steps",
        example="30",
        default="the model's",
        help="The exact number of denoising steps.",
        applied=_applied_steps,
    ),
    Parameter(
        names=("cfg",),
        kind=Decimal(0, 30),
        sets="guidance_scale",
        example="5",
        default="the model's",
        help="How closely the prompt is followed (guidance scale).",
        applied=_applied_guidance,
        needs=Feature.GUIDANCE,
    ),
    Parameter(
        names=("sampler",),
        kind=Choice(SAMPLERS),
        sets="sampler",
        example="euler_a",
        default="the model's",
        help="The noise scheduler.",
        applied=_unless(None, "sampler"),
        needs=Feature.SAMPLER,
    ),
    Parameter(
        names=("negative",),
        kind=Words(),
        sets="negative_prompt",
        example="blurry, low contrast",
        default="nothing",
        help="A classic negative prompt, in place of the empty one.",
        applied=_unless(None, "negative_prompt"),
        needs=Feature.NEGATIVE,
    ),
    Parameter(
        names=("sameseed",),
        kind=FlagOrWhole(0, MAX_SEED),
        sets="same_seed",
        example="1234",
        help="All four pictures start from the same noise, that of this seed.",
        fields=lambda seed: {"same_seed": True} | ({} if seed is True else {"seed": seed}),
        applied=_unless(False, "same_seed"),
    ),
    Parameter(
        names=("seed",),
        kind=Whole(0, MAX_SEED),
        sets="seed",
        example="1234",
        default="random",
        help="The same seed and prompt give the same pictures.",
        applied=lambda params, repertoire: params.seed,
    ),
    Parameter(
        names=("repeat", "r"),
        kind=Whole(2, MAX_REPEAT),
        sets="repeat",
        example="3",
        default="once",
        help="So many jobs of the same prompt, each with a seed of its own.",
    ),
    Parameter(
        names=("zoom",),
        kind=Decimal(ZOOM_LEAST, ZOOM_MOST),
        sets="zoom",
        example="1.5",
        default="2",
        help="How far Custom Zoom goes out; in its form only.",
    ),
    _speed(Speed.FAST, "Before relaxed jobs, this job only."),
    _speed(Speed.RELAX, "After fast jobs, this job only."),
    _speed(Speed.TURBO, "Before all other jobs, this job only."),
    Parameter(
        names=("stealth",),
        kind=Flag(),
        sets="private",
        default="your setting",
        help="Only you see the answer, this job only.",
    ),
    Parameter(
        names=("public",),
        kind=Flag(),
        sets="private",
        default="your setting",
        help="Everybody in the channel sees the answer, this job only.",
        fields=lambda flag: {"private": False},
    ),
)

# Real words of the language that do nothing here yet, so that nobody is told they do not exist.
COMING = ("sref", "sw", "cref", "cw", "video")

BY_NAME = {name: parameter for parameter in PARAMETERS for name in parameter.names}
