"""Pictures that people bring: decoded with limits, turned upright, re-encoded."""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from generation.errors import Complaint

MAX_BYTES = 25 * 2**20
MAX_PIXELS = 64_000_000
LARGEST_SIDE = 2048
FORMATS = ("PNG", "JPEG", "WEBP", "GIF")


def clean(data: bytes) -> bytes:
    """Re-encode a picture as an upright RGB PNG of at most 2048 pixels a side, free of its metadata.

    Raises Complaint for anything that is no PNG, JPEG, WebP or GIF, is damaged, or is too large to open safely.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large pictures; the limit below is ours
            opened = Image.open(io.BytesIO(data), formats=FORMATS)
            if opened.width * opened.height > MAX_PIXELS:
                raise Complaint(f"This picture is too large: {opened.width}×{opened.height} pixels.")
            upright = ImageOps.exif_transpose(opened).convert("RGBA")
    except UnidentifiedImageError:
        raise Complaint("This file is not a picture I can read: send a PNG, JPEG, WebP or GIF.") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise Complaint("This picture is damaged: I could not read it to the end.") from None
    return _encode(upright)


def _encode(image: Image.Image) -> bytes:
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
    opaque = Image.new("RGB", image.size, "white")
    opaque.paste(image, mask=image.getchannel("A"))
    buffer = io.BytesIO()
    opaque.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
