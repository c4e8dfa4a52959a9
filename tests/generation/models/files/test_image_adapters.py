"""IP-Adapters on disk: described by their headers, with the encoder that they need, or refused with the reason."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bot.config import Config
from bot.doctor.adapters import check_adapters
from bot.doctor.result import CheckStatus
from bot.workers import find_unusable_files
from generation.models.adapters import scan_adapters
from generation.models.catalogue import Family
from generation.models.files.image_adapters import scan_image_adapters
from generation.models.model import EMBEDDED, Model
from tests.support.image_adapter_headers import (
    BIG_PATCHES,
    BIG_WHOLE,
    PATCHES,
    WHOLE,
    Shapes,
    attention,
    full,
    plain,
    plus,
    projection,
    write,
    write_encoder,
)


def model(width: int, family: Family = Family.SD1) -> Model:
    return Model(name="painter", ref="m", family=family, cross_attention_dim=width)


def refusal(folder: Path) -> str:
    found, (reason,) = scan_image_adapters(folder)
    assert not found
    return reason


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder as the adapters' authors published it: pickles beside safetensors, and two encoders."""
    write_encoder(tmp_path / "models" / "image_encoder")
    (tmp_path / "models" / "image_encoder" / "pytorch_model.bin").write_bytes(b"pickled")
    write_encoder(tmp_path / "sdxl_models" / "image_encoder", BIG_PATCHES, BIG_WHOLE)
    for name, shapes in {
        "models/ip-adapter_sd15": plain(),
        "models/ip-adapter_sd15_light": plain(),
        "models/ip-adapter-plus_sd15": plus(),
        "models/ip-adapter-plus-face_sd15": plus(),
        "models/ip-adapter-full-face_sd15": full(),
        "sdxl_models/ip-adapter_sdxl": plain(2048, BIG_WHOLE),
        "sdxl_models/ip-adapter_sdxl_vit-h": plain(2048),
    }.items():
        write(tmp_path / f"{name}.safetensors", shapes)
        (tmp_path / f"{name}.bin").write_bytes(b"pickled")
    return tmp_path


def test_a_published_folder_is_used_as_it_is(published: Path) -> None:
    adapters, rejected = scan_adapters(None, None, None, published)
    assert not rejected
    folders = {each.name: each.encoder.folder.parent.name for each in adapters.images}
    assert folders == dict.fromkeys(folders, "models") | {"ip-adapter_sdxl": "sdxl_models"}
    assert len(folders) == 7
    assert {each.name for each in adapters.images if each.is_face} == {
        "ip-adapter-plus-face_sd15",
        "ip-adapter-full-face_sd15",
    }
    assert {each.cross_attention_dim for each in adapters.images} == {768, 2048}


def test_the_adapter_that_sees_most_is_chosen_and_one_of_faces_for_characters(published: Path) -> None:
    adapters, _ = scan_adapters(None, None, None, published)

    def chosen(of: Model, *, for_character: bool) -> str | None:
        found = adapters.choose_image_adapter(of, for_character=for_character)
        return found and found.name

    xl = model(2048, Family.SDXL)
    assert chosen(model(768), for_character=True) == "ip-adapter-plus-face_sd15"
    assert chosen(model(768), for_character=False) == "ip-adapter-plus_sd15"
    assert chosen(xl, for_character=True) == chosen(xl, for_character=False) == "ip-adapter_sdxl"
    assert chosen(model(1024, Family.SD2), for_character=True) is None
    for name in ("plus", "plus-face", "full-face"):
        (published / "models" / f"ip-adapter-{name}_sd15.safetensors").unlink()
    (published / "models" / "ip-adapter-full-face_sd15.bin").unlink()
    adapters, rejected = scan_adapters(None, None, None, published)
    assert chosen(model(768), for_character=True) == "ip-adapter_sd15"
    assert len(rejected) == 2 and all("is pickled" in reason for reason in rejected)


def test_smaller_relatives_of_a_family_go_without(tmp_path: Path) -> None:
    write_encoder(tmp_path / "image_encoder")
    write(tmp_path / "ip-adapter_sd15.safetensors", plain())
    adapters, _ = scan_adapters(None, None, None, tmp_path)
    layers = adapters.images[0].layers
    assert adapters.choose_image_adapter(replace(model(768), attention_layers=layers)) is not None
    assert adapters.choose_image_adapter(replace(model(768), attention_layers=layers - 1)) is None


