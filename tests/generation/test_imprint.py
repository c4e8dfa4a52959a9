"""What the engine writes into the files of pictures besides the pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import c2pa
import pytest
from PIL import Image

from generation.credentials import Credentials, keep_credentials
from generation.engine.loading import Pipeline
from generation.imprint import Imprint
from generation.infotext import infotext
from generation.messages import Finished, Grid
from generation.params import Params, TextPart
from generation.signing import ContentCredentials
from tests.generation.studio import Studio, generate, params

PROMPT = params(
    parts=(TextPart("a xylophone in Ljubljana", 2), TextPart("quicksilver", -0.5)),
    no=("mumbling",),
    negative_prompt="thunderstorms",
    count=2,
)
WORDS = (b"xylophone", b"ljubljana", b"quicksilver", b"mumbling", b"thunderstorms")


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Credentials:
    return keep_credentials(tmp_path_factory.mktemp("kept") / "signature.pem")


@contextmanager
def engine(pipeline: Pipeline, imprint: Imprint) -> Iterator[Studio]:
    studio = Studio(pipeline, imprint)
    yield studio
    studio.close()


def draw(pipeline: Pipeline, imprint: Imprint, wanted: Params, **more: int) -> Grid:
    with engine(pipeline, imprint) as studio:
        (end,) = studio.draw(generate("a", wanted, **more))
    assert isinstance(end, Finished)
    return end.grid


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def is_valid(data: bytes, suffix: str) -> bool:
    return c2pa.Reader(f"image/{suffix}", io.BytesIO(data)).get_validation_state() == "Valid"


def test_without_prompts_no_file_holds_a_word_of_one(pipeline, credentials):
    told = draw(pipeline, Imprint(), PROMPT)
    assert all(word in tile.lower() for tile in told.tiles for word in WORDS)
    for imprint in (Imprint(prompts=False), Imprint(prompts=False, credentials=credentials)):
        grid = draw(pipeline, imprint, PROMPT)
        assert not any(word in file.lower() for file in (*grid.tiles, grid.sheet) for word in WORDS)
        for index, tile in enumerate(grid.tiles):
            assert opened(tile).info == {"parameters": infotext(PROMPT, pipeline.model, index, with_prompt=False)}
            assert opened(tile).tobytes() == opened(told.tiles[index]).tobytes()


def test_every_tile_and_the_sheet_are_signed(pipeline, credentials):
    plain = draw(pipeline, Imprint(), PROMPT)
    signed = draw(pipeline, Imprint(credentials=credentials), PROMPT)
    assert [is_valid(tile, "png") for tile in signed.tiles] == [True, True]
    assert is_valid(signed.sheet, signed.suffix)
    for before, after in zip((*plain.tiles, plain.sheet), (*signed.tiles, signed.sheet), strict=True):
        assert opened(after).tobytes() == opened(before).tobytes()
        assert opened(after).info.get("parameters") == opened(before).info.get("parameters")


@pytest.mark.parametrize("count", [1, 2])
def test_what_is_posted_is_signed_within_its_limit(pipeline, credentials, count):
    limit = ContentCredentials.room + 2000
    grid = draw(
        pipeline, Imprint(credentials=credentials), params(count=count, width=128, height=128), upload_limit=limit
    )
    assert is_valid(grid.sheet, grid.suffix)
    assert len(grid.sheet) <= limit


def test_a_picture_alone_is_posted_as_its_signed_tile(pipeline, credentials):
    grid = draw(pipeline, Imprint(credentials=credentials), params())
    assert (grid.sheet, grid.suffix) == (grid.tiles[0], "png")
    assert is_valid(grid.sheet, "png")
