"""Windows cover a canvas, overlap, and merge without seams."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Generator

from generation.engine.images.windows import layout_windows
from generation.planning.tiling import MAX_SINGLE_WINDOW_AREA, OVERLAP, window_size

CANVASES = [(64, 64), (65, 97), (32, 200), (33, 32), (128, 40)]


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("canvas", CANVASES)
def test_cropped_windows_merge_into_the_original(canvas, scale, wrap):
    whole = torch.rand(2, 3, canvas[0] * scale, canvas[1] * scale, generator=Generator().manual_seed(1))
    windows = layout_windows(canvas, (32, 32), wrap=wrap)
    views = list(windows.crop(whole, scale))
    assert {tuple(view.shape) for view in views} == {(2, 3, 32 * scale, 32 * scale)}
    assert torch.allclose(windows.merge(views, scale), whole, atol=1e-6)


@pytest.mark.parametrize("canvas", CANVASES)
def test_neighbours_overlap(canvas):
    windows = layout_windows(canvas, (32, 32))
    for axis in (0, 1):
        starts = sorted({place[axis] for place in windows.positions})
        gaps = [after - before for before, after in pairwise(starts)]
        assert max(gaps, default=0) <= 32 * (1 - OVERLAP) + 1


def test_on_a_wrapped_canvas_the_last_window_reaches_over_the_edge():
    windows = layout_windows((32, 96), (32, 32), wrap=True)
    assert any(right + 32 > 96 for _, right in windows.positions)


def test_windows_that_differ_blend_smoothly():
    windows = layout_windows((32, 80), (32, 32))
    merged = windows.merge([torch.full((1, 32, 32), float(number)) for number in range(len(windows))])
    assert merged[0, 16].diff().abs().max() < 0.15


def test_only_windows_that_show_part_of_a_mask_are_kept():
    mask = torch.zeros(1, 1, 32, 128)
    mask[..., 120:] = 1
    windows = layout_windows((32, 128), (32, 32))
    covering = windows.covering(mask)
    assert 0 < len(covering) < len(windows)
    assert all(right + 32 > 120 for _, right in covering.positions)
    assert covering.merge(list(covering.crop(mask))).equal(mask)


@pytest.mark.parametrize("canvas", [(32, 32), (32, 64), (40, 48), (20, 50)])
def test_a_canvas_that_fits_one_window_is_a_single_window(canvas):
    assert window_size(canvas, 32, 4, 3) == canvas


@pytest.mark.parametrize("canvas", [(64, 64), (128, 128), (200, 32), (28, 160), (24, 80), (22, 176), (512, 24)])
@pytest.mark.parametrize("multiple", [1, 4, 8])
def test_a_window_has_about_the_models_native_area(canvas, multiple):
    canvas = tuple(side // 8 * 8 for side in canvas)
    size = window_size(canvas, 32, multiple, 3)
    assert size[0] * size[1] <= MAX_SINGLE_WINDOW_AREA * 32**2
    assert size[0] * size[1] >= 0.6 * 32**2
    assert max(size) <= 3.3 * min(size)
    assert (size[0] % multiple, size[1] % multiple) == (0, 0)
    assert size[0] <= canvas[0]
    assert size[1] <= canvas[1]


def test_windows_on_a_large_canvas_have_the_native_size():
    assert window_size((64, 128), 32, 4, 3) == (32, 32)
