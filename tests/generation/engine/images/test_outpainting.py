"""Outpainting and inpainting: the kept part is exact to the pixel, and no seam shows."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from bot.images.canvas_pictures import square_to_paint
from generation.messages import Failed, Finished
from generation.models.model import EMBEDDED, describe_model
from generation.params import Frame, Params, Tile, Upload
from generation.planning import actions
from generation.planning.actions import Direction
from generation.planning.canvas import cell_side, next_piece
from generation.planning.compute_cost import compute_cost
from tests.support.embedded_model import EmbeddedModelHarness
from tests.support.engine_harness import EngineHarness, make_params, make_request
from tests.support.seams import Pixels, seam_strength

TILE = Tile("0" * 12, 0)
MASK = Upload("e" * 64)
STEPS = 6
RIGHT_ALWAYS = [Direction.RIGHT] * 4
ALL_WAYS = [Direction.RIGHT, Direction.UP, Direction.LEFT, Direction.DOWN, Direction.RIGHT] * 2


def sample_image(width: int = 64, height: int = 64) -> Image.Image:
    """Return an image in which no two places look the same."""
    down, right = np.mgrid[0:height, 0:width]
    colours = np.stack([right * 255 / width, down * 255 / height, (right + down) % 17 * 15], axis=-1)
    return Image.fromarray(colours.astype(np.uint8))


def to_png_bytes(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def generate_tile(harness: EngineHarness, wanted: Params, source: bytes, **request: Any) -> bytes:
    job_id = f"frame-{len(harness.events)}"
    end = harness.generate(make_request(job_id, replace(wanted, count=1), source=source, **request))[0]
    assert isinstance(end, Finished)
    return end.grid.tiles[0]


def to_pixels(source: bytes | Image.Image) -> Pixels:
    image = source if isinstance(source, Image.Image) else Image.open(io.BytesIO(source))
    return np.asarray(image.convert("RGB"), dtype=int)


def crop(image: Pixels, frame: Frame | None) -> Pixels:
    assert frame is not None
    return image[frame.top : frame.top + frame.height, frame.left : frame.left + frame.width]


@pytest.mark.parametrize("direction", Direction)
def test_a_panned_image_is_kept_to_the_last_pixel(harness: EngineHarness, direction: Direction) -> None:
    wanted = actions.pan(make_params(), TILE, harness.engine.model, 4, direction)
    result = to_pixels(generate_tile(harness, wanted, to_png_bytes(sample_image())))
    assert np.array_equal(crop(result, wanted.frame), to_pixels(sample_image()))
    assert result.shape[:2] == (wanted.height, wanted.width)
    assert result.size == 1.5 * to_pixels(sample_image()).size


@pytest.mark.parametrize("factor", [1.5, 2.0])
def test_a_zoomed_out_image_is_exactly_its_single_resize(harness: EngineHarness, factor: float) -> None:
    wanted = actions.zoom_out(make_params(), TILE, harness.engine.model, 4, factor)
    assert wanted.frame is not None
    small = sample_image().resize((wanted.frame.width, wanted.frame.height), Image.Resampling.LANCZOS)
    assert np.array_equal(
        crop(to_pixels(generate_tile(harness, wanted, to_png_bytes(sample_image()))), wanted.frame), to_pixels(small)
    )


def test_an_image_made_square_is_kept_in_the_middle(harness: EngineHarness) -> None:
    wanted = actions.make_square(make_params(width=80), TILE, harness.engine.model, 4)
    result = to_pixels(generate_tile(harness, wanted, to_png_bytes(sample_image(80))))
    assert np.array_equal(crop(result, Frame(0, 8, 80, 64)), to_pixels(sample_image(80)))


@pytest.mark.parametrize("region", [(0,), (4, 5), (0, 1, 2, 3, 5, 6, 7, 8)])
def test_only_the_chosen_parts_change(harness: EngineHarness, region: tuple[int, ...]) -> None:
    wanted = actions.vary_region(make_params(width=96, height=96), TILE, harness.engine.model, 4, region=region)
    before, after = (
        to_pixels(sample_image(96, 96)),
        to_pixels(generate_tile(harness, wanted, to_png_bytes(sample_image(96, 96)))),
    )
    for cell in range(9):
        place = Frame(cell % 3 * 32, cell // 3 * 32, 32, 32)
        kept = np.array_equal(crop(before, place), crop(after, place))
        assert kept is (cell not in region), f"part {cell}"


def test_an_uploaded_mask_may_have_any_shape(harness: EngineHarness) -> None:
    mask = Image.new("L", (64, 64))
    ImageDraw.Draw(mask).ellipse((13, 7, 50, 41), fill=255)
    wanted = actions.vary_region(make_params(), TILE, harness.engine.model, 4, mask=MASK)
    before, after = (
        to_pixels(sample_image()),
        to_pixels(generate_tile(harness, wanted, to_png_bytes(sample_image()), mask=to_png_bytes(mask))),
    )
    masked = np.asarray(mask) >= 128
    assert np.array_equal(before[~masked], after[~masked])
    assert np.abs(before - after)[masked].mean() > 10


def test_an_all_black_mask_is_a_user_error(harness: EngineHarness) -> None:
    wanted = actions.vary_region(make_params(), TILE, harness.engine.model, 4, mask=MASK)
    request = make_request(
        "black", wanted, source=to_png_bytes(sample_image()), mask=to_png_bytes(Image.new("L", (64, 64)))
    )
    (end,) = harness.generate(request)
    assert isinstance(end, Failed)
    assert "all black" in end.text


def test_an_image_does_not_depend_on_what_lay_under_the_mask(harness: EngineHarness) -> None:
    other = sample_image()
    other.paste("red", (0, 0, 21, 21))
    wanted = actions.vary_region(make_params(), TILE, harness.engine.model, 4, region=[0])
    results = [to_pixels(generate_tile(harness, wanted, to_png_bytes(image))) for image in (sample_image(), other)]
    assert np.abs(results[0] - results[1]).mean() < 0.5


@pytest.mark.parametrize("directions", [RIGHT_ALWAYS, ALL_WAYS], ids=["to the right", "all ways"])
def test_repeated_panning_leaves_the_first_image_unchanged(harness: EngineHarness, directions: list[Direction]) -> None:
    image, first = to_png_bytes(sample_image()), to_pixels(sample_image())
    wanted, place, shrunk = make_params(num_inference_steps=1), np.array([0.0, 0.0, 64.0, 64.0]), 0
    for direction in directions:
        before, wanted = wanted, actions.pan(wanted, TILE, harness.engine.model, 4, direction)
        frame = wanted.frame
        assert frame is not None
        fitted = Image.open(io.BytesIO(image)).resize((frame.width, frame.height), Image.Resampling.LANCZOS)
        image = generate_tile(harness, wanted, image)
        assert np.array_equal(crop(to_pixels(image), frame), to_pixels(fitted))
        scale = frame.width / before.width
        shrunk += scale < 1
        place = place * scale + [frame.left, frame.top, 0, 0]
    box = tuple(place[:2]) + tuple(place[:2] + place[2:])
    last = to_pixels(Image.open(io.BytesIO(image)).resize((64, 64), Image.Resampling.BICUBIC, box))
    if not shrunk:
        assert np.array_equal(last, first)
    soft = [
        to_pixels(Image.fromarray(each.astype(np.uint8)).resize((8, 8), Image.Resampling.BOX)) for each in (last, first)
    ]
    assert np.abs(soft[0] - soft[1]).mean() < 2, "its colours have not drifted"


@pytest.mark.parametrize(
    ("prompt", "side"), [("the hills at sunset", 128), ("a red boat on the sea", 128), ("a teal background", 192)]
)
def test_outpainting_in_the_default_style_leaves_no_visible_seam(
    embedded_model: EmbeddedModelHarness, prompt: str, side: int
) -> None:
    harness, model = embedded_model.harness, embedded_model.harness.engine.model
    facts = describe_model(EMBEDDED)
    look = {"guidance_scale": facts.guidance_scale, "house_style": facts.trigger_words, "width": side, "height": side}
    own = make_params(prompt, num_inference_steps=STEPS, seed=3, **look)
    tiles = harness.generate(make_request(f"own {prompt}", own), make_request(f"other {prompt}", replace(own, seed=8)))
    first, other = (end.grid.tiles[0] for end in tiles if isinstance(end, Finished))
    for wanted in (
        actions.zoom_out(own, TILE, model, 5, 2),
        actions.pan(own, TILE, model, 5, Direction.RIGHT),
        actions.pan(own, TILE, model, 5, Direction.UP),
    ):
        frame = wanted.frame
        assert frame is not None
        assert seam_strength(to_pixels(generate_tile(harness, wanted, first)), frame) < 1.2
    pasted = Image.open(io.BytesIO(other))
    pasted.paste(Image.open(io.BytesIO(first)).resize((side // 2, side // 2)), (side // 4, side // 4))
    assert seam_strength(to_pixels(pasted), Frame(side // 4, side // 4, side // 2, side // 2)) > 2, (
        "as an image pasted into another shows"
    )


@pytest.mark.parametrize("prompt", ["the hills at sunset", "a teal background"])
def test_a_piece_of_a_canvas_fits_to_cells_beyond_its_square(embedded_model: EmbeddedModelHarness, prompt: str) -> None:
    harness, width, side = embedded_model.harness, 128, cell_side(128)
    facts, margin = describe_model(EMBEDDED), width // 2 - side
    look = {"guidance_scale": facts.guidance_scale, "house_style": facts.trigger_words, "width": width, "height": width}
    theme = make_params(prompt, num_inference_steps=STEPS, seed=3, **look)
    tiles = harness.generate(
        make_request(f"left {prompt}", theme), make_request(f"right {prompt}", replace(theme, seed=8))
    )
    left, right = (Image.open(io.BytesIO(end.grid.tiles[0])) for end in tiles if isinstance(end, Finished))
    cells = {
        **{(0, row): left.crop((0, row * side, side, (row + 1) * side)) for row in (0, 1)},
        **{(2, row): right.crop((0, row * side, side, (row + 1) * side)) for row in (0, 1)},
    }

    def seam(known: dict[tuple[int, int], Image.Image]) -> float:
        files = {place: to_png_bytes(picture) for place, picture in known.items()}
        source, mask = square_to_paint(side, width, files)
        wanted = next_piece(theme, prompt, 5, TILE, MASK)
        piece = Image.open(io.BytesIO(generate_tile(harness, wanted, source, mask=mask)))
        whole = Image.new("RGB", (3 * side, 2 * side))
        for column in (0, 1):
            corner = margin + column * side, margin
            whole.paste(piece.crop((*corner, corner[0] + side, corner[1] + 2 * side)), (column * side, 0))
        for (column, row), picture in cells.items():
            whole.paste(picture, (column * side, row * side))
        return seam_strength(to_pixels(whole), Frame(2 * side, 0, side, 2 * side))

    assert seam(cells) < 1.2
    assert seam({place: picture for place, picture in cells.items() if place[0] == 0}) > 2, "where it is not seen"


def test_only_windows_that_show_something_new_are_processed(harness: EngineHarness) -> None:
    wanted = replace(make_params(width=256, height=64), num_inference_steps=2)
    part = actions.pan(wanted, TILE, harness.engine.model, 4, Direction.RIGHT)
    whole = replace(part, frame=None, source=None, strength=1.0)
    generate_tile(harness, replace(part, strength=1.0), to_png_bytes(sample_image(256)))
    rows = sum(harness.calls)
    end = harness.generate(make_request("whole", replace(whole, count=1)))[0]
    assert isinstance(end, Finished)
    assert rows <= 0.6 * (sum(harness.calls) - rows)


@pytest.mark.parametrize("direction", [Direction.LEFT, Direction.RIGHT])
def test_a_pan_through_windows_costs_what_the_queue_estimates(harness: EngineHarness, direction: Direction) -> None:
    model, own = harness.engine.model, make_params(width=256, height=64, num_inference_steps=2)
    wanted = replace(actions.pan(own, TILE, model, 4, direction), count=1)
    generate_tile(harness, wanted, to_png_bytes(sample_image(256)))
    assert harness.pixels == compute_cost(wanted, model)
    assert harness.pixels < compute_cost(replace(wanted, frame=None), model), "since some windows show nothing new"


@pytest.mark.parametrize("region", [(0,), (4,), (2, 5, 8)])
def test_a_region_through_windows_costs_what_the_queue_estimates(
    harness: EngineHarness, region: tuple[int, ...]
) -> None:
    model, own = harness.engine.model, make_params(width=128, height=128, num_inference_steps=2)
    wanted = replace(actions.vary_region(own, TILE, model, 4, region=region), count=1)
    generate_tile(harness, wanted, to_png_bytes(sample_image(128, 128)))
    assert harness.pixels == compute_cost(wanted, model)
