"""IP-Adapters in the one loop; the stock pipelines are the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionPipeline, StableDiffusionXLPipeline
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from generation.engine.networks import image_adapter
from generation.engine.networks.image_adapter import ImageAdapterNetworks, load_image_adapter
from generation.engine.networks.image_attention import PicturedRows, attending_to, with_image_attention
from generation.engine.networks.pipeline_loader import Pipeline, load_pipeline
from generation.engine.serving.model_loader import ModelLoader
from generation.messages import Failed, FailureReason, Finished, Generate
from generation.models.adapters import scan_adapters
from generation.models.model import describe_model
from generation.params import LoraWeight, Params
from tests.support.engine_harness import EngineHarness, assert_close, limit_unet_rows, make_params, make_request
from tests.support.image_adapter_file import SIDE, scan_images, write_adapter, write_encoder
from tests.support.lora_file import LINEAR, random_layers, write_kohya
from tests.support.oracle import SOURCE, disable_progress_bar, sample_image, stock_latents, to_png_bytes
from tests.support.tiny_model import build_tiny_model

PICTURE = sample_image(80, 64).rotate(90)
OTHER = sample_image(96, 48)


@pytest.fixture(scope="module")
def folder(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_encoder(folder / "image_encoder")
    for seed, kind in enumerate(("plain", "plus", "full")):
        write_adapter(folder / f"{kind}.safetensors", pipeline.unet, kind, seed)
    return folder


@pytest.fixture
def harness(pipeline: Pipeline, folder: Path) -> Iterator[EngineHarness]:
    harness = EngineHarness(pipeline, adapters=scan_images(folder))
    yield harness
    harness.close()


def _stock(kind: Any, model: Path, folder: Path, name: str) -> Any:
    """Return a stock pipeline with an IP-Adapter of the folder."""
    stock = disable_progress_bar(kind.from_pretrained(model))
    # As diffusers makes it itself, where torchvision is installed or not.
    stock.register_modules(feature_extractor=CLIPImageProcessorPil(size=SIDE, crop_size=SIDE))
    stock.load_ip_adapter(str(folder), subfolder="", weight_name=f"{name}.safetensors")
    return stock


def _character(adapter: str = "plain", weight: int = 60, **changes: Any) -> Params:
    used = {"character": SOURCE, "character_weight": weight, "character_adapter": adapter}
    return make_params(**{"count": 2} | used | changes)


def _request(job_id: str, params: Params, picture: Image.Image = PICTURE, **more: Any) -> Generate:
    return make_request(job_id, params, character=to_png_bytes(picture), **more)


def _join(harness: EngineHarness, *requests: Generate) -> None:
    """Denoise requests that share calls: each comes when the one before it is being denoised."""
    with harness.without_images():
        for request in requests:
            harness.add(request)
            harness.engine.step()
        harness.run_until_idle()
    assert all(request.job_id in harness.latents for request in requests)
    assert max(harness.calls) > 4


@pytest.mark.parametrize("name", ["plain", "plus", "full"])
def test_each_kind_matches_the_stock_pipeline_beside_jobs_without(
    harness: EngineHarness, tiny_model: Path, folder: Path, name: str
) -> None:
    stock = _stock(StableDiffusionPipeline, tiny_model, folder, name)
    stock.set_ip_adapter_scale(0.6)
    params = _character(name)
    theirs = stock_latents(stock, params, ip_adapter_image=PICTURE, width=64, height=64)
    harness.denoise(make_request("plain alone", make_params(count=2)))
    _join(harness, _request("a", params), make_request("plain", make_params(count=2)))
    assert_close(harness.latents["a"], theirs)
    assert_close(harness.latents["plain"], harness.latents["plain alone"])
    assert (theirs - harness.latents["plain"]).abs().max() > 0.1


def test_rows_without_pictures_are_the_same_to_the_bit_in_their_call(pipeline: Pipeline, folder: Path) -> None:
    network = ImageAdapterNetworks(pipeline, scan_images(folder)).get("plus")
    generator = torch.Generator().manual_seed(1)
    latents, texts = torch.randn(4, 4, 8, 8, generator=generator), torch.randn(4, 77, 16, generator=generator)
    given = {"timestep": torch.tensor([500] * 4), "encoder_hidden_states": texts, "return_dict": False}
    with torch.inference_mode():
        part = PicturedRows(1, torch.tensor([1, 0]), network.read([PICTURE], 1.0, ("",)))
        before = pipeline.unet(latents, **given)[0]
        copied = with_image_attention(pipeline.unet)
        with attending_to([part]):
            after = copied(latents, **given)[0]
        assert copied(latents, **given)[0].equal(before)
    assert after[[0, 3]].equal(before[[0, 3]])
    assert min((after - before).abs().amax((1, 2, 3))[1:3]) > 1e-3


def test_without_weight_the_picture_is_the_same_to_the_bit(harness: EngineHarness) -> None:
    harness.denoise(make_request("plain", make_params(count=2)), _request("weightless", _character(weight=0)))
    assert harness.latents["weightless"].equal(harness.latents["plain"])
    assert not harness.engine._image_adapters.modules  # nothing was loaded for it


def test_several_adapters_with_several_pictures_share_calls(harness: EngineHarness) -> None:
    both = _character("plus", seed=3, image_prompts=(SOURCE, SOURCE), image_adapter="plain", negative_prompt="a hen")
    alone = _character("full", seed=77)
    pictures = tuple(map(to_png_bytes, (PICTURE, OTHER)))
    _join(harness, _request("both", both, OTHER, image_prompts=pictures), _request("alone", alone), make_request("x"))
    for request in (_request("both", both, OTHER, image_prompts=pictures), _request("alone", alone)):
        together = harness.latents[request.job_id]
        harness.denoise(request)
        assert_close(together, harness.latents[request.job_id])
    harness.denoise(_request("one", _character("plus", seed=3, negative_prompt="a hen"), OTHER))
    assert (harness.latents["both"] - harness.latents["one"]).abs().max() > 1e-2


def test_a_picture_to_start_from_matches_the_stock_pipeline(
    harness: EngineHarness, tiny_model: Path, folder: Path
) -> None:
    stock = _stock(StableDiffusionImg2ImgPipeline, tiny_model, folder, "plus")
    stock.set_ip_adapter_scale(0.6)
    start, params = sample_image(), _character("plus", source=SOURCE, strength=0.6, num_inference_steps=4)
    harness.denoise(_request("a", params, source=to_png_bytes(start)))
    theirs = stock_latents(stock, params, image=[start] * 2, strength=0.6, ip_adapter_image=PICTURE)
    assert_close(harness.latents["a"], theirs)


def test_without_guidance_the_stock_pipeline_is_matched(harness: EngineHarness, tiny_model: Path, folder: Path) -> None:
    stock = _stock(StableDiffusionPipeline, tiny_model, folder, "plain")
    stock.set_ip_adapter_scale(0.6)
    params = _character(guidance_scale=1.0)
    harness.denoise(_request("a", params))
    assert_close(harness.latents["a"], stock_latents(stock, params, ip_adapter_image=PICTURE, width=64, height=64))


def test_the_style_layers_of_xl_match_the_stock_pipeline(tmp_path: Path, tiny_xl: Path, xl_pipeline: Pipeline) -> None:
    write_encoder(tmp_path / "images" / "image_encoder")
    write_adapter(tmp_path / "images" / "plus.safetensors", xl_pipeline.unet, "plus")
    stock = _stock(StableDiffusionXLPipeline, tiny_xl, tmp_path / "images", "plus")
    stock.set_ip_adapter_scale({"up": {"block_0": [0.0, 1.0]}})
    params = make_params(count=2, style=SOURCE, style_adapter="plus")
    harness = EngineHarness(xl_pipeline, adapters=scan_images(tmp_path / "images"))
    harness.denoise(
        make_request("a", params, style=to_png_bytes(PICTURE)),
        make_request("plain", make_params(count=2)),
        make_request(
            "all",
            make_params(count=2, image_prompts=(SOURCE,), image_adapter="plus"),
            image_prompts=(to_png_bytes(PICTURE),),
        ),
    )
    harness.close()
    assert_close(harness.latents["a"], stock_latents(stock, params, ip_adapter_image=PICTURE, width=64, height=64))
    moved = [(harness.latents[name] - harness.latents["plain"]).abs().max() for name in ("a", "all")]
    assert min(moved) > 1e-2


@pytest.mark.parametrize("changes", [{"hd": True}, {"seamless": True}, {"width": 192}])
def test_second_passes_seamless_pictures_and_windows_attend_to_pictures(
    harness: EngineHarness, changes: dict[str, Any]
) -> None:
    plain, used = make_params(**changes), _character(count=1, **changes)
    ends = harness.generate(make_request("plain", plain), _request("used", used))
    assert all(isinstance(end, Finished) for end in ends)
    change = (harness.latents["used"] - harness.latents["plain"]).abs()
    assert (change.amax((0, 1)) > 1e-3).all()  # everywhere


@pytest.mark.parametrize("rows", [1, 3])
def test_a_call_without_enough_memory_is_split(pipeline: Pipeline, harness: EngineHarness, rows: int) -> None:
    harness.denoise(_request("whole", _character()))
    hook = limit_unet_rows(pipeline, rows)
    harness.denoise(_request("parts", _character()), make_request("plain"))
    hook.remove()
    assert_close(harness.latents["parts"], harness.latents["whole"])


def test_memory_for_an_adapter_is_taken_from_idle_ones_and_then_from_models(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.denoise(_request("first", _character("plus")))
    failures = iter([True, True, False])
    evicted = iter([True, False])

    def load_with_less_memory(*given: Any) -> Any:
        if next(failures):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return load_image_adapter(*given)

    monkeypatch.setattr(image_adapter, "load_image_adapter", load_with_less_memory)
    harness.engine._evict_idle_model = lambda: next(evicted)
    (end,) = harness.generate(_request("second", _character()))
    assert isinstance(end, Finished)
    assert next(failures, None) is None and next(evicted) is False


def test_a_job_ends_if_there_is_never_enough_memory_for_its_adapter(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(image_adapter, "load_image_adapter", fail)
    (end,) = harness.generate(_request("a", _character()))
    assert isinstance(end, Failed) and end.reason is FailureReason.OUT_OF_MEMORY


def test_an_adapter_for_another_model_is_a_users_error(tmp_path: Path, harness: EngineHarness) -> None:
    other = build_tiny_model(tmp_path / "other", channels=(16, 32))
    harness.engine._image_adapters._pipeline = load_pipeline(str(other), "cpu", lambda _: None, torch.float32)
    (end,) = harness.generate(_request("a", _character()))
    assert isinstance(end, Failed) and end.reason is FailureReason.USER_ERROR
    assert "The IP-Adapter plain does not fit tiny" in end.text


def test_very_long_pictures_are_not_enlarged_whole(
    pipeline: Pipeline, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = ImageAdapterNetworks(pipeline, scan_images(folder)).get("plain")
    resized: list[tuple[int, int]] = []
    resize = Image.Image.resize

    def record(image: Image.Image, size: tuple[int, int], *given: Any, **more: Any) -> Image.Image:
        resized.append(size)
        return resize(image, size, *given, **more)

    monkeypatch.setattr(Image.Image, "resize", record)
    for size in ((2048, 1), (1, 2047)):
        assert network.read([Image.new("RGB", size, "red")], 1.0, ("",))
    assert resized and max(map(max, resized)) <= image_adapter.MAX_ASPECT * SIDE


def test_an_unreadable_picture_is_a_users_error(harness: EngineHarness) -> None:
    (end,) = harness.generate(make_request("a", _character(), character=b"no picture"))
    assert isinstance(end, Failed) and end.reason is FailureReason.USER_ERROR


def test_a_lora_changes_the_unet_and_a_style_leads_its_rows(tmp_path: Path, pipeline: Pipeline, folder: Path) -> None:
    write_kohya(tmp_path / "ink.safetensors", random_layers(pipeline, 1, unet=LINEAR))
    adapters, _ = scan_adapters(tmp_path, None, None, folder)
    harness = EngineHarness(pipeline, adapters=adapters)
    everything = {"loras": (LoraWeight("ink", 0.5),), "style": SOURCE, "style_weight": 200}
    style = to_png_bytes(sample_image())
    harness.denoise(_request("used", _character(**everything), style=style))
    harness.denoise(make_request("plain", make_params(count=2, **everything), style=style))
    harness.denoise(_request("no lora", _character(**everything | {"loras": ()}), style=style))
    harness.close()
    for name in ("plain", "no lora"):
        assert (harness.latents["used"] - harness.latents[name]).abs().max() > 1e-2


def test_adapters_count_as_memory_of_their_model(tiny_model: Path, folder: Path) -> None:
    loader = ModelLoader("cpu", adapters=scan_images(folder))
    loaded = loader.load(describe_model(str(tiny_model)), lambda _: None)
    before = loaded.size
    assert loaded.image_adapters is not None
    networks = [loaded.image_adapters.get(name) for name in ("plain", "plus")]
    assert networks[0].encoder is networks[1].encoder
    unique = {id(weight): weight.nbytes for each in networks for weight in each.parameters()}
    assert loaded.size >= before + sum(unique.values())
    loaded.move(torch.device("meta"))
    assert all(weight.is_meta for network in networks for weight in network.parameters())
    assert loaded.image_adapters.release()
    assert loaded.size == before


@pytest.mark.parametrize("damage", ["removed", "cut", "incomplete", "nan", "encoder"])
def test_a_file_that_is_damaged_after_the_start_is_a_users_error(
    tmp_path: Path, pipeline: Pipeline, damage: str
) -> None:
    encoder, path = write_encoder(tmp_path / "image_encoder"), tmp_path / "plus.safetensors"
    weights = write_adapter(path, pipeline.unet, "plus")
    adapters = scan_images(tmp_path)
    match damage:
        case "removed":
            path.unlink()
        case "cut":
            path.write_bytes(path.read_bytes()[:-100])
        case "nan":
            save_file(weights | {"image_proj.proj_out.bias": weights["image_proj.proj_out.bias"] * torch.nan}, path)
        case "encoder":
            file = encoder / "model.safetensors"
            save_file({name: each for name, each in load_file(file).items() if "layers.1" not in name}, file)
        case _:
            save_file({name: weight for name, weight in weights.items() if "layers.2.1" not in name}, path)
    harness = EngineHarness(pipeline, adapters=adapters)
    (end,) = harness.generate(_request("a", _character("plus")))
    harness.close()
    assert isinstance(end, Failed) and end.reason is FailureReason.USER_ERROR
    assert ("no numbers" if damage == "nan" else "missing or damaged") in end.text
