"""A model in one file, in the LDM layout, is the same as its folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from bot.doctor.model import check_model
from bot.doctor.result import CheckStatus
from generation.engine.networks import ldm_checkpoint, pipeline_loader
from generation.engine.networks.ldm_checkpoint import (
    LdmCheckpoint,
    clip_tokenizer,
    convert_open_clip,
    shapes_of,
    text_encoder_config,
)
from generation.engine.networks.load_check import find_load_problem
from generation.engine.networks.pipeline_loader import Pipeline, load_pipeline
from generation.errors import UserError
from generation.models.capabilities import Capability
from generation.models.catalogue import Family
from generation.models.files.checkpoint import inspect_checkpoint
from generation.models.files.ldm_layout import unet_config, unused_text_layers, vae_config
from generation.models.model import Model, describe_model
from tests.support.engine_harness import EngineHarness, make_params, make_request
from tests.support.ldm_file import write_hollow_copy
from tests.support.ldm_keys import ldm_network_weights, open_clip_weights

UNET = "model.diffusion_model."
FIRST = f"{UNET}input_blocks.0.0.weight"


@pytest.fixture(scope="module", autouse=True)
def _quick_loads() -> Iterator[None]:
    """Load with one thread, and read CLIP's vocabulary once for all files: it takes half of the time of a load."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ldm_checkpoint, "clip_tokenizer", cache(clip_tokenizer))
        yield


def _load(path: Path) -> Pipeline:
    return load_pipeline(str(path), "cpu", lambda _: None, torch.float32)


def _describe(path: Path) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """Return the scheduler's settings and the model's, for which no weights are read."""
    model = describe_model(str(path))
    scheduler = LdmCheckpoint(inspect_checkpoint(path), model, {}).load("scheduler", torch.float32)
    return _settings(pipeline_loader._select_scheduler(model, scheduler), model)


def _settings(scheduler: Any, model: Model) -> tuple[dict[str, Any], tuple[Any, ...]]:
    return dict(scheduler.config), (model.family, model.native_size, model.size_multiple, model.sampler)


@cache
def _load_unchanged(path: Path) -> Pipeline:
    """Return what a fixture's folder or file is loaded as; tests only read it."""
    return _load(path)


def _latents(pipeline: Pipeline) -> torch.Tensor:
    harness = EngineHarness(pipeline)
    harness.generate(make_request("a", make_params("a fox :) für Ämter", sampler="ddim", num_inference_steps=2)))
    harness.close()
    return harness.latents["a"]


@pytest.mark.parametrize("generation", ["first", "second", "third"])
def test_a_file_generates_what_its_folder_generates(generation: str, request: pytest.FixtureRequest) -> None:
    folder, file = request.getfixturevalue(generation)
    parts, whole = _load_unchanged(folder), _load_unchanged(file)
    pairs = [(parts.unet, whole.unet), (parts.vae, whole.vae)]
    pairs += zip(parts.text_encoders, whole.text_encoders, strict=True)
    for pair in pairs:
        theirs, mine = (network.state_dict() for network in pair)
        assert theirs.keys() == mine.keys()
        assert all(torch.equal(theirs[key], mine[key]) for key in theirs)
    assert torch.allclose(_latents(whole), _latents(parts), atol=1e-5)


def test_a_files_name_and_native_size_come_from_the_file(first: tuple[Path, Path], second: tuple[Path, Path]) -> None:
    loaded = _load_unchanged(first[1]).model
    assert loaded == describe_model(str(first[1]))
    assert (loaded.name, loaded.native_size, loaded.sampler) == ("whole", 512, "dpmpp_2m_karras")
    assert _load_unchanged(second[1]).model.native_size == 768


def test_an_atelier_json_beside_a_file_describes_it(first: tuple[Path, Path], tmp_path: Path) -> None:
    file = shutil.copy(first[1], tmp_path / "dreams.safetensors")
    (tmp_path / "dreams.atelier.json").write_text('{"name": "Dreams", "trigger_words": "drm style"}')
    model = describe_model(str(file))
    assert (model.name, model.trigger_words) == ("Dreams", "drm style")


