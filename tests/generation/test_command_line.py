"""What a message recommends works as it is typed: with the script, in a container, or in an active environment."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from generation.command_line import CONTAINER, ROOT, as_typed, install_as_typed, tool_as_typed, torch_as_typed


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """Run as in `.venv` of this folder, outside of containers."""
    monkeypatch.setattr(sys, "prefix", str(ROOT / ".venv"))
    monkeypatch.delenv(CONTAINER, raising=False)


def test_the_script_is_named_where_its_environment_runs():
    assert as_typed() == "scripts/atelier"
    assert as_typed("setup") == "scripts/atelier setup"


def test_windows_names_its_own_script(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert as_typed("setup").endswith("scripts\\atelier.ps1 setup")


def test_another_environment_is_used_as_it_is(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert as_typed("setup") == "python main.py setup"


def test_a_container_names_compose(monkeypatch):
    monkeypatch.setenv(CONTAINER, "1")
    assert as_typed("doctor") == "docker compose run --rm atelier doctor"
    assert f"{CONTAINER}=1" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("platform", "in_venv", "in_container", "extra", "torch", "tool"),
    [
        (
            "linux",
            True,
            False,
            "scripts/environment --extra film",
            "scripts/environment --torch cuda",
            ".venv/bin/hf x",
        ),
        ("win32", True, False, r"environment.ps1 --extra film", r"environment.ps1 --torch cuda", r".venv\Scripts\hf x"),
        (
            "linux",
            False,
            False,
            'pip install -c constraints.txt -e ".[film]"',
            "pip install torch==2.0 --index",
            "hf x",
        ),
        ("linux", True, True, "ATELIER_EXTRAS=film docker", "ATELIER_TORCH=cuda docker", ".venv/bin/hf atelier x"),
    ],
)
def test_packages_are_installed_where_the_program_runs(
    platform, in_venv, in_container, extra, torch, tool, monkeypatch, tmp_path
):
    """Debian refuses a pip outside of an environment, and nobody need activate `.venv`."""
    monkeypatch.setattr(sys, "platform", platform)
    if not in_venv:
        monkeypatch.setattr(sys, "prefix", str(tmp_path))
    if in_container:
        monkeypatch.setenv(CONTAINER, "1")
    assert extra in install_as_typed("film")
    assert torch in torch_as_typed("2.0", "cuda", "I")
    assert tool in tool_as_typed("hf", "x")


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_what_is_recommended_runs(tmp_path):
    script = shlex.split(as_typed("--help"))
    assert (ROOT / script[0]).is_file()
    assert subprocess.run(["bash", "-n", ROOT / script[0]], check=False).returncode == 0
