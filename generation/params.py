"""`Params`, all settings of a generation: frozen, and unchanged by a round trip through JSON."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from generation.edited_text import EditedText, pieces_from_values, possible_texts

MAX_SEED = 2**32 - 1
TILE_PATTERN = r"(?P<job_id>[0-9a-f]{12})-(?P<index>[0-3])"
DEFAULT_IMAGE_GUIDANCE = 1.5  # as in InstructPix2Pix


@dataclass(frozen=True, slots=True)
class PromptPart:
    """A part of the prompt and its weight; a negative weight steers away from the text.

    If its words change while the picture is drawn, they are `edited`, and `text` is what the first steps draw.
    """

    text: str
    weight: float = 1.0
    edited: EditedText = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """Return every text that the part can have."""
        return possible_texts(self.edited) if self.edited else (self.text,)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a prompt, and how much of the picture depends on it, from 0 to 1."""

    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class Tile:
    """One image of a result; its text form is used in custom_ids, file names and references to a source image."""

    job_id: str
    index: int

    def __str__(self) -> str:
        return f"{self.job_id}-{self.index}"

    @classmethod
    def parse(cls, text: str) -> Tile:
        """Parse the output of `str(tile)`; raise ValueError for anything else."""
        match = re.fullmatch(TILE_PATTERN, text)
        if match is None:
            raise ValueError(f"not a tile: {text!r}")
        return cls(match["job_id"], int(match["index"]))


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded image, stored under the SHA-256 of its re-encoded bytes."""

    digest: str


ImageRef = Tile | Upload


@dataclass(frozen=True, slots=True)
class Frame:
    """The position of the source image on the canvas, in pixels; its pixels are kept, all others are generated."""

    left: int
    top: int
    width: int
    height: int


class FilmKind(StrEnum):
    """The motion of a film: through pictures that were drawn around each other, or from one picture to another.

    The values are stored.
    """

    ZOOM_OUT = "zoom_out"
    ZOOM_IN = "zoom_in"
    LOOP = "loop"
    WALK = "walk"


@dataclass(frozen=True, slots=True)
class WalkEnd:
    """Where a walk goes: the prompt and the seed of its last picture, whose other settings are those of the first.

    `tiles` are the first and the last picture, if they are drawn already.
    """

    parts: tuple[PromptPart, ...]
    seed: int
    tiles: tuple[Tile, ...] = ()


class ReadingKind(StrEnum):
    """What a job reads whose result is words: a prompt or a picture. The values are stored."""

    SHORTEN = "shorten"
    DESCRIBE = "describe"


@dataclass(frozen=True, slots=True)
class FilmPlan:
    """A film of `steps` pictures, each drawn around the one before it, or on the way `to` another one.

    `words` replace the prompt, one text a step; the last one holds for all later steps, and none leave the prompt.
    Those of a walk are what its end shows, if that is something else.
    """

    kind: FilmKind
    steps: int
    words: tuple[str, ...] = ()
    to: WalkEnd | None = None


@dataclass(frozen=True, slots=True)
class LoraWeight:
    """The name of a LoRA and its weight; a negative weight reverses its effect."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class ControlWeight:
    """The name of a ControlNet and how strongly it acts."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """All settings that an image depends on, with the model's defaults filled in.

    `width` and `height` are in pixels. Tile *i* starts from the noise of `seed + i`; with `same_seed` every tile starts
    from the noise of `seed`. With a `source`, generation starts from that image, resized to `width`×`height` and noised
    to `strength` (0 keeps it, 1 ignores it). The images in `blended` are mixed with it in equal parts. With a `frame`
    the source is resized to that part of the canvas, and the generated surroundings blend softly into it. White in
    `mask` is generated, black is kept; `region` is the same in cells of a 3×3 picker, numbered by rows from 0.
    `sampler` is None for the model's own scheduler.

    `house_style` holds the model's trigger words, applied as strongly as `stylize` says (0 to 1000; 100 appends them to
    the prompt, 0 leaves them out); it is empty with `raw`. `chaos` (0 to 100) makes the tiles differ from each other.
    `weird` (0 to 3000) makes all of them more unusual. `stop` (10 to 100) stops at that percentage of the steps.
    `seamless` makes opposite edges match. `hd` adds a second pass at twice the size (`width` and `height` are those of
    the first pass). `draft` records that size and steps were halved for speed. `model` is the model's name; it is empty
    for the default model, which old rows have. `loras` are applied to the model for these images only. With a `film`,
    there are several images, drawn around the source or on a walk, and the params are those of the first. With `video`,
    the steps are kept for a film of how the images appear; the images are the same. With a `reading` nothing is drawn:
    the prompt, or the source, is read. The image takes over the look of `style`, a reference known by its `style_code`,
    as much as `style_weight` (0 to 1000) says, or, with `style_is_palette`, some of its colours alone. It follows the
    picture `control`, a reference known by its `control_code`, as each of the ControlNets in `controls` reads it. With
    `mix`, these words are drawn on the shapes of the source, which are kept as much as `mix_keep` (0 to 100) says. With
    `colourise`, only the colours are drawn: the lightness is that of the source. The image shows `character`, a
    reference known by its `character_code`, as much as `character_weight` (0 to 100) says, and looks like
    `image_prompts` as much as `image_weight` (0 to 3) says. IP-Adapters see to both, and to the style if
    `style_adapter` names one. With an `original`, the words say how to change that image, and `image_guidance` says how
    much of it stays. With `hold`, what the words that change do not concern stays as it is drawn without their changes;
    with `retouch`, as it is in the source.
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
    film: FilmPlan | None = None
    video: bool = False
    reading: ReadingKind | None = None
    style: ImageRef | None = None
    style_code: str = ""
    style_weight: int = 100
    style_is_palette: bool = False
    controls: tuple[ControlWeight, ...] = ()
    control: ImageRef | None = None
    control_code: str = ""
    mix: str = ""
    mix_keep: int = 50
    colourise: bool = False
    style_adapter: str = ""
    character: ImageRef | None = None
    character_code: str = ""
    character_weight: int = 100
    character_adapter: str = ""
    image_prompts: tuple[ImageRef, ...] = ()
    image_weight: float = 1.0
    image_adapter: str = ""
    original: ImageRef | None = None
    image_guidance: float = DEFAULT_IMAGE_GUIDANCE
    hold: bool = False
    retouch: bool = False

    @property
    def control_set(self) -> tuple[ControlWeight, ...]:
        """Return the ControlNets of non-zero weight."""
        return tuple(use for use in self.controls if use.weight)

    @property
    def adapter_set(self) -> tuple[str, ...]:
        """Return the IP-Adapters that act on the image, each once."""
        acting = [
            (self.style_adapter, self.style is not None and self.style_weight > 0 and not self.style_is_palette),
            (self.character_adapter, self.character is not None and self.character_weight > 0),
            (self.image_adapter, bool(self.image_prompts) and self.image_weight > 0),
        ]
        return tuple(dict.fromkeys(name for name, acts in acting if name and acts))

    @property
    def lora_set(self) -> tuple[LoraWeight, ...]:
        """Return the LoRAs of non-zero weight, sorted by name, so that the typed order does not matter."""
        return tuple(sorted((use for use in self.loras if use.weight), key=lambda use: use.name))

    def seed_of(self, tile: int) -> int:
        """Return the seed of a tile's noise; it wraps to 0 after the largest, so that it is always a valid `--seed`."""
        return self.seed if self.same_seed else (self.seed + tile) % (MAX_SEED + 1)

    @property
    def weighted_parts(self) -> tuple[PromptPart, ...]:
        """Return all parts, `--no` items with weight −0.5, scaled so that the positive weights sum to 1."""
        parts = (*self.parts, *(PromptPart(item, -0.5) for item in self.no))
        total = sum(part.weight for part in parts if part.weight > 0)
        return tuple(dataclasses.replace(part, weight=part.weight / total) for part in parts)


