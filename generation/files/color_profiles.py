"""Convert pictures to sRGB as browsers do: by their ICC profile, or by what a PNG or AVIF says of its colours."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from PIL import Image, ImageChops, ImageCms

SRGB = ImageCms.createProfile("sRGB")
_COLOUR_SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}  # an image's mode, and the space its profile must have
SAME_COLOUR = 3  # of 255: less than this is how profiles of sRGB differ
_LEVELS = (0, 32, 64, 128, 192, 255)
_PROBES = Image.frombytes("RGB", (6, 36), bytes(value for colour in product(_LEVELS, repeat=3) for value in colour))
SCREEN_GAMMA = 2.2  # what a PNG without a profile is made for, unless it says otherwise

_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)

Matrix = tuple[tuple[float, float, float], ...]
Vector = tuple[float, float, float]


class Primaries(NamedTuple):
    """The chromaticities of a colour space: x and y of white, red, green and blue."""

    white: tuple[float, float]
    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]

    @classmethod
    def from_values(cls, values: Sequence[float]) -> Primaries:
        """Return the primaries of eight numbers in this order, as a PNG's cHRM chunk has them."""
        return cls(*((values[at], values[at + 1]) for at in (0, 2, 4, 6)))


_D65 = (0.3127, 0.3290)
BT709 = Primaries(_D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
# The numbers of ITU-T H.273, as in the cICP chunk and AVIF's nclx box.
_CODED_PRIMARIES = {
    1: BT709,
    9: Primaries(_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: Primaries((0.314, 0.351), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    12: Primaries(_D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_CODED_GAMMAS: dict[int, float | None] = {1: None, 4: 2.2, 5: 2.8, 6: None, 8: 1.0, 13: None, 14: None, 15: None}


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an RGB or grey image in sRGB; `image` may have transparency. A profile that does not fit is ignored."""
    if not profile:
        return image
    if image.mode in ("RGBA", "LA"):
        *colours, alpha = image.split()
        converted = to_srgb(colours[0] if len(colours) == 1 else Image.merge("RGB", colours), profile).convert("RGB")
        converted.putalpha(alpha)
        return converted
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space
        if (image.mode, space) == ("L", "RGB "):
            image = image.convert("RGB")
        return _converted(image, source) if space == _COLOUR_SPACES.get(image.mode) else image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image


def _converted(image: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    """Return an image in sRGB; the same one if its profile is sRGB, whatever its name, so that no value changes."""
    intent = ImageCms.Intent(ImageCms.getDefaultIntent(source))
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    transform = ImageCms.buildTransform(source, SRGB, image.mode, "RGB", intent, flags)
    if image.mode == "RGB":
        change = ImageChops.difference(ImageCms.applyTransform(_PROBES, transform) or _PROBES, _PROBES)
        if max(change.tobytes()) <= SAME_COLOUR:
            return image
    return ImageCms.applyTransform(image, transform) or image


def declared_profile(image: Image.Image, data: bytes) -> bytes | None:
    """Return the profile of a picture: the one in the file, else one made of the colours that the file declares."""
    if image.info.get("icc_profile"):
        return bytes(image.info["icc_profile"])
    if coded := _coded_colours(image.format, data):
        return coded
    if image.format != "PNG" or "srgb" in image.info:
        return None
    gamma, chromaticity = image.info.get("gamma"), image.info.get("chromaticity")
    exponent = 1 / gamma if gamma and 0.1 < gamma < 10 else SCREEN_GAMMA
    is_usual = abs(exponent - SCREEN_GAMMA) < 0.05
    if is_usual and not chromaticity:
        return None
    primaries = Primaries.from_values(chromaticity) if chromaticity else BT709
    return matrix_profile(primaries, None if is_usual else exponent)


def _coded_colours(format_name: str | None, data: bytes) -> bytes | None:
    """Return the profile for the numbers in a PNG's cICP chunk or an AVIF's nclx box; None for HDR."""
    if format_name == "PNG":
        place, values = data.find(b"\0\0\0\x04cICP"), (8, 9)
    elif format_name == "AVIF":
        place, values = data.find(b"colrnclx"), (9, 11)
    else:
        return None
    if place < 0 or len(data) < place + 12:
        return None
    primaries, transfer = (data[place + at] for at in values)
    if primaries not in _CODED_PRIMARIES or transfer not in _CODED_GAMMAS or (primaries, transfer) == (1, 13):
        return None
    return matrix_profile(_CODED_PRIMARIES[primaries], _CODED_GAMMAS[transfer])


def matrix_profile(primaries: Primaries, gamma: float | None) -> bytes | None:
    """Return an ICC profile for RGB with these primaries and this exponent; None stands for sRGB's own curve.

    Return None for primaries that no colour space can have.
    """
    try:
        columns = _columns(primaries)
    except (ZeroDivisionError, OverflowError):
        return None
    if any(abs(value) > 4 for column in columns for value in column):
        return None
    curve = _curve(gamma)
    tags = {b"wtpt": _xyz(_D50)} | {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    tags |= {name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)}
    return _icc(tags)


def _columns(primaries: Primaries) -> list[Vector]:
    """Return the XYZ values of red, green and blue under D50, the white of all profiles."""
    white = _from_xy(*primaries.white)
    colours = [_from_xy(*each) for each in (primaries.red, primaries.green, primaries.blue)]
    shares = _apply(_inverse(_transposed(colours)), white)
    adapt = _adaptation(white)
    return [
        _apply(adapt, (share * each[0], share * each[1], share * each[2]))
        for share, each in zip(shares, colours, strict=True)
    ]


def _adaptation(white: Vector) -> Matrix:
    """Return Bradford's matrix, which changes colours under `white` to those under D50."""
    before, after = _apply(_BRADFORD, white), _apply(_BRADFORD, _D50)
    scaled = tuple(
        (row[0] * new / old, row[1] * new / old, row[2] * new / old)
        for row, new, old in zip(_BRADFORD, after, before, strict=True)
    )
    back = _inverse(_BRADFORD)
    return _transposed([_apply(back, column) for column in _transposed(scaled)])


def _from_xy(x: float, y: float) -> Vector:
    return x / y, 1.0, (1 - x - y) / y


def _apply(matrix: Sequence[Sequence[float]], vector: Sequence[float]) -> Vector:
    one, two, three = (sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)
    return one, two, three


def _transposed(rows: Sequence[Sequence[float]]) -> Matrix:
    return tuple((row[0], row[1], row[2]) for row in zip(*rows, strict=True))


def _inverse(rows: Sequence[Sequence[float]]) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = rows
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    cofactors = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    return tuple((row[0] / determinant, row[1] / determinant, row[2] / determinant) for row in cofactors)


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(values: Vector) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, values))


def _curve(gamma: float | None) -> bytes:
    """Return a parametric curve: a power, or sRGB's power with a straight start."""
    kind, values = (3, _SRGB_CURVE) if gamma is None else (0, (gamma,))
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + b"".join(map(_fixed, values))


def _icc(tags: dict[bytes, bytes]) -> bytes:
    """Return an ICC profile of version 4 for a display."""
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = start + len(body)
    header = struct.pack(">I", size) + bytes(4) + b"\x04\x30\0\0mntrRGB XYZ " + bytes(12) + b"acsp"
    header += bytes(28) + b"".join(map(_fixed, _D50))
    return header.ljust(128, b"\0") + table + body
