"""Read JPEGs whose last bytes are missing, as browsers do, as long as the picture itself is there."""

from __future__ import annotations

import io
from typing import NamedTuple

from PIL import Image, ImageChops

END = b"\xff\xd9"
MAX_LOST_SHARE = 1 / 16
MAX_LOST_BYTES = 64
BLOCK = 16  # pixels: the height of a row of blocks
# Appended to the data, these change whatever part of the picture is missing, and nothing else.
_FILLINGS = (bytes(range(255)), bytes(range(254, -1, -2)))
_SOF_KINDS = (0xC0, 0xC1, 0xC2)
_SOS = 0xDA
_LAST_COEFFICIENT = 63


class _Scan(NamedTuple):
    """Where the data of a scan begin, and the values that it completes."""

    data: int
    completes: frozenset[tuple[int, str]]


def completed(data: bytes) -> bytes:
    """Return a JPEG with the mark of its end."""
    return data if data.endswith(END) else data + END


def is_nearly_complete(data: bytes) -> bool:
    """Return whether the missing end of a JPEG holds so little of its picture that nobody sees it."""
    frame = next((data[start:end] for kind, start, end in _segments(data) if kind in _SOF_KINDS), b"")
    scans = _scans(data)
    if len(frame) < 6 or not scans:
        return False
    needed = {(frame[6 + 3 * each], end) for each in range(frame[5]) for end in ("first", "last")}
    if not needed <= {value for scan in scans for value in scan.completes}:
        return False
    lost, there = _lost_share(data), len(data) - scans[-1].data
    return lost <= MAX_LOST_SHARE or (lost < 1 and there * lost / (1 - lost) <= MAX_LOST_BYTES)


def _lost_share(data: bytes) -> float:
    """Return the share of the picture that the last scan would have to complete."""
    whole, lost = _grey(data + END), 0.0
    for filling in _FILLINGS:
        other = _grey(data + filling * (1 + len(data) // len(filling)) + END)
        if box := ImageChops.difference(whole, other).getbbox():
            left, top = box[0] if box[3] - box[1] <= BLOCK else 0, box[1]
            lost = max(lost, 1 - top / whole.height - left / whole.width * (1 - top / whole.height))
    return lost


def _grey(data: bytes) -> Image.Image:
    """Decode the brightness."""
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as opened:
        opened.draft("L", None)
        return opened.convert("L")


def _segments(data: bytes) -> list[tuple[int, int, int]]:
    """Return the kind, the start and the end of each segment with a length, those of scans without their data."""
    found, offset = [], 2
    while 0 <= (offset := data.find(b"\xff", offset)) < len(data) - 3:
        kind = data[offset + 1]
        if kind in (0x00, 0x01, 0xFF) or 0xD0 <= kind <= 0xD9:
            offset += 1 if kind == 0xFF else 2
            continue
        end = offset + 2 + int.from_bytes(data[offset + 2 : offset + 4])
        found.append((kind, offset + 4, end))
        offset = end
    return found


def _scans(data: bytes) -> list[_Scan]:
    found = []
    for kind, start, end in _segments(data):
        if kind != _SOS or end > len(data) or end - start < 6:
            continue
        count = data[start]
        first, last, precision = data[end - 3 : end]
        components = [data[start + 1 + 2 * each] for each in range(min(count, (end - start - 4) // 2))]
        ends = [name for name, reached in (("first", not first), ("last", last == _LAST_COEFFICIENT)) if reached]
        is_coarse = bool(precision & 0x0F)
        completes = frozenset((each, name) for each in components for name in ends if not is_coarse)
        found.append(_Scan(end, completes))
    return found
