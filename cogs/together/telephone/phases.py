"""The phases of a picture telephone, their times, and the steps between them."""

from __future__ import annotations

from typing import Any

from bot.sessions.jobs import round_job_id
from db.together.sessions import Round, Session
from db.together.telephones import Player

JOINING, TURN, DRAWING, REVEAL, FINALE = "joining", "turn", "drawing", "reveal", "finale"
MIN_PLAYERS, MAX_PLAYERS = 3, 8
FIVE_MINUTES, DAY = "5 minutes", "1 day"
PACES = {FIVE_MINUTES: 300.0, DAY: 24 * 3600.0}  # seconds of a turn, and of waiting for players
MAX_SUSPENSE_S = 3600.0  # before the next picture is shown without a press
FINALE_ROUND = MAX_PLAYERS + 1  # after all turns: its message has all pictures
MAX_ATTEMPTS = 2  # of a player to write something that can be drawn

# Among the facts of a round.
LOT, WORDS, ROBOT, ATTEMPT, BEGUN_AT = "lot", "words", "robot", "attempt", "begun_at"


def seconds_of(session: Session) -> float:
    """Return how long a turn lasts."""
    return float(session.settings.get("seconds", PACES[FIVE_MINUTES]))


def suspense_of(session: Session) -> float:
    """Return how long the reveal waits for a press."""
    return min(seconds_of(session), MAX_SUSPENSE_S)


def turn_of(player: Player, number: int, now: float) -> Round:
    """Return the row of a turn that begins."""
    return Round(
        session_id=player.session_id,
        number=number,
        job_id=round_job_id(player.session_id, number),
        facts={LOT: player.lot, BEGUN_AT: now},
        worded_by=player.person_id,
    )


def turn_again(made: Round, now: float) -> Round:
    """Return the row of a turn that is taken once more, because what was written could not be drawn."""
    attempt = attempts(made) + 1
    return Round(
        session_id=made.session_id,
        number=made.number,
        job_id=round_job_id(made.session_id, made.number, attempt),
        facts={LOT: made.facts[LOT], ATTEMPT: attempt, BEGUN_AT: now},
        worded_by=made.worded_by,
    )


def written(made: Round, words: str, *, robot: bool = False) -> Round:
    """Return the row of a turn in which something was written, by the player or for them."""
    facts: dict[str, Any] = {**made.facts, WORDS: words} | ({ROBOT: True} if robot else {})
    return Round(
        session_id=made.session_id, number=made.number, job_id=made.job_id, facts=facts, worded_by=made.worded_by
    )


def attempts(made: Round) -> int:
    """Return how often a turn was taken without a picture."""
    return int(made.facts.get(ATTEMPT, 0))
