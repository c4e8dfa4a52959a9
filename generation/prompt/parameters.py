"""All parameters: add a row here to add one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from generation.job import Speed
from generation.models.capabilities import Capability
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.models.samplers import SAMPLER_ALIASES, SAMPLERS
from generation.params import DEFAULT_IMAGE_GUIDANCE, MAX_SEED, ControlWeight, Params, Upload
from generation.planning.actions import DEFAULT_KEEP, DEFAULT_MIX_KEEP, MAX_ZOOM, MIN_ZOOM
from generation.planning.image_prompts import DEFAULT_IMAGE_WEIGHT, MAX_CHARACTER_WEIGHT
from generation.planning.style import DEFAULT_STYLE_WEIGHT, MAX_STYLE_WEIGHT
from generation.prompt.controls import Controls
from generation.prompt.values import (
    AspectRatio,
    Choice,
    Flag,
    FlagOrInteger,
    Float,
    FreeText,
    Integer,
    Loras,
    ModelName,
    Stepped,
    StyleName,
    TextList,
    ValueType,
)
from generation.prompt.weights import (
    default_strength,
    image_guidance_for,
    image_weight_for,
    image_weight_of_guidance,
    strength_for,
)
from generation.text import Text

ValueGetter = Callable[[Params, ModelRegistry | None], Any]

MAX_STEPS = 150
MAX_REPEAT = 40
MAX_LORA_WEIGHT = 2


@dataclass(frozen=True, slots=True)
class StepFraction:
    """A number of steps as a fraction of the default."""

    of_default: float


def default_steps(model: Model, sampler: str | None, *, draft: bool) -> int:
    """Return the number of steps if the prompt does not set it; other samplers than the model's own may need more."""
    steps = model.num_inference_steps
    if sampler not in (None, model.sampler):
        steps = model.steps_with_other_samplers or steps
    return max(1, round(steps / 2)) if draft else steps


def steps_for(requested: int | StepFraction, model: Model, sampler: str | None, *, draft: bool) -> int:
    """Return the requested number of steps."""
    if isinstance(requested, int):
        return requested
    return min(max(1, round(default_steps(model, sampler, draft=draft) * requested.of_default)), MAX_STEPS)


def _no_value(params: Params, registry: ModelRegistry | None) -> None:
    return None


def _value_unless(default: Any, field: str) -> ValueGetter:
    def get_value(params: Params, registry: ModelRegistry | None) -> Any:
        value = getattr(params, field)
        return None if value == default else value

    return get_value


def _find_model(params: Params, registry: ModelRegistry | None) -> Model | None:
    return None if registry is None else registry.find(params.model)


def _model_value(params: Params, registry: ModelRegistry | None) -> str | None:
    is_default = registry is not None and _find_model(params, registry) is registry.default
    return None if is_default or not params.model else params.model


def _steps_value(params: Params, registry: ModelRegistry | None) -> int | None:
    model, steps = _find_model(params, registry), params.num_inference_steps
    if model is not None and steps == default_steps(model, params.sampler, draft=params.draft):
        return None
    return steps


def _guidance_value(params: Params, registry: ModelRegistry | None) -> float | None:
    model, guidance = _find_model(params, registry), params.guidance_scale
    return None if model is not None and guidance == model.guidance_scale else guidance


def _image_weight_value(params: Params, registry: ModelRegistry | None) -> float | None:
    if params.original is not None:
        is_default = params.image_guidance == DEFAULT_IMAGE_GUIDANCE
        return None if is_default else image_weight_of_guidance(params.image_guidance)
    if params.image_prompts:
        return None if params.image_weight == DEFAULT_IMAGE_WEIGHT else params.image_weight
    # Only an upload can be attached again; the strength for a tile is set by the button.
    usual = default_strength(params.mix, params.colourise, params.retouch)
    if not isinstance(params.source, Upload) or params.strength == usual:
        return None
    return image_weight_for(params.strength)


