"""The model that a prompt selects, and its effect on all other settings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from generation.errors import UserError
from generation.models.model import EMBEDDED, Model, describe_model
from generation.models.registry import ModelRegistry
from generation.prompt import (
    PromptError,
    choose_model,
    format_prompt,
    parse_params,
    parse_prompt,
    permute,
    with_parameter,
)
from generation.prompt.preferences import Preferences, check_suffix

STORYBOOK = Model(name="Storybook", ref="models/storybook", native_size=256, num_inference_steps=20)
JOURNEY = Model(
    name="Open Journey", ref="prompthero/openjourney", guidance_scale=7.0, trigger_words="mdjrny-v4 style", max_aspect=2
)
ANYTHING = Model(name="Anything V3", ref="Linaqruf/anything-v3.0", native_size=512, num_inference_steps=30)
OWN = Model(name="Any-Thing else {1}", ref="/srv/models/own.safetensors")
REGISTRY = ModelRegistry((STORYBOOK, JOURNEY, ANYTHING, OWN))


@pytest.mark.parametrize(
    ("typed", "model"),
    [
        ("a fox", STORYBOOK),
        ("a fox --v storybook", STORYBOOK),
        ("a fox --model open journey", JOURNEY),
        ("a fox --model OPEN-JOURNEY --tile", JOURNEY),
        ("a fox --version mdjrny-v4", JOURNEY),
        ("a fox --model prompthero/openjourney", JOURNEY),
        ("a fox --model o", JOURNEY),
        ("a fox --v s", STORYBOOK),
        ("a fox --model anything", ANYTHING),
        ("a fox --niji", ANYTHING),
        ("a fox --niji 6", ANYTHING),
        ("a fox --model anythinge", OWN),
        (r"a fox --model any thing else \{1\}", OWN),
    ],
)
def test_a_prompt_selects_the_model_that_it_names(typed, model):
    assert parse_params(typed, REGISTRY).model == model.name


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("--model sdxl", r"There is no model `sdxl` here\. Available: `Storybook`, `Open Journey`, `Anything V3`"),
        ("--model any", r"`any` matches several models: `Anything V3`, `Any-Thing else \{1\}`\. Type more of the name"),
        ("--model !", "There is no model `!` here"),
        ("--model storybook --v 3", "There is no model `--v 3` here"),
        ("--model storybook --v open journey", "`--model` is given more than once"),
        ("--model storybook --niji", "Cannot use `--model` and `--niji` together"),
        ("--model o --ar 5:2", "`--ar` must be between 1:2 and 2:1 with this model"),
    ],
)
def test_a_wrong_model_name_is_reported_with_the_available_models(typed, problem):
    with pytest.raises(PromptError, match=problem):
        parse_params(f"a fox {typed}", REGISTRY)


def test_niji_is_refused_without_a_model_of_that_name():
    with pytest.raises(PromptError, match=r"no model `--niji 6` here\. Available: `Storybook`, `Open Journey`"):
        parse_params("a fox --niji 6", ModelRegistry((STORYBOOK, JOURNEY)))


def test_settings_that_a_prompt_leaves_open_are_its_models_defaults():
    params = parse_params("a fox --q .5 --ar 2:1 --model o", REGISTRY)
    assert (params.num_inference_steps, params.guidance_scale) == (12, 7.0)
    assert params.house_style == "mdjrny-v4 style"
    assert (params.width, params.height) == (720, 360)
    assert parse_params("a fox --draft", REGISTRY).width == 128


@pytest.mark.parametrize(
    ("typed", "defaults", "name"),
    [
        ("a fox", ["--model o"], "Open Journey"),
        ("a fox", ["--tile", "--model o", "--model anything"], "Open Journey"),
        ("a fox --v storybook", ["--model o"], "Storybook"),
        ("a fox --mine", ["--model o"], "Anything V3"),
        ("a fox", ["--ar 2:1 --s 50 --model anything v3 --raw"], "Anything V3"),
    ],
)
def test_defaults_choose_the_model_if_the_prompt_does_not(typed, defaults, name):
    params = parse_prompt(typed, REGISTRY, defaults=defaults, options={"mine": "in ink --model Anything V3"}).params
    assert params.model == name
    assert params.num_inference_steps == (REGISTRY.find(name) or STORYBOOK).num_inference_steps


def test_a_preferred_model_is_parsed_whatever_its_name():
    layers = Preferences(model=OWN.name, stylize=50, raw=True).parameter_layers
    params = parse_prompt("a fox", REGISTRY, defaults=layers).params
    assert (params.model, params.stylize, params.raw) == (OWN.name, 50, True)
    assert choose_model(layers, REGISTRY) is OWN


def test_a_choice_of_models_makes_one_prompt_per_model():
    prompts = permute("a fox --model {storybook, open journey} --ar 2:1", 10)
    assert [parse_params(prompt, REGISTRY).model for prompt in prompts] == ["Storybook", "Open Journey"]


def test_a_models_name_can_be_added_to_a_copied_prompt():
    typed = with_parameter(r"**a \{fox\} --ar 2:1** - @bob (fast)", "--model o")
    assert format_prompt(parse_params(typed, REGISTRY), REGISTRY) == r"a \{fox\} --ar 2:1 --model Open Journey"


def test_a_suffix_may_name_an_installed_model():
    assert check_suffix("--model  open journey", REGISTRY) == "--model open journey"
    with pytest.raises(PromptError, match="There is no model `sdxl` here"):
        check_suffix("--model sdxl", REGISTRY)


def test_a_prompt_of_a_removed_model_is_formatted_with_its_old_defaults():
    params = parse_params("a fox --model anything --seed 1", REGISTRY)
    assert format_prompt(params, REGISTRY) == "a fox --model Anything V3"
    assert format_prompt(params, ModelRegistry((STORYBOOK,))) == "a fox --model Anything V3 --steps 30 --cfg 7.5"
    assert format_prompt(params, ModelRegistry((ANYTHING, STORYBOOK))) == "a fox"
    assert format_prompt(replace(params, model=""), REGISTRY) == "a fox --steps 30"


def test_a_removed_model_is_reported_by_name_and_old_rows_use_the_default():
    params = parse_params("a fox --model o", REGISTRY)
    with pytest.raises(UserError, match=r"Open Journey, which is no longer installed\. Available: Storybook\."):
        ModelRegistry((STORYBOOK,)).resolve(params)
    assert ModelRegistry((STORYBOOK,)).find(params.model) is None
    old = replace(params, model="")
    assert REGISTRY.resolve(old) is STORYBOOK
    assert (REGISTRY.model_name(params), REGISTRY.model_name(old)) == ("Open Journey", "Storybook")


@pytest.mark.parametrize("ref", ["storybook", "Story-Book"])
def test_the_embedded_model_is_found_by_its_name(ref):
    assert describe_model(ref) == describe_model(EMBEDDED)


def test_models_are_described_in_order_and_their_names_must_be_unique(tmp_path):
    assert ModelRegistry.from_refs(["storybook", "openjourney"]).default.ref == EMBEDDED
    for twice in (["openjourney", EMBEDDED, "Story-Book"], ["1.5", "sd15"]):
        with pytest.raises(UserError, match=r"^(Storybook|Stable Diffusion 1\.5) is listed twice among the models"):
            ModelRegistry.from_refs(twice)
    with pytest.raises(UserError, match=r"a/anime and b/Anime are both called Anime"):
        ModelRegistry.from_refs(["a/anime", "b/Anime"])
    (tmp_path / "---").mkdir()
    (tmp_path / "---" / "model_index.json").write_text("{}")
    with pytest.raises(UserError, match="no name that can be typed"):
        ModelRegistry.from_refs([str(tmp_path / "---")])
