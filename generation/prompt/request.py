"""A parsed prompt: what to generate, and how to run the job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from generation.job import Speed
from generation.params import MAX_SEED, ImageRef, Params, Upload
from generation.prompt.syntax import is_link

PENDING_IMAGE = Upload("")  # stands for an image that is not fetched yet


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRequest:
    """The `Params` of a prompt, and how to run its job.

    `params` hold PENDING_IMAGE for each image of the prompt: attachments first, then `links`, in order. They hold it as
    the style, the character and the picture of ControlNets too, and what was typed for those as their codes: a link, a
    code or "random"; and as the original of an edit, which is the first picture. `speed` and `private` are None if the
    user's settings decide. `repeat` is the number of jobs. `aspect` is None if no aspect ratio was requested, `zoom` if
    no factor for Custom Zoom was, `keep` if no share for Edit words was. `left_out` names the settings of pasted
    infotext that are not used.
    """

    params: Params
    links: tuple[str, ...] = ()
    speed: Speed | None = None
    private: bool | None = None
    repeat: int = 1
    aspect: tuple[int, int] | None = None
    zoom: float | None = None
    keep: int | None = None
    left_out: tuple[str, ...] = ()

    @property
    def has_links(self) -> bool:
        """Return whether the prompt links to a picture that is not imported yet."""
        codes = self.params.style_code, self.params.character_code, self.params.control_code
        return bool(self.links) or any(map(is_link, codes))

    def expand_repeats(self) -> list[PromptRequest]:
        """Return one request per job; each continues the previous one's seeds, so that no two grids are the same."""
        first, count = self.params.seed, self.params.count
        seeds = ((first + number * count) % (MAX_SEED + 1) for number in range(self.repeat))
        return [replace(self, params=replace(self.params, seed=seed)) for seed in seeds]

    def with_images(self, images: Sequence[ImageRef]) -> Params:
        """Return `params` with the pending images filled in: attachments first, then links."""
        if not images:
            return self.params
        if self.params.original is not None:
            return replace(self.params, original=images[0])
        if self.params.image_prompts:
            return replace(self.params, image_prompts=tuple(images))
        return replace(self.params, source=images[0], blended=tuple(images[1:]))
