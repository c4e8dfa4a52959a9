"""What the engine writes into the files of pictures besides the pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import c2pa
import pytest
from PIL import Image

from generation.engine.networks.pipeline_loader import Pipeline
from generation.files.c2pa_credentials import Credentials, load_or_create_credentials
from generation.files.c2pa_signing import ContentCredentialsSigner
from generation.files.infotext import infotext
from generation.files.metadata import MetadataPolicy
from generation.messages import Finished, Grid
from generation.params import Params, PromptPart
from tests.generation.studio import Studio, generate, params

PROMPT = params(
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
def engine(pipeline: Pipeline, imprint: MetadataPolicy) -> Iterator[Studio]:
    studio = Studio(pipeline, imprint)
    yield studio
    studio.close()


def draw(pipeline: Pipeline, imprint: MetadataPolicy, wanted: Params, **more: int) -> Grid:
    with engine(pipeline, imprint) as studio:
        (end,) = studio.draw(generate("a", wanted, **more))
    assert isinstance(end, Finished)
    return end.grid


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def is_valid(data: bytes, suffix: str) -> bool:
    return c2pa.Reader(f"image/{suffix}", io.BytesIO(data)).get_validation_state() == "Valid"


def test_without_prompts_no_file_holds_a_word_of_one(pipeline, credentials):
    told = draw(pipeline, MetadataPolicy(), PROMPT)
    assert all(word in tile.lower() for tile in told.tiles for word in WORDS)
    for imprint in (
        MetadataPolicy(include_prompts=False),
        MetadataPolicy(include_prompts=False, credentials=credentials),
    ):
        grid = draw(pipeline, imprint, PROMPT)
        assert not any(word in file.lower() for file in (*grid.tiles, grid.image) for word in WORDS)
        for index, tile in enumerate(grid.tiles):
            assert opened(tile).info == {"parameters": infotext(PROMPT, pipeline.model, index, with_prompt=False)}
            assert opened(tile).tobytes() == opened(told.tiles[index]).tobytes()


def test_every_tile_and_the_sheet_are_signed(pipeline, credentials):
    plain = draw(pipeline, MetadataPolicy(), PROMPT)
    signed = draw(pipeline, MetadataPolicy(credentials=credentials), PROMPT)
    assert [is_valid(tile, "png") for tile in signed.tiles] == [True, True]
    assert is_valid(signed.image, signed.suffix)
    for before, after in zip((*plain.tiles, plain.image), (*signed.tiles, signed.image), strict=True):
        assert opened(after).tobytes() == opened(before).tobytes()
        assert opened(after).info.get("parameters") == opened(before).info.get("parameters")


@pytest.mark.parametrize("count", [1, 2])
def test_what_is_posted_is_signed_within_its_limit(pipeline, credentials, count):
    limit = ContentCredentialsSigner.max_signature_bytes + 2000
    grid = draw(
        pipeline,
        MetadataPolicy(credentials=credentials),
        params(count=count, width=128, height=128),
        upload_limit=limit,
    )
    assert is_valid(grid.image, grid.suffix)
    assert len(grid.image) <= limit


def test_a_picture_alone_is_posted_as_its_signed_tile(pipeline, credentials):
    grid = draw(pipeline, MetadataPolicy(credentials=credentials), params())
    assert (grid.image, grid.suffix) == (grid.tiles[0], "png")
    assert is_valid(grid.image, "png")
