"""ControlNets on disk: described by their headers, named, or refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from bot.config import Config
from bot.doctor.adapters import check_adapters
from bot.doctor.result import CheckStatus
from bot.workers import find_unusable_files
from generation.models.adapters import scan_adapters
from generation.models.catalogue import Family
from generation.models.files.controls import ControlNet, kind_of, scan_controls
from generation.models.files.lora import describe_lora
from generation.models.model import EMBEDDED, Model

DIFFUSERS = {
    "conv_in.weight": (8, 4, 3, 3),
    "time_embedding.linear_1.weight": (32, 8),
    "controlnet_cond_embedding.conv_in.weight": (4, 3, 3, 3),
    "controlnet_mid_block.weight": (8, 8, 1, 1),
    **{f"controlnet_down_blocks.{place}.{kind}": (8, 8, 1, 1) for place in range(3) for kind in ("weight", "bias")},
    "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight": (8, 768),
}
LDM = {
    "input_blocks.0.0.weight": (8, 4, 3, 3),
    "time_embed.0.weight": (32, 8),
    "input_hint_block.0.weight": (4, 3, 3, 3),
    "middle_block_out.0.weight": (8, 8, 1, 1),
    **{f"zero_convs.{place}.0.{kind}": (8, 8, 1, 1) for place in range(3) for kind in ("weight", "bias")},
    "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (8, 1024),
}
ATTENTION = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight"
CONFIG = {"_class_name": "ControlNetModel", "cross_attention_dim": 768}


def write(path: Path, shapes: dict[str, tuple[int, ...]], prefix: str = "", **metadata: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {prefix + name: np.zeros(shape, np.float16) for name, shape in shapes.items()}
    save_file(tensors, path, metadata or None)
    return path


def write_folder(folder: Path, shapes: dict[str, tuple[int, ...]] = DIFFUSERS, **changes: Any) -> Path:
    write(folder / "diffusion_pytorch_model.safetensors", shapes)
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))
    return folder


def model(width: int | None, family: Family = Family.SD1) -> Model:
    return Model(name="painter", ref="m", family=family, cross_attention_dim=width)


def refusal(folder: Path) -> str:
    found, (reason,) = scan_controls(folder)
    assert not found
    return reason


def test_every_layout_is_found_and_called_by_its_kind(tmp_path: Path) -> None:
    write_folder(tmp_path / "sd-controlnet-canny")
    write(tmp_path / "sd2" / "control_v11p_sd21_canny.safetensors", LDM, "control_model.")
    write(tmp_path / "control_openpose-fp16.safetensors", LDM)
    write(tmp_path / "tile" / "diffusion_pytorch_model.safetensors", DIFFUSERS)
    whole = LDM | {"model.diffusion_model.out.2.weight": (4, 8, 3, 3)}
    prefixed = {name if name.startswith("model.") else f"control_model.{name}": shape for name, shape in whole.items()}
    write(tmp_path / "control_sd15_depth.safetensors", prefixed)
    write(tmp_path / "my own.safetensors", DIFFUSERS)
    found, rejected = scan_controls(tmp_path)
    assert rejected == ()
    assert [(each.name, each.cross_attention_dim) for each in found] == [
        ("canny", 768),
        ("canny", 1024),
        ("depth", 1024),
        ("my-own", 768),
        ("pose", 1024),
        ("tile", 768),
    ]


def test_what_the_files_say_tells_the_kind_where_the_name_does_not(tmp_path: Path) -> None:
    write_folder(tmp_path / "first", _name_or_path="lllyasviel/sd-controlnet-scribble")
    write(tmp_path / "second.safetensors", DIFFUSERS, **{"modelspec.title": "Control depth"})
    found, _ = scan_controls(tmp_path)
    assert [each.name for each in found] == ["depth", "scribble"]


def test_two_of_a_kind_keep_their_own_names_and_are_found_by_the_kind(tmp_path: Path) -> None:
    write(tmp_path / "control_canny.safetensors", DIFFUSERS)
    write(tmp_path / "better_canny.safetensors", DIFFUSERS)
    write(tmp_path / "more" / "better canny.safetensors", DIFFUSERS)
    adapters, (double,) = scan_adapters(None, None, tmp_path)
    assert [each.name for each in adapters.controls] == ["better_canny", "control_canny"]
    assert "would be called" in double and "rename one of the two" in double
    assert len(adapters.match_controls("canny")) == 2
    assert len(adapters.match_controls("control")) == 1
    assert adapters.match_controls("") == ()


def test_the_model_decides_which_of_a_name_is_meant(tmp_path: Path) -> None:
    write(tmp_path / "a_canny.safetensors", DIFFUSERS)
    write(tmp_path / "b_canny.safetensors", LDM)
    adapters, _ = scan_adapters(None, None, tmp_path)
    assert [each.path.stem for each in adapters.compatible_with(model(1024, Family.SD2)).controls] == ["b_canny"]
    assert adapters.resolve_control("canny", model(768)).path.stem == "a_canny"
    assert adapters.compatible_with(model(None, Family.FLUX)).controls == ()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("control_v11f1e_sd15_tile", "tile"),
        ("control_v11p_sd15s2_lineart_anime", "anime"),
        ("control_v11p_sd15_lineart", "lineart"),
        ("control_sd15_hed", "softedge"),
        ("washed_out", ""),
        ("control_v1p_sd15_qrcode_monster", "qrcode"),
        ("diffusers_xl_canny_full", "canny"),
        ("control_v11p_sd15_seg", "seg"),
    ],
)
def test_kinds_are_told_by_names(name: str, kind: str) -> None:
    assert kind_of(name) == kind


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        ({"control_model.lora_controlnet": (0,), **DIFFUSERS}, "is a Control-LoRA"),
        ({"lora_controlnet": (0,), **LDM}, "is a Control-LoRA"),
        ({"difference": (0,), **LDM}, "holds only the differences"),
        ({"lllite_unet_input_blocks_4_1.weight": (1,)}, "is a ControlLLLite"),
        ({"adapter.body.0.block1.weight": (1,)}, "is a T2I-Adapter"),
        ({"control_add_embedding.linear_1.weight": (1,), **DIFFUSERS}, "is a ControlNet Union"),
        ({"controlnet_x_embedder.weight": (1,), "transformer_blocks.0.norm.weight": (1,)}, "another family of models"),
        ({"lora_unet_mid_block.lora_up.weight": (1,)}, "is a LoRA, not a ControlNet: put it into the folder for LoRAs"),
        ({"emb_params": (1, 768)}, "is an embedding, not a ControlNet"),
        (
            {"first_stage_model.decoder.conv_in.weight": (1,), "model.diffusion_model.x": (1,)},
            "is a model, not a Contr",
        ),
        ({"anything": (1,)}, "is not a ControlNet."),
        (
            {k: v for k, v in DIFFUSERS.items() if "mid_block" not in k},
            "lacks weights of its ControlNet (controlnet_mid",
        ),
        (
            {k: v for k, v in LDM.items() if k != "zero_convs.1.0.bias"},
            "lacks weights of its ControlNet (zero_convs.1.0",
        ),
        (DIFFUSERS | {"conv_in.weight": (8, 9, 3, 3)}, "takes 9 channels where 4 are given"),
        (DIFFUSERS | {"controlnet_cond_embedding.conv_in.weight": (4, 6, 3, 3)}, "takes 6 channels where 3 are given"),
        ({k: v for k, v in DIFFUSERS.items() if k != ATTENTION}, "has no attention layers"),
    ],
)
def test_other_files_are_refused_with_the_reason(
    tmp_path: Path, shapes: dict[str, tuple[int, ...]], reason: str
) -> None:
    write(tmp_path / "some_canny.safetensors", shapes)
    assert reason in refusal(tmp_path)


def test_layers_numbered_without_end_are_refused_at_once(tmp_path: Path) -> None:
    write(tmp_path / "canny.safetensors", DIFFUSERS | {"controlnet_down_blocks.99999999999.weight": (8, 8, 1, 1)})
    assert "lacks weights of its ControlNet (controlnet_down_blocks.3.weight)" in refusal(tmp_path)


def test_damaged_files_and_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old.pth").write_bytes(b"pickled")
    assert "old.pth is pickled" in refusal(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "cut.safetensors").write_bytes(b"\x10")
    assert "is damaged or not a safetensors file" in refusal(tmp_path / "b")
    spoilt = {name: np.full(shape, np.nan, np.float16) for name, shape in DIFFUSERS.items()}
    (tmp_path / "c").mkdir()
    save_file(spoilt, tmp_path / "c" / "nan.safetensors")
    assert "no numbers (NaN)" in refusal(tmp_path / "c")
    write_folder(tmp_path / "d", _class_name="ControlNetUnionModel")
    assert "is a ControlNetUnionModel, which is not supported" in refusal(tmp_path / "d")
    write_folder(tmp_path / "e", cross_attention_dim=None)
    assert "cross_attention_dim" in refusal(tmp_path / "e")
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "f" / "diffusion_pytorch_model.bin").write_bytes(b"pickled")
    assert "only pickled weights" in refusal(tmp_path / "f")


def test_pickles_beside_safetensors_do_not_matter(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "canny")
    (folder / "diffusion_pytorch_model.bin").write_bytes(b"pickled")
    write(folder / "diffusion_pytorch_model.fp16.safetensors", DIFFUSERS)
    found, rejected = scan_controls(tmp_path)
    assert ([each.path for each in found], rejected) == ([folder], ())


def test_a_controlnet_among_loras_is_told_where_to_go(tmp_path: Path) -> None:
    path = write(tmp_path / "canny.safetensors", DIFFUSERS)
    with pytest.raises(Exception, match="put it into the folder for ControlNets"):
        describe_lora(path, "canny")


def test_the_doctor_and_the_start_check_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "canny.safetensors", DIFFUSERS)
    (tmp_path / "old.pt").write_bytes(b"pickled")
    counted, refused = check_adapters(Config(models=(EMBEDDED,), controls=tmp_path))
    assert counted.text == "LoRAs: 0, embeddings: 0, ControlNets: 1; compatible with none of the models: canny"
    assert refused.status is CheckStatus.FAILED and "old.pt is pickled" in refused.text
    (missing,) = find_unusable_files(Config(models=(EMBEDDED,), controls=tmp_path / "gone"))
    assert missing == f"CONTROLS: no folder at {tmp_path / 'gone'}"


def test_names_of_other_families_have_their_own_keys() -> None:
    keys = {ControlNet("canny", Path("a"), 768).key, ControlNet("canny", Path("b"), 2048).key}
    assert len(keys) == 2


def test_a_snapshot_in_the_hubs_cache_is_called_as_its_repository(tmp_path: Path) -> None:
    write_folder(tmp_path / "models--lllyasviel--control_v11p_sd15_canny" / "snapshots" / "0f1e2d")
    write_folder(tmp_path / "models--somebody--my-own" / "snapshots" / "0f1e2d")
    found, _ = scan_controls(tmp_path)
    assert [each.name for each in found] == ["canny", "my-own"]
