"""Preferences, and the parameters that they stand for."""

from __future__ import annotations

import pytest

from generation.errors import UserError
from generation.models.catalogue import Family
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.prompt.preferences import STYLIZE_PRESETS, Preferences, check_option, check_suffix

MODEL = Model(name="none", ref="none")
REGISTRY = ModelRegistry((MODEL,))


@pytest.mark.parametrize(
    ("preferences", "layers"),
    [
        (Preferences(), ()),
        (Preferences(stylize=STYLIZE_PRESETS["high"]), ("--stylize 250",)),
        (Preferences(stylize=0, raw=True), ("--stylize 0 --raw",)),
        (Preferences(suffix="--ar 3:2", model="storybook"), ("--ar 3:2", "--model storybook")),
        (Preferences(private=True, remix=True, auto_dm=True), ()),
    ],
)
def test_preferences_become_parameters_with_the_suffix_first(preferences, layers):
    assert preferences.parameter_layers == layers


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("--ar 3:2", "--ar 3:2"),
        ("  --ar 3:2\n --no text, people ", "--ar 3:2 --no text, people"),
        ("—ar 3:2", "—ar 3:2"),
    ],
)
def test_a_suffix_of_parameters_is_accepted(text, stored):
    assert check_suffix(text, REGISTRY) == stored


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("oil painting", "parameters only"),
        ("oil painting --ar 3:2", "parameters only"),
        ("", "parameters only"),
        ("--aspct 3:2", "did you mean"),
        ("--steps 1000", "150"),
        ("--no " + "x" * 600, "500"),
        ("--iw 9", "between 0 and 3"),
        ("--keep 30", "works with `--mix`"),
    ],
)
def test_any_other_suffix_is_rejected_with_the_reason(text, reason):
    with pytest.raises(UserError, match=reason):
        check_suffix(text, REGISTRY)


@pytest.mark.parametrize("parameters", ["--seed 5", "--model karlo", "--model none --iw 2"])
def test_parameters_may_choose_a_model_that_takes_no_pictures(parameters):
    karlo = Model(name="Karlo", ref="karlo", family=Family.UNCLIP)
    for registry in (ModelRegistry((karlo, MODEL)), ModelRegistry((MODEL, karlo))):
        assert check_suffix(parameters, registry) == parameters
        assert check_option("mine", parameters, registry) == ("mine", parameters)


@pytest.mark.parametrize("name", ["mine", "--mine", " Mine ", "my-own", "größe", "日本"])
def test_an_options_name_is_normalised(name):
    assert check_option(name, " oil  painting --raw ", REGISTRY) == (
        name.strip().removeprefix("--").lower(),
        "oil painting --raw",
    )


@pytest.mark.parametrize("name", ["", "ar", "--SEED", "two words", "v7", "mine2", "-", "a" * 33, "a`b", "stealth"])
def test_an_invalid_option_name_is_rejected(name):
    with pytest.raises(UserError):
        check_option(name, "--raw", REGISTRY)


def test_an_option_that_is_too_long_is_rejected():
    with pytest.raises(UserError, match="1000"):
        check_option("mine", "x" * 1001, REGISTRY)


def test_an_option_with_invalid_parameters_is_rejected_with_the_reason():
    with pytest.raises(UserError, match="did you mean"):
        check_option("mine", "oil painting --aspct 3:2", REGISTRY)
