"""Text encoders are read from their one file as transformers reads them, and left to it in all other cases."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from generation.engine.networks.text_encoder_files import load_text_encoder

CONFIG = CLIPTextConfig(
    vocab_size=300, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, projection_dim=8
)
KINDS = (CLIPTextModel, CLIPTextModelWithProjection)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", [torch.float32, torch.float16])
def test_it_is_what_transformers_loads(kind: type, precision: torch.dtype, tmp_path: Path) -> None:
    kind(CONFIG).save_pretrained(tmp_path)
    assert_equal(load_text_encoder(kind, tmp_path, precision), kind.from_pretrained(tmp_path, dtype=precision))


@pytest.mark.parametrize("kind", KINDS)
def test_names_with_and_without_the_prefix_are_read(kind: type, tmp_path: Path) -> None:
    kind(CONFIG).save_pretrained(tmp_path)
    wanted = kind.from_pretrained(tmp_path)
    weights = {name.removeprefix("text_model."): weight for name, weight in load_file(file_in(tmp_path)).items()}
    for prefix in ("", "text_model."):
        renamed = {name if "projection" in name else prefix + name: weight for name, weight in weights.items()}
        save_file(renamed | {"text_model.embeddings.position_ids": torch.arange(77)}, file_in(tmp_path))
        assert_equal(load_text_encoder(kind, tmp_path, torch.float32), wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_no_weights_are_drawn_at_random_first(kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the largest text encoder of SDXL it takes seven seconds of a core."""
    kind(CONFIG).save_pretrained(tmp_path)
    drawn: list[tuple[int, ...]] = []
    for name in ("normal_", "uniform_"):
        monkeypatch.setattr(torch.Tensor, name, lambda tensor, *_args, **_more: drawn.append(tensor.shape) or tensor)
    assert load_text_encoder(kind, tmp_path, torch.float32) is not None
    assert drawn == []


def test_other_cases_are_left_to_transformers(tmp_path: Path) -> None:
    assert load_text_encoder(CLIPTextModel, tmp_path / "missing", torch.float32) is None
    CLIPTextModel(CONFIG).save_pretrained(tmp_path)
    weights = load_file(file_in(tmp_path))
    save_file(dict(list(weights.items())[1:]), file_in(tmp_path))
    assert load_text_encoder(CLIPTextModel, tmp_path, torch.float32) is None
    file_in(tmp_path).unlink()
    CLIPTextModel(CONFIG).save_pretrained(tmp_path, max_shard_size="10KB")
    assert load_text_encoder(CLIPTextModel, tmp_path, torch.float32) is None


def file_in(folder: Path) -> Path:
    return folder / "model.safetensors"


def assert_equal(mine: CLIPTextModel, theirs: CLIPTextModel) -> None:
    assert mine.dtype == theirs.dtype
    state = theirs.state_dict()
    assert all(torch.equal(weight, state[name]) for name, weight in mine.state_dict().items())
    ids = torch.tensor([[1, 20, 299, 2] + [2] * 73])
    with torch.inference_mode():
        assert torch.equal(mine.eval()(ids)[0], theirs.eval()(ids)[0])