@pytest.mark.parametrize(
    ("metadata", "beside", "prediction", "size"),
    [
        ({}, None, "v_prediction", 768),
        ({}, 'model:\n  params:\n    parameterization: "v"', "v_prediction", 768),
        ({}, "model:\n  params:\n    linear_start: 0.00085", "epsilon", 512),
        ({"modelspec.prediction_type": "epsilon"}, None, "epsilon", 512),
        ({"modelspec.prediction_type": "v", "modelspec.resolution": "640x640"}, None, "v_prediction", 640),
        ({"prediction_type": "eps"}, None, "epsilon", 512),
        ({"modelspec.predict_key": "v", "modelspec.resolution": "512x768"}, None, "v_prediction", 640),
        ({"ss_v_parameterization": "True"}, None, "v_prediction", 768),
        ({"ss_v_parameterization": "False"}, None, "epsilon", 512),
        ({"modelspec.prediction_type": "epsilon", "modelspec.resolution": "(768, 512)"}, None, "epsilon", 640),
        ({"modelspec.prediction_type": "epsilon", "modelspec.resolution": "99999x99999"}, None, "epsilon", 512),
        ({"modelspec.prediction_type": "epsilon", "modelspec.resolution": "0x0"}, None, "epsilon", 512),
    ],
)
def test_the_prediction_type_is_read_from_metadata_or_a_yaml_file(
    second: tuple[Path, Path], tmp_path: Path, metadata: dict[str, str], beside: str | None, prediction: str, size: int
) -> None:
    write_hollow_copy(second[1], tmp_path / "it.safetensors", metadata)
    if beside is not None:
        (tmp_path / "it.yaml").write_text(beside)
    settings, (_, native_size, *_) = _describe(tmp_path / "it.safetensors")
    assert (settings["prediction_type"], native_size) == (prediction, size)


def test_a_file_is_loaded_as_it_is_described(second: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copy(second[1], tmp_path / "it.safetensors")
    (tmp_path / "it.yaml").write_text("model:\n  params:\n    linear_start: 0.00085")
    for path, prediction in ((second[1], "v_prediction"), (tmp_path / "it.safetensors", "epsilon")):
        loaded = _load_unchanged(path)
        assert _settings(loaded.scheduler, loaded.model) == _describe(path)
        assert loaded.scheduler.config.prediction_type == prediction


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"lora_unet_down_blocks_0.lora_up.weight": torch.ones(1)}, "is a LoRA"),
        ({"conditioner.embedders.0.model.ln_final.weight": torch.ones(1)}, "is a refiner"),
        ({"edm_vpred.sigma_max": torch.ones(1)}, "EDM noise"),
        ({FIRST: torch.ones(8, 9, 3, 3)}, "inpainting"),
        ({FIRST: torch.ones(8, 4, 3, 3)}, "is a UNet alone"),
        ({FIRST: torch.ones(8, 4, 3, 3), "cond_stage_model.transformer.x": torch.ones(1)}, "has no VAE"),
        ({"first_stage_model.decoder.conv_in.weight": torch.ones(1)}, "is a VAE alone"),
        ({"decoder.conv_in.weight": torch.ones(1), "encoder.conv_in.weight": torch.ones(1)}, "is a VAE alone"),
        ({"text_model.encoder.layers.0.mlp.fc1.weight": torch.ones(1)}, "is a text encoder alone"),
        ({"model_ema.diffusion_modelinput_blocks00weight": torch.ones(1)}, "EMA"),
        ({"control_model.input_hint_block.0.weight": torch.ones(1)}, "is a ControlNet"),
        ({"double_blocks.0.img_attn.qkv.weight": torch.ones(1)}, "FLUX.*folder"),
        ({f"{UNET}double_blocks.0.img_attn.qkv.weight": torch.ones(1)}, "FLUX.*folder"),
        ({f"{UNET}joint_blocks.0.x_block.attn.qkv.weight": torch.ones(1)}, "Stable Diffusion 3.*folder"),
        ({"lora_controlnet": torch.ones(1), "input_blocks.1.0.in_layers.2.down": torch.ones(1)}, "is a ControlNet"),
        ({"emb_params": torch.ones(1)}, "is an embedding"),
        ({"params_ema.conv_first.weight": torch.ones(1)}, "is an upscaler"),
        ({"unet.conv_in.weight": torch.ones(1), "vae.x": torch.ones(1)}, "diffusers' names"),
        ({"a.b": torch.ones(1)}, "contains no Stable Diffusion"),
        (
            {FIRST: torch.ones(8, 4, 3, 3), "first_stage_model.decoder.conv_in.weight": torch.ones(1)},
            "has no text encoder",
        ),
    ],
)
def test_a_file_of_another_kind_is_refused_with_the_reason(
    tmp_path: Path, weights: dict[str, torch.Tensor], message: str
) -> None:
    save_file(weights, tmp_path / "it.safetensors")
    with pytest.raises(UserError, match=message):
        describe_model(str(tmp_path / "it.safetensors"))


