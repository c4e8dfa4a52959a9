"""A fake cache of models downloaded from the hub."""

from __future__ import annotations

import shutil
from pathlib import Path

import huggingface_hub
import pytest


def fake_hub_cache(model: Path, cache: Path, hub_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copy a model's folder to where a download would put it, and prevent other downloads."""
    home = cache / f"models--{hub_id.replace('/', '--')}"
    shutil.copytree(model, home / "snapshots" / ("0" * 40))
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