def _control_value(params: Params, registry: ModelRegistry | None) -> tuple[ControlWeight | str, ...] | None:
    return (*params.controls, *filter(None, [params.control_code])) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter: its names, the one to write first, and the `field` of `Params` or `PromptRequest` that it sets.

    `to_fields` turns the value into all fields that it sets; only one of two parameters that set the same field can be
    used. `get_value` returns the value to write for applied params, None for the default. A model must have the
    capability that it `requires`. `example` and `default` are shown in the help.
    """

    names: tuple[str, ...]
    value_type: ValueType
    field: str
    example: str = ""
    default: str = "off"
    help: str
    to_fields: Callable[[Any], dict[str, Any]] | None = None
    get_value: ValueGetter = _no_value
    repeatable: bool = False
    requires: Capability | None = None

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def long_name(self) -> str:
        """Return the first name that is more than an abbreviation, or else the first."""
        return next((name for name in self.names if len(name) > 2), self.name)

    def field_values(self, value: Any) -> dict[str, Any]:
        """Return the fields that the value sets."""
        return {self.field: value} if self.to_fields is None else self.to_fields(value)


def _speed_parameter(speed: Speed, help_: str) -> Parameter:
    return Parameter(
        names=(speed.value,),
        value_type=Flag(),
        field="speed",
        default="your setting",
        help=help_,
        to_fields=lambda flag: {"speed": speed},
    )


PARAMETERS = (
    Parameter(
        names=("ar", "aspect"),
        value_type=AspectRatio(),
        field="aspect",
        example="3:2",
        default="1:1",
        help="Aspect ratio: width to height.",
        get_value=_value_unless((1, 1), "aspect"),
        requires=Capability.ASPECT_RATIO,
    ),
    Parameter(
        names=("no",),
        value_type=TextList(),
        field="no",
        example="text, people",
        default="nothing",
        help="What to keep out of the picture; each item has a weight of -0.5.",
        get_value=_value_unless((), "no"),
        repeatable=True,
        requires=Capability.NEGATIVE_PROMPT,
    ),
    Parameter(
        names=("chaos", "c"),
        value_type=Integer(0, 100),
        field="chaos",
        example="25",
        default="0",
        help="How different the four pictures are from one another.",
        get_value=_value_unless(0, "chaos"),
        requires=Capability.PROMPT_DRIFT,
    ),
    Parameter(
        names=("stylize", "s"),
        value_type=Integer(0, 1000),
        field="stylize",
        example="250",
        default="100",
        help="How strongly the model's house style is applied; 0 uses your words alone.",
        get_value=_value_unless(100, "stylize"),
        requires=Capability.PROMPT_WEIGHTS,
    ),
    Parameter(
        names=("weird", "w"),
        value_type=Integer(0, 3000),
        field="weird",
        example="500",
        default="0",
        help="How unusual the pictures become.",
        get_value=_value_unless(0, "weird"),
        requires=Capability.PROMPT_DRIFT,
    ),
    Parameter(
        names=("raw",),
        value_type=Flag(),
        field="raw",
        help="Leaves out the model's house style.",
        get_value=_value_unless(False, "raw"),
    ),
    Parameter(
        names=("style",),
        value_type=Choice({"raw": True}),
        field="raw",
        example="raw",
        default="the model's",
        help="`--style raw` is the same as `--raw`.",
        to_fields=lambda name: {"raw": True},
    ),
    Parameter(
        names=("tile",),
        value_type=Flag(),
        field="seamless",
        help="Makes a seamless texture: opposite edges match.",
        get_value=_value_unless(False, "seamless"),
        requires=Capability.SEAMLESS,
    ),
    Parameter(
        names=("iw",),
        value_type=Float(0, 3),
        field="strength",
        example="1.5",
        default="1",
        help="How much of your picture is kept: 0 ignores it, 3 keeps nearly everything.",
        to_fields=lambda weight: {
            "strength": strength_for(weight),
            "image_guidance": image_guidance_for(weight),
            "image_weight": weight,
        },
        get_value=_image_weight_value,
        requires=Capability.IMG2IMG,
    ),
    Parameter(
        names=("mix",),
        value_type=FreeText(),
        field="mix",
        example="a coffee machine",
        default="nothing",
        help="Another idea, drawn on the shapes of your picture; `--keep` says how much of them is kept.",
        get_value=_value_unless("", "mix"),
        requires=Capability.MIX,
    ),
    Parameter(
        names=("colour", "color"),
        value_type=Flag(),
        field="colourise",
        help="Colours your grey picture: its lightness stays exactly, and the colours follow your words.",
        get_value=_value_unless(False, "colourise"),
        requires=Capability.COLOUR,
    ),
    Parameter(
        names=("sref",),
        value_type=StyleName(),
        field="style_code",
        example="4f2a1c",
        default="none",
        help="A picture whose style is taken over: a link, a code of this server, or `random`.",
        get_value=_value_unless("", "style_code"),
        requires=Capability.STYLE,
    ),
    Parameter(
        names=("sw",),
        value_type=Integer(0, MAX_STYLE_WEIGHT),
        field="style_weight",
        example="300",
        default=str(DEFAULT_STYLE_WEIGHT),
        help="How much of the style of `--sref` is taken over; 0 ignores it.",
        get_value=_value_unless(DEFAULT_STYLE_WEIGHT, "style_weight"),
        requires=Capability.STYLE,
    ),
    Parameter(
        names=("cref",),
        value_type=StyleName(is_style=False),
        field="character_code",
        example="4f2a1c",
        default="none",
        help="A picture whose character is drawn: a link, or a code of this server.",
        get_value=_value_unless("", "character_code"),
        requires=Capability.CHARACTER,
    ),
    Parameter(
        names=("cw",),
        value_type=Integer(0, MAX_CHARACTER_WEIGHT),
        field="character_weight",
        example="60",
        default=str(MAX_CHARACTER_WEIGHT),
        help="How much the character of `--cref` counts beside your words; 0 ignores it.",
        get_value=_value_unless(MAX_CHARACTER_WEIGHT, "character_weight"),
        requires=Capability.CHARACTER,
    ),
    Parameter(
        names=("control",),
        value_type=Controls(),
        field="controls",
        example="canny:0.8",
        default="none",
        help="ControlNets, and the picture whose edges, depth or pose they take over: a link, or the `control` option.",
        get_value=_control_value,
        repeatable=True,
        requires=Capability.CONTROL,
    ),
    Parameter(
        names=("model", "version", "v"),
        value_type=ModelName(),
        field="model",
        example="storybook",
        default="your setting, or the server's",
        help="The model to draw with.",
        get_value=_model_value,
    ),
    Parameter(
        names=("niji",),
        value_type=ModelName(family="niji"),
        field="model",
        example="6",
        default="the server's",
        help="Selects Anything V3, or another installed model named Niji.",
    ),
    Parameter(
        names=("lora",),
        value_type=Loras(-MAX_LORA_WEIGHT, MAX_LORA_WEIGHT),
        field="loras",
        example="ink:0.8",
        default="none",
        help="LoRAs to draw with, and how strongly each is applied.",
        get_value=_value_unless((), "loras"),
        repeatable=True,
        requires=Capability.ADAPTERS,
    ),
    Parameter(
        names=("quality", "q"),
        value_type=Stepped((0.25, 0.5, 1, 2, 4)),
        field="num_inference_steps",
        example="0.5",
        default="1",
        help="Time spent, as a multiple of the model's default number of steps.",
        to_fields=lambda fraction: {"num_inference_steps": StepFraction(fraction)},
    ),
    Parameter(
        names=("stop",),
        value_type=Integer(10, 100),
        field="stop",
        example="80",
        default="100",
        help="Stops at this percentage of the steps, for softer pictures.",
        get_value=_value_unless(100, "stop"),
        requires=Capability.STOP,
    ),
    Parameter(
        names=("draft",),
        value_type=Flag(),
        field="draft",
        help="Half the size and half the steps: quick and cheap.",
        to_fields=lambda flag: {"draft": True, "hd": False},
        get_value=_value_unless(False, "draft"),
        requires=Capability.ASPECT_RATIO,
    ),
    Parameter(
        names=("hd",),
        value_type=Flag(),
        field="hd",
        help="Adds a second pass at twice the size.",
        to_fields=lambda flag: {"hd": True, "draft": False},
        get_value=_value_unless(False, "hd"),
        requires=Capability.HD,
    ),
    Parameter(
        names=("video",),
        value_type=Flag(),
        field="video",
        help="Adds a film of how the picture appears; counts as one more job.",
        get_value=_value_unless(False, "video"),
        requires=Capability.VIDEO,
    ),
    Parameter(
        names=("steps",),
        value_type=Integer(1, MAX_STEPS),
        field="num_inference_steps",
        example="30",
        default="the model's",
        help="The exact number of denoising steps.",
        get_value=_steps_value,
    ),
    Parameter(
        names=("cfg",),
        value_type=Float(0, 30),
        field="guidance_scale",
        example="5",
        default="the model's",
        help="How closely the prompt is followed (guidance scale).",
        get_value=_guidance_value,
        requires=Capability.GUIDANCE,
    ),
    Parameter(
        names=("sampler",),
        value_type=Choice(SAMPLERS, SAMPLER_ALIASES),
        field="sampler",
        example="euler_a",
        default="the model's",
        help="The noise scheduler.",
        get_value=_value_unless(None, "sampler"),
        requires=Capability.SAMPLER,
    ),
    Parameter(
        names=("negative",),
        value_type=FreeText(),
        field="negative_prompt",
        example="blurry, low contrast",
        default="nothing",
        help="A classic negative prompt, used instead of the empty one.",
        get_value=_value_unless(None, "negative_prompt"),
        requires=Capability.NEGATIVE_PROMPT,
    ),
    Parameter(
        names=("sameseed",),
        value_type=FlagOrInteger(0, MAX_SEED),
        field="same_seed",
        example="1234",
        help="All four pictures start from the same noise, made from this seed.",
        to_fields=lambda seed: {"same_seed": True} | ({} if seed is True else {"seed": seed}),
        get_value=_value_unless(False, "same_seed"),
    ),
    Parameter(
        names=("seed",),
        value_type=Integer(0, MAX_SEED),
        field="seed",
        example="1234",
        default="random",
        help="The same seed and prompt give the same pictures.",
        get_value=lambda params, registry: params.seed,
    ),
    Parameter(
        names=("repeat", "r"),
        value_type=Integer(2, MAX_REPEAT),
        field="repeat",
        example="3",
        default="once",
        help="Runs the prompt this many times, each with a new seed.",
    ),
    Parameter(
        names=("zoom",),
        value_type=Float(MIN_ZOOM, MAX_ZOOM),
        field="zoom",
        example="1.5",
        default="2",
        help="How far Custom Zoom zooms out; works in its form only.",
    ),
    Parameter(
        names=("keep",),
        value_type=Integer(0, 100),
        field="keep",
        example="40",
        default=f"{DEFAULT_MIX_KEEP}, or {DEFAULT_KEEP}",
        help="How much of the picture is kept, in percent, with `--mix` (50) and in the form of *Edit words* (15).",
        get_value=lambda params, _: params.mix_keep if params.mix and params.mix_keep != DEFAULT_MIX_KEEP else None,
        requires=Capability.PROMPT_EDITS,
    ),
    Parameter(
        names=("hold",),
        value_type=Flag(),
        field="hold",
        help="Where words change, as in `[red:blue:.1]` and in *Edit words*: all that they do not concern stays.",
        get_value=_value_unless(False, "hold"),
        requires=Capability.PROMPT_EDITS,
    ),
    Parameter(
        names=("retouch",),
        value_type=Flag(),
        field="retouch",
        help="Changes your picture only where words change, as in `[red:blue:.0]`; the words before say what it shows.",
        get_value=_value_unless(False, "retouch"),
        requires=Capability.PROMPT_EDITS,
    ),
    _speed_parameter(Speed.FAST, "Runs this job before relaxed jobs."),
    _speed_parameter(Speed.RELAX, "Runs this job after fast jobs."),
    _speed_parameter(Speed.TURBO, "Runs this job before all other jobs."),
    Parameter(
        names=("stealth",),
        value_type=Flag(),
        field="private",
        default="your setting",
        help="Shows the result of this job to you alone.",
    ),
    Parameter(
        names=("public",),
        value_type=Flag(),
        field="private",
        default="your setting",
        help="Shows the result of this job to everyone in the channel.",
        to_fields=lambda flag: {"private": False},
    ),
)

_CHARACTER_INSTEAD = Text("The nearest is `--cref` with a link to the picture, and `--cw`.")
_OPTION_INSTEAD = Text("The nearest is a custom option of your own: `/prefer option set`.")
# Midjourney's parameters that are not implemented, and what comes nearest: the prompt is refused, but not for an
# unknown parameter.
PLANNED: Mapping[str, Text | None] = {
    "sv": Text("The nearest is `--sref`, which has one version."),
    **dict.fromkeys(("oref", "ow"), _CHARACTER_INSTEAD),
    **dict.fromkeys(("p", "profile", "personalize"), _OPTION_INSTEAD),
    "exp": Text("The nearest are `--stylize` and `--weird`."),
    "edit": Text("The nearest are `/edit`, and the button *Vary (Region)* below a picture."),
    "sd": Text("Without `--hd`, pictures have the usual size anyway."),
    **dict.fromkeys(("motion", "loop", "end", "bs"), None),
}

BY_NAME = {name: parameter for parameter in PARAMETERS for name in parameter.names}
