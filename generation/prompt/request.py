"""What somebody typed, read: what is to be drawn and how the job is to be run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from generation.job import Speed
from generation.params import MAX_SEED, ImageRef, Params, Upload

PENDING_IMAGE = Upload("")  # stands for a picture that is still to be fetched


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRequest:
    """The `Params` of a prompt and its wishes about the run.

    `params` hold TO_COME for each picture that goes with the prompt: those that were attached first, then those
    behind `links`, in order. `speed` and `private` are None where the person's own settings decide. `repeat` is the
    number of jobs. `aspect` is None unless a shape was asked for, `zoom` unless a factor of Custom Zoom was.
    """

    params: Params
    links: tuple[str, ...] = ()
    speed: Speed | None = None
    private: bool | None = None
    repeat: int = 1
    aspect: tuple[int, int] | None = None
    zoom: float | None = None

    def expand_repeats(self) -> list[PromptRequest]:
        """Give a wish for each job; their seeds go on where those of the job before end, so that no two are alike."""
        first, count = self.params.seed, self.params.count
        seeds = ((first + number * count) % (MAX_SEED + 1) for number in range(self.repeat))
        return [replace(self, params=replace(self.params, seed=seed)) for seed in seeds]

    def with_images(self, images: Sequence[ImageRef]) -> Params:
        """Give `params` with the pictures that were still to come: the attached ones first, then the linked ones."""
        if not images:
            return self.params
        return replace(self.params, source=images[0], blended=tuple(images[1:]))
