"""Creatures and figures with one anatomy: a big head with a face above a small body, seen from the front.

What they share is learnt once; ears, markings, hats and tails tell them apart.
"""

from __future__ import annotations

from training.canvas import ellipse_outline
from training.palette import Rgb, darken, lighten
from training.pen import BARK, CREAM, INK, LAMP, Pen

WHITE: Rgb = (255, 255, 255)
BLUSH: Rgb = (250, 150, 160)
SKIN: Rgb = (252, 214, 178)
GOLD: Rgb = (248, 198, 66)
BEAK: Rgb = (248, 160, 48)
SPOUT: Rgb = (226, 242, 252)
CAT_EYE: Rgb = (252, 222, 70)


def is_dark(colour: Rgb) -> bool:
    """Return whether dark eyes would not be seen on a colour."""
    return sum(colour) < 230


def is_reddish(colour: Rgb) -> bool:
    """Return whether red details would not be seen on a colour."""
    return colour[0] > 190 and colour[1] < 170 and colour[2] < 190


def is_yellowish(colour: Rgb) -> bool:
    """Return whether golden details would not be seen on a colour."""
    return colour[0] > 190 and colour[1] > 110 and colour[2] < 100


def pale(colour: Rgb) -> Rgb:
    """Return the colour of bellies and muzzles: a light tone that differs from the fur, also from white fur."""
    return (236, 214, 200) if sum(colour) > 690 else lighten(colour, 0.3 if is_dark(colour) else 0.62)


def tone(colour: Rgb) -> Rgb:
    """Return the second, darker tone of a colour; black gets a lighter one."""
    return lighten(colour, 0.2) if is_dark(colour) else darken(colour, 0.22)


def rounded(pen: Pen, dx: float, dy: float, rx: float, ry: float, colour: Rgb) -> None:
    """Fill an ellipse with a shadow at its lower right."""
    pen.ellipse(dx, dy, rx, ry, colour)
    outline = ellipse_outline(*pen.at(dx, dy), rx * pen.size, ry * pen.size)
    pen.canvas.crescent(outline, (pen.across(-rx * 0.16), -ry * 0.16 * pen.size), pen.lit(darken(colour, 0.2)))


def eyes(pen: Pen, colour: Rgb, y: float = 0.65, apart: float = 0.15, radius: float = 0.062) -> None:
    """Draw two eyes with highlights that are seen on any colour."""
    eye, light = (CREAM, INK) if is_dark(colour) else (INK, WHITE)
    for x in (-apart, apart):
        pen.ellipse(x, y, radius, radius * 1.2, eye)
        pen.ellipse(x - radius * 0.3, y + radius * 0.4, radius * 0.4, radius * 0.45, light)


def sitting_body(pen: Pen, colour: Rgb) -> None:
    """Draw the body of an animal that sits, with a belly and two feet."""
    rounded(pen, 0, 0.25, 0.29, 0.27, colour)
    pen.ellipse(0, 0.22, 0.17, 0.18, pale(colour))
    for x in (-0.17, 0.17):
        pen.ellipse(x, 0.04, 0.13, 0.07, tone(colour))


def head(pen: Pen, colour: Rgb, rx: float = 0.36, ry: float = 0.29) -> None:
    """Draw a head without its face."""
    rounded(pen, 0, 0.63, rx, ry, colour)


def pointed_ears(pen: Pen, colour: Rgb, inner: Rgb, height: float) -> None:
    """Draw two triangular ears, which end at `height`."""
    for k in (-1, 1):
        pen.polygon([(k * 0.34, 0.66), (k * 0.31, height), (k * 0.07, 0.86)], colour)
        pen.polygon([(k * 0.28, 0.76), (k * 0.275, height - 0.1), (k * 0.15, 0.86)], inner)


def tail(pen: Pen, colour: Rgb, width: float = 0.11) -> None:
    """Draw a tail that curls up beside the body."""
    curl = [(0.2, 0.1), (0.4, 0.09), (0.5, 0.2), (0.5, 0.36), (0.44, 0.46)]
    pen.line(curl, width, colour)
    pen.ellipse(0.43, 0.47, width * 0.6, width * 0.6, tone(colour))


