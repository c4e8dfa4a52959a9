"""How large a model's weights will be in memory, before they are loaded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from generation.catalogue import CATALOGUE, look_up
from generation.header import read_header
from generation.models import Model

HALF = 2  # bytes a weight, in which the catalogue's sizes are given
UNUSED = ("safety_checker",)  # parts that are never loaded


def expected_size(model: Model, bytes_a_weight: int) -> int:
    """Foresee the bytes of all weights: from the files' headers, or from the catalogue while there are no files."""
    files = [file for ref in (model.ref, model.partner) if ref for file in _files(ref)]
    try:
        weights = sum(math.prod(shape) for file in files for shape in read_header(file).shapes.values())
    except (ValueError, KeyError, TypeError, AttributeError, OSError):  # loading says what is wrong with a damaged file
        weights = 0
    return weights * bytes_a_weight if weights else _by_catalogue(model) * bytes_a_weight // HALF


def _files(ref: str) -> Iterator[Path]:
    """Give the files of weights that are on this machine, each part's once."""
    path = Path(ref)
    if path.is_file():
        yield path
        return
    folder = path if path.is_dir() else _downloaded(ref)
    for part in sorted(folder.iterdir()) if folder else ():
        if part.is_dir() and part.name not in UNUSED:
            yield from _of_part(part)


def _of_part(folder: Path) -> list[Path]:
    """Give the files of a part without those in another precision, such as `model.fp16.safetensors`."""
    files = sorted(folder.glob("*.safetensors"))
    plain = [file for file in files if "." not in file.stem]
    return plain or files


def _downloaded(ref: str) -> Path | None:
    try:
        return Path(snapshot_download(ref, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def _by_catalogue(model: Model) -> int:
    """Give the size in half precision that the catalogue knows, or the largest of the family."""
    if entry := look_up(model.ref):
        return entry.memory
    known = max(CATALOGUE, key=lambda entry: (entry.family is model.family, entry.memory))
    return known.memory
