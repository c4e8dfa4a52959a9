"""Read a typed search: words of the prompt, and filters such as `by:mira`, `since:`, `jam:castle` and ♥."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from bot.ui.i18n import tr
from db.finding.gallery import PictureQuery
from db.finding.search import words_of
from db.together.sessions import SessionKind
from generation.errors import UserError

DAY_S = 86_400.0
_AGE = re.compile(r"(\d{1,4})([hdwmy])")
_SECONDS = {"h": 3600.0, "d": DAY_S, "w": 7 * DAY_S, "m": 30 * DAY_S, "y": 365 * DAY_S}
_HEARTS = ("♥", "❤", "♡")


def parse_query(text: str, now: float) -> PictureQuery:
    """Return what a typed text searches for; `now` is in Unix seconds. Raises UserError for a time that is none."""
    words: list[str] = []
    author: list[str] = []
    model: list[str] = []
    about: list[str] = []
    since, liked, kind = 0.0, False, None
    for typed in text.replace("\N{VARIATION SELECTOR-16}", "").split():
        name, colon, value = typed.partition(":")
        match name.casefold():
            case "by" if value:
                author += words_of(value)
            case "model" if value:
                model += words_of(value)
            case "since" if value:
                since = max(since, _time(value, now))
            case "jam" | "canvas" | "contest" | "telephone" as named if colon:
                kind = SessionKind(named)
                about += words_of(value)
            case _ if typed in _HEARTS:
                liked = True
            case _:
                words += words_of(typed)
    return PictureQuery(
        words=tuple(words),
        author=tuple(author),
        model=tuple(model),
        since=since,
        liked=liked,
        session_kind=kind,
        about=tuple(about),
    )


def _time(value: str, now: float) -> float:
    """Return the time that a date or an age such as `7d` names."""
    if age := _AGE.fullmatch(value.casefold()):
        return now - int(age[1]) * _SECONDS[age[2]]
    try:
        return datetime.fromisoformat(value).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        raise UserError(
            tr("`since:` takes a date such as `2026-11-30` or an age such as `7d`, `3w` or `2m`.")
        ) from None
