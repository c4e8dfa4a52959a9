"""A pen that draws in units of an object's size, and the colours of details."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from training.canvas import Canvas, Point, ellipse_outline, polygon_outline, smooth
from training.palette import Rgb, darken, lighten

Lit = Callable[[Rgb], Rgb]
CREAM: Rgb = (255, 244, 220)
LAMP: Rgb = (255, 220, 110)
INK: Rgb = (44, 38, 56)
ROOF: Rgb = (166, 74, 60)
FRAME: Rgb = (84, 46, 48)
BARK: Rgb = (122, 82, 54)


@dataclass(frozen=True)
class Pen:
    """Draw in units of an object's size, relative to its position; y points up from its foot or centre."""

    canvas: Canvas
    x: float
    y: float
    size: float
    lit: Lit
    mirrored: bool = False

    def at(self, dx: float, dy: float) -> Point:
        """Return a point of the object in canvas coordinates."""
        return (self.x + self.across(dx), self.y - dy * self.size)

    def across(self, dx: float) -> float:
        """Return a horizontal distance on the canvas, negated if the object is mirrored."""
        return -dx * self.size if self.mirrored else dx * self.size

    def polygon(self, points: list[Point], fill: Rgb) -> None:
        """Fill a polygon."""
        self.canvas.polygon([self.at(*p) for p in points], self.lit(fill))

    def curve(self, points: list[Point], fill: Rgb) -> None:
        """Fill a smooth closed curve."""
        self.canvas.polygon(smooth([self.at(*p) for p in points]), self.lit(fill))

    def shade(self, points: list[Point], shift: Point, fill: Rgb, curved: bool = True) -> None:
        """Shade the part of a shape that a shifted copy of it does not cover."""
        placed = [self.at(*p) for p in points]
        outline = polygon_outline(smooth(placed) if curved else placed)
        self.canvas.crescent(outline, (self.across(shift[0]), -shift[1] * self.size), self.lit(fill))

    def ellipse(self, dx: float, dy: float, rx: float, ry: float, fill: Rgb) -> None:
        """Fill an ellipse."""
        self.canvas.ellipse(*self.at(dx, dy), rx * self.size, ry * self.size, self.lit(fill))

    def ball(self, dx: float, dy: float, rx: float, ry: float, fill: Rgb) -> None:
        """Fill an ellipse with a shadow at its lower right and a highlight at its upper left."""
        self.ellipse(dx, dy, rx, ry, fill)
        outline = ellipse_outline(*self.at(dx, dy), rx * self.size, ry * self.size)
        self.canvas.crescent(outline, (self.across(-rx * 0.3), -ry * 0.24 * self.size), self.lit(darken(fill, 0.2)))
        self.ellipse(dx - rx * 0.36, dy + ry * 0.42, rx * 0.2, ry * 0.13, lighten(fill, 0.55))

    def chord(self, dx: float, dy: float, rx: float, ry: float, start: float, end: float, fill: Rgb) -> None:
        """Fill a part of an ellipse."""
        self.canvas.chord(*self.at(dx, dy), rx * self.size, ry * self.size, start, end, self.lit(fill))

    def box(self, left: float, low: float, right: float, high: float, fill: Rgb, radius: float = 0.0) -> None:
        """Fill a box given by its sides."""
        (x0, y0), (x1, y1) = self.at(left, high), self.at(right, low)
        self.canvas.rectangle(x0, y0, x1, y1, self.lit(fill), radius * self.size)

    def line(self, points: list[Point], width: float, fill: Rgb) -> None:
        """Draw a line."""
        self.canvas.line([self.at(*p) for p in points], width * self.size, self.lit(fill))

    def lamp(self, left: float, low: float, right: float, high: float) -> None:
        """Draw a lit window, whose colour does not depend on the scene's light."""
        (x0, y0), (x1, y1) = self.at(left, high), self.at(right, low)
        self.canvas.rectangle(x0, y0, x1, y1, LAMP, 0.02 * self.size)


def contrasting_colour(colour: Rgb) -> Rgb:
    """Return a colour for details that contrasts with this colour."""
    return CREAM if sum(colour) < 560 else (214, 96, 84)
