"""What people may settle, and what it stands for in a prompt."""

from __future__ import annotations

import pytest

from generation.errors import UserError
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
def test_preferences_stand_for_parameters_and_the_suffix_comes_first(preferences, layers):
    assert preferences.parameter_layers == layers


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("--ar 3:2", "--ar 3:2"),
        ("  --ar 3:2\n --no text, people ", "--ar 3:2 --no text, people"),
        ("—ar 3:2", "—ar 3:2"),
    ],
)
def test_a_suffix_of_parameters_is_taken(text, kept):
    assert check_suffix(text, REGISTRY) == kept


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("oil painting", "parameters only"),
        ("oil painting --ar 3:2", "parameters only"),
        ("", "parameters only"),
        ("--aspct 3:2", "did you mean"),
        ("--steps 1000", "150"),
        ("--no " + "x" * 600, "500"),
    ],
)
def test_any_other_suffix_is_refused_with_the_reason(text, says):
    with pytest.raises(UserError, match=says):
        check_suffix(text, REGISTRY)


@pytest.mark.parametrize("name", ["mine", "--mine", " Mine ", "my-own", "größe", "日本"])
def test_an_options_name_is_taken_as_people_write_it(name):
    assert check_option(name, " oil  painting --raw ", REGISTRY) == (
        name.strip().removeprefix("--").lower(),
        "oil painting --raw",
    )


@pytest.mark.parametrize("name", ["", "ar", "--SEED", "two words", "v7", "mine2", "-", "a" * 33, "a`b", "stealth"])
def test_an_option_cannot_have_any_other_name(name):
    with pytest.raises(UserError):
        check_option(name, "--raw", REGISTRY)


def test_an_option_is_not_longer_than_allowed():
    with pytest.raises(UserError, match="1000"):
        check_option("mine", "x" * 1001, REGISTRY)


def test_an_option_that_no_prompt_could_use_is_refused_with_the_reason():
    with pytest.raises(UserError, match="did you mean"):
        check_option("mine", "oil painting --aspct 3:2", REGISTRY)
