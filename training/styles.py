"""Styles that transform a drawing, and the storybook finish, which can follow any style."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps

Style = Callable[[Image.Image, random.Random], Image.Image]
Plane = NDArray[np.float32]


def black_and_white(image: Image.Image, rng: random.Random) -> Image.Image:
    """Remove the colours."""
    return ImageEnhance.Contrast(ImageOps.autocontrast(image.convert("L"), cutoff=1)).enhance(1.08).convert("RGB")


def sepia(image: Image.Image, rng: random.Random) -> Image.Image:
    """Tone the image like an old photograph."""
    return ImageOps.colorize(
        ImageOps.autocontrast(image.convert("L"), cutoff=1), (56, 34, 18), (255, 240, 206), (178, 128, 78)
    )


def pastel(image: Image.Image, rng: random.Random) -> Image.Image:
    """Lighten and soften every colour."""
    soft = ImageEnhance.Color(image).enhance(0.9)
    return Image.blend(soft, Image.new("RGB", image.size, (255, 240, 246)), 0.45)


def watercolour(image: Image.Image, rng: random.Random) -> Image.Image:
    """Displace the edges, darken them as pooled pigment, and let the paper show."""
    wobbly = displace(image, rng, 2.0)
    soft = wobbly.filter(ImageFilter.ModeFilter(5)).filter(ImageFilter.GaussianBlur(0.8))
    rim = contours(soft).filter(ImageFilter.GaussianBlur(1.2)).point([round(v * 0.5) for v in range(256)])
    pooled = Image.composite(ImageEnhance.Brightness(soft).enhance(0.62), soft, rim)
    wash = Image.fromarray(np.clip(206 + 36 * smooth_noise(image.size, rng, 4), 0, 255).astype(np.uint8))
    painted = Image.composite(pooled, Image.new("RGB", image.size, (253, 250, 242)), wash)
    return add_paper_border(painted, rng)


def add_paper_border(image: Image.Image, rng: random.Random) -> Image.Image:
    """Leave an uneven border of bare paper around the image."""
    width, height = image.size
    x = np.minimum(np.arange(width), np.arange(width)[::-1])
    y = np.minimum(np.arange(height), np.arange(height)[::-1])
    inside = np.minimum(x[None, :], y[:, None]) - 9 + 5 * smooth_noise(image.size, rng, 12)
    mask = Image.fromarray((np.clip(inside / 2 + 0.5, 0, 1) * 255).astype(np.uint8))
    return Image.composite(image, Image.new("RGB", image.size, (253, 250, 242)), mask)


def line_art(image: Image.Image, rng: random.Random) -> Image.Image:
    """Keep thick dark outlines of the big shapes on white paper, as in a colouring book."""
    lines = outlines(simplify(image), image.size)
    return ImageOps.colorize(ImageOps.invert(lines), (52, 48, 66), (252, 252, 248))


def neon(image: Image.Image, rng: random.Random) -> Image.Image:
    """Draw thick glowing outlines in strong colours on a dark wall."""
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    vivid = spread_strongest_colour(vivid_colours(half)).resize(image.size, Image.Resampling.BICUBIC)
    lines = outlines(simplify(image), image.size, 3)
    dark = Image.blend(Image.new("RGB", image.size, (14, 8, 34)), vivid, 0.1)
    tubes = Image.composite(vivid, Image.new("RGB", image.size), lines)
    halo = ImageEnhance.Brightness(tubes.filter(ImageFilter.GaussianBlur(7))).enhance(0.9)
    return Image.composite(vivid, ImageChops.add(dark, halo), lines)


def simplify(image: Image.Image) -> Image.Image:
    """Return the image at half its size without small regions, with the same contrast by night as by day."""
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    strong = ImageOps.autocontrast(half, cutoff=1, preserve_tone=True)
    return strong.filter(ImageFilter.MedianFilter(7)).filter(ImageFilter.MedianFilter(7))


def outlines(shapes: Image.Image, size: tuple[int, int], spread: int = 1) -> Image.Image:
    """Return a mask of smooth lines where the shapes of a simplified image meet; soft shading gives no lines."""
    pixels = np.asarray(shapes, dtype=np.float32)
    step = np.zeros(pixels.shape[:2], np.float32)
    step[:, 1:-1] = np.abs(pixels[:, 2:] - pixels[:, :-2]).max(axis=-1)
    step[1:-1] = np.maximum(step[1:-1], np.abs(pixels[2:] - pixels[:-2]).max(axis=-1))
    found = Image.fromarray(((step > 46) * 255).astype(np.uint8)).filter(ImageFilter.MaxFilter(spread))
    smooth = found.filter(ImageFilter.GaussianBlur(1)).resize(size, Image.Resampling.BICUBIC)
    return smooth.point([min(255, max(0, (v - 48) * 4)) for v in range(256)])


def vivid_colours(shapes: Image.Image) -> Image.Image:
    """Map every colour to the strongest of one of twelve hues, and greys to cyan."""
    hue, saturation, _ = shapes.convert("HSV").split()
    full = Image.new("L", shapes.size, 255)
    few = hue.point([round(v * 12 / 256) * 256 // 12 % 256 for v in range(256)])
    coloured = Image.merge("HSV", (few, full.point([205] * 256), full)).convert("RGB")
    strong = saturation.point([255 if v > 45 else 0 for v in range(256)])
    few_colours = Image.composite(coloured, Image.new("RGB", shapes.size, (90, 240, 255)), strong)
    return few_colours.filter(ImageFilter.ModeFilter(13))  # removes small regions of another hue, such as windows


def spread_strongest_colour(vivid: Image.Image) -> Image.Image:
    """Spread the warmer of two neighbouring colours to both sides of a line.

    The corner's colour is the weakest, because it is the background.
    """
    best = np.asarray(vivid, dtype=np.int32)
    background = best[2, 2]
    code = best @ (1, 256, 65_536)
    _, where, count = np.unique(code, return_inverse=True, return_counts=True)
    rare = count[where].reshape(code.shape) < 0.01 * code.size  # blends of two neighbouring colours
    strength = best @ (10, 0, -3) - 10_000 * (best == background).all(axis=-1) - 20_000 * rare
    for _ in range(3):
        for shift, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1)):
            stronger = np.roll(strength, shift, axis) > strength
            best = np.where(stronger[..., None], np.roll(best, shift, axis), best)
            strength = np.maximum(strength, np.roll(strength, shift, axis))
    return Image.fromarray(best.astype(np.uint8))


def oil_painting(image: Image.Image, rng: random.Random) -> Image.Image:
    """Paint the image in broad dabs of rich warm colour, with finer ones where shapes meet."""
    rich = ImageEnhance.Contrast(ImageEnhance.Color(image).enhance(1.25)).enhance(1.05)
    painted = paint_dabs(rich, rich.copy(), rng, 20, 1.0)
    fine = Image.blend(paint_dabs(rich, painted, rng, 12, 0.5), rich, 0.6)
    busy = contours(image).filter(ImageFilter.MaxFilter(9)).filter(ImageFilter.GaussianBlur(3))
    shaped = Image.composite(fine, painted, busy)
    return ImageChops.multiply(Image.blend(shaped, rich, 0.15), Image.new("RGB", image.size, (255, 246, 226)))


def paint_dabs(source: Image.Image, under: Image.Image, rng: random.Random, step: int, variety: float) -> Image.Image:
    """Cover an image with brush strokes on a loose grid, each in a random shade of the colour at its centre."""
    colours = source.filter(ImageFilter.BoxBlur(step // 4))
    big = under.resize((source.width * 2, source.height * 2), Image.Resampling.BILINEAR)
    draw, lean = ImageDraw.Draw(big), rng.uniform(-0.5, 0.5)
    spots = [(x, y) for y in range(0, source.height + step, step) for x in range(0, source.width + step, step)]
    rng.shuffle(spots)
    for x, y in spots:
        tone = 1 + variety * rng.choice((-0.16, -0.05, 0.06, 0.16))
        centre = (min(x, source.width - 1), min(y, source.height - 1))
        picked = colours.getpixel(centre)
        assert isinstance(picked, tuple)
        draw.polygon(
            _stroke(x, y, step, lean + rng.uniform(-0.5, 0.5)), tuple(min(255, round(c * tone)) for c in picked)
        )
    return big.reduce(2)


def _stroke(x: int, y: int, step: int, lean: float) -> list[tuple[float, float]]:
    """Return the outline of a stroke nearly twice as long as the grid's step, for an image of twice the size."""
    turns = [2 * math.pi * i / 14 for i in range(14)]
    along, across = (2 * 0.95 * step, 2 * 0.6 * step)
    flat = [(along * math.copysign(abs(math.cos(t)) ** 0.6, math.cos(t)), across * math.sin(t)) for t in turns]
    c, s = math.cos(lean), math.sin(lean)
    return [(2 * x + c * u - s * v, 2 * y + s * u + c * v) for u, v in flat]


