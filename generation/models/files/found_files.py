"""Find the files in the folders of adapters, and give them names that can be typed."""

from __future__ import annotations

import os
import re
from pathlib import Path

from generation.errors import UserError
from generation.models.files.safetensors_header import CONVERT_HINT
from generation.models.model import PICKLE_SUFFIXES

MACOS_PREFIX = "._"  # of the files that macOS writes beside others on foreign disks


def find_files(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the files in a folder and its subfolders, also linked ones, and which folders cannot be read.

    Raise FileNotFoundError if the folder does not exist.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder at {folder}")
    found: list[Path] = []
    errors: list[OSError] = []
    seen: set[str] = set()
    for place, subfolders, names in os.walk(folder, onerror=errors.append, followlinks=True):
        if (real := os.path.realpath(place)) in seen:  # a link to a folder above
            subfolders.clear()
            continue
        seen.add(real)
        found += [Path(place, name) for name in names if not name.startswith(MACOS_PREFIX)]
    return sorted(found), [f"{error.filename} cannot be read: {error.strerror}." for error in errors]


def is_weights_file(path: Path) -> bool:
    """Return whether a path is a safetensors file; raise UserError for a pickled one, and for a link to nothing."""
    if path.suffix.lower() in PICKLE_SUFFIXES:
        raise UserError(f"{path} is pickled: loading it could run any program. {CONVERT_HINT}")
    if path.suffix.lower() != ".safetensors":
        return False
    if path.is_symlink() and not path.exists():
        raise UserError(f"{path} is a link to a file that is missing.")
    return path.is_file()


def token_name(text: str) -> str:
    """Turn a file name into one word without characters that are special in a prompt."""
    return re.sub(r"[^\w.]+", "-", text).strip("-.")
