"""Describe IP-Adapters, and the image encoders that they need, by their files' headers, without torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from generation.errors import UserError
from generation.models.catalogue import normalize_name
from generation.models.files.checkpoint import describe_contents
from generation.models.files.config_types import read_config
from generation.models.files.errors import report_damage
from generation.models.files.found_files import find_files, is_weights_file, token_name
from generation.models.files.ldm_layout import Shapes
from generation.models.files.model_files import TRANSFORMERS_WEIGHTS, weight_files
from generation.models.files.safetensors_header import read_header, require_plain_weights
from generation.models.files.weight_values import require_numbers
from generation.models.model import PICKLE_SUFFIXES

CONFIG = "config.json"
PROJECTION, ATTENTION = "image_proj.", "ip_adapter."
_ENCODER_CLASS = "CLIPVisionModelWithProjection"
_ENCODER_STEM = TRANSFORMERS_WEIGHTS.partition(".")[0]
_PICKLED_ENCODER = "pytorch_model"
_PATCHES, _WHOLE = "vision_model.embeddings.class_embedding", "visual_projection.weight"
_LAYER = re.compile(rf"{re.escape(ATTENTION)}(\d+)\.to_(k|v)_ip\.weight")
_FACE = re.compile(r"face|portrait", re.IGNORECASE)
_FULL = re.compile(r"full", re.IGNORECASE)
_LIGHT = re.compile(r"light", re.IGNORECASE)
_FACE_ID = "is a FaceID adapter, which needs another program to find faces and is not supported: take a plus-face one."
# What is called an IP-Adapter and is none that can be used, by a pattern of one of its keys.
_UNSUPPORTED = {
    rf"{re.escape(PROJECTION)}perceiver_resampler\.|.*\.to_k_lora\.": _FACE_ID,
    r"(double_blocks|single_blocks|ip_adapter_proj_model|.*ip_adapter_double_stream)\b": "is an IP-Adapter for another "
    "family of models than Stable Diffusion 1.x, 2.x and XL.",
    r"vision_model\.": "is an image encoder that lies without its config.json.",
}


@dataclass(frozen=True, slots=True)
class _Layout:
    """A kind of IP-Adapter: the weights of its projection, by the first of which it is known.

    `image` is the weight that takes the image's embedding, and `text` the one as wide as the texts beside which it is
    seen. With `reads_patches`, that embedding has a part for each patch of the image.
    """

    names: tuple[str, ...]
    image: str
    text: str
    reads_patches: bool


_LAYOUTS = (
    _Layout(("proj.weight", "proj.bias", "norm.weight", "norm.bias"), "proj.weight", "norm.weight", False),
    _Layout(("proj.3.weight", "proj.0.weight", "proj.2.weight"), "proj.0.weight", "proj.3.weight", True),
    _Layout(
        ("latents", "proj_in.weight", "proj_out.weight", "norm_out.weight"), "proj_in.weight", "norm_out.weight", True
    ),
)


@dataclass(frozen=True, slots=True)
class ImageEncoder:
    """A CLIP vision model in a folder, by the widths of what it tells of the patches of an image, and of the whole."""

    folder: Path
    patches: int
    whole: int

    @property
    def weight_files(self) -> list[Path]:
        """Return its files with weights, and its configuration."""
        return [*weight_files(self.folder, TRANSFORMERS_WEIGHTS), self.folder / CONFIG]


@dataclass(frozen=True, slots=True)
class ImageAdapter:
    """An IP-Adapter in a file, and the image encoder that it needs.

    It was made for models with text embeddings of the width `cross_attention_dim`, and so many `layers` that attend to
    them. With `is_face`, it was trained on faces. With `reads_patches`, it sees more of an image than a single
    embedding of the whole, as “plus” adapters do.
    """

    name: str
    path: Path
    encoder: ImageEncoder
    cross_attention_dim: int
    layers: int
    is_face: bool = False
    reads_patches: bool = False

    @property
    def key(self) -> str:
        """Return what tells it from others: those for other families may have the same name."""
        return f"{self.name} ({self.cross_attention_dim})"

    @property
    def preference(self) -> tuple[bool, bool, bool, str]:
        """Return its place among several that do the same: “plus” comes first, then what sees less, light ones last."""
        is_light, is_full = (bool(each.search(self.name)) for each in (_LIGHT, _FULL))
        return is_light, not self.reads_patches, is_full, self.name.casefold()

    @property
    def weight_files(self) -> list[Path]:
        """Return its file, and those of its encoder."""
        return [self.path, *self.encoder.weight_files]


def scan_image_adapters(folder: Path) -> tuple[tuple[ImageAdapter, ...], tuple[str, ...]]:
    """Describe the IP-Adapters in a folder and its subfolders, sorted by name; also return why some were rejected.

    Raise FileNotFoundError if the folder does not exist.
    """
    paths, rejected = find_files(folder)
    encoders, damaged = _find_encoders(paths)
    rejected += damaged
    found: dict[tuple[str, int], ImageAdapter] = {}
    for path in paths:
        try:
            if _is_part_of_encoder(path) or _has_safe_version(path) or not is_weights_file(path):
                continue
            adapter = describe_image_adapter(path, encoders)
        except UserError as error:
            rejected.append(str(error))
            continue
        known = found.setdefault((normalize_name(adapter.name), adapter.cross_attention_dim), adapter)
        if known is not adapter:
            rejected.append(f"{path} would be called {adapter.name}, as {known.path} is: rename one of the two.")
    return tuple(sorted(found.values(), key=lambda each: each.name.casefold())), tuple(rejected)


def _find_encoders(paths: Iterable[Path]) -> tuple[list[ImageEncoder], list[str]]:
    """Return the image encoders among files, and why some cannot be used."""
    found, rejected = [], []
    for folder in dict.fromkeys(path.parent for path in paths if _is_part_of_encoder(path)):
        try:
            with report_damage(folder, "an image encoder"):
                found.append(_describe_encoder(folder))
        except UserError as error:
            rejected.append(str(error))
    return found, rejected


def _is_part_of_encoder(path: Path) -> bool:
    """Return whether a file belongs to a folder in transformers' layout, pickled or not."""
    stem = path.name.partition(".")[0]
    is_named_so = stem in (_ENCODER_STEM, _PICKLED_ENCODER) or stem.startswith(f"{_ENCODER_STEM}-")
    return is_named_so and (path.parent / CONFIG).is_file()


