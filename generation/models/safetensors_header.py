"""Read the header of a safetensors file, without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

MAX_HEADER_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class SafetensorsHeader:
    """The shapes of a file's tensors by name, and its metadata."""

    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str]


def read_header(path: Path) -> SafetensorsHeader:
    """Read the length (8 bytes), then JSON; raise ValueError, KeyError, TypeError or AttributeError for other files."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= MAX_HEADER_BYTES:
            raise ValueError("no header")
        header = json.loads(file.read(length))
    metadata = header.pop("__metadata__", None) or {}
    return SafetensorsHeader({name: tuple(entry["shape"]) for name, entry in header.items()}, dict(metadata))
