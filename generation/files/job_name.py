"""The job that a file says it comes from: in its parameters text, and in its signature."""

from __future__ import annotations

import re

INSTANCE = "atelier-job:"  # how a signed file's own instance id begins; its sources have another one
SETTING = "Job"  # in the parameters text
ENDS = 2**20  # bytes at each end of a file that are read: the text is before or after the picture
_ID = "([0-9a-f]{12})"
# PNG files have the text as it is, WebP files in UTF-16; signatures are not compressed either. Any byte may follow.
_BYTES = re.compile(f"(?:{SETTING}: |{INSTANCE}){_ID}".encode())
_UTF16 = re.compile("".join(f"\0{letter}" for letter in f"{SETTING}: ").encode() + b"((?:\0[0-9a-f]){12})")
_FILE_NAME = re.compile(f"(?<![0-9a-f]){_ID}(?![0-9a-f])")


def instance_id(name: str) -> str:
    """Return the instance id of a signed file: that of the tile or the job `name`."""
    return f"{INSTANCE}{name}"


def named_job(data: bytes, filename: str = "") -> str | None:
    """Return the id of the job that a file names, in itself or else in its name; anybody can have written it.

    The settings come after the prompt, so the last one counts.
    """
    ends = data if len(data) <= 2 * ENDS else data[:ENDS] + data[-ENDS:]
    found = [*_BYTES.findall(ends), *(each.replace(b"\0", b"") for each in _UTF16.findall(ends))]
    if found:
        return str(found[-1].decode())
    in_name = _FILE_NAME.search(filename)
    return in_name[1] if in_name else None
