"""A file names the job that it comes from, in its parameters text or in its name."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from generation.files.grid_image import encode_to_limit, reencode
from generation.files.infotext import infotext
from generation.files.job_name import ENDS, named_job
from generation.files.png_encoder import encode_png
from generation.prompt import parse_params
from tests.generation.files.test_infotext import MODEL, REGISTRY
from tests.support.growth import ENOUGH_S, seconds

JOB, OTHER = "0123456789ab", "ba9876543210"
PICTURE = Image.new("RGB", (32, 32), "teal")


def text_of(prompt: str, *, with_prompt: bool = True) -> str:
    return infotext(parse_params(prompt, REGISTRY), MODEL, 0, job_id=JOB, with_prompt=with_prompt)


def webp(text: str) -> bytes:
    return encode_to_limit(PICTURE, 100_000, text)[0]


@pytest.mark.parametrize("encode", [lambda text: encode_png(PICTURE, text), webp], ids=["png", "webp"])
@pytest.mark.parametrize(
    "prompt", ["a fox", "a fox 🦊 im Wald", f"a fox, Job: {OTHER}", f"a fox --no Job: {OTHER}"], ids=str
)
def test_a_file_names_its_job(encode, prompt):
    for with_prompt in (True, False):
        data = encode(text_of(prompt, with_prompt=with_prompt))
        assert named_job(data, f"fox_{OTHER}.png") == JOB
    assert named_job(reencode(data, 50_000)[0]) == JOB


@pytest.mark.parametrize("encode", [lambda text: encode_png(PICTURE, text), webp], ids=["png", "webp"])
def test_a_large_file_names_its_job_in_little_time(encode):
    data = encode(text_of("a fox"))
    middle = len(data) // 2 if data.startswith(b"RIFF") else data.index(b"IDAT")
    pixels = bytes(ENDS) + f"Job: {OTHER}".encode("utf-16-be") * 500_000 + bytes(ENDS)
    large = data[:middle] + pixels + data[middle:]
    assert named_job(large) == JOB
    of_all, of_ends = (seconds(lambda _, file=file: named_job(file), "") for file in (large, pixels[ENDS : 3 * ENDS]))
    assert of_all < max(ENOUGH_S, 3 * of_ends)


def test_a_file_without_a_job_is_named_by_its_file_name_only():
    file = io.BytesIO()
    PICTURE.save(file, "PNG")
    assert named_job(file.getvalue()) is None
    assert named_job(file.getvalue(), f"a_fox_{JOB}-2.png") == JOB
    assert named_job(file.getvalue(), "a" * 40 + ".png") is None