def _has_safe_version(path: Path) -> bool:
    """Return whether a pickled file lies beside the same adapter as safetensors, as in its authors' repository."""
    return path.suffix.lower() in PICKLE_SUFFIXES and path.with_suffix(".safetensors").is_file()


def _describe_encoder(folder: Path) -> ImageEncoder:
    config = read_config(folder / CONFIG)
    names = config.get("architectures") or [config.get("model_type")]
    if _ENCODER_CLASS not in names:
        raise UserError(f"{folder} is a {names[0]}, not an image encoder: take a {_ENCODER_CLASS}.")
    shapes: dict[str, tuple[int, ...]] = {}
    for path in weight_files(folder, TRANSFORMERS_WEIGHTS):
        header = read_header(path)
        require_plain_weights(path, header)
        require_numbers(path, header, header.shapes)
        shapes |= header.shapes
    if missing := next((name for name in (_PATCHES, _WHOLE) if name not in shapes), None):
        raise UserError(f"{folder} is incomplete: it lacks weights of its image encoder ({missing}).")
    return ImageEncoder(folder, shapes[_PATCHES][0], shapes[_WHOLE][0])


def describe_image_adapter(path: Path, encoders: Iterable[ImageEncoder]) -> ImageAdapter:
    """Describe the IP-Adapter in a file, with the one of the encoders that it needs; raise UserError without one."""
    with report_damage(path, "an IP-Adapter"):
        header = read_header(path)
        layout = _layout(path, header.shapes)
        require_plain_weights(path, header)
        require_numbers(path, header, header.shapes)
        shapes = header.shapes
        texts = _text_width(path, shapes)
        if shapes[f"{PROJECTION}{layout.text}"][0] != texts:
            raise UserError(f"{path} is damaged: its image tokens are not as wide as its attention layers take them.")
        encoder = _encoder_for(path, layout, shapes[f"{PROJECTION}{layout.image}"][1], encoders)
        is_face = bool(_FACE.search(path.stem))
        layers = sum(_LAYER.fullmatch(name) is not None for name in shapes) // 2
        name = token_name(path.stem) or "unnamed"
        return ImageAdapter(name, path, encoder, texts, layers, is_face, layout.reads_patches)


def _layout(path: Path, shapes: Shapes) -> _Layout:
    for pattern, reason in _UNSUPPORTED.items():
        if any(re.match(pattern, name) for name in shapes):
            raise UserError(f"{path} {reason}")
    if not any(name.startswith((PROJECTION, ATTENTION)) for name in shapes):
        raise UserError(f"{path} {describe_contents(shapes, 'an IP-Adapter') or 'is not an IP-Adapter.'}")
    layout = next((each for each in _LAYOUTS if f"{PROJECTION}{each.names[0]}" in shapes), None)
    if layout is None:
        if f"{PROJECTION}norm.weight" in shapes:
            raise UserError(f"{path} {_FACE_ID}")
        raise UserError(f"{path} is incomplete: it lacks the projection of its IP-Adapter ({PROJECTION}…).")
    needed = chain((f"{PROJECTION}{name}" for name in layout.names), _attention_names(shapes))
    if missing := next((name for name in needed if name not in shapes), None):
        raise UserError(f"{path} is incomplete: it lacks weights of its IP-Adapter ({missing}).")
    return layout


def _attention_names(shapes: Shapes) -> Iterator[str]:
    """Yield the names of the keys and values of all attention layers up to the last; they have odd numbers."""
    last = max((int(match[1]) for name in shapes if (match := _LAYER.fullmatch(name))), default=1)
    yield from (f"{ATTENTION}{number}.to_{part}_ip.weight" for number in range(1, last + 1, 2) for part in "kv")


def _text_width(path: Path, shapes: Shapes) -> int:
    """Return the width of what all attention layers take."""
    widths = {shape[1] for name, shape in shapes.items() if _LAYER.fullmatch(name)}
    if len(widths) != 1:
        raise UserError(f"{path} is damaged: its attention layers take tokens of different widths.")
    return widths.pop()


def _encoder_for(path: Path, layout: _Layout, width: int, encoders: Iterable[ImageEncoder]) -> ImageEncoder:
    """Return the encoder that tells as much of an image as the adapter takes; of several, the nearest one's."""
    fitting = [each for each in encoders if (each.patches if layout.reads_patches else each.whole) == width]
    if not fitting:
        raise UserError(
            f"{path} needs an image encoder with embeddings of width {width}, and there is none: put the folder "
            f"image_encoder from where it was published beside it."
        )
    return max(fitting, key=lambda each: len(_common_parts(path, each.folder)))


def _common_parts(path: Path, folder: Path) -> list[str]:
    pairs = zip(path.parts, folder.parts, strict=False)
    return [one for one, other in pairs if one == other]