@pytest.mark.parametrize(
    ("missing", "part"),
    [(f"{UNET}out.2.bias", "unet"), ("first_stage_model.quant_conv.bias", "vae")],
)
def test_a_file_that_lacks_a_weight_is_refused_naming_the_part(
    first: tuple[Path, Path], tmp_path: Path, missing: str, part: str
) -> None:
    weights = load_file(first[1])
    del weights[missing]
    save_file(weights, tmp_path / "it.safetensors")
    with pytest.raises(UserError, match=f"The {part} in .* is not shaped like"):
        _load(tmp_path / "it.safetensors")


@pytest.mark.parametrize(
    ("marks", "metadata", "prediction", "spacing", "sampler"),
    [
        ([], {}, "epsilon", "linspace", "dpmpp_2m_karras"),
        (["v_pred"], {}, "v_prediction", "linspace", "dpmpp_2m_karras"),
        (["v_pred", "ztsnr"], {}, "v_prediction", "trailing", "euler"),
        ([], {"modelspec.prediction_type": "v"}, "v_prediction", "linspace", "dpmpp_2m_karras"),
        ([], {"prediction_type": "v_prediction"}, "v_prediction", "linspace", "dpmpp_2m_karras"),
        ([], {"prediction_type": "epsilon"}, "epsilon", "linspace", "dpmpp_2m_karras"),
        ([], {"prediction_type": "unknown"}, "epsilon", "linspace", "dpmpp_2m_karras"),
        ([], {"modelspec.resolution": "832x1216"}, "epsilon", "linspace", "dpmpp_2m_karras"),
    ],
)
def test_an_xl_file_that_predicts_velocities_is_recognised(
    third: tuple[Path, Path],
    tmp_path: Path,
    marks: list[str],
    metadata: dict[str, str],
    prediction: str,
    spacing: str,
    sampler: str,
) -> None:
    write_hollow_copy(third[1], tmp_path / "it.safetensors", metadata, marks)
    settings, model = _describe(tmp_path / "it.safetensors")
    assert (settings["prediction_type"], settings["timestep_spacing"]) == (prediction, spacing)
    assert settings.get("rescale_betas_zero_snr", False) is ("ztsnr" in marks)
    assert model == (Family.SDXL, 1024, 64, sampler)


@pytest.mark.parametrize("marks", [["v_pred"], ["v_pred", "ztsnr"]], ids=str)
def test_an_xl_file_that_predicts_velocities_generates(
    third: tuple[Path, Path], tmp_path: Path, marks: list[str]
) -> None:
    file = tmp_path / "it.safetensors"
    save_file(load_file(third[1]) | {mark: torch.empty(0) for mark in marks}, file)
    loaded = _load(file)
    assert _settings(loaded.scheduler, loaded.model) == _describe(file)
    assert torch.isfinite(_latents(loaded)).all()