def cat(pen: Pen, colour: Rgb) -> None:
    """Draw a sitting cat with pointed ears, yellow slit eyes and a raised tail."""
    pen.line([(0.22, 0.1), (0.44, 0.12), (0.5, 0.32), (0.44, 0.5), (0.54, 0.66)], 0.13, tone(colour))
    sitting_body(pen, colour)
    pointed_ears(pen, colour, BLUSH, 1.08)
    head(pen, colour)
    for k in (-1, 1):
        for low in (0.48, 0.58):
            pen.line([(k * 0.2, 0.53), (k * 0.48, low)], 0.032, WHITE if is_dark(colour) else INK)
        pen.ellipse(k * 0.17, 0.67, 0.125, 0.125, INK)
        pen.ellipse(k * 0.17, 0.67, 0.105, 0.105, CAT_EYE)
        pen.ellipse(k * 0.17, 0.67, 0.042, 0.09, INK)
    pen.ellipse(0, 0.49, 0.13, 0.075, WHITE)
    pen.polygon([(-0.07, 0.56), (0.07, 0.56), (0, 0.48)], (236, 110, 124))


def dog(pen: Pen, colour: Rgb) -> None:
    """Draw a sitting dog with dark hanging ears, a tongue and a collar."""
    tail(pen, colour, 0.09)
    sitting_body(pen, colour)
    collar = (60, 120, 210) if is_reddish(colour) else (222, 62, 58)
    pen.box(-0.25, 0.31, 0.25, 0.42, collar, 0.05)
    pen.ellipse(0, 0.3, 0.085, 0.085, GOLD)
    rounded(pen, 0, 0.67, 0.33, 0.27, colour)
    ear = (96, 60, 44) if sum(colour) > 300 else lighten(colour, 0.4)
    for k in (-1, 1):
        pen.curve(
            [(k * 0.18, 0.93), (k * 0.4, 0.86), (k * 0.52, 0.6), (k * 0.45, 0.42), (k * 0.31, 0.5), (k * 0.26, 0.74)],
            ear,
        )
    pen.ellipse(0, 0.56, 0.18, 0.14, CREAM)
    pen.ellipse(0, 0.45, 0.07, 0.085, (236, 92, 110))
    pen.ellipse(0, 0.53, 0.13, 0.05, CREAM)
    pen.ellipse(0, 0.62, 0.095, 0.065, INK)
    eyes(pen, colour, 0.75, 0.15)


def fox(pen: Pen, colour: Rgb) -> None:
    """Draw a sitting fox with large ears, white cheeks and a bushy tail."""
    brush = [(0.14, 0.08), (0.36, 0.02), (0.56, 0.18), (0.58, 0.42), (0.5, 0.6), (0.4, 0.4), (0.3, 0.26)]
    pen.curve(brush, colour)
    pen.curve([(0.56, 0.36), (0.59, 0.48), (0.5, 0.62), (0.43, 0.46), (0.49, 0.4)], CREAM)
    sitting_body(pen, colour)
    pointed_ears(pen, colour, INK if not is_dark(colour) else lighten(colour, 0.4), 1.1)
    face = [(-0.42, 0.6), (-0.24, 0.88), (0, 0.92), (0.24, 0.88), (0.42, 0.6), (0.18, 0.44), (0, 0.36), (-0.18, 0.44)]
    pen.curve(face, colour)
    for k in (-1, 1):
        pen.curve([(k * 0.4, 0.59), (k * 0.2, 0.58), (k * 0.02, 0.52), (0, 0.38), (k * 0.18, 0.45)], CREAM)
    pen.ellipse(0, 0.43, 0.07, 0.055, INK)
    eyes(pen, colour, 0.68, 0.16, 0.056)


