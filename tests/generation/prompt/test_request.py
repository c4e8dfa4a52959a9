"""Everything around a prompt's text: images, job settings, custom options and defaults."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.prompt_parsing import argparse_parser
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import PromptPart, Tile, Upload
from generation.prompt import (
    PENDING_IMAGE,
    PromptError,
    PromptRequest,
    format_prompt,
    is_reserved_name,
    parse_params,
    parse_prompt,
    permute,
)
from generation.prompt.parameter_names import PARAMETER_NAMES
from generation.prompt.permutations import count
from tests.generation.prompt.test_parser import typed_texts
from tests.support.growth import seconds

MODEL = Model(name="storybook", ref="m", num_inference_steps=20, guidance_scale=7.0, trigger_words="storybook style")
REGISTRY = ModelRegistry((MODEL,))
SEED = 77
FOX, OWL = "https://example.org/fox.png", "https://example.org/owl.jpg?ex=1&is=2"
OPTIONS = {
    "mine": "in ink, on old paper --ar 2:3 --s 50",
    "Loud": "--chaos 80",
    "wordy": "very wordy",
    "pic": f"{FOX} --iw 2",
    "broken": "in ink --ar wide --aspct 1:1 --mine",
    "tile": "not what this means",
    "v2": "not what this means",
    "noisy2": "--weird 20",
}


def parse_request(typed: str, **more: Any) -> PromptRequest:
    return parse_prompt(typed, REGISTRY, new_seed=lambda: SEED, **more)


def parse_problems(typed: str, **more: Any) -> list[str]:
    with pytest.raises(PromptError) as caught:
        parse_request(typed, **more)
    return list(caught.value.problems)


def summarize(found: PromptRequest, here: ModelRegistry = REGISTRY) -> str:
    """Format a request, job settings included, as one line."""
    run = [found.speed, {True: "private", False: "public", None: None}[found.private]]
    repeat = [f"{found.repeat}×"] if found.repeat > 1 else []
    return " | ".join([format_prompt(found.params, here), *filter(None, run), *repeat])


@pytest.mark.parametrize(
    ("typed", "read_as"),
    [
        ("a fox", "a fox"),
        ("a fox --fast", "a fox | fast"),
        ("a fox --relax", "a fox | relax"),
        ("a fox --turbo --ar 3:2", "a fox --ar 3:2 | turbo"),
        ("a fox --stealth", "a fox | private"),
        ("a fox --public --relax", "a fox | relax | public"),
        ("a fox —fast —stealth", "a fox | fast | private"),
        ("a fox --repeat 3", "a fox | 3×"),
        ("a fox --r 40 --draft", "a fox --draft | 40×"),
        ("a fox --r5", "a fox | 5×"),
        ("a fox --fast --r 2 --stealth --tile", "a fox --tile | fast | private | 2×"),
    ],
)
def test_job_settings_are_separate_from_the_params(typed, read_as):
    assert summarize(parse_request(typed)) == read_as


@pytest.mark.parametrize("typed", ["a fox --seed 5 --repeat 3", "a fox --sameseed 5 --repeat 3", "a fox --repeat 3"])
def test_repeated_jobs_have_different_seeds(typed):
    requests = parse_request(typed).expand_repeats()
    seeds = {each.params.seed + tile for each in requests for tile in range(4)}
    assert (len(requests), len(seeds)) == (3, 12)


def test_repeated_seeds_continue_the_typed_one_and_wrap_around():
    seeds = [each.params.seed for each in parse_request("a fox --seed 4294967294 --repeat 3").expand_repeats()]
    assert seeds == [4294967294, 2, 6]


def test_job_settings_are_unset_unless_typed():
    assert (parse_request("a fox").speed, parse_request("a fox").private, parse_request("a fox").repeat) == (
        None,
        None,
        1,
    )


@pytest.mark.parametrize(
    ("typed", "links", "text"),
    [
        (f"{FOX} a fox", [FOX], "a fox"),
        (f"{FOX} {OWL} a fox", [FOX, OWL], "a fox"),
        (f"{FOX}, {OWL}, a fox", [FOX, OWL], "a fox"),
        (f"{FOX},{OWL} a fox", [FOX, OWL], "a fox"),
        (f"<{FOX}> a fox", [FOX], "a fox"),
        (f"<{FOX}> <{OWL}>", [FOX, OWL], ""),
        (f"**<{FOX}> a fox --ar 3:2** - @ada (fast)", [FOX], "a fox --ar 3:2"),
        (f"/imagine prompt: {FOX} a fox --iw 2", [FOX], "a fox --iw 2"),
        (f"{FOX}\n{OWL}\n--iw .5", [FOX, OWL], "--iw 0.5"),
        (f"{FOX} {FOX}", [FOX, FOX], ""),
        ("HTTPS://EXAMPLE.ORG/FOX.PNG a fox", ["HTTPS://EXAMPLE.ORG/FOX.PNG"], "a fox"),
        ("http://example.org/fox.webp#top a fox", ["http://example.org/fox.webp#top"], "a fox"),
        ("https://example.org/a--raw.png a fox", ["https://example.org/a--raw.png"], "a fox"),
        ("https://example.org/a::2.gif a fox:: owl", ["https://example.org/a::2.gif"], "a fox:: owl"),
        (
            "https://example.org/?url=https://example.com/a.png a fox".replace("/?", "/x.jpeg?"),
            ["https://example.org/x.jpeg?url=https://example.com/a.png"],
            "a fox",
        ),
        (f"a fox like {FOX}", [], f"a fox like {FOX}"),
        ("https\\://example.org/fox.png as text", [], "https\\:\\//example.org/fox.png as text"),
    ],
)
def test_leading_links_are_images(typed, links, text):
    found = parse_request(typed)
    assert list(found.links) == links
    assert format_prompt(found.params, REGISTRY).replace("https\\:\\//", "https\\://") == text.replace(
        "https\\:\\//", "https\\://"
    )
    assert [found.params.source, *found.params.blended] == ([PENDING_IMAGE] * len(links) or [None])


def test_attached_images_come_before_linked_ones():
    found = parse_request(f"{FOX} a fox", attached=1)
    pictures = [Upload("aa"), Upload("bb")]
    assert found.links == (FOX,)
    assert found.params.blended == (PENDING_IMAGE,)
    assert found.with_images(pictures) == replace(found.params, source=pictures[0], blended=(pictures[1],))


def test_without_images_the_params_stay_unchanged():
    assert parse_request("a fox").with_images([]) == parse_request("a fox").params


def test_two_images_need_no_text():
    found = parse_request("--iw 2", attached=2)
    assert (found.params.parts, found.params.strength) == ((PromptPart(""),), 0.36)


NO_WEIGHTS = "Pictures have no weights of their own here: leave out"
ONE_ALONE = ["Add some text, or a second picture to blend with"]
NOT_DIRECT = "is not a direct link to a picture: use one that ends in .png, .jpg, .jpeg, .webp or .gif"


@pytest.mark.parametrize(
    ("typed", "attached", "expected"),
    [
        (FOX, 0, ONE_ALONE),
        ("--ar 3:2", 1, ONE_ALONE),
        ("", 1, ONE_ALONE),
        (f"{FOX} " * 6 + "a fox", 0, ["A prompt can have at most 5 pictures; this one has 6"]),
        (f"{FOX} " * 3, 3, ["A prompt can have at most 5 pictures; this one has 6"]),
        ("https://example.org a fox", 0, [f"`https://example.org` {NOT_DIRECT}"]),
        ("https://example.org/page.html a fox", 0, [f"`https://example.org/page.html` {NOT_DIRECT}"]),
        ("https://fox.png a fox", 0, [f"`https://fox.png` {NOT_DIRECT}"]),
        ("https://example.org/?a.png a fox", 0, [f"`https://example.org/?a.png` {NOT_DIRECT}"]),
        (f"{FOX} a fox --iw 9", 0, ["`--iw` must be between 0 and 3"]),
        (f"{FOX}::2 a fox", 0, [f"{NO_WEIGHTS} `::2`. `--iw` says how much they count"]),
        (
            "a fox --iw 2",
            0,
            ["Cannot use `--iw` without a picture: attach one with the `image` option, or start with a link to one"],
        ),
    ],
)  # fmt: skip
def test_invalid_images_are_rejected(typed, attached, expected):
    assert parse_problems(typed, attached=attached) == expected


def test_a_parameter_glued_to_a_link_is_read():
    request = parse_request(f"{FOX}--ar 3:2", attached=1)
    assert (request.links, request.aspect) == ((FOX,), (3, 2))


@pytest.mark.parametrize("typed", [f"({FOX})", f"[a fox]({FOX})", f"<{FOX}>", f"{FOX}::2", f"[{FOX}],"])
def test_a_link_to_a_style_is_read_in_any_notation(typed):
    assert parse_request(f"an owl --sref {typed} --sw 50").params.style_code == FOX


def test_parse_params_accepts_an_image_but_no_links():
    tile = Tile("0123456789ab", 2)
    assert parse_params("a fox", REGISTRY, source=tile).source == tile
    with pytest.raises(PromptError, match="attach the picture instead"):
        parse_params(f"{FOX} a fox", REGISTRY)


@pytest.mark.parametrize(
    ("typed", "read_as"),
    [
        ("a fox --mine", "a fox in ink, on old paper --ar 2:3 --stylize 50"),
        ("a fox —Mine", "a fox in ink, on old paper --ar 2:3 --stylize 50"),
        ("a fox --tile --mine --chaos 5", "a fox in ink, on old paper --ar 2:3 --chaos 5 --stylize 50 --tile"),
        ("a fox --mine, --loud.", "a fox in ink, on old paper --ar 2:3 --chaos 80 --stylize 50"),
        ("a fox --wordy --mine", "a fox very wordy in ink, on old paper --ar 2:3 --stylize 50"),
        ("--wordy", "very wordy"),
        ("a fox:: owl::2 --wordy", "a fox:: owl::2 very wordy"),
        ("a fox:: owl --wordy", "a fox:: owl very wordy"),
        ("a fox --noisy2", "a fox --weird 20"),
        ("a fox --tile", "a fox --tile"),
    ],
)
def test_a_custom_option_stands_for_its_text_and_parameters(typed, read_as):
    assert summarize(parse_request(typed, options=OPTIONS)) == read_as


def test_a_custom_option_can_bring_a_picture():
    found = parse_request("a fox --pic", options=OPTIONS)
    assert (found.links, found.params.strength) == ((FOX,), 0.36)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("a fox --mine --ar 1:1", ["`--ar` is given more than once"]),
        ("a fox --ar 1:1 --mine", ["In `--mine`: `--ar` is given more than once"]),
        ("a fox --mine --mine", ["`--mine` is given more than once"]),
        ("a fox --mine too", ["Move `too` before the parameters: it comes after `--mine`"]),
        ("a fox --min", ["Unrecognized parameter `--min`: did you mean `--mine`?"]),
        ("a fox --other", ["Unrecognized parameter `--other`"]),
        ("a fox --v2", ["There is no model `--v 2` here. Available: `storybook`"]),
        (
            "a fox --broken --q x",
            [
                "In `--broken`: `--ar` must be two whole numbers such as `3:2`, not `wide`",
                "In `--broken`: Unrecognized parameter `--aspct`: did you mean `--aspect`?",
                "In `--broken`: Unrecognized parameter `--mine`",
                "`--quality` must be one of 0.25, 0.5, 1, 2, 4, not `x`",
            ],
        ),
    ],
)
def test_a_problem_in_a_custom_option_names_the_option(typed, expected):
    assert parse_problems(typed, options=OPTIONS) == expected


def test_a_parameters_name_is_reserved():
    names = [*PARAMETER_NAMES, "AR", "v5", "s750", "tile2", "seed=5"]
    assert [name for name in names if not is_reserved_name(name)] == []


@pytest.mark.parametrize("name", ["mine", "noisy2", "my-style", "tiles", "vv", "s-curve", "2d", "赤", ""])
def test_any_other_name_is_not_reserved(name):
    assert not is_reserved_name(name)


LAYERS = ("--ar 3:2 --s 250 --tile", "--ar 2:3 --chaos 10 --relax --stealth")


@pytest.mark.parametrize(
    ("typed", "layers", "read_as"),
    [
        ("a fox", LAYERS, "a fox --ar 3:2 --chaos 10 --stylize 250 --tile | relax | private"),
        ("a fox --ar 1:1", LAYERS, "a fox --chaos 10 --stylize 250 --tile | relax | private"),
        ("a fox --c 0 --s 100", LAYERS, "a fox --ar 3:2 --tile | relax | private"),
        ("a fox --fast --public", LAYERS, "a fox --ar 3:2 --chaos 10 --stylize 250 --tile | fast | public"),
        ("a fox", ["", "  "], "a fox"),
        ("a fox", ["—s 250 —tile"], "a fox --stylize 250 --tile"),
        ("a fox --q 2", ["--steps 30"], "a fox --steps 40"),
        ("a fox --steps 30", ["--q 2"], "a fox --steps 30"),
        ("a fox", ["--q 2", "--steps 30"], "a fox --steps 40"),
        ("a fox", ["--steps 30", "--q 2"], "a fox --steps 30"),
        ("a fox --draft", ["--hd"], "a fox --draft"),
        ("a fox --hd", ["--draft"], "a fox --hd"),
        ("a fox --draft", ["--steps 100"], "a fox --draft"),
        ("a fox", ["--draft", "--steps 100"], "a fox --draft"),
        ("a fox --steps 30", ["--draft"], "a fox --draft --steps 30"),
        ("a fox --raw", ["--style raw"], "a fox --raw"),
        ("a fox --seed 5", ["--sameseed 9"], "a fox --sameseed"),
        ("a fox --no snow", ["--no ice"], "a fox --no snow"),
        ("a fox", ["--no ice --no snow"], "a fox --no ice, snow"),
        ("a fox", ["--iw 2"], "a fox"),
        ("a fox --ar 3:2", ["--ar 9:1"], "a fox --ar 3:2"),
        ("a fox --mine", ["--ar 1:1 --s 5 --c 7"], "a fox in ink, on old paper --ar 2:3 --chaos 7 --stylize 50"),
    ],
)
def test_precedence_is_prompt_then_user_then_server_then_model(typed, layers, read_as):
    assert summarize(parse_request(typed, defaults=layers, options=OPTIONS)) == read_as


def test_the_image_weight_can_be_a_default():
    assert parse_request("a fox", attached=1, defaults=["--iw 2", "--iw 3"]).params.strength == 0.36
    assert parse_request("a fox --iw 1", attached=1, defaults=["--iw 2"]).params.strength == 0.6


def test_the_seed_can_be_a_default():
    assert parse_request("a fox", defaults=["--seed 5"]).params.seed == 5
    assert parse_request("a fox --sameseed 6", defaults=["--seed 5"]).params.seed == 6
    assert parse_request("a fox").params.seed == SEED


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("--s 5000", ["In the settings `--s 5000`: `--stylize` must be between 0 and 1000"]),
        ("--fast --relax", ["In the settings `--fast --relax`: Cannot use `--fast` and `--relax` together"]),
        ("in ink --raw", ["In the settings `in ink --raw`: only parameters are allowed"]),
        (f"{FOX} --raw", [f"In the settings `{f'{FOX} --raw'}`: only parameters are allowed"]),
        ("--mine", ["In the settings `--mine`: Unrecognized parameter `--mine`"]),
    ],
)  # fmt: skip
def test_a_problem_in_a_setting_quotes_the_setting(layer, expected):
    assert parse_problems("a fox", defaults=["--tile", layer], options=OPTIONS)[: len(expected)] == expected


def test_the_zoom_parameter_is_valid_in_the_custom_zoom_form_only():
    assert parse_request("a fox --zoom 1.5", forms=["zoom"]).zoom == 1.5
    assert parse_request("a fox", forms=["zoom"]).zoom is None
    assert parse_problems("a fox --zoom 3 --q x", forms=["zoom"]) == [
        "`--zoom` must be between 1 and 2",
        "`--quality` must be one of 0.25, 0.5, 1, 2, 4, not `x`",
    ]
    for typed, layers in (("a fox --zoom 2", []), ("a fox", ["--zoom 2"])):
        assert parse_problems(typed, defaults=layers) == ["`--zoom` works in the Custom Zoom form only"]


def test_the_request_has_an_aspect_ratio_only_if_one_was_set():
    assert parse_request("a fox --ar 2:2").aspect == (1, 1)
    assert parse_request("a fox", defaults=["--ar 3:2"]).aspect == (3, 2)
    assert parse_request("a fox").aspect is None


def test_the_house_style_is_the_models_unless_raw_is_set():
    assert parse_request("a fox").params.house_style == "storybook style"
    assert parse_request("a fox --s 0").params.house_style == "storybook style"
    assert parse_request("a fox --raw").params.house_style == ""
    assert parse_request("a fox", defaults=["--style raw"]).params.house_style == ""


def test_niji_selects_a_model_of_that_name():
    niji = ModelRegistry((Model(name="Niji 6", ref="m"),))
    assert (
        parse_prompt("a fox --niji 6", niji)
        and parse_prompt("a fox --niji6", niji)
        and parse_prompt("a fox --v niji-6", niji)
    )
    assert parse_prompt("a fox --niji --tile", niji).params.seamless
    with pytest.raises(PromptError, match=r"There is no model `--niji 5` here\. Available: `Niji 6`"):
        parse_prompt("a fox --niji 5", niji)


@pytest.mark.parametrize(
    ("typed", "prompts"),
    [
        ("a fox", ["a fox"]),
        ("/imagine prompt: a {red, blue} fox", ["a red fox", "a blue fox"]),
        ("**a {red, blue} fox** - <@1> (fast)", ["a red fox", "a blue fox"]),
        ("a fox --ar {3:2, 1:1} --{tile, draft}", [
            "a fox --ar 3:2 --tile", "a fox --ar 3:2 --draft", "a fox --ar 1:1 --tile", "a fox --ar 1:1 --draft",
        ]),
        (r"a \{red\, blue\} fox", [r"a \{red\, blue\} fox"]),
        (r"{a \{b\}, c\,d\::2}", [r"a \{b\}", r"c\,d\::2"]),
        (f"{{{FOX}, {OWL}}} a fox", [f"{FOX} a fox", f"{OWL} a fox"]),
        ("{red} fox", ["red fox"]),
    ],
)  # fmt: skip
def test_choices_are_expanded_after_copied_text_is_stripped(typed, prompts):
    assert permute(typed, limit=10) == prompts


@settings(max_examples=200)
@given(typed_texts, typed_texts, typed_texts, st.integers(0, 6))
def test_parsing_returns_a_request_or_raises_prompt_error(typed, layer, option, attached):
    more: dict[str, Any] = {"attached": attached, "defaults": [layer, "--tile"], "options": {"mine": option}}
    for text in (typed, f"{typed} --mine", f"{option} --mine"):
        try:
            found = parse_request(text, **more)
        except PromptError as caught:
            assert caught.problems
        else:
            echo = format_prompt(found.params, REGISTRY, seed=True)
            assert parse_request(echo, attached=attached + len(found.links)).params == found.params


@settings(max_examples=200)
@example(typed=">\x1b 0")
@given(typed_texts)
def test_an_expanded_prompt_stays_the_same_when_expanded_again(typed):
    prompts = permute(typed, limit=10**6) if count(typed) == 1 else []
    for prompt in prompts:
        assert permute(prompt, limit=1) == [prompt]


def test_choices_in_a_setting_or_an_option_are_rejected():
    problem = "Choices such as `{raw, tile}` do not work here: for a plain brace, type `\\{`"
    assert parse_problems("a fox", defaults=["--{raw, tile}"]) == [f"In the settings `--{{raw, tile}}`: {problem}"]
    assert parse_problems("a fox --mine", options={"mine": "--{raw, tile}"}) == [f"In `--mine`: {problem}"]


def test_an_ordinary_prompt_costs_less_than_23_plain_ones_of_argparse():
    typed = f"{FOX} a red fox:: under the moon::.5 --ar 3:2 --mine --c 20 --no snow, ice --iw 2 --fast --{{tile}}"
    parse_plain = argparse_parser()

    def parse(typed: str) -> None:
        for _ in range(100):
            (prompt,) = permute(typed, limit=4)
            parse_request(prompt, defaults=["--s 250 --draft", "--q 2 --relax"], options={"mine": "in ink --weird 20"})

    def parse_plain_ones(typed: str) -> None:
        for _ in range(23 * 100):
            parse_plain(typed)

    assert seconds(parse, typed) < seconds(parse_plain_ones, "a red fox under the moon --ar 3:2 --seed 5 --no snow")


def test_mix_needs_a_picture_and_says_how_much_of_it_is_kept() -> None:
    params = parse_request("a dog --mix a coffee machine --keep 70", attached=1).params
    assert (params.mix, params.mix_keep) == ("a coffee machine", 70)
    assert parse_request("--mix a coffee machine", attached=1).params.mix_keep == 50
    assert parse_request("a dog --mix snow", forms=["mix"]).params.mix == "snow"
    assert parse_problems("a dog --mix snow") == [
        "Cannot use `--mix` without a picture: attach one, or press *Remix* below one"
    ]
    assert parse_problems("a dog --keep 70") == ["`--keep` works with `--mix`, and in the form of *Edit words*"]


def test_mix_as_a_default_is_for_prompts_with_a_picture_that_hold_none() -> None:
    defaults = ["--mix a castle --keep 30"]
    assert parse_request("a dog", attached=1, defaults=defaults).params.mix_keep == 30
    assert parse_request("a dog", defaults=defaults).keep is None
    for typed in ("--hold", "--retouch"):
        request = parse_request(f"a [red:blue:.1] boat {typed}", attached=1, defaults=defaults)
        assert (request.params.mix, request.keep) == ("", None)
    for both in ([*defaults, "--hold"], [f"{defaults[0]} --hold --retouch"]):
        params = parse_request("a [red:blue:.1] boat", attached=1, defaults=both).params
        assert (params.mix, params.hold, params.retouch) == ("a castle", False, False)
    editor = ModelRegistry((replace(MODEL, is_editor=True),))
    assert parse_prompt("make it winter", editor, attached=1, defaults=defaults).keep is None


def test_a_shape_in_the_settings_is_left_out_with_a_model_that_cannot_draw_it() -> None:
    models = ModelRegistry((MODEL, replace(MODEL, name="narrow", max_aspect=1.5)))
    assert parse_prompt("a fox", models, defaults=["--ar 2:1"]).aspect == (2, 1)
    assert parse_prompt("a fox --model narrow", models, defaults=["--ar 2:1"]).aspect is None
    with pytest.raises(PromptError, match="between 2:3 and 3:2 with this model"):
        parse_prompt("a fox --model narrow --ar 2:1", models)
    with pytest.raises(PromptError, match="In the settings"):
        parse_prompt("a fox", models, defaults=["--ar 9:1"])


def test_a_picture_is_held_where_words_change() -> None:
    assert parse_request("a [red:blue:.1] boat --hold").params.hold
    assert parse_request("a blue boat --hold", forms=["keep"]).params.hold
    assert not parse_request("a blue boat", defaults=["--hold"]).params.hold
    problem = "`--hold` and `--retouch` work where words change, as in `[red:blue:.1]`, and in the form of *Edit words*"
    assert parse_problems("a blue boat --hold") == [problem]
    mixed = "a [red:blue:.1] boat --mix a castle"
    problem = "Cannot use `--hold` or `--retouch` with `--mix`: leave them out"
    assert parse_problems(f"{mixed} --hold", attached=1) == [problem]
    assert not parse_request(mixed, defaults=["--hold"], attached=1).params.hold


def test_a_picture_is_retouched_where_words_change() -> None:
    params = parse_request("a [red:blue:.0] boat --retouch", attached=1).params
    assert (params.retouch, params.strength) == (True, 0.85)
    assert parse_request("a [red:blue:.0] boat --retouch --iw 1", attached=1).params.strength == 0.6
    for images, retouch in ((0, False), (1, True), (2, False)):
        typed = parse_request("a [red:blue:.0] boat", attached=images, defaults=["--retouch"])
        assert typed.params.retouch == retouch
    assert parse_problems("a [red:blue:.0] boat --retouch") == [
        "Cannot use `--retouch` without a picture: attach one, or press *Remix* below one"
    ]
    assert parse_problems("a [red:blue:.0] boat --retouch", attached=2) == ["`--retouch` works with one picture only"]


def test_colour_needs_one_picture_and_no_words() -> None:
    params = parse_request("--colour", attached=1).params
    assert (params.colourise, params.strength, params.parts[0].text) == (True, 0.75, "")
    assert parse_request("a dog --color --iw 2", attached=1).params.strength == 0.36
    assert parse_request("--colour", forms=["colour"]).params.colourise
    assert parse_problems("--colour") == [
        "Cannot use `--colour` without a picture: attach one, or press *Remix* below one"
    ]
    assert parse_problems("a dog --colour", attached=2) == ["`--colour` works with one picture only"]


def test_colour_as_a_default_is_for_single_pictures() -> None:
    for images, colourise in ((0, False), (1, True), (2, False)):
        assert parse_request("a dog", attached=images, defaults=["--colour"]).params.colourise == colourise
