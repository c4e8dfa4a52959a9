"""What the bot must know of a model before any weights are loaded."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EMBEDDED = str(Path(__file__).resolve().parent.parent / "models" / "storybook")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model's name, where it is (`ref`: a folder or a hub id), and the defaults that fill a prompt's gaps.

    `native_size` is the side in pixels of the square it was trained on; sides are multiples of `size_multiple`,
    and neither side may be more than `max_aspect` times the other.
    """

    name: str
    ref: str
    native_size: int = 512
    size_multiple: int = 8
    max_aspect: float = 3.0
    num_inference_steps: int = 25
    guidance_scale: float = 7.5
    examples: tuple[str, ...] = ()


def describe(ref: str) -> Model:
    """Describe the model at `ref` from the small JSON files of its folder; a hub id gets Stable Diffusion's defaults.

    Raises FileNotFoundError for a path that is no model folder.
    """
    folder = Path(ref)
    if not folder.is_dir():
        if folder.is_absolute() or ref.startswith((".", "~")):
            raise FileNotFoundError(f"no model folder at {ref}")
        return Model(name=ref.rpartition("/")[2], ref=ref)
    if not (folder / "model_index.json").is_file():
        raise FileNotFoundError(f"{ref} has no model_index.json, so it is not a diffusers model folder")
    own = _read(folder / "atelier.json")
    given: dict[str, Any] = {
        key: own[key]
        for key in ("name", "native_size", "size_multiple", "max_aspect", "num_inference_steps", "guidance_scale")
        if key in own
    }
    defaults: dict[str, Any] = {"name": folder.name, "native_size": _trained_size(folder)}
    return Model(ref=ref, examples=tuple(own.get("examples", ())), **defaults | given)


def size_for(model: Model, aspect: tuple[int, int]) -> tuple[int, int]:
    """Give the width and height in pixels of `aspect` at about the model's native area."""
    ratio = aspect[0] / aspect[1]
    step = model.size_multiple
    width = max(step, round(model.native_size * math.sqrt(ratio) / step) * step)
    height = max(step, round(model.native_size / math.sqrt(ratio) / step) * step)
    return width, height


def _trained_size(folder: Path) -> int:
    unet, vae = _read(folder / "unet" / "config.json"), _read(folder / "vae" / "config.json")
    sample_size = unet.get("sample_size", 64)
    scale = 2 ** (len(vae.get("block_out_channels", (0, 0, 0, 0))) - 1)
    return int(sample_size) * scale if isinstance(sample_size, int) else 512


def _read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())) if path.is_file() else {}
