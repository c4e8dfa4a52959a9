"""The bytes of attachments, in memory or in a folder."""

from __future__ import annotations

import io
import mimetypes
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError


@dataclass(frozen=True)
class UploadedFile:
    """A file that a user or the bot uploads."""

    filename: str
    data: bytes
    content_type: str | None = None

    def guess_content_type(self) -> str | None:
        """Return the content type, guessed from the name if none was given."""
        return self.content_type or mimetypes.guess_type(self.filename)[0]

    def image_size(self) -> tuple[int, int] | None:
        """Return width and height in pixels if Pillow can read the image."""
        try:
            with Image.open(io.BytesIO(self.data)) as image:
                return image.size
        except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
            return None


def safe_filename(name: str) -> str:
    """Return Discord's name for an uploaded file: spaces become `_`, other special characters are removed."""
    name = unicodedata.normalize("NFKD", Path(name.replace("\\", "/")).name).replace(" ", "_")
    stem, dot, extension = re.sub(r"[^A-Za-z0-9_.\-]", "", name).rpartition(".")
    return f"{stem.strip('.') or 'unknown'}{dot}{extension}" if dot else extension or "unknown"


class FileStore:
    """Store the bytes of attachments by id."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._memory: dict[int, bytes] = {}
        if folder:
            folder.mkdir(parents=True, exist_ok=True)

    def put(self, attachment_id: int, data: bytes) -> None:
        """Store the bytes of an attachment."""
        if self._folder:
            (self._folder / str(attachment_id)).write_bytes(data)
        else:
            self._memory[attachment_id] = data

    def get(self, attachment_id: int) -> bytes | None:
        """Return the bytes of an attachment, None if there are none."""
        if self._folder is None:
            return self._memory.get(attachment_id)
        path = self._folder / str(attachment_id)
        return path.read_bytes() if path.is_file() else None
