"""What must be the same on every machine of a cluster: Python, Ray and Atelier's own code."""

from __future__ import annotations

import hashlib
import platform
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from generation.command_line import ROOT, install_as_typed, tool_as_typed
from generation.errors import UserError

UNKNOWN = "?"  # what a machine of another version did not tell
_LABELS = {"atelier": "atelier-version", "ray": "atelier-ray", "python": "atelier-python"}
_FINGERPRINT_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of one machine. `atelier` ends with a fingerprint of the code that generates."""

    atelier: str
    ray: str
    python: str

    def mismatches(self, wanted: Versions) -> list[str]:
        """Return what to change on the machine with these versions, so that it fits one with those `wanted`."""
        found = []
        if self.atelier != wanted.atelier:
            found.append(
                f"it has Atelier {self.atelier}, the bot has {wanted.atelier}: update both with `scripts/update`."
            )
        if _differ(self.ray, wanted.ray):
            install = tool_as_typed("pip", f"install ray=={wanted.ray}")
            found.append(f"it has Ray {self.ray}, the head has {wanted.ray}: run `{install}` on it.")
        if _differ(self.python, wanted.python):
            found.append(
                f"it has Python {self.python}, the head has {wanted.python}: Ray needs the same to the last digit. "
                f"Install Python {wanted.python} there, for instance with `uv python install {wanted.python}`, make "
                f".venv anew with it, and run `{install_as_typed('cluster')}`."
            )
        return found

    @classmethod
    def read(cls, told: Mapping[str, str]) -> Versions:
        """Return the versions that a machine tells, which may know other ones: Atelier's then differ."""
        return cls(**{each.name: str(told.get(each.name, UNKNOWN)) for each in fields(cls)})

    @classmethod
    def from_labels(cls, labels: Mapping[str, str]) -> Versions:
        """Return the versions in the labels of a node."""
        return cls.read({name: labels[label] for name, label in _LABELS.items() if label in labels})

    def as_labels(self) -> dict[str, str]:
        """Return the versions as labels of a node."""
        return {_LABELS[name]: text for name, text in asdict(self).items()}


def _differ(one: str, other: str) -> bool:
    return UNKNOWN not in (one, other) and one != other


def own_versions() -> Versions:
    """Return the versions of this machine. Raise UserError if it cannot be part of a cluster."""
    if sys.platform != "linux":
        raise UserError("Machines join each other on Linux only. On Windows, WSL 2 is one.")
    try:
        ray = version("ray")
    except PackageNotFoundError:
        raise UserError(f"Several machines need one more package: {install_as_typed('cluster')}") from None
    return Versions(atelier_version(), ray, platform.python_version())


@cache
def atelier_version() -> str:
    """Return the version with a fingerprint of the code that a bot and its nodes share."""
    number = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    digest = hashlib.sha256()
    folder = ROOT / "generation"
    for file in sorted(folder.rglob("*.py")):
        digest.update(f"{file.relative_to(folder).as_posix()}\0".encode())
        digest.update(file.read_bytes().replace(b"\r\n", b"\n"))
    return f"{number}-{digest.hexdigest()[:_FINGERPRINT_DIGITS]}"
