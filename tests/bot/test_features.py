"""What a model cannot do is neither offered nor taken, and what it can do is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cogs.buttons import ACTS, LAST_ROW, result_view
from cogs.pressing import MADE, make
from generation import actions
from generation.catalogue import CATALOGUE, DRAWN_WHOLE, Family, typical
from generation.errors import Complaint
from generation.features import EVERYTHING, FEATURES, Feature, needed
from generation.job import Action
from generation.models import Model, describe
from generation.params import Params, Tile
from generation.prompt import PromptFaults, parse, read
from generation.prompt.kinds import Flag, FlagOrWhole
from generation.prompt.table import PARAMETERS, Parameter
from generation.repertoire import Repertoire
from tests.db.jobs import a_job

FAMILIES = sorted(Family)
TILE = Tile("0123456789ab", 0)
MADE_OF_PICTURES = sorted(MADE)
NEEDY = [parameter for parameter in PARAMETERS if parameter.needs]


def _model(family: Family) -> Model:
    return describe(typical(family).name)


def _repertoire(family: Family) -> Repertoire:
    return Repertoire((_model(family),))


def _picture(family: Family) -> Params:
    return replace(parse("a red fox", _repertoire(family)), count=1)


def _typed(parameter: Parameter) -> str:
    value = "" if isinstance(parameter.kind, Flag | FlagOrWhole) else parameter.example
    return f"--{parameter.name} {value}".strip()


def test_every_family_has_its_features_and_a_model_in_the_catalogue() -> None:
    assert FEATURES.keys() == set(Family)
    assert {entry.family for entry in CATALOGUE} == set(Family)
    assert all((FEATURES[family] == EVERYTHING) == (family not in DRAWN_WHOLE) for family in Family)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_plain_prompt_needs_nothing_special(family: Family) -> None:
    assert not needed(parse("a red fox", _repertoire(family)))


@pytest.mark.parametrize("action", MADE_OF_PICTURES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_button_that_is_offered_makes_what_the_model_can_do(family: Family, action: Action) -> None:
    model, picture = _model(family), _picture(family)
    is_offered = action in actions.possible(picture, model)
    if not is_offered:
        with pytest.raises(Complaint, match="cannot be done"):
            make(action, picture, TILE, model, 7)
        return
    child = make(action, picture, TILE, model, 7)
    assert needed(child) <= model.features
    assert child.width % model.size_multiple == child.height % model.size_multiple == 0
    if Feature.WINDOWS not in model.features:
        assert child.width * child.height <= actions.UPSCALED_WHOLE * model.native_size**2
        assert max(child.width, child.height) <= 1.1 * model.max_aspect * min(child.width, child.height)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_that_starts_from_pictures_offers_variations_and_the_others_do_not(family: Family) -> None:
    model, offered = _model(family), actions.possible(_picture(family), _model(family))
    assert (Action.VARY_SUBTLE in offered) == (Action.REMIX_STRONG in offered) == (Feature.PICTURE in model.features)
    assert (Action.ZOOM_2 in offered) == (Action.VARY_REGION in offered) == (Feature.CANVAS in model.features)
    assert (Action.UPSCALE_SUBTLE in offered) == (Feature.UPSCALE in model.features)
    assert (Action.UPSCALE_CREATIVE_4 in offered) == (Feature.WINDOWS in model.features)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_grid_gives_its_tiles_whatever_the_model_can_do(family: Family) -> None:
    assert Action.PICK in actions.possible(parse("a red fox", _repertoire(family)), _model(family))


def _buttons(params: Params, model: Model) -> set[str]:
    children: list[Any] = list(result_view(a_job(params=params), model).children)
    return {child.custom_id.partition(":")[0] for child in children}


@pytest.mark.parametrize("family", FAMILIES)
async def test_below_a_picture_are_the_buttons_of_what_its_model_can_do(family: Family) -> None:
    model, picture = _model(family), _picture(family)
    assert _buttons(picture, model) == {*LAST_ROW, Action.REROLL, *(actions.possible(picture, model) & {*ACTS})}


@pytest.mark.parametrize("family", FAMILIES)
async def test_below_a_grid_is_a_second_row_where_its_tiles_can_be_varied(family: Family) -> None:
    model = _model(family)
    varied = {Action.VARY_STRONG} if Feature.PICTURE in model.features else set()
    assert _buttons(parse("a red fox", _repertoire(family)), model) == {Action.PICK, Action.REROLL, *varied}


def test_a_picture_cannot_grow_on_without_windows() -> None:
    model, picture = _model(Family.FLUX), _picture(Family.FLUX)
    larger = make(Action.UPSCALE_SUBTLE, picture, TILE, model, 7)
    assert (larger.width, larger.height) == (2048, 2048)
    assert not {Action.UPSCALE_SUBTLE, Action.UPSCALE_CREATIVE} & actions.possible(larger, model)
    longer = picture
    while Action.PAN_RIGHT in actions.possible(longer, model):
        longer = make(Action.PAN_RIGHT, longer, TILE, model, 7)
    assert 2 * longer.height <= longer.width <= 3 * longer.height


@pytest.mark.parametrize("parameter", NEEDY, ids=lambda parameter: parameter.name)
@pytest.mark.parametrize("family", sorted(DRAWN_WHOLE))
def test_a_parameter_that_the_model_cannot_do_is_refused_when_typed_and_left_out_when_preferred(
    family: Family, parameter: Parameter
) -> None:
    here, typed = _repertoire(family), _typed(parameter)
    plain = read("a red fox --seed 1", here).params
    if parameter.needs not in here.default.features:
        with pytest.raises(PromptFaults, match=f"Cannot use `--{parameter.name}` with .*: it cannot"):
            read(
                f"a red fox {typed}", here, attached=parameter.name == "iw" and Feature.PICTURE in here.default.features
            )
        assert read("a red fox --seed 1", here, defaults=[typed]).params == plain
    elif parameter.name not in ("iw", "lora"):  # they need a picture, and a file
        assert read(f"a red fox --seed 1 {typed}", here).params != plain


@pytest.mark.parametrize(
    ("text", "pictures", "said"),
    [
        ("fox:: moon", 0, "`::` with Karlo: it cannot weigh"),
        ("fox::2", 0, "`::` with Karlo: it cannot weigh"),
        ("fox", 1, "a picture with Karlo: it cannot start from a picture"),
        ("fox", 2, "several pictures with Karlo: it cannot blend"),
    ],
)
def test_what_is_said_without_a_parameter_is_refused_as_well(text: str, pictures: int, said: str) -> None:
    with pytest.raises(PromptFaults, match=said):
        read(text, _repertoire(Family.UNCLIP), attached=pictures)


def test_the_model_that_is_typed_decides_what_else_may_be() -> None:
    here = Repertoire((_model(Family.SD1), _model(Family.FLUX)))
    assert read("a fox --tile", here).params.seamless
    with pytest.raises(PromptFaults, match="`--tile` with FLUX"):
        read("a fox --tile --model flux", here)
    assert not read("a fox --model flux", here, defaults=["--tile --chaos 20"]).params.seamless


def test_a_job_that_its_model_cannot_draw_is_refused_with_those_that_can() -> None:
    here = Repertoire((_model(Family.UNCLIP), _model(Family.SD1)))
    params = replace(parse("a fox", here), source=TILE)
    with pytest.raises(Complaint, match=r"Karlo cannot start from a picture\. There is Stable Diffusion 1\.5 for that"):
        here.check(params)
    here.check(replace(params, model="Stable Diffusion 1.5"))
