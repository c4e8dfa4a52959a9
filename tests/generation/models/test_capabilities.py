"""Actions and parameters are offered and accepted only if the model supports them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.ui.job_views import ACTION_IDS, LAST_ROW, result_view
from cogs.image_buttons.variations import ACTION_PARAMS, params_for
from generation.errors import UserError
from generation.job import Action
from generation.models.capabilities import ALL_CAPABILITIES, FAMILY_CAPABILITIES, Capability, required_capabilities
from generation.models.catalogue import CATALOGUE, PIPELINE_ONLY, Family, reference_entry
from generation.models.model import Model, describe_model
from generation.models.registry import ModelRegistry
from generation.params import Params, Tile
from generation.planning import actions
from generation.prompt import PromptError, format_prompt, parse_params, parse_prompt
from generation.prompt.parameters import PARAMETERS, Parameter
from generation.prompt.values import Flag, FlagOrInteger
from tests.support.jobs import make_job

FAMILIES = sorted(Family)
TILE = Tile("0123456789ab", 0)
IMAGE_ACTIONS = sorted(ACTION_PARAMS)
REQUIRING_PARAMETERS = [parameter for parameter in PARAMETERS if parameter.requires]


def _model(family: Family) -> Model:
    return describe_model(reference_entry(family).name)


def _registry(family: Family) -> ModelRegistry:
    return ModelRegistry((_model(family),))


def _grid(family: Family) -> Params:
    """Return what a prompt draws, from a picture where the family edits pictures."""
    source = TILE if Capability.EDIT in FAMILY_CAPABILITIES[family] else None
    return parse_params("a red fox", _registry(family), source=source)


def _picture(family: Family) -> Params:
    return replace(_grid(family), count=1)


def _example_prompt(parameter: Parameter) -> str:
    value = "" if isinstance(parameter.value_type, Flag | FlagOrInteger) else parameter.example
    return f"--{parameter.name} {value}".strip()


def test_every_family_has_capabilities_and_a_catalogue_entry() -> None:
    assert FAMILY_CAPABILITIES.keys() == set(Family)
    assert {entry.family for entry in CATALOGUE} == set(Family)
    assert all((FAMILY_CAPABILITIES[family] == ALL_CAPABILITIES) == (family not in PIPELINE_ONLY) for family in Family)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_plain_prompt_requires_no_capability(family: Family) -> None:
    assert required_capabilities(_grid(family)) <= {Capability.EDIT} & FAMILY_CAPABILITIES[family]


@pytest.mark.parametrize("family", FAMILIES)
def test_an_offered_action_requires_only_the_models_capabilities(family: Family) -> None:
    for action in IMAGE_ACTIONS:
        _check_action(_model(family), _picture(family), action)


def _check_action(model: Model, picture: Params, action: Action) -> None:
    is_offered = action in actions.available_actions(picture, model)
    if not is_offered:
        with pytest.raises(UserError, match="cannot be done"):
            params_for(action, picture, TILE, model, 7)
        return
    child = params_for(action, picture, TILE, model, 7)
    assert required_capabilities(child) <= model.capabilities
    assert child.width % model.size_multiple == child.height % model.size_multiple == 0
    if Capability.TILED not in model.capabilities:
        assert child.width * child.height <= actions.MAX_UPSCALED_AREA_UNTILED * model.native_size**2
        assert max(child.width, child.height) <= 1.1 * model.max_aspect * min(child.width, child.height)


@pytest.mark.parametrize("family", FAMILIES)
def test_only_a_model_with_img2img_offers_variations(family: Family) -> None:
    model, offered = _model(family), actions.available_actions(_picture(family), _model(family))
    assert (
        (Action.VARY_SUBTLE in offered)
        == (Action.REMIX_STRONG in offered)
        == (Capability.IMG2IMG in model.capabilities)
    )
    assert (Action.ZOOM_2 in offered) == (Action.VARY_REGION in offered) == (Capability.INPAINT in model.capabilities)
    assert (Action.UPSCALE_SUBTLE in offered) == (Capability.UPSCALE in model.capabilities)
    assert (Action.UPSCALE_CREATIVE_4 in offered) == (Capability.TILED in model.capabilities)


@pytest.mark.parametrize("family", FAMILIES)
def test_tiles_can_be_picked_with_every_model(family: Family) -> None:
    assert Action.PICK in actions.available_actions(_grid(family), _model(family))


def _buttons(params: Params, model: Model) -> set[str]:
    children: list[Any] = list(result_view(make_job(params=params), model).children)
    return {child.custom_id.partition(":")[0] for child in children}


@pytest.mark.parametrize("family", FAMILIES)
async def test_an_image_has_the_buttons_that_its_model_supports(family: Family) -> None:
    model, picture = _model(family), _picture(family)
    assert _buttons(picture, model) == {
        *LAST_ROW,
        Action.REROLL,
        *(actions.available_actions(picture, model) & {*ACTION_IDS}),
    }


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_grid_has_a_second_row_if_its_tiles_can_be_varied(family: Family) -> None:
    model = _model(family)
    varied = {Action.VARY_STRONG} if Capability.IMG2IMG in model.capabilities else set()
    varied |= {Action.WALK} if Capability.WALK in model.capabilities else set()
    assert _buttons(_grid(family), model) == {Action.PICK, Action.REROLL, *varied}


def test_an_image_cannot_grow_indefinitely_without_windows() -> None:
    model, picture = _model(Family.FLUX), _picture(Family.FLUX)
    larger = params_for(Action.UPSCALE_SUBTLE, picture, TILE, model, 7)
    assert (larger.width, larger.height) == (2048, 2048)
    assert not {Action.UPSCALE_SUBTLE, Action.UPSCALE_CREATIVE} & actions.available_actions(larger, model)
    longer = picture
    while Action.PAN_RIGHT in actions.available_actions(longer, model):
        longer = params_for(Action.PAN_RIGHT, longer, TILE, model, 7)
    assert 2 * longer.height <= longer.width <= 3 * longer.height


@pytest.mark.parametrize("family", sorted(PIPELINE_ONLY))
def test_an_unsupported_parameter_is_refused_when_typed_else_left_out(family: Family) -> None:
    for parameter in REQUIRING_PARAMETERS:
        _check_parameter(_registry(family), parameter)


def _check_parameter(here: ModelRegistry, parameter: Parameter) -> None:
    typed = _example_prompt(parameter)
    edits = int(Capability.EDIT in here.default.capabilities)
    plain = parse_prompt("a red fox --seed 1", here, attached=edits).params
    if parameter.requires not in here.default.capabilities:
        with pytest.raises(PromptError, match=f"Cannot use `--{parameter.name}` with .*: it cannot"):
            parse_prompt(
                f"a red fox {typed}",
                here,
                attached=edits or (parameter.name == "iw" and Capability.IMG2IMG in here.default.capabilities),
            )
        assert parse_prompt("a red fox --seed 1", here, attached=edits, defaults=[typed]).params == plain
    elif parameter.name not in ("iw", "lora"):  # these need an image and a file
        attached = edits or int(parameter.name in ("colour", "retouch"))
        text = "a [red:blue:.1] fox --seed 1" if parameter.name in ("hold", "retouch") else "a red fox --seed 1"
        plain = parse_prompt(text, here, attached=attached).params
        assert parse_prompt(f"{text} {typed}", here, attached=attached).params != plain


@pytest.mark.parametrize(
    ("text", "pictures", "problem"),
    [
        ("fox:: moon", 0, "`::` with Karlo: it cannot weight the parts of a prompt"),
        ("fox::2", 0, "`::` with Karlo: it cannot weight the parts of a prompt"),
        ("fox", 1, "a picture with Karlo: it cannot start from a picture"),
        ("fox", 2, "several pictures with Karlo: it cannot blend"),
    ],
)
def test_unsupported_weights_and_images_are_refused(text: str, pictures: int, problem: str) -> None:
    with pytest.raises(PromptError, match=problem):
        parse_prompt(text, _registry(Family.UNCLIP), attached=pictures)


def test_the_typed_model_decides_which_parameters_are_valid() -> None:
    here = ModelRegistry((_model(Family.SD1), _model(Family.FLUX)))
    assert parse_prompt("a fox --tile", here).params.seamless
    with pytest.raises(PromptError, match="`--tile` with FLUX"):
        parse_prompt("a fox --tile --model flux", here)
    assert not parse_prompt("a fox --model flux", here, defaults=["--tile --chaos 20"]).params.seamless


def test_an_unsupported_job_is_refused_with_the_models_that_support_it() -> None:
    here = ModelRegistry((_model(Family.UNCLIP), _model(Family.SD1)))
    params = replace(parse_params("a fox", here), source=TILE)
    with pytest.raises(UserError, match=r"Karlo cannot start from a picture\. Models that can: Stable Diffusion 1\.5"):
        here.require_supported(params)
    here.require_supported(replace(params, model="Stable Diffusion 1.5"))


def _editors() -> ModelRegistry:
    return ModelRegistry((_model(Family.SD1), describe_model("ip2p")))


def test_a_model_for_edits_changes_the_first_picture() -> None:
    request = parse_prompt("make it snow --model ip2p", _editors(), attached=1)
    params = request.with_images([TILE])
    assert (params.original, params.source, params.strength, params.image_guidance) == (TILE, None, 1.0, 1.5)
    assert required_capabilities(params) == {Capability.EDIT}
    _editors().require_supported(params)
    stricter = parse_prompt("make it snow --model ip2p --iw 3", _editors(), attached=1).params
    assert (stricter.strength, stricter.image_guidance) == (1.0, 2.5)
    assert parse_prompt(format_prompt(stricter, _editors()), _editors(), attached=1).params.image_guidance == 2.5
    drawn = parse_prompt("a fox --iw 3", _editors(), attached=1).params
    assert (drawn.original, drawn.image_guidance) == (None, 1.5)


@pytest.mark.parametrize(
    ("text", "pictures", "problem"),
    [
        ("make it snow", 0, r"InstructPix2Pix edits pictures: give it one with `/edit`, and say what to change\."),
        ("", 1, "Say what to change in the picture"),
        ("make it snow", 2, "several pictures with InstructPix2Pix: it cannot blend pictures"),
        ("make it snow --colour", 1, "`--colour` with InstructPix2Pix: it cannot colour"),
        ("make it snow --mix a boat", 1, "`--mix` with InstructPix2Pix: it cannot"),
    ],
)
def test_a_model_for_edits_says_what_it_needs(text: str, pictures: int, problem: str) -> None:
    with pytest.raises(PromptError, match=problem):
        parse_prompt(f"{text} --model ip2p", _editors(), attached=pictures)


def test_an_edit_needs_a_model_for_edits_and_that_needs_an_edit() -> None:
    edit = parse_prompt("make it snow --model ip2p", _editors(), attached=1).with_images([TILE])
    with pytest.raises(UserError, match=r"cannot change a picture as words say\. Models that can: InstructPix2Pix\."):
        _editors().require_supported(replace(edit, model="Stable Diffusion 1.5"))
    with pytest.raises(UserError, match="InstructPix2Pix edits pictures"):
        _editors().require_supported(replace(edit, original=None))


def test_variations_and_upscales_of_an_edit_see_the_picture_that_it_changed() -> None:
    model = _editors().models[1]
    edit = parse_prompt("make it snow --model ip2p --iw 2", _editors(), attached=1).with_images([TILE])
    other = Tile("ba9876543210", 1)
    offered = actions.available_actions(replace(edit, count=1), model)
    assert {Action.VARY_STRONG, Action.UPSCALE_SUBTLE, Action.EDIT_WORDS} <= offered
    assert not offered & {Action.ZOOM_2, Action.VARY_REGION, Action.WALK, Action.ZOOM_FILM}
    for action in sorted(offered & set(ACTION_PARAMS)):
        child = params_for(action, edit, other, model, 7)
        assert (child.source, child.original, child.image_guidance) == (other, TILE, 2.0)
        assert required_capabilities(child) <= model.capabilities
    assert params_for(Action.REROLL, edit, other, model, 7) == replace(edit, seed=7)
