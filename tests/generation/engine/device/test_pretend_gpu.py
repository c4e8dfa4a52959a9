"""On a GPU, pretended here, the step loop waits for nothing, whatever is drawn, and a grid is fetched with one wait."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.image_adapter_file import write_encoder
from tests.support.timing import TIMEOUT_S
from tests.support.tiny_model import build_tiny_model
from tests.support.tiny_xl import build_tiny_xl

ROOT = Path(__file__).parents[4]
PACE = "gpu_sync.py"  # where the loop waits for the step before the last, on purpose


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the waits of every case, drawn in a process of its own: pretending cannot be undone."""
    folder = build_tiny_model(tmp_path_factory.mktemp("model"))
    xl_folder = build_tiny_xl(tmp_path_factory.mktemp("xl"))
    for each in (folder, xl_folder):
        write_encoder(each / "images" / "image_encoder")  # here, because writing it imports torch's compiler
    command = [sys.executable, "-m", "tests.support.pretend_gpu_run", str(folder), str(xl_folder)]
    done = subprocess.run(command, cwd=ROOT, timeout=10 * TIMEOUT_S, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    cases: dict[str, Any] = json.loads(done.stdout)
    return cases


def test_no_step_waits_for_the_device(report: dict[str, Any]) -> None:
    assert {name: waits for name, case in report.items() if (waits := waits_of(case, "MainThread"))} == {}
    assert waits_of(report["from a picture"], "images")  # other threads may wait, and that is seen


def test_the_step_loop_reads_no_table_of_a_sampler(report: dict[str, Any]) -> None:
    readers = {name: set(case["table readers"]) for name, case in report.items()}
    assert set().union(*readers.values()) == {"images"}
    assert readers["samplers"] and readers["samplers over a region"] and readers["hires"]


def test_a_grid_is_fetched_with_one_wait(report: dict[str, Any]) -> None:
    drawn = {name: case for name, case in report.items() if name not in ("previews", "shorten", "describe")}
    fetches = {name: len(waits_of(case, "post-processor")) for name, case in drawn.items()}
    assert fetches == {name: report[name]["jobs"] for name in fetches}


def test_a_reading_waits_for_its_answers_on_another_thread(report: dict[str, Any]) -> None:
    for name in ("shorten", "describe"):
        assert waits_of(report[name], "images")
        assert not waits_of(report[name], "post-processor")


def test_a_preview_takes_one_wait_at_most(report: dict[str, Any]) -> None:
    case = report["previews"]
    assert case["previews"]
    assert len(waits_of(case, "post-processor")) <= case["previews"] + 1


def waits_of(case: dict[str, Any], thread: str) -> list[str]:
    """Return the waits of one thread, but for those that keep the loop from running ahead."""
    return [f"{what} in {place}" for name, what, place in case["waits"] if name == thread and PACE not in place]
