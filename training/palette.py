"""The named colours, and functions that lighten, darken and tint them."""

from __future__ import annotations

Rgb = tuple[int, int, int]

COLOURS: dict[str, Rgb] = {
    "red": (222, 52, 48),
    "orange": (246, 138, 36),
    "yellow": (252, 212, 52),
    "green": (74, 172, 74),
    "blue": (48, 104, 218),
    "purple": (134, 70, 190),
    "pink": (250, 140, 184),
    "white": (248, 247, 244),
    "black": (34, 33, 40),
    "teal": (22, 152, 152),
    "brown": (122, 74, 44),
    "grey": (138, 138, 138),
}


def mix(first: Rgb, second: Rgb, share: float) -> Rgb:
    """Return the interpolation between two colours, at `share` of the way from the first to the second."""
    r, g, b = (round(p + (q - p) * share) for p, q in zip(first, second, strict=True))
    return (r, g, b)


def lighten(colour: Rgb, share: float = 0.3) -> Rgb:
    """Mix a colour with a warm white."""
    return mix(colour, (255, 252, 242), share)


def darken(colour: Rgb, share: float = 0.25) -> Rgb:
    """Mix a colour with a cool dark blue."""
    return mix(colour, (24, 18, 52), share)


def tint(colour: Rgb, light: tuple[float, float, float]) -> Rgb:
    """Return a colour under a coloured light, which multiplies each channel."""
    r, g, b = (min(255, round(c * k)) for c, k in zip(colour, light, strict=True))
    return (r, g, b)