def pixel_art(image: Image.Image, rng: random.Random) -> Image.Image:
    """Reduce the image to square blocks of few colours."""
    block = 8
    small = image.resize((image.width // block, image.height // block), Image.Resampling.BOX)
    few = ImageEnhance.Color(small).enhance(1.25).quantize(14, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return few.convert("RGB").resize(image.size, Image.Resampling.NEAREST)


def storybook_finish(image: Image.Image, rng: random.Random) -> Image.Image:
    """Apply the house style: richer colours in warm light, the same everywhere, so that canvases can be extended."""
    if is_grey(image):
        return ImageEnhance.Contrast(image).enhance(1.2)
    rich = ImageEnhance.Contrast(ImageEnhance.Color(image).enhance(1.25)).enhance(1.08)
    return ImageChops.multiply(rich, Image.new("RGB", image.size, (255, 250, 232)))


def is_grey(image: Image.Image) -> bool:
    """Return whether an image has no colour at all."""
    pixels = np.asarray(image, dtype=np.int16)
    return int(np.ptp(pixels, axis=-1).max()) < 8


def contours(image: Image.Image) -> Image.Image:
    """Return a mask of where neighbouring colours differ."""
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(0.7)), dtype=np.float32)
    across = np.zeros(pixels.shape[:2], np.float32)
    across[:, 1:-1] += np.abs(pixels[:, 2:] - pixels[:, :-2]).max(axis=-1)
    across[1:-1] += np.abs(pixels[2:] - pixels[:-2]).max(axis=-1)
    return Image.fromarray(np.clip((across - 14) * 9, 0, 255).astype(np.uint8))


def smooth_noise(size: tuple[int, int], rng: random.Random, cells: int) -> Plane:
    """Return smooth noise between -1 and 1, height × width."""
    width, height = size
    grid = (max(2, cells * width // min(size)), max(2, cells * height // min(size)))
    noise = np.frombuffer(rng.randbytes(grid[0] * grid[1]), np.uint8).reshape(grid[1], grid[0])
    smooth = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(smooth, dtype=np.float32) / 127.5 - 1


def displace(image: Image.Image, rng: random.Random, distance: float) -> Image.Image:
    """Shift every pixel by smooth noise."""
    pixels = np.asarray(image)
    rows, columns = np.indices(pixels.shape[:2])
    y = np.clip(rows + distance * smooth_noise(image.size, rng, 14), 0, image.height - 1).astype(int)
    x = np.clip(columns + distance * smooth_noise(image.size, rng, 14), 0, image.width - 1).astype(int)
    return Image.fromarray(pixels[y, x])


STYLES: dict[str, Style] = {
    "watercolour": watercolour,
    "line art": line_art,
    "neon": neon,
    "pastel": pastel,
    "black and white": black_and_white,
    "sepia": sepia,
    "pixel art": pixel_art,
    "oil painting": oil_painting,
}
FINISHES: dict[str, Style] = {"storybook": storybook_finish}
