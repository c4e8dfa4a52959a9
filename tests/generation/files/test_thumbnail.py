"""Thumbnails are small, whole and RGB."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from generation.files.thumbnail import encode_thumbnail


@pytest.mark.parametrize(
    ("size", "small"), [((1024, 512), (320, 160)), ((256, 256), (256, 256)), ((300, 900), (107, 320))]
)
def test_a_thumbnail_has_the_whole_image_and_is_never_larger(size, small):
    image = Image.new("RGBA", size, "red")
    with Image.open(io.BytesIO(encode_thumbnail(image))) as thumbnail:
        assert (thumbnail.format, thumbnail.mode, thumbnail.size) == ("WEBP", "RGB", small)
        assert thumbnail.getpixel((0, 0))[0] > 240
