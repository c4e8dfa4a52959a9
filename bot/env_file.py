"""Read and change a `.env` file: everything that is not changed stays as it is."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from bot.config import ConfigError

_NEEDS_QUOTES = re.compile(r"""^\s|\s$|[#'"\r\n]""")


def read_settings(path: Path, *, interpolate: bool = False) -> dict[str, str]:
    """Return the settings of a file; none if it does not exist. Raises ConfigError if it cannot be read."""
    try:
        found = dotenv_values(path, interpolate=interpolate, encoding="utf-8-sig")
    except OSError as error:
        reason = f"{path} cannot be read: {error.strerror}"
        raise ConfigError(f"{reason}. It must belong to the user who runs this.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not in UTF-8: save it so. What PowerShell's `>` writes is UTF-16.") from None
    return {name: value or "" for name, value in found.items()}


def load_settings(path: Path) -> list[str]:
    """Put the settings of a file into the environment, whose own come first. Return the names that it sets."""
    settings = read_settings(path, interpolate=True)
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    return list(settings)


def write_settings(path: Path, template: Path, values: Mapping[str, str]) -> None:
    """Set `values` in the file, or in a copy of `template` if there is no file yet. Only its owner can read it.

    A setting is changed where it stands, or where the template shows its default behind a #.
    """
    source = path if path.exists() else template
    text = source.read_bytes().decode("utf-8-sig") if source.exists() else ""
    for name, value in values.items():
        text = _set(text, name, value)
    _replace(path.resolve(), text.encode())


def _set(text: str, name: str, value: str) -> str:
    line = f"{name}={_quote(value)}"
    set_lines = list(re.finditer(rf"^[ \t]*(?:export[ \t]+)?{name}[ \t]*=[^\r\n]*", text, re.MULTILINE))
    default = re.search(rf"^#[ \t]*{name}=[^\r\n]*", text, re.MULTILINE)
    if found := set_lines[-1] if set_lines else default:
        return text[: found.start()] + line + text[found.end() :]
    separator = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{separator}{line}\n"


def _quote(value: str) -> str:
    if not _NEEDS_QUOTES.search(value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _replace(path: Path, data: bytes) -> None:
    """Write a file in one step, so that a full disk cannot leave half of it; mkstemp makes it private."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".env-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
