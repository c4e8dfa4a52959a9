"""Objects with large clear silhouettes, each drawn in a given colour."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from training import creatures, second_shapes
from training.canvas import Point
from training.palette import Rgb, darken, lighten
from training.pen import BARK, CREAM, FRAME, INK, LAMP, ROOF, Pen, contrasting_colour


def castle(pen: Pen, colour: Rgb) -> None:
    """Draw a castle with two round towers and a gate."""
    roof, wall = contrasting_colour(colour), colour
    pen.box(-0.36, 0, 0.36, 0.46, wall)
    for i in range(4):
        left = -0.36 + 0.2 * i
        pen.box(left, 0.44, left + 0.12, 0.54, wall)
    pen.box(-0.12, 0.3, 0.12, 0.74, darken(wall, 0.08))
    pen.polygon([(-0.19, 0.73), (0, 1.04), (0.19, 0.73)], roof)
    pen.polygon([(0, 1.04), (0.19, 0.73), (0.06, 0.73)], darken(roof, 0.18))
    for x in (-0.42, 0.42):
        pen.box(x - 0.14, 0, x + 0.14, 0.62, wall)
        pen.box(x + 0.05, 0, x + 0.14, 0.62, darken(wall, 0.2))
        pen.polygon([(x - 0.19, 0.61), (x, 0.92), (x + 0.19, 0.61)], roof)
        pen.polygon([(x, 0.92), (x + 0.19, 0.61), (x + 0.06, 0.61)], darken(roof, 0.18))
        pen.lamp(x - 0.08, 0.32, x + 0.03, 0.5)
    pen.box(-0.14, 0, 0.14, 0.22, darken(wall, 0.62))
    pen.chord(0, 0.22, 0.14, 0.14, 180, 360, darken(wall, 0.62))


def house(pen: Pen, colour: Rgb) -> None:
    """Draw a cottage in the given colour with a door and two lit windows; the warm roof is always the same."""
    pen.box(0.15, 0.6, 0.29, 0.94, darken(ROOF, 0.3))
    pen.box(-0.42, 0, 0.42, 0.54, colour)
    pen.box(0.3, 0, 0.42, 0.54, darken(colour, 0.16))
    pen.polygon([(-0.54, 0.48), (0, 1.0), (0.54, 0.48)], ROOF)
    pen.polygon([(0, 1.0), (0.54, 0.48), (0.3, 0.48), (-0.06, 0.94)], darken(ROOF, 0.2))
    pen.box(-0.1, 0, 0.1, 0.32, FRAME, 0.04)
    for x in (-0.26, 0.26):
        pen.box(x - 0.13, 0.13, x + 0.13, 0.41, FRAME, 0.03)
        pen.lamp(x - 0.085, 0.175, x + 0.085, 0.365)


def tree(pen: Pen, colour: Rgb) -> None:
    """Draw a round leafy tree."""
    pen.polygon([(-0.09, 0), (-0.055, 0.5), (0.055, 0.5), (0.09, 0)], BARK)
    pen.polygon([(0.02, 0), (0.02, 0.5), (0.055, 0.5), (0.09, 0)], darken(BARK, 0.25))
    under = darken(colour, 0.18)
    for dx, dy, r in ((-0.2, 0.52, 0.22), (0.22, 0.52, 0.22), (0.02, 0.5, 0.24)):
        pen.ellipse(dx, dy, r, r, under)
    for dx, dy, r in ((-0.17, 0.62, 0.22), (0.18, 0.62, 0.21), (0, 0.78, 0.24)):
        pen.ellipse(dx, dy, r, r, colour)
    for dx, dy, r in ((-0.12, 0.84, 0.07), (-0.22, 0.68, 0.06)):
        pen.ellipse(dx, dy, r, r, lighten(colour, 0.28))


def boat(pen: Pen, colour: Rgb) -> None:
    """Draw a sailing boat with a coloured hull."""
    sail = CREAM if colour[1] < 215 or colour[0] < 200 else (240, 150, 120)
    pen.line([(0, 0.16), (0, 0.98)], 0.045, (120, 84, 60))
    pen.polygon([(0.04, 0.26), (0.04, 0.95), (0.42, 0.26)], sail)
    pen.polygon([(-0.04, 0.26), (-0.04, 0.84), (-0.34, 0.26)], darken(sail, 0.13))
    hull = [(-0.52, 0.2), (0.54, 0.2), (0.36, -0.06), (-0.34, -0.06)]
    pen.polygon(hull, colour)
    pen.shade(hull, (-0.02, 0.09), darken(colour, 0.25), curved=False)
    pen.box(-0.53, 0.17, 0.55, 0.225, lighten(colour, 0.45), 0.02)


def balloon(pen: Pen, colour: Rgb) -> None:
    """Draw a hot-air balloon with a striped envelope and a basket."""
    basket = (150, 100, 60)
    for x in (-0.11, 0.11):
        pen.line([(x * 1.7, -0.08), (x, -0.36)], 0.018, darken(basket, 0.3))
    envelope = [
        (0, 0.5),
        (0.3, 0.4),
        (0.4, 0.16),
        (0.3, -0.06),
        (0.12, -0.22),
        (-0.12, -0.22),
        (-0.3, -0.06),
        (-0.4, 0.16),
        (-0.3, 0.4),
    ]
    pen.curve(envelope, colour)
    stripe = lighten(colour, 0.55)
    for k in (-1, 1):
        pen.curve(
            [
                (0, 0.5),
                (k * 0.2, 0.36),
                (k * 0.25, 0.16),
                (k * 0.18, -0.08),
                (k * 0.08, -0.22),
                (k * 0.04, -0.22),
                (k * 0.08, -0.06),
                (k * 0.11, 0.16),
                (k * 0.08, 0.36),
            ],
            stripe,
        )
    pen.shade(envelope, (-0.09, 0.03), darken(colour, 0.2))
    pen.box(-0.12, -0.5, 0.12, -0.34, basket, 0.03)
    pen.box(-0.14, -0.38, 0.14, -0.33, lighten(basket, 0.25), 0.02)


def rocket(pen: Pen, colour: Rgb) -> None:
    """Draw a rocket with fins, a porthole and a flame."""
    body = lighten(colour, 0.08)
    for tone, k in (((250, 140, 50), 1.0), ((255, 226, 120), 0.55)):
        pen.curve(
            [
                (-0.12 * k, -0.3),
                (0, -0.28),
                (0.12 * k, -0.3),
                (0.06 * k, -0.3 - 0.14 * k),
                (0, -0.3 - 0.24 * k),
                (-0.06 * k, -0.3 - 0.14 * k),
            ],
            tone,
        )
    fin = contrasting_colour(colour)
    for k in (-1, 1):
        pen.polygon(
            [(k * 0.15, 0.02), (k * 0.34, -0.22), (k * 0.32, -0.38), (k * 0.12, -0.24)],
            fin if k < 0 else darken(fin, 0.2),
        )
    hull = [(0, 0.52), (0.15, 0.3), (0.2, 0.02), (0.13, -0.3), (-0.13, -0.3), (-0.2, 0.02), (-0.15, 0.3)]
    pen.curve(hull, body)
    pen.curve([(0, 0.54), (0.1, 0.38), (0.12, 0.28), (0, 0.26), (-0.12, 0.28), (-0.1, 0.38)], fin)
    pen.shade(hull, (-0.09, 0.0), darken(body, 0.22))
    pen.ellipse(0, 0.08, 0.12, 0.12, CREAM)
    pen.ellipse(0, 0.08, 0.08, 0.08, (90, 170, 220))


def lighthouse(pen: Pen, colour: Rgb) -> None:
    """Draw a lighthouse with three broad stripes on a rock, which shines to both sides."""
    for k in (-1, 1):
        pen.polygon([(0, 0.84), (k * 0.62, 1.02), (k * 0.62, 0.72)], (255, 242, 176))
    rock = (118, 112, 128)
    pen.curve(
        [(-0.4, -0.02), (-0.26, 0.1), (0, 0.13), (0.28, 0.09), (0.42, -0.02), (0.22, -0.07), (-0.22, -0.07)], rock
    )
    stripe = CREAM if sum(colour) < 640 else (226, 84, 72)
    for i in range(3):
        low, high = 0.07 + 0.22 * i, 0.07 + 0.22 * (i + 1)
        a, b = 0.26 - 0.035 * i, 0.225 - 0.035 * i
        tone = stripe if i % 2 else colour
        pen.polygon([(-a, low), (-b, high), (b, high), (a, low)], tone)
        pen.polygon([(a * 0.4, low), (b * 0.4, high), (b, high), (a, low)], darken(tone, 0.18))
    pen.box(-0.22, 0.71, 0.22, 0.78, INK, 0.02)
    pen.lamp(-0.13, 0.77, 0.13, 0.92)
    pen.polygon([(-0.2, 0.91), (0, 1.12), (0.2, 0.91)], colour if sum(colour) < 640 else stripe)


def fish(pen: Pen, colour: Rgb) -> None:
    """Draw a round fish facing left."""
    fin = darken(colour, 0.2)
    pen.curve([(0.3, 0.0), (0.52, 0.25), (0.58, 0.2), (0.5, 0.0), (0.58, -0.2), (0.52, -0.25)], fin)
    pen.curve([(-0.12, 0.22), (0.02, 0.4), (0.2, 0.38), (0.22, 0.18)], fin)
    pen.curve([(-0.02, -0.22), (0.04, -0.36), (0.18, -0.34), (0.14, -0.18)], fin)
    body = [
        (-0.5, 0.0),
        (-0.34, 0.2),
        (-0.05, 0.29),
        (0.22, 0.17),
        (0.38, 0.0),
        (0.22, -0.17),
        (-0.05, -0.29),
        (-0.34, -0.2),
    ]
    pen.curve(body, colour)
    pen.shade(body, (-0.02, 0.1), darken(colour, 0.16))
    for x in (0.0, 0.16):
        pen.curve(
            [(x, 0.22 - x * 0.5), (x + 0.06, 0.12), (x + 0.06, -0.12), (x, -0.22 + x * 0.5), (x + 0.01, 0.0)],
            lighten(colour, 0.45),
        )
    pen.ellipse(-0.28, 0.06, 0.1, 0.1, (255, 255, 255))
    pen.ellipse(-0.295, 0.06, 0.055, 0.055, INK)


def heart(pen: Pen, colour: Rgb) -> None:
    """Draw a heart with a highlight."""
    outline = [
        (
            0.44 * math.sin(t) ** 3,
            0.03 + 0.36 * math.cos(t) - 0.14 * math.cos(2 * t) - 0.055 * math.cos(3 * t) - 0.03 * math.cos(4 * t),
        )
        for t in (2 * math.pi * i / 60 for i in range(60))
    ]
    pen.polygon(outline, colour)
    pen.shade(outline, (-0.07, 0.06), darken(colour, 0.2), curved=False)
    pen.curve([(-0.3, 0.2), (-0.24, 0.3), (-0.14, 0.32), (-0.17, 0.25), (-0.24, 0.18)], lighten(colour, 0.55))


def mushroom(pen: Pen, colour: Rgb) -> None:
    """Draw a toadstool with spots."""
    stem = (250, 238, 214)
    pen.curve([(-0.13, 0.44), (-0.14, 0.2), (-0.2, 0.02), (0, -0.03), (0.2, 0.02), (0.14, 0.2), (0.13, 0.44)], stem)
    pen.curve([(0.03, 0.44), (0.05, 0.2), (0.07, 0.0), (0.2, 0.02), (0.14, 0.2), (0.13, 0.44)], darken(stem, 0.16))
    cap = [
        (-0.48, 0.4),
        (-0.42, 0.62),
        (-0.22, 0.84),
        (0, 0.9),
        (0.22, 0.84),
        (0.42, 0.62),
        (0.48, 0.4),
        (0.24, 0.35),
        (-0.24, 0.35),
    ]
    pen.curve(cap, colour)
    pen.shade(cap, (-0.06, 0.07), darken(colour, 0.2))
    spot = (255, 252, 244) if sum(colour) < 640 else (226, 92, 84)
    for x, y, r in (
        (-0.24, 0.6, 0.11),
        (0.04, 0.74, 0.095),
        (0.26, 0.54, 0.1),
    ):
        pen.ellipse(x, y, r, r * 0.85, spot)


def planet(pen: Pen, colour: Rgb) -> None:
    """Draw a planet with one broad golden ring; a golden planet has a white ring."""
    ring = (246, 238, 224) if colour[0] > 200 and colour[2] < 110 else (250, 208, 110)
    tilt = -0.24

    def arc(radius: float, start: float, end: float) -> list[Point]:
        angles = [start + (end - start) * i / 24 for i in range(25)]
        flat = [(radius * math.cos(a), 0.3 * radius * math.sin(a)) for a in angles]
        return [(x * math.cos(tilt) - y * math.sin(tilt), x * math.sin(tilt) + y * math.cos(tilt)) for x, y in flat]

    pen.polygon([*arc(0.62, 0, math.pi), *reversed(arc(0.42, 0, math.pi))], darken(ring, 0.2))
    pen.ball(0, 0, 0.36, 0.36, colour)
    pen.polygon([*arc(0.62, math.pi, 2 * math.pi), *reversed(arc(0.4, math.pi, 2 * math.pi))], ring)


def ghost(pen: Pen, colour: Rgb) -> None:
    """Draw a friendly ghost."""
    hem = [(0.36 - 0.06 * i, -0.42 + (0.1 if i % 2 else 0.0)) for i in range(13)]
    outline = [(0.36 * math.cos(t), 0.16 + 0.36 * math.sin(t)) for t in (math.pi - math.pi * i / 20 for i in range(21))]
    hem = [(0.36 - 0.72 * i / 24, -0.4 + 0.06 * math.cos(i * math.pi / 4)) for i in range(25)]
    body = [*outline, *hem]
    pen.polygon(body, colour)
    pen.shade(body, (-0.09, 0.0), darken(colour, 0.16), curved=False)
    dark = sum(colour) < 200
    for x in (-0.16, 0.12):
        pen.ellipse(x, 0.18, 0.075, 0.105, CREAM if dark else INK)
        pen.ellipse(x - 0.02, 0.22, 0.028, 0.034, INK if dark else (255, 255, 255))
        pen.ellipse(x + (-0.1 if x < 0 else 0.1), 0.01, 0.055, 0.04, (250, 150, 160))
    pen.chord(-0.02, 0.04, 0.08, 0.1, 0, 180, CREAM if dark else INK)


def flower(pen: Pen, colour: Rgb) -> None:
    """Draw a flower of five big petals with a smiling face."""
    green = (74, 156, 76)
    pen.line([(0, 0), (0, 0.5)], 0.08, green)
    pen.curve([(0, 0.06), (-0.18, 0.08), (-0.36, 0.3), (-0.16, 0.3), (0, 0.18)], green)
    pen.curve([(0, 0.06), (0.18, 0.08), (0.36, 0.3), (0.16, 0.3), (0, 0.18)], darken(green, 0.16))
    for i in range(5):
        a = math.pi * (0.4 * i + 0.5)
        pen.ellipse(0.24 * math.cos(a), 0.7 + 0.24 * math.sin(a), 0.19, 0.19, darken(colour, 0.14 if i > 2 else 0.0))
    yellow = colour[0] > 200 and colour[1] > 180 and colour[2] < 100
    pen.ellipse(0, 0.7, 0.17, 0.17, (156, 92, 54) if yellow else (255, 208, 84))
    for x in (-0.065, 0.065):
        pen.ellipse(x, 0.73, 0.034, 0.045, CREAM if yellow else INK)
    pen.chord(0, 0.67, 0.07, 0.07, 0, 180, CREAM if yellow else INK)


def car(pen: Pen, colour: Rgb) -> None:
    """Draw a small round car facing left."""
    glass = (206, 234, 246)
    cabin = [(-0.36, 0.34), (-0.27, 0.6), (-0.1, 0.69), (0.14, 0.69), (0.32, 0.6), (0.42, 0.34)]
    pen.curve(cabin, darken(colour, 0.08))
    pen.curve([(-0.25, 0.38), (-0.2, 0.54), (-0.09, 0.6), (-0.03, 0.6), (-0.03, 0.38)], glass)
    pen.curve([(0.07, 0.38), (0.07, 0.6), (0.13, 0.6), (0.24, 0.54), (0.3, 0.38)], glass)
    pen.box(-0.56, 0.1, 0.56, 0.41, colour, 0.14)
    pen.box(-0.52, 0.1, 0.52, 0.19, darken(colour, 0.25), 0.05)
    for x in (-0.31, 0.31):
        pen.ellipse(x, 0.1, 0.16, 0.16, INK)
        pen.ellipse(x, 0.1, 0.075, 0.075, (222, 222, 226))
    pen.ellipse(-0.48, 0.29, 0.06, 0.06, LAMP)


def windmill(pen: Pen, colour: Rgb) -> None:
    """Draw a windmill with a round cap and four broad sails."""
    sail, wood = contrasting_colour(colour), (104, 66, 56)
    pen.ellipse(0, 0.7, 0.22, 0.2, darken(colour, 0.35))
    pen.polygon([(-0.3, 0), (-0.19, 0.7), (0.19, 0.7), (0.3, 0)], colour)
    pen.polygon([(0.12, 0), (0.07, 0.7), (0.19, 0.7), (0.3, 0)], darken(colour, 0.18))
    pen.box(-0.1, 0, 0.1, 0.18, wood, 0.03)
    pen.chord(0, 0.18, 0.1, 0.1, 180, 360, wood)
    for i in range(4):
        a = math.pi / 2 * i + math.pi / 4
        u, v = (math.cos(a), math.sin(a)), (-math.sin(a), math.cos(a))
        ends = ((0.0, -0.03), (0.2, -0.08), (0.56, -0.08), (0.56, 0.08), (0.2, 0.08), (0.0, 0.03))
        blade = [(u[0] * r + v[0] * s, 0.62 + u[1] * r + v[1] * s) for r, s in ends]
        pen.polygon(blade, sail if i % 2 else darken(sail, 0.1))
    pen.ellipse(0, 0.62, 0.065, 0.065, wood)


def pine(pen: Pen, colour: Rgb) -> None:
    """Draw a pine of three broad tiers."""
    pen.box(-0.08, 0, 0.08, 0.24, BARK)
    pen.box(0.02, 0, 0.08, 0.24, darken(BARK, 0.25))
    for low, half, high in ((0.16, 0.43, 0.64), (0.41, 0.36, 0.86), (0.66, 0.28, 1.08)):
        skirt = [(-half, low), (-half * 0.5, low - 0.04), (0, low - 0.05), (half * 0.5, low - 0.04), (half, low)]
        if low > 0.2:
            pen.polygon([*((x * 0.86, y - 0.06) for x, y in skirt), (0, high)], darken(colour, 0.32))
        pen.polygon([*skirt, (0, high)], colour)
        pen.polygon([(half * 0.3, low - 0.045), *skirt[3:], (0, high)], darken(colour, 0.16))


DrawFunction = Callable[[Pen, Rgb], None]


@dataclass(frozen=True)
class DrawableObject:
    """An object's drawing function, placement, height, and colours that a caption may leave out."""

    draw: DrawFunction
    placement: str
    size: float
    default_colours: tuple[str, ...]
    # Objects that face one side, or have something on one side, are also drawn mirrored.
    mirrorable: bool = False
    # Every other drawing has this silhouette instead.
    second_shape: DrawFunction | None = None


