"""Find out what of a picture is transparent where Pillow does not: in odd depths of PNG, and around a GIF's frame."""

from __future__ import annotations

from PIL import Image, ImageFile

# How Pillow stores samples of other depths than 8 bits: the raw mode of a PNG, and the bits of a sample.
_SAMPLE_BITS = {"L;2": 2, "L;4": 4, "I;16B": 16, "RGB;16B": 16}


def scale_transparent_colour(opened: Image.Image) -> None:
    """Scale the transparent colour of a PNG that is not decoded yet to eight bits, as Pillow will scale its pixels."""
    colour = opened.info.get("transparency")
    tiles = _tiles(opened, "PNG")
    bits = _SAMPLE_BITS.get(str(tiles[0].args)) if tiles else None
    if bits and isinstance(colour, int):
        opened.info["transparency"] = _scaled(colour, bits)
    elif bits and isinstance(colour, tuple):
        opened.info["transparency"] = tuple(_scaled(value, bits) for value in colour)


def eight_bits(image: Image.Image) -> Image.Image:
    """Return an image with eight bits a channel."""
    if not image.mode.startswith("I;16"):
        return image
    grey = image.point(lambda value: value / 256).convert("L")  # `convert` alone would clip nearly all to white
    if "transparency" in image.info:
        grey.info["transparency"] = image.info["transparency"]
    return grey


def _scaled(value: int, bits: int) -> int:
    return value >> (bits - 8) if bits > 8 else value * 255 // (2**bits - 1)


def is_partly_covered(image: Image.Image) -> bool:
    """Return whether the first frame of a GIF leaves a part of the canvas free, which Pillow fills with a colour."""
    tiles = _tiles(image, "GIF")
    return bool(tiles) and "transparency" not in image.info and tiles[0].extents != (0, 0, *image.size)


def on_whole_canvas(image: Image.Image) -> Image.Image:
    """Return an image whose canvas is transparent where its first frame leaves it free."""
    if not is_partly_covered(image):
        return image
    covered = Image.new("L", image.size, 0)
    covered.paste(255, _tiles(image, "GIF")[0].extents)  # before decoding, which forgets the place
    whole = image.convert("RGB")
    whole.putalpha(covered)
    return whole


def _tiles(image: Image.Image, kind: str) -> list[ImageFile._Tile]:
    """Return what is still to be decoded of an image in a file of this kind."""
    return image.tile if isinstance(image, ImageFile.ImageFile) and image.format == kind else []
