"""The update backs up first, installs the new version, and leaves the old one where that fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.update import UpdateError, Updater

pytestmark = pytest.mark.skipif(os.name == "nt", reason="uses a POSIX environment")

# They note what they did; the installer fails where the file `broken` is in the checkout.
MAIN = """
import pathlib, sys
pathlib.Path("done").open("a").write(" ".join(sys.argv[1:3]) + "\\n")
if not pathlib.Path("data").exists():
    sys.exit("nothing to back up: data has no database")
print("backups/atelier-20261129-120000.zip: 1 jobs and 5 pictures")
"""
INSTALL = """
import pathlib, sys
pathlib.Path("done").open("a").write("install " + pathlib.Path("version").read_text() + "\\n")
sys.exit(pathlib.Path("broken").exists())
"""


def git(folder: Path, *command: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    ended = subprocess.run(["git", *identity, *command], cwd=folder, capture_output=True, text=True, check=True)
    return ended.stdout.strip()


def release(origin: Path, version: str, **files: str) -> None:
    for name, text in {"version": version, **files}.items():
        (origin / name).write_text(text, encoding="utf-8")
    git(origin, "add", "-A")
    git(origin, "commit", "-qm", f"Release {version}")


@pytest.fixture
def origin(tmp_path) -> Path:
    folder = tmp_path / "origin"
    (folder / "scripts").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "main.py").write_text(MAIN, encoding="utf-8")
    (folder / "scripts" / "install.py").write_text(INSTALL, encoding="utf-8")
    release(folder, "1")
    return folder


@pytest.fixture
def checkout(origin, tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "checkout"
    git(tmp_path, "clone", "-q", str(origin), str(folder))
    (folder / "data").mkdir()
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setattr(shutil, "which", lambda name: None)  # no systemd
    return folder


def steps(checkout: Path) -> list[str]:
    done = checkout / "done"
    return done.read_text(encoding="utf-8").splitlines() if done.exists() else []


def test_a_new_version_is_installed_after_a_backup(origin, checkout, capsys):
    old = git(checkout, "rev-parse", "HEAD")
    release(origin, "2")
    Updater(checkout, "atelier").run()
    assert steps(checkout) == ["backup backups", "install 2"]
    said = capsys.readouterr().out
    assert f"git reset --keep {old}" in said
    assert "main.py restore backups/atelier-20261129-120000.zip --replace" in said
    assert "Restart the bot" in said


def test_going_back_as_it_says_brings_the_old_version(origin, checkout, capsys):
    environment = checkout / "scripts" / "environment"
    environment.write_text("#!/bin/sh\n", encoding="utf-8")
    environment.chmod(0o755)
    release(origin, "2")
    Updater(checkout, "atelier").run()
    said = capsys.readouterr().out
    commands = [line for line in said.partition("To go back")[2].splitlines() if line.startswith("  ")]
    subprocess.run(["sh", "-ec", "\n".join(commands)], check=True, cwd="/")
    assert (checkout / "version").read_text() == "1"
    assert steps(checkout)[-1] == "restore backups/atelier-20261129-120000.zip"
    Updater(checkout, "atelier").run()
    assert (checkout / "version").read_text() == "2"


def test_root_works_as_the_owner_and_says_so(checkout, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(Path, "owner", lambda self: "ada")
    said = Updater(checkout, "atelier")._way_back("1234", "backups/one.zip")
    assert "  sudo -u ada git reset --keep 1234\n" in said
    assert "  sudo -u ada scripts/environment\n" in said
    assert "  sudo -u ada .venv/bin/python main.py restore backups/one.zip --replace\n" in said


def test_the_newest_version_is_left_alone(checkout, capsys):
    Updater(checkout, "atelier").run()
    assert steps(checkout) == []
    assert "newest" in capsys.readouterr().out


def test_without_data_there_is_nothing_to_restore(origin, checkout, capsys):
    (checkout / "data").rmdir()
    release(origin, "2")
    Updater(checkout, "atelier").run()
    assert "restore" not in capsys.readouterr().out


def test_packages_that_cannot_be_installed_bring_the_old_version_back(origin, checkout):
    release(origin, "2", broken="")
    with pytest.raises(UpdateError, match="the old version is back"):
        Updater(checkout, "atelier").run()
    assert steps(checkout) == ["backup backups", "install 2", "install 1"]
    assert (checkout / "version").read_text() == "1"


def test_a_failed_backup_changes_nothing(origin, checkout):
    (checkout / "main.py").write_text("import sys; sys.exit('the disk is full')")
    git(checkout, "update-index", "--assume-unchanged", "main.py")
    release(origin, "2")
    with pytest.raises(UpdateError, match="the disk is full"):
        Updater(checkout, "atelier").run()
    assert (checkout / "version").read_text() == "1"


def test_changes_and_commits_of_ones_own_are_named(origin, checkout):
    (checkout / "version").write_text("mine")
    with pytest.raises(UpdateError, match="version"):
        Updater(checkout, "atelier").run()
    git(checkout, "commit", "-qam", "Mine")
    with pytest.raises(UpdateError, match="commits of its own"):
        Updater(checkout, "atelier").run()


def test_the_service_is_restarted_and_part_of_the_way_back(origin, checkout, tmp_path, monkeypatch, capsys):
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("systemctl", "sudo"):
        tool = tools / name
        tool.write_text(f'#!/bin/sh\necho "{name} $@" >> {tmp_path}/calls\n', encoding="utf-8")
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(shutil, "which", lambda name: str(tools / name))
    release(origin, "2")
    Updater(checkout, "studio").run()
    assert "systemctl restart studio" in (tmp_path / "calls").read_text(encoding="utf-8")
    said = capsys.readouterr().out
    order = [said.index(words) for words in ("systemctl stop studio", "git reset", "systemctl start studio")]
    assert order == sorted(order)
