"""What a safetensors file says of itself in its header, without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

LONGEST_HEADER = 10_000_000


@dataclass(frozen=True, slots=True)
class Header:
    """The shapes of a file's tensors by name, and the notes that its maker left."""

    shapes: dict[str, tuple[int, ...]]
    notes: dict[str, str]


def read_header(path: Path) -> Header:
    """Read eight bytes of length, then JSON; raises ValueError, KeyError, TypeError or AttributeError for others."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= LONGEST_HEADER:
            raise ValueError("no header")
        header = json.loads(file.read(length))
    notes = header.pop("__metadata__", None) or {}
    return Header({name: tuple(entry["shape"]) for name, entry in header.items()}, dict(notes))
