"""Sanitize uploaded images: decode with limits, turn upright, re-encode."""

from __future__ import annotations

import io
import re
import threading
import warnings
from contextlib import suppress

from PIL import Image, PngImagePlugin, UnidentifiedImageError, features

from generation.errors import UserError
from generation.files.color_profiles import declared_profile, to_srgb
from generation.files.cut_jpeg import completed, is_nearly_complete
from generation.files.png_chunks import MAX_PROFILE_BYTES, SIGNATURE, strip_png
from generation.files.transparency import eight_bits, is_partly_covered, on_whole_canvas, scale_transparent_colour
from generation.text import Text

MAX_BYTES = 25 * 2**20
MAX_PIXELS = 64_000_000
MAX_LENGTH = 16_384  # pixels of a side
MAX_SIDE = 2048  # pixels of a side of the result
MAX_MEMORY = 640 * 2**20  # bytes, while an image is decoded
MAX_SCANS = 64  # of a JPEG; progressive files have about 10
MAX_SEGMENTS = 2000  # of a JPEG; 25 MiB of colour profile and depth map need 400
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", *(("AVIF",) if features.check("avif") else ()))
# How files of these formats begin: what begins so but cannot be read is damaged.
# AVIF may begin like HEIC, and name itself among the other brands only.
_SIGNATURES = re.compile(
    rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP|....ftyp(?:avi[fs]|m[is]f1.{4}(?:.{4}){0,15}?avi[fs])", re.DOTALL
)
# The bytes that decoding takes for a pixel, with the copies of its modes and of transparent pixels; measured.
_BYTES_PER_PIXEL = {"WEBP": 14, "AVIF": 10, "JPEG": 6, "MPO": 6}  # libjpeg keeps all values of a progressive image
_BYTES_PER_PIXEL_BY_MODE = {"1": 6, "L": 2, "P": 6, "RGB": 5}
_OTHER_BYTES_PER_PIXEL = 10

# Pillow reads nothing longer than this from a PNG: a profile, since `strip_png` takes out the texts.
PngImagePlugin.MAX_TEXT_CHUNK = MAX_PROFILE_BYTES

# Decoding takes up to MAX_MEMORY, and `catch_warnings` is not thread-safe.
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
    """Re-encode an image as an upright RGB PNG in sRGB of at most 2048 pixels a side, without metadata.

    Safe to call from several threads. Raise UserError for files of other formats than browsers show, for damaged ones,
    and for images too large to open safely.
    """
    try:
        with _decode_lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large images and odd metadata
            return _encode(_decode(data))
    except UserError:
        raise
    except UnidentifiedImageError:
        raise _damaged() if _SIGNATURES.match(data) else UserError(_unreadable()) from None
    except Image.DecompressionBombError:  # of a frame within the file
        raise _too_large(MAX_PIXELS) from None
    except Exception:  # Pillow's decoders raise many kinds of errors for broken files
        raise _damaged() from None


def _unreadable() -> Text:
    if "AVIF" in FORMATS:
        return Text("This file is not a picture I can read: send a PNG, JPEG, WebP, GIF or AVIF.")
    return Text("This file is not a picture I can read: send a PNG, JPEG, WebP or GIF.")


def _damaged() -> UserError:
    return UserError(Text("This picture is damaged, and I could not read all of it: save or export it again."))


def _too_large(pixels: int) -> UserError:
    return UserError(
        Text("This picture is too large: send one of at most {limit} megapixels.", limit=max(1, pixels // 10**6))
    )


def _decode(data: bytes) -> Image.Image:
    """Return an upright image in sRGB, at most 2048 pixels a side."""
    if data.startswith(SIGNATURE):
        data = strip_png(data)
    if data.startswith(b"\xff\xd8"):
        _reject_slow_jpeg(data)
    opened = _open(data)
    transposition = _TRANSPOSITIONS.get(_orientation(opened))
    profile = declared_profile(opened, data)
    try:
        downscaled = _downscale(opened)
    except OSError:
        if opened.format not in ("JPEG", "MPO") or not is_nearly_complete(data):
            raise
        downscaled = _downscale(_open(completed(data)))
    converted = to_srgb(downscaled, profile)
    return converted if transposition is None else converted.transpose(transposition)


def _open(data: bytes) -> Image.Image:
    opened = Image.open(io.BytesIO(data), formats=FORMATS)
    _require_memory(opened)
    scale_transparent_colour(opened)
    if _is_replaced_by_frames(opened):
        opened.seek(1)
    if opened.format in ("JPEG", "MPO"):
        opened.draft(None, (MAX_SIDE, MAX_SIDE))  # decodes a large JPEG at half its size or less
    return opened


def _require_memory(opened: Image.Image) -> None:
    """Raise UserError for an image that would take too much memory, before it is decoded."""
    limit = min(MAX_PIXELS, MAX_MEMORY // _bytes_per_pixel(opened))
    if opened.width * opened.height > limit:
        raise _too_large(limit)
    if max(opened.size) > MAX_LENGTH:
        raise UserError(Text("This picture is too long: send one of at most {limit} pixels a side.", limit=MAX_LENGTH))


def _is_replaced_by_frames(opened: Image.Image) -> bool:
    """Return whether an image is an animated PNG whose own picture is not one of the frames."""
    return bool(getattr(opened, "default_image", False))


def _bytes_per_pixel(opened: Image.Image) -> int:
    if _is_replaced_by_frames(opened):
        return 2 * _OTHER_BYTES_PER_PIXEL  # both pictures
    if opened.format in _BYTES_PER_PIXEL and opened.mode != "CMYK":
        return _BYTES_PER_PIXEL[opened.format]
    mode = "RGBA" if opened.has_transparency_data or is_partly_covered(opened) else opened.mode
    return _BYTES_PER_PIXEL_BY_MODE.get(mode, _OTHER_BYTES_PER_PIXEL)


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
    image.info.pop("xmp", None)  # Pillow would read an orientation from it, browsers do not
    with suppress(Exception):  # odd EXIF is no reason to reject the image itself
        return int(image.getexif()[_ORIENTATION])
    return 1


def _downscale(image: Image.Image) -> Image.Image:
    """Decode an image, and shrink it in its own colours, which its profile describes."""
    image = on_whole_canvas(eight_bits(image))
    if image.has_transparency_data and image.mode not in ("RGBA", "LA"):
        image = image.convert("RGBA")
    elif image.mode not in ("RGB", "RGBA", "L", "LA", "CMYK"):
        image = image.convert("RGB")
    image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    image.load()
    return image


def _encode(image: Image.Image) -> bytes:
    opaque = Image.new("RGB", image.size, "white")
    transparent = image.convert("RGBA") if image.mode in ("RGBA", "LA") else None
    opaque.paste(transparent or image.convert("RGB"), mask=transparent)
    buffer = io.BytesIO()
    opaque.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
