"""Encode PNG files fast: one filter for all lines, and ISA-L's deflate where it is installed.

Pillow tries every filter on every line. A fixed one takes two thirds of its time, with ISA-L a seventh. The pixels are
the same, and the files about as large: up to 3 % smaller with ISA-L, up to 6 % larger without it.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from generation.files.png_chunks import SIGNATURE

try:
    from isal.isal_zlib import compress
except ImportError:  # it has no wheel for some machines
    from zlib import compress

LEVEL = 1  # higher ones take much longer, for 3 % fewer bytes
AVERAGE = 3  # the number of the filter that predicts the mean of the bytes on the left and above
RGB_BYTES, RGB_8_BIT = 3, (8, 2, 0, 0, 0)  # depth, colour type, compression, filter method, interlacing


def encode_png(image: Image.Image, parameters: str) -> bytes:
    """Return an RGB image as a PNG, with its parameters in the text chunk that AUTOMATIC1111 uses."""
    info = PngInfo()
    info.add_text("parameters", parameters)  # an iTXt chunk if the text is not Latin-1
    header = struct.pack(">II5B", image.width, image.height, *RGB_8_BIT)
    pixels = np.asarray(image.convert("RGB")).reshape(image.height, image.width * RGB_BYTES)
    texts = (_chunk(kind, data) for kind, data, *_ in info.chunks)
    body = _chunk(b"IDAT", compress(_filtered(pixels), LEVEL))
    return b"".join([SIGNATURE, _chunk(b"IHDR", header), *texts, body, _chunk(b"IEND", b"")])


def _filtered(pixels: np.ndarray) -> bytes:
    """Return the lines, each after the number of its filter, as what differs from the mean of left and above."""
    lines = np.empty((pixels.shape[0], 1 + pixels.shape[1]), np.uint8)
    lines[:, 0] = AVERAGE
    left, above = np.zeros_like(pixels), np.zeros_like(pixels)
    left[:, RGB_BYTES:] = pixels[:, :-RGB_BYTES]
    above[1:] = pixels[:-1]
    np.subtract(pixels, (left & above) + ((left ^ above) >> 1), out=lines[:, 1:])  # the mean, without overflowing
    return lines.tobytes()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