def test_an_xl_file_that_predicts_a_flow_is_refused(third: tuple[Path, Path], tmp_path: Path) -> None:
    save_file(load_file(third[1]), tmp_path / "it.safetensors", {"modelspec.prediction_type": "flow"})
    with pytest.raises(UserError, match=r"predict a flow \(flow\), which is not supported"):
        describe_model(str(tmp_path / "it.safetensors"))


@pytest.mark.parametrize("number", [2, 3])
def test_all_text_layers_of_2x_are_used_where_none_is_spare(
    second: tuple[Path, Path], tmp_path: Path, number: int
) -> None:
    """Files that were saved from diffusers have neither the spare layer nor OpenCLIP's projection and scale."""
    place = "cond_stage_model.model."
    spare = f"{place}transformer.resblocks.2."
    weights = load_file(second[1])
    if number == 2:
        weights = {key: each for key, each in weights.items() if not key.startswith(spare)}
        del weights[f"{place}text_projection"], weights[f"{place}logit_scale"]
    save_file(weights, tmp_path / "it.safetensors")
    parts, whole = _load_unchanged(second[0]).text_encoder, _load(tmp_path / "it.safetensors").text_encoder
    assert whole.config.num_hidden_layers == 2
    assert all(torch.equal(each, whole.state_dict()[key]) for key, each in parts.state_dict().items())


@pytest.mark.parametrize(("layers", "spare"), [(24, 1), (23, 0), (12, 0)])
@pytest.mark.parametrize("scale", [False, True])
def test_the_spare_layer_of_2x_is_recognised_by_number(layers: int, spare: int, scale: bool) -> None:
    place = "cond_stage_model.model."
    shapes: dict[str, tuple[int, ...]] = {
        f"{place}transformer.resblocks.{layer}.ln_1.weight": (1024,) for layer in range(layers)
    }
    if scale:
        shapes[f"{place}logit_scale"] = ()
    assert unused_text_layers(shapes) == (spare if layers > 20 else int(scale))


@pytest.mark.parametrize("suffix", ["scale_weight", "weight_scale"])
@pytest.mark.parametrize("per_output", [False, True])
def test_scaled_fp8_is_multiplied_by_its_scales(
    first: tuple[Path, Path], tmp_path: Path, suffix: str, per_output: bool
) -> None:
    weights = load_file(first[1])
    wanted = _load_unchanged(first[1])
    for name in [name for name in weights if name.startswith(UNET) and weights[name].ndim == 2]:
        limit = weights[name].abs().amax(1, keepdim=True) if per_output else weights[name].abs().max()
        scale = limit.clamp(min=1e-12) / 400
        weights[name] = (weights[name] / scale).to(torch.float8_e4m3fn)
        weights[f"{name.removesuffix('.weight')}.{suffix}"] = scale
        weights[f"{name.removesuffix('.weight')}.scale_input"] = torch.ones(())
    save_file(weights | {"scaled_fp8": torch.empty(2).to(torch.float8_e4m3fn)}, tmp_path / "it.safetensors")
    loaded = _load(tmp_path / "it.safetensors")
    pairs = zip(wanted.unet.state_dict().values(), loaded.unet.state_dict().values(), strict=True)
    assert all(torch.allclose(one, other, atol=0.07 * float(one.abs().max()) + 1e-6) for one, other in pairs)


def test_weights_quantised_in_other_ways_are_refused(first: tuple[Path, Path], tmp_path: Path) -> None:
    weights = load_file(first[1])
    name = next(name for name in weights if name.startswith(UNET) and weights[name].ndim == 2)
    stem = name.removesuffix(".weight")
    blocks, packed = torch.ones(len(weights[name]), 4), weights[name].to(torch.uint8)
    for changed in (
        {f"{stem}.weight_scale": blocks, name: weights[name].to(torch.float8_e4m3fn)},
        {f"{stem}.weight_scale": torch.ones(()), name: packed},
        {f"{stem}.weight.absmax": torch.ones(4), name: packed},
    ):
        save_file(weights | changed, tmp_path / "it.safetensors")
        with pytest.raises(UserError, match="is quantised"):
            describe_model(str(tmp_path / "it.safetensors"))


