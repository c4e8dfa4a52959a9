"""Infotext pasted as a prompt: what this and other programs write about a picture is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation.files.infotext import infotext
from generation.models.adapters import Adapters
from generation.models.files.lora import Lora
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.prompt import convert_infotext, format_prompt, parse_prompt, permute, read_prompt
from generation.prompt.parser import PromptReading
from tests.generation.prompt import test_parser
from tests.generation.prompt.test_parser import all_params

DREAM = Model(name="dreamshaper_8", ref="somebody/dreamshaper")
REGISTRY = ModelRegistry((Model(name="storybook", ref="m"), DREAM), Adapters((Lora("ink", Path("ink.safetensors")),)))


def read(typed: str) -> PromptReading:
    return read_prompt(typed, REGISTRY)


def one_line(text: str) -> str:
    return " ".join(text.split("\n"))


# Pasted text, its parts, the parameters that it means, and the settings that are named as not used.
PASTED = [
    ("a fox\nNegative prompt: text, people", ["a fox"], {"negative": "text, people"}, []),
    ("a fox Negative prompt: text --ar 3:2", ["a fox"], {"negative": "text", "aspect": (3, 2)}, []),
    ("a fox --no snow Negative prompt: text", ["a fox"], {"no": ("snow",), "negative": "text"}, []),
    ("a fox --negative Negative prompt: text", ["a fox"], {"negative": "text"}, []),
    ("fox:: owl::2\nnegative_prompt: text", ["fox", "owl"], {"negative": "text"}, []),
    (
        "a fox, masterpiece\nNegative prompt: (worst quality:1.4), text\nSteps: 30, Sampler: DPM++ 2M Karras, "
        "CFG scale: 7, Seed: 42, Size: 512x768, Model: dreamshaper_8, Clip skip: 2, Version: v1.9.4",
        ["a fox, masterpiece"],
        {
            "negative": "(worst quality:1.4), text",
            "steps": 30,
            "sampler": "dpmpp_2m_karras",
            "cfg": 7.0,
            "seed": 42,
            "aspect": (2, 3),
            "model": "dreamshaper_8",
        },
        ["Clip skip"],
    ),
    (
        "a fox, red\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, Seed: 4, Size: 1024x1024, "
        'Model hash: abc, Model: gone_v2, Hires upscale: 2, Hires prompt: "a fox, in, snow", Denoising strength: 0.4, '
        'Lora hashes: "ink: abc, moss: def", Version: f2.0.1v1.10.1',
        ["a fox, red"],
        {"steps": 20, "sampler": "dpmpp_2m_karras", "cfg": 6.5, "seed": 4, "aspect": (1, 1)},
        ["Hires upscale", "Hires prompt", "Denoising strength", "Model"],
    ),
    (
        "1girl, {a|b}, [cat::10] <lora:ink:0.8> <lora:gone:1>\nNegative prompt: ugly\nSteps: 25, CFG scale: 4, "
        "Sampler: Euler a, Seed: 123, Size: 832x1216, Created Date: 2024-01-01T10:00:00Z, "
        'Civitai resources: [{"type":"checkpoint","name":"a, Steps: 3"}], Civitai metadata: {}',
        ["1girl, {a|b}, cat"],
        {"negative": "ugly", "steps": 25, "cfg": 4.0, "sampler": "euler_a", "seed": 123, "aspect": (13, 19)},
        ["<lora:gone:1>"],
    ),
    (
        "a cat :1.2 AND a dog AND a hen :0.2\nSteps: 20, Seed: 5",
        ["a cat", "a dog", "a hen"],
        {"steps": 20, "seed": 5},
        [],
    ),
    ("a fox BREAK snow\nSteps: 20, Seed: 5", ["a fox snow"], {"steps": 20, "seed": 5}, ["BREAK"]),
    (
        "a fox\nSteps: 20, Sampler: euler_ancestral, Scheduler: exponential, CFG scale: 7.0, Seed: 9, Size: 512x512, "
        "Version: ComfyUI",
        ["a fox"],
        {"steps": 20, "sampler": "euler_a", "cfg": 7.0, "seed": 9, "aspect": (1, 1)},
        ["Schedule type"],
    ),
    (
        "a fox\nNegative prompt: ugly\nSteps: 200, Sampler: LMS, CFG scale: 70, Seed: -1, Size: 512x4096",
        ["a fox"],
        {"negative": "ugly"},
        ["Sampler", "Size", "Steps", "CFG scale"],
    ),
    (
        "Prompt: a fox\nSeed: 42\nSteps: 30\nGuidance scale: 7\nWidth: 512\nHeight: 768",
        ["a fox"],
        {"seed": 42, "steps": 30, "cfg": 7.0, "aspect": (2, 3)},
        [],
    ),
    (
        "a fox Steps: 20 Sampler: DPM++ SDE Karras CFG scale: 7 Seed: 12 Face restoration: CodeFormer Size: 512x768",
        ["a fox"],
        {"steps": 20, "cfg": 7.0, "seed": 12, "aspect": (2, 3)},
        ["Sampler", "Face restoration"],
    ),
    (
        "a fox\nModel: storybook, VAE: some, Steps: 30, Seed: 5",
        ["a fox"],
        {"model": "storybook", "steps": 30, "seed": 5},
        ["VAE"],
    ),
    (
        '{"positive_prompt": "a fox", "negative_prompt": "ugly", "width": 512, "height": 768, "seed": 5, '
        '"cfg_scale": 7.5, "steps": 30, "scheduler": "dpmpp_2m_k", "model": {"name": "storybook"}}',
        ["a fox"],
        {
            "negative": "ugly",
            "aspect": (2, 3),
            "seed": 5,
            "cfg": 7.5,
            "steps": 30,
            "sampler": "dpmpp_2m",
            "model": "storybook",
        },
        [],
    ),
    (
        '"a fox, snow" -s 50 -S 42 -W 512 -H 768 -C 7.5 -A k_euler_a',
        ["a fox, snow"],
        {"steps": 50, "seed": 42, "aspect": (2, 3), "cfg": 7.5, "sampler": "euler_a"},
        [],
    ),
]


@pytest.mark.parametrize(("pasted", "parts", "parameters", "left_out"), PASTED, ids=[row[0][:40] for row in PASTED])
@pytest.mark.parametrize("arrange", [str, one_line, "```\n{}\n```".format, "/imagine prompt: {}".format])
def test_the_infotext_of_another_program_is_read(pasted, parts, parameters, left_out, arrange):
    reading = read(arrange(pasted))
    loras = {"lora": reading.parameters["lora"]} if "lora" in reading.parameters else {}
    assert [part.text for part in reading.parts] == parts
    assert dict(reading.parameters) == parameters | loras
    assert (list(reading.left_out), list(reading.problems)) == (left_out, [])


def test_loras_of_infotext_are_used_if_they_are_installed():
    reading = read("a fox <lora:ink:0.8> <lora:gone:1>\nSteps: 20, Seed: 5")
    assert [(lora.name, lora.weight) for lora in reading.parameters["lora"]] == [("ink", 0.8)]
    assert reading.left_out == ("<lora:gone:1>",)


def test_parameters_that_are_typed_behind_infotext_override_it():
    reading = read("a fox\nNegative prompt: ugly\nSteps: 20, Seed: 5, Size: 512x768 --ar 3:2 --steps 9 --tile")
    assert dict(reading.parameters) == {"negative": "ugly", "seed": 5, "aspect": (3, 2), "steps": 9, "tile": True}


def test_parameters_that_are_typed_behind_our_own_infotext_override_it():
    params = read("a fox --seed 5 --steps 9").request.params
    for text in (infotext(params, REGISTRY.default, 0), infotext(replace(params, no=("x", "y")), REGISTRY.default, 0)):
        changed = read(f"{text} --steps 12 --model dreamshaper_8").request.params
        assert (changed.num_inference_steps, changed.seed, changed.model) == (12, 5, "dreamshaper_8")


def test_the_word_atelier_alone_is_no_infotext():
    assert read("a room, Atelier: light").parts[0].text == "a room, Atelier: light"


def test_settings_alone_need_words():
    reading = read("Steps: 30, Sampler: Euler, CFG scale: 7, Seed: 42")
    assert list(reading.problems) == ["Say what to draw: there is no text and no picture"]


@pytest.mark.parametrize(
    "typed",
    [
        "a poster, size: 3x4, a fox",
        "three steps: stone, wood, steps: 3",
        "movie poster, Model: a fox, Seed: poppy",
        "a fox -s 5",
        "{ an open brace",
    ],
)
def test_a_sentence_with_such_words_is_no_infotext(typed):
    assert [part.text for part in read(typed).parts] == [typed]
    assert not read(typed).parameters


def test_braces_of_infotext_are_no_choices():
    text, _ = convert_infotext("a {red|blue, green} fox\nSteps: 20, Seed: 5", REGISTRY)
    assert permute(text, limit=1) == [text]


@settings(max_examples=100)
@given(all_params(), st.booleans(), st.integers(0, 3))
def test_our_own_infotext_means_the_same_params(params, in_one_line, tile):
    registry = test_parser.REGISTRY
    text = infotext(params, registry.resolve(params), tile)
    pasted = one_line(text) if in_one_line else text
    pictures = [*filter(None, [params.source]), *params.blended]
    request = parse_prompt(pasted, registry, attached=len(pictures))
    assert replace(request, left_out=()).with_images(pictures) == params
    assert request.left_out == ()


@settings(max_examples=100)
@given(test_parser.typed_texts, st.sampled_from(PASTED), st.sampled_from(["", "\n", " "]))
def test_converted_infotext_is_not_converted_again(typed, pasted, between):
    text, _ = convert_infotext(typed + between + pasted[0], REGISTRY)
    again, left_out = convert_infotext(text, REGISTRY)
    assert left_out == ()
    reading = read(text)
    if reading.request is not None:
        assert read(again).request is not None
        echo = format_prompt(reading.request.params, REGISTRY, seed=True)
        assert parse_prompt(echo, REGISTRY, attached=len(reading.links)).params == reading.request.params


BROKEN = ["Negative prompt: ", "Steps: 3", ", ", "Seed: 4", " ", "Model: ", '"', "[", "{", "}", "fox", "\\", "\n"]
BROKEN += ["--", "Size: 3x4", "Sampler: Euler", "Atelier: ", ":", " AND ", "-s 5 -S 3 -W 5"]


@settings(max_examples=100)
@given(st.lists(st.sampled_from(BROKEN), max_size=14).map("".join))
def test_broken_infotext_is_read_or_refused(typed):
    reading = read(typed)
    assert (reading.request is None) == bool(reading.problems)
