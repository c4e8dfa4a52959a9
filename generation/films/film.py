"""`Film`: pictures that are rendered one by one, so that a film of any length needs the memory of a few."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from PIL import Image

MAX_SIDE = 768  # pixels of a film's longer side


@dataclass(frozen=True, slots=True)
class Film:
    """The frames of a film: `render` returns frame number i, an RGB image of `size`, shown for `durations[i]` ms.

    A client that does not animate shows the first frame, so it is a finished picture.
    """

    size: tuple[int, int]
    durations: tuple[int, ...]
    render: Callable[[int], Image.Image]

    def __len__(self) -> int:
        return len(self.durations)

    @property
    def seconds(self) -> float:
        """Return how long the film runs."""
        return sum(self.durations) / 1000

    def frames(self) -> Iterator[Image.Image]:
        """Render the frames in order, one at a time."""
        return map(self.render, range(len(self)))

    def scaled(self, factor: float) -> Film:
        """Return the film at a part of its size, with even sides, which H.264 needs."""
        width, height = (even_side(factor * side) for side in self.size)
        if (width, height) == self.size:
            return self

        def render(index: int) -> Image.Image:
            return self.render(index).resize((width, height), Image.Resampling.LANCZOS)

        return replace(self, size=(width, height), render=render)

    def thinned(self, every: int) -> Film:
        """Return the film with every n-th frame, each shown as long as those that it stands for."""
        kept = range(0, len(self), every)
        durations = tuple(sum(self.durations[index : index + every]) for index in kept)
        return replace(self, durations=durations, render=lambda index: self.render(kept[index]))


def even_side(length: float) -> int:
    """Return the nearest even number of pixels, at least 2."""
    return max(2, 2 * round(length / 2))


def film_size(width: int, height: int) -> tuple[int, int]:
    """Return the size of a film of pictures of this size."""
    scale = min(1.0, MAX_SIDE / max(width, height))
    return even_side(scale * width), even_side(scale * height)


def resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a picture at the size of its film."""
    return picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)


def frame_durations(frames: int, rate: int) -> tuple[int, ...]:
    """Return whole milliseconds for each of `frames` at `rate` a second; rounding never adds up."""
    ends = [round(1000 * (index + 1) / rate) for index in range(frames)]
    return tuple(end - start for start, end in zip([0, *ends], ends, strict=False))
