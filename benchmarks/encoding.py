"""Compare the encoders of results with Pillow's: `python -m benchmarks.encoding`. CPU time, both in one run.

The images are smooth with a little noise, as generated ones are; every file is decoded and compared.
"""

from __future__ import annotations

import io
import sys
import time
import zlib
from collections.abc import Callable
from unittest.mock import patch

import numpy as np
from PIL import Image

from generation.files import png_encoder
from generation.files.grid_image import encode_to_limit
from generation.files.png_encoder import encode_png

SIDES, REPEATS, UPLOAD_LIMIT = (256, 512, 1024), 7, 10 * 2**20
TARGET_RATIO = 0.4  # of Pillow's time, with ISA-L


def main() -> int:
    """Print a table, and return 0 if ISA-L is there and meets the target."""
    print("| | ms | kB | of Pillow's time |\n| --- | --- | --- | --- |")
    ratios = [_compare(side) for side in SIDES]
    return 0 if max(ratios) <= TARGET_RATIO else 1


def _compare(side: int) -> float:
    """Print the rows of one size; return the share of Pillow's time that `encode_png` takes here."""
    image = _smooth_image(side)
    pillow, size = _cpu_milliseconds(lambda: _pillow_png(image))
    print(f"| PNG {side}², Pillow, level 1 | {pillow:.1f} | {size / 1000:.0f} | 1 |")
    with patch.object(png_encoder, "compress", zlib.compress):
        _row(f"PNG {side}², zlib", lambda: encode_png(image, ""), pillow, image)
    ratio = _row(f"PNG {side}², as installed", lambda: encode_png(image, ""), pillow, image)
    webp, size = _cpu_milliseconds(lambda: encode_to_limit(image, UPLOAD_LIMIT)[0])
    print(f"| WebP {side}² | {webp:.1f} | {size / 1000:.0f} | |", flush=True)
    return ratio


def _row(name: str, encode: Callable[[], bytes], pillow: float, image: Image.Image) -> float:
    milliseconds, size = _cpu_milliseconds(encode)
    if not np.array_equal(np.asarray(Image.open(io.BytesIO(encode()))), np.asarray(image)):
        raise RuntimeError(f"{name}: other pixels")
    print(f"| {name} | {milliseconds:.1f} | {size / 1000:.0f} | {milliseconds / pillow:.2f} |")
    return milliseconds / pillow


def _cpu_milliseconds(encode: Callable[[], bytes]) -> tuple[float, int]:
    times, data = [], b""
    for _ in range(REPEATS):
        start = time.process_time()
        data = encode()
        times.append(1000 * (time.process_time() - start))
    return min(times), len(data)


def _pillow_png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _smooth_image(side: int) -> Image.Image:
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8))
    noise = random.integers(-2, 3, (side, side, 3))
    return Image.fromarray((np.asarray(coarse.resize((side, side))) + noise).clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    sys.exit(main())
