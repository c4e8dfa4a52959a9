"""Read the header of a safetensors file, without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open

from generation.models.files.errors import FIX_DOWNLOAD, UNEXPECTED_CONTENT, MissingFileError, ModelFileError

CONVERT_HINT = "Convert it to safetensors once, as docs/models.md shows under “Pickled models”."
# How other files begin that people find in the place of weights.
_OTHER_FILES = {
    b"version https://git-lfs": ("it is a Git LFS pointer, without the weights themselves", FIX_DOWNLOAD),
    b"<": ("it is a web page", "Download the file itself; a page to log in may have been saved in its place."),
    b"PK": ("it is pickled, whatever its name", CONVERT_HINT),
    b"\x80": ("it is pickled, whatever its name", CONVERT_HINT),
    b"GGUF": ("it is a GGUF file, whatever its name", "Download the safetensors version."),
}


_FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")


@dataclass(frozen=True, slots=True)
class SafetensorsHeader:
    """The shapes of a file's tensors, their `dtypes` and the places of their bytes by name, and its metadata."""

    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str]
    dtypes: dict[str, str]
    places: dict[str, tuple[int, int]] = field(default_factory=dict)


def read_header(path: Path) -> SafetensorsHeader:
    """Read the length (8 bytes), then JSON; raise ModelFileError for a file that could not be loaded."""
    try:
        if path.exists() and not path.is_file():  # reading a pipe would wait for ever
            raise ModelFileError(f"{path} is no file", "Put the safetensors file itself there.")
        with safe_open(path, "numpy"):  # the checks of the library that loads it, also of the file's length
            pass
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            begin = file.tell()
        metadata = dict(header.pop("__metadata__", None) or {})
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items()}
        dtypes = {name: entry["dtype"] for name, entry in header.items()}
        offsets = {name: entry["data_offsets"] for name, entry in header.items()}
        places = {name: (begin + start, begin + end) for name, (start, end) in offsets.items()}
        return SafetensorsHeader(shapes, metadata, dtypes, places)
    except (SafetensorError, *UNEXPECTED_CONTENT) as error:
        if isinstance(error, FileNotFoundError) and not path.exists():  # the library says so of unreadable files too
            raise MissingFileError(f"{path} is missing") from None
        reason, fix = _diagnose(path, error)
        raise ModelFileError(f"{path} is damaged or not a safetensors file: {reason}", fix) from error


def require_plain_weights(path: Path, header: SafetensorsHeader) -> None:
    """Raise ModelFileError for weights that are no floating-point numbers: their values alone mean nothing."""
    weights = (kind for name, kind in header.dtypes.items() if name.endswith((".weight", ".bias")))
    if odd := next((kind for kind in weights if kind not in _FLOATS), None):
        raise ModelFileError(f"{path} is quantised in a way that is not supported ({odd})", "Take its fp16 version.")


def _diagnose(path: Path, error: Exception) -> tuple[str, str]:
    """Return why a file is no safetensors file, and the fix."""
    try:
        with path.open("rb") as file:
            start = file.read(200).lstrip()
    except OSError as unreadable:
        return unreadable.strerror or str(unreadable), "Make it readable for the account of the bot."
    if not start:
        return "it is empty", FIX_DOWNLOAD
    known = next((found for mark, found in _OTHER_FILES.items() if start.startswith(mark)), None)
    if known:
        return known
    if "not fully covered" in str(error):
        return "its length is not that in its header, as after an interrupted download", FIX_DOWNLOAD
    return str(error).removeprefix("Error while deserializing header: "), FIX_DOWNLOAD
