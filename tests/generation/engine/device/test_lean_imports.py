"""A GPU process leaves out the parts of torch that it does not use, draws the same, and gets them when it asks."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from generation.engine.device.lean_imports import LAZY_PACKAGES
from generation.worker.engine_loader import SPIN_COUNT
from tests.support.timing import TIMEOUT_S
from tests.support.tiny_model import build_tiny_model

ROOT = Path(__file__).parents[4]
UNUSED = ("torch._dynamo.eval_frame", "torch.distributed.tensor", "torch._inductor")
DRAW = """
import json, sys, time
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
from generation.engine.device.lean_imports import LAZY_PACKAGES, _LazyPackage, import_libraries
import_libraries()
lazy = sorted(name for name in LAZY_PACKAGES if isinstance(sys.modules[name], _LazyPackage))
found = {"importing leaves out": lazy}
Path(sys.argv[2]).write_bytes(draw(sys.argv[1]))
found["drawing imports"] = [name for name in UNUSED if name in sys.modules]
import torch
doubled = torch.compile(lambda tensor: 2 * tensor, backend="eager")
found["compiled"] = doubled(torch.ones(1)).item() == 2 and torch._dynamo.config.recompile_limit > 0
found["still left out"] = sorted(name for name in lazy if isinstance(sys.modules[name], _LazyPackage))
import diffusers
from diffusers.models.unets import UNet2DConditionModel
from transformers import AutoModelForImageClassification, T5EncoderModel
from transformers.models import clip
found["others"] = [each.__name__ for each in (
    AutoModelForImageClassification, T5EncoderModel, clip.CLIPTextModel,
    diffusers.FluxPipeline, diffusers.SD3Transformer2DModel, diffusers.ControlNetModel,
)]
found["the same class"] = UNet2DConditionModel is diffusers.UNet2DConditionModel
print(json.dumps(found))
"""


class Lean(NamedTuple):
    """What a process found out that imports the libraries as a GPU process does, and the picture that it drew."""

    found: dict[str, Any]
    picture: bytes


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def lean(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Lean:
    picture = tmp_path_factory.mktemp("lean") / "lean.png"
    arguments = [sys.executable, "-c", f"UNUSED = {UNUSED}\n{DRAW}\n{REPORT}", str(model), str(picture)]
    done = subprocess.run(arguments, cwd=ROOT, timeout=4 * TIMEOUT_S, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return Lean(json.loads(done.stdout), picture.read_bytes())


def test_unused_parts_are_left_out_and_pictures_are_the_same(
    model: Path, lean: Lean, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lean.found["importing leaves out"] == sorted(LAZY_PACKAGES)
    assert lean.found["drawing imports"] == []
    assert lean.picture == draw_here(model, monkeypatch)


def test_the_compiler_is_there_when_it_is_asked_for(lean: Lean) -> None:
    """It is asked for before the other families, some of which import it."""
    assert lean.found["compiled"]


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


def test_other_families_are_there_when_they_are_asked_for(lean: Lean) -> None:
    assert lean.found["still left out"] == sorted(LAZY_PACKAGES)
    assert lean.found["others"] == [
        "AutoModelForImageClassification",
        "T5EncoderModel",
        "CLIPTextModel",
        "FluxPipeline",
        "SD3Transformer2DModel",
        "ControlNetModel",
    ]
    assert lean.found["the same class"]
