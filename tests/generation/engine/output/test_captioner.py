"""Captioners describe pictures, with tiny random models in their real layouts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from generation.engine.output.captioner import Captioner, load_captioner
from generation.errors import UserError
from generation.models.files.captioner import check_captioner_files
from generation.planning.descriptions import DESCRIPTIONS
from tests.support.tiny_captioner import WORDS, build_tiny_blip, build_tiny_florence

PICTURE = Image.linear_gradient("L").convert("RGB")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_blip(tmp_path_factory.mktemp("blip") / "captioner")


@pytest.fixture(scope="module")
def captioner(folder: Path) -> Captioner:
    loaded = load_captioner(str(folder))
    assert loaded is not None
    return loaded


def test_four_captions_in_words_that_it_knows_are_the_same_every_time(captioner: Captioner) -> None:
    before = torch.random.get_rng_state()
    captions = list(captioner.captions(PICTURE, 0))
    assert len(captions) == DESCRIPTIONS
    assert {word for caption in captions for word in caption.split()} <= set(WORDS)
    assert list(captioner.captions(PICTURE, 0)) == captions
    assert torch.random.get_rng_state().equal(before)  # nothing else in the process is changed


def test_another_seed_says_something_else(captioner: Captioner) -> None:
    assert list(captioner.captions(PICTURE, 1)) != list(captioner.captions(PICTURE, 2))


def test_without_a_setting_there_is_no_captioner() -> None:
    assert load_captioner("") is None


def test_other_models_and_incomplete_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    check_captioner_files(str(folder))
    other = tmp_path / "vit"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "vit"}')
    for check in (load_captioner, check_captioner_files):
        with pytest.raises(UserError, match=r"no captioner that can be used \(vit\)"):
            check(str(other))
    cut = build_tiny_blip(tmp_path / "cut")
    (cut / "model.safetensors").write_bytes(b"\x10")
    with pytest.raises(UserError, match="damaged"):
        check_captioner_files(str(cut))
    for name in ("preprocessor_config.json", "processor_config.json"):
        (cut / name).unlink(missing_ok=True)
    with pytest.raises(UserError, match="has no preprocessor_config"):
        check_captioner_files(str(cut))
    with pytest.raises(OSError):
        load_captioner(str(tmp_path / "nowhere"))


def test_a_captioner_with_missing_or_misshapen_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(folder, tmp_path / "captioner"))
    weights = load_file(copied / "model.safetensors")
    first, *others = sorted(weights)
    for spoilt, reason in (
        ({name: weights[name] for name in others}, f"lacks 1 of its weights, {first} among them"),
        (weights | {first: torch.zeros(1, 2)}, "cannot be loaded"),
    ):
        save_file(spoilt, copied / "model.safetensors", {"format": "pt"})
        with pytest.raises(UserError, match=reason):
            load_captioner(str(copied))
    (copied / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-8])
    with pytest.raises(UserError, match="cannot be loaded: SafetensorError"):
        load_captioner(str(copied))


def test_florence_is_asked_for_a_detailed_caption(tmp_path: Path) -> None:
    check_captioner_files(str(build_tiny_florence(tmp_path)))
    captioner = load_captioner(str(tmp_path))
    assert captioner is not None
    captions = list(captioner.captions(PICTURE, 0))
    assert len(captions) == DESCRIPTIONS
    assert any(captions) and not any("Describe in detail" in caption or "<" in caption[:1] for caption in captions)
    assert list(captioner.captions(PICTURE, 0)) == captions
