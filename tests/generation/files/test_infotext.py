"""The generation parameters inside a PNG, as AUTOMATIC1111's web UI and sd-parsers read them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from PIL import Image
from sd_parsers import ParserManager
from sd_parsers.data import Generators, Prompt, PromptInfo

from generation.files.infotext import infotext
from generation.files.png_encoder import encode_png
from generation.models.registry import ModelRegistry
from generation.models.samplers import SAMPLER_LABELS, SAMPLERS
from generation.params import ControlWeight, LoraWeight, PromptPart, Tile, Upload
from generation.prompt import format_prompt, parse_params
from tests.generation.prompt import test_parser
from tests.generation.prompt.test_parser import all_params, reparse

STYLED = replace(test_parser.MODEL, sampler="dpmpp_2m")
MODEL = replace(STYLED, trigger_words="")
REGISTRY = ModelRegistry((MODEL,))
# From modules/infotext_utils.py of AUTOMATIC1111/stable-diffusion-webui.
SETTING_PATTERN = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')


def parse_a1111(text: str) -> dict[str, str]:
    """Parse the text like the web UI does."""
    *lines, last = text.strip().split("\n")
    values = {"prompt": "", "negative": ""}
    for line in lines:
        is_negative = line.startswith("Negative prompt:")
        values["negative" if is_negative else "prompt"] += line.removeprefix("Negative prompt:").strip()
    for key, value in SETTING_PATTERN.findall(last):
        values[key] = unquote(value)
    return values


def unquote(value: str) -> str:
    return str(json.loads(value)) if value.startswith('"') else value


def test_all_settings_are_written():
    params = parse_params("a fox --seed 41 --steps 20 --cfg 7 --sampler euler_a --ar 3:2 --negative ugly", REGISTRY)
    assert infotext(params, MODEL, 1) == (
        "a fox\n"
        "Negative prompt: ugly\n"
        "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 42, Size: 624x416, Model: storybook, Tile: 2, "
        'Atelier: "a fox --ar 3\\u003a2 --model storybook --steps 20 --cfg 7 --sampler euler_a'
        ' --negative ugly --seed 41"'
    )


def test_only_known_settings_are_written():
    values = parse_a1111(infotext(parse_params("a fox", REGISTRY), replace(MODEL, sampler=None), 0))
    assert values.keys() == {"prompt", "negative", "Steps", "CFG scale", "Seed", "Size", "Model", "Tile", "Atelier"}


@pytest.mark.parametrize(("sampler", "label"), [("dpmpp_2m", "DPM++ 2M"), ("DEISMultistepScheduler",) * 2])
def test_the_models_own_sampler_is_written_unless_the_prompt_sets_one(sampler, label):
    model = replace(MODEL, sampler=sampler)
    assert parse_a1111(infotext(parse_params("a fox", ModelRegistry((model,))), model, 0))["Sampler"] == label
    assert (
        parse_a1111(infotext(parse_params("a fox --sampler euler", ModelRegistry((model,))), model, 0))["Sampler"]
        == "Euler"
    )


@pytest.mark.parametrize(
    ("typed", "positive", "negative"),
    [
        ("a fox", "a fox", ""),
        ("a fox::3", "a fox", ""),
        ("hot:: dog", "hot :0.5 AND dog :0.5", ""),
        ("hot::3 dog", "hot :0.75 AND dog :0.25", ""),
        ("a fox --no snow, ice", "a fox", "snow, ice"),
        ("a fox --negative ugly --no snow", "a fox", "ugly, snow"),
        ("tulips:: red::-.5", "tulips", "red"),
        ("tulips:: red::-.75 --no pots", "tulips", "(red:1.5), pots"),
    ],
)
def test_weights_and_negatives_are_written_in_the_web_uis_syntax(typed, positive, negative):
    values = parse_a1111(infotext(parse_params(typed, REGISTRY), MODEL, 0))
    assert (values["prompt"], values["negative"]) == (positive, negative)


@pytest.mark.parametrize(
    ("typed", "positive"),
    [
        ("a fox", "a fox, storybook style"),
        ("a fox --raw", "a fox"),
        ("a fox --stylize 0", "a fox"),
        ("a fox --stylize 25", "a fox :0.75 AND a fox, storybook style :0.25"),
        ("a fox --stylize 1000", "a fox :-0.5 AND a fox, storybook style :1.5"),
        ("hot::3 dog", "hot, storybook style :0.75 AND dog, storybook style :0.25"),
    ],
)
def test_the_house_style_is_written_with_its_weight(typed, positive):
    model = replace(STYLED, trigger_words="storybook style")
    assert parse_a1111(infotext(parse_params(typed, ModelRegistry((model,))), model, 0))["prompt"] == positive


def test_loras_follow_the_text_in_the_web_uis_syntax():
    params = replace(parse_params("hot:: dog", REGISTRY), loras=(LoraWeight("ink", 0.5), LoraWeight("moss")))
    assert infotext(params, MODEL, 0).startswith("hot :0.5 AND dog :0.5 <lora:ink:0.5> <lora:moss:1>\n")


def test_controlnets_are_written_as_the_web_uis_extension_writes_them():
    uses = ControlWeight("canny", 0.8), ControlWeight("depth")
    params = replace(parse_params("a fox", REGISTRY), controls=uses, control=Upload("ab"), control_code="4f2a1c")
    found = parse_a1111(infotext(params, MODEL, 0))
    rest = "Resize Mode: Crop and Resize, Guidance Start: 0.0, Guidance End: 1.0, Control Mode: Balanced"
    assert found["ControlNet 0"] == f"Module: canny, Model: canny, Weight: 0.8, {rest}"
    assert found["ControlNet 1"] == f"Module: none, Model: depth, Weight: 1, {rest}"
    assert "--control canny:0.8, depth 4f2a1c" in found["Atelier"]
    assert "ControlNet 0" not in parse_a1111(infotext(replace(params, control=None), MODEL, 0))


def test_a_second_pass_is_written_as_the_web_uis_hires_fix():
    values = parse_a1111(infotext(parse_params("a fox --hd", REGISTRY), MODEL, 0))
    assert (values["Size"], values["Hires upscale"], values["Denoising strength"]) == ("512x512", "2", "0.45")


def test_an_image_prompt_is_written_as_denoising_strength():
    params = parse_params("a fox --iw 2", REGISTRY, source=Upload("cafe"))
    assert parse_a1111(infotext(params, MODEL, 0))["Denoising strength"] == "0.36"


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_has_the_web_uis_name(name):
    label, schedule = SAMPLER_LABELS[name]
    values = parse_a1111(infotext(parse_params(f"a fox --sampler {name}", REGISTRY), MODEL, 0))
    assert (values["Sampler"], values.get("Schedule type")) == (label, schedule)


def test_a_name_with_commas_is_quoted():
    values = parse_a1111(infotext(parse_params('a "fox", red', REGISTRY), replace(MODEL, name='my, "own": model'), 3))
    assert values["Model"] == 'my, "own": model'
    assert values["Tile"] == "4"


@settings(max_examples=200)
@given(all_params())
def test_any_tiles_text_has_the_prompt_of_the_whole_grid(params):
    changed = {"num_inference_steps": 3, "guidance_scale": 1.0}
    other = replace(
        test_parser.REGISTRY, models=tuple(replace(model, **changed) for model in test_parser.REGISTRY.models)
    )
    echo = parse_a1111(infotext(replace(params, count=4), MODEL, 2))["Atelier"]
    assert reparse(echo, params, other) == params


# --- sd-parsers, from PyPI


def parse_with_sd_parsers(text: str) -> PromptInfo:
    """Write the text into an image file and parse it with sd-parsers."""
    found = ParserManager().parse(io.BytesIO(encode_png(Image.new("RGB", (8, 8)), text)))
    assert found is not None
    assert found.generator is Generators.AUTOMATIC1111
    return found


def prompt_values(prompts: Iterable[Prompt]) -> list[str]:
    return [prompt.value for prompt in prompts]


HOSTILE = [
    "Steps: 99, Sampler: evil, CFG scale: 1, Seed: 5, Model: theirs",
    "a fox, Steps: 99, Sampler: evil, CFG scale: 1, Seed: 5",
    'a "fox", \\ "red\\", {a, b}: (very:1.5) [ugly]',
    "фон, 雪 🦊 👩\u200d🚀, مرحبا",
    'Hashes: {"model": "x"}, a fox',
    '{"prompt": "x", "sampler": "y", "base_model": "z"}',
    "a fox AND a hen :0.5",
    "fox: a tale",
]


@pytest.mark.parametrize(
    ("typed", "positive", "negative"),
    [
        ("a fox", ["a fox"], []),
        ("a fox, red, in the snow --no ice, trees --negative ugly", ["a fox, red, in the snow"], ["ugly, ice, trees"]),
        ("hot::3 dog", ["hot :0.75 AND dog :0.25"], []),
        ("tulips:: red::-.75", ["tulips"], ["(red:1.5)"]),
        ("a fox\nin\r\nthe snow", ["a fox in the snow"], []),
        (r"a Negative prompt\: ugly", ["a Negative prompt : ugly"], []),
        (
            r"a fox --negative Negative prompt\: x, Negative prompt\:",
            ["a fox"],
            ["Negative prompt : x, Negative prompt :"],
        ),
    ],
)
def test_another_program_reads_every_prompt(typed, positive, negative):
    (sampler,) = parse_with_sd_parsers(infotext(parse_params(typed, REGISTRY), MODEL, 0)).samplers
    assert (prompt_values(sampler.prompts), prompt_values(sampler.negative_prompts)) == (positive, negative)


@pytest.mark.parametrize("text", HOSTILE)
def test_another_program_takes_no_setting_from_a_prompt(text):
    asked = parse_params("a fox --seed 41 --steps 20 --cfg 7 --sampler dpmpp_2m_karras", REGISTRY)
    params = replace(asked, parts=(PromptPart(text),), negative_prompt=text)
    found = parse_with_sd_parsers(infotext(params, MODEL, 1))
    (sampler,) = found.samplers
    assert (prompt_values(sampler.prompts), prompt_values(sampler.negative_prompts)) == ([text], [text])
    assert sampler.name == "DPM++ 2M"
    assert sampler.parameters == {"scheduler": "Karras", "cfg_scale": "7", "seed": "42", "steps": "20"}
    assert sampler.model.name == "storybook"
    assert found.metadata.keys() == {"Size", "Tile", "Atelier"}
    assert unquote(found.metadata["Atelier"]) == format_prompt(params, None, seed=True)


def test_another_program_reads_an_image_prompt():
    found = parse_with_sd_parsers(infotext(parse_params("a fox --iw 2", REGISTRY, source=Upload("cafe")), MODEL, 0))
    assert found.metadata["Denoising strength"] == "0.36"
    assert prompt_values(found.prompts) == ["a fox"]


def test_changes_of_unwanted_words_are_written_as_well():
    text = infotext(parse_params("a fox:: a [red:blue:.4] hat::-.5", REGISTRY), MODEL, 0)
    assert text.splitlines()[1] == "Negative prompt: a [red:blue:0.4] hat"


# --- without the prompt


@settings(max_examples=100)
@given(all_params())
def test_another_program_reads_the_settings_with_and_without_the_prompt(params):
    (sampler,) = (found := parse_with_sd_parsers(infotext(params, MODEL, 0))).samplers
    assert sampler.parameters["seed"] == str(params.seed_of(0))
    assert sampler.parameters["steps"] == str(params.num_inference_steps)
    assert sampler.name == SAMPLER_LABELS[params.sampler or "dpmpp_2m"][0]
    assert unquote(found.metadata["Atelier"]) == format_prompt(params, None, seed=True)
    text = infotext(params, MODEL, 0, with_prompt=False)
    assert text == infotext(
        replace(params, parts=(PromptPart("x"),), no=(), negative_prompt=None), MODEL, 0, with_prompt=False
    )
    (sampler,) = parse_with_sd_parsers(text).samplers
    assert (sampler.prompts, sampler.negative_prompts) == ([], [])
    assert sampler.parameters["seed"] == str(params.seed_of(0))


def test_the_images_that_it_was_made_from_are_named():
    params = replace(
        parse_params("a fox", REGISTRY), source=Tile("0123456789ab", 2), blended=(Upload("f" * 64), Tile("c" * 12, 0))
    )
    assert parse_a1111(infotext(params, MODEL, 0))["Lineage"] == "0123456789ab-2 cccccccccccc-0"
    assert "Lineage" not in infotext(parse_params("a fox", REGISTRY), MODEL, 0)
