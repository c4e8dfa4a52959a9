"""Uploaded images: every format, every orientation, and damaged or hostile files."""

from __future__ import annotations

import io
import struct
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageStat

from generation.errors import UserError
from generation.files.sanitize import MAX_PIXELS, sanitize_image
from tests.support.timing import SCALE

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ORIENTATION = 0x0112


def encode(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def sanitize(data: bytes) -> Image.Image:
    """Sanitize an image and open the result, which must be a plain RGB PNG without metadata."""
    result = Image.open(io.BytesIO(sanitize_image(data)))
    result.load()
    assert (result.format, result.mode, result.info) == ("PNG", "RGB", {})
    return result


def quadrants(width: int = 64, height: int = 32) -> Image.Image:
    """Return an image whose quarters show its orientation: red, green, blue, white."""
    image = Image.new("RGB", (width, height), WHITE)
    w, h = width // 2, height // 2
    for box, colour in (((0, 0, w, h), RED), ((w, 0, width, h), GREEN), ((0, h, w, height), BLUE)):
        image.paste(colour, box)
    return image


def similar(one: Image.Image, other: Image.Image, tolerance: int) -> bool:
    """Return whether no channel differs by more than `tolerance` (of 255) on average."""
    off = ImageStat.Stat(ImageChops.difference(one, other)).mean
    return one.size == other.size and max(off) <= tolerance


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("PNG", {"interlace": 1}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 6),
        ("JPEG", {"quality": 100, "subsampling": 0}, 2),
        ("JPEG", {"quality": 100, "subsampling": 0, "progressive": True}, 2),
        ("GIF", {}, 0),
    ],
)
def test_every_format_is_read(kind, options, tolerance):
    assert similar(sanitize(encode(quadrants(), kind, **options)), quadrants(), tolerance)


@pytest.mark.parametrize(
    ("mode", "colour", "kind", "expected"),
    [
        ("1", 1, "PNG", WHITE),
        ("L", 100, "PNG", (100, 100, 100)),
        ("L", 100, "JPEG", (100, 100, 100)),
        ("I;16", 40000, "PNG", (156, 156, 156)),
        ("I;16", 65535, "PNG", WHITE),
        ("RGB", (1, 2, 3), "PNG", (1, 2, 3)),
        ("CMYK", (0, 255, 255, 0), "JPEG", RED),
        ("LA", (100, 255), "PNG", (100, 100, 100)),
    ],
)
def test_every_colour_mode_becomes_rgb(mode, colour, kind, expected):
    picture = sanitize(encode(Image.new(mode, (16, 16), colour), kind))
    assert similar(picture, Image.new("RGB", (16, 16), expected), 3)


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "RGB", "P"])
def test_a_transparent_palette_colour_becomes_white(mode):
    picture = Image.new(mode, (4, 4), 0)
    data = encode(picture, "PNG", transparency=(0, 0, 0) if mode == "RGB" else 0)
    assert sanitize(data).getpixel((0, 0)) == WHITE


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparent_pixels_are_blended_with_white(kind):
    picture = Image.new("RGBA", (3, 1))
    for x, alpha in enumerate((0, 128, 255)):
        picture.putpixel((x, 0), (*RED, alpha))
    result = sanitize(encode(picture, kind, lossless=True, exact=True) if kind == "WEBP" else encode(picture, kind))
    assert [result.getpixel((x, 0)) for x in range(3)] == [WHITE, (255, 127, 127), RED]


def test_shrinking_does_not_bleed_the_colour_of_transparent_pixels():
    picture = Image.new("RGBA", (4096, 8), (0, 0, 0, 0))
    picture.paste((*RED, 255), (0, 0, 2049, 8))
    result = sanitize(encode(picture, "PNG"))
    darkest_blue = min(result.getchannel("B").crop((1030, 0, 2048, 4)).get_flattened_data())
    assert darkest_blue > 240
    assert {pixel[0] for pixel in result.get_flattened_data()} == {255}, "the transparent half has black pixels"


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation_is_used(kind):
    frames = [Image.new("RGB", (20, 10), colour) for colour in (RED, GREEN, BLUE)]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(data)).n_frames == 3
    assert similar(sanitize(data), frames[0], 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "corners"),
    [
        (1, (RED, GREEN, BLUE, WHITE)),
        (2, (GREEN, RED, WHITE, BLUE)),
        (3, (WHITE, BLUE, GREEN, RED)),
        (4, (BLUE, WHITE, RED, GREEN)),
        (5, (RED, BLUE, GREEN, WHITE)),
        (6, (BLUE, RED, WHITE, GREEN)),
        (7, (WHITE, GREEN, BLUE, RED)),
        (8, (GREEN, WHITE, RED, BLUE)),
        (0, (RED, GREEN, BLUE, WHITE)),
        (9, (RED, GREEN, BLUE, WHITE)),
    ],
)
def test_an_image_is_turned_upright(kind, orientation, corners):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    picture = sanitize(encode(quadrants(), kind, exif=exif, quality=100))
    assert picture.size == ((32, 64) if orientation in (5, 6, 7, 8) else (64, 32))
    spots = [(x, y) for y in (4, picture.height - 5) for x in (4, picture.width - 5)]
    seen = [tuple(255 * (value > 127) for value in picture.getpixel(spot)) for spot in spots]
    assert seen == list(corners)


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0rubbish",
        b"Exif\0\0MM\0*\0\0\0\x08",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12\0\x03\0\0\0\x01",
        b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\0" * 20,
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x05\0\0\0\x1a\0\0\0\0\0\0\0hello",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x05\0\x01\0\0\0\x1a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ],
)
def test_an_image_with_odd_metadata_is_accepted(exif):
    assert similar(sanitize(encode(quadrants(), "JPEG", exif=exif, quality=100, subsampling=0)), quadrants(), 2)


