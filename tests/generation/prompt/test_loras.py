"""`--lora` and embeddings in angle brackets: valid input, error messages and formatting."""

from __future__ import annotations

from pathlib import Path

import pytest

from generation.models.adapters import Adapters
from generation.models.catalogue import Family
from generation.models.files.lora import Lora
from generation.models.files.textual_inversion import TextualInversion
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import LoraWeight, Params
from generation.prompt import PromptError, format_prompt, parse_params, parse_prompt

ONE = Model(name="one", ref="1.5", cross_attention_dim=768)
XL = Model(name="xl", ref="xl", family=Family.SDXL, cross_attention_dim=2048)
NEW = Model(name="new", ref="somebody/new")  # its width is unknown before it is loaded
FLUX = Model(name="flux", ref="flux", family=Family.FLUX)


def _lora(name: str, width: int | None) -> Lora:
    return Lora(name, Path(f"{name}.safetensors"), width)


def _embedding(name: str, *widths: int) -> TextualInversion:
    return TextualInversion(name, Path(f"{name}.safetensors"), ("k",) * len(widths), widths, 1)


ADAPTERS = Adapters(
    (
        _lora("ink", 768),
        _lora("ink_wash", 768),
        _lora("2fast", 768),
        _lora("big", 2048),
        _lora("texts", None),
        _lora("odd", 999),
    ),
    (_embedding("moss", 768), _embedding("Glow", 768, 1280)),
)
REGISTRY = ModelRegistry((ONE, XL, NEW, FLUX), ADAPTERS)


def read_params(typed: str) -> Params:
    return parse_params(typed, REGISTRY, new_seed=lambda: 7)


def parse_problems(typed: str) -> tuple[str, ...]:
    with pytest.raises(PromptError) as caught:
        read_params(typed)
    return caught.value.problems


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("<lora:ink:0.5:0.8>", "`--lora` takes one weight for each LoRA, such as `ink:0.8`, not `ink:0.5:0.8`"),
        ("<hypernet:ink:0.8>", "Hypernetworks do not work here: remove `<hypernet:ink:0.8>`"),
    ],
)
def test_a_tag_that_cannot_be_used_is_a_problem(typed, problem):
    assert parse_problems(f"a fox {typed}") == (problem,)


@pytest.mark.parametrize(
    ("typed", "loras"),
    [
        ("--lora ink", [("ink", 1.0)]),
        ("<lyco:ink:0.8>", [("ink", 0.8)]),
        ("<LoRA:ink:0.8>", [("ink", 0.8)]),
        ("＜lora：ink：０．８＞", [("ink", 0.8)]),
        ("< lora : ink : 0.8 >", [("ink", 0.8)]),
        ("<lora:ink:0.8:0.8>", [("ink", 0.8)]),
        ("<lora:ink:te=0.8:unet=0.8>", [("ink", 0.8)]),
        ("<lora:ink.safetensors:0.8>", [("ink", 0.8)]),
        ("<lora:styles/ink.safetensors:−.5>", [("ink", -0.5)]),
        ("--lora ink.safetensors", [("ink", 1.0)]),
        ("--lora ink:0.8", [("ink", 0.8)]),
        ("--lora ink:0,8", [("ink", 0.8)]),
        ("--lora Ink : .5", [("ink", 0.5)]),
        ("--lora ink：-2", [("ink", -2.0)]),
        ("--lora INK-WASH:0", [("ink_wash", 0.0)]),
        ("--lora ink w", [("ink_wash", 1.0)]),
        ("--lora ink:0.8, texts:1.5", [("ink", 0.8), ("texts", 1.5)]),
        ("--lora ink,texts;", [("ink", 1.0), ("texts", 1.0)]),
        ("--lora ink,2fast", [("ink", 1.0), ("2fast", 1.0)]),
        ("--lora ink:0,5,2fast:1,5", [("ink", 0.5), ("2fast", 1.5)]),
        ("--lora ink:1,2fast", [("ink", 1.0), ("2fast", 1.0)]),
        (r"--lora ink:0.5\, texts", [("ink", 0.5), ("texts", 1.0)]),  # as inside a choice in braces
        ("--lora ink,, texts,", [("ink", 1.0), ("texts", 1.0)]),
        ("--lora ink:0.8 --lora texts", [("ink", 0.8), ("texts", 1.0)]),
        ("--lora=ink:1", [("ink", 1.0)]),
        ("--model new --lora big:0.5", [("big", 0.5)]),
        ("--model xl --lora big", [("big", 1.0)]),
        ("<lora:ink:0.7>", [("ink", 0.7)]),
        ("in <lora:ink> ink <LoRA:texts:1> --ar 3:2", [("ink", 1.0), ("texts", 1.0)]),
        ("--ar 3:2 <lora:ink:0.7>", [("ink", 0.7)]),
    ],
)
def test_loras_are_parsed_as_people_type_them(typed: str, loras: list[tuple[str, float]]) -> None:
    assert read_params(f"a fox {typed}").loras == tuple(LoraWeight(*use) for use in loras)


def test_a_lora_tag_is_removed_from_the_text() -> None:
    params = read_params("a fox <lora:ink:0.7> at night")
    assert params.parts[0].text == "a fox at night"
    assert format_prompt(params, REGISTRY) == "a fox at night --lora ink:0.7"