OBJECTS: dict[str, DrawableObject] = {
    "castle": DrawableObject(castle, "ground", 0.56, ("grey", "white", "pink", "purple")),
    "house": DrawableObject(
        house,
        "ground",
        0.56,
        ("red", "yellow", "white", "blue", "orange"),
        mirrorable=True,
        second_shape=second_shapes.town_house,
    ),
    "tree": DrawableObject(tree, "ground", 0.62, ("green",), second_shape=second_shapes.apple_tree),
    "boat": DrawableObject(boat, "water", 0.53, ("red", "brown", "white", "blue"), mirrorable=True),
    "balloon": DrawableObject(balloon, "air", 0.56, ("red", "orange", "yellow", "purple")),
    "rocket": DrawableObject(rocket, "air", 0.6, ("white", "red", "grey", "blue")),
    "lighthouse": DrawableObject(lighthouse, "shore", 0.6, ("red",)),
    "fish": DrawableObject(fish, "deep", 0.56, ("orange", "yellow", "blue", "red"), mirrorable=True),
    "heart": DrawableObject(heart, "air", 0.55, ("red", "pink")),
    "mushroom": DrawableObject(mushroom, "ground", 0.51, ("red", "brown")),
    "planet": DrawableObject(planet, "sky", 0.57, ("orange", "teal", "purple")),
    "ghost": DrawableObject(ghost, "air", 0.59, ("white",)),
    "flower": DrawableObject(
        flower, "ground", 0.54, ("red", "pink", "yellow", "purple"), second_shape=second_shapes.tulip
    ),
    "car": DrawableObject(car, "ground", 0.59, ("red", "blue", "yellow"), mirrorable=True),
    "windmill": DrawableObject(windmill, "ground", 0.58, ("white", "red", "grey")),
    "pine": DrawableObject(pine, "clearing", 0.6, ("green",)),
    "cat": DrawableObject(creatures.cat, "ground", 0.6, ("orange", "grey", "black", "white"), mirrorable=True),
    "dog": DrawableObject(creatures.dog, "ground", 0.62, ("brown", "white", "yellow"), mirrorable=True),
    "fox": DrawableObject(creatures.fox, "ground", 0.58, ("orange", "red"), mirrorable=True),
    "rabbit": DrawableObject(creatures.rabbit, "ground", 0.54, ("white", "brown", "grey")),
    "bear": DrawableObject(creatures.bear, "ground", 0.63, ("brown", "white", "black")),
    "owl": DrawableObject(creatures.owl, "ground", 0.6, ("brown", "white", "grey")),
    "bird": DrawableObject(creatures.bird, "ground", 0.62, ("blue", "red", "yellow"), mirrorable=True),
    "horse": DrawableObject(creatures.horse, "ground", 0.6, ("brown", "white", "black")),
    "unicorn": DrawableObject(creatures.unicorn, "ground", 0.5, ("white", "pink")),
    "whale": DrawableObject(creatures.whale, "swimming", 0.56, ("blue", "grey", "teal")),
    "dragon": DrawableObject(creatures.dragon, "ground", 0.54, ("green", "red", "purple"), mirrorable=True),
    "butterfly": DrawableObject(creatures.butterfly, "flying", 0.62, ("orange", "blue", "yellow", "pink")),
    "robot": DrawableObject(creatures.robot, "ground", 0.58, ("blue", "grey", "red", "teal"), mirrorable=True),
    "astronaut": DrawableObject(creatures.astronaut, "anywhere", 0.6, ("white", "orange")),
    "wizard": DrawableObject(creatures.wizard, "ground", 0.5, ("purple", "blue"), mirrorable=True),
    "knight": DrawableObject(creatures.knight, "ground", 0.52, ("red", "blue"), mirrorable=True),
    "snowman": DrawableObject(creatures.snowman, "clearing", 0.55, ("white",), mirrorable=True),
}
