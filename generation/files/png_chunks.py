"""Check the chunks of a PNG, and take out those that do not belong to its picture."""

from __future__ import annotations

import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Chunks beside the critical ones that change what is seen, in browsers too.
VISIBLE = (b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"eXIf")
ANIMATION = (b"acTL", b"fcTL", b"fdAT")
MAX_PROFILE_BYTES = 4 * 2**20


def strip_png(data: bytes) -> bytes:
    """Return a PNG without texts, private chunks, and chunks of metadata that are damaged.

    What is damaged in its picture stays so. Data that ends within a chunk keeps its end. The frames of an animation are
    left out, unless the first of them is shown in place of the picture.
    """
    kept, offset = [data[: len(SIGNATURE)]], len(SIGNATURE)
    wanted = ANIMATION if _is_replaced_by_frames(data) else ()
    while offset + 12 <= len(data):
        end = offset + 12 + int.from_bytes(data[offset : offset + 4])
        kind = data[offset + 4 : offset + 8]
        if end > len(data):
            break
        if not kind[0] & 0x20 or kind in wanted or (kind in VISIBLE and _is_sound(kind, data[offset:end])):
            kept.append(data[offset:end])
        offset = end
        if kind == b"IEND":
            return b"".join(kept)
    kept.append(data[offset:])
    return b"".join(kept)


def _is_replaced_by_frames(data: bytes) -> bool:
    """Return whether an animation begins after the picture, which only programs without animations show."""
    place = {kind: data.find(kind) for kind in (b"acTL", b"fcTL", b"IDAT")}
    return 0 < place[b"acTL"] < place[b"IDAT"] < place[b"fcTL"]


def has_all_chunks(data: bytes) -> bool:
    """Return whether all chunks of a PNG are there, with the checksums that they say."""
    offset = len(SIGNATURE)
    while data.startswith(SIGNATURE) and offset + 12 <= len(data):
        end = offset + 12 + int.from_bytes(data[offset : offset + 4])
        if zlib.crc32(data[offset + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            return False
        if data[offset + 4 : offset + 8] == b"IEND":
            return True
        offset = end
    return False


def _is_sound(kind: bytes, chunk: bytes) -> bool:
    """Return whether a chunk has the checksum that it says, and a profile of a sensible size."""
    if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:]):
        return False
    if kind != b"iCCP":
        return True
    _, _, packed = chunk[8:-4].partition(b"\0")
    try:
        unpacker = zlib.decompressobj()
        unpacker.decompress(packed[1:], MAX_PROFILE_BYTES)
    except zlib.error:
        return False
    return unpacker.eof
