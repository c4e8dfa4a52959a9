"""Draw images and store their latents in shards, which training loads as they appear."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TypedDict

import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor

from training.precision import autocast
from training.settings import ASPECTS, LATENTS, RUNS, SEED
from training.subjects import Subject, draw, sample_subject
from training.vae import encode_mean, to_tensor

SHARDS = RUNS / "latents"


class Shard(TypedDict):
    """Images of one size: their latents at full and half size, and their subjects."""

    full: Tensor
    half: Tensor
    subjects: list[dict[str, str]]


@torch.no_grad()
def encode_images(vae: AutoencoderKL, images: list[Image.Image], batch: int = 8) -> Tensor:
    """Return the latents of images of one size in half precision."""
    with autocast(vae.device.type):
        parts = [
            encode_mean(vae, to_tensor(images[i : i + batch]).to(vae.device)).half().cpu()
            for i in range(0, len(images), batch)
        ]
    return torch.cat(parts)


def draw_shard(vae: AutoencoderKL, size: tuple[int, int], seed: int, count: int) -> Shard:
    """Draw and encode images of one size."""
    rng = random.Random(seed)
    subjects = [sample_subject(rng) for _ in range(count)]
    images = [draw(subject, size, rng.randrange(2**31)) for subject in subjects]
    halves = [image.resize((size[0] // 2, size[1] // 2), Image.Resampling.BOX) for image in images]
    return Shard(
        full=encode_images(vae, images), half=encode_images(vae, halves, 32), subjects=[s.as_dict() for s in subjects]
    )


def write_shards(vae: AutoencoderKL, count: int, first: int = 0, step: int = 1) -> None:
    """Write the missing ones of the shards first, first + step, …, below `count`, so that processes can share them."""
    SHARDS.mkdir(parents=True, exist_ok=True)
    sizes, weights = zip(*ASPECTS, strict=True)
    for number in range(first, count, step):
        path = SHARDS / f"{number:05d}.pt"
        if path.exists():
            continue
        size = random.Random(number).choices(sizes, weights)[0] if number else sizes[0]
        part = path.with_suffix(".part")
        torch.save(draw_shard(vae, size, SEED * 1000 + number, LATENTS.shard_size), part)
        part.replace(path)
        print(f"latents {number + 1}/{count} {size[0]}×{size[1]}", flush=True)


def read_shard(path: Path) -> tuple[Shard, list[Subject]]:
    """Read a shard and the subjects of its images."""
    shard: Shard = torch.load(path, weights_only=True)
    return shard, [Subject.from_dict(values) for values in shard["subjects"]]
