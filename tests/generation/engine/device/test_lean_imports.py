"""A GPU process leaves out the parts of torch that it does not use, draws the same, and gets them when it asks."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from generation.worker.engine_loader import SPIN_COUNT
from tests.support.timing import TIMEOUT_S
from tests.support.tiny_model import build_tiny_model

ROOT = Path(__file__).parents[4]
UNUSED = ("torch._dynamo.eval_frame", "torch.distributed.tensor", "torch._inductor")
DRAW = """
import sys, time
from pathlib import Path
from generation.worker.engine_loader import load_engine
from generation.messages import Finished, Generate
from generation.models.model import describe_model
from generation.models.registry import ModelRegistry

def draw(folder):
    model = describe_model(folder)
    ends = []
    engine = load_engine(ModelRegistry((model,)), "cpu", 1, ends.append)
    from tests.support.engine_harness import make_params
    engine.add(Generate("job", make_params(model=model.name), 0, 10**7))
    while not any(isinstance(end, Finished) for end in ends):
        engine.step() if engine.busy else time.sleep(0.01)
    engine.close()
    return ends[-1].grid.tiles[0]
"""
REPORT = """
Path(sys.argv[2]).write_bytes(draw(sys.argv[1]))
print(*(name for name in UNUSED if name in sys.modules), sep=",")
import torch
doubled = torch.compile(lambda tensor: 2 * tensor, backend="eager")
assert doubled(torch.ones(1)).item() == 2 and torch._dynamo.config.recompile_limit > 0
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("model"))


def test_unused_parts_are_left_out_and_pictures_are_the_same(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"UNUSED = {UNUSED}\n{DRAW}\n{REPORT}"
    arguments = [sys.executable, "-c", script, str(model), str(tmp_path / "lean.png")]
    done = subprocess.run(arguments, cwd=ROOT, timeout=4 * TIMEOUT_S, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
    assert (tmp_path / "lean.png").read_bytes() == draw_here(model, monkeypatch)


def draw_here(model: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Draw the picture in this process, which has imported both libraries with all that they ask for."""
    assert hasattr(importlib.import_module("torch._dynamo"), "optimize")
    assert sys.modules["diffusers"] and sys.modules["transformers"]
    monkeypatch.setattr(torch.distributed, "is_available", torch.distributed.is_available)
    monkeypatch.setenv("GOMP_SPINCOUNT", SPIN_COUNT)
    scope: dict[str, Any] = {}
    exec(DRAW, scope)
    picture: bytes = scope["draw"](str(model))
    return picture


OTHERS = """
from generation.engine.device.lean_imports import LAZY_PACKAGES, _LazyPackage, import_libraries
import sys
import_libraries()
assert all(isinstance(sys.modules[name], _LazyPackage) for name in LAZY_PACKAGES), "nothing has asked for more"
import diffusers
from diffusers.models.unets import UNet2DConditionModel
from transformers import AutoModelForImageClassification, T5EncoderModel
from transformers.models import clip
assert diffusers.FluxPipeline and diffusers.SD3Transformer2DModel and diffusers.ControlNetModel and clip.CLIPTextModel
assert UNet2DConditionModel is diffusers.UNet2DConditionModel
"""


def test_other_families_are_there_when_they_are_asked_for() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OTHERS], cwd=ROOT, timeout=4 * TIMEOUT_S, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