def test_metadata_such_as_the_location_is_removed():
    exif = Image.Exif()
    exif.get_ifd(0x8825)[1] = "N"
    exif[0x010E] = "my house"
    data = encode(quadrants(), "JPEG", exif=exif, comment="secret", icc_profile=b"secret profile")
    assert b"my house" in data
    assert sanitize(data).getexif() == {}
    assert b"my house" not in sanitize_image(data)
    assert b"secret" not in sanitize_image(data)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1, 1), (1, 1)),
        ((2048, 2048), (2048, 2048)),
        ((2049, 100), (2048, 100)),
        ((4096, 1024), (2048, 512)),
        ((1000, 8000), (256, 2048)),
        ((16384, 1), (2048, 1)),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_large_image_is_shrunk_and_a_small_one_keeps_its_size(kind, size, expected):
    assert sanitize(encode(Image.new("RGB", size), kind)).size == expected


def test_a_rotated_image_is_shrunk_too():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    assert sanitize(encode(Image.new("RGB", (4096, 1024)), "JPEG", exif=exif)).size == (512, 2048)


def test_sanitizing_again_changes_nothing():
    once = sanitize_image(encode(quadrants(), "WEBP"))
    assert sanitize_image(once) == once


IMAGE = Image.effect_noise((24, 16), 80).convert("RGB")
SAMPLES = {
    "png": encode(IMAGE.convert("RGBA"), "PNG"),
    "palette": encode(IMAGE.quantize(8), "PNG", transparency=1),
    "jpeg": encode(IMAGE, "JPEG"),
    "progressive": encode(IMAGE, "JPEG", progressive=True),
    "webp": encode(IMAGE, "WEBP"),
    "lossless": encode(IMAGE.convert("RGBA"), "WEBP", lossless=True),
    "gif": encode(IMAGE.quantize(8), "GIF"),
}


