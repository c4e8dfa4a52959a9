"""The terminal: a prompt's words need no quotes, and what works in Discord only is refused."""

from __future__ import annotations

import pytest

from bot.cli import parse_cli_prompt, with_shape
from generation.messages import Generate
from generation.models.model import Model, size_for
from generation.models.registry import ModelRegistry
from generation.prompt import PromptError
from main import with_prompt_last
from tests.support.bot_harness import red_png

REGISTRY = ModelRegistry.from_refs(["storybook"])


@pytest.mark.parametrize(
    ("typed", "options", "prompt"),
    [
        (["a red boat"], [], "a red boat"),
        (["a", "red", "boat"], [], "a red boat"),
        (
            ["a", "red", "boat", "--ar", "3:2", "--out", "pics", "--seed", "5"],
            ["--out", "pics"],
            "a red boat --ar 3:2 --seed 5",
        ),
        (["--image=a.png", "a", "boat", "--open"], ["--image=a.png", "--open"], "a boat"),
        (["a", "boat", "--", "--open", "--out"], [], "a boat --open --out"),
        (["--dry-run", "a boat --ar 3:2"], ["--dry-run"], "a boat --ar 3:2"),
        (["a", "boat", "--out"], ["--out"], "a boat"),
        (["-1", "degrees"], [], "-1 degrees"),
    ],
)
def test_options_are_told_from_the_parameters_of_the_prompt(typed, options, prompt):
    sorted_arguments = with_prompt_last(["imagine", *typed])
    end = sorted_arguments.index("--")
    assert sorted_arguments[:end] == ["imagine", *options]
    assert " ".join(sorted_arguments[end + 1 :]) == prompt


@pytest.mark.parametrize("arguments", [[], ["doctor"], ["preview", "--port", "0"], ["imagine"]])
def test_other_commands_are_left_alone(arguments):
    assert with_prompt_last(arguments) == arguments


@pytest.mark.parametrize(
    ("parameter", "says"),
    [
        ("--repeat 3", "once for each grid"),
        ("--stealth", "`--stealth`"),
        ("--public", "`--public`"),
        ("--fast", "`--fast`"),
        ("--relax", "`--relax`"),
        ("--turbo", "`--turbo`"),
    ],
)
def test_what_works_in_discord_only_is_refused(parameter, says):
    with pytest.raises(PromptError, match=says):
        parse_cli_prompt(f"a boat {parameter}", REGISTRY, with_image=False)


def test_everything_impossible_is_told_at_once():
    with pytest.raises(PromptError) as raised:
        parse_cli_prompt("https://example.org/a.png a boat --repeat 2 --fast", REGISTRY, with_image=False)
    assert len(raised.value.problems) == 3


@pytest.mark.parametrize("prompt", ["", " ", "--ar 3:2"])
def test_a_prompt_without_text_needs_an_image(prompt):
    with pytest.raises(PromptError, match="Say what to draw"):
        parse_cli_prompt(prompt, REGISTRY, with_image=False)


def test_an_edit_has_the_shape_of_its_picture():
    editor = Model(name="editor", ref="m", is_editor=True)
    params = parse_cli_prompt("make it winter", ModelRegistry((editor,)), with_image=True)
    assert params.original is not None
    for size, aspect in (((300, 200), (3, 2)), ((90, 160), (9, 16))):
        request = Generate("0" * 12, params, 0, 0, original=red_png(*size))
        shaped = with_shape(request, "make it winter", editor).params
        assert (shaped.aspect, (shaped.width, shaped.height)) == (aspect, size_for(editor, aspect))
        assert with_shape(request, "make it winter --ar 1:1", editor) is request


def test_a_prompt_becomes_params():
    params = parse_cli_prompt("a boat --ar 3:2 --seed 5", REGISTRY, with_image=True)
    assert (params.parts[0].text, params.aspect, params.seed) == ("a boat", (3, 2), 5)
    assert params.source is not None
