"""Models distilled to very few steps, and how they receive guidance."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import LatentConsistencyModelPipeline, LCMScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor

from generation.engine.networks.fp8 import round_rows
from generation.engine.networks.pipeline_loader import Pipeline, load_pipeline
from generation.models.catalogue import CATALOGUE, Family
from generation.models.model import describe_model
from generation.params import Params
from generation.planning.guidance import guidance_weights
from tests.support.engine_harness import EngineHarness, assert_close, make_params, make_request
from tests.support.hub_cache import fake_hub_cache
from tests.support.lora_file import merge_loras, random_layers, write_kohya
from tests.support.oracle import SOURCE, disable_progress_bar, sample_image, stock_latents, to_png_bytes

FAST = {"num_inference_steps": 4, "sampler": "lcm"}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def _load(ref: Path | str) -> Pipeline:
    return load_pipeline(str(ref), "cpu", lambda _: None, torch.float32)


def _unet(of: Path, **changes: Any) -> UNet2DConditionModel:
    """Build a UNet of the same kind with other weights."""
    with torch.random.fork_rng():
        torch.manual_seed(22)
        return UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(of / "unet") | changes)


@pytest.fixture(scope="module")
def lcm(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder like SimianLuo/LCM_Dreamshaper_v7: the guidance scale is an input of the UNet."""
    folder = tmp_path_factory.mktemp("lcm")
    shutil.copytree(tiny_model, folder, dirs_exist_ok=True)
    shutil.rmtree(folder / "unet")
    _unet(tiny_model, time_cond_proj_dim=32).save_pretrained(folder / "unet")
    LCMScheduler.from_pretrained(tiny_model / "scheduler").save_pretrained(folder / "scheduler")
    index = json.loads((folder / "model_index.json").read_text())
    names = {"_class_name": "LatentConsistencyModelPipeline", "scheduler": ["diffusers", "LCMScheduler"]}
    (folder / "model_index.json").write_text(json.dumps(index | names))
    (folder / "atelier.json").unlink()
    return folder


def test_a_model_with_distilled_guidance_has_its_own_defaults(lcm: Path) -> None:
    model = describe_model(str(lcm))
    assert (model.num_inference_steps, model.guidance_scale, model.sampler) == (4, 8.0, "lcm")
    assert model.is_distilled


@pytest.mark.parametrize("guidance", [8.0, 1.5, 1.0])
def test_distilled_guidance_is_a_unet_input_and_costs_no_rows(lcm: Path, guidance: float) -> None:
    harness = EngineHarness(_load(lcm))
    wanted, other = (
        make_params(count=2, guidance_scale=guidance, **FAST),
        make_params("snow", guidance_scale=3.0, **FAST),
    )
    harness.denoise(make_request("a", wanted), make_request("b", other))
    harness.close()
    assert harness.calls == [3] * 4
    stock = disable_progress_bar(LatentConsistencyModelPipeline.from_pretrained(lcm))
    for job_id, each in (("a", wanted), ("b", other)):
        assert_close(harness.latents[job_id], _stock_lcm(stock, each))


def _stock_lcm(stock: Any, wanted: Params) -> torch.Tensor:
    """Generate without a negative prompt, which these pipelines do not support."""

    def without(negative_prompt: None, **inputs: Any) -> Any:
        return stock(**inputs)

    without.scheduler = stock.scheduler  # type: ignore[attr-defined]
    return stock_latents(without, wanted, width=64, height=64)


def test_a_model_with_distilled_guidance_supports_img2img(lcm: Path) -> None:
    harness = EngineHarness(_load(lcm))
    wanted = make_params(source=SOURCE, strength=0.5, guidance_scale=8.0, hd=True, **FAST)
    harness.denoise(make_request("a", wanted, source=to_png_bytes(sample_image())))
    harness.close()
    assert torch.isfinite(harness.latents["a"]).all()


@pytest.mark.parametrize("name", ["turbo", "lightning"])
def test_a_model_without_guidance_gets_the_prompt_alone(name: str) -> None:
    guidance = describe_model(name).guidance_scale
    assert list(guidance_weights(make_params(guidance_scale=guidance)).values()) == [1.0]
    assert list(guidance_weights(make_params(guidance_scale=guidance, negative_prompt="snow")).values()) == [1.0]
    with_no = guidance_weights(make_params(guidance_scale=guidance, no=("snow",)))
    assert {text.text: weight for text, weight in with_no.items()} == {"a red fox": 1.0, "snow": -0.5, "": 0.5}


