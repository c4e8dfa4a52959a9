"""Invariants of the prompt syntax: parsing never crashes, and formatted params parse to the same params."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bot.ui.text import escape_markdown
from generation.edited_text import TextEdit
from generation.errors import UserError
from generation.models.adapters import Adapters
from generation.models.files.controls import ControlNet
from generation.models.files.image_adapters import ImageAdapter, ImageEncoder
from generation.models.files.lora import Lora
from generation.models.files.textual_inversion import TextualInversion
from generation.models.model import Model, size_for
from generation.models.registry import ModelRegistry
from generation.models.samplers import SAMPLERS
from generation.params import MAX_SEED, LoraWeight, Params, PromptPart, Tile, Upload
from generation.prompt import PromptError, format_prompt, parse_params, parse_prompt
from generation.prompt.parameters import BY_NAME, PARAMETERS, PLANNED
from generation.prompt.syntax import normalize_text
from generation.prompt.weights import image_weight_for, strength_for

MODEL = Model(name="storybook", ref="models/storybook", trigger_words="storybook style")
OTHER = Model(
    name="Woodcut, --wide {1}",
    ref="somebody/woodcut",
    native_size=768,
    max_aspect=2.0,
    num_inference_steps=12,
    guidance_scale=4.0,
    trigger_words="woodcut",
)
LORAS = tuple(Lora(name, Path("ink.safetensors")) for name in ("ink", "Ink_Wash.v2", "墨", "3d-moss"))
WORDS = (TextualInversion("moss", Path("moss.safetensors"), ("emb_params",), (768,), 2),)
ADDITIONS = Adapters(LORAS, WORDS)
REGISTRY = ModelRegistry((MODEL, OTHER), ADDITIONS)
PICTURE = Upload("cafe")
SYNTAX_MARKS = [
    *("::", "::2 ", "::-.5 ", "--", "—", "–", "-", "**", "{", "}", ",", "\\", "<", ">", "@", "`", "=", ":", "/"),
    *("https://example.org/a.png", "<@123>", " - ", "(fast)", " by ", "Image #1 ", "/imagine", "prompt:", "-# "),
    *("3:2", ".5", "-1", "2", "\n", " ", "@everyone", "مرحبا", "赤い", "，", "、", "：：", "🦊", "👩\u200d🚀", "İ"),
    *("\u200b", "\u202e", "\ufdd0", "\ud800"),
    *("[", "]", "(", ")", ":.5]", "::.4]", ":7]", "[red:blue:.5]", "[", "]"),
    *("<lora:", "<lora:ink:0.8>", "<moss>", " --lora ink:-.5", "ink"),
    *(f" --{name} " for name in (*BY_NAME, *PLANNED)),
]


_pieces = st.lists(st.sampled_from(SYNTAX_MARKS) | st.text(max_size=5), max_size=25)
typed_texts = st.text(max_size=80) | _pieces.map("".join)  # arbitrary text, and text that resembles broken prompts
shown_texts = typed_texts.map(normalize_text).filter(bool)
_moments = st.integers(1, 9999).map(lambda number: number / 10_000) | st.integers(1, 999).map(float)
_words = shown_texts.filter(lambda text: not set("()[]") & set(text)).map(lambda text: f"x{text}")
_edits = st.builds(lambda before, after, at: TextEdit((before,), (after,), at), _words, _words, _moments)
_nested_edits = st.builds(lambda edit, after, at: TextEdit(("the ", edit), (after,), at), _edits, _words, _moments)


def _edited_part(words: str, edit: TextEdit, weight: float) -> PromptPart:
    edited = (f"{words} ", edit)
    return PromptPart(PromptPart("", edited=edited).texts[0], weight, edited)


_weights = st.floats(-1000, 1000) | st.just(1.0)
_part = st.builds(PromptPart, shown_texts, _weights) | st.builds(_edited_part, _words, _edits | _nested_edits, _weights)
_lora_use = st.builds(
    LoraWeight, st.sampled_from([lora.name for lora in LORAS]), st.floats(-2, 2).map(abs) | st.just(-0.5)
)
_models = st.sampled_from(REGISTRY.models)
_parts = st.lists(_part, min_size=1, max_size=4)
_images = st.sampled_from([(), (PICTURE,), (PICTURE, Upload("beef"))])
_switches = st.tuples(*[st.booleans()] * 5)
_strengths = st.floats(0, 3).map(strength_for)
_loras = st.lists(_lora_use, max_size=4, unique_by=lambda use: use.name).map(tuple)
_fields = st.fixed_dictionaries(
    {
        "no": st.lists(shown_texts, max_size=5).map(tuple),
        "seed": st.integers(0, MAX_SEED),
        "num_inference_steps": st.integers(1, 150),
        "guidance_scale": st.floats(0, 30),
        "sampler": st.none() | st.sampled_from(sorted(SAMPLERS)),
        "negative_prompt": st.none() | shown_texts,
        "chaos": st.integers(0, 100),
        "stylize": st.integers(0, 1000),
        "weird": st.integers(0, 3000),
        "stop": st.integers(10, 100),
        "loras": _loras,
    }
)


_mixes = st.fixed_dictionaries({"mix": shown_texts, "mix_keep": st.integers(0, 100)}) | st.just({})
_holds = st.sampled_from([{}, {"hold": True}])
_colours = st.fixed_dictionaries({"colourise": st.just(True)}) | st.just({})


@st.composite
def all_params(draw: st.DrawFn) -> Params:
    model = draw(_models)
    short = draw(st.integers(1, 40))
    long = draw(st.integers(short, min(40, int(model.max_aspect * short))))
    width, height = draw(st.permutations((short, long)))
    aspect = (width // math.gcd(width, height), height // math.gcd(width, height))
    pictures = draw(_images)
    parts = draw(_parts | st.just([PromptPart("")]) if len(pictures) > 1 else _parts)
    if sum(part.weight for part in parts) < 0:  # which no prompt may have
        parts = [replace(part, weight=0.0 - part.weight) for part in parts]
    assume(sum(part.weight for part in parts) > 0.001)
    mixes = draw(_mixes) if pictures else {}
    draft, raw, hd, same_seed, seamless = draw(_switches)
    pixels = size_for(model, aspect, draft=draft)
    return Params(
        parts=tuple(parts),
        aspect=aspect,
        width=pixels[0],
        height=pixels[1],
        source=next(iter(pictures), None),
        blended=pictures[1:],
        strength=draw(_strengths) if pictures else 1.0,
        same_seed=same_seed,
        house_style="" if raw else model.trigger_words,
        raw=raw,
        seamless=seamless,
        draft=draft,
        hd=hd and not draft,
        model=model.name,
        **mixes,
        **draw(_holds if any(part.edited for part in parts) and not mixes else st.just({})),
        **(draw(_colours) if len(pictures) == 1 else {}),
        **draw(_fields),
    )


def reparse(echo: str, params: Params, here: ModelRegistry = REGISTRY) -> Params:
    """Parse a formatted prompt with the images of its params."""
    pictures = [*filter(None, [params.source]), *params.blended]
    return parse_prompt(echo, here, attached=len(pictures)).with_images(pictures)


@settings(max_examples=200)
@given(typed_texts)
def test_parsing_returns_params_or_raises_prompt_error(typed):
    try:
        params = parse_params(typed, REGISTRY, source=PICTURE)
    except PromptError as error:
        assert error.problems
        assert all(problem in str(error) for problem in error.problems)
    else:
        assert parse_params(format_prompt(params, REGISTRY, seed=True), REGISTRY, source=PICTURE) == params


@settings(max_examples=200)
@given(all_params(), st.integers(1, 150), st.floats(0, 30))
def test_a_formatted_prompt_parses_to_the_same_params(params, steps, guidance):
    echo = format_prompt(params, REGISTRY, seed=True)
    assert reparse(echo, params) == params
    # copied from a message
    assert reparse(f"**{escape_markdown(echo)}** - <@123> (fast)", params) == params
    assert reparse(f"**{escape_markdown(echo)}** - Variations (Strong) of image #2 by <@123>", params) == params
    assert reparse(f"/imagine prompt: {echo} - @bob (31%) (fast)", params) == params
    # in full, where the defaults have changed
    changed = {"num_inference_steps": steps, "guidance_scale": guidance}
    other = ModelRegistry((replace(OTHER, **changed), replace(MODEL, **changed)), ADDITIONS)
    assert reparse(format_prompt(params, None, seed=True), params, other) == params


@pytest.mark.parametrize(
    ("typed", "echo"),
    [
        ("a fox", "a fox"),
        ("/imagine prompt: **A fox** --AR 6:4", "A fox --ar 3:2"),
        ("a fox —ar 1:1 —steps 25 —cfg 7.5", "a fox"),
        ("hot::1 dog::1", "hot:: dog"),
        ("hot::2.0 dog::-.50 --no cat,bird", "hot::2 dog::-0.5 --no cat, bird"),
        ("dog::3", "dog::3"),
        ("a fox --q .5", "a fox --steps 12"),
        ("a fox --q 1", "a fox"),
        ("a fox --sampler Euler a --cfg 4,5", "a fox --cfg 4.5 --sampler euler_a"),
        ("a fox --negative ugly, blurry --no cat", "a fox --no cat --negative ugly, blurry"),
        ("a fox --style raw --s 50", "a fox --stylize 50 --raw"),
        ("a fox --tile --hd --w 0", "a fox --tile --hd"),
        ("a fox --draft --q 1", "a fox --draft"),
        ("a fox --draft --steps 12", "a fox --draft"),
        ("a fox --draft --q 2", "a fox --draft --steps 24"),
        ("a fox --sameseed 5 --c 10", "a fox --chaos 10 --sameseed"),
        ("a fox --fast --stealth --r 3 --v storybook", "a fox"),
        ("a fox --v wood --steps 12", r"a fox --model Woodcut, \-\-wide \{1\}"),
        ("a fox --model woodcut wide 1 --steps 25", r"a fox --model Woodcut, \-\-wide \{1\} --steps 25"),
        (r"a fox \--ar \{x\} std\::vector", r"a fox \-\-ar \{x\} std\:\:vector"),
        ("a — b, c - d, e @f, 2*3, g_h", "a — b, c - d, e @f, 2*3, g_h"),
    ],
)
def test_the_formatted_prompt_is_the_prompt_as_applied(typed, echo):
    assert format_prompt(parse_params(typed, REGISTRY), REGISTRY) == echo


def test_the_formatted_prompt_has_the_seed_only_on_request():
    params = parse_params("a fox --seed 5", REGISTRY)
    assert format_prompt(params, REGISTRY) == "a fox"
    assert format_prompt(params, REGISTRY, seed=True) == "a fox --seed 5"
    assert (
        format_prompt(parse_params("a fox --sameseed 5", REGISTRY), REGISTRY, seed=True) == "a fox --sameseed --seed 5"
    )


def test_the_formatted_prompt_has_the_image_weight_of_uploads_not_of_tiles():
    tile = Tile("0123456789ab", 2)
    assert format_prompt(parse_params("a fox --iw 2", REGISTRY, source=PICTURE), REGISTRY) == "a fox --iw 2"
    assert format_prompt(parse_params("a fox --iw 1", REGISTRY, source=PICTURE), REGISTRY) == "a fox"
    assert format_prompt(parse_params("a fox --iw 2", REGISTRY, source=tile), REGISTRY) == "a fox"


@given(st.floats(0, 3), st.floats(0, 3))
def test_a_larger_image_weight_never_has_a_larger_strength(one, other):
    low, high = sorted((one, other))
    assert 0 < strength_for(high) <= strength_for(low) <= 1


@given(st.integers(0, 300))
def test_the_image_weight_can_be_derived_from_its_strength(hundredths):
    strength = strength_for(hundredths / 100)
    assert strength_for(image_weight_for(strength)) == strength


def test_a_random_seed_is_used_only_if_none_is_given():
    def no_seed() -> int:
        raise AssertionError("a random seed was requested")

    assert parse_params("a fox --seed 5", REGISTRY, new_seed=no_seed).seed == 5
    assert parse_params("a fox", REGISTRY, new_seed=lambda: 9).seed == 9
    assert parse_params("a fox", REGISTRY).seed != parse_params("a fox", REGISTRY).seed


def test_a_prompt_error_lists_its_problems_and_survives_pickling():
    with pytest.raises(UserError) as caught:
        parse_params("a fox --ar --seed x", REGISTRY)
    error = caught.value
    assert str(error) == (
        "• `--ar` needs a value such as `3:2`\n• `--seed` must be a whole number between 0 and 4294967295, not `x`"
    )
    assert pickle.loads(pickle.dumps(error)).args == error.args
    assert str(PromptError("One problem")) == "One problem"


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.name)
def test_the_example_of_a_parameter_is_valid_and_has_an_effect(parameter):
    face = ImageAdapter("face", Path("face"), ImageEncoder(Path("encoder"), 8, 4), 768, 16, is_face=True)
    additions = replace(ADDITIONS, controls=(ControlNet("canny", Path("canny"), 768, "canny"),), images=(face,))
    here = ModelRegistry((OTHER, MODEL, replace(MODEL, name="niji 6")), additions)
    example = f"{parameter.example} 4f2a1c" if parameter.name == "control" else parameter.example  # with its picture
    base = " ".join(["a fox", *(f"--{name} 4f2a1c" for name in ("sref", "cref") if name != parameter.name)])
    plain, changed = (
        parse_prompt(f"{base} {typed}", here, attached=1, new_seed=lambda: 1, forms=["zoom", "keep"])
        for typed in ("", f"--{parameter.name} {example}")
    )
    assert changed != plain


def test_parameter_names_are_unique():
    names = [*(name for parameter in PARAMETERS for name in parameter.names), *PLANNED]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("typed", "steps"), [
    ("a fox", 6),
    ("a fox --sampler unipc", 6),
    ("a fox --sampler euler", 12),
    ("a fox --sampler euler --draft", 6),
    ("a fox --q 2", 12),
    ("a fox --q 2 --sampler ddim", 24),
    ("a fox --steps 9 --sampler ddim", 9),
])  # fmt: skip
def test_samplers_other_than_the_models_own_take_their_usual_steps(typed: str, steps: int) -> None:
    model = Model(name="m", ref="m", num_inference_steps=6, steps_with_other_samplers=12, sampler="unipc")
    registry = ModelRegistry((model,))
    params = parse_params(typed, registry)
    assert params.num_inference_steps == steps
    assert parse_params(format_prompt(params, registry), registry).num_inference_steps == steps
