"""Update this checkout: back up, pull, install, restart the service. Says how to go back: `python -m scripts.update`.

It needs nothing but the standard library, and stays in memory while its own file is replaced.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BACKUPS = "backups"
KEPT_BACKUPS = 7
POWERSHELL = r"powershell -ExecutionPolicy Bypass -File scripts\environment.ps1"
PYTHON = r".venv\Scripts\python.exe" if os.name == "nt" else ".venv/bin/python"
ENVIRONMENT = POWERSHELL if os.name == "nt" else "scripts/environment"


class UpdateError(Exception):
    """The update cannot go on; the text says why and what to do."""


class Updater:
    """Updates one checkout. As root it works as the owner of the files, so that none of them changes hands."""

    def __init__(self, root: Path, service: str) -> None:
        self.root, self.service = root, service
        self.python = str(root / PYTHON)
        owner = root.owner() if os.name != "nt" and os.geteuid() == 0 else "root"
        self.prefix = ["runuser", "-u", owner, "--"] if owner != "root" else []
        self.sudo = f"sudo -u {owner} " if self.prefix else ""  # the same in what is printed
        self.has_service = False

    def run(self) -> None:
        """Update, or do nothing if this is the newest version. Raises UpdateError."""
        old = self._prepare()
        new = self._read("git", "rev-parse", "@{upstream}")
        if old == new:
            print("This is the newest version.")
            return
        backup = self._back_up()
        print(self._read("git", "log", "--oneline", "--no-merges", "-20", f"{old}..{new}"), flush=True)
        self._do("git", "merge", "--ff-only", "--quiet", new)
        self._install(old)
        self._restart()
        print(f"Updated from {old[:12]} to {new[:12]}.\n\n{self._way_back(old, backup)}")

    def _prepare(self) -> str:
        """Check that this is a checkout without changes of its own, and fetch; return the present commit."""
        if not (self.root / ".git").exists():
            raise UpdateError(
                "This folder is no git checkout: download the new version beside it and move data/ and .env."
            )
        if changed := self._read("git", "status", "--porcelain", "--untracked-files=no"):
            raise UpdateError(f"These files were changed here; undo that, or `git stash` them:\n{changed}")
        self._do("git", "fetch", "--quiet")
        old = self._read("git", "rev-parse", "HEAD")
        if self._read("git", "merge-base", "HEAD", "@{upstream}") != old:
            raise UpdateError("This checkout has commits of its own: merge them by hand.")
        return old

    def _back_up(self) -> str:
        """Write a backup of the data folder, even while the bot runs; return the file, or nothing without data."""
        command = [self.python, "main.py", "backup", BACKUPS, "--keep", str(KEPT_BACKUPS)]
        ended = subprocess.run([*self.prefix, *command], cwd=self.root, capture_output=True, text=True, check=False)
        if ended.returncode and "nothing to back up" in ended.stderr:
            return ""
        if ended.returncode:
            raise UpdateError(f"The backup failed, so nothing was changed:\n{ended.stderr.strip()}")
        print(f"Backed up: {ended.stdout.strip()}", flush=True)
        return ended.stdout.partition(":")[0] if os.name != "nt" else ended.stdout.rpartition(":")[0]

    def _install(self, old: str) -> None:
        """Install the new version's packages; go back to the old version where that fails."""
        if self._try(sys.executable, "-m", "scripts.install"):
            return
        self._do("git", "reset", "--keep", "--quiet", old)
        self._try(sys.executable, "-m", "scripts.install")
        raise UpdateError("The packages could not be installed: the old version is back. Nothing else was changed.")

    def _restart(self) -> None:
        """Restart the service, or say that the bot has to be restarted; it migrates its database when it starts."""
        self.has_service = bool(shutil.which("systemctl")) and self._service_runs()
        if not self.has_service:
            print("Restart the bot if it is running: the new version begins with its next start.")
            return
        sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
        if subprocess.run([*sudo, "systemctl", "restart", self.service], check=False).returncode:
            print(f"Restart the bot: sudo systemctl restart {self.service}")

    def _service_runs(self) -> bool:
        command = ["systemctl", "--quiet", "is-active", self.service]
        return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0

    def _way_back(self, old: str, backup: str) -> str:
        """Return the commands that bring the old version and its data back, as they are typed."""
        stop, start = (f"  sudo systemctl {verb} {self.service}" for verb in ("stop", "start"))
        commands = [f"git reset --keep {old}", ENVIRONMENT]
        if backup:
            commands.append(f"{PYTHON} main.py restore {_quote(backup)} --replace")
        return "\n".join(
            [
                "To go back:" if self.has_service else "To go back, stop the bot, then:",
                f"  cd {_quote(str(self.root))}",
                *([stop] if self.has_service else []),
                *(f"  {self.sudo}{command}" for command in commands),
                *([start] if self.has_service else ["and start it again."]),
                "`scripts/update` later brings the new version back.",
            ]
        )

    def _read(self, *command: str) -> str:
        ended = subprocess.run([*self.prefix, *command], cwd=self.root, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise UpdateError(f"`{' '.join(command)}` failed: {ended.stderr.strip()}")
        return ended.stdout.strip()

    def _do(self, *command: str) -> None:
        if not self._try(*command):
            raise UpdateError(f"`{' '.join(command)}` failed; its message is above.")

    def _try(self, *command: str) -> bool:
        return subprocess.run([*self.prefix, *command], cwd=self.root, check=False).returncode == 0


def _quote(path: str) -> str:
    """Quote a path for the shell of this system, where it is needed."""
    return shlex.quote(path) if os.name != "nt" else f'"{path}"' if " " in path else path


def main(arguments: Sequence[str] | None = None) -> int:
    """Update, and return 2 if the user has to do something first."""
    parser = argparse.ArgumentParser(description="Back up, pull, install, and restart the service.")
    parser.add_argument("--service", default="atelier", help="the systemd service to restart (atelier)")
    options = parser.parse_args(arguments)
    try:
        Updater(ROOT, options.service).run()
    except UpdateError as error:
        print(f"scripts/update: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
