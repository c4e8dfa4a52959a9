"""Find the files in the folders of adapters, and give them names that can be typed."""

from __future__ import annotations

import os
import re
from pathlib import Path

from generation.errors import UserError
from generation.models.files.errors import absence, describe_place
from generation.models.files.safetensors_header import CONVERT_HINT
from generation.models.model import PICKLE_SUFFIXES

SUFFIX = ".safetensors"
MACOS_PREFIX = "._"  # of the files that macOS writes beside others on foreign disks


def find_files(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the files in a folder and its subfolders, also linked ones, and which folders cannot be used.

    Raise FileNotFoundError if the folder does not exist.
    """
    if not folder.is_dir():
        raise FileNotFoundError(absence("folder", folder))
    found: list[Path] = []
    named_as_files: list[Path] = []
    errors: list[OSError] = []
    seen: set[str] = set()
    for place, subfolders, names in os.walk(folder, onerror=errors.append, followlinks=True):
        if (real := os.path.realpath(place)) in seen:  # a link to a folder above
            subfolders.clear()
            continue
        seen.add(real)
        named_as_files += [Path(place, name) for name in subfolders if name.lower().endswith(SUFFIX)]
        found += [Path(place, name) for name in names if not name.startswith(MACOS_PREFIX)]
    unusable = [f"{error.filename} cannot be read: {error.strerror}." for error in errors]
    empty = [path for path in named_as_files if not any(path in each.parents for each in found)]
    return sorted(found), [*unusable, *(f"{path} is a folder: put the file itself there." for path in empty)]


def is_weights_file(path: Path) -> bool:
    """Return whether a path is a safetensors file; raise UserError for a pickled one, and for what is no file."""
    if path.suffix.lower() in PICKLE_SUFFIXES:
        raise UserError(f"{path} is pickled: loading it could run any program. {CONVERT_HINT}")
    if path.suffix.lower() != SUFFIX:
        return False
    if not path.is_file():
        raise UserError(f"{path} {describe_place(path) or 'was just deleted'}.")
    return True


def token_name(text: str) -> str:
    """Turn a file name into one word without characters that are special in a prompt."""
    return re.sub(r"[^\w.]+", "-", text).strip("-.")
