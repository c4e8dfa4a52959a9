"""What is to be drawn: parsed, frozen, and the same after a trip through JSON."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

MAX_SEED = 2**32 - 1
TILE_PATTERN = r"(?P<job_id>[0-9a-f]{12})-(?P<index>[0-3])"


@dataclass(frozen=True, slots=True)
class TextPart:
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


Picture = Tile | Upload


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """Everything a picture depends on, with the model's defaults already filled in.

    `width` and `height` are pixels. Tile *i* starts from the noise of `seed + i`. With a `source`, drawing starts
    from that picture, resized to `width`×`height`, noised to `strength` (0 keeps it, 1 forgets it). White in `mask`
    is drawn anew, black is kept. `sampler` is None for the model's own scheduler.
    """

    parts: tuple[TextPart, ...]
    no: tuple[str, ...] = ()
    aspect: tuple[int, int] = (1, 1)
    width: int
    height: int
    seed: int
    num_inference_steps: int
    guidance_scale: float
    count: int = 4
    source: Picture | None = None
    strength: float = 1.0
    mask: Picture | None = None
    sampler: str | None = None
    negative_prompt: str | None = None

    def seed_of(self, tile: int) -> int:
        """Give the seed of a tile's own noise; the largest is followed by 0, so that it can always be typed again."""
        return (self.seed + tile) % (MAX_SEED + 1)

    @property
    def weighted_parts(self) -> tuple[TextPart, ...]:
        """Give all parts, `--no` items as parts of weight −0.5, scaled so that the positive weights sum to 1."""
        parts = (*self.parts, *(TextPart(item, -0.5) for item in self.no))
        total = sum(part.weight for part in parts if part.weight > 0)
        return tuple(TextPart(part.text, part.weight / total) for part in parts)


def to_dict(params: Params) -> dict[str, Any]:
    """Give `params` as plain values for JSON; pictures become strings."""
    values = dataclasses.asdict(params)
    return values | {"source": _name(params.source), "mask": _name(params.mask)}


def from_dict(values: dict[str, Any]) -> Params:
    """Rebuild what `to_dict` gave, also from a row written before a field existed."""
    return Params(
        **values
        | {
            "parts": tuple(TextPart(**part) for part in values["parts"]),
            "no": tuple(values.get("no", ())),
            "aspect": tuple(values.get("aspect", (1, 1))),
            "source": _picture(values.get("source")),
            "mask": _picture(values.get("mask")),
        }
    )


def _name(picture: Picture | None) -> str | None:
    match picture:
        case Tile():
            return f"tile:{picture}"
        case Upload(digest):
            return f"upload:{digest}"
        case None:
            return None


def _picture(name: str | None) -> Picture | None:
    if name is None:
        return None
    kind, _, value = name.partition(":")
    match kind:
        case "tile":
            return Tile.parse(value)
        case "upload":
            return Upload(value)
    raise ValueError(f"not a picture: {name!r}")