def rabbit(pen: Pen, colour: Rgb) -> None:
    """Draw a sitting rabbit with long ears and a large carrot."""
    sitting_body(pen, colour)
    for k in (-1, 1):
        ear = [(k * 0.05, 0.76), (k * 0.06, 1.04), (k * 0.18, 1.2), (k * 0.3, 1.06), (k * 0.24, 0.76)]
        pen.curve(ear, colour)
        pen.curve([(k * 0.1, 0.84), (k * 0.11, 1.02), (k * 0.18, 1.11), (k * 0.24, 1.02), (k * 0.2, 0.84)], BLUSH)
    head(pen, colour, 0.32, 0.27)
    pen.ellipse(0, 0.52, 0.16, 0.1, WHITE)
    pen.ellipse(0, 0.58, 0.065, 0.048, (236, 110, 124))
    eyes(pen, colour, 0.69, 0.15)
    for x, y in ((0.36, 0.44), (0.42, 0.34)):
        pen.ellipse(x, y, 0.085, 0.085, (92, 176, 84))
    pen.polygon([(-0.28, 0.08), (0.24, 0.4), (0.36, 0.22)], (246, 130, 36))
    pen.ellipse(0.3, 0.31, 0.11, 0.11, (246, 130, 36))
    for x in (-0.12, 0.14):
        pen.ellipse(x, 0.2, 0.075, 0.075, colour)


def bear(pen: Pen, colour: Rgb) -> None:
    """Draw a sitting bear with round ears and a large muzzle, which holds a pot of honey."""
    for x in (-0.27, 0.27):
        pen.ellipse(x, 0.88, 0.16, 0.16, colour)
        pen.ellipse(x, 0.88, 0.085, 0.085, CREAM)
    sitting_body(pen, colour)
    pot = (92, 132, 206) if is_yellowish(colour) else (236, 156, 44)
    pen.box(-0.19, 0.06, 0.19, 0.34, pot, 0.09)
    pen.box(-0.17, 0.3, 0.17, 0.38, CREAM, 0.03)
    for x in (-0.28, 0.28):
        rounded(pen, x, 0.24, 0.13, 0.13, colour)
    head(pen, colour, 0.38, 0.3)
    pen.ellipse(0, 0.53, 0.21, 0.16, CREAM)
    pen.ellipse(0, 0.58, 0.1, 0.07, INK)
    pen.chord(0, 0.49, 0.08, 0.06, 0, 180, INK)
    eyes(pen, colour, 0.74, 0.19)


def owl(pen: Pen, colour: Rgb) -> None:
    """Draw an owl with large round eyes and folded wings."""
    for k in (-1, 1):
        pen.polygon([(k * 0.36, 0.74), (k * 0.36, 1.04), (k * 0.1, 0.92)], tone(colour))
        pen.ellipse(k * 0.13, 0.02, 0.1, 0.055, BEAK)
    rounded(pen, 0, 0.5, 0.38, 0.47, colour)
    pen.ellipse(0, 0.3, 0.23, 0.24, pale(colour))
    for k in (-1, 1):
        pen.curve([(k * 0.34, 0.6), (k * 0.46, 0.36), (k * 0.36, 0.1), (k * 0.25, 0.34)], tone(colour))
        pen.ellipse(k * 0.16, 0.68, 0.165, 0.165, CREAM)
        pen.ellipse(k * 0.15, 0.68, 0.09, 0.09, INK)
        pen.ellipse(k * 0.15 - 0.03, 0.71, 0.034, 0.034, WHITE)
    pen.polygon([(-0.07, 0.6), (0.07, 0.6), (0, 0.46)], BEAK)


