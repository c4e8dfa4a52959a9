"""Notice image files that were cut off or overwritten on the disk, without decoding them."""

from __future__ import annotations

from generation.errors import UserError
from generation.files.png_chunks import SIGNATURE, has_all_chunks
from generation.text import Text


def require_complete(data: bytes) -> None:
    """Raise UserError for the data of a stored image that is damaged."""
    if not _is_complete(data):
        raise UserError(Text("The file of this picture is damaged, so I cannot use it."))


def _is_complete(data: bytes) -> bool:
    """Return whether a stored PNG, WebP, MP4 or JPEG has its beginning, and the length that it says."""
    if data.startswith(SIGNATURE):
        return has_all_chunks(data)
    if data.startswith(b"RIFF"):
        return int.from_bytes(data[4:8], "little") + 8 <= len(data)
    if data[4:8] == b"ftyp":
        return _has_all_boxes(data)
    return data.startswith(b"\xff\xd8") and b"\xff\xd9" in data[-4096:]


def _has_all_boxes(data: bytes) -> bool:
    """Return whether an MP4 has all its top-level boxes, each of which begins with its length."""
    end = 0
    while end < len(data):
        length = int.from_bytes(data[end : end + 4], "big")
        if length < 8:
            return False
        end += length
    return end == len(data)
