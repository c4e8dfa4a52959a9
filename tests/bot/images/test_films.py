"""Films are made in another process: the event loop goes on, and a cancelled film ends."""

from __future__ import annotations

import asyncio
import io
import tempfile
import time
from pathlib import Path

import pytest
from PIL import Image

from bot.images import films
from bot.images.films import FilmMaker, FilmNotMade
from generation.files.grid_image import read_infotext
from generation.files.metadata import NullSigner
from generation.films.order import FilmOrder, ZoomOrder
from generation.params import FilmKind, Params, PromptPart
from tests.support.bot_harness import eventually
from tests.support.film_pictures import FRAMES, keyframes

PARAMS = Params(parts=(PromptPart("hills"),), width=128, height=128, seed=1, num_inference_steps=4, guidance_scale=2.0)


def png(image: Image.Image, text: str = "") -> bytes:
    from PIL.PngImagePlugin import PngInfo

    info, file = PngInfo(), io.BytesIO()
    info.add_text("parameters", text)
    image.save(file, "PNG", pnginfo=info)
    return file.getvalue()


def order(steps: int = 3, **fields: object) -> FilmOrder:
    pictures = tuple(png(picture, f"picture {index}") for index, picture in enumerate(keyframes(steps)))
    defaults = {"pictures": pictures, "limit": 1_000_000, "motion": ZoomOrder(FilmKind.ZOOM_OUT, FRAMES)}
    return FilmOrder(**defaults | fields)  # type: ignore[arg-type]


async def test_a_film_is_made_while_the_loop_goes_on() -> None:
    longest, running = 0.0, True

    async def watch() -> None:
        nonlocal longest
        while running:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)

    watching, started = asyncio.create_task(watch()), time.monotonic()
    film = await FilmMaker(NullSigner()).make(order(), PARAMS)
    took, running = time.monotonic() - started, False
    await watching

    with Image.open(io.BytesIO(film)) as image:
        assert image.n_frames > 60
        assert read_infotext(image) == "picture 3", "the parameters of the finished picture"
    assert longest < took / 3


async def test_a_cancelled_film_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started = asyncio.Event()
    processes = []
    create = asyncio.create_subprocess_exec

    async def recorded(*arguments: str, **options: object) -> asyncio.subprocess.Process:
        processes.append(await create(*arguments, **options))  # type: ignore[arg-type]
        started.set()
        return processes[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", recorded)
    making = asyncio.create_task(FilmMaker(NullSigner()).make(order(8), PARAMS))
    await started.wait()
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert processes[0].returncode is not None


async def test_a_cancelled_mp4_leaves_no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    ffmpeg = tmp_path / "ffmpeg"
    ffmpeg.write_text("#!/bin/sh\nfor out; do :; done\necho half > $out\ncat > /dev/null\n")
    ffmpeg.chmod(0o755)
    making = asyncio.create_task(FilmMaker(NullSigner()).make(order(8, ffmpeg=str(ffmpeg)), PARAMS))
    await eventually(lambda: list(tmp_path.rglob("film.mp4")))
    making.cancel()
    with pytest.raises(asyncio.CancelledError):
        await making
    assert [path.name for path in await asyncio.to_thread(lambda: list(tmp_path.iterdir()))] == ["ffmpeg"]


async def test_an_encoder_that_hangs_holds_up_no_other_film(monkeypatch: pytest.MonkeyPatch) -> None:
    maker = FilmMaker(NullSigner())
    with monkeypatch.context() as changed:
        changed.setattr(films, "MAX_SECONDS", 0.05)
        with pytest.raises(FilmNotMade, match="took more than"):
            await maker.make(order(), PARAMS)
    assert await maker.make(order(), PARAMS)


async def test_a_film_that_cannot_be_made_says_why() -> None:
    with pytest.raises(FilmNotMade, match="no film fits"):
        await FilmMaker(NullSigner()).make(order(limit=50), PARAMS)
