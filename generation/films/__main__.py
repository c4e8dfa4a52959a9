"""Make one film in a process of its own: a pickled `FilmOrder` comes in on stdin, and the file goes out on stdout."""

from __future__ import annotations

import os
import pickle
import sys

from generation.films.order import make_film

BACKGROUND = 5  # of `nice`: films wait for the bot and for what it draws


def main() -> None:
    """Make the film that the parent process orders; an error ends with its text on stderr."""
    if hasattr(os, "nice"):
        os.nice(BACKGROUND)
    order = pickle.load(sys.stdin.buffer)
    try:
        film = make_film(order)
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")
    sys.stdout.buffer.write(film)


if __name__ == "__main__":
    main()
