"""The grid image: a job's tiles side by side, encoded within Discord's upload limit."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence

from PIL import ExifTags, Image

QUALITIES = (90, 80, 65, 50)
_UNICODE = b"UNICODE\0"  # prefix of a UTF-16 comment in the Exif standard


def make_grid(tiles: Sequence[Image.Image]) -> Image.Image:
    """Place the tiles, all of one size, in a grid that is as square as possible: 4 tiles give 2×2."""
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    width, height = tiles[0].size
    grid = Image.new("RGB", (columns * width, rows * height))
    for place, tile in enumerate(tiles):
        grid.paste(tile, (place % columns * width, place // columns * height))
    return grid


def encode_to_limit(image: Image.Image, limit: int, text: str = "") -> tuple[bytes, str]:
    """Encode `image` as WebP of at most `limit` bytes, reducing quality first, then size; return also the file suffix.

    `text`, its generation parameters, is stored where AUTOMATIC1111's web UI reads them in a WebP, unless it would take
    more than a quarter of the limit. Raise ValueError if not even one pixel fits.
    """
    exif = infotext_exif(text)
    exif = exif if len(exif) <= limit // 4 else b""
    for smaller_image in _downscaled(image):
        for quality in QUALITIES:
            data = _webp(smaller_image, quality, exif)
            if len(data) <= limit:
                return data, "webp"
    raise ValueError(f"no picture fits into {limit} bytes")


def reencode(data: bytes, limit: int) -> tuple[bytes, str]:
    """Re-encode an image with its parameters in at most `limit` bytes; raise ValueError like `encode_to_limit`.

    A signature is lost, since it covers the exact bytes.
    """
    with Image.open(io.BytesIO(data)) as image:
        return encode_to_limit(image.convert("RGB"), limit, read_infotext(image))


def read_infotext(image: Image.Image) -> str:
    """Return the generation parameters in an image, from a PNG or from the output of `encode_to_limit`."""
    if "parameters" in image.info:
        return str(image.info["parameters"])
    comment: bytes = image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment, b"")
    return comment.removeprefix(_UNICODE).decode("utf-16-be") if comment.startswith(_UNICODE) else ""


def infotext_exif(text: str) -> bytes:
    """Return the Exif block that holds generation parameters, empty without any."""
    if not text:
        return b""
    exif = Image.Exif()
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.UserComment: _UNICODE + text.encode("utf-16-be")}
    return exif.tobytes()


def _downscaled(image: Image.Image) -> Iterator[Image.Image]:
    width, height = image.size
    while min(width, height) >= 1:
        yield image if (width, height) == image.size else image.resize((width, height), Image.Resampling.LANCZOS)
        width, height = int(width * 0.7), int(height * 0.7)


def _webp(image: Image.Image, quality: int, exif: bytes) -> bytes:
    file = io.BytesIO()
    image.save(file, "WEBP", quality=quality, method=0, exif=exif)  # a third of the default's time, for 3 % more bytes
    return file.getvalue()