def bird(pen: Pen, colour: Rgb) -> None:
    """Draw a round little bird facing left, on two legs."""
    for x in (-0.04, 0.12):
        pen.line([(x, 0.2), (x, 0.02), (x - 0.07, 0.02)], 0.04, BEAK)
    pen.polygon([(0.28, 0.5), (0.62, 0.66), (0.58, 0.42), (0.3, 0.3)], tone(colour))
    rounded(pen, 0.04, 0.46, 0.37, 0.32, colour)
    rounded(pen, -0.16, 0.7, 0.24, 0.23, colour)
    pen.ellipse(-0.08, 0.38, 0.21, 0.18, pale(colour))
    pen.curve([(0.02, 0.58), (0.3, 0.56), (0.44, 0.4), (0.26, 0.32), (0.08, 0.4)], tone(colour))
    pen.polygon([(-0.36, 0.78), (-0.56, 0.69), (-0.36, 0.62)], BEAK)
    eye, light = (CREAM, INK) if is_dark(colour) else (INK, WHITE)
    pen.ellipse(-0.2, 0.76, 0.058, 0.066, eye)
    pen.ellipse(-0.22, 0.785, 0.022, 0.024, light)


def horse(pen: Pen, colour: Rgb) -> None:
    """Draw a horse facing left with a saddle."""
    draw_horse_body(pen, colour, CREAM if sum(colour) < 420 else (110, 66, 48))
    saddle = (60, 120, 210) if is_reddish(colour) else (222, 62, 58)
    pen.curve([(0.0, 0.66), (0.02, 0.36), (0.16, 0.3), (0.3, 0.36), (0.32, 0.66), (0.16, 0.69)], saddle)
    pen.box(-0.01, 0.62, 0.33, 0.71, GOLD, 0.04)


def draw_horse_body(pen: Pen, colour: Rgb, hair: Rgb) -> None:
    """Draw the body, legs, head, mane and tail of a horse facing left: few large shapes."""
    pen.curve([(0.38, 0.6), (0.54, 0.62), (0.62, 0.44), (0.56, 0.16), (0.46, 0.22), (0.42, 0.44)], hair)
    for x in (-0.22, 0.24):
        pen.box(x, 0.0, x + 0.17, 0.42, colour, 0.03)
        pen.box(x, 0.0, x + 0.17, 0.09, INK, 0.03)
    rounded(pen, 0.1, 0.48, 0.36, 0.2, colour)
    pen.curve([(-0.26, 0.44), (-0.36, 0.7), (-0.28, 0.96), (-0.08, 0.96), (0.06, 0.7), (0.1, 0.5)], colour)
    pen.polygon([(-0.26, 0.98), (-0.16, 1.16), (-0.08, 0.94)], colour)
    pen.curve([(-0.16, 1.04), (0.0, 1.0), (0.14, 0.76), (0.14, 0.56), (0.02, 0.58), (-0.08, 0.82)], hair)
    rounded(pen, -0.36, 0.82, 0.25, 0.17, colour)
    pen.ellipse(-0.49, 0.79, 0.14, 0.145, CREAM)
    pen.ellipse(-0.53, 0.8, 0.032, 0.04, INK)
    pen.ellipse(-0.25, 0.89, 0.075, 0.085, WHITE)
    pen.ellipse(-0.26, 0.89, 0.05, 0.062, INK)


def unicorn(pen: Pen, colour: Rgb) -> None:
    """Draw a horse with a golden horn and a bright mane."""
    mane = (120, 190, 236) if colour[0] > 210 and colour[1] < 200 else (242, 120, 190)
    pen.polygon([(-0.42, 0.9), (-0.42, 1.36), (-0.22, 0.94)], GOLD)
    draw_horse_body(pen, colour, mane)
    for x, y in ((0.02, 0.52), (0.28, 0.46)):
        pen.ellipse(x, y, 0.07, 0.07, mane)


