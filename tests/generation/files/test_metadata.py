"""The metadata that the engine writes into image files."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager

import c2pa
import pytest
from PIL import Image

from generation.engine.networks.pipeline_loader import Pipeline
from generation.files.c2pa_credentials import Credentials, load_or_create_credentials
from generation.files.c2pa_signing import ContentCredentialsSigner
from generation.files.infotext import infotext
from generation.files.job_name import named_job
from generation.files.metadata import MetadataPolicy
from generation.messages import Finished, Grid
from generation.params import Params, PromptPart
from tests.support.engine_harness import EngineHarness, make_params, make_request

PROMPT = make_params(
    parts=(PromptPart("a xylophone in Ljubljana", 2), PromptPart("quicksilver", -0.5)),
    no=("mumbling",),
    negative_prompt="thunderstorms",
    count=2,
)
WORDS = (b"xylophone", b"ljubljana", b"quicksilver", b"mumbling", b"thunderstorms")


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    return load_or_create_credentials(tmp_path_factory.mktemp("kept") / "signature.pem")


@contextmanager
def make_harness(pipeline: Pipeline, policy: MetadataPolicy) -> Iterator[EngineHarness]:
    harness = EngineHarness(pipeline, policy)
    yield harness
    harness.close()


def generate_grid(pipeline: Pipeline, policy: MetadataPolicy, params: Params, **more: int) -> Grid:
    with make_harness(pipeline, policy) as harness:
        (end,) = harness.generate(make_request("a", params, **more))
    assert isinstance(end, Finished)
    return end.grid


def open_image(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def is_valid(data: bytes, suffix: str) -> bool:
    return c2pa.Reader(f"image/{suffix}", io.BytesIO(data)).get_validation_state() == "Valid"


def test_without_prompts_no_file_contains_words_of_one(pipeline, credentials):
    with_prompt = generate_grid(pipeline, MetadataPolicy(), PROMPT)
    assert all(word in tile.lower() for tile in with_prompt.tiles for word in WORDS)
    for policy in (
        MetadataPolicy(include_prompts=False),
        MetadataPolicy(include_prompts=False, credentials=credentials),
    ):
        grid = generate_grid(pipeline, policy, PROMPT)
        assert not any(word in file.lower() for file in (*grid.tiles, grid.image) for word in WORDS)
        for index, tile in enumerate(grid.tiles):
            assert open_image(tile).info == {
                "parameters": infotext(PROMPT, pipeline.model, index, job_id="a", with_prompt=False)
            }
            assert open_image(tile).tobytes() == open_image(with_prompt.tiles[index]).tobytes()


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("limit", [10_000_000, ContentCredentialsSigner.max_signature_bytes + 4000])
@pytest.mark.parametrize("signed", [False, True])
def test_every_file_names_its_job(pipeline, credentials, count, limit, signed):
    policy = MetadataPolicy(include_prompts=False, credentials=credentials if signed else None)
    params = make_params(count=count, width=128, height=128)
    with make_harness(pipeline, policy) as harness:
        (end,) = harness.generate(make_request("0123456789ab", params, upload_limit=limit))
    assert isinstance(end, Finished)
    for file in (*end.grid.tiles, end.grid.image):
        assert named_job(file) == "0123456789ab"
        if signed:
            suffix = "png" if file.startswith(b"\x89PNG") else "webp"
            report = json.loads(c2pa.Reader(f"image/{suffix}", io.BytesIO(file)).json())
            assert report["manifests"][report["active_manifest"]]["title"].startswith("0123456789ab")


def test_every_tile_and_the_grid_image_are_signed(pipeline, credentials):
    plain = generate_grid(pipeline, MetadataPolicy(), PROMPT)
    signed = generate_grid(pipeline, MetadataPolicy(credentials=credentials), PROMPT)
    assert [is_valid(tile, "png") for tile in signed.tiles] == [True, True]
    assert is_valid(signed.image, signed.suffix)
    for before, after in zip((*plain.tiles, plain.image), (*signed.tiles, signed.image), strict=True):
        assert open_image(after).tobytes() == open_image(before).tobytes()
        assert open_image(after).info.get("parameters") == open_image(before).info.get("parameters")


@pytest.mark.parametrize("count", [1, 2])
def test_the_posted_image_is_signed_within_the_upload_limit(pipeline, credentials, count):
    limit = ContentCredentialsSigner.max_signature_bytes + 2000
    grid = generate_grid(
        pipeline,
        MetadataPolicy(credentials=credentials),
        make_params(count=count, width=128, height=128),
        upload_limit=limit,
    )
    assert is_valid(grid.image, grid.suffix)
    assert len(grid.image) <= limit


def test_a_single_image_is_posted_as_its_signed_tile(pipeline, credentials):
    grid = generate_grid(pipeline, MetadataPolicy(credentials=credentials), make_params())
    assert (grid.image, grid.suffix) == (grid.tiles[0], "png")
    assert is_valid(grid.image, "png")