def test_an_escaped_lora_tag_is_text() -> None:
    params = read_params(r"a \<lora:ink:0.7> fox")
    assert params.parts[0].text == "a <lora:ink:0.7> fox"
    assert read_params(format_prompt(params, REGISTRY, seed=True)) == params


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("--lora", "`--lora` needs a value such as `ink:0.8`"),
        ("--lora , ,", "`--lora` needs at least one name"),
        ("--lora :0.5", "`--lora` must be a name and a weight between -2 and 2 such as `ink:0.8`, not `:0.5`"),
        ("--lora ink:3", "`--lora` must be a name and a weight between -2 and 2 such as `ink:0.8`, not `ink:3`"),
        ("--lora ink:much", "`--lora` must be a name and a weight between -2 and 2 such as `ink:0.8`, not `ink:much`"),
        ("--lora oil", "There is no LoRA `oil` here. Available for one: `ink`, `ink_wash`, `2fast`, `texts`"),
        ("--lora i", "`i` matches several LoRAs: `ink`, `ink_wash`. Type more of the name"),
        ("--lora big", "Cannot use the LoRA `big` with one: it is made for Stable Diffusion XL"),
        ("--model xl --lora ink", "Cannot use the LoRA `ink` with xl: it is made for Stable Diffusion 1.x"),
        ("--lora odd", "Cannot use the LoRA `odd` with one: it is made for another kind of model"),
        ("--model flux --lora ink", "Cannot use `--lora` with flux: it cannot use LoRAs or embeddings"),
        ("--lora ink --lora ink:0.5", "The LoRA `ink` is given more than once"),
        ("<lora:oil:1>", "There is no LoRA `oil` here. Available for one: `ink`, `ink_wash`, `2fast`, `texts`"),
    ],
)
def test_an_invalid_lora_is_reported(typed: str, problem: str) -> None:
    assert parse_problems(f"a fox {typed}") == (problem,)


def test_an_unknown_lora_is_reported_if_none_fit_the_model() -> None:
    only_xl = ModelRegistry((ONE,), Adapters((_lora("big", 2048),)))
    with pytest.raises(PromptError, match="There is no LoRA `oil`: none are installed for one"):
        parse_params("a fox --lora oil", only_xl)


def test_at_most_five_loras_can_be_used_at_once() -> None:
    many = ModelRegistry((ONE,), Adapters(tuple(_lora(f"l{number}", 768) for number in range(6))))
    with pytest.raises(PromptError, match="A prompt can have at most 5 LoRAs; this one has 6"):
        parse_params("a fox --lora l0, l1, l2, l3, l4, l5", many)


def test_loras_in_the_prompt_override_default_loras() -> None:
    assert parse_prompt("a fox", REGISTRY, defaults=("--lora ink:0.5",)).params.loras == (LoraWeight("ink", 0.5),)
    assert parse_prompt("a fox --lora texts", REGISTRY, defaults=("--lora ink:0.5",)).params.loras == (
        LoraWeight("texts"),
    )


def test_default_loras_that_do_not_fit_the_model_are_ignored() -> None:
    suffix = ("--lora ink:0.5 --ar 3:2",)
    params = parse_prompt("a fox --model xl", REGISTRY, defaults=suffix).params
    assert (params.loras, params.aspect) == ((), (3, 2))
    with pytest.raises(PromptError, match="In the settings `--lora gone`: There is no LoRA `gone` here"):
        parse_prompt("a fox", REGISTRY, defaults=("--lora gone",))


def test_loras_are_formatted_as_they_are_typed() -> None:
    params = read_params("a fox --lora ink:0.8 --lora texts")
    assert format_prompt(params, REGISTRY) == "a fox --lora ink:0.8, texts"


@pytest.mark.parametrize(
    "text", ["a <moss> fox", "<MOSS>", "<moss>::2 fox", "a <glow-worm> fox", "1 < 2 > 0", "a<moss>b"]
)
def test_text_in_angle_brackets_stays_in_the_prompt(text: str) -> None:
    params = read_params(text)
    assert params.parts[0].text == text.partition("::")[0]
    assert read_params(format_prompt(params, REGISTRY, seed=True)) == params


@pytest.mark.parametrize("typed", ["a <glow> fox", "a fox --no <GLOW>", "a fox --negative ugly <Glow>"])
def test_an_embedding_for_other_models_is_reported(typed: str) -> None:
    assert parse_problems(typed) == ("Cannot use `<Glow>` with one: it is made for Stable Diffusion XL",)
    assert read_params(f"{typed} --model xl")


def test_default_texts_leave_out_embeddings_for_other_models() -> None:
    defaults = ("--negative <glow>, ugly, <moss> --no <Glow>, text",)
    params = parse_prompt("a fox", REGISTRY, defaults=defaults).params
    assert (params.negative_prompt, params.no) == ("ugly, <moss>", ("text",))
    params = parse_prompt("a fox --model xl", REGISTRY, defaults=defaults).params
    assert (params.negative_prompt, params.no) == ("<glow>, ugly", ("<Glow>", "text"))
    assert parse_prompt("a fox", REGISTRY, defaults=("--negative <glow>",)).params.negative_prompt is None
    assert parse_prompt("a fox", REGISTRY, attached=1, defaults=("--mix <glow> --keep 30",)).params.mix == ""


def test_only_compatible_adapters_are_offered() -> None:
    def offered(model: Model) -> tuple[list[str], list[str]]:
        compatible = ADAPTERS.compatible_with(model)
        return [lora.name for lora in compatible.loras], [embedding.name for embedding in compatible.embeddings]

    assert offered(ONE) == (["ink", "ink_wash", "2fast", "texts"], ["moss"])
    assert offered(XL) == (["big", "texts"], ["Glow"])
    assert offered(FLUX) == ([], [])
