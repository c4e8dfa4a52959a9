"""PNGs are encoded with every pixel and text as Pillow would, with and without ISA-L."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from generation.files import png_encoder
from generation.files.png_chunks import has_all_chunks
from generation.files.png_encoder import encode_png

TEXTS = ("", "a fox\nSteps: 20", "🦊 ünder a tree")


@pytest.fixture(params=["zlib", "isal"], autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    compress = zlib.compress if request.param == "zlib" else pytest.importorskip("isal.isal_zlib").compress
    monkeypatch.setattr(png_encoder, "compress", compress)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (33, 20)])
def test_pixels_and_texts_are_read_again(size: tuple[int, int], text: str) -> None:
    image = noise(*size)
    data = encode_png(image, text)
    read = Image.open(io.BytesIO(data))
    assert (read.mode, read.size, read.info) == ("RGB", size, {"parameters": text})
    assert np.array_equal(np.asarray(read), np.asarray(image))
    assert has_all_chunks(data)


@given(st.lists(st.lists(st.integers(0, 255), min_size=9, max_size=9), min_size=1, max_size=5))
def test_any_bytes_are_read_again(lines: list[list[int]]) -> None:
    values = np.array(lines, np.uint8).reshape(len(lines), 3, 3)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode_png(Image.fromarray(values), "")))), values)


@pytest.mark.parametrize("text", TEXTS)
def test_the_chunks_are_pillows_but_for_the_data(text: str) -> None:
    info, file = PngInfo(), io.BytesIO()
    info.add_text("parameters", text)
    image = noise(16, 16)
    image.save(file, "PNG", pnginfo=info)
    theirs = file.getvalue()
    assert encode_png(image, text).partition(b"IDAT")[0][:-4] == theirs.partition(b"IDAT")[0][:-4]


def test_smooth_images_take_about_as_many_bytes_as_with_pillow() -> None:
    small = noise(16, 16)
    image, file = small.resize((256, 256), Image.Resampling.BICUBIC), io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    assert len(encode_png(image, "")) <= 1.06 * len(file.getvalue())


def noise(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)
