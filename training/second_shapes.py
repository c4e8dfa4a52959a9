"""Second silhouettes of objects, so that the images of one prompt differ by more than position and size."""

from __future__ import annotations

from training.palette import Rgb, darken, lighten
from training.pen import BARK, FRAME, ROOF, Pen


def town_house(pen: Pen, colour: Rgb) -> None:
    """Draw a narrow house of two floors with a steep roof, in the materials of the cottage."""
    pen.box(-0.3, 0, 0.3, 0.72, colour)
    pen.box(0.2, 0, 0.3, 0.72, darken(colour, 0.16))
    pen.polygon([(-0.38, 0.66), (0, 1.14), (0.38, 0.66)], ROOF)
    pen.polygon([(0, 1.14), (0.38, 0.66), (0.2, 0.66), (-0.04, 1.09)], darken(ROOF, 0.2))
    pen.box(-0.22, 0, -0.02, 0.28, FRAME, 0.03)
    for x, y in ((0.13, 0.08), (-0.13, 0.42), (0.13, 0.42)):
        pen.box(x - 0.095, y, x + 0.095, y + 0.22, FRAME, 0.03)
        pen.lamp(x - 0.06, y + 0.035, x + 0.06, y + 0.185)


def apple_tree(pen: Pen, colour: Rgb) -> None:
    """Draw a wide low tree with a thick trunk and large apples; a red tree has yellow ones."""
    pen.polygon([(-0.14, 0), (-0.08, 0.42), (0.08, 0.42), (0.14, 0)], BARK)
    pen.polygon([(0.03, 0), (0.03, 0.42), (0.08, 0.42), (0.14, 0)], darken(BARK, 0.25))
    under = darken(colour, 0.18)
    for dx in (-0.32, 0.0, 0.32):
        pen.ellipse(dx, 0.46, 0.24, 0.18, under)
    for dx, dy in ((-0.32, 0.56), (0.32, 0.56), (-0.16, 0.68), (0.18, 0.68)):
        pen.ellipse(dx, dy, 0.24, 0.19, colour)
    warm = colour[0] > 180 and colour[1] < 170
    for dx, dy in ((-0.34, 0.54), (-0.08, 0.66), (0.12, 0.48), (0.34, 0.64)):
        pen.ellipse(dx, dy, 0.07, 0.07, (250, 214, 90) if warm else (222, 50, 56))


def tulip(pen: Pen, colour: Rgb) -> None:
    """Draw a tulip: a cup of three pointed petals on a stem with two long leaves."""
    green = (74, 156, 76)
    pen.line([(0, 0), (0, 0.5)], 0.08, green)
    pen.curve([(0, 0.02), (-0.12, 0.1), (-0.32, 0.5), (-0.08, 0.36), (0, 0.16)], green)
    pen.curve([(0, 0.02), (0.12, 0.1), (0.32, 0.5), (0.08, 0.36), (0, 0.16)], darken(green, 0.16))
    pen.polygon([(-0.14, 0.6), (0, 1.02), (0.14, 0.6)], darken(colour, 0.28))
    for k, tone in ((-1, colour), (1, darken(colour, 0.14))):
        pen.curve([(0, 0.42), (k * 0.22, 0.5), (k * 0.29, 0.74), (k * 0.26, 0.98), (k * 0.1, 0.84), (0, 0.7)], tone)
    pen.curve([(-0.18, 0.56), (-0.21, 0.72), (-0.2, 0.84), (-0.13, 0.74), (-0.12, 0.6)], lighten(colour, 0.4))
