"""Another idea on the shapes of a picture: `--mix` keeps as much of them as it is told."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from generation.params import Tile
from tests.support.embedded_model import Drawing, EmbeddedModelHarness, is_increasing
from tests.support.engine_harness import EngineHarness, make_params, make_request
from tests.support.oracle import SOURCE, sample_image, to_png_bytes

PICTURE = to_png_bytes(sample_image())


def _shapes(drawing: Drawing) -> np.ndarray:
    """Return the luma of an 8×8 copy of the first tile."""
    small = Image.open(io.BytesIO(drawing.files[0])).convert("L").resize((8, 8), Image.Resampling.BOX)
    return np.asarray(small, dtype=float).ravel()


def _likeness(one: Drawing, other: Drawing) -> float:
    return float(np.corrcoef(_shapes(one), _shapes(other))[0, 1])


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("a red boat on the sea at sunset --seed 4", "a castle in the snow"),
        ("a snowman at night --seed 5", "a cactus by day"),
    ],
)
def test_the_shapes_stay_as_much_as_they_are_kept(
    embedded_model: EmbeddedModelHarness, source: str, words: str
) -> None:
    picture, plain = embedded_model.generate(source, f"{words} --seed 9")
    mixed = embedded_model.generate(
        *(f"x --mix {words} --keep {keep} --seed 9" for keep in (25, 50, 100)), source=picture.files[0]
    )
    likeness = [_likeness(picture, each) for each in (plain, *mixed)]
    assert likeness[-1] >= 0.8
    assert likeness[0] <= 0.5
    assert is_increasing(likeness)


def test_with_nothing_kept_the_words_are_drawn_from_the_picture_alone(harness: EngineHarness) -> None:
    changes: dict[str, Any] = {"source": SOURCE, "strength": 0.7, "num_inference_steps": 4, "count": 2}
    mixed = make_params("x", mix="a hen", mix_keep=0, **changes)
    harness.denoise(make_request("mixed", mixed, source=PICTURE))
    harness.denoise(make_request("words", make_params("a hen", **changes), source=PICTURE))
    assert torch.equal(harness.latents["mixed"], harness.latents["words"])


def test_an_upscale_of_a_mixed_picture_draws_the_words_as_any_other(harness: EngineHarness) -> None:
    changes: dict[str, Any] = {"source": Tile("0" * 12, 0), "strength": 0.5, "num_inference_steps": 4}
    changes |= {"width": 128, "height": 128}
    mixed = make_params("x", mix="a hen", mix_keep=100, **changes)
    harness.denoise(make_request("upscaled", mixed, source=PICTURE))
    harness.denoise(make_request("as words", make_params("a hen", **changes), source=PICTURE))
    assert torch.equal(harness.latents["upscaled"], harness.latents["as words"])
