"""Weights that are no numbers are found at the start, in every format and without reading large files whole."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bot.config import Config
from bot.doctor.adapters import check_adapters
from bot.doctor.result import CheckStatus
from generation.errors import UserError
from generation.models.adapters import scan_adapters
from generation.models.files import weight_values
from generation.models.files.safetensors_header import read_header
from generation.models.files.weight_values import require_numbers

LAYER = "lora_unet_mid_block_attentions_0_proj_in"
FORMATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2, torch.float8_e4m3fn]


def check(path: Path) -> None:
    header = read_header(path)
    require_numbers(path, header, header.shapes)


@pytest.mark.parametrize("dtype", FORMATS)
def test_one_value_that_is_no_number_is_found_in_any_format(tmp_path: Path, dtype: torch.dtype) -> None:
    path = tmp_path / "a.safetensors"
    values = torch.tensor([0.0, -1.5, 3.0, 240.0, -240.0])
    save_file({"fine": values.to(dtype), "ids": torch.full((3,), -1)}, path)
    check(path)
    for wrong in (math.nan, math.inf):
        if wrong != math.inf or dtype is not torch.float8_e4m3fn:  # which has no infinity
            save_file({"fine": values.to(dtype), "odd": torch.tensor([*values, wrong]).to(dtype)}, path)
            with pytest.raises(UserError, match=r"a\.safetensors is unusable: odd has values that are no numbers"):
                check(path)


def test_each_tensor_of_a_large_file_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight_values, "MAX_READ", 4000)
    path = tmp_path / "a.safetensors"
    tensors = {f"layer{number}": torch.ones(2000) for number in range(5)}
    save_file(tensors, path)
    check(path)
    save_file(tensors | {"layer3": torch.full((2000,), math.nan)}, path)
    with pytest.raises(UserError, match="layer3 has values"):
        check(path)


def test_the_start_and_the_doctor_leave_such_files_out(tmp_path: Path) -> None:
    loras, embeddings = tmp_path / "loras", tmp_path / "embeddings"
    loras.mkdir()
    embeddings.mkdir()
    good = {f"{LAYER}.lora_down.weight": torch.ones(1, 8), f"{LAYER}.lora_up.weight": torch.ones(8, 1)}
    bundle = {"bundle_emb.fern.string_to_param.*": torch.full((1, 768), math.nan)}
    save_file(good | bundle, loras / "good.safetensors")
    save_file(good | {f"{LAYER}.lora_up.weight": torch.full((8, 1), math.inf)}, loras / "bad.safetensors")
    save_file({"emb_params": torch.full((2, 768), math.nan).half()}, embeddings / "worse.safetensors")
    adapters, unusable = scan_adapters(loras, embeddings)
    assert ([each.name for each in adapters.loras], adapters.embeddings) == (["good"], ())
    assert [reason.partition(" is unusable")[0].rpartition("/")[2] for reason in unusable] == [
        "bad.safetensors",
        "worse.safetensors",
        "good.safetensors",
    ]
    results = check_adapters(Config(loras=loras, embeddings=embeddings))
    assert [result.text for result in results if result.status is CheckStatus.FAILED] == list(unusable)