def whale(pen: Pen, colour: Rgb) -> None:
    """Draw a round smiling whale facing left, with a white belly, a raised fluke and a spout."""
    for k in (-1, 1):
        pen.line([(-0.22, 0.3), (-0.22, 0.46), (-0.22 + k * 0.12, 0.6), (-0.22 + k * 0.24, 0.52)], 0.075, SPOUT)
    pen.curve([(0.14, -0.2), (0.34, -0.04), (0.4, 0.34), (0.54, 0.34), (0.56, 0.02), (0.4, -0.26)], colour)
    for k in (-1, 1):
        pen.curve(
            [(0.47, 0.3), (0.47 + k * 0.08, 0.48), (0.47 + k * 0.26, 0.52), (0.47 + k * 0.16, 0.34)], tone(colour)
        )
    rounded(pen, -0.14, 0.0, 0.46, 0.34, colour)
    belly = [(-0.58, -0.04), (-0.36, -0.1), (-0.04, -0.1), (0.26, -0.2), (0.02, -0.34), (-0.34, -0.32), (-0.53, -0.19)]
    pen.curve(belly, (250, 246, 236))
    pen.curve([(-0.1, -0.04), (0.12, -0.08), (0.16, -0.32), (0.0, -0.24)], tone(colour))
    pen.ellipse(-0.37, 0.09, 0.085, 0.095, WHITE)
    pen.ellipse(-0.38, 0.085, 0.055, 0.065, INK)


def dragon(pen: Pen, colour: Rgb) -> None:
    """Draw a sitting dragon with wings, horns and a pointed tail."""
    wing = pale(colour) if not is_dark(colour) else lighten(colour, 0.35)
    for k in (-1, 1):
        pen.polygon(
            [
                (k * 0.18, 0.3),
                (k * 0.3, 0.74),
                (k * 0.66, 0.82),
                (k * 0.6, 0.58),
                (k * 0.68, 0.42),
                (k * 0.5, 0.36),
                (k * 0.46, 0.2),
            ],
            tone(colour),
        )
        pen.polygon([(k * 0.24, 0.34), (k * 0.34, 0.66), (k * 0.56, 0.72), (k * 0.52, 0.52), (k * 0.42, 0.34)], wing)
    pen.line([(0.2, 0.1), (0.4, 0.07), (0.54, 0.14)], 0.11, colour)
    pen.polygon([(0.48, 0.06), (0.5, 0.26), (0.68, 0.22)], tone(colour))
    sitting_body(pen, colour)
    for k in (-1, 1):
        pen.curve([(k * 0.12, 0.82), (k * 0.2, 0.98), (k * 0.34, 1.08), (k * 0.32, 0.94), (k * 0.27, 0.78)], GOLD)
    pen.polygon([(-0.07, 0.86), (0, 1.04), (0.07, 0.86)], tone(colour))
    head(pen, colour, 0.34, 0.28)
    pen.ellipse(0, 0.5, 0.22, 0.13, pale(colour))
    for x in (-0.09, 0.09):
        pen.ellipse(x, 0.54, 0.034, 0.034, darken(colour, 0.5) if not is_dark(colour) else INK)
    eyes(pen, colour, 0.72, 0.16)


def butterfly(pen: Pen, colour: Rgb) -> None:
    """Draw a butterfly with four spotted wings."""
    spot = (255, 244, 206) if sum(colour) < 640 else (240, 150, 120)
    for k in (-1, 1):
        pen.curve(
            [
                (k * 0.03, 0.06),
                (k * 0.14, 0.36),
                (k * 0.42, 0.46),
                (k * 0.56, 0.28),
                (k * 0.44, 0.04),
                (k * 0.2, -0.02),
            ],
            colour,
        )
        pen.curve(
            [
                (k * 0.03, 0.02),
                (k * 0.28, 0.0),
                (k * 0.42, -0.16),
                (k * 0.34, -0.36),
                (k * 0.16, -0.34),
                (k * 0.05, -0.14),
            ],
            tone(colour),
        )
        pen.ellipse(k * 0.36, 0.24, 0.1, 0.1, spot)
        pen.ellipse(k * 0.25, -0.18, 0.08, 0.08, spot)
        pen.line([(k * 0.02, 0.28), (k * 0.1, 0.44), (k * 0.18, 0.5)], 0.03, INK)
    pen.ellipse(0, -0.02, 0.06, 0.28, INK)
    pen.ellipse(0, 0.26, 0.09, 0.085, INK)


