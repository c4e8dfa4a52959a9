"""The check of a GPU is ready before there is one: every part runs to its end on a CPU, and writes its lines."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.gpu_check import __main__ as gpu_check

REHEARSAL = ("--device", "cpu", "--small", "--out")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("check")


@pytest.mark.parametrize("part", [part for part in gpu_check.LIMITS if "sdxl" not in part])
def test_a_part_writes_its_results(part: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_check", part, *REHEARSAL, str(folder)])
    assert gpu_check.main() == 0
    if part not in ("tests", "similarity"):  # which need the real device, or real weights
        assert [line for line in results(folder) if line["part"] == part]


def test_merging_is_compared_with_drawing_alone(folder: Path) -> None:
    lines = [line for line in results(folder) if line["part"] == "people sd15" and line["what"] == "uncompiled"]
    assert [line["people"] for line in lines] == ["1", "2"]
    assert float(lines[0]["of_alone"]) == 1


def test_all_parts_run_as_processes_and_say_how_they_end(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny").symlink_to(tiny_model)  # a process that writes one imports all that describes networks
    monkeypatch.setattr(sys, "argv", ["gpu_check", *REHEARSAL, str(tmp_path), "--parts", "tests"])
    assert gpu_check.main() == 0
    assert [(line["part"], line["code"]) for line in results(tmp_path)] == [("tests", "0")]


def test_a_model_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu_check", gpu_check.WRITE_MODELS, *REHEARSAL, str(tmp_path)])
    assert gpu_check.main() == 0
    written = (tmp_path / "tiny" / "model_index.json").stat().st_mtime_ns
    assert gpu_check.main() == 0
    assert (tmp_path / "tiny" / "model_index.json").stat().st_mtime_ns == written


def test_all_parts_fit_into_ten_minutes() -> None:
    assert sum(gpu_check.LIMITS.values()) < 600


def results(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()]
