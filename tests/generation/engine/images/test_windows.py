"""Windows cover a canvas, overlap, and join without a trace."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Generator

from generation.engine.images.windows import layout_windows
from generation.planning.tiling import MAX_SINGLE_WINDOW_AREA, OVERLAP, window_size

CANVASES = [(64, 64), (65, 97), (32, 200), (33, 32), (128, 40)]


@pytest.mark.parametrize("endless", [False, True])
@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("canvas", CANVASES)
def test_what_is_cut_up_can_be_joined_again(canvas, scale, endless):
    whole = torch.rand(2, 3, canvas[0] * scale, canvas[1] * scale, generator=Generator().manual_seed(1))
    windows = layout_windows(canvas, (32, 32), wrap=endless)
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


def test_on_an_endless_canvas_the_last_window_reaches_over_the_edge():
    windows = layout_windows((32, 96), (32, 32), wrap=True)
    assert any(right + 32 > 96 for _, right in windows.positions)


def test_where_windows_differ_one_passes_softly_into_the_other():
    windows = layout_windows((32, 80), (32, 32))
    joined = windows.merge([torch.full((1, 32, 32), float(number)) for number in range(len(windows))])
    assert joined[0, 16].diff().abs().max() < 0.15


def test_only_the_windows_through_which_a_mask_is_seen_are_left():
    mask = torch.zeros(1, 1, 32, 128)
    mask[..., 120:] = 1
    windows = layout_windows((32, 128), (32, 32))
    left = windows.covering(mask)
    assert 0 < len(left) < len(windows)
    assert all(right + 32 > 120 for _, right in left.positions)
    assert left.merge(list(left.crop(mask))).equal(mask)


@pytest.mark.parametrize("canvas", [(32, 32), (32, 64), (40, 48), (20, 50)])
def test_what_can_be_seen_at_once_is(canvas):
    assert window_size(canvas, 32, 4, 3) == canvas


@pytest.mark.parametrize("canvas", [(64, 64), (128, 128), (200, 32), (28, 160), (24, 80), (22, 176), (512, 24)])
@pytest.mark.parametrize("unit", [1, 4, 8])
def test_a_window_is_about_as_large_as_what_the_model_knows(canvas, unit):
    canvas = tuple(side // 8 * 8 for side in canvas)
    size = window_size(canvas, 32, unit, 3)
    assert size[0] * size[1] <= MAX_SINGLE_WINDOW_AREA * 32**2
    assert size[0] * size[1] >= 0.6 * 32**2
    assert max(size) <= 3.3 * min(size)
    assert (size[0] % unit, size[1] % unit) == (0, 0)
    assert size[0] <= canvas[0]
    assert size[1] <= canvas[1]


def test_windows_on_a_large_canvas_are_those_of_the_native_size():
    assert window_size((64, 128), 32, 4, 3) == (32, 32)