def robot(pen: Pen, colour: Rgb) -> None:
    """Draw a robot with a square head, glowing eyes and an antenna."""
    metal, dark = (196, 200, 210) if sum(colour) < 560 else (128, 132, 148), (58, 60, 78)
    pen.line([(0, 0.86), (0, 1.02)], 0.045, dark)
    pen.ellipse(0, 1.04, 0.065, 0.065, (240, 90, 80))
    for k in (-1, 1):
        pen.box(min(k * 0.08, k * 0.22), 0.0, max(k * 0.08, k * 0.22), 0.14, dark, 0.03)
        pen.line([(k * 0.3, 0.36), (k * 0.42, 0.22)], 0.09, metal)
        pen.ellipse(k * 0.43, 0.2, 0.075, 0.075, dark)
        pen.box(min(k * 0.36, k * 0.44), 0.58, max(k * 0.36, k * 0.44), 0.74, metal, 0.03)
    pen.box(-0.29, 0.1, 0.29, 0.46, colour, 0.06)
    pen.box(0.19, 0.1, 0.29, 0.46, darken(colour, 0.2), 0.05)
    pen.box(-0.15, 0.18, 0.12, 0.36, metal, 0.03)
    pen.ellipse(-0.06, 0.27, 0.052, 0.052, (240, 90, 80))
    pen.box(-0.38, 0.46, 0.38, 0.88, colour, 0.09)
    pen.box(-0.3, 0.54, 0.3, 0.8, dark, 0.06)
    for x in (-0.14, 0.14):
        pen.ellipse(x, 0.69, 0.075, 0.075, LAMP)
    pen.box(-0.12, 0.575, 0.12, 0.615, LAMP, 0.02)


def astronaut(pen: Pen, colour: Rgb) -> None:
    """Draw an astronaut with a large round helmet and a dark visor."""
    trim = (240, 120, 70) if not (colour[0] > 200 and colour[2] < 100) else (60, 110, 200)
    pen.box(-0.34, 0.14, 0.34, 0.46, darken(colour, 0.4), 0.08)
    for k in (-1, 1):
        rounded(pen, k * 0.15, 0.1, 0.12, 0.12, colour)
        pen.box(k * 0.15 - 0.13, 0.0, k * 0.15 + 0.13, 0.07, trim, 0.03)
        rounded(pen, k * 0.34, 0.28, 0.11, 0.14, colour)
        pen.ellipse(k * 0.36, 0.17, 0.075, 0.07, trim)
    rounded(pen, 0, 0.28, 0.27, 0.23, colour)
    pen.box(-0.12, 0.2, 0.12, 0.34, trim, 0.03)
    rounded(pen, 0, 0.68, 0.36, 0.34, colour)
    pen.ellipse(0, 0.67, 0.27, 0.23, (38, 52, 96))
    pen.curve([(-0.2, 0.7), (-0.14, 0.83), (0.0, 0.86), (-0.08, 0.78)], (150, 200, 240))


def wizard(pen: Pen, colour: Rgb) -> None:
    """Draw a wizard with a pointed hat, a white beard and a staff."""
    pen.line([(0.44, 0.0), (0.44, 0.66)], 0.055, BARK)
    pen.ellipse(0.44, 0.72, 0.095, 0.095, (130, 220, 250))
    robe = [(-0.36, 0.0), (-0.24, 0.46), (0.24, 0.46), (0.36, 0.0)]
    pen.polygon(robe, colour)
    pen.polygon([(0.14, 0.0), (0.12, 0.46), (0.24, 0.46), (0.36, 0.0)], darken(colour, 0.2))
    pen.ellipse(0.33, 0.3, 0.12, 0.1, colour)
    pen.ellipse(0.42, 0.3, 0.06, 0.06, SKIN)
    pen.ellipse(0, 0.58, 0.27, 0.22, SKIN)
    pen.curve(
        [(-0.28, 0.58), (-0.22, 0.3), (0, 0.14), (0.22, 0.3), (0.28, 0.58), (0.1, 0.5), (-0.1, 0.5)], (246, 246, 250)
    )
    pen.ellipse(0, 0.53, 0.06, 0.05, (240, 170, 140))
    eyes(pen, SKIN, 0.61, 0.12, 0.045)
    pen.polygon([(-0.3, 0.7), (-0.04, 1.24), (0.3, 0.7)], colour)
    pen.polygon([(0.12, 0.7), (-0.04, 1.24), (0.3, 0.7)], darken(colour, 0.2))
    pen.ellipse(0, 0.71, 0.42, 0.075, darken(colour, 0.1))
    pen.ellipse(-0.05, 0.9, 0.07, 0.07, GOLD)