RELATIVES = {
    "ssd-1b": {"transformer_layers_per_block": [1, 2], "reverse_transformer_layers_per_block": [[2, 1, 1], 1]},
    "koala": {"transformer_layers_per_block": [1, 2], "mid_block_type": None},
    "one resnet in the middle": {"transformer_layers_per_block": [1, 2], "mid_block_type": "UNetMidBlock2D"},
    "smaller levels": {"layers_per_block": 1, "transformer_layers_per_block": [1, 1]},
}


@pytest.mark.parametrize("name", RELATIVES)
def test_smaller_relatives_of_xl_are_loaded(third: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    config = {**dict(_load_unchanged(third[0]).unet.config), **RELATIVES[name]}
    with torch.random.fork_rng():
        torch.manual_seed(9)
        unet = UNet2DConditionModel.from_config(config)
    levels = config["layers_per_block"] + 1
    mine = dict(ldm_network_weights(unet, _load_unchanged(third[0]).vae, levels))
    others = {key: weight for key, weight in load_file(third[1]).items() if not key.startswith(UNET)}
    save_file(
        others | {key: weight for key, weight in mine.items() if key.startswith(UNET)}, tmp_path / "it.safetensors"
    )
    loaded = _load(tmp_path / "it.safetensors")
    theirs = unet.state_dict()
    assert loaded.unet.state_dict().keys() == theirs.keys()
    assert all(torch.equal(each, theirs[key]) for key, each in loaded.unet.state_dict().items())
    assert torch.isfinite(_latents(loaded)).all()


def test_a_unet_that_no_configuration_expresses_is_refused_when_described(
    third: tuple[Path, Path], tmp_path: Path
) -> None:
    for lost in ("output_blocks.5.", "output_blocks.0.1.", "middle_block.1."):
        weights = {key: each for key, each in load_file(third[1]).items() if not key.startswith(f"{UNET}{lost}")}
        save_file(weights, tmp_path / "it.safetensors")
        with pytest.raises(UserError, match=r"it\.safetensors has a UNet of a kind that is not supported"):
            describe_model(str(tmp_path / "it.safetensors"))


def test_a_unet_that_is_told_a_class_is_refused_when_described(second: tuple[Path, Path], tmp_path: Path) -> None:
    save_file(load_file(second[1]) | {f"{UNET}label_emb.0.0.weight": torch.ones(4, 4)}, tmp_path / "it.safetensors")
    with pytest.raises(UserError, match="needs more than texts"):
        describe_model(str(tmp_path / "it.safetensors"))


def test_a_file_that_was_cut_after_it_was_described_is_a_user_error(first: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copy(first[1], tmp_path / "it.safetensors")
    model = describe_model(str(tmp_path / "it.safetensors"))
    info = inspect_checkpoint(tmp_path / "it.safetensors")
    (tmp_path / "it.safetensors").write_bytes(first[1].read_bytes()[:-100_000])
    with pytest.raises(UserError, match=r"interrupted download.*Download the model again"):
        LdmCheckpoint(info, model)


def test_a_file_of_a_distilled_model_gets_trailing_spacing(third: tuple[Path, Path], tmp_path: Path) -> None:
    shutil.copy(third[1], tmp_path / "fast.safetensors")
    (tmp_path / "fast.atelier.json").write_text('{"num_inference_steps": 4, "guidance_scale": 1, "sampler": "euler_a"}')
    loaded = _load(tmp_path / "fast.safetensors")
    assert (loaded.model.sampler, loaded.scheduler.config.timestep_spacing) == ("euler_a", "trailing")
    (tmp_path / "fast.atelier.json").write_text('{"sampler": "magic"}')
    with pytest.raises(UserError, match="no sampler magic"):
        describe_model(str(tmp_path / "fast.safetensors"))


def test_the_published_config_of_xl_is_derived_from_its_shapes() -> None:
    published = {  # unet/config.json of stable-diffusion-xl-base-1.0
        "sample_size": 128,
        "in_channels": 4,
        "block_out_channels": [320, 640, 1280],
        "layers_per_block": 2,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "transformer_layers_per_block": [1, 2, 10],
        "cross_attention_dim": 2048,
        "attention_head_dim": [5, 10, 20],
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    }
    vae_settings = {"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4}
    vae_settings |= {"down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4}
    vae_settings |= {"sample_size": 1024, "scaling_factor": 0.13025}
    with torch.device("meta"):
        unet, vae = UNet2DConditionModel.from_config(published), AutoencoderKL.from_config(vae_settings)
    weights = dict(ldm_network_weights(unet, vae))
    assert unet_config(shapes_of(weights), Family.SDXL, 1024) == published
    assert vae_config(shapes_of(weights), Family.SDXL, 1024) == vae_settings
    assert sum(weight.numel() for key, weight in weights.items() if key.startswith(UNET)) == 2_567_463_684


def test_the_config_of_xls_second_text_encoder_is_derived_from_shapes() -> None:
    published = {  # text_encoder_2/config.json of stable-diffusion-xl-base-1.0
        "vocab_size": 49408,
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 20,
        "max_position_embeddings": 77,
        "hidden_act": "gelu",
        "projection_dim": 1280,
    }
    with torch.device("meta"):
        network = CLIPTextModelWithProjection(CLIPTextConfig(**published))
    place = "conditioner.embedders.1.model."
    projection = network.text_projection.weight
    weights = dict(open_clip_weights(place, network.text_model.state_dict(), projection, range(32)))
    renamed = convert_open_clip(weights, place)
    assert renamed.keys() == network.text_model.state_dict().keys()
    found = text_encoder_config(renamed, "gelu", projection_dim=len(projection))
    assert {name: getattr(found, name) for name in published} == published
    assert sum(weight.numel() for weight in weights.values()) == 694_659_840 + 1  # the one is a scale that is not used


@pytest.mark.parametrize("family", [Family.SD1, Family.SD2])
def test_the_published_configs_of_sd_are_derived_from_its_shapes(family: Family) -> None:
    second, size = family is Family.SD2, 768 if family is Family.SD2 else 512
    down, up = ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"], ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3
    published = {  # unet/config.json of stable-diffusion-v1-5 and stable-diffusion-2-1
        "sample_size": size // 8,
        "in_channels": 4,
        "block_out_channels": [320, 640, 1280, 1280],
        "layers_per_block": 2,
        "down_block_types": down,
        "up_block_types": up,
        "cross_attention_dim": 1024 if second else 768,
        "attention_head_dim": [5, 10, 20, 20] if second else 8,
        "use_linear_projection": second,
    }
    vae_settings = {"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "latent_channels": 4}
    vae_settings |= {"down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4}
    vae_settings["sample_size"] = size
    with torch.device("meta"):
        unet, vae = UNet2DConditionModel.from_config(published), AutoencoderKL.from_config(vae_settings)
    weights = dict(ldm_network_weights(unet, vae))
    assert unet_config(shapes_of(weights), family, size) == published
    assert vae_config(shapes_of(weights), family, size) == vae_settings
    assert sum(weight.numel() for key, weight in weights.items() if key.startswith(UNET)) == (
        865_910_724 if second else 859_520_964
    )


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a pickle by another name", (1 << 60).to_bytes(8, "little")])
def test_a_file_with_only_the_right_suffix_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "it.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="not a safetensors file"):
        describe_model(str(tmp_path / "it.safetensors"))


def test_the_doctor_checks_a_single_file(first: tuple[Path, Path], tmp_path: Path) -> None:
    assert check_model(str(first[1]))[0].status is CheckStatus.PASSED
    (tmp_path / "cut.safetensors").write_bytes(first[1].read_bytes()[:-1])
    (found,) = check_model(str(tmp_path / "cut.safetensors"))
    assert found.status is CheckStatus.FAILED
    assert "damaged" in found.text


def test_the_bundled_tokenizer_is_clips() -> None:
    tokenizer = clip_tokenizer("!")
    assert len(tokenizer) == 49408
    known = [49406, 320, 1125, 539, 320, 2368, 49407]
    assert tokenizer("a photo of a cat").input_ids == known
    assert (tokenizer.pad_token_id, clip_tokenizer("<|endoftext|>").pad_token_id) == (0, 49407)


def _changed(source: Path, path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    weights = load_file(source)
    change(weights)
    save_file(weights, path)
    return path


def test_the_rest_of_a_whole_clip_does_not_matter(
    first: tuple[Path, Path], third: tuple[Path, Path], tmp_path: Path
) -> None:
    """As ComfyUI wrote it for a time: the projection of the first encoder, which Stable Diffusion does not use."""
    for place, (_, file) in (("cond_stage_model", first), ("conditioner.embedders.0", third)):
        more = {f"{place}.transformer.text_projection.weight": torch.ones(4, 4), f"{place}.logit_scale": torch.ones(())}
        loaded = _load(_changed(file, tmp_path / "more.safetensors", lambda weights, more=more: weights.update(more)))
        expected = _load_unchanged(file).text_encoder.state_dict()
        assert all(torch.equal(weight, expected[name]) for name, weight in loaded.text_encoder.state_dict().items())


def test_the_projection_of_xl_may_be_stored_as_a_layer(third: tuple[Path, Path], tmp_path: Path) -> None:
    def rename(weights: dict[str, torch.Tensor]) -> None:
        name = "conditioner.embedders.1.model.text_projection"
        weights[f"{name}.weight"] = weights.pop(name).T.contiguous()

    loaded = _load(_changed(third[1], tmp_path / "it.safetensors", rename))
    assert torch.equal(
        loaded.text_encoder_2.text_projection.weight, _load_unchanged(third[1]).text_encoder_2.text_projection.weight
    )


def test_a_vae_without_its_encoder_is_incomplete(first: tuple[Path, Path], tmp_path: Path) -> None:
    def drop(weights: dict[str, torch.Tensor]) -> None:
        for name in [name for name in weights if name.startswith("first_stage_model.encoder.")]:
            del weights[name]

    with pytest.raises(UserError, match=r"is incomplete: it lacks weights .*first_stage_model\.encoder"):
        describe_model(str(_changed(first[1], tmp_path / "it.safetensors", drop)))


@pytest.mark.parametrize("kind", [torch.int8, torch.bool, torch.uint8, torch.complex64], ids=str)
def test_weights_that_are_no_floating_point_numbers_are_refused(
    first: tuple[Path, Path], tmp_path: Path, kind: torch.dtype
) -> None:
    def quantise(weights: dict[str, torch.Tensor]) -> None:
        weights[f"{UNET}out.2.weight"] = weights[f"{UNET}out.2.weight"].to(kind)

    with pytest.raises(UserError, match="quantised in a way that is not supported"):
        describe_model(str(_changed(first[1], tmp_path / "it.safetensors", quantise)))


@pytest.mark.parametrize("kind", ["first", "third"])
def test_a_file_for_edits_is_recognised_by_its_input(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> None:
    weights = load_file(request.getfixturevalue(kind)[1])
    weights[FIRST] = torch.randn(len(weights[FIRST]), 8, 3, 3)
    save_file(weights, tmp_path / "instruct.safetensors")
    drawing, model = (
        describe_model(str(path)) for path in (request.getfixturevalue(kind)[1], tmp_path / "instruct.safetensors")
    )
    assert (drawing.is_editor, model.is_editor, model.family) == (False, True, drawing.family)
    assert Capability.EDIT in model.capabilities - drawing.capabilities
    assert find_load_problem(model) is None
    unet = _load(tmp_path / "instruct.safetensors").unet
    assert torch.equal(unet.conv_in.weight, weights[FIRST])
