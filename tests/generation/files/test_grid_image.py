"""The grid image that is posted: composed of the tiles, and never above the size limit."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from generation.files.grid_image import encode_to_limit, make_grid, read_infotext, reencode
from generation.files.png_encoder import encode_png


def _noise(side: int = 256) -> Image.Image:
    values = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Image.fromarray(values)


def _open_image(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize(
    ("count", "size"), [(1, (30, 20)), (2, (60, 20)), (3, (60, 40)), (4, (60, 40)), (5, (90, 40)), (9, (90, 60))]
)
def test_a_grid_is_as_square_as_its_tiles_allow(count: int, size: tuple[int, int]) -> None:
    assert make_grid([Image.new("RGB", (30, 20))] * count).size == size


def test_tiles_are_ordered_from_left_to_right_and_top_to_bottom() -> None:
    grid = make_grid([Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue", "white")])
    corners = [grid.getpixel(place) for place in ((0, 0), (15, 0), (0, 15), (15, 15))]
    assert corners == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


def test_a_grid_that_fits_keeps_its_size_and_appearance() -> None:
    image = Image.linear_gradient("L").convert("RGB")
    data, suffix = encode_to_limit(image, 1_000_000)
    assert suffix == "webp"
    assert _open_image(data).size == image.size
    difference = np.asarray(_open_image(data).convert("RGB"), dtype=int) - np.asarray(image, dtype=int)
    assert np.abs(difference).mean() < 3


@pytest.mark.parametrize("limit", [200_000, 60_000, 20_000, 5_000, 500, 100])
def test_a_grid_is_never_above_the_limit(limit: int) -> None:
    data, _ = encode_to_limit(_noise(), limit)
    assert len(data) <= limit
    assert _open_image(data).convert("RGB").size[0] >= 1


def test_quality_is_reduced_before_size() -> None:
    data, _ = encode_to_limit(_noise(), 60_000)
    assert _open_image(data).size == (256, 256)


def test_a_limit_too_small_for_any_image_is_an_error() -> None:
    with pytest.raises(ValueError, match="20 bytes"):
        encode_to_limit(_noise(32), 20)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_an_encoded_image_can_be_made_smaller(kind: str, mode: str) -> None:
    file = io.BytesIO()
    _noise().convert(mode if kind == "PNG" else "RGB").save(file, kind)
    data, suffix = reencode(file.getvalue(), 10_000)
    assert len(data) <= 10_000
    assert _open_image(data).format == suffix.upper()


def test_the_parameters_text_survives_repeated_shrinking() -> None:
    text = "a fox 🦊, ünder a tree\nSteps: 20, Sampler: Euler a"
    data = encode_png(_noise(), text)
    for limit in (60_000, 20_000, 5_000):
        data, _ = reencode(data, limit)
        assert len(data) <= limit
        assert read_infotext(_open_image(data)) == text


def test_a_webp_has_the_parameters_where_other_programs_read_them() -> None:
    data, _ = reencode(encode_png(_noise(), "a fox"), 60_000)
    comment = _open_image(data).getexif().get_ifd(0x8769)[0x9286]
    assert comment == b"UNICODE\0\0a\0 \0f\0o\0x"


def test_parameters_that_leave_too_little_room_are_left_out() -> None:
    data, _ = reencode(encode_png(_noise(32), "a fox " * 500), 4_000)
    assert len(data) <= 4_000
    assert read_infotext(_open_image(data)) == ""
    assert _open_image(data).size == (32, 32)
