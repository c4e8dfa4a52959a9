"""Generate what strangers type first, and count the images with nothing on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from diffusers import StableDiffusionPipeline
from PIL import Image

from generation.models.model import describe_model
from training.contact_sheet import make_contact_sheet
from training.evaluate import generate_all
from training.settings import FIRST_WORDS, MODEL, RUNS

# An image is blank if fewer of its pixels than this share stand out from the colour of their row, and its rows differ
# by no more than a shaded wall's.
BLANK_SHARE, VISIBLE_DIFFERENCE, WALL_SHADING = 0.02, 28, 60


def is_blank(image: Image.Image) -> bool:
    """Return whether an image shows nothing but a plain or shaded wall: no pixels that stand out from their row."""
    pixels = np.asarray(image.convert("RGB"), dtype=np.int16)
    rows = np.median(pixels, axis=1, keepdims=True)
    stands_out = np.abs(pixels - rows).max(axis=-1) > VISIBLE_DIFFERENCE
    return bool(stands_out.mean() < BLANK_SHARE and np.ptp(rows, axis=0).max() < WALL_SHADING)


def evaluate_first_words(folder: Path = MODEL, device: str = "cpu") -> dict[str, list[str]]:
    """Generate every prompt once; return, print and show which images are blank and which words are told."""
    prompts = FIRST_WORDS.read_text(encoding="utf-8").splitlines()
    images = generate_all(StableDiffusionPipeline.from_pretrained(folder).to(device), prompts)
    make_contact_sheet(images, RUNS / "first_words.png", columns=10)
    vocabulary = describe_model(str(folder)).vocabulary
    told = [prompt for prompt in prompts if vocabulary and vocabulary.unknown_words(prompt)]
    blank = [prompt for prompt, image in zip(prompts, images, strict=True) if is_blank(image)]
    unexplained = [prompt for prompt in blank if prompt not in told]
    figures = {"blank": blank, "blank without a word": unexplained, "unknown words told": told}
    for name, found in figures.items():
        print(f"{name}: {len(found)} of {len(prompts)}: {' · '.join(found)}", flush=True)
    return figures
