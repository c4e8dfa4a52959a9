"""The upscaler setting reaches the GPU process, or is refused at the start."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.config import Config
from bot.workers import make_worker
from generation.errors import UserError
from generation.models.model import EMBEDDED


def test_a_wrong_file_is_refused_by_name_at_the_start(tmp_path):
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_text("this is no network")
    with pytest.raises(UserError, match=r"wrong\.safetensors is damaged or not a safetensors file"):
        make_worker(Config(models=(EMBEDDED,), upscaler=wrong))


def test_a_missing_file_is_named_at_the_start(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no upscaler at .*gone\.safetensors"):
        make_worker(replace(Config(models=(EMBEDDED,)), upscaler=tmp_path / "gone.safetensors"))


def test_a_tilde_in_the_setting_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Config.read({"UPSCALER": "~/x4.safetensors"}).upscaler == tmp_path / "x4.safetensors"
