"""`--control`: ControlNets by name, weight and picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from generation.models.adapters import Adapters
from generation.models.catalogue import Family
from generation.models.files.controls import ControlNet
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import ControlWeight, from_dict, to_dict
from generation.prompt import PENDING_IMAGE, PromptError, format_prompt, parse_prompt, permute
from generation.prompt.request import PromptRequest

LINK = "https://x.test/a/house.png"
CONTROLS = (
    ControlNet("canny", Path("a"), 768, "canny"),
    ControlNet("depth", Path("b"), 768, "depth"),
    ControlNet("pose", Path("c"), 2048, "pose"),
    ControlNet("tile_one", Path("d"), 768, "tile"),
    ControlNet("tile_two", Path("e"), 768, "tile"),
)
REGISTRY = ModelRegistry(
    (
        Model(name="painter", ref="m", cross_attention_dim=768),
        Model(name="big", ref="x", family=Family.SDXL, cross_attention_dim=2048),
        Model(name="flux", ref="f", family=Family.FLUX),
    ),
    Adapters(controls=CONTROLS),
)


def parse(text: str, registry: ModelRegistry = REGISTRY) -> PromptRequest:
    return parse_prompt(text, registry, new_seed=lambda: 7)


def problem(text: str, registry: ModelRegistry = REGISTRY) -> str:
    with pytest.raises(PromptError) as raised:
        parse(text, registry)
    (only,) = raised.value.problems
    return str(only)


@pytest.mark.parametrize(
    ("typed", "uses", "code"),
    [
        (f"--control canny:0.8 {LINK}", [("canny", 0.8)], LINK),
        (f"--control CANNY <{LINK}>", [("canny", 1.0)], LINK),
        ("--control canny 4F2A1C", [("canny", 1.0)], "4f2a1c"),
        ("--control canny:0.8, depth:1,5 4f2a1c", [("canny", 0.8), ("depth", 1.5)], "4f2a1c"),
        (f"--control canny --control {LINK}", [("canny", 1.0)], LINK),
        ("—control dep:80% 4f2a1c", [("depth", 0.8)], "4f2a1c"),
        (f"--control {LINK}", [("canny", 1.0)], LINK),
        ("--control canny：0.5 4f2a1c --seed 4", [("canny", 0.5)], "4f2a1c"),
        ("--control canny:0 4f2a1c", [("canny", 0.0)], "4f2a1c"),
        ("--control canny:0,8,depth 4f2a1c", [("canny", 0.8), ("depth", 1.0)], "4f2a1c"),
        ("--control canny，depth：0.5，4f2a1c", [("canny", 1.0), ("depth", 0.5)], "4f2a1c"),
        ("--control canny: 0.8 `4f2a1c`", [("canny", 0.8)], "4f2a1c"),
        (f"--control canny :0.8, <{LINK}>", [("canny", 0.8)], LINK),
    ],
)
def test_names_weights_and_a_picture_are_read(typed: str, uses: list[tuple[str, float]], code: str) -> None:
    request = parse(f"a house {typed}")
    assert request.params.controls == tuple(ControlWeight(*use) for use in uses)
    assert (request.params.control, request.params.control_code) == (PENDING_IMAGE, code)
    assert request.has_links is (code == LINK)
    again = parse(format_prompt(request.params, REGISTRY, seed=True))
    assert again.params == request.params
    assert from_dict(to_dict(request.params)) == request.params


def test_without_it_nothing_is_followed() -> None:
    params = parse("a house").params
    assert (params.controls, params.control, params.control_code) == ((), None, "")


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("--control", "`--control` needs a value such as `canny:0.8`"),
        ("--control canny", "`--control` needs a picture: attach one with the `control` option"),
        ("--control canny:3 4f2a1c", "must be a name and a weight between 0 and 2"),
        ("--control canny:much 4f2a1c", "must be a name and a weight between 0 and 2"),
        ("--control cany 4f2a1c", "There is no ControlNet `cany` here. Available for painter: `canny`, `depth`"),
        ("--control pose 4f2a1c", "Cannot use the ControlNet `pose` with painter: it is made for Stable Diffusion XL"),
        ("--control tile 4f2a1c", "`tile` matches several ControlNets: `tile_one`, `tile_two`. Type more of the name"),
        ("--control canny 4f2a1c aaaaaa", "`--control` takes one picture; this prompt has 2"),
        ("--control canny canny 4f2a1c", "names the same ControlNet more than once"),
        ("--control canny https://x.test/page", "is not a direct link to a picture"),
        ("--control canny 4f2a1c --model flux", "Cannot use `--control` with flux"),
        ("--control canny depth tile_one tile_two 4f2a1c", "can have at most 3 ControlNets; this one has 4"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(typed: str, says: str) -> None:
    assert says in problem(f"a house {typed}")


def test_an_empty_folder_is_told() -> None:
    several = ModelRegistry(REGISTRY.models, Adapters(controls=(CONTROLS[1], replace(CONTROLS[1], name="near"))))
    assert "no ControlNet that reads it: add one of `depth`, `near`" in problem("a house --control 4f2a1c", several)
    empty = ModelRegistry(REGISTRY.models)
    assert "no ControlNet is installed for painter" in problem("a house --control 4f2a1c", empty)
    assert problem("a house --control canny 4f2a1c", empty) == "There is no ControlNet `canny`: none are installed here"


def test_the_model_decides_which_ones_there_are() -> None:
    assert parse("a house --control pose 4f2a1c --model big").params.controls == (ControlWeight("pose"),)
    assert "made for Stable Diffusion 1.x" in problem("a house --control canny 4f2a1c --model big")
    first = ModelRegistry(REGISTRY.models, Adapters(controls=CONTROLS[:1]))
    assert "none are installed for big" in problem("a house --control depth 4f2a1c --model big", first)


def test_choices_in_braces_vary_it() -> None:
    requests = [parse(text) for text in permute("a house --control {canny, depth} 4f2a1c", 9)]
    assert [request.params.controls[0].name for request in requests] == ["canny", "depth"]


def test_a_preference_cannot_name_one() -> None:
    request = parse_prompt("a house", REGISTRY, defaults=("--control canny 4f2a1c",))
    assert request.params.controls == ()
