"""What is to be drawn: parsed, frozen, and the same after a trip through JSON."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

MAX_SEED = 2**32 - 1
TILE_PATTERN = r"(?P<job_id>[0-9a-f]{12})-(?P<index>[0-3])"


@dataclass(frozen=True, slots=True)
class PromptPart:
    """A stretch of the prompt and how strongly it pulls; negative weights push away."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of a result: the button's id, the file's name and a reference to a source picture."""

    job_id: str
    index: int

    def __str__(self) -> str:
        return f"{self.job_id}-{self.index}"

    @classmethod
    def parse(cls, text: str) -> Tile:
        """Read what `str(tile)` wrote; raises ValueError for anything else."""
        match = re.fullmatch(TILE_PATTERN, text)
        if match is None:
            raise ValueError(f"not a tile: {text!r}")
        return cls(match["job_id"], int(match["index"]))


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture that somebody brought, kept under the SHA-256 of its re-encoded bytes."""

    digest: str


ImageRef = Tile | Upload


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a source lies on the canvas, in pixels; it is kept to the pixel, and all around it is drawn anew."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class LoraWeight:
    """A LoRA by its name, and how strongly it changes the model; below 0 it changes it the other way."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """Everything a picture depends on, with the model's defaults already filled in.

    `width` and `height` are pixels. Tile *i* starts from the noise of `seed + i`. With a `source`, drawing starts
    from that picture, resized to `width`×`height`, noised to `strength` (0 keeps it, 1 forgets it); pictures in
    `blended` are mixed with it in equal parts. With a `frame` the source is resized to that part of the canvas, and
    what is drawn anew goes on softly where it ends. White in `mask` is drawn anew, black is kept; `region` is the same
    in cells of a 3×3 picker, numbered by rows from 0.
    `sampler` is None for the model's own scheduler.

    `house_style` are the model's trigger words, applied as strongly as `stylize` says (0 to 1000; 100 appends them to
    the prompt, 0 leaves them out); it is empty where `raw` was asked for. `chaos` (0 to 100) spreads the tiles apart,
    `weird` (0 to 3000) pushes all of them off the beaten track, `stop` (10 to 100) ends at that percentage of the
    steps, `seamless` makes the edges match, `hd` goes over the pictures again at twice the size (`width` and `height`
    are those of the first pass), `draft` says that size and steps were halved for speed. With `same_seed` every tile
    starts from the noise of `seed` itself. `model` is the name of the one that draws;
    empty, in old rows, it is the default. `loras` change it for these pictures.
    """

    parts: tuple[PromptPart, ...]
    no: tuple[str, ...] = ()
    aspect: tuple[int, int] = (1, 1)
    width: int
    height: int
    seed: int
    num_inference_steps: int
    guidance_scale: float
    count: int = 4
    source: ImageRef | None = None
    strength: float = 1.0
    mask: ImageRef | None = None
    sampler: str | None = None
    negative_prompt: str | None = None
    blended: tuple[ImageRef, ...] = ()
    frame: Frame | None = None
    region: tuple[int, ...] = ()
    same_seed: bool = False
    chaos: int = 0
    house_style: str = ""
    stylize: int = 100
    raw: bool = False
    weird: int = 0
    stop: int = 100
    seamless: bool = False
    draft: bool = False
    hd: bool = False
    model: str = ""
    loras: tuple[LoraWeight, ...] = ()

    @property
    def lora_set(self) -> tuple[LoraWeight, ...]:
        """Give the LoRAs that make a difference, in an order that does not depend on how they were typed."""
        return tuple(sorted((use for use in self.loras if use.weight), key=lambda use: use.name))

    def seed_of(self, tile: int) -> int:
        """Give the seed of a tile's own noise; the largest is followed by 0, so that it can always be typed again."""
        return self.seed if self.same_seed else (self.seed + tile) % (MAX_SEED + 1)

    @property
    def weighted_parts(self) -> tuple[PromptPart, ...]:
        """Give all parts, `--no` items as parts of weight −0.5, scaled so that the positive weights sum to 1."""
        parts = (*self.parts, *(PromptPart(item, -0.5) for item in self.no))
        total = sum(part.weight for part in parts if part.weight > 0)
        return tuple(PromptPart(part.text, part.weight / total) for part in parts)


def to_dict(params: Params) -> dict[str, Any]:
    """Give `params` as plain values for JSON; pictures become strings."""
    values = dataclasses.asdict(params)
    images = {"source": _format_ref(params.source), "mask": _format_ref(params.mask)}
    return values | images | {"blended": [_format_ref(picture) for picture in params.blended]}


def from_dict(values: dict[str, Any]) -> Params:
    """Rebuild what `to_dict` gave, also from a row written before a field existed."""
    return Params(
        **values
        | {
            "parts": tuple(PromptPart(**part) for part in values["parts"]),
            "no": tuple(values.get("no", ())),
            "aspect": tuple(values.get("aspect", (1, 1))),
            "source": _parse_ref(values.get("source")),
            "mask": _parse_ref(values.get("mask")),
            "blended": tuple(filter(None, map(_parse_ref, values.get("blended", ())))),
            "frame": Frame(**values["frame"]) if values.get("frame") else None,
            "region": tuple(values.get("region", ())),
            "loras": tuple(LoraWeight(**use) for use in values.get("loras", ())),
        }
    )


def _format_ref(ref: ImageRef | None) -> str | None:
    match ref:
        case Tile():
            return f"tile:{ref}"
        case Upload(digest):
            return f"upload:{digest}"
        case None:
            return None


def _parse_ref(text: str | None) -> ImageRef | None:
    if text is None:
        return None
    kind, _, value = text.partition(":")
    match kind:
        case "tile":
            return Tile.parse(value)
        case "upload":
            return Upload(value)
    raise ValueError(f"not a picture: {text!r}")
