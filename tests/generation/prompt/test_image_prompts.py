"""What IP-Adapters see to in prompts: --cref and --cw, the style of --sref, and pictures in front of the text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from generation.models.adapters import Adapters
from generation.models.catalogue import Family
from generation.models.files.image_adapters import ImageAdapter, ImageEncoder
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import Params, Upload, from_dict, to_dict
from generation.prompt import PENDING_IMAGE, PromptError, format_prompt, parse_prompt

ENCODER = ImageEncoder(Path("image_encoder"), 8, 4)
LINK = "https://example.com/mira.png"
PICTURE = Upload("1" * 64)


def adapter(name: str, width: int, **more: Any) -> ImageAdapter:
    return ImageAdapter(name, Path(name), ENCODER, width, 16, **more)


FACE, GENERAL = adapter("plus-face", 768, is_face=True), adapter("plus", 768, reads_patches=True)
MODELS = (
    Model(name="small", ref="s", cross_attention_dim=768),
    Model(name="big", ref="b", family=Family.SDXL, cross_attention_dim=2048),
    Model(name="other", ref="o", family=Family.SD2, cross_attention_dim=1024),
    Model(name="whole", ref="w", family=Family.FLUX),
)
REGISTRY = ModelRegistry(MODELS, Adapters(images=(FACE, GENERAL, adapter("plus-xl", 2048))))
PLAIN = ModelRegistry(MODELS)


def parse(text: str, registry: ModelRegistry = REGISTRY, attached: int = 0, **more: Any) -> Params:
    return parse_prompt(text, registry, attached=attached, new_seed=lambda: 1, **more).params


def problem(text: str, registry: ModelRegistry = REGISTRY) -> str:
    with pytest.raises(PromptError) as caught:
        parse(text, registry)
    (only,) = caught.value.problems
    return only


def test_a_character_is_seen_to_by_an_adapter_of_faces_where_there_is_one() -> None:
    params = parse(f"a queen --cref {LINK} --cw 60")
    assert (params.character, params.character_code, params.character_weight) == (PENDING_IMAGE, LINK, 60)
    assert params.character_adapter == "plus-face"
    assert parse("a queen --cref 4f2a1c --model big").character_adapter == "plus-xl"
    assert parse("a queen --cref 4f2a1c").character_weight == 100


def test_a_prompt_is_written_as_it_was_typed() -> None:
    params = parse("a queen --cref 4f2a1c --cw 0 --sref 9b8c7d --model big")
    text = format_prompt(params, REGISTRY)
    assert text == "a queen --sref 9b8c7d --cref 4f2a1c --cw 0 --model big"
    assert parse(text) == params
    assert from_dict(to_dict(params)) == params


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a queen --cw 60", "Cannot use `--cw` without a character"),
        ("a queen --cref a b", "`--cref` takes one picture, not `a b`"),
        ("a queen --cref 4f2a1c --cw 101", "`--cw` must be between 0 and 100"),
        ("a queen --cref 4f2a1c --model other", "no IP-Adapter is installed for other"),
        ("a queen --cref 4f2a1c --model whole", "Cannot use `--cref` with whole: it cannot draw the character"),
        ("a queen --cref https://example.com/page", "is not a direct link to a picture"),
    ],
)
def test_what_cannot_be_is_refused_in_words(text: str, says: str) -> None:
    assert says in problem(text)


def test_a_preferred_character_is_left_out_where_it_cannot_be() -> None:
    defaults = ("--cref 4f2a1c --cw 50",)
    assert parse("a queen", defaults=defaults).character_code == "4f2a1c"
    left_out = parse("a queen --model other", defaults=defaults)
    assert (left_out.character, left_out.character_code, left_out.character_weight) == (None, "", 100)


def test_a_style_is_seen_to_by_an_adapter_where_its_layers_are_known() -> None:
    assert parse("a queen --sref 4f2a1c --model big").style_adapter == "plus-xl"
    assert parse("a queen --sref 4f2a1c").style_adapter == ""
    assert parse("a queen --sref 4f2a1c --model big", PLAIN).style_adapter == ""


def test_pictures_beside_words_are_a_prompt_where_an_adapter_is_installed() -> None:
    request = parse_prompt("a queen --iw 2", REGISTRY, attached=2)
    params = request.with_images([PICTURE, PICTURE])
    assert (params.image_prompts, params.image_adapter, params.image_weight) == ((PICTURE, PICTURE), "plus", 2)
    assert (params.source, params.blended, params.strength) == (None, (), 1.0)
    assert format_prompt(params, REGISTRY) == "a queen --iw 2"
    assert from_dict(to_dict(params)) == params


@pytest.mark.parametrize(
    ("text", "attached", "registry"),
    [
        ("a queen --iw 2", 1, PLAIN),
        ("a queen --iw 0", 1, REGISTRY),
        ("", 2, REGISTRY),
        ("--mix a king", 1, REGISTRY),
        ("a queen --colour", 1, REGISTRY),
        ("a [queen:king:.0] --retouch", 1, REGISTRY),
        ("a queen --model other", 1, REGISTRY),
        ("a queen", 1, ModelRegistry(MODELS, Adapters(images=(FACE,)))),
    ],
)
def test_elsewhere_the_picture_starts_from_them(text: str, attached: int, registry: ModelRegistry) -> None:
    params = parse(text, registry, attached)
    assert params.source == PENDING_IMAGE and not params.image_prompts
    assert (params.image_adapter, params.image_weight) == ("", 1.0)


def test_a_form_about_a_picture_that_it_starts_from_goes_on_so() -> None:
    assert parse("a queen", attached=1, starts_from_images=True).source == PENDING_IMAGE


def test_a_model_for_edits_retouches_no_picture() -> None:
    registry = ModelRegistry((Model(name="editor", ref="e", is_editor=True),))
    with pytest.raises(PromptError, match="Cannot use `--retouch` with editor: it cannot redraw a part of a picture"):
        parse("a [queen:king:.0] --retouch", registry, attached=1)
    assert not parse("a [queen:king:.0]", registry, attached=1, defaults=["--retouch"]).retouch
    assert parse("a [queen:king:.0] --retouch", registry, forms=["colour", "edit"]).retouch
