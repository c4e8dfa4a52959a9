"""Models are loaded part by part, from a folder or a hub id; unsupported ones are refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from generation.engine.denoising.engine import DenoisingEngine
from generation.engine.device.device import choose_device
from generation.engine.networks.pipeline_loader import load_pipeline
from generation.errors import UserError
from generation.messages import Event, Loading
from tests.support.engine_harness import EngineHarness, make_params, make_request
from tests.support.hub_cache import fake_hub_cache


def _copy(model: Path, folder: Path, **changes: dict[str, Any]) -> str:
    """Copy a model and change the configurations of its parts."""
    shutil.copytree(model, folder, dirs_exist_ok=True)
    for part, change in changes.items():
        config = folder / part / ("scheduler_config.json" if part == "scheduler" else "config.json")
        config.write_text(json.dumps(json.loads(config.read_text()) | change))
    return str(folder)


def _load(ref: str) -> Any:
    return load_pipeline(ref, "cpu", lambda _: None, torch.float32)


def test_every_part_is_reported_before_it_is_loaded(tiny_model: Path) -> None:
    events: list[Event] = []
    engine = DenoisingEngine.load(str(tiny_model), "cpu", events.append)
    engine.close()
    parts = ("tokenizer", "text encoder", "unet", "vae", "scheduler")
    assert events == [Loading(part, done, 5, "tiny") for done, part in enumerate(parts)]
    assert (engine.model.name, engine.model.native_size, engine.device) == ("tiny", 64, "cpu")


def test_weights_in_half_precision_are_widened_on_a_cpu(tiny_model: Path, tmp_path: Path) -> None:
    narrow = _load(str(tiny_model))
    for part in ("unet", "vae", "text_encoder"):
        getattr(narrow, part).half().save_pretrained(tmp_path / part)
    for part in ("tokenizer", "scheduler"):
        shutil.copytree(tiny_model / part, tmp_path / part)
    shutil.copy(tiny_model / "model_index.json", tmp_path)
    wide = _load(str(tmp_path))
    assert {module.dtype for module in (wide.unet, wide.vae, wide.text_encoder)} == {torch.float32}


@pytest.mark.filterwarnings("ignore:The `local_dir_use_symlinks` argument:UserWarning")  # raised by diffusers
def test_a_model_can_be_loaded_by_its_hub_id(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub_cache(tiny_model, tmp_path, "somebody/tiny", monkeypatch)
    harness = EngineHarness(_load("somebody/tiny"))
    assert (harness.engine.model.name, harness.engine.model.native_size) == ("tiny", 64)
    harness.generate(make_request("a"))
    harness.close()


@pytest.mark.filterwarnings("ignore:The `local_dir_use_symlinks` argument:UserWarning")  # raised by diffusers
def test_a_catalogue_model_is_loaded_by_name_and_uses_its_sampler(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_hub_cache(tiny_model, tmp_path, "prompthero/openjourney", monkeypatch)
    harness = EngineHarness(_load("openjourney"))
    model = harness.engine.model
    assert (model.name, model.trigger_words, model.sampler) == ("Open Journey", "mdjrny-v4 style", "dpmpp_2m_karras")
    assert model.native_size == 64
    samplers = (None, "dpmpp_2m_karras", "ddim")
    harness.generate(*(make_request(str(sampler), make_params(sampler=sampler)) for sampler in samplers))
    own, same, other = (harness.latents[str(sampler)] for sampler in samplers)
    assert torch.equal(own, same)
    assert not torch.allclose(own, other, atol=1e-2)
    harness.close()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"unet": {"addition_embed_type": "text_time"}}, "needs more than texts"),
        ({"unet": {"in_channels": 9}}, "inpainting"),
    ],
)
def test_a_model_of_another_family_is_refused_with_the_reason(
    tiny_model: Path, tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    with pytest.raises(UserError, match=named):
        _load(_copy(tiny_model, tmp_path, **change))


def test_a_pipeline_without_a_part_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    ref = _copy(tiny_model, tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    (tmp_path / "model_index.json").write_text(json.dumps(index | {"unet": [None, None]}))
    with pytest.raises(UserError, match="unet"):
        _load(ref)


def test_a_missing_model_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="/nowhere"):
        _load("/nowhere")


def test_weights_that_are_not_safetensors_are_not_read(tiny_model: Path, tmp_path: Path) -> None:
    ref = _copy(tiny_model, tmp_path)
    (tmp_path / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    torch.save({}, tmp_path / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(UserError, match=r"no safetensors weights for its unet.*Convert"):
        _load(ref)


@pytest.mark.parametrize(
    ("name", "capabilities", "precision"),
    [
        ("cpu", {}, torch.float32),
        ("cpu", {"avx512_bf16": False}, torch.float32),
        ("cpu", {"avx512_bf16": True}, torch.bfloat16),
        ("cpu", {"amx_bf16": True}, torch.bfloat16),
        ("cuda", {"avx512_bf16": True}, torch.float16),
        ("cuda:1", {}, torch.float16),
        ("mps", {"avx512_bf16": True}, torch.float32),
    ],
)
def test_a_device_is_chosen_by_name_with_its_fastest_precision(
    name: str, capabilities: dict[str, bool], precision: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    device, best = choose_device(name)
    assert str(device) == name
    assert best is precision


def test_bfloat16_is_not_used_for_text_encoders(tiny_model: Path) -> None:
    loaded = load_pipeline(str(tiny_model), "cpu", lambda _: None, torch.bfloat16)
    assert {loaded.unet.dtype, loaded.vae.dtype} == {torch.bfloat16}
    assert loaded.text_encoder.dtype is torch.float32


@pytest.mark.parametrize("part", ["text_encoder", "unet", "vae"])
def test_a_network_that_lacks_weights_is_refused(tiny_model: Path, tmp_path: Path, part: str) -> None:
    _copy(tiny_model, tmp_path)
    (file,) = (tmp_path / part).glob("*.safetensors")
    weights = load_file(file)
    missing = next(name for name in weights if name.endswith("weight"))
    save_file({name: weight for name, weight in weights.items() if name != missing}, file, {"format": "pt"})
    with pytest.raises(UserError, match=rf"the {part} of .* lacks 1 of its weights, {re.escape(missing)} among them"):
        _load(str(tmp_path))


def test_a_tokenizer_without_its_files_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    _copy(tiny_model, tmp_path)
    for file in (tmp_path / "tokenizer").iterdir():
        if file.name != "tokenizer_config.json":
            file.unlink()
    with pytest.raises(UserError, match=r"the tokenizer of .* has no vocabulary"):
        _load(str(tmp_path))