@pytest.mark.parametrize("sample", ["png", "jpeg", "progressive", "webp", "gif"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_a_truncated_image_is_reported_as_damaged(sample, share):
    data = SAMPLES[sample]
    with pytest.raises(UserError, match="damaged"):
        sanitize_image(data[: int(len(data) * share)])


@pytest.mark.parametrize("sample", SAMPLES)
def test_an_image_cut_at_any_byte_is_read_or_rejected(sample):
    data = SAMPLES[sample]
    for end in range(0, len(data), 7):
        try:
            sanitize(data[:end])
        except UserError as error:
            assert "damaged" in str(error) or "not a picture" in str(error)


@given(
    sample=st.sampled_from(sorted(SAMPLES)),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_corrupt_bytes_give_an_image_or_a_user_error(sample, changes):
    data = bytearray(SAMPLES[sample])
    for place, value in changes:
        data[place % len(data)] = value
    try:
        sanitize(bytes(data))
    except UserError as error:
        assert str(error).endswith(".")


def struct_error_in_exif() -> bytes:
    """Return a valid JPEG whose EXIF cannot be rewritten, since it has a text instead of a number."""
    entry = struct.pack("<HHI4s", 0x0100, 2, 4, b"abc\0")
    turned = struct.pack("<HHIHH", ORIENTATION, 3, 1, 6, 0)
    return encode(
        quadrants(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + entry + turned + b"\0" * 4
    )


def test_an_image_with_wrong_metadata_types_is_still_rotated_upright():
    assert sanitize(struct_error_in_exif()).size == (32, 64)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"hello" * 1000,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        encode(quadrants(), "BMP"),
        encode(quadrants(), "TIFF"),
        encode(quadrants(), "ICO"),
        encode(quadrants(), "PDF"),
    ],
    ids=[
        "nothing",
        "a zero",
        "text",
        "svg",
        "bmp",
        "tiff",
        "ico",
        "pdf",
    ],
)
def test_other_files_are_refused_with_the_accepted_formats(data):
    with pytest.raises(UserError, match="not a picture I can read: send a PNG, JPEG, WebP"):
        sanitize_image(data)


def png_of(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def jpeg_of(width: int, height: int) -> bytes:
    data = bytearray(SAMPLES["jpeg"])
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def gif_of(width: int, height: int) -> bytes:
    data = bytearray(SAMPLES["gif"])
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def gif_with_a_frame_of(width: int, height: int) -> bytes:
    data = bytearray(SAMPLES["gif"])
    at = data.rindex(b"\x2c\0\0\0\0" + struct.pack("<HH", *IMAGE.size)) + 5
    data[at : at + 4] = struct.pack("<HH", width, height)
    return bytes(data)


def webp_of(width: int, height: int) -> bytes:
    data = bytearray(SAMPLES["lossless"])
    at = data.index(b"VP8L") + 9
    rest = int.from_bytes(data[at : at + 4], "little") & ~0xFFFFFFF
    data[at : at + 4] = (rest | (width - 1) | (height - 1) << 14).to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize(
    ("bomb", "size"),
    [
        *((png_of, size) for size in ((8001, 8000), (13000, 13000), (50000, 50000), (2**31 - 1, 2**31 - 1))),
        *((jpeg_of, size) for size in ((10000, 10000), (65000, 65000))),
        *((gif_of, size) for size in ((10000, 10000), (65535, 65535))),
        (gif_with_a_frame_of, (65535, 65535)),
        (webp_of, (16383, 16383)),
    ],
    ids=lambda value: getattr(value, "__name__", None) or "{}x{}".format(*value),
)
def test_a_decompression_bomb_is_refused_before_it_is_decoded(bomb, size):
    # None of these has the pixels that it claims: if decoded, it would be reported as damaged.
    data = bomb(*size)
    assert len(data) < 5000
    with pytest.raises(UserError, match="too large: send one of at most 64 megapixels"):
        sanitize_image(data)


@cache
def large_jpeg() -> bytes:
    """Return a progressive JPEG of 16 megapixels."""
    return encode(Image.new("L", (4000, 4000)), "JPEG", progressive=True)


def jpeg_with(piece: bytes, count: int, *, last: bool) -> bytes:
    """Return a large JPEG with `piece` repeated many times, at its start or at its end."""
    data = large_jpeg()
    at = len(data) - 2 if last else 2
    return data[:at] + piece * count + data[at:]


def last_scan(data: bytes) -> bytes:
    return data[data.rindex(b"\xff\xc4", 0, data.rindex(b"\xff\xda")) : -2]


@pytest.fixture(scope="module")
def scan():
    """Return the last scan of a large progressive JPEG."""
    return last_scan(large_jpeg())


@pytest.mark.parametrize("filling", [b"", b"\xff", b"\xff\xd0", b"\xff\x01", b"\x00"])
def test_a_jpeg_of_too_many_scans_or_segments_is_refused_before_decoding(scan, filling):
    exif = b"\xff\xe1\0\x12Exif\0\0" + b"A" * 10
    for data in (
        jpeg_with(filling + scan, 20_000, last=True),
        jpeg_with(filling + exif, 200_000, last=False),
        jpeg_with(filling + b"\xff\xfe\0\2", 2_000_000, last=False),
    ):
        before = time.thread_time()
        with pytest.raises(UserError, match="too many segments"):
            sanitize_image(data)
        assert time.thread_time() - before < 1 * SCALE, "the first two would take minutes"


def test_a_realistic_jpeg_with_many_scans_and_segments_is_read(scan):
    assert sanitize(jpeg_with(scan, 20, last=True)).size == (2048, 2048)
    profile = b"\xff\xe2\xff\xff" + b"\xff\xda" * 32766 + b"\0"  # looks like scans, but is skipped
    assert sanitize(jpeg_with(profile, 255, last=False)).size == (2048, 2048)


def test_the_first_image_of_a_multi_picture_jpeg_is_used():
    data = encode(quadrants(), "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))], quality=100)
    assert similar(sanitize(data), quadrants(), 12)


def test_the_largest_dimensions_are_decoded():
    with pytest.raises(UserError, match="damaged"):
        sanitize_image(png_of(8000, MAX_PIXELS // 8000))


def test_sanitizing_in_many_threads_is_correct_and_keeps_warning_filters():
    before = list(warnings.filters)
    pictures = [encode(Image.new("RGB", (300, 200), (number, 0, 0)), "PNG") for number in range(64)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(sanitize_image, pictures))
    assert [Image.open(io.BytesIO(result)).getpixel((0, 0))[0] for result in results] == list(range(64))
    assert warnings.filters == before
