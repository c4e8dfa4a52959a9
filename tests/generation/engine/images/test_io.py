"""The engine's inputs and outputs: source images, tiles, grid images and previews."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from torch import Tensor

from generation.engine.denoising import engine as engine_module
from generation.engine.images.io import read_source, to_images, to_pixels
from generation.engine.networks.pipeline_loader import load_pipeline
from generation.engine.networks.vae import Vae
from generation.engine.output.previews import LatentPreviewer
from generation.messages import Finished, Grid
from generation.models.model import EMBEDDED
from generation.params import Params, PromptPart, Upload
from tests.support.engine_harness import EngineHarness, make_params, make_request
from tests.support.timing import TIMEOUT_S

SOURCE = Upload("0" * 64)
ORIENTATION = 0x0112


def _open_image(data: bytes) -> Any:
    return Image.open(io.BytesIO(data))


def _encode_image(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _grid(harness: EngineHarness, wanted: Params, **request: Any) -> Grid:
    end = harness.generate(make_request("a", wanted, **request))[0]
    assert isinstance(end, Finished)
    return end.grid


def test_a_result_has_its_tiles_and_a_grid_image(harness: EngineHarness) -> None:
    grid = _grid(harness, make_params(count=4, width=96))
    assert [_open_image(tile).size for tile in grid.tiles] == [(96, 64)] * 4
    assert _open_image(grid.image).size == (192, 128)
    assert _open_image(grid.image).format == grid.suffix.upper()
    top_left = np.asarray(_open_image(grid.image).convert("RGB"), dtype=int)[:64, :96]
    assert np.abs(top_left - np.asarray(_open_image(grid.tiles[0]), dtype=int)).mean() < 12


@pytest.mark.parametrize("text", ["a red fox", "日本の 🦊 лиса", 'quotes " and, commas: here\nand a new line'])
def test_every_tile_has_its_parameters_where_other_tools_read_them(harness: EngineHarness, text: str) -> None:
    grid = _grid(harness, make_params(text, seed=77, count=2))
    for index, tile in enumerate(grid.tiles):
        image = _open_image(tile)
        assert isinstance(image, PngImageFile)
        written = image.text["parameters"]
        assert f"Seed: {77 + index}" in written
        assert text.split()[0] in written


def test_a_single_tile_is_posted_with_its_parameters(harness: EngineHarness) -> None:
    grid = _grid(harness, make_params())
    assert grid.suffix == "png"
    assert grid.image == grid.tiles[0]


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("limit", [20_000, 3_000, 600])
def test_a_grid_image_never_exceeds_the_upload_limit(harness: EngineHarness, count: int, limit: int) -> None:
    grid = _grid(harness, make_params(count=count, width=96, height=96, num_inference_steps=1), upload_limit=limit)
    assert len(grid.image) <= limit
    assert _open_image(grid.image).format == grid.suffix.upper()
    assert _open_image(grid.tiles[0]).size == (96, 96)


def test_previews_come_with_progress_and_show_the_grid(harness: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "PREVIEW_INTERVAL_S", 0.0)
    harness.engine.add(make_request("a", make_params(count=4, width=96, num_inference_steps=8)))
    harness.run_until_idle()
    progress = harness.wait_for_preview()
    image = _open_image(progress.preview)
    assert image.format == "JPEG"
    assert image.width / image.height == pytest.approx(96 / 64, rel=0.02)
    assert (progress.job_id, progress.total) == ("a", 8)


def test_only_the_newest_preview_of_a_job_waits(harness: EngineHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "PREVIEW_INTERVAL_S", 0.0)
    previews = harness.engine._post_processor._previewer
    render, rendering, released = previews.colours, threading.Event(), threading.Event()

    def slow_render(latents: Tensor) -> Tensor:
        rendering.set()
        assert released.wait(TIMEOUT_S)
        return render(latents)

    monkeypatch.setattr(previews, "colours", slow_render)
    harness.engine.add(make_request("a", make_params(num_inference_steps=12)))
    harness.engine.step()
    assert rendering.wait(TIMEOUT_S)
    for _ in range(8):
        harness.engine.step()
    released.set()
    harness.engine._post_processor.close()
    assert [event.step for event in harness.previews()] == [1, 9]


class FakeVae:
    """A VAE whose latents are mixtures of the mean colours: what a linear map can undo."""

    scale = 8
    mixing = torch.tensor([[0.6, 0.1, 0.2], [-0.3, 0.5, 0.1], [0.2, -0.4, 0.7], [0.1, 0.3, -0.5]])

    def encode_mean(self, pixels: Tensor) -> Tensor:
        colours = torch.nn.functional.avg_pool2d(pixels, self.scale)
        return torch.einsum("ndhw,cd->nchw", colours, self.mixing) + 0.1


def test_previews_recover_the_colours_in_a_vaes_latents() -> None:
    vae = FakeVae()
    previews = LatentPreviewer(vae)  # type: ignore[arg-type]
    pixels = torch.zeros(1, 3, 64, 64)
    pixels[..., :32] = torch.tensor([0.8, -0.6, 0.1])[:, None, None]
    shown = _open_image(previews.render(vae.encode_mean(pixels)))
    left, right = (shown.getpixel((shown.width * place // 4, shown.height // 2)) for place in (1, 3))
    assert left == pytest.approx((229, 51, 140), abs=8)
    assert right == pytest.approx((128, 128, 128), abs=8)


def _read(data: bytes, width: int = 64, height: int = 64) -> Image.Image:
    source = read_source(make_request("a", make_params(width=width, height=height, source=SOURCE), source=data))
    assert source is not None
    assert source.pixels.shape == (1, 3, height, width)
    return to_images(source.pixels)[0]


def test_images_survive_the_conversion_to_pixels_and_back() -> None:
    values = np.random.default_rng(1).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(to_images(to_pixels(Image.fromarray(values)))[0]), values)


def test_a_source_is_rotated_by_its_exif_orientation() -> None:
    image = Image.new("RGB", (64, 64), "blue")
    image.paste("red", (0, 0, 64, 8))
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    shown = _read(_encode_image(image, exif=exif))
    assert shown.getpixel((32, 60)) == (255, 0, 0)
    assert shown.getpixel((32, 4)) == (0, 0, 255)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16"])
def test_a_source_may_have_any_colour_mode(mode: str) -> None:
    image = Image.new("L", (32, 32), 255).convert("RGB") if mode == "CMYK" else Image.new("L", (32, 32), 255)
    kind = "TIFF" if mode in ("CMYK", "I;16") else "PNG"
    if mode == "I;16":
        image = Image.fromarray(np.full((32, 32), 65535, dtype=np.uint16))
    shown = _read(_encode_image(image if mode == "I;16" else image.convert(mode), kind))
    assert shown.getpixel((20, 20)) == (255, 255, 255)


def test_transparent_pixels_become_white() -> None:
    assert _read(_encode_image(Image.new("RGBA", (20, 20), (0, 0, 0, 0)))).getpixel((5, 5)) == (255, 255, 255)


def test_a_source_of_another_aspect_ratio_is_cropped_not_squeezed() -> None:
    image = Image.new("RGB", (192, 64), "red")
    image.paste("lime", (64, 0, 128, 64))
    shown = np.asarray(_read(_encode_image(image)))
    assert (shown[:, 2:-2] == (0, 255, 0)).all()


def test_a_small_source_is_resized_for_an_upscale(harness: EngineHarness) -> None:
    source = _encode_image(Image.new("RGB", (64, 64), "teal"))
    wanted = make_params(source=SOURCE, strength=0.3, width=128, height=128)
    assert _open_image(_grid(harness, wanted, source=source).tiles[0]).size == (128, 128)


def test_a_mask_is_black_and_white_at_the_size_of_the_image() -> None:
    mask = Image.new("L", (128, 128))
    mask.paste(255, (0, 0, 64, 128))
    request = make_request("a", make_params(source=SOURCE), source=_encode_image(mask), mask=_encode_image(mask))
    source = read_source(request)
    assert source is not None
    assert source.mask is not None
    assert source.mask.shape == (1, 1, 64, 64)
    assert source.mask[0, 0, :, :30].min() == 1
    assert source.mask[0, 0, :, 34:].max() == 0


def test_weights_and_images_can_be_combined(harness: EngineHarness) -> None:
    wanted = make_params(
        parts=(PromptPart("fox", 2.0), PromptPart("moon")), no=("snow",), source=SOURCE, strength=0.5, count=2
    )
    grid = _grid(harness, wanted, source=_encode_image(Image.new("RGB", (50, 70), "navy")))
    assert len(grid.tiles) == 2


@pytest.mark.skipif(not Path(EMBEDDED, "vae").is_dir(), reason="the embedded model is missing")
def test_previews_of_the_embedded_model_look_like_its_images() -> None:
    vae = Vae(load_pipeline(EMBEDDED, "cpu", lambda _: None))
    sample = Image.new("RGB", (256, 256), "skyblue")
    sample.paste("forestgreen", (0, 160, 256, 256))
    sample.paste("firebrick", (90, 100, 170, 190))
    sample.paste("gold", (190, 20, 230, 60))
    latents = vae.encode_mean(to_pixels(sample))
    decoded, preview = (
        to_images(vae.decode(latents))[0],
        _open_image(LatentPreviewer(vae).render(latents)).convert("RGB"),
    )
    small = [np.asarray(image.resize((32, 32), Image.Resampling.BOX), dtype=int) for image in (decoded, preview)]
    assert np.abs(small[0] - small[1]).mean() < 12
