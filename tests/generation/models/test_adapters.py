"""Every file in the folders of adapters is found, and each that is not used is explained."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from bot.config import Config
from bot.workers import find_unusable_files
from generation.models.adapters import scan_adapters
from generation.models.model import EMBEDDED

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
LAYER = "lora_unet_mid_block_attentions_0_proj_in"
LORA = {f"{LAYER}.lora_down.weight": np.zeros((1, 8)), f"{LAYER}.lora_up.weight": np.zeros((8, 1))}
EMBEDDING = {"emb_params": np.zeros((2, 768))}


def write(path: Path, tensors: dict[str, np.ndarray]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return path


def names_of(loras: Path) -> list[str]:
    return [lora.name for lora in scan_adapters(loras, None)[0].loras]


def test_linked_files_and_folders_are_found_once(tmp_path: Path) -> None:
    loras = tmp_path / "loras"
    write(loras / "ink.safetensors", LORA)
    write(tmp_path / "shared" / "styles" / "moss.safetensors", LORA)
    (loras / "shared").symlink_to(tmp_path / "shared")
    (loras / "round").symlink_to(loras)
    (loras / "fern.safetensors").symlink_to(tmp_path / "shared" / "styles" / "moss.safetensors")
    assert names_of(loras) == ["fern", "ink", "moss"]
    assert scan_adapters(loras, None)[1] == ()


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "gone.safetensors").symlink_to(tmp_path / "nowhere")
    (tmp_path / "self.safetensors").symlink_to(tmp_path / "self.safetensors")
    unusable = scan_adapters(tmp_path, None)[1]
    assert [reason.rpartition("/")[2] for reason in unusable] == [
        "gone.safetensors is a link to a file that is missing.",
        "self.safetensors is a link that leads back to itself.",
    ]


@needs_pipes
@pytest.mark.parametrize("kind", range(4))
def test_what_is_no_file_but_is_named_as_one_is_told(tmp_path: Path, kind: int) -> None:
    (tmp_path / "ink.safetensors").mkdir()
    (tmp_path / "up.SAFETENSORS").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / "pipe.safetensors")  # reading it would wait for ever
    folders: list[Path | None] = [None] * 4
    folders[kind] = tmp_path
    unusable = scan_adapters(*folders)[1]
    assert sorted(reason.rpartition("/")[2] for reason in unusable) == [
        "ink.safetensors is a folder: put the file itself there.",
        "pipe.safetensors is neither a file nor a folder.",
        "up.SAFETENSORS is a folder: put the file itself there.",
    ]


def test_a_file_in_a_folder_of_its_name_is_found(tmp_path: Path) -> None:
    write(tmp_path / "ink.safetensors" / "ink.safetensors", LORA)
    assert (names_of(tmp_path), scan_adapters(tmp_path, None)[1]) == (["ink"], ())


@needs_pipes
@pytest.mark.parametrize("setting", ["loras", "embeddings", "controls", "image_adapters", "upscaler", "describer"])
def test_what_is_at_a_path_in_place_of_what_a_setting_names_is_told(tmp_path: Path, setting: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "pool")
    (tmp_path / "pool").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    for name, place in (("loop", "is a link that leads back to itself"), ("pipe", "is neither a file nor a folder")):
        path = tmp_path / name
        named = Config(models=(EMBEDDED,), **{setting: str(path) if setting == "describer" else path})
        assert [problem for problem in find_unusable_files(named) if f"{path}, which {place}" in problem]


def test_both_places_of_a_name_are_told(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write(tmp_path / folder / "ink.safetensors", LORA)
    (reason,) = scan_adapters(tmp_path, None)[1]
    one, two = (tmp_path / folder / "ink.safetensors" for folder in ("one", "two"))
    assert reason == f"{two} would be called ink, as {one} is: rename one of the two."


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write(tmp_path / "closed" / "ink.safetensors", LORA)
    (tmp_path / "closed").chmod(0)
    try:
        assert "closed cannot be read: Permission denied." in scan_adapters(tmp_path, None)[1][0]
    finally:
        (tmp_path / "closed").chmod(0o755)


def test_what_macos_writes_beside_a_file_is_no_adapter(tmp_path: Path) -> None:
    write(tmp_path / "ink.safetensors", LORA)
    (tmp_path / "._ink.safetensors").write_bytes(b"\0\5\x16\7" + bytes(4000))
    assert (names_of(tmp_path), scan_adapters(tmp_path, None)[1]) == (["ink"], ())


def test_an_alpha_without_matrices_does_not_matter(tmp_path: Path) -> None:
    write(tmp_path / "ink.safetensors", LORA | {"lora_unet_mid_block_attentions_0_proj_out.alpha": np.ones(())})
    assert names_of(tmp_path) == ["ink"]


@pytest.mark.parametrize("more", ["diff_b", "lora_magnitude_vector", "dora_scale"])
def test_a_lora_for_another_family_is_called_so_whatever_else_it_has(tmp_path: Path, more: str) -> None:
    layer = "diffusion_model.blocks.0.cross_attn.k"
    matrices = {f"{layer}.lora_A.weight": np.zeros((1, 8)), f"{layer}.lora_B.weight": np.zeros((8, 1))}
    write(tmp_path / "ink.safetensors", {f"{layer}.{more}": np.zeros(8)} | matrices)
    (reason,) = scan_adapters(tmp_path, None)[1]
    assert "is a LoRA for a model other than Stable Diffusion" in reason


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (LORA, "is a LoRA, not an embedding: put it into the folder for LoRAs."),
        (
            {"model.diffusion_model.input_blocks.0.0.weight": np.ones(1), "first_stage_model.x": np.ones(1)},
            "is a model, not an embedding: name it in MODEL.",
        ),
        ({"decoder.conv_in.weight": np.ones(1), "encoder.conv_in.weight": np.ones(1)}, "is a VAE alone"),
        ({"a": np.ones(1), "b": np.ones(1)}, "it has 2 tensors, not one for each text encoder."),
        ({}, "it has 0 tensors"),
        ({"emb_params": np.ones((1, 2, 768))}, "this has the shape (1, 2, 768)."),
        ({"emb_params": np.ones(())}, "this has the shape ()."),
    ],
)
def test_what_lies_in_the_wrong_folder_is_named(tmp_path: Path, tensors: dict[str, np.ndarray], message: str) -> None:
    write(tmp_path / "it.safetensors", tensors)
    (reason,) = scan_adapters(None, tmp_path)[1]
    assert "it.safetensors is " in reason
    assert message in reason


def test_both_vectors_of_pivotal_tuning_are_one_embedding(tmp_path: Path) -> None:
    write(
        tmp_path / "moss.safetensors",
        {"text_encoders_1": np.ones((2, 1280)), "text_encoders_0": np.ones((2, 768))},
    )
    (found,) = scan_adapters(None, tmp_path)[0].embeddings
    assert (found.keys, found.widths) == (("text_encoders_0", "text_encoders_1"), (768, 1280))


def test_a_lora_of_whole_numbers_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "ink.safetensors", {key: each.astype(np.int8) for key, each in LORA.items()})
    assert "is quantised in a way that is not supported (I8)" in scan_adapters(tmp_path, None)[1][0]
