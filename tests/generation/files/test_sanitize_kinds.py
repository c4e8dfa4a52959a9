"""Whatever a browser shows is read, with its colours, within bounds of memory; what is damaged is called so."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageCms, features

from generation.errors import UserError
from generation.files.color_profiles import BT709, Primaries, matrix_profile
from generation.files.png_chunks import strip_png
from generation.files.sanitize import MAX_LENGTH, MAX_MEMORY, sanitize_image

ROOT = Path(__file__).parents[3]
P3 = Primaries((0.3127, 0.3290), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE = Primaries((0.3127, 0.3290), (0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
COLOUR = (200, 60, 40)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def colour_of(data: bytes) -> tuple[int, ...]:
    """Return the colour in the middle of the sanitized picture."""
    image = Image.open(io.BytesIO(sanitize_image(data)))
    assert (image.mode, image.info.get("icc_profile")) == ("RGB", None)
    colour = image.getpixel((image.width // 2, image.height // 2))
    assert isinstance(colour, tuple)
    return colour


def is_near(one: tuple[int, ...], other: tuple[int, ...], tolerance: int = 3) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))


def chunk(kind: bytes, body: bytes, *, wrong: bool = False) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ wrong)


def with_chunk(data: bytes, added: bytes, *, last: bool = False) -> bytes:
    """Return a PNG with a chunk after its header, or before its end."""
    at = len(data) - 12 if last else 33
    return data[:at] + added + data[at:]


PICTURE = Image.new("RGB", (16, 16), COLOUR)
PNG = encode(PICTURE, "PNG")
TEXT = b"workflow\0\0" + zlib.compress(b"a" * 3_000_000)
RANDOM_TEXT = random.Random(1).randbytes(600_000).hex().encode()


# --- metadata


@pytest.mark.parametrize(
    "added",
    [
        chunk(b"zTXt", TEXT),
        chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(b"a" * 3_000_000)),
        chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(RANDOM_TEXT)),
        chunk(b"tEXt", b"workflow\0" + b"a" * 3_000_000),
        chunk(b"zTXt", TEXT) * 100,
        chunk(b"tEXt", b"a\0b", wrong=True),
        chunk(b"gAMA", struct.pack(">I", 45455), wrong=True),
        chunk(b"prVt", b"anything", wrong=True),
        chunk(b"pHYs", b"too short"),
        chunk(b"tRNS", b"\0" * 6, wrong=True),
        chunk(b"iCCP", b"a\0\0" + zlib.compress(b"\0" * 20_000_000)),
        chunk(b"iCCP", b"a\0\0" + b"not compressed"),
        chunk(b"iCCP", b""),
        chunk(b"eXIf", b"II*\0"),
        chunk(b"cHRM", b"\0" * 32),
        chunk(b"gAMA", b"\0" * 4),
        chunk(b"cICP", b"\xff\xff\0\1"),
    ],
    ids=range(17),
)
@pytest.mark.parametrize("last", [False, True])
def test_metadata_of_a_png_does_not_matter(added: bytes, last: bool) -> None:
    assert colour_of(with_chunk(PNG, added, last=last)) == COLOUR


def test_only_the_first_of_many_profiles_is_read() -> None:
    linear = matrix_profile(BT709, 1.0)
    profiles = [linear, *(bytes([each]) * 4_000_000 for each in range(3))]
    chunks = [chunk(b"iCCP", b"a\0\0" + zlib.compress(profile)) for profile in profiles if profile]
    data = with_chunk(PNG, b"".join(chunks))
    assert strip_png(data).count(b"iCCP") == 1
    assert is_near(colour_of(data), (228, 132, 110), 4)


def test_a_damaged_picture_is_not_called_no_picture() -> None:
    wrong_header = bytearray(PNG)
    wrong_header[29] ^= 1
    for data in (bytes(wrong_header), PNG[:20], PNG[:40], b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\x24\0\0\0WEBPVP8 "):
        with pytest.raises(UserError, match="is damaged"):
            sanitize_image(data)


# --- JPEGs without their end


SIZES = ((24, 16), (64, 48), (200, 150), (37, 21), (512, 512))
NOISE, GRADIENT = Image.effect_noise((64, 64), 60).convert("RGB"), Image.linear_gradient("L").convert("RGB")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 95}], ids=str)
def test_a_jpeg_without_the_mark_of_its_end_is_read(size: tuple[int, int], options: dict[str, object]) -> None:
    for picture in (NOISE.resize(size), GRADIENT.resize(size), Image.new("RGB", size, COLOUR)):
        data = encode(picture, "JPEG", **options)
        assert sanitize_image(data[:-2]) == sanitize_image(data)


@pytest.mark.parametrize("picture", [NOISE, GRADIENT], ids=["noise", "gradient"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}], ids=str)
def test_a_jpeg_that_lacks_ten_bytes_is_read(picture: Image.Image, options: dict[str, object]) -> None:
    data = encode(picture.resize((200, 150)), "JPEG", **options)
    whole, cut = (Image.open(io.BytesIO(sanitize_image(each))) for each in (data, data[:-10]))
    box = (0, 0, whole.width, whole.height - 16)
    assert whole.crop(box).tobytes() == cut.crop(box).tobytes()


@pytest.mark.parametrize("picture", [NOISE, GRADIENT], ids=["noise", "gradient"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=str)
@pytest.mark.parametrize("share", [0.5, 0.75, 0.85])
def test_a_jpeg_that_lacks_a_part_of_its_picture_is_damaged(
    picture: Image.Image, options: dict[str, object], share: float
) -> None:
    data = encode(picture.resize((512, 512)), "JPEG", **options)
    with pytest.raises(UserError, match="is damaged"):
        sanitize_image(data[: int(len(data) * share)])


# --- colours


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize(
    ("primaries", "gamma"), [(P3, None), (ADOBE, 2.2), (BT709, 1.0)], ids=["p3", "adobe", "linear"]
)
def test_a_profile_of_rgb_is_applied(kind: str, primaries: Primaries, gamma: float | None) -> None:
    profile = matrix_profile(primaries, gamma)
    assert profile
    expected = ImageCms.profileToProfile(
        PICTURE, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert expected is not None
    wanted = expected.getpixel((0, 0))
    assert isinstance(wanted, tuple)
    assert not is_near(wanted, COLOUR, 8)
    assert is_near(colour_of(encode(PICTURE, kind, icc_profile=profile, quality=100)), wanted, 4)


def test_the_red_of_p3_is_the_most_that_srgb_has() -> None:
    """Its value in sRGB is known: a red of 0.917 in P3 is pure red there, beside a little green and blue."""
    profile = matrix_profile(P3, None)
    assert is_near(
        colour_of(encode(Image.new("RGB", (8, 8), (234, 51, 35)), "PNG", icc_profile=profile)), (255, 0, 0), 4
    )
    assert is_near(colour_of(encode(Image.new("RGB", (8, 8), (128, 128, 128)), "PNG", icc_profile=profile)), (128,) * 3)


def test_the_alpha_of_a_picture_with_a_profile_is_kept() -> None:
    profile = matrix_profile(P3, None)
    half = Image.new("RGBA", (8, 8), (255, 255, 255, 0))
    half.paste((234, 51, 35, 255), (0, 0, 8, 4))
    image = Image.open(io.BytesIO(sanitize_image(encode(half, "PNG", icc_profile=profile))))
    assert is_near(image.getpixel((4, 1)), (255, 0, 0), 4)
    assert image.getpixel((4, 7)) == (255, 255, 255)


def grey_profile(gamma: float) -> bytes:
    """Return a profile of grey with this exponent."""
    rgb = matrix_profile(BT709, gamma)
    assert rgb
    curve = rgb[rgb.index(b"para") :][:16]
    white = b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(each * 65536)) for each in (0.9642, 1.0, 0.8249))
    tags = ((b"wtpt", white), (b"kTRC", curve))
    table, body, start = struct.pack(">I", 2), b"", 128 + 4 + 24
    for name, content in tags:
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content
    header = struct.pack(">I", start + len(body)) + rgb[4:16] + b"GRAY" + rgb[20:128]
    return header + table + body


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_profile_of_grey_is_applied(kind: str, mode: str) -> None:
    if (kind, mode) == ("JPEG", "LA"):
        pytest.skip("JPEG has no transparency")
    picture = Image.new("L", (8, 8), 128).convert(mode)
    assert is_near(colour_of(encode(picture, kind, icc_profile=grey_profile(1.0))), (188, 188, 188), 3)
    assert is_near(colour_of(encode(picture, kind, icc_profile=grey_profile(2.2))), (128, 128, 128), 3)


def cmyk_profile() -> bytes:
    """Return a small profile of CMYK: a table of two points for each ink, from CMYK to Lab."""
    grid = b""
    for number in range(16):
        c, m, y, k = (number >> 3 & 1, number >> 2 & 1, number >> 1 & 1, number & 1)
        light = 0 if k else 255 - 60 * (c + m) - 10 * y
        grid += bytes((max(0, light), 128 if k else 128 + 60 * (m - c), 128 if k else 128 + 60 * (y - m)))
    identity = bytes(range(256))
    matrix = b"".join(struct.pack(">i", 65536 * (place in (0, 4, 8))) for place in range(9))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix + identity * 4 + grid + identity * 3
    white = b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(each * 65536)) for each in (0.9642, 1.0, 0.8249))
    tags, body, start = struct.pack(">I", 2), b"", 128 + 4 + 24
    for name, content in ((b"wtpt", white), (b"A2B0", table)):
        tags += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I", start + len(body)) + bytes(4) + b"\x02\x40\0\0prtrCMYKLab " + bytes(12) + b"acsp"
    header += bytes(28) + white[8:]
    return header.ljust(128, b"\0") + tags + body


def test_a_profile_of_cmyk_is_applied() -> None:
    profile, picture = cmyk_profile(), Image.new("CMYK", (16, 16), (0, 200, 200, 0))
    expected = ImageCms.profileToProfile(
        picture, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert expected is not None
    wanted, plain = expected.getpixel((8, 8)), picture.convert("RGB").getpixel((8, 8))
    assert isinstance(wanted, tuple)
    assert isinstance(plain, tuple)
    assert not is_near(wanted, plain, 10)
    assert is_near(colour_of(encode(picture, "JPEG", icc_profile=profile, quality=100)), wanted, 6)
    assert is_near(colour_of(encode(picture, "JPEG", quality=100)), plain, 6)


@pytest.mark.parametrize("profile", [b"\0", b"\0" * 500, cmyk_profile(), grey_profile(1.0)], ids=range(4))
def test_a_profile_that_does_not_fit_is_ignored(profile: bytes) -> None:
    assert colour_of(encode(PICTURE, "PNG", icc_profile=profile)) == COLOUR


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        (chunk(b"gAMA", struct.pack(">I", 100_000)), (228, 132, 110)),  # linear
        (chunk(b"gAMA", struct.pack(">I", 45_455)), COLOUR),
        (chunk(b"gAMA", struct.pack(">I", 100_000)) + chunk(b"sRGB", b"\0"), COLOUR),
        (chunk(b"cICP", bytes((1, 13, 0, 1))), COLOUR),
        (chunk(b"cICP", bytes((12, 13, 0, 1))), (217, 45, 26)),
    ],
    ids=["linear", "usual", "srgb", "cicp srgb", "cicp p3"],
)
def test_the_colours_that_a_png_declares_are_applied(added: bytes, expected: tuple[int, ...]) -> None:
    assert is_near(colour_of(with_chunk(PNG, added)), expected, 4)


def test_the_primaries_that_a_png_declares_are_applied() -> None:
    values = [value for pair in P3 for value in pair]
    body = b"".join(struct.pack(">I", round(value * 100_000)) for value in values)
    assert is_near(colour_of(with_chunk(PNG, chunk(b"cHRM", body))), (217, 45, 26), 4)


def test_sixteen_bits_of_grey_keep_their_brightness_and_transparency() -> None:
    grey = Image.new("I;16", (8, 8), 40_000)
    assert is_near(colour_of(encode(grey, "PNG")), (156,) * 3, 1)
    transparent = with_chunk(encode(grey, "PNG"), chunk(b"tRNS", struct.pack(">H", 40_000)))
    assert colour_of(transparent) == (255, 255, 255)


def test_sixteen_bits_of_colour_keep_their_transparency() -> None:
    pixels = b"".join(b"\0" + struct.pack(">HHH", 50_000, 10_000, 20_000) * 4 for _ in range(4))
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0))
    end = chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    assert is_near(colour_of(data + end), (195, 39, 78), 1)
    assert colour_of(data + chunk(b"tRNS", struct.pack(">HHH", 50_000, 10_000, 20_000)) + end) == (255, 255, 255)


def grey_png(bits: int, values: list[int], transparent: int) -> bytes:
    """Return a PNG of one row of grey values, of which one is transparent."""
    row = 0
    for value in values:
        row = row << bits | value
    pixels = zlib.compress(b"\0" + row.to_bytes(len(values) * bits // 8))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", len(values), 1, bits, 0, 0, 0, 0))
    key = chunk(b"tRNS", struct.pack(">H", transparent))
    return b"\x89PNG\r\n\x1a\n" + header + key + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_transparent_grey_is_found_in_every_depth(bits: int) -> None:
    highest = 2**bits - 1
    shown, transparent = 0, highest // 2 or 1
    image = Image.open(io.BytesIO(sanitize_image(grey_png(bits, [transparent, shown] * 4, transparent))))
    assert [image.getpixel((0, 0)), image.getpixel((1, 0))] == [(255, 255, 255), (0, 0, 0)]


def test_a_dark_transparent_colour_of_sixteen_bits_is_no_bright_one() -> None:
    pixels = b"\0" + struct.pack(">HHH", 0, 0, 200 << 8) + struct.pack(">HHH", 0, 0, 200)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    data += chunk(b"tRNS", struct.pack(">HHH", 0, 0, 200)) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    image = Image.open(io.BytesIO(sanitize_image(data)))
    assert [image.getpixel((0, 0)), image.getpixel((1, 0))] == [(0, 0, 200), (255, 255, 255)]


@pytest.mark.parametrize("background", [0, 1])
def test_the_canvas_around_a_gifs_first_frame_is_transparent(background: int) -> None:
    """A frame of 2×2 blue pixels in the middle of 4×4, with a red and a blue in the palette."""
    start = b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0x80, background, 0) + bytes((255, 0, 0, 0, 0, 255))
    frame = b"\x2c" + struct.pack("<HHHHB", 1, 1, 2, 2, 0) + b"\x02\x03\x4c\x12\x05\0"
    image = Image.open(io.BytesIO(sanitize_image(start + frame + b";")))
    assert [image.getpixel(place) for place in ((0, 0), (1, 1), (2, 2), (3, 3))] == [
        (255, 255, 255),
        (0, 0, 255),
        (0, 0, 255),
        (255, 255, 255),
    ]


@pytest.mark.parametrize("mode", ["RGB", "P", "L"])
@pytest.mark.parametrize("is_replaced", [True, False])
def test_an_animated_png_is_its_first_frame(mode: str, is_replaced: bool) -> None:
    """The picture for programs without animations may be another one."""
    first, second, third = (Image.new("L", (8, 8), grey).convert(mode) for grey in (50, 100, 150))
    data = encode(first, "PNG", save_all=True, default_image=is_replaced, append_images=[second, third])
    assert colour_of(data) == ((100,) * 3 if is_replaced else (50,) * 3)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_only_exif_turns_a_picture(kind: str) -> None:
    noted = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    assert Image.open(io.BytesIO(sanitize_image(encode(PICTURE.resize((32, 16)), kind, xmp=noted)))).size == (32, 16)


@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"msf1"])
def test_heic_is_not_called_damaged(brand: bytes) -> None:
    with pytest.raises(UserError, match="not a picture I can read"):
        sanitize_image(b"\0\0\0\x1cftyp" + brand + b"\0\0\0\0mif1heicmiaf" + bytes(200))


def named_profile(name: str, gamma: float) -> bytes:
    """Return a profile with the primaries of sRGB and a description."""
    text = name.encode("utf-16-be")
    description = b"mluc\0\0\0\0" + struct.pack(">II", 1, 12) + b"enUS" + struct.pack(">II", len(text), 28) + text
    profile = matrix_profile(BT709, gamma)
    assert profile
    count = struct.unpack(">I", profile[128:132])[0]
    tags = [struct.unpack(">4sII", profile[132 + 12 * each : 144 + 12 * each]) for each in range(count)]
    contents = [(b"desc", description), *((tag, profile[at : at + size]) for tag, at, size in tags)]
    table, body = struct.pack(">I", len(contents)), b""
    for tag, content in contents:
        table += struct.pack(">4sII", tag, 128 + 4 + 12 * len(contents) + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    return struct.pack(">I", 128 + len(table) + len(body)) + profile[4:128] + table + body


def test_a_linear_profile_called_srgb_is_applied() -> None:
    profile = named_profile("sRGB-elle-V4-g10.icc", 1.0)
    assert is_near(colour_of(encode(PICTURE, "PNG", icc_profile=profile)), (228, 132, 110), 4)


def test_a_profile_of_srgb_changes_no_value() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for data in (
        encode(NOISE, "PNG", icc_profile=profile),
        encode(NOISE, "PNG", icc_profile=matrix_profile(BT709, None)),
    ):
        assert sanitize_image(data) == sanitize_image(encode(NOISE, "PNG"))


def test_a_grey_picture_may_have_a_profile_of_rgb() -> None:
    profile = matrix_profile(BT709, 1.0)
    assert is_near(colour_of(encode(Image.new("L", (8, 8), 128), "PNG", icc_profile=profile)), (188, 188, 188))


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_avif_is_read_with_its_colours_and_its_first_frame() -> None:
    profile = matrix_profile(P3, None)
    assert is_near(colour_of(encode(PICTURE, "AVIF", quality=100)), COLOUR, 4)
    assert is_near(colour_of(encode(PICTURE, "AVIF", quality=100, icc_profile=profile)), (217, 45, 26), 5)
    frames = [PICTURE, Image.new("RGB", (16, 16), "blue")]
    animated = encode(frames[0], "AVIF", quality=100, save_all=True, append_images=frames[1:])
    assert is_near(colour_of(animated), COLOUR, 4)
    with pytest.raises(UserError, match="is damaged"):
        sanitize_image(animated[: len(animated) // 2])


# --- memory


def png_of(width: int, height: int, kind: int, bits: int = 8) -> bytes:
    """Return a PNG of zeros: kind 0 is grey, 2 colour, 3 a palette, 6 colour with transparency."""
    channels = {0: 1, 2: 3, 3: 1, 6: 4}[kind]
    row = b"\0" * (1 + (width * channels * bits + 7) // 8)
    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    palette = chunk(b"PLTE", b"\xff\0\0") if kind == 3 else b""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + palette + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(1, 64_000_000), (MAX_LENGTH + 1, 1), (17_000, 3_000)])
def test_a_long_picture_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)) + chunk(b"IDAT", b"")
    with pytest.raises(UserError, match=r"too long: send one of at most 16384 pixels a side"):
        sanitize_image(data)


MEASURE = """
import resource, sys
from generation.errors import UserError
from generation.files.sanitize import sanitize_image
data = open(sys.argv[1], "rb").read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    sanitize_image(data)
except UserError as error:
    print(error, file=sys.stderr)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
@pytest.mark.parametrize("name", ["rgba", "palette", "bits", "webp"])
def test_decoding_stays_within_its_memory(tmp_path: Path, name: str) -> None:
    pictures = {
        "rgba": lambda: png_of(8000, 8000, 6),
        "palette": lambda: png_of(8000, 8000, 3),
        "bits": lambda: png_of(8000, 8000, 0, 1),
        "webp": lambda: encode(Image.new("RGB", (6800, 6800)), "WEBP", method=0, quality=1),
    }
    (tmp_path / "picture").write_bytes(pictures[name]())
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "picture")], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert ran.stderr == ""
    assert int(ran.stdout) < MAX_MEMORY + 50 * 2**20


def test_a_webp_that_takes_too_much_memory_is_refused() -> None:
    data = bytearray(encode(Image.new("RGB", (16, 16)), "WEBP"))
    data[26:30] = struct.pack("<HH", 8000, 8000)  # the sides in the header; nothing behind it is decoded
    with pytest.raises(UserError, match="too large: send one of at most 47 megapixels"):
        sanitize_image(bytes(data))
