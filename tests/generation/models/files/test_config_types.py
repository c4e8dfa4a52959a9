"""A value of another type in a model's folder is refused with the names of its file and key, everywhere alike."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from bot.doctor.model import check_model
from bot.doctor.result import CheckStatus
from generation.models.files.config_types import read_config
from generation.models.files.errors import ModelFileError
from generation.models.files.lora import describe_lora
from generation.models.files.model_files import require_local_files
from generation.models.model import EMBEDDED, describe_model

ODD = [
    ("unet/config.json", "in_channels", "4"),
    ("unet/config.json", "in_channels", None),
    ("unet/config.json", "block_out_channels", 32),
    ("unet/config.json", "block_out_channels", "32, 64"),
    ("unet/config.json", "cross_attention_dim", "768"),
    ("unet/config.json", "attention_head_dim", {}),
    ("unet/config.json", "layers_per_block", 2.5),
    ("unet/config.json", "sample_size", "64"),
    ("unet/config.json", "norm_eps", "1e-05"),
    ("unet/config.json", "flip_sin_to_cos", "true"),
    ("unet/config.json", "down_block_types", "DownBlock2D"),
    ("vae/config.json", "latent_channels", [4]),
    ("vae/config.json", "scaling_factor", "0.18215"),
    ("vae/config.json", "block_out_channels", {"0": 32}),
    ("scheduler/scheduler_config.json", "num_train_timesteps", "1000"),
    ("scheduler/scheduler_config.json", "beta_start", [0.00085]),
    ("scheduler/scheduler_config.json", "prediction_type", 1),
    ("scheduler/scheduler_config.json", "trained_betas", 0.1),
    ("text_encoder/config.json", "hidden_size", "768"),
    ("text_encoder/config.json", "num_hidden_layers", True),
    ("tokenizer/tokenizer_config.json", "model_max_length", "77"),
    ("model_index.json", "unet", ["diffusers"]),
    ("model_index.json", "vae", ["diffusers", 5]),
    ("model_index.json", "_class_name", ["StableDiffusionPipeline"]),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(EMBEDDED, tmp_path_factory.mktemp("typed") / "model")


@pytest.fixture
def changed(folder: Path) -> Iterator[Any]:
    kept: dict[Path, bytes] = {}

    def change(file: str, key: str, value: object) -> None:
        path = folder / file
        kept[path] = path.read_bytes()
        path.write_text(json.dumps(json.loads(kept[path]) | {key: value}))

    yield change
    for path, content in kept.items():
        path.write_bytes(content)


@pytest.mark.parametrize(("file", "key", "value"), ODD)
def test_a_value_of_another_type_names_its_file_and_key(
    folder: Path, changed: Any, file: str, key: str, value: object
) -> None:
    changed(file, key, value)
    with pytest.raises(ModelFileError) as error:
        require_local_files(describe_model(str(folder)))
    assert f"{folder / file} is damaged: `{key}` must be " in error.value.problem
    assert json.dumps(value) in error.value.problem
    (result,) = check_model(str(folder))
    assert (result.status, result.text) == (CheckStatus.FAILED, error.value.problem)


def test_settings_of_published_models_are_of_the_right_type(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(
        json.dumps(
            {
                "attention_head_dim": [5, 10, 20],
                "transformer_layers_per_block": [1, [2, 2], 10],
                "only_cross_attention": [True, False],
                "mid_block_type": None,
                "norm_num_groups": None,
                "upcast_attention": None,
                "num_attention_heads": None,
                "sample_size": [64, 96],
                "dropout": [0.1, 0],
                "scaling_factor": 1,
                "latents_mean": None,
                "model_max_length": 1e30,
                "new_setting": {"of": "diffusers"},
            }
            | {"num_attention_heads": [None, 10, 20]}
        )
    )
    assert read_config(path)["attention_head_dim"] == [5, 10, 20]


def test_settings_beside_a_lora_are_named_as_well(tmp_path: Path) -> None:
    layer = "base_model.model.unet.mid_block.attentions.0.proj_in"
    tensors = {f"{layer}.lora_A.weight": torch.ones(1, 8), f"{layer}.lora_B.weight": torch.ones(8, 1)}
    save_file(tensors, tmp_path / "it.safetensors")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"lora_alpha": [16]}))
    with pytest.raises(ModelFileError, match=r"adapter_config\.json is damaged: `lora_alpha` must be a number"):
        describe_lora(tmp_path / "it.safetensors", "it")
