"""ControlNets in the one loop; the stock pipelines are the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    ControlNetModel,
    StableDiffusionControlNetImg2ImgPipeline,
    StableDiffusionControlNetInpaintPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLControlNetPipeline,
    StableDiffusionXLPipeline,
)
from PIL import Image
from safetensors.torch import save_file

from generation.engine.networks import control
from generation.engine.networks.control import load_control
from generation.engine.networks.pipeline_loader import Pipeline, load_pipeline
from generation.engine.serving.model_loader import ModelLoader
from generation.messages import Failed, FailureReason, Finished, Generate
from generation.models.adapters import scan_adapters
from generation.models.model import describe_model
from generation.params import ControlWeight, LoraWeight, Params
from tests.support.control_file import ldm_weights, random_control, scan, write_file, write_folder, write_ldm_file
from tests.support.engine_harness import EngineHarness, assert_close, limit_unet_rows, make_params, make_request
from tests.support.lora_file import LINEAR, random_layers, write_kohya
from tests.support.oracle import SOURCE, disable_progress_bar, sample_image, stock_latents, to_png_bytes
from tests.support.tiny_model import build_tiny_model

PICTURE = sample_image().rotate(90)
OTHER = sample_image(96, 48)


@pytest.fixture(scope="module")
def networks(pipeline: Pipeline) -> dict[str, ControlNetModel]:
    return {"one": random_control(pipeline.unet, 1), "two": random_control(pipeline.unet, 2)}


@pytest.fixture(scope="module")
def controls(
    pipeline: Pipeline, networks: dict[str, ControlNetModel], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("controls")
    write_folder(networks["one"], folder / "one")
    write_file(networks["two"], folder / "two.safetensors")
    write_ldm_file(networks["one"], folder / "original.safetensors")
    beside = {"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(1)}
    write_ldm_file(networks["one"], folder / "whole" / "large.safetensors", **beside)
    write_ldm_file(networks["one"], folder / "bare.safetensors", prefix="")
    write_file(random_control(pipeline.unet, 3, zero=True), folder / "untrained.safetensors")
    return folder


@pytest.fixture
def harness(pipeline: Pipeline, controls: Path) -> Iterator[EngineHarness]:
    harness = EngineHarness(pipeline, adapters=scan(controls))
    yield harness
    harness.close()


@pytest.fixture(scope="module")
def stock(tiny_model: Path) -> StableDiffusionPipeline:
    return disable_progress_bar(StableDiffusionPipeline.from_pretrained(tiny_model))


def _guided(*uses: tuple[str, float], **changes: Any) -> Params:
    controls = tuple(ControlWeight(*use) for use in uses)
    return make_params(**{"count": 2, "control": SOURCE, "controls": controls} | changes)


def _request(job_id: str, params: Params, picture: Image.Image = PICTURE, **more: Any) -> Generate:
    return make_request(job_id, params, control=to_png_bytes(picture), **more)


def _with(kind: Any, stock: Any, controlnet: Any) -> Any:
    return disable_progress_bar(kind(**stock.components, controlnet=controlnet))


def test_an_untrained_controlnet_changes_nothing_to_the_bit(harness: EngineHarness) -> None:
    harness.denoise(make_request("plain", make_params(count=2)), _request("guided", _guided(("untrained", 1.0))))
    assert harness.latents["guided"].equal(harness.latents["plain"])


def test_without_weight_the_picture_is_the_same_to_the_bit(harness: EngineHarness) -> None:
    harness.denoise(make_request("plain", make_params(count=2)), _request("guided", _guided(("one", 0.0))))
    assert harness.latents["guided"].equal(harness.latents["plain"])


@pytest.mark.parametrize("name", ["one", "original", "large", "bare"])
def test_each_layout_matches_the_stock_pipeline(
    harness: EngineHarness, stock: Any, networks: dict[str, ControlNetModel], name: str
) -> None:
    params = _guided((name, 0.7))
    harness.denoise(_request("a", params), make_request("plain", make_params(count=2)))
    theirs = stock_latents(
        _with(StableDiffusionControlNetPipeline, stock, networks["one"]),
        params,
        image=[PICTURE] * 2,
        controlnet_conditioning_scale=0.7,
        width=64,
        height=64,
    )
    assert_close(harness.latents["a"], theirs)
    assert not torch.allclose(harness.latents["plain"], theirs, atol=1e-2)


def test_jobs_with_several_controlnets_with_one_and_with_none_share_calls(
    harness: EngineHarness, stock: Any, networks: dict[str, ControlNetModel]
) -> None:
    wide = _guided(("two", 1.3), seed=77)
    both = _guided(("one", 0.5), ("two", 0.8))
    plain = make_params("an owl", count=2, seed=9)
    harness.denoise(_request("both", both), make_request("plain", plain), _request("wide", wide, OTHER))
    assert max(harness.calls) > 4
    theirs = stock_latents(
        _with(StableDiffusionControlNetPipeline, stock, [networks["one"], networks["two"]]),
        both,
        image=[[PICTURE] * 2, [PICTURE] * 2],
        controlnet_conditioning_scale=[0.5, 0.8],
        width=64,
        height=64,
    )
    assert_close(harness.latents["both"], theirs)
    harness.denoise(make_request("plain alone", plain), _request("wide alone", wide, OTHER))
    assert_close(harness.latents["plain"], harness.latents["plain alone"])
    assert_close(harness.latents["wide"], harness.latents["wide alone"])


def test_a_picture_to_start_from_matches_the_stock_pipeline(
    harness: EngineHarness, stock: Any, networks: dict[str, ControlNetModel]
) -> None:
    params = _guided(("one", 0.9), source=SOURCE, strength=0.6, num_inference_steps=4)
    start = sample_image()
    harness.denoise(_request("a", params, source=to_png_bytes(start)))
    theirs = stock_latents(
        _with(StableDiffusionControlNetImg2ImgPipeline, stock, networks["one"]),
        params,
        image=[start] * 2,
        control_image=[PICTURE] * 2,
        strength=0.6,
        controlnet_conditioning_scale=0.9,
    )
    assert_close(harness.latents["a"], theirs)


def test_a_region_matches_the_stock_pipeline(
    harness: EngineHarness, stock: Any, networks: dict[str, ControlNetModel]
) -> None:
    start, mask = sample_image(), Image.new("L", (64, 64))
    mask.paste(255, (16, 16, 48, 48))
    params = _guided(("one", 1.0), count=1, source=SOURCE, mask=SOURCE, strength=1.0)
    harness.denoise(_request("a", params, source=to_png_bytes(start), mask=to_png_bytes(mask)))
    theirs = stock_latents(
        _with(StableDiffusionControlNetInpaintPipeline, stock, networks["one"]),
        params,
        image=start,
        mask_image=mask,
        control_image=PICTURE,
        strength=1.0,
        controlnet_conditioning_scale=1.0,
        width=64,
        height=64,
    )
    assert_close(harness.latents["a"], theirs)


def test_xl_matches_the_stock_pipeline(tmp_path: Path, tiny_xl: Path, xl_pipeline: Pipeline) -> None:
    network = random_control(xl_pipeline.unet, 5)
    write_folder(network, tmp_path / "controls" / "canny-of-xl")
    harness = EngineHarness(xl_pipeline, adapters=scan(tmp_path / "controls"))
    params = _guided(("canny", 0.7))
    drawing = Image.new("RGB", (64, 64))
    drawing.paste("white", (20, 10, 22, 50))  # edges already, so that it is used as it is
    harness.denoise(_request("a", params, drawing))
    stock = StableDiffusionXLPipeline.from_pretrained(tiny_xl, add_watermarker=False)
    theirs = stock_latents(
        _with(StableDiffusionXLControlNetPipeline, stock, network),
        params,
        image=[drawing] * 2,
        controlnet_conditioning_scale=0.7,
        width=64,
        height=64,
    )
    assert_close(harness.latents["a"], theirs)
    harness.close()


@pytest.mark.parametrize("changes", [{"hd": True}, {"seamless": True}, {"width": 192}])
def test_second_passes_seamless_pictures_and_windows_are_guided(
    harness: EngineHarness, changes: dict[str, Any]
) -> None:
    changes = {**changes, "count": 1, "num_inference_steps": 4}
    plain, guided, untrained = (
        make_params(**changes),
        _guided(("one", 1.0), **changes),
        _guided(("untrained", 1.0), **changes),
    )
    ends = harness.generate(
        make_request("plain", plain), _request("guided", guided, OTHER), _request("untrained", untrained, OTHER)
    )
    assert all(isinstance(end, Finished) for end in ends)
    assert_close(harness.latents["untrained"], harness.latents["plain"])
    change = (harness.latents["guided"] - harness.latents["plain"]).abs()
    assert (change.amax((0, 1)) > 1e-3).all()  # everywhere


@pytest.mark.parametrize("rows", [1, 3])
def test_a_call_without_enough_memory_is_split(pipeline: Pipeline, harness: EngineHarness, rows: int) -> None:
    harness.denoise(_request("whole", _guided(("one", 1.0))))
    hook = limit_unet_rows(pipeline, rows)
    harness.denoise(_request("parts", _guided(("one", 1.0))), make_request("plain"))
    hook.remove()
    assert_close(harness.latents["parts"], harness.latents["whole"])


def test_memory_for_a_controlnet_is_taken_from_idle_ones_and_models(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.denoise(_request("first", _guided(("two", 1.0))))
    failures = iter([True, True, False])
    evicted = iter([True, False])

    def load_with_less_memory(*given: Any) -> Any:
        if next(failures):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return load_control(*given)

    monkeypatch.setattr(control, "load_control", load_with_less_memory)
    harness.engine._evict_idle_model = lambda: next(evicted)
    (end,) = harness.generate(_request("second", _guided(("one", 1.0))))
    assert isinstance(end, Finished)
    assert len(harness.engine._controls.modules) == 1


def test_a_job_is_cancelled_while_it_is_guided(harness: EngineHarness) -> None:
    harness.engine.add(_request("a", _guided(("one", 1.0), num_inference_steps=50)))
    while not harness.calls:
        harness.engine.step()
    harness.engine.cancel("a")
    end = harness.wait_for_end("a")
    assert isinstance(end, Failed) and end.reason is FailureReason.CANCELLED


def test_a_controlnet_for_another_model_is_a_users_error(tmp_path: Path, pipeline: Pipeline) -> None:
    other = load_pipeline(
        str(build_tiny_model(tmp_path / "other", channels=(16, 32))), "cpu", lambda _: None, torch.float32
    )
    write_folder(random_control(other.unet, 1), tmp_path / "controls" / "canny")
    write_file(random_control(other.unet, 1), tmp_path / "controls" / "depth.safetensors")
    harness = EngineHarness(pipeline, adapters=scan(tmp_path / "controls"))
    for name in ("canny", "depth"):
        (end,) = harness.generate(_request(name, _guided((name, 1.0))))
        assert isinstance(end, Failed) and end.reason is FailureReason.USER_ERROR
        assert f"The ControlNet {name} does not fit tiny" in end.text
    harness.close()


def test_an_unreadable_picture_is_a_users_error(harness: EngineHarness) -> None:
    (end,) = harness.generate(make_request("a", _guided(("one", 1.0)), control=b"no picture"))
    assert isinstance(end, Failed) and end.reason is FailureReason.USER_ERROR


@pytest.mark.parametrize(
    "changes", [{"controlnet_conditioning_channel_order": "bgr"}, {"global_pool_conditions": True}]
)
def test_what_a_folders_configuration_says_counts(
    tmp_path: Path, pipeline: Pipeline, stock: Any, changes: dict[str, Any]
) -> None:
    network, other = random_control(pipeline.unet, 6), random_control(pipeline.unet, 7)
    network.register_to_config(**changes)
    write_folder(network, tmp_path / "controls" / "one")
    write_folder(other, tmp_path / "controls" / "two")
    harness = EngineHarness(pipeline, adapters=scan(tmp_path / "controls"))
    params = _guided(("two", 0.4), ("one", 0.7))
    harness.denoise(_request("a", params), make_request("plain"))
    theirs = stock_latents(
        _with(StableDiffusionControlNetPipeline, stock, [other, network]),
        params,
        image=[[PICTURE] * 2, [PICTURE] * 2],
        controlnet_conditioning_scale=[0.4, 0.7],
        width=64,
        height=64,
    )
    assert_close(harness.latents["a"], theirs)
    harness.close()


def test_a_call_that_is_padded_for_a_gpu_is_padded_with_its_residuals(harness: EngineHarness) -> None:
    harness.denoise(_request("plain", _guided(("one", 1.0))), make_request("other"))
    harness.engine._has_row_buckets = True
    harness.calls.clear()
    harness.denoise(_request("padded", _guided(("one", 1.0))), make_request("other"))
    assert 8 in harness.calls  # six rows
    assert_close(harness.latents["padded"], harness.latents["plain"])


def test_a_lora_changes_the_unet_beside_a_controlnet_and_a_style_joins_them(
    tmp_path: Path, pipeline: Pipeline, controls: Path
) -> None:
    write_kohya(tmp_path / "ink.safetensors", random_layers(pipeline, 1, unet=LINEAR))
    adapters, _ = scan_adapters(tmp_path, None, controls)
    harness = EngineHarness(pipeline, adapters=adapters)
    everything = {"loras": (LoraWeight("ink", 0.5),), "style": SOURCE, "style_weight": 200}
    style = to_png_bytes(sample_image())
    for name, uses in (("guided", ("one", 1.0)), ("untrained", ("untrained", 1.0))):
        harness.denoise(_request(name, _guided(uses, **everything), style=style))
    harness.denoise(make_request("plain", make_params(count=2, **everything), style=style))
    assert harness.latents["untrained"].equal(harness.latents["plain"])
    assert (harness.latents["guided"] - harness.latents["plain"]).abs().max() > 1e-2
    harness.close()


def test_controlnets_count_as_memory_of_their_model(tiny_model: Path, controls: Path) -> None:
    loader = ModelLoader("cpu", adapters=scan(controls))
    loaded = loader.load(describe_model(str(tiny_model)), lambda _: None)
    before = loaded.size
    assert loaded.controls is not None
    (network,) = loaded.controls.get(_guided(("one", 1.0)))
    taken = sum(weight.nbytes for weight in network.network.parameters())
    assert loaded.size == before + taken
    loaded.move(torch.device("meta"))
    assert all(weight.is_meta for weight in network._plain.trunk.parameters())
    assert loaded.controls.release(())
    assert loaded.size == before


@pytest.mark.parametrize("damage", ["removed", "cut", "incomplete", "incomplete original", "nan"])
def test_a_file_that_is_damaged_after_the_start_is_a_users_error(
    tmp_path: Path, pipeline: Pipeline, damage: str
) -> None:
    network, path = random_control(pipeline.unet, 1), tmp_path / "depth.safetensors"
    write_file(network, path)
    adapters = scan(tmp_path)
    weights = dict(ldm_weights(network)) if damage.endswith("original") else network.state_dict()
    match damage:
        case "removed":
            path.unlink()
        case "cut":
            path.write_bytes(path.read_bytes()[:-100])
        case "nan":
            save_file(weights | {"conv_in.bias": weights["conv_in.bias"] * torch.nan}, path)
        case _:
            save_file({name: weight for name, weight in weights.items() if not name.endswith("2.bias")}, path)
    harness = EngineHarness(pipeline, adapters=adapters)
    (end,) = harness.generate(_request("a", _guided(("depth", 1.0))))
    harness.close()
    assert isinstance(end, Failed) and end.reason is FailureReason.USER_ERROR
    assert ("no numbers" if damage == "nan" else "missing or damaged") in end.text
