"""A GPU process leaves out the parts of torch that it does not use, draws the same, and gets them when it asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
folder, out, lean = sys.argv[1:]
if not lean:
    import torch._dynamo
model = describe_model(folder)
ends = []
engine = load_engine(ModelRegistry((model,)), "cpu", 1, ends.append)
from tests.support.engine_harness import make_params
engine.add(Generate("job", make_params(model=model.name), 0, 10**7))
while not any(isinstance(end, Finished) for end in ends):
    engine.step() if engine.busy else time.sleep(0.01)
Path(out).write_bytes(ends[-1].grid.tiles[0])
print(*(name for name in UNUSED if name in sys.modules), sep=",")
import torch
doubled = torch.compile(lambda tensor: 2 * tensor, backend="eager")
assert doubled(torch.ones(1)).item() == 2 and torch._dynamo.config.recompile_limit > 0
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_model(tmp_path_factory.mktemp("model"))


def test_unused_parts_are_left_out_and_pictures_are_the_same(model: Path, tmp_path: Path) -> None:
    assert draw(model, tmp_path / "lean.png", lean=True) == ""
    draw(model, tmp_path / "whole.png", lean=False)
    assert (tmp_path / "lean.png").read_bytes() == (tmp_path / "whole.png").read_bytes()


def draw(model: Path, out: Path, *, lean: bool) -> str:
    """Draw a picture in a process of its own; return the unused modules that it has imported."""
    arguments = [sys.executable, "-c", f"UNUSED = {UNUSED}\n{DRAW}", str(model), str(out), "lean" if lean else ""]
    done = subprocess.run(arguments, cwd=ROOT, timeout=4 * TIMEOUT_S, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return done.stdout.strip()
