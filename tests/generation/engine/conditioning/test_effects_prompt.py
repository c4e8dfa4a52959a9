"""Effects of a prompt's texts and parameters on the images of the embedded model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from generation.models.registry import ModelRegistry
from generation.prompt import parse_params
from tests.support.embedded_model import (
    SMALL_EMBEDDED,
    Drawing,
    EmbeddedModelHarness,
    distance,
    is_increasing,
    plain_png,
)
from tests.support.engine_harness import EngineHarness, make_request


def _warmth(drawing: Drawing) -> float:
    """Return how much redder than blue a drawing is."""
    return float(drawing.colour[0] - drawing.colour[2])


@pytest.fixture(scope="module")
def mixed_backgrounds(embedded_model: EmbeddedModelHarness) -> list[Drawing]:
    return embedded_model.generate(
        "blue background --s 0",
        "red background::1 blue background::3 --s 0",
        "red background:: blue background:: --s 0",
        "red background::3 blue background::1 --s 0",
        "red background --s 0",
    )


def test_weights_set_how_much_there_is_of_a_colour(mixed_backgrounds: list[Drawing]) -> None:
    """The heavier colour prevails at least in proportion; `test_encoder` proves the formula itself."""
    warmths = [_warmth(drawing) for drawing in mixed_backgrounds]
    shares = [(warmth - warmths[0]) / (warmths[-1] - warmths[0]) for warmth in warmths]
    assert is_increasing(shares, 0.05)
    assert shares[1] <= 0.25 and 0.2 < shares[2] < 0.8 and shares[3] >= 0.75


def test_weights_of_words_act_within_a_text(embedded_model: EmbeddedModelHarness) -> None:
    """They act less on this model than on others; `test_encoder` proves the formula itself."""
    texts = ("(red:0.2) (blue:1.8) background", "red blue background", "(red:1.8) (blue:0.2) background")
    drawings = embedded_model.generate(*(f"{text} --s 0" for text in texts))
    assert is_increasing([_warmth(drawing) for drawing in drawings], 3)


def test_no_removes_what_the_prompt_would_show(
    embedded_model: EmbeddedModelHarness, mixed_backgrounds: list[Drawing]
) -> None:
    both = mixed_backgrounds[2]
    orange, no_orange, no_blue_half = embedded_model.generate(
        "orange background --s 0",
        "orange background --no orange --s 0",
        "red background:: blue background:: --no blue background --s 0",
    )
    assert _warmth(orange) - _warmth(no_orange) > 20
    assert _warmth(no_blue_half) - _warmth(both) > 50


def test_the_image_weight_moves_from_the_prompt_to_the_image(embedded_model: EmbeddedModelHarness) -> None:
    drawings = embedded_model.generate(
        *(f"blue background --iw {weight} --s 0" for weight in (0, 0.5, 1, 3)), source=plain_png("orange")
    )
    assert is_increasing([_warmth(drawing) for drawing in drawings], 5)
    assert _warmth(drawings[0]) < -100
    assert _warmth(drawings[-1]) > 150


@pytest.fixture(scope="module")
def styled(embedded_model: EmbeddedModelHarness) -> list[Drawing]:
    return embedded_model.generate(*(f"a meadow by day --s {stylize}" for stylize in (0, 40, 100, 1000)))


def test_more_stylize_is_farther_from_the_bare_prompt(styled: list[Drawing]) -> None:
    assert is_increasing([distance(styled[0], drawing) for drawing in styled], 1)


def test_stylize_is_the_trigger_words_at_100_and_nothing_at_0(embedded_model: EmbeddedModelHarness) -> None:
    default, raw, bare, spoken = embedded_model.generate(
        "a meadow by day", "a meadow by day --raw", "a meadow by day --s 0", "a meadow by day, watercolour --s 0"
    )
    assert (default.tiles == spoken.tiles).all()
    assert (raw.tiles == bare.tiles).all()
    assert (default.tiles != bare.tiles).any()


@pytest.mark.parametrize(
    ("stylize", "rows"), [("--s 0", 2), ("--s 100", 2), ("--s 40", 3), ("--s 600", 3), ("--s 40 --no fog", 4)]
)
def test_stylize_adds_a_text_except_at_0_and_100(harness: EngineHarness, stylize: str, rows: int) -> None:
    typed = parse_params(f"a fox {stylize}", ModelRegistry((SMALL_EMBEDDED,)))
    wanted = replace(typed, width=64, height=64, num_inference_steps=1, count=1)
    harness.denoise(make_request("a", wanted))
    assert harness.calls == [rows]
