"""Edges and lines of pictures, for the networks that follow them."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from generation.engine.images.edges import canny_edges, drawing_ground, scribble_lines


def _picture(ground: str = "#406080", shape: str = "#c0d0a0") -> Image.Image:
    image = Image.new("RGB", (64, 64), ground)
    ImageDraw.Draw(image).rectangle((16, 16, 47, 47), fill=shape)
    return image


def _white(image: Image.Image) -> np.ndarray:
    values = np.asarray(image)
    assert set(np.unique(values)) <= {0, 255}
    return values[..., 0] > 0


def test_the_edges_of_a_square_are_a_closed_line_one_pixel_wide() -> None:
    edges = _white(canny_edges(_picture()))
    rows, columns = np.nonzero(edges)
    assert 14 <= rows.min() <= 16 and 47 <= rows.max() <= 49
    assert 14 <= columns.min() <= 16 and 47 <= columns.max() <= 49
    assert all(edges[row].sum() == 2 for row in range(20, 44))  # the left and the right side
    outside = Image.fromarray(edges).convert("L")
    ImageDraw.floodfill(outside, (0, 0), 128)
    assert outside.getpixel((32, 32)) == 0  # the line is closed


def test_a_diagonal_edge_is_one_pixel_wide_too() -> None:
    image = Image.new("RGB", (64, 64), "black")
    ImageDraw.Draw(image).polygon([(0, 0), (63, 63), (0, 63)], fill="#808080")
    edges = _white(canny_edges(image))
    assert all(1 <= edges[row].sum() <= 2 for row in range(8, 56))


def test_an_even_picture_and_a_soft_one_have_no_edges() -> None:
    assert not _white(canny_edges(Image.new("RGB", (40, 30), "#808080"))).any()
    gradient = Image.linear_gradient("L").convert("RGB")
    assert not _white(canny_edges(gradient)).any()


def test_an_edge_that_fades_is_followed_from_where_it_is_strong() -> None:
    values = np.full((64, 64), 100, np.uint8)
    values[32:, :32] = np.linspace(100, 190, 32)  # Sobel sees four times the step
    values[32:, 32:] = 190
    lonely = np.full((64, 64), 100, np.uint8)
    lonely[32:] = 140  # 160: above the lower threshold only
    followed = _white(canny_edges(Image.fromarray(values).convert("RGB")))
    assert followed[:, 14].any()  # a step of 40 here, joined to a step of 90
    assert not _white(canny_edges(Image.fromarray(lonely).convert("RGB"))).any()


def test_a_step_of_one_colour_alone_is_an_edge() -> None:
    image = Image.new("RGB", (32, 32), (90, 90, 90))
    image.paste((90, 90, 190), (16, 0, 32, 32))
    assert _white(canny_edges(image))[:, 14:18].any(axis=1).all()


def test_edges_that_are_drawn_already_stay_as_they_are() -> None:
    edges = canny_edges(_picture())
    assert np.array_equal(canny_edges(edges), edges)
    assert np.array_equal(scribble_lines(edges), edges)


def test_a_drawing_on_white_paper_becomes_white_on_black() -> None:
    paper = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(paper).line((10, 10, 50, 40), fill="black", width=3)
    lines = scribble_lines(paper)
    assert drawing_ground(paper) is True
    assert np.array_equal(np.asarray(lines), 255 - np.asarray(paper))


def test_the_lines_of_a_photo_are_where_it_is_darker_than_around() -> None:
    photo = _picture("#d0c0b0", "#b0c8d8").filter(ImageFilter.GaussianBlur(1))
    ImageDraw.Draw(photo).line((8, 8, 56, 8), fill="#303030", width=2)
    assert drawing_ground(photo) is None
    lines = _white(scribble_lines(photo))
    assert lines[8, 20:44].all()
    assert not lines[26:38, 26:38].any()
