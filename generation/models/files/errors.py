"""The errors about model files, and files that are odd in every other way."""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from generation.errors import UserError, first_line

FIX_DOWNLOAD = "Download the model again; git clone needs git-lfs."

# What Python raises about content that nobody expected: wrong types, missing keys, numbers without end, deep nesting.
UNEXPECTED_CONTENT = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)


class ModelFileError(UserError):
    """A `problem` with a file of a model, and its `fix`."""

    def __init__(self, problem: str, fix: str = FIX_DOWNLOAD) -> None:
        super().__init__(f"{problem}. {fix}")
        self.problem, self.fix = problem, fix

    def __reduce__(self) -> tuple[type[ModelFileError], tuple[str, str]]:
        return type(self), (self.problem, self.fix)


class MissingFileError(ModelFileError):
    """A file of a model is missing, which a model of the hub may still download."""


def describe_place(path: Path) -> str:
    """Return what is at a path, as the end of a sentence; empty if nothing is."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "is a link to a file that is missing" if path.is_symlink() else ""
    except OSError as error:
        is_loop = error.errno == errno.ELOOP
        return "is a link that leads back to itself" if is_loop else f"cannot be read: {error.strerror}"
    if stat.S_ISDIR(mode):
        return "is a folder"
    return "is a file" if stat.S_ISREG(mode) else "is neither a file nor a folder"


def absence(wanted: str, path: Path) -> str:
    """Return that what is wanted is not at a path, and what is there instead."""
    place = describe_place(path)
    return f"no {wanted} at {path}" + (f", which {place}" if place else "")


@contextmanager
def report_damage(path: Path, expected: str = "a safetensors file") -> Iterator[None]:
    """Raise ModelFileError if the block cannot understand the file at `path`; FileNotFoundError is passed on."""
    try:
        yield
    except FileNotFoundError:
        raise
    except UNEXPECTED_CONTENT as error:
        detail = first_line(error) or type(error).__name__
        raise ModelFileError(f"{path} is damaged or not {expected}: {detail}") from error
