"""Fill the templates in deploy/ for this installation: systemd units on Linux, a launch agent on a Mac."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
TEMPLATE_ROOT = "/srv/atelier"  # where the templates assume the checkout
GPU_GROUPS = ("video", "render")
HOMES = ("/home", "/root")  # what ProtectHome hides
READABLE = 0o644
FORBIDDEN_IN_PROGRAMS = re.compile(r"[\"'\\$]")  # by systemd, in the first word of a command only
ENV = "/usr/bin/env"  # runs the second
SYSTEMD = ("atelier.service", "atelier-backup.service", "atelier-backup.timer")
TEMPLATES = {"linux": SYSTEMD, "darwin": ("org.atelier.bot.plist",)}


@dataclass(frozen=True, slots=True)
class Installation:
    """What the files depend on. `folders` are those outside `root` that the bot writes to."""

    root: Path
    user: str
    groups: frozenset[str] = frozenset()
    folders: tuple[Path, ...] = ()
    uses_homes: bool = False


def service_templates(platform: str = sys.platform) -> list[Path]:
    """Return the templates for this system; none where docs/install.md has the steps instead."""
    return [DEPLOY / name for name in TEMPLATES.get(platform, ())]


def find_installation(settings: Mapping[str, str], root: Path = ROOT) -> Installation:
    """Return this installation: its owner, the groups that exist, and the folders that the settings name."""
    user = _owner(root)
    wanted = [
        root / Path(folder).expanduser() for folder in (settings.get("DATA_DIR"), settings.get("HF_HOME")) if folder
    ]
    folders = tuple(path for path in [*wanted, *_home_cache(user)] if not path.is_relative_to(root))
    values = [str(root), *map(str, folders), *settings.values()]
    return Installation(root, user, _groups(), folders, any(_is_in_homes(value) for value in values))


def write_service_files(folder: Path, templates: Sequence[Path], installation: Installation) -> list[Path]:
    """Fill the templates and write them into `folder`."""
    _create_folders(installation)
    files = []
    for template in templates:
        target = folder / template.name
        target.write_text(fill_template(template.read_text(encoding="utf-8"), installation), encoding="utf-8")
        target.chmod(READABLE)  # they hold no secret, and `systemctl cat` shows them to everybody
        files.append(target)
    return files


def fill_template(text: str, installation: Installation) -> str:
    """Return a template with the folder, its owner, and the groups that exist: systemd refuses a missing one."""
    if text.startswith("<?xml"):
        return text.replace(TEMPLATE_ROOT, escape(str(installation.root)))
    return "".join(_fill_line(line, installation) for line in text.splitlines(keepends=True))


def _fill_line(line: str, installation: Installation) -> str:
    name, is_setting, value = line.rstrip("\n").partition("=")
    if not is_setting or name.startswith("#"):
        return line
    return f"{name}={_fill_value(name, value, installation)}\n"


def _fill_value(name: str, value: str, installation: Installation) -> str:
    if name == "User":
        return installation.user
    if name == "SupplementaryGroups":
        return " ".join(group for group in GPU_GROUPS if group in installation.groups)
    if name == "ProtectHome" and installation.uses_homes:
        return "no"  # something that the bot reads is there
    if name == "WorkingDirectory":  # one path to the end of the line: quotes would belong to it
        return value.replace(TEMPLATE_ROOT, str(installation.root)).replace("%", "%%")
    if name == "ReadWritePaths":  # with a dash, systemd starts the service without a folder that is gone
        extra = [_quote(f"-{folder}") for folder in installation.folders]
        return " ".join([*_move_words(value, installation.root), *extra])
    if name == "ExecStart":
        words = " ".join(_move_words(value, installation.root)).replace("$", "$$")
        return f"{ENV} {words}" if FORBIDDEN_IN_PROGRAMS.search(str(installation.root)) else words
    return value


def _move_words(value: str, root: Path) -> Iterator[str]:
    for word in value.split():
        yield _quote(word.replace(TEMPLATE_ROOT, str(root))) if TEMPLATE_ROOT in word else word


def _quote(word: str) -> str:
    """Return a word as systemd reads it in a list."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"' if re.search(r"[\s\"'\\]", word) else escaped


def next_steps(files: Sequence[Path], platform: str = sys.platform) -> str:
    """Return the commands that install the files."""
    if platform == "darwin":
        target = f"~/Library/LaunchAgents/{files[0].name}"
        return f"  cp {shlex.quote(str(files[0]))} ~/Library/LaunchAgents/ && launchctl load -w {target}"
    names = " ".join(shlex.quote(str(file)) for file in files)
    return (
        f"  sudo cp {names} /etc/systemd/system/\n"
        "  sudo systemctl daemon-reload\n"
        "  sudo systemctl enable --now atelier.service\n"
        "  sudo systemctl enable --now atelier-backup.timer    # a backup every night, if you like"
    )


def _create_folders(installation: Installation) -> None:
    """Create the folders that the bot writes to: systemd cannot open a missing one for it."""
    if installation.user == getpass.getuser():
        for folder in installation.folders:
            folder.mkdir(parents=True, exist_ok=True)


def _owner(root: Path) -> str:
    try:
        return root.owner()
    except (KeyError, NotImplementedError):  # a user without a name, or a system without owners
        return getpass.getuser()


def _groups() -> frozenset[str]:
    try:
        import grp
    except ImportError:
        return frozenset()
    return frozenset(entry.gr_name for entry in grp.getgrall())


def _home_cache(user: str) -> list[Path]:
    """Return the folder where huggingface_hub keeps models, and PyTorch what it compiles."""
    try:
        return [Path(f"~{user}").expanduser() / ".cache"]
    except RuntimeError:
        return []


def _is_in_homes(value: str) -> bool:
    """Return whether a setting names a file in somebody's home; a list of models may name several."""
    paths = (each.strip() for each in value.split(","))
    return any(path.startswith(tuple(f"{home}{os.sep}" for home in HOMES)) for path in paths)