def test_faces_alone_are_for_characters_alone(tmp_path: Path) -> None:
    write_encoder(tmp_path / "image_encoder")
    write(tmp_path / "ip-adapter-plus-face_sd15.safetensors", plus())
    adapters, _ = scan_adapters(None, None, None, tmp_path)
    assert adapters.choose_image_adapter(model(768)) is None
    assert adapters.choose_image_adapter(model(768), for_character=True) is not None


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        ({"lora_unet_down.lora_down.weight": (4, 8)}, "is a LoRA, not an IP-Adapter"),
        ({"controlnet_mid_block.weight": (8, 8, 1, 1)}, "is a ControlNet, not an IP-Adapter"),
        ({"some.weight": (4, 8)}, "is not an IP-Adapter"),
        (plain() | {"ip_adapter.1.to_k_lora.down.weight": (4, 8)}, "is a FaceID adapter"),
        (projection({"perceiver_resampler.proj_in.weight": (8, PATCHES)}) | attention(768), "is a FaceID adapter"),
        (projection({"norm.weight": (768,), "proj.0.weight": (8, 512)}) | attention(768), "is a FaceID adapter"),
        ({"double_blocks.0.processor.weight": (4, 8)}, "is an IP-Adapter for another family"),
        (plus(patches=512), "needs an image encoder with embeddings of width 512"),
        (plain(whole=BIG_WHOLE), "needs an image encoder with embeddings of width 1280"),
        (attention(768), "lacks the projection of its IP-Adapter"),
        ({name: shape for name, shape in plus().items() if "norm_out" not in name}, "(image_proj.norm_out.weight)"),
        ({name: shape for name, shape in plain().items() if "ip_adapter" not in name}, "(ip_adapter.1.to_k_ip.weight)"),
        ({name: shape for name, shape in plain().items() if "1.to_v" not in name}, "(ip_adapter.1.to_v_ip.weight)"),
        (plain() | {f"ip_adapter.{10**11}.to_k_ip.weight": (8, 768)}, "(ip_adapter.5.to_k_ip.weight)"),
        (plain() | {"ip_adapter.3.to_v_ip.weight": (8, 512)}, "take tokens of different widths"),
        (plain() | {"image_proj.norm.weight": (512,)}, "are not as wide as its attention layers"),
    ],
)
def test_other_files_are_refused_with_the_reason(tmp_path: Path, shapes: Shapes, reason: str) -> None:
    write_encoder(tmp_path / "image_encoder")
    write(tmp_path / "adapter.safetensors", shapes)
    assert reason in refusal(tmp_path)


def test_pickles_and_damaged_files_are_refused(tmp_path: Path) -> None:
    write_encoder(tmp_path / "image_encoder")
    (tmp_path / "ip-adapter_sd15.bin").write_bytes(b"pickled")
    assert "is pickled" in refusal(tmp_path)
    (tmp_path / "ip-adapter_sd15.bin").unlink()
    path = write(tmp_path / "adapter.safetensors", plain(), value=np.nan)
    assert "no numbers" in refusal(tmp_path)
    path.write_bytes(b"")
    assert "it is empty" in refusal(tmp_path)


@pytest.mark.parametrize("fault", ["missing", "pickled", "other", "incomplete", "no configuration"])
def test_an_encoder_that_cannot_be_used_is_named(tmp_path: Path, fault: str) -> None:
    folder = tmp_path / "image_encoder"
    match fault:
        case "pickled":
            (write_encoder(folder) / "model.safetensors").rename(folder / "pytorch_model.bin")
        case "other":
            write_encoder(folder, architectures=["ViTForImageClassification"])
        case "incomplete":
            write_encoder(folder)
            write(folder / "model.safetensors", {"visual_projection.weight": (WHOLE, 8)})
        case "no configuration":
            (write_encoder(folder) / "config.json").unlink()
    write(tmp_path / "adapter.safetensors", plain())
    found, reasons = scan_image_adapters(tmp_path)
    assert not found
    expected = {
        "missing": "needs an image encoder",
        "pickled": "has only pickled weights",
        "other": "is a ViTForImageClassification, not an image encoder",
        "incomplete": "lacks weights of its image encoder",
        "no configuration": "lies without its config.json",
    }[fault]
    assert any(expected in reason for reason in reasons)


def test_two_files_of_one_name_are_told_apart_by_family_only(tmp_path: Path) -> None:
    write_encoder(tmp_path / "image_encoder")
    write(tmp_path / "a" / "face.safetensors", plain())
    write(tmp_path / "b" / "face.safetensors", plain(2048))
    write(tmp_path / "c" / "Face.safetensors", plain())
    found, (reason,) = scan_image_adapters(tmp_path)
    assert {each.key for each in found} == {"face (768)", "face (2048)"}
    assert "rename one of the two" in reason


def test_the_doctor_counts_them_and_names_what_cannot_be_used(tmp_path: Path) -> None:
    write_encoder(tmp_path / "image_encoder")
    write(tmp_path / "ip-adapter_sd15.safetensors", plain())
    (tmp_path / "old.bin").write_bytes(b"pickled")
    config = Config(models=(EMBEDDED,), image_adapters=tmp_path)
    passed, failed = check_adapters(config)
    assert "IP-Adapters: 1" in passed.text and "compatible with none of the models: ip-adapter_sd15" in passed.text
    assert failed.status is CheckStatus.FAILED and "old.bin is pickled" in failed.text
    missing = Config(models=(EMBEDDED,), image_adapters=tmp_path / "missing")
    assert any(problem.startswith("IMAGE_ADAPTERS: no folder at") for problem in find_unusable_files(missing))
