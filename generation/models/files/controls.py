"""Describe ControlNets by their files' headers and configurations, without torch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from generation.errors import UserError
from generation.models.catalogue import normalize_name
from generation.models.files.checkpoint import describe_contents
from generation.models.files.config_types import read_config
from generation.models.files.errors import report_damage
from generation.models.files.found_files import find_files, is_weights_file, token_name
from generation.models.files.ldm_layout import Shapes
from generation.models.files.model_files import DIFFUSERS_WEIGHTS, weight_files
from generation.models.files.safetensors_header import SafetensorsHeader, read_header, require_plain_weights
from generation.models.files.weight_values import require_numbers
from generation.models.model import folder_name

CONFIG = "config.json"
LDM_PREFIX = "control_model."
LATENT_CHANNELS, PICTURE_CHANNELS = 4, 3
_DIFFUSERS_STEM = DIFFUSERS_WEIGHTS.partition(".")[0]
_CLASS = "ControlNetModel"
# The kinds that people know, by what stands in the names of files; the first that matches counts.
_KINDS = {
    "canny": r"canny",
    "scribble": r"scribble",
    "tile": r"tile",
    "depth": r"depth",
    "pose": r"pose",
    "softedge": r"soft[-_ ]?edge|(?<![a-z])hed(?![a-z])",
    "anime": r"lineart[-_ ]?anime|anime[-_ ]?lineart",
    "lineart": r"line[-_ ]?art",
    "mlsd": r"mlsd",
    "normal": r"normal",
    "seg": r"(?<![a-z])seg",
    "shuffle": r"shuffle",
    "ip2p": r"ip2p",
    "inpaint": r"inpaint",
    "qrcode": r"(?<![a-z])qr",
    "brightness": r"brightness",
}
# What is called a ControlNet, or stands beside them, and is none that can be used.
_UNSUPPORTED = {
    r"lora_controlnet$": "is a Control-LoRA, which is not supported: take the full ControlNet.",
    r"difference$": "holds only the differences from another ControlNet: take the full one.",
    r".*lllite_": "is a ControlLLLite, which is not supported: take a ControlNet.",
    r"(adapter\.)?body\.\d+\.": "is a T2I-Adapter, which is not supported: take a ControlNet.",
    r"control_add_embedding\.|task_embedding$": "is a ControlNet Union, which is not supported: "
    "take a ControlNet for one kind of picture.",
    r"(controlnet_x_embedder|controlnet_blocks|controlnet_single_blocks|transformer_blocks|pos_embed_input|"
    r"control_layers|double_blocks|control_all_x_embedder)\b": "is a ControlNet for another family of models than "
    "Stable Diffusion 1.x, 2.x and XL.",
}


@dataclass(frozen=True, slots=True)
class _Layout:
    """The names of the weights that every ControlNet has, in one of the two layouts."""

    hint: str
    first: str
    middle: str
    time: str
    outputs: str
    key: re.Pattern[str]


_DIFFUSERS = _Layout(
    hint="controlnet_cond_embedding.conv_in.weight",
    first="conv_in.weight",
    middle="controlnet_mid_block.weight",
    time="time_embedding.linear_1.weight",
    outputs="controlnet_down_blocks.{}.weight",
    key=re.compile(r"down_blocks\.\d+\.attentions\.\d+\.transformer_blocks\.\d+\.attn2\.to_k\.weight"),
)
_LDM = _Layout(
    hint="input_hint_block.0.weight",
    first="input_blocks.0.0.weight",
    middle="middle_block_out.0.weight",
    time="time_embed.0.weight",
    outputs="zero_convs.{}.0.weight",
    key=re.compile(r"input_blocks\.\d+\.1\.transformer_blocks\.\d+\.attn2\.to_k\.weight"),
)


@dataclass(frozen=True, slots=True)
class ControlNet:
    """A ControlNet in a file, or in a folder in diffusers' layout.

    It was made for models with text embeddings of the width `cross_attention_dim`. `kind` is the kind of picture that
    it follows, such as canny; empty if its name does not tell.
    """

    name: str
    path: Path
    cross_attention_dim: int
    kind: str = ""

    @property
    def key(self) -> str:
        """Return what tells it from others: those for other families may have the same name."""
        return f"{self.name} ({self.cross_attention_dim})"

    @property
    def weight_files(self) -> list[Path]:
        """Return its files with weights, and its configuration."""
        if self.path.is_file():
            return [self.path]
        return [*weight_files(self.path, DIFFUSERS_WEIGHTS), self.path / CONFIG]


def scan_controls(folder: Path) -> tuple[tuple[ControlNet, ...], tuple[str, ...]]:
    """Describe the ControlNets in a folder and its subfolders, sorted by name; also return why some were rejected.

    Raise FileNotFoundError if the folder does not exist.
    """
    paths, rejected = find_files(folder)
    found: list[ControlNet] = []
    for path in dict.fromkeys(map(_unit, paths)):
        try:
            if path.is_dir() or is_weights_file(path):
                found.append(describe_control(path))
        except UserError as error:
            rejected.append(str(error))
    named, doubles = _without_doubles(_by_kind(found))
    return tuple(sorted(named, key=lambda control: control.name.casefold())), (*rejected, *doubles)


def describe_control(path: Path) -> ControlNet:
    """Describe the ControlNet in a file or folder; raise UserError for anything else."""
    with report_damage(path, "a ControlNet"):
        return _describe_folder(path) if path.is_dir() else _describe_file(path)


def _unit(path: Path) -> Path:
    """Return the folder of a file that is part of a ControlNet in diffusers' layout, else the file itself."""
    in_folder = path.stem.partition(".")[0] == _DIFFUSERS_STEM or path.name.startswith(f"{_DIFFUSERS_STEM}-")
    return path.parent if in_folder and (path.parent / CONFIG).is_file() else path


