"""Read the prompt that a picture's file has in itself, before it is stored without any texts."""

from __future__ import annotations

import io

from PIL import ExifTags, Image

TEXT_KEYS = ("parameters", "Parameters", "invokeai_metadata", "sd-metadata", "Dream", "prompt", "Comment", "comment")
MAX_LENGTH = 20_000  # characters


def prompt_text(data: bytes) -> str:
    """Return what a program wrote about how it made a picture, in its own format; empty if there is nothing."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            texts = [image.info.get(key) for key in TEXT_KEYS]
            texts.append(image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment))
    except Exception:  # Pillow raises errors of all kinds for broken files
        return ""
    return next((text for each in texts if (text := _decoded(each))), "")[:MAX_LENGTH]


def _decoded(value: object) -> str:
    if isinstance(value, bytes):
        encoding = "utf-16-be" if value.startswith(b"UNICODE") else "utf-8"
        value = value.removeprefix(b"UNICODE\0").removeprefix(b"ASCII\0\0\0").decode(encoding, "ignore")
    return value.strip("\0 \n") if isinstance(value, str) else ""
