"""The service files fit this installation: its folder, user and settings. systemd finds nothing wrong with them."""

from __future__ import annotations

import getpass
import os
import plistlib
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bot.setup import service_file
from bot.setup.service_file import (
    DEPLOY,
    Installation,
    fill_template,
    find_installation,
    next_steps,
    service_templates,
    write_service_files,
)

ROOT = Path(__file__).resolve().parents[3]
SOMEWHERE = Path("/usr")  # a folder that exists, outside all homes
POSIX_ONLY = pytest.mark.skipif(os.name == "nt", reason="systemd's paths")
UNIT = (DEPLOY / "atelier.service").read_text(encoding="utf-8")
BACKUP_UNIT = (DEPLOY / "atelier-backup.service").read_text(encoding="utf-8")


@POSIX_ONLY
def test_the_service_file_has_the_folder_the_user_and_the_groups_that_exist():
    text = fill_template(UNIT, Installation(Path("/opt/atelier"), "ada", frozenset({"video"})))
    assert "/srv/atelier" not in text
    assert "ExecStart=/opt/atelier/.venv/bin/python main.py\n" in text
    assert "User=ada\n" in text
    assert "SupplementaryGroups=video\n" in text
    assert "ProtectHome=yes\n" in text
    assert "ReadWritePaths=/opt/atelier\n" in text


@POSIX_ONLY
def test_the_service_file_quotes_what_systemd_would_take_apart():
    root = Path("/mnt/Meine Bilder/100 % $HOME")
    text = fill_template(BACKUP_UNIT, Installation(root, "ada", folders=(Path("/mnt/two words"),)))
    assert 'ExecStart=/usr/bin/env "/mnt/Meine Bilder/100 %% $$HOME/.venv/bin/python" main.py backup "/mnt/' in text
    assert 'ReadWritePaths="/mnt/Meine Bilder/100 %% $HOME" "-/mnt/two words"\n' in text
    assert "WorkingDirectory=/mnt/Meine Bilder/100 %% $HOME\n" in text


def test_the_launch_agent_is_xml_for_any_folder():
    template = (DEPLOY / "org.atelier.bot.plist").read_bytes().decode()
    text = fill_template(template, Installation(Path("/Users/ada/Bilder & <Text>"), "ada"))
    assert plistlib.loads(text.encode())["WorkingDirectory"] == "/Users/ada/Bilder & <Text>"


@POSIX_ONLY
def test_the_service_may_write_where_the_settings_say():
    found = find_installation({"DATA_DIR": "/mnt/data", "HF_HOME": "/home/ada/models"}, root=SOMEWHERE)
    assert {Path("/mnt/data"), Path("/home/ada/models")} <= set(found.folders)
    text = fill_template(UNIT, found)
    assert re.search(r"^ReadWritePaths=/usr -/mnt/data -/home/ada/models", text, re.MULTILINE)
    assert "ProtectHome=no\n" in text


@POSIX_ONLY
@pytest.mark.parametrize(
    ("settings", "uses_homes"),
    [
        ({}, False),
        ({"LORAS": "/home/ada/webui/Lora"}, True),
        ({"MODEL": "storybook, /home/ada/dreams.safetensors"}, True),
        ({"MODEL": "somebody/home/ada"}, False),
    ],
)
def test_homes_are_hidden_unless_a_setting_names_a_file_there(settings, uses_homes, monkeypatch):
    monkeypatch.setattr(service_file, "_home_cache", lambda user: [])
    assert find_installation(settings, root=SOMEWHERE).uses_homes == uses_homes


def test_the_files_can_be_read_by_everybody_and_their_folders_exist(tmp_path):
    """The program's umask makes everything private, and systemd leaves out a folder that is not there yet."""
    own = Installation(ROOT, getpass.getuser(), folders=(tmp_path / "models",))
    earlier = os.umask(0o077)
    try:
        files = write_service_files(tmp_path, service_templates("linux"), own)
    finally:
        os.umask(earlier)
    assert [file.name for file in files] == ["atelier.service", "atelier-backup.service", "atelier-backup.timer"]
    assert (tmp_path / "models").is_dir()
    if os.name != "nt":
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o644}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
@pytest.mark.parametrize("folder", ["atelier", "Meine Räume/100 %", "$HOME 'x'"])
def test_systemd_finds_nothing_wrong_with_the_units(folder, tmp_path):
    root = tmp_path / folder
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "bin" / "python").symlink_to(sys.executable)
    installation = Installation(root, getpass.getuser(), folders=(tmp_path / "two words",))
    files = write_service_files(tmp_path, service_templates("linux"), installation)
    command = ["systemd-analyze", "verify", "--recursive-errors=no", "--man=no", *map(str, files)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("platform", "words"), [("linux", "systemctl enable --now atelier.service"), ("darwin", "launchctl")]
)
def test_each_system_has_its_service_files_and_the_commands_for_them(platform, words):
    templates = service_templates(platform)
    assert templates
    assert all(template.is_file() for template in templates)
    assert words in next_steps(templates, platform)


def test_the_commands_quote_the_files():
    assert "sudo cp '/home/ada/two words/atelier.service' " in next_steps(
        [Path("/home/ada/two words/atelier.service")], "linux"
    )


def test_windows_has_no_service_file():
    assert service_templates("win32") == []
