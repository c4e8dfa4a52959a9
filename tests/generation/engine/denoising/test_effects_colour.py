"""`--colour`: the colours are drawn, and the lightness is that of the picture."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from generation.engine.images.lightness import lightness_of
from generation.messages import Finished
from generation.params import Tile
from tests.support.embedded_model import EmbeddedModelHarness
from tests.support.engine_harness import EngineHarness, make_params, make_request
from tests.support.oracle import SOURCE, sample_image, to_png_bytes

PICTURE = to_png_bytes(sample_image())
GREY = to_png_bytes(sample_image().convert("L"))


def _pixels(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))


def _tiles(harness: EngineHarness, job_id: str, picture: bytes = GREY, **changes: Any) -> list[np.ndarray]:
    params = make_params("a fox", **{"source": SOURCE, "strength": 0.75, "colourise": True} | changes)
    (end,) = harness.generate(make_request(job_id, params, source=picture))
    assert isinstance(end, Finished), end
    return [_pixels(file) for file in end.grid.tiles]


def test_the_words_colour_a_grey_picture_of_the_same_lightness(embedded_model: EmbeddedModelHarness) -> None:
    (picture,) = embedded_model.generate("a red boat on the sea --seed 3")
    grey = Image.open(io.BytesIO(picture.files[0])).convert("L")
    source = to_png_bytes(grey)
    texts = ("a boat at night", "a boat in the desert at sunset", "")
    night, desert, default = embedded_model.generate(*(f"{text} --colour --seed 9" for text in texts), source=source)
    for drawing in (night, desert, default):
        assert (lightness_of(_pixels(drawing.files[0])) == np.asarray(grey)).all()
        assert np.ptp(drawing.tiles, axis=-1).mean() > 4
    assert night.colour[2] - night.colour[0] > desert.colour[2] - desert.colour[0] + 20


@pytest.mark.parametrize(
    "changes", [{}, {"count": 2}, {"hd": True}, {"strength": 0.0}, {"region": (0, 1)}, {"seamless": True}]
)
def test_every_tile_has_the_lightness_of_the_picture(harness: EngineHarness, changes: dict[str, Any]) -> None:
    side = 128 if changes.get("hd") else 64
    wanted = np.asarray(Image.open(io.BytesIO(GREY)).resize((side, side), Image.Resampling.LANCZOS))
    for tile in _tiles(harness, f"tile {sorted(changes)}", **changes):
        assert np.abs(lightness_of(tile).astype(int) - wanted).max() <= (1 if changes.get("hd") else 0)


def test_the_picture_is_drawn_from_its_lightness_alone(harness: EngineHarness) -> None:
    grey = to_png_bytes(Image.fromarray(lightness_of(_pixels(PICTURE))))
    (coloured,), (from_grey,) = _tiles(harness, "coloured", PICTURE, count=1), _tiles(harness, "grey", grey, count=1)
    assert (coloured == from_grey).all()


@pytest.mark.parametrize("side", [64, 128])
def test_a_variation_keeps_the_lightness_at_any_size(harness: EngineHarness, side: int) -> None:
    (drawn,) = _tiles(harness, f"drawn for {side}", count=1)
    file, size = to_png_bytes(Image.fromarray(drawn)), {"width": side, "height": side}
    (varied,) = _tiles(harness, f"varied at {side}", file, source=Tile("0" * 12, 0), count=1, strength=0.6, **size)
    wanted = Image.fromarray(drawn).resize((side, side), Image.Resampling.LANCZOS)
    assert (lightness_of(varied) == lightness_of(np.asarray(wanted))).all()
    if side == 64:
        assert (lightness_of(varied) == np.asarray(Image.open(io.BytesIO(GREY)))).all()