def _describe_file(path: Path) -> ControlNet:
    header = read_header(path)
    stem = path.parent.name if path.stem == _DIFFUSERS_STEM else path.stem
    width = _checked(path, [(path, header)])
    if not width:
        raise UserError(f"{path} has no attention layers: put it into a folder with its {CONFIG}.")
    return _named(path, stem, width, header.metadata.get("modelspec.title", ""))


def _describe_folder(folder: Path) -> ControlNet:
    config = read_config(folder / CONFIG)
    name = config.get("_class_name", _CLASS)
    if name != _CLASS:
        raise UserError(f"{folder} is a {name}, which is not supported: take a {_CLASS}.")
    _checked(folder, [(path, read_header(path)) for path in weight_files(folder, DIFFUSERS_WEIGHTS)])
    width = config.get("cross_attention_dim")
    if not isinstance(width, int):
        raise UserError(f"{folder / CONFIG} names no cross_attention_dim, so its family is unknown.")
    return _named(folder, folder_name(folder.resolve()), width, str(config.get("_name_or_path", "")))


def _named(path: Path, stem: str, width: int, elsewhere: str) -> ControlNet:
    kind = kind_of(stem) or kind_of(elsewhere.rpartition("/")[2])
    return ControlNet(token_name(stem) or "unnamed", path, width, kind)


def kind_of(name: str) -> str:
    """Return the kind of picture that a ControlNet of this name follows; empty if the name does not tell."""
    return next((kind for kind, pattern in _KINDS.items() if re.search(pattern, name.lower())), "")


def _checked(path: Path, files: Iterable[tuple[Path, SafetensorsHeader]]) -> int | None:
    """Check a ControlNet's weights; return the width of the texts that it attends to, None if it has no attention."""
    shapes: dict[str, tuple[int, ...]] = {}
    for each, header in files:
        require_plain_weights(each, header)
        require_numbers(each, header, header.shapes)
        shapes |= header.shapes
    layout, own = _layout(path, shapes)
    missing = [name for name in (layout.hint, layout.first, layout.middle, layout.time) if name not in own]
    missing += list(_missing_outputs(layout, own))
    if missing:
        raise UserError(f"{path} is incomplete: it lacks weights of its ControlNet ({missing[0]}).")
    for name, channels in ((layout.hint, PICTURE_CHANNELS), (layout.first, LATENT_CHANNELS)):
        if own[name][1] != channels:
            raise UserError(f"{path} takes {own[name][1]} channels where {channels} are given ({name}).")
    return next((shape[1] for name, shape in own.items() if layout.key.fullmatch(name)), None)


def _layout(path: Path, shapes: Shapes) -> tuple[_Layout, Shapes]:
    """Return the layout of a ControlNet and its own weights; a file may hold the whole model beside it."""
    own = without_prefix(shapes)
    for pattern, reason in _UNSUPPORTED.items():
        if any(re.match(pattern, name) for name in own):
            raise UserError(f"{path} {reason}")
    for layout in (_DIFFUSERS, _LDM):
        if layout.hint in own or layout.outputs.format(0) in own:
            return layout, own
    raise UserError(f"{path} {describe_contents(shapes, 'a ControlNet') or 'is not a ControlNet.'}")


def without_prefix(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Return the weights of a ControlNet alone, if the file holds more, without the prefix of their names."""
    own = {name.removeprefix(LDM_PREFIX): each for name, each in weights.items() if name.startswith(LDM_PREFIX)}
    return own or dict(weights)


def _missing_outputs(layout: _Layout, own: Shapes) -> Iterator[str]:
    """Yield the first gap among the layers that give something to the UNet, and the biases that they lack."""
    pattern = re.compile(re.escape(layout.outputs).replace(r"\{\}", r"(\d+)"))
    present = sorted(int(match[1]) for name in own if (match := pattern.fullmatch(name)))
    gap = next((place for place, number in enumerate(present) if place != number), None if present else 0)
    names = [layout.outputs.format(number) for number in present]
    yield from [] if gap is None else [layout.outputs.format(gap)]
    yield from (bias for name in names if (bias := f"{name.removesuffix('weight')}bias") not in own)


def _by_kind(found: Iterable[ControlNet]) -> list[ControlNet]:
    """Return ControlNets called by their kind where they are the only ones of it for their family."""
    found = list(found)
    counted = Counter((control.kind, control.cross_attention_dim) for control in found)
    return [
        replace(control, name=control.kind)
        if control.kind and counted[control.kind, control.cross_attention_dim] == 1
        else control
        for control in found
    ]


def _without_doubles(found: Iterable[ControlNet]) -> tuple[list[ControlNet], list[str]]:
    """Return the ControlNets whose name nobody else has in their family, and why the others are left out."""
    kept: dict[tuple[str, int], ControlNet] = {}
    rejected = []
    for control in found:
        key = normalize_name(control.name), control.cross_attention_dim
        if (existing := kept.setdefault(key, control)) is not control:
            rejected.append(
                f"{control.path} would be called {control.name}, as {existing.path} is: rename one of the two."
            )
    return list(kept.values()), rejected