def knight(pen: Pen, colour: Rgb) -> None:
    """Draw a knight with a plume, a shield and a sword."""
    steel = (186, 192, 206)
    pen.box(0.385, 0.2, 0.455, 0.86, (226, 230, 238), 0.03)
    pen.box(0.3, 0.24, 0.54, 0.3, GOLD, 0.02)
    for k in (-1, 1):
        pen.box(k * 0.14 - 0.11, 0.0, k * 0.14 + 0.11, 0.16, darken(steel, 0.25), 0.03)
    pen.box(-0.28, 0.1, 0.28, 0.48, colour, 0.08)
    pen.box(0.16, 0.1, 0.28, 0.48, darken(colour, 0.2), 0.06)
    rounded(pen, 0.36, 0.28, 0.1, 0.11, steel)
    pen.curve([(-0.02, 0.9), (0.0, 1.12), (0.18, 1.2), (0.38, 1.06), (0.34, 0.88), (0.2, 0.98)], colour)
    rounded(pen, 0, 0.68, 0.31, 0.29, steel)
    pen.box(-0.31, 0.42, 0.31, 0.66, steel, 0.06)
    pen.box(0.18, 0.42, 0.31, 0.66, darken(steel, 0.2), 0.05)
    pen.box(-0.25, 0.6, 0.25, 0.73, INK, 0.04)
    for x in (-0.11, 0.11):
        pen.ellipse(x, 0.665, 0.042, 0.05, CREAM)
    pen.curve([(-0.5, 0.42), (-0.3, 0.46), (-0.1, 0.42), (-0.12, 0.2), (-0.3, 0.04), (-0.48, 0.2)], colour)
    pen.curve(
        [(-0.42, 0.36), (-0.3, 0.39), (-0.18, 0.36), (-0.2, 0.22), (-0.3, 0.13), (-0.4, 0.22)],
        CREAM if sum(colour) < 640 else GOLD,
    )


def snowman(pen: Pen, colour: Rgb) -> None:
    """Draw a snowman with a hat, a scarf and a carrot nose."""
    scarf = (222, 62, 58) if not (colour[0] > 190 and colour[1] < 120) else (60, 120, 210)
    wood = (112, 76, 54)
    for k in (-1, 1):
        pen.line([(k * 0.22, 0.4), (k * 0.52, 0.56)], 0.045, wood)
    rounded(pen, 0, 0.23, 0.36, 0.27, colour)
    rounded(pen, 0, 0.68, 0.27, 0.24, colour)
    pen.box(-0.25, 0.43, 0.25, 0.52, scarf, 0.04)
    pen.box(0.08, 0.28, 0.2, 0.48, scarf, 0.03)
    for y in (0.18, 0.32):
        pen.ellipse(-0.04, y, 0.042, 0.042, INK if not is_dark(colour) else CREAM)
    eyes(pen, colour, 0.73, 0.11, 0.046)
    pen.polygon([(-0.03, 0.69), (-0.03, 0.61), (-0.28, 0.62)], BEAK)
    pen.box(-0.3, 0.86, 0.3, 0.93, INK, 0.02)
    pen.box(-0.19, 0.9, 0.19, 1.14, INK, 0.03)
    pen.box(-0.19, 0.93, 0.19, 0.99, scarf)
