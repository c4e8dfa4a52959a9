"""What a safetensors file says of itself in its header, without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

MAX_HEADER_BYTES = 10_000_000


@dataclass(frozen=True, slots=True)
class SafetensorsHeader:
    """The shapes of a file's tensors by name, and the notes that its maker left."""

    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str]


def read_header(path: Path) -> SafetensorsHeader:
    """Read eight bytes of length, then JSON; raises ValueError, KeyError, TypeError or AttributeError for others."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 0 < length <= MAX_HEADER_BYTES:
            raise ValueError("no header")
        header = json.loads(file.read(length))
    metadata = header.pop("__metadata__", None) or {}
    return SafetensorsHeader({name: tuple(entry["shape"]) for name, entry in header.items()}, dict(metadata))
