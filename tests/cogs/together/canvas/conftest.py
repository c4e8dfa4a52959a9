"""A canvas is drawn after each piece, and in a film at its end: at full size, for a third of the tests' time."""

from __future__ import annotations

import pytest

from bot.images import canvas_pictures
from cogs.together.canvas import pictures


@pytest.fixture(autouse=True)
def _small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas_pictures, "OVERVIEW_SIDE", 256)
    monkeypatch.setattr(pictures, "FILM_SIDE", 192)
