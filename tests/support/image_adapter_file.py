"""Random IP-Adapters for a tiny model, in their authors' layout, and the image encoder that they need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from generation.models.adapters import Adapters, scan_adapters

PATCHES, WHOLE, SIDE = 32, 24, 32  # the widths of the encoder's embeddings, and the side of its images in pixels
INNER, DEPTH, TOKENS = 64, 4, 6  # of the projection of a “plus” adapter

Weights = dict[str, Tensor]


def write_encoder(folder: Path, **changes: Any) -> Path:
    """Write a random image encoder, the same every time."""
    settings = {
        "hidden_size": PATCHES,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": SIDE,
        "patch_size": 8,
        "projection_dim": WHOLE,
        "initializer_factor": 5.0,
    }
    with torch.random.fork_rng():
        torch.manual_seed(30)
        CLIPVisionModelWithProjection(CLIPVisionConfig(**settings | changes)).save_pretrained(folder)
    return folder


def write_adapter(path: Path, unet: Any, kind: str = "plain", seed: int = 1) -> Weights:
    """Write a random IP-Adapter of a kind (“plain”, “plus” or “full”) for a UNet, and return its weights."""
    generator = torch.Generator().manual_seed(seed)
    width = unet.config.cross_attention_dim
    shapes = {f"image_proj.{name}": shape for name, shape in _PROJECTIONS[kind](width)} | dict(_attention(unet))
    weights = {name: torch.randn(shape, generator=generator) * _scale(name, shape) for name, shape in shapes.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path)
    return weights


def _scale(name: str, shape: tuple[int, ...]) -> float:
    return 0.5 if len(shape) == 1 else 3 / shape[-1] ** 0.5


def _plain(width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from _with_bias("proj", 4 * width, WHOLE)
    yield from _norm("norm", width)


def _full(width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from _with_bias("proj.0", PATCHES, PATCHES)
    yield from _with_bias("proj.2", width, PATCHES)
    yield from _norm("proj.3", width)


def _plus(width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "latents", (1, TOKENS, INNER)
    yield from _with_bias("proj_in", INNER, PATCHES)
    yield from _with_bias("proj_out", width, INNER)
    yield from _norm("norm_out", width)
    for layer in range(DEPTH):
        yield from _norm(f"layers.{layer}.0.norm1", INNER)
        yield from _norm(f"layers.{layer}.0.norm2", INNER)
        yield f"layers.{layer}.0.to_q.weight", (INNER, INNER)
        yield f"layers.{layer}.0.to_kv.weight", (2 * INNER, INNER)
        yield f"layers.{layer}.0.to_out.weight", (INNER, INNER)
        yield from _norm(f"layers.{layer}.1.0", INNER)
        yield f"layers.{layer}.1.1.weight", (4 * INNER, INNER)
        yield f"layers.{layer}.1.3.weight", (INNER, 4 * INNER)


_PROJECTIONS = {"plain": _plain, "plus": _plus, "full": _full}


def _with_bias(name: str, out: int, into: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (out, into)
    yield f"{name}.bias", (out,)


def _norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _attention(unet: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    names = [name.removesuffix(".processor") for name in unet.attn_processors if "attn2" in name]
    for number, name in enumerate(names):
        shape = unet.get_submodule(name).to_k.weight.shape
        for part in "kv":
            yield f"ip_adapter.{2 * number + 1}.to_{part}_ip.weight", tuple(shape)


def scan_images(folder: Path) -> Adapters:
    """Return the IP-Adapters in a folder, all of which must be usable."""
    adapters, rejected = scan_adapters(None, None, None, folder)
    assert not rejected, rejected
    return adapters
