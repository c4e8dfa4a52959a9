"""IP-Adapters and image encoders that have their headers' shapes only: zeros, or one value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

Shapes = dict[str, tuple[int, ...]]

PATCHES, WHOLE = 1280, 1024  # the widths of ViT-H, which nearly all published adapters need
BIG_PATCHES, BIG_WHOLE = 1664, 1280  # of ViT-bigG


def attention(width: int, layers: int = 2) -> Shapes:
    numbers = range(1, 2 * layers, 2)
    return {f"ip_adapter.{number}.to_{part}_ip.weight": (8, width) for number in numbers for part in "kv"}


def plain(width: int = 768, whole: int = WHOLE) -> Shapes:
    own = {"proj.weight": (4 * width, whole), "proj.bias": (4 * width,), "norm.weight": (width,), "norm.bias": (width,)}
    return projection(own) | attention(width)


def plus(width: int = 768, patches: int = PATCHES) -> Shapes:
    own: Shapes = {"latents": (1, 16, 8), "proj_in.weight": (8, patches), "proj_out.weight": (width, 8)}
    return projection(own | {"norm_out.weight": (width,)}) | attention(width)


def full(width: int = 768) -> Shapes:
    own: Shapes = {"proj.0.weight": (PATCHES, PATCHES), "proj.2.weight": (width, PATCHES), "proj.3.weight": (width,)}
    return projection(own) | attention(width)


def projection(own: Shapes) -> Shapes:
    return {f"image_proj.{name}": shape for name, shape in own.items()}


def write(path: Path, shapes: Shapes, value: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.full(shape, value, np.float16) for name, shape in shapes.items()}, path)
    return path


def write_encoder(folder: Path, patches: int = PATCHES, whole: int = WHOLE, **changes: Any) -> Path:
    shapes = {"vision_model.embeddings.class_embedding": (patches,), "visual_projection.weight": (whole, 8)}
    write(folder / "model.safetensors", shapes)
    config = {"architectures": ["CLIPVisionModelWithProjection"], "model_type": "clip_vision_model"}
    (folder / "config.json").write_text(json.dumps(config | changes))
    return folder
