"""Sanitize uploaded images: decode with limits, turn upright, re-encode."""

from __future__ import annotations

import io
import re
import threading
import warnings
from contextlib import suppress

from PIL import Image, UnidentifiedImageError

from generation.errors import UserError
from generation.text import Text

MAX_BYTES = 25 * 2**20
MAX_PIXELS = 64_000_000
MAX_SIDE = 2048
MAX_SCANS = 64  # of a JPEG; progressive files have about 10
MAX_SEGMENTS = 2000  # of a JPEG; 25 MiB of colour profile and depth map need 400
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")

# Decoding a large image takes half a gigabyte, and `catch_warnings` is not thread-safe.
_decode_lock = threading.Lock()

_JPEG_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)  # neither escaped data nor a restart marker
_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01

_ORIENTATION = 0x0112  # the EXIF tag; below, the transposition for each of its values
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def sanitize_image(data: bytes) -> bytes:
    """Re-encode an image as an upright RGB PNG of at most 2048 pixels a side, without metadata.

    Safe to call from several threads. Raise UserError for files other than PNG, JPEG, WebP or GIF, for damaged ones,
    and for images too large to open safely.
    """
    try:
        with _decode_lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large images and odd metadata
            opened = _open(data)
            transposition = _TRANSPOSITIONS.get(_orientation(opened))
            downscaled = _downscale(opened)
        return _encode(downscaled if transposition is None else downscaled.transpose(transposition))
    except UserError:
        raise
    except UnidentifiedImageError:
        raise UserError(Text("This file is not a picture I can read: send a PNG, JPEG, WebP or GIF.")) from None
    except Image.DecompressionBombError:
        raise UserError(
            Text("This picture is too large: send one of at most {limit} megapixels.", limit=MAX_PIXELS // 10**6)
        ) from None
    except Exception:  # Pillow's decoders raise many kinds of errors for broken files
        raise UserError(
            Text("This picture is damaged, and I could not read all of it: save or export it again.")
        ) from None


def _open(data: bytes) -> Image.Image:
    _reject_slow_jpeg(data)
    opened = Image.open(io.BytesIO(data), formats=FORMATS)
    if opened.width * opened.height > MAX_PIXELS:
        raise Image.DecompressionBombError
    opened.draft(None, (MAX_SIDE, MAX_SIDE))  # decodes a large JPEG at half its size or less
    return opened


def _reject_slow_jpeg(data: bytes) -> None:
    """Raise UserError for a JPEG that would take hours to decode.

    Each scan covers the whole image, but needs only a hundred bytes. For each EXIF segment Pillow copies all previous
    ones.
    """
    scans = segments = 0
    offset = 0 if data.startswith(b"\xff\xd8") else len(data)
    while (marker := _JPEG_MARKER.search(data, offset)) and (kind := marker[1][0]) != _EOI:
        offset = marker.end()
        if kind not in (_SOI, _TEM):  # these have no length field
            offset += int.from_bytes(data[offset : offset + 2])
        segments += 1
        scans += kind == _SOS
        if scans > MAX_SCANS or segments > MAX_SEGMENTS:
            raise UserError(Text("This JPEG has too many segments: save or export it again."))


def _orientation(image: Image.Image) -> int:
    with suppress(Exception):  # odd EXIF is no reason to reject the image itself
        return int(image.getexif()[_ORIENTATION])
    return 1


def _downscale(image: Image.Image) -> Image.Image:
    mode = "RGBA" if image.has_transparency_data else "RGB"
    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value / 256).convert("L")  # `convert` alone would clip nearly all to white
    if image.mode != mode:
        image = image.convert(mode)
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    image.load()
    return image


def _encode(image: Image.Image) -> bytes:
    opaque = Image.new("RGB", image.size, "white")
    opaque.paste(image, mask=image if image.mode == "RGBA" else None)
    buffer = io.BytesIO()
    opaque.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
