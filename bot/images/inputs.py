"""The pictures that a result was made from, small and side by side, to be shown beside it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence

from PIL import Image, ImageChops

from db.image_files import ImageStore
from generation.errors import UserError
from generation.params import Params, Upload

HEIGHT = 96  # pixels
MAX_WIDTH = 2 * HEIGHT  # of one picture
GAP = 4
QUALITY = 85  # of the JPEG
FILENAME_PREFIX = "inputs_"
_PAPER = "#2b2d31"
_KEPT_BRIGHTNESS = 0.35  # of what a mask keeps


async def draw_inputs(files: ImageStore, params: Params) -> bytes | None:
    """Return the inputs of a job as one small JPEG, or None if it has none that people gave.

    A masked picture is darker where it was kept. A picture that a button started from is none: it is a result itself.
    """
    given = [params.source] if is_masked(params) else [params.source, *params.blended, *params.image_prompts]
    shown = [image for image in given if image is not None and (is_masked(params) or isinstance(image, Upload))]
    style = None if params.style_is_palette else params.style  # nobody gave that one
    references = style, params.character, params.control
    shown += [image for image in (params.original, *references) if isinstance(image, Upload)]
    try:
        images = [await files.read(image) for image in shown]
        mask = await files.read(params.mask) if params.mask else None
    except (FileNotFoundError, UserError):  # deleted or damaged meanwhile
        return None
    return await asyncio.to_thread(_strip, images, mask, params.region) if images else None


def purposes(params: Params) -> list[str]:
    """Return what the pictures are for that people gave, if none is one to draw from."""
    if params.source is not None or params.image_prompts:
        return []
    given = {"style": params.style, "character": params.character, "control": params.control}
    return [purpose for purpose, image in given.items() if image is not None]


def is_masked(params: Params) -> bool:
    """Return whether only a part of the source is drawn anew."""
    return params.mask is not None or bool(params.region)


def _strip(images: Sequence[bytes], mask: bytes | None, region: Sequence[int]) -> bytes:
    pictures = [_small(image) for image in images]
    if mask is not None or region:
        pictures = [_with_mask(pictures[0], _open_mask(mask) if mask is not None else _cells(region))]
    width = sum(picture.width for picture in pictures) + GAP * (len(pictures) - 1)
    strip = Image.new("RGB", (width, HEIGHT), _PAPER)
    left = 0
    for picture in pictures:
        strip.paste(picture, (left, (HEIGHT - picture.height) // 2))
        left += picture.width + GAP
    file = io.BytesIO()
    strip.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def _small(image: bytes) -> Image.Image:
    with Image.open(io.BytesIO(image)) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((MAX_WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    return picture


def _open_mask(mask: bytes) -> Image.Image:
    with Image.open(io.BytesIO(mask)) as opened:
        return opened.convert("L")


def _cells(region: Sequence[int]) -> Image.Image:
    mask = Image.new("L", (3, 3))
    for cell in region:
        mask.putpixel((cell % 3, cell // 3), 255)
    return mask


def _with_mask(picture: Image.Image, mask: Image.Image) -> Image.Image:
    changed = mask.resize(picture.size, Image.Resampling.NEAREST)
    kept = changed.point(lambda white: round(255 * _KEPT_BRIGHTNESS + white * (1 - _KEPT_BRIGHTNESS)))
    return ImageChops.multiply(picture, Image.merge("RGB", [kept] * 3))
