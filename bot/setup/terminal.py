"""Ask in the terminal, or take every default where nobody can be asked."""

from __future__ import annotations

import getpass
import sys
from typing import Protocol


class Terminal(Protocol):
    """Where questions are asked and texts are shown."""

    interactive: bool

    def say(self, text: str = "") -> None:
        """Show a line."""

    def ask(self, question: str, default: str = "") -> str:
        """Return what is typed; the default for an empty line."""

    def ask_hidden(self, question: str) -> str:
        """Return what is typed, without showing it."""


class Console:
    """A terminal with a keyboard, or without one if `interactive` is false."""

    def __init__(self, *, interactive: bool) -> None:
        self.interactive = interactive

    def say(self, text: str = "") -> None:
        """Print a line."""
        print(text, flush=True)

    def ask(self, question: str, default: str = "") -> str:
        """Read a line; the default without a keyboard."""
        if not self.interactive:
            return default
        return input(f"{question} [{default}]: " if default else f"{question}: ").strip() or default

    def ask_hidden(self, question: str) -> str:
        """Read a line without showing it; nothing without a keyboard."""
        return getpass.getpass(f"{question}: ").strip() if self.interactive else ""


def is_interactive() -> bool:
    """Return whether somebody can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()
