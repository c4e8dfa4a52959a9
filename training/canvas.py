"""A supersampled canvas whose short side is 1.0, with y pointing down."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from training.palette import Rgb

SUPERSAMPLING = 3
Point = tuple[float, float]
Stops = Sequence[tuple[float, Rgb]]
Outline = Callable[["Canvas", ImageDraw.ImageDraw, int], None]


class Canvas:
    """Draw anti-aliased shapes in units of the image's short side."""

    def __init__(self, width: int, height: int) -> None:
        self.short = min(width, height)
        self.scale = self.short * SUPERSAMPLING
        self.width, self.height = width / self.short, height / self.short
        self.image = Image.new("RGB", (width * SUPERSAMPLING, height * SUPERSAMPLING))
        self.draw = ImageDraw.Draw(self.image)

    def downsample(self) -> Image.Image:
        """Return the image at its final size."""
        return self.image.reduce(SUPERSAMPLING)

    def points(self, points: Iterable[Point]) -> list[Point]:
        """Return points in device pixels."""
        return [(x * self.scale, y * self.scale) for x, y in points]

    def gradient(self, stops: Stops, top: float = 0.0, bottom: float | None = None) -> None:
        """Fill a horizontal band with a vertical gradient; stops lie between 0 and 1 of the band."""
        first, last = round(top * self.scale), round((self.height if bottom is None else bottom) * self.scale)
        first, last = max(first, 0), min(last, self.image.height)
        if last > first:
            self.image.paste(vertical_gradient(stops, (self.image.width, last - first)), (0, first))

    def polygon(self, points: Iterable[Point], fill: Rgb) -> None:
        """Fill a polygon."""
        self.draw.polygon(self.points(points), fill=fill)

    def shaded_polygon(self, points: Sequence[Point], top: Rgb, bottom: Rgb) -> None:
        """Fill a polygon with a vertical gradient over its own height."""
        mask = Image.new("L", self.image.size)
        ImageDraw.Draw(mask).polygon(self.points(points), fill=255)
        self._paste_gradient(mask, top, bottom)

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Rgb) -> None:
        """Fill an ellipse given by its centre and radii."""
        self.draw.ellipse(self._box(x - rx, y - ry, x + rx, y + ry), fill=fill)

    def circle(self, x: float, y: float, r: float, fill: Rgb) -> None:
        """Fill a circle."""
        self.ellipse(x, y, r, r, fill)

    def chord(self, x: float, y: float, rx: float, ry: float, start: float, end: float, fill: Rgb) -> None:
        """Fill the part of an ellipse between two angles in degrees, clockwise from the right."""
        self.draw.chord(self._box(x - rx, y - ry, x + rx, y + ry), start, end, fill=fill)

    def rectangle(self, left: float, top: float, right: float, bottom: float, fill: Rgb, radius: float = 0.0) -> None:
        """Fill a rectangle, with rounded corners if a radius is given."""
        self.draw.rounded_rectangle(self._box(left, top, right, bottom), radius * self.scale, fill=fill)

    def line(self, points: Sequence[Point], width: float, fill: Rgb) -> None:
        """Draw a line with round ends and joints."""
        self.draw.line(self.points(points), fill=fill, width=max(1, round(width * self.scale)), joint="curve")
        for x, y in (points[0], points[-1]):
            self.circle(x, y, width / 2, fill)

    def crescent(self, outline: Outline, shift: Point, fill: Rgb) -> None:
        """Fill the part of a shape not covered by a shifted copy of it: its shadow or its light side."""
        mask, copy = Image.new("L", self.image.size), Image.new("L", self.image.size)
        outline(self, ImageDraw.Draw(mask), 255)
        outline(self, ImageDraw.Draw(copy), 255)
        offset = ImageChops.offset(copy, round(shift[0] * self.scale), round(shift[1] * self.scale))
        self.image.paste(fill, mask=ImageChops.subtract(mask, offset))

    def glow(
        self, x: float, y: float, radius: float, colour: Rgb, strength: float = 0.6, flatness: float = 1.0
    ) -> None:
        """Draw a soft round light, or with a low `flatness` a flat one such as a bank of mist."""
        across, high = radius, radius * flatness
        size = (max(2, round(2 * across * self.scale)), max(2, round(2 * high * self.scale)))
        light = Image.radial_gradient("L").resize(size)
        mask = light.point([round(min(255, max(0, 255 - v * 1.4) / flatness**0.25) * strength) for v in range(256)])
        self.image.paste(colour, (round((x - across) * self.scale), round((y - high) * self.scale)), mask)

    def veil(self, colour: Rgb, stops: Sequence[tuple[float, float]]) -> None:
        """Cover the whole image with a colour whose opacity is a vertical gradient."""
        grey = [(place, (round(255 * a),) * 3) for place, a in stops]
        mask = vertical_gradient(grey, self.image.size).convert("L")
        self.image.paste(colour, mask=mask)

    def translucent(self, points: Sequence[Point], colour: Rgb, opacity: float) -> None:
        """Fill a polygon with a translucent colour."""
        mask = Image.new("L", self.image.size)
        ImageDraw.Draw(mask).polygon(self.points(points), fill=round(255 * opacity))
        self.image.paste(colour, mask=mask)

    def _box(self, left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
        k = self.scale
        return (min(left, right) * k, min(top, bottom) * k, max(left, right) * k, max(top, bottom) * k)

    def _paste_gradient(self, mask: Image.Image, top: Rgb, bottom: Rgb) -> None:
        box = mask.getbbox()
        if box is not None:
            band = vertical_gradient([(0, top), (1, bottom)], (box[2] - box[0], box[3] - box[1]))
            self.image.paste(band, box[:2], mask.crop(box))


def vertical_gradient(stops: Sequence[tuple[float, tuple[int, ...]]], size: tuple[int, int]) -> Image.Image:
    """Return an image with a gradient through the colour stops from top to bottom."""
    width, height = size
    rows = np.linspace(0, 1, height)
    places = [place for place, _ in stops]
    column = np.stack([np.interp(rows, places, [c[i] for _, c in stops]) for i in range(3)], axis=-1)
    return Image.fromarray(column.round().astype(np.uint8)[:, None, :]).resize(
        (width, height), Image.Resampling.NEAREST
    )


def ellipse_outline(x: float, y: float, rx: float, ry: float) -> Outline:
    """Return the outline of an ellipse for `Canvas.crescent`."""

    def outline(canvas: Canvas, draw: ImageDraw.ImageDraw, fill: int) -> None:
        draw.ellipse(canvas._box(x - rx, y - ry, x + rx, y + ry), fill=fill)

    return outline


def polygon_outline(points: Sequence[Point]) -> Outline:
    """Return the outline of a polygon for `Canvas.crescent`."""

    def outline(canvas: Canvas, draw: ImageDraw.ImageDraw, fill: int) -> None:
        draw.polygon(canvas.points(points), fill=fill)

    return outline


def smooth(points: Sequence[Point], steps: int = 8) -> list[Point]:
    """Return the points of a closed Catmull-Rom curve through `points`."""
    n = len(points)
    curve: list[Point] = []
    for i in range(n):
        p0, p1, p2, p3 = (points[(i + k - 1) % n] for k in range(4))
        for s in range(steps):
            curve.append(
                (_spline(p0[0], p1[0], p2[0], p3[0], s / steps), _spline(p0[1], p1[1], p2[1], p3[1], s / steps))
            )
    return curve


def _spline(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t**3)


def wave(left: float, right: float, y: float, amplitude: float, period: float, phase: float) -> list[Point]:
    """Return the points of a sine from left to right."""
    count = max(8, round((right - left) * 40))
    xs = [left + (right - left) * i / count for i in range(count + 1)]
    return [(x, y + amplitude * math.sin(2 * math.pi * x / period + phase)) for x in xs]