@pytest.mark.filterwarnings("ignore:The `local_dir_use_symlinks` argument:UserWarning")  # raised by diffusers
@pytest.mark.parametrize(
    ("name", "spacing", "sampler", "guided"), [("lightning", "trailing", "euler", None), ("lcm", None, "lcm", 32)]
)
def test_a_replacement_unet_uses_the_parts_of_its_base_model(
    tiny_xl: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    spacing: str | None,
    sampler: str,
    guided: int | None,
) -> None:
    entry = next(entry for entry in CATALOGUE if name in entry.aliases)
    unet = _unet(tiny_xl, time_cond_proj_dim=guided)
    alone = tmp_path / "alone"
    alone.mkdir()
    if entry.unet_file:
        save_file(unet.state_dict(), alone / entry.unet_file)
    else:
        unet.save_pretrained(alone)
    fake_hub_cache(tiny_xl, tmp_path / "cache", entry.base, monkeypatch)
    fake_hub_cache(alone, tmp_path / "cache", entry.hub_id, monkeypatch)
    pipeline = _load(name)
    mine, theirs = pipeline.unet.state_dict(), unet.state_dict()
    assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
    model = pipeline.model
    assert (model.name, model.family, model.sampler) == (entry.name, Family.SDXL, sampler)
    assert pipeline.scheduler.config.timestep_spacing == (spacing or pipeline.scheduler.config.timestep_spacing)
    harness = EngineHarness(pipeline)
    harness.denoise(make_request("a", make_params(guidance_scale=model.guidance_scale, num_inference_steps=4)))
    harness.close()
    assert harness.calls == [1] * 4


@pytest.mark.filterwarnings("ignore:The `local_dir_use_symlinks` argument:UserWarning")  # raised by diffusers
@pytest.mark.parametrize(("name", "sampler"), [("xl-lcm", "lcm"), ("hyper", "ddim")])
def test_a_few_step_lora_is_added_to_the_weights_of_its_base_model(
    tiny_xl: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, sampler: str
) -> None:
    entry = next(entry for entry in CATALOGUE if name in entry.aliases)
    base = tiny_xl if entry.family is Family.SDXL else tiny_model
    alone = tmp_path / "alone"
    alone.mkdir()
    paths = ("mid_block.resnets.0.conv1", "mid_block.attentions.0.transformer_blocks.0.attn1.to_q")
    layers = random_layers(_load(base), 3, unet=paths)
    write_kohya(alone / entry.lora_file, layers)
    fake_hub_cache(base, tmp_path / "cache", entry.base, monkeypatch)
    fake_hub_cache(alone, tmp_path / "cache", entry.hub_id, monkeypatch)
    pipeline = _load(name)
    model = pipeline.model
    unchanged = replace(_load(base), model=model, scheduler=pipeline.scheduler)
    assert (model.name, model.sampler, model.num_inference_steps) == (entry.name, sampler, 4)
    wanted = make_params(guidance_scale=model.guidance_scale, num_inference_steps=4, sampler=sampler)
    latents = [_latents_of(each, wanted) for each in (pipeline, merge_loras(unchanged, (layers, 1.0)), unchanged)]
    assert_close(latents[0], latents[1], 1e-4)
    assert (latents[0] - latents[2]).abs().max() > 1e-2, "the LoRA changes the picture"
    in_8_bits = load_pipeline(name, "cpu", lambda _: None, torch.float32, fp8=True)
    weight, merged = (each.unet.get_submodule(paths[1]).weight for each in (in_8_bits, pipeline))
    assert torch.equal(weight.float(), round_rows(merged.detach())[0].float()), "rounded with the LoRA in it"


def _latents_of(pipeline: Pipeline, params: Params) -> Tensor:
    harness = EngineHarness(pipeline)
    harness.denoise(make_request("a", params))
    harness.close()
    assert harness.calls == [1] * 4, "no second text without guidance"
    return harness.latents["a"]
