"""Fingerprints find an image again after what people and Discord do to it, and strangers are not claimed."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from bot.finding.cutouts import cut_outs
from generation.files.fingerprint import (
    LENGTH,
    OUTLINE_LENGTH,
    fingerprint,
    fingerprints,
    likenesses,
    mirrored,
    outline,
    outlines,
    unpacked,
    unpacked_outlines,
)

SAME = 0.95  # as bot/finding/finder.py judges
NUMBER = 40


def drawing(seed):
    """Return a picture of overlapping soft shapes, with texture."""
    rng = random.Random(seed)
    image = Image.new("RGB", (256, 256), tuple(rng.randbytes(3)))
    canvas = ImageDraw.Draw(image)
    for _ in range(rng.randint(6, 25)):
        x, y, size = rng.randint(-40, 256), rng.randint(-40, 256), rng.randint(10, 120)
        shape = canvas.ellipse if rng.random() < 0.5 else canvas.rectangle
        shape((x, y, x + size, y + rng.randint(10, 120)), tuple(rng.randbytes(3)))
    return image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2)))


def encoded(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")


def cropped(image, share):
    width, height = image.size
    return image.crop((round(width * share), round(height * share), round(width * (1 - share)), height))


ALTERATIONS = {
    "jpeg": lambda image: encoded(image, "JPEG", quality=40),
    "small": lambda image: encoded(image.resize((128, 128)), "JPEG", quality=60),
    "webp": lambda image: encoded(image, "WEBP", quality=30),
    "bright": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "crop 3 %": lambda image: cropped(image, 0.03),
    "crop 8 %": lambda image: cropped(image, 0.08),
}


@pytest.fixture(scope="module")
def drawings():
    return [drawing(seed) for seed in range(NUMBER)]


@pytest.fixture(scope="module")
def thumbnails(drawings):
    return [encoded(image, "WEBP", quality=82) for image in drawings]


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_altered_image_is_found_again(drawings, thumbnails, name):
    stored = unpacked(fingerprints(thumbnails)).astype(np.float32)
    right = sure = 0
    for number, image in enumerate(drawings):
        altered = ALTERATIONS[name](image)
        nearest = np.argsort(-(stored @ fingerprint(altered).astype(np.float32)))[:5]
        scores = likenesses(altered, [thumbnails[each] for each in nearest])
        right += int(nearest[int(np.argmax(scores))]) == number
        sure += max(scores) >= SAME
    assert right >= 0.95 * NUMBER
    assert sure >= 0.85 * NUMBER


def test_a_stranger_is_never_claimed(thumbnails):
    scores = [max(likenesses(drawing(seed), thumbnails)) for seed in range(1000, 1030)]
    assert max(scores) < SAME


def test_a_scene_with_another_object_is_not_claimed(drawings, thumbnails):
    claimed = 0
    for number, image in enumerate(drawings):
        changed, other = image.copy(), drawings[number - 1]
        place = (60 + number % 5 * 16, 60 + number % 7 * 12)
        changed.paste(other.crop((90, 90, 154, 154)), place)
        claimed += max(likenesses(encoded(changed, "JPEG", quality=80), [thumbnails[number]])) >= SAME
    assert claimed <= 0.05 * NUMBER  # where the two happen to look the same


def test_a_mirrored_fingerprint_is_that_of_the_mirrored_image(drawings):
    flipped = drawings[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    difference = mirrored(fingerprint(drawings[0])[None])[0].astype(int) - fingerprint(flipped)
    assert np.abs(difference).max() <= 1


def test_outlines_are_as_near_as_the_fingerprints(drawings):
    stored = fingerprints(drawings)
    assert len(stored) == NUMBER * LENGTH
    assert len(outlines(stored)) == NUMBER * OUTLINE_LENGTH
    low = unpacked_outlines(outlines(stored)).astype(np.float32)
    for number, image in enumerate(drawings):
        query = outline(fingerprint(encoded(image, "JPEG", quality=40))[None])[0].astype(np.float32)
        assert number in np.argsort(-(low @ query))[:4]


def test_images_of_one_colour_are_told_apart():
    red, dark, blue = (Image.new("RGB", (64, 64), colour) for colour in ("red", "#dd0000", "blue"))
    assert likenesses(red, [red, dark, blue])[0] == 1
    assert likenesses(red, [dark])[0] < SAME
    assert np.abs(fingerprint(red).astype(int)).max() > 0


def file_of(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_the_parts_of_a_sheet_are_cut_out(drawings):
    sheet = Image.new("RGB", (512, 512))
    for number, image in enumerate(drawings[:4]):
        sheet.paste(image, (number % 2 * 256, number // 2 * 256))
    parts = [part.image.tobytes() for part in cut_outs(file_of(sheet))]
    assert all(image.tobytes() in parts for image in drawings[:4])


@pytest.mark.parametrize("background", ["#313338", "#ffffff"])
def test_the_picture_in_a_screenshot_is_cut_out(drawings, background):
    found = 0
    for image in drawings[:10]:
        page = Image.new("RGB", (700, 520), background)
        for line in range(3):
            ImageDraw.Draw(page).text((40, 20 + 22 * line), "somebody said something here " * 2, "#888888")
        page.paste(image.resize((380, 380)), (60, 110))
        found += max(likenesses(part.image, [image])[0] for part in cut_outs(file_of(page))) >= SAME
    assert found >= 9
