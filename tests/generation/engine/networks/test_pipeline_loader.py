"""Models are loaded part by part, from a folder or a hub id; unsupported ones are refused."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file

from bot.doctor.model import check_model
from bot.doctor.result import CheckStatus
from generation.command_line import tool_as_typed
from generation.engine.denoising.engine import DenoisingEngine
from generation.engine.device.device import choose_device
from generation.engine.networks.pipeline_loader import load_pipeline
from generation.engine.serving.model_loader import ModelLoader
from generation.errors import UserError
from generation.messages import Event, Loading
from generation.models.catalogue import Family
from generation.models.files.pipeline_config import SCHEDULER_PACKAGES, SCHEDULERS
from generation.models.model import Model, describe_model
from tests.support.engine_harness import EngineHarness, make_params, make_request
from tests.support.hub_cache import fake_hub_cache
from tests.support.tiny_pipelines import build_tiny_pipeline


def _copy(model: Path, folder: Path, **changes: dict[str, Any]) -> str:
    """Copy a model and change the configurations of its parts."""
    shutil.copytree(model, folder, dirs_exist_ok=True)
    for part, change in changes.items():
        config = folder / part / ("scheduler_config.json" if part == "scheduler" else "config.json")
        if part == "model_index":
            config = folder / "model_index.json"
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
        (
            {"unet": {"in_channels": 8}, "model_index": {"_class_name": "MarigoldDepthPipeline"}},
            "edits of another kind",
        ),
        ({"model_index": {"_class_name": "StableDiffusionInstructPix2PixPipeline"}}, "4 input channels"),
        ({"unet": {"class_embed_type": "projection"}}, "needs more than texts"),
        ({"unet": {"num_class_embeds": 1000}}, "needs more than texts"),
        ({"unet": {"encoder_hid_dim_type": "image_proj"}}, "needs more than texts"),
        ({"scheduler": {"prediction_type": "flow_prediction", "use_flow_sigmas": True}}, "noise schedule"),
        ({"model_index": {"scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"]}}, "noise schedule"),
        ({"model_index": {"unet": ["diffusers", "UNetMotionModel"]}}, "UNetMotionModel"),
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


def test_the_known_schedulers_are_those_with_stable_diffusions_noise() -> None:
    found = set(SCHEDULER_PACKAGES)  # they cannot be built without their packages
    for name in filter(lambda name: name.endswith("Scheduler"), dir(diffusers)):
        with suppress(ImportError, TypeError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if hasattr(getattr(diffusers, name)(), "alphas_cumprod"):
                found.add(name)
    assert found == SCHEDULERS


@pytest.mark.parametrize("name", SCHEDULER_PACKAGES)
def test_a_scheduler_whose_package_is_missing_is_replaced(
    tiny_model: Path, tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generation.models.files.pipeline_config.find_spec", lambda package: None)
    ref = _copy(tiny_model, tmp_path, model_index={"scheduler": ["diffusers", name]}, scheduler={"_class_name": name})
    loaded = _load(ref)
    assert type(loaded.scheduler).__name__ == "EulerDiscreteScheduler"
    assert loaded.scheduler.config.beta_end == _load(str(tiny_model)).scheduler.config.beta_end
    command = tool_as_typed("pip", f"install {SCHEDULER_PACKAGES[name]}")
    assert command in caplog.text
    (found,) = check_model(ref)
    assert (found.status, command in found.text) == (CheckStatus.PASSED, True)


@pytest.mark.parametrize("variant", ["bf16", "fp16", "non_ema"])
def test_weights_in_one_variant_only_are_enough(tiny_model: Path, tmp_path: Path, variant: str) -> None:
    ref = _copy(tiny_model, tmp_path)
    for path in tmp_path.glob("*/*.safetensors"):
        path.rename(path.with_suffix(f".{variant}.safetensors"))
    assert check_model(ref)[0].status is CheckStatus.PASSED
    assert torch.equal(_load(ref).unet.conv_in.weight, _load(str(tiny_model)).unet.conv_in.weight)


def test_weights_of_other_families_may_be_in_one_variant_only(tmp_path: Path) -> None:
    folder = build_tiny_pipeline(tmp_path / "flux", Family.FLUX)
    for path in folder.glob("*/*.safetensors"):
        path.rename(path.with_suffix(".bf16.safetensors"))
    index = folder / "model_index.json"
    index.write_text(index.read_text(), encoding="utf-8-sig")
    assert check_model(str(folder))[0].status is CheckStatus.PASSED
    assert ModelLoader("cpu").load(describe_model(str(folder)), lambda _: None).size > 0


def test_the_other_half_of_a_model_is_missed_by_the_doctor_too(tmp_path: Path) -> None:
    folder = build_tiny_pipeline(tmp_path / "half", Family.KANDINSKY)
    (folder / "atelier.json").unlink()
    (found,) = check_model(str(folder))
    assert "one half of a model" in found.text
    assert "`partner`" in found.fix


def test_a_missing_shard_is_named_beside_those_that_are_there(tiny_model: Path, tmp_path: Path) -> None:
    ref = _copy(tiny_model, tmp_path)
    unet = diffusers.UNet2DConditionModel.from_pretrained(ref, subfolder="unet")
    (tmp_path / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    unet.save_pretrained(tmp_path / "unet", max_shard_size="100KB")
    shards = sorted(path.name for path in (tmp_path / "unet").glob("*-of-*.safetensors"))
    assert len(shards) > 1
    assert check_model(ref)[0].status is CheckStatus.PASSED
    assert torch.equal(_load(ref).unet.conv_in.weight, unet.conv_in.weight)
    (tmp_path / "unet" / shards[0]).unlink()
    (found,) = check_model(ref)
    assert f"has {len(shards) - 1} of the {len(shards)} files" in found.text
    assert f"{shards[0]} is missing" in found.text


def test_the_files_in_place_of_missing_weights_are_listed(tiny_model: Path, tmp_path: Path) -> None:
    ref = _copy(tiny_model, tmp_path)
    (tmp_path / "unet" / "diffusion_pytorch_model.safetensors").rename(tmp_path / "unet" / "weights.safetensors")
    (found,) = check_model(ref)
    assert (
        "diffusion_pytorch_model.safetensors is missing; the folder has config.json, weights.safetensors" in found.text
    )


def test_an_index_with_a_byte_order_mark_is_read(tiny_model: Path, tmp_path: Path) -> None:
    ref = _copy(tiny_model, tmp_path)
    index = tmp_path / "model_index.json"
    index.write_text(index.read_text(), encoding="utf-8-sig")
    assert check_model(ref)[0].status is CheckStatus.PASSED
    assert _load(ref).model.name == "tiny"


@pytest.mark.parametrize("file", ["unet/config.json", "scheduler/scheduler_config.json", "tokenizer/tokenizer.json"])
def test_a_byte_order_mark_that_diffusers_cannot_read_is_named(tiny_model: Path, tmp_path: Path, file: str) -> None:
    ref = _copy(tiny_model, tmp_path)
    path = tmp_path / file
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    (found,) = check_model(ref)
    assert f"{file} begins with a byte order mark" in found.text
    with pytest.raises(UserError, match="begins with a byte order mark"):
        ModelLoader("cpu").load(Model(name="it", ref=ref), lambda _: None)


def _cut(model: Path) -> None:
    path = model / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def _reshape(model: Path) -> None:
    path = model / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({name: torch.zeros(1) for name in load_file(path)}, path)


def _break_tokenizer(model: Path) -> None:
    for path in (model / "tokenizer").glob("*.json"):
        path.write_text("{}")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_cut, "is damaged.*Download the model again"),
        (_reshape, "weights of another shape"),
        (_break_tokenizer, "cannot be loaded"),
        (lambda model: (model / "vae" / "config.json").write_text('{"block_out_channels": 3}'), "vae|model"),
    ],
)
def test_whatever_is_wrong_with_a_folder_is_a_user_error(
    tiny_model: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    """The GPU process does not start again after a UserError."""
    ref = _copy(tiny_model, tmp_path)
    damage(tmp_path)
    with pytest.raises(UserError, match=message):
        ModelLoader("cpu").load(Model(name="it", ref=ref), lambda _: None)
