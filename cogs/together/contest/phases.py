"""The phases of a contest and their times."""

from __future__ import annotations

from collections.abc import Sequence

from bot.sessions.jobs import round_job_id
from bot.ui.i18n import tr
from db.together.sessions import Move, Round, Session

THEME, SECOND, ENTRIES, ENTRIES_MORE, VOTING, VOTING_MORE, RESULT, ASLEEP = (
    "theme",
    "second_theme",
    "entries",
    "more_entries",
    "voting",
    "more_voting",
    "result",
    "asleep",
)
NAMING_PHASES, ENTRY_PHASES, VOTE_PHASES = (THEME, SECOND), (ENTRIES, ENTRIES_MORE), (VOTING, VOTING_MORE)
DAY_S = 24 * 3600.0
NAMING_S = 2 * DAY_S  # for the winner, then for the second
MIN_ENTRIES_S = 2 * DAY_S  # however long the theme has taken
EXTRA_S = 2 * DAY_S  # once, if there are too few entries or no votes
MIN_ENTRIES = 2
MAX_ENTRIES, MAX_EACH = 200, 2
MAX_THEME = 100  # characters
PAIRS_EACH = 20
BEGUN_AT = "begun_at"  # among the facts of a round

THEMES = {  # where the owners have none; a table for the translations
    "light": "a light in the dark",
    "small": "something very small",
    "weather": "weather one can feel",
    "door": "behind the door",
    "journey": "on a journey",
    "animal": "an animal with a secret",
    "past": "a hundred years ago",
    "water": "under water",
    "machine": "a machine that dreams",
    "garden": "a garden at night",
    "food": "a feast",
    "sky": "in the sky",
}


def listed_theme(themes: Sequence[str], number: int) -> str:
    """Return the theme of a contest from the owners' list, or from a list of the bot's own, each in its turn."""
    if themes:
        return themes[(number - 1) % len(themes)]
    own = list(THEMES.values())
    return tr(own[(number - 1) % len(own)])


def entries_due(session: Session, now: float) -> float:
    """Return when entries end, so that the contest ends as long after its start as the owners want."""
    settings = session.settings
    wanted = session.made_at + (int(settings["days"]) - int(settings["vote_days"])) * DAY_S
    return max(wanted, now + MIN_ENTRIES_S)


def begun_at(session: Session, made: Round) -> float:
    """Return when a phase began; for one of an older version, when its contest did."""
    return float(made.facts.get(BEGUN_AT, session.made_at))


def number_of(session: Session) -> int:
    """Return which contest of the server this is."""
    return int(session.settings.get("number", 1))


def next_phase(session: Session, phase: str, due_at: float | None) -> Move:
    """Return the step to a phase with a message of its own."""
    return session.step_to(phase, session.round + 1, due_at)


def longer(session: Session, phase: str, due_at: float) -> Move:
    """Return the step that gives a phase more time."""
    return session.step_to(phase, session.round, due_at)


def phase_round(session_id: str, number: int, facts: dict[str, object], giver: int | None = None) -> Round:
    """Return the row of a phase: what it has taken over from the phase before it, and who names the theme."""
    return Round(
        session_id=session_id,
        number=number,
        job_id=round_job_id(session_id, number),
        facts=facts,
        worded_by=giver,
    )
