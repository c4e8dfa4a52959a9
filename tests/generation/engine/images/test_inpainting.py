"""How a kept part affects what is generated around it, in numbers small enough to check by eye."""

from __future__ import annotations

import pytest
import torch
from torch import Generator, Tensor

from generation.engine.images.inpainting import blend_seam, change_map, fill_smooth


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=Generator().manual_seed(seed)) * 2 - 1


def right_third_mask(height: int = 48, width: int = 64) -> Tensor:
    """Return a mask whose right third is regenerated (1)."""
    mask = torch.zeros(1, 1, height, width)
    mask[..., width * 2 // 3 :] = 1
    return mask


def test_the_known_part_is_kept_and_the_filling_stays_in_its_range():
    image, mask = noise(1, 3, 48, 64), right_third_mask()
    filled = fill_smooth(image, 1 - mask)
    known = mask.expand_as(image) == 0
    assert torch.equal(filled[known], image[known])
    assert filled.max() <= image[known].max()
    assert filled.min() >= image[known].min()


def test_a_filling_does_not_depend_on_what_it_replaces():
    image, mask = noise(1, 3, 48, 64), right_third_mask()
    other = torch.where(mask > 0, noise(1, 3, 48, 64, seed=1), image)
    assert torch.equal(fill_smooth(image, 1 - mask), fill_smooth(other, 1 - mask))


def test_a_filling_begins_where_the_known_part_ends():
    ramp = torch.linspace(-1, 1, 48)[:, None].expand(1, 3, 48, 64).clone()
    filled = fill_smooth(ramp, 1 - right_third_mask())
    first = int(right_third_mask()[0, 0, 0].argmax())
    assert (filled[..., first] - filled[..., first - 1]).abs().max() < 0.15
    assert (filled[..., first] - filled[..., first - 1]).abs().mean() < 0.05


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (33, 64)])
def test_any_size_can_be_filled(size):
    known = torch.zeros(1, 1, *size)
    known[0, 0, 0, 0] = 1
    filled = fill_smooth(torch.full((1, 3, *size), 0.25), known)
    assert torch.allclose(filled, torch.full_like(filled, 0.25), atol=1e-5)


def test_a_generated_part_is_blended_with_the_kept_part():
    mask = right_third_mask()
    original = torch.full((1, 3, 48, 64), 0.5)
    blended = blend_seam(original - 0.4, original, mask, 2, 12)
    row = blended[0, 0, 20]
    first = int(mask[0, 0, 0].argmax())
    assert torch.equal(row[:first], original[0, 0, 20, :first])
    assert row.diff().abs().max() < 0.06, "there is no step"
    assert row[first + 13 :] == pytest.approx(0.1, abs=1e-4), "far away the generated part is unchanged"


def test_a_generated_part_that_fits_is_unchanged():
    original = torch.linspace(-0.5, 0.5, 64).expand(1, 3, 48, 64)
    assert torch.allclose(blend_seam(original, original, right_third_mask(), 2, 12), original, atol=0.06)


def test_where_everything_is_masked_the_generated_image_is_the_result():
    generated = noise(1, 3, 16, 16)
    assert torch.allclose(blend_seam(generated, generated * 0, torch.ones(1, 1, 16, 16), 2, 4), generated)


def test_the_change_map_grows_with_the_distance_from_the_kept_part():
    free = change_map(right_third_mask(12, 24), 5)[0, 0, 6]
    assert free[:16].max() == 0
    assert (free[16:].diff() >= 0).all()
    assert 0.5 <= free[16] < 0.7
    assert free[-1] == 1


def test_the_change_map_is_1_in_the_middle_of_a_small_hole():
    mask = torch.zeros(1, 1, 15, 15)
    mask[..., 5:10, 5:10] = 1
    assert change_map(mask, 10)[0, 0, 7, 7] == 1
