"""A landscape with detail at every scale, and the keyframes of a zoom through it."""

from __future__ import annotations

import random

from PIL import Image, ImageDraw, ImageFilter

from generation.params import Frame

SIDE = 128
FRAME = Frame(32, 32, 64, 64)
FRAMES = (FRAME,) * 8


def landscape(seed: int, side: int = SIDE) -> Image.Image:
    """Return a picture of soft discs in many sizes."""
    chance = random.Random(seed)
    image = Image.new("RGB", (side, side), (60, 90, 140))
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y, radius = chance.random() * side, chance.random() * side, chance.random() * side / 6
        colour = chance.randrange(256), chance.randrange(256), chance.randrange(256)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    return image.filter(ImageFilter.GaussianBlur(2))


def keyframes(steps: int) -> list[Image.Image]:
    """Return pictures that each have the one before in their middle, as drawing around a picture makes them."""
    pictures = [landscape(0)]
    for step in range(steps):
        outer = landscape(step + 1)
        outer.paste(pictures[-1].resize((FRAME.width, FRAME.height), Image.Resampling.LANCZOS), (FRAME.left, FRAME.top))
        pictures.append(outer)
    return pictures
