"""Shrunk files keep their parameters and a signature that marks them as AI-generated."""

from __future__ import annotations

import io
from dataclasses import replace

import c2pa
import numpy as np
import pytest
from PIL import Image

from bot.images.resizing import ImageResizer
from generation.files.c2pa_credentials import load_or_create_credentials
from generation.files.c2pa_signing import ContentCredentialsSigner
from generation.files.grid_image import read_infotext
from generation.files.png_encoder import encode_png
from generation.job import Action
from generation.params import Tile
from tests.support.jobs import make_job

TEXT = "a fox 🦊\nSteps: 20, Sampler: Euler a"
LIMIT = 200_000


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    return ContentCredentialsSigner(load_or_create_credentials(tmp_path_factory.mktemp("kept") / "signature.pem"))


class FakeStore:
    """A job store with one job."""

    def __init__(self, job):
        self.job = job

    async def get(self, job_id):
        return self if job_id == self.job.id else None


def png():
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    return encode_png(Image.fromarray(noise), TEXT)


def image_format(data):
    """Return the digital source type of a valid C2PA signature."""
    reader = c2pa.Reader("image/webp", io.BytesIO(data))
    assert reader.get_validation_state() == "Valid"
    (assertion,) = reader.get_active_manifest()["assertions"]
    return assertion["data"]["actions"][0]["digitalSourceType"].rpartition("/")[2]


async def test_a_shrunk_image_keeps_its_parameters_and_is_signed_again(signer):
    job, suffix = make_job(), "png"
    data = signer.sign(png(), suffix, job.params)
    for _ in range(2):
        limit = len(data) - 1
        small, suffix = await ImageResizer(FakeStore(job), signer).fit_to_limit(data, suffix, limit, job)
        assert suffix == "webp"
        assert len(small) <= limit
        assert image_format(small) == "trainedAlgorithmicMedia"
        assert read_infotext(Image.open(io.BytesIO(small))) == TEXT
        data = small


async def test_an_image_that_fits_is_unchanged(signer):
    data = png()
    assert await ImageResizer(FakeStore(make_job()), signer).fit_to_limit(data, "png", len(data), make_job()) == (
        data,
        "png",
    )


async def test_a_picked_tile_is_not_signed_as_an_edit_of_another_image(signer):
    grid = make_job()
    picked = replace(make_job(), action=Action.PICK, parent=Tile(grid.id, 0))
    picked = replace(picked, params=replace(picked.params, source=picked.parent))
    small, _ = await ImageResizer(FakeStore(grid), signer).fit_to_limit(png(), "png", LIMIT, picked)
    assert image_format(small) == "trainedAlgorithmicMedia"


async def test_an_image_without_room_for_a_signature_is_sent_unsigned_and_logged(signer, caplog):
    small, _ = await ImageResizer(FakeStore(make_job()), signer).fit_to_limit(png(), "png", 20_000, make_job())
    assert 0 < len(small) <= 20_000
    assert "without a signature" in caplog.text
