"""Estimate the size of a model's weights in memory before they are loaded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from generation.errors import UserError
from generation.models.catalogue import CATALOGUE, find_entry
from generation.models.files.safetensors_header import read_header
from generation.models.model import Model

CATALOGUE_BYTES_PER_WEIGHT = 2  # the catalogue's sizes are in half precision
UNUSED_PARTS = ("safety_checker",)  # never loaded


def expected_size(model: Model, bytes_per_weight: int) -> int:
    """Estimate the bytes of all weights: from the files' headers, or from the catalogue while there are no files."""
    files = [file for ref in (model.ref, model.partner) if ref for file in _weight_files(ref)]
    try:
        weights = sum(math.prod(shape) for file in files for shape in read_header(file).shapes.values())
    except UserError:  # loading reports a damaged file's error
        weights = 0
    return (
        weights * bytes_per_weight
        if weights
        else _catalogue_size(model) * bytes_per_weight // CATALOGUE_BYTES_PER_WEIGHT
    )


def _weight_files(ref: str) -> Iterator[Path]:
    """Yield the weight files on this machine, each part's once."""
    path = Path(ref)
    if path.is_file():
        yield path
        return
    folder = path if path.is_dir() else _cached_snapshot(ref)
    for part in sorted(folder.iterdir()) if folder else ():
        if part.is_dir() and part.name not in UNUSED_PARTS:
            yield from _part_files(part)


def _part_files(folder: Path) -> list[Path]:
    """Return the files of a part, without those in another precision such as `model.fp16.safetensors`."""
    files = sorted(folder.glob("*.safetensors"))
    plain = [file for file in files if "." not in file.stem]
    return plain or files


def _cached_snapshot(ref: str) -> Path | None:
    try:
        return Path(snapshot_download(ref, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError):
        return None


def _catalogue_size(model: Model) -> int:
    """Return the catalogue's bytes in half precision, or the largest of the family."""
    if entry := find_entry(model.ref):
        return entry.memory
    known = max(CATALOGUE, key=lambda entry: (entry.family is model.family, entry.memory))
    return known.memory
