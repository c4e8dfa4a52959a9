"""Fill the templates in deploy/ for this installation: a systemd unit on Linux, a launch agent on a Mac."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
TEMPLATE_ROOT = "/srv/atelier"  # where the templates assume the checkout
GPU_GROUPS = ("video", "render")


def service_template(platform: str = sys.platform) -> Path | None:
    """Return the template for this system; None where docs/install.md has the steps instead."""
    name = {"linux": "atelier.service", "darwin": "org.atelier.bot.plist"}.get(platform)
    return DEPLOY / name if name else None


def write_service_file(folder: Path, template: Path, root: Path = ROOT) -> Path:
    """Fill a template and write it into `folder`."""
    target = folder / template.name
    target.write_text(fill_template(template.read_text(encoding="utf-8"), root, _owner(root)), encoding="utf-8")
    return target


def fill_template(text: str, root: Path, user: str, groups: frozenset[str] | None = None) -> str:
    """Return a template with the folder, its owner, and the groups that exist: systemd refuses a missing one."""
    present = _groups() if groups is None else groups
    lines = text.replace(TEMPLATE_ROOT, str(root)).splitlines(keepends=True)
    return "".join(_fill_line(line, root, user, present) for line in lines)


def _fill_line(line: str, root: Path, user: str, groups: frozenset[str]) -> str:
    if line.startswith("User="):
        return f"User={user}\n"
    if line.startswith("SupplementaryGroups="):
        found = " ".join(group for group in GPU_GROUPS if group in groups)
        return f"SupplementaryGroups={found}\n"
    if line.startswith("ProtectHome=") and root.is_relative_to(Path("/home")):
        return "ProtectHome=no\n"  # the program itself is there
    if line.startswith("ReadWritePaths=") and (cache := _home_cache(user)):
        return f"{line.rstrip()} -{cache}\n"
    return line


def next_steps(file: Path, platform: str = sys.platform) -> str:
    """Return the commands that install the file."""
    if platform == "darwin":
        return f"cp {file} ~/Library/LaunchAgents/ && launchctl load -w ~/Library/LaunchAgents/{file.name}"
    name = file.name
    return f"sudo cp {file} /etc/systemd/system/ && sudo systemctl daemon-reload && sudo systemctl enable --now {name}"


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


def _home_cache(user: str) -> Path | None:
    """Return the folder where huggingface_hub keeps models, if it is outside the checkout."""
    try:
        cache = Path(f"~{user}").expanduser() / ".cache"
    except RuntimeError:
        return None
    return None if cache.is_relative_to(ROOT) else cache
