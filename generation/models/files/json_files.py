"""Read JSON that others have written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from generation.models.files.errors import UNEXPECTED_CONTENT, ModelFileError

MAX_BYTES = 50 * 2**20  # a tokenizer's largest files have a tenth of it


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in the file at `path`, in UTF-8 or UTF-16, with or without a byte order mark.

    A missing file is an empty object. Raise ModelFileError for any other content.
    """
    try:
        if not path.is_file():
            return {}
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("it is too large")
        values = json.loads(path.read_bytes())
    except UNEXPECTED_CONTENT as error:
        text = str(error) or type(error).__name__
        raise ModelFileError(f"{path} is damaged: {text}", "Write or download it again.") from None
    if not isinstance(values, dict):
        raise ModelFileError(f"{path} is damaged: it contains no JSON object", "Write or download it again.")
    return values


def parse_object(text: str | None) -> dict[str, Any]:
    """Return the JSON object in a text of a file's metadata; empty for any other text."""
    try:
        values = json.loads(text or "{}")
    except (ValueError, RecursionError, MemoryError):
        return {}
    return values if isinstance(values, dict) else {}
