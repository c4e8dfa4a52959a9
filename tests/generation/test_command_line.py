"""What a message recommends works as it is typed: with the script, in a container, or in an active environment."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from generation import command_line
from generation.command_line import ROOT, as_typed


@pytest.fixture(autouse=True)
def own_environment(monkeypatch, tmp_path):
    """Run as in `.venv` of this folder, outside of containers."""
    monkeypatch.setattr(sys, "prefix", str(ROOT / ".venv"))
    monkeypatch.setattr(command_line, "CONTAINER_MARK", tmp_path / "none")


def test_the_script_is_named_where_its_environment_runs():
    assert as_typed() == "scripts/atelier"
    assert as_typed("setup") == "scripts/atelier setup"


def test_windows_names_its_own_script(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert as_typed("setup").endswith("scripts\\atelier.ps1 setup")


def test_another_environment_is_used_as_it_is(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert as_typed("setup") == "python main.py setup"


def test_a_container_names_compose(monkeypatch, tmp_path):
    monkeypatch.setattr(command_line, "CONTAINER_MARK", tmp_path)
    assert as_typed("doctor") == "docker compose exec atelier .venv/bin/python main.py doctor"


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_what_is_recommended_runs(tmp_path):
    script = shlex.split(as_typed("--help"))
    assert (ROOT / script[0]).is_file()
    assert subprocess.run(["bash", "-n", ROOT / script[0]], check=False).returncode == 0