def to_dict(params: Params) -> dict[str, Any]:
    """Return `params` as plain values for JSON; image references become strings."""
    values = dataclasses.asdict(params)
    images = {name: _format_optional(getattr(params, name)) for name in _IMAGES}
    listed = {"blended": params.blended, "image_prompts": params.image_prompts}
    return values | images | {name: [format_ref(image) for image in given] for name, given in listed.items()}


def from_dict(values: dict[str, Any]) -> Params:
    """Restore params from the output of `to_dict`; fields that an old row lacks get their defaults."""
    return Params(
        **values
        | {
            "parts": _parts(values["parts"]),
            "no": tuple(values.get("no", ())),
            "aspect": tuple(values.get("aspect", (1, 1))),
            "blended": tuple(map(parse_ref, values.get("blended", ()))),
            "frame": Frame(**values["frame"]) if values.get("frame") else None,
            "region": tuple(values.get("region", ())),
            "loras": tuple(LoraWeight(**use) for use in values.get("loras", ())),
            "film": _film_plan(values.get("film")),
            "reading": ReadingKind(values["reading"]) if values.get("reading") else None,
            "controls": tuple(ControlWeight(**use) for use in values.get("controls", ())),
            "image_prompts": tuple(map(parse_ref, values.get("image_prompts", ()))),
        }
        | {name: _parse_optional(values.get(name)) for name in _IMAGES}
    )


_IMAGES = ("source", "mask", "style", "control", "original", "character")


def _parts(values: list[dict[str, Any]]) -> tuple[PromptPart, ...]:
    return tuple(PromptPart(**part | {"edited": pieces_from_values(part.get("edited", ()))}) for part in values)


def _film_plan(values: dict[str, Any] | None) -> FilmPlan | None:
    if not values:
        return None
    return FilmPlan(FilmKind(values["kind"]), values["steps"], tuple(values["words"]), _walk_end(values.get("to")))


def _walk_end(values: dict[str, Any] | None) -> WalkEnd | None:
    if not values:
        return None
    return WalkEnd(_parts(values["parts"]), values["seed"], tuple(Tile(**tile) for tile in values["tiles"]))


def format_ref(image: ImageRef) -> str:
    """Return the text form of an image reference, as it is stored."""
    match image:
        case Tile():
            return f"tile:{image}"
        case Upload(digest):
            return f"upload:{digest}"


def parse_ref(text: str) -> ImageRef:
    """Parse the output of `format_ref`; raise ValueError for anything else."""
    kind, _, value = text.partition(":")
    match kind:
        case "tile":
            return Tile.parse(value)
        case "upload":
            return Upload(value)
    raise ValueError(f"not a picture: {text!r}")


def _format_optional(image: ImageRef | None) -> str | None:
    return None if image is None else format_ref(image)


def _parse_optional(text: str | None) -> ImageRef | None:
    return None if text is None else parse_ref(text)
