"""Store the votes and the suggested words of collaborative sessions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from db.connection import Connection

SUGGEST = """
    INSERT INTO suggestions SELECT :session, :person, :round, :name, :words, :at FROM collab_sessions
    WHERE id = :session AND phase = :phase AND ended_at IS NULL
    ON CONFLICT (session, person) DO UPDATE SET round = :round, name = :name, words = :words, at = :at
    WHERE suggestions.at <= :at - :pause
"""
TURNOUT = """
    SELECT (SELECT count(DISTINCT person) FROM ballots WHERE session = :session AND round = :round) AS voters,
           EXISTS (SELECT 1 FROM ballots WHERE session = :session AND round = :round - 1)
           AND NOT EXISTS (
               SELECT 1 FROM ballots AS earlier WHERE session = :session AND round = :round - 1
               AND NOT EXISTS (SELECT 1 FROM ballots AS later WHERE later.session = :session AND later.round = :round
                               AND later.person = earlier.person)) AS is_complete
"""
# Words are voted for by the id of the person who offers them.
DROP_VOTES_FOR_EARLIER_WORDS = """
    DELETE FROM ballots WHERE session = :session AND round = :round AND choice = CAST(:person AS TEXT) AND changes() = 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """One person's vote in a round. `kind` says what it is about, such as the tile or the next action."""

    session_id: str
    round: int
    person_id: int
    kind: str
    choice: str
    at: float


@dataclass(frozen=True, slots=True)
class Turnout:
    """How many people have voted in a round, and whether everybody who voted in the last one is among them."""

    voters: int
    is_complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """Words that a person offers to a session."""

    session_id: str
    person_id: int
    round: int
    name: str
    words: str
    at: float


class BallotStore:
    """Store ballots and suggestions in SQLite."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def vote(self, ballot: Ballot, phase: str) -> bool:
        """Store a vote, in place of an earlier one; returns False if the session is in another phase or round."""
        stored = await self._connection.write(
            """INSERT INTO ballots SELECT :session, :round, :person, :kind, :choice, :at FROM collab_sessions
               WHERE id = :session AND phase = :phase AND round = :round AND ended_at IS NULL
               ON CONFLICT (session, round, person, kind) DO UPDATE SET choice = :choice, at = :at""",
            {
                "session": ballot.session_id,
                "round": ballot.round,
                "person": ballot.person_id,
                "kind": ballot.kind,
                "choice": ballot.choice,
                "at": ballot.at,
                "phase": phase,
            },
        )
        return stored == 1

    async def tallies(self, session_id: str, round_number: int) -> dict[str, dict[str, int]]:
        """Return the number of votes for each choice, by the kind of vote."""
        rows = await self._connection.fetch_all(
            """SELECT kind, choice, count(*) AS votes FROM ballots
               WHERE session = :session AND round = :round GROUP BY kind, choice""",
            {"session": session_id, "round": round_number},
        )
        tallies: dict[str, dict[str, int]] = {}
        for row in rows:
            tallies.setdefault(row["kind"], {})[row["choice"]] = row["votes"]
        return tallies

    async def of_person(self, session_id: str, round_number: int, person_id: int) -> dict[str, str]:
        """Return what a person has chosen in a round, by the kind of vote."""
        rows = await self._connection.fetch_all(
            "SELECT kind, choice FROM ballots WHERE session = :session AND round = :round AND person = :person",
            {"session": session_id, "round": round_number, "person": person_id},
        )
        return {row["kind"]: row["choice"] for row in rows}

    async def voters(self, session_id: str, round_number: int) -> set[int]:
        """Return everybody who has voted in a round."""
        rows = await self._connection.fetch_all(
            "SELECT DISTINCT person FROM ballots WHERE session = :session AND round = :round",
            {"session": session_id, "round": round_number},
        )
        return {row["person"] for row in rows}

    async def turnout(self, session_id: str, round_number: int) -> Turnout:
        """Return who has voted in a round, in numbers: every vote asks for it."""
        (row,) = await self._connection.fetch_all(TURNOUT, {"session": session_id, "round": round_number})
        return Turnout(row["voters"], bool(row["is_complete"]))

    async def voters_for(self, session_id: str, round_number: int, kind: str, choice: str) -> list[int]:
        """Return who has chosen `choice`, the earliest first."""
        rows = await self._connection.fetch_all(
            """SELECT person FROM ballots
               WHERE session = :session AND round = :round AND kind = :kind AND choice = :choice ORDER BY at, person""",
            {"session": session_id, "round": round_number, "kind": kind, "choice": choice},
        )
        return [row["person"] for row in rows]

    async def suggest(self, suggestion: Suggestion, phase: str, pause: float) -> bool:
        """Store the words that a person offers, in place of earlier ones.

        The votes for earlier words are dropped: they were not meant for the new ones. Returns False if the session is
        in another phase, or the person's earlier words are younger than `pause` seconds.
        """
        values = {
            "session": suggestion.session_id,
            "person": suggestion.person_id,
            "round": suggestion.round,
            "name": suggestion.name,
            "words": suggestion.words,
            "at": suggestion.at,
            "phase": phase,
            "pause": pause,
        }
        standing = {each.person_id: each.words for each in await self.suggestions(suggestion.session_id)}
        is_new = standing.get(suggestion.person_id) != suggestion.words
        drop = [(DROP_VOTES_FOR_EARLIER_WORDS, values)] if is_new else []
        stored = await self._connection.write_atomically((SUGGEST, values), *drop)
        return stored == 1

    async def suggestions(self, session_id: str) -> list[Suggestion]:
        """Return the words that are offered to a session, the oldest first."""
        rows = await self._connection.fetch_all(
            "SELECT * FROM suggestions WHERE session = :session ORDER BY at, person", {"session": session_id}
        )
        return [
            Suggestion(
                session_id=row["session"],
                person_id=row["person"],
                round=row["round"],
                name=row["name"],
                words=row["words"],
                at=row["at"],
            )
            for row in rows
        ]

    async def drop_suggestion(self, session_id: str, person_id: int) -> bool:
        """Delete the words of a person; returns False if there are none."""
        deleted = await self._connection.write(
            "DELETE FROM suggestions WHERE session = :session AND person = :person",
            {"session": session_id, "person": person_id},
        )
        return deleted == 1


def winner(session_id: str, round_number: int, tally: Mapping[str, int]) -> str | None:
    """Return the choice with the most votes; a tie is decided by a hash, so that a restart decides alike."""
    if not tally:
        return None
    most = max(tally.values())
    return first_by_lot(session_id, round_number, (choice for choice, votes in tally.items() if votes == most))


def first_by_lot(session_id: str, round_number: int, choices: Iterable[str]) -> str:
    """Return one of `choices`, always the same one for a session and a round."""

    def lot(choice: str) -> bytes:
        return hashlib.blake2b(f"{session_id}\0{round_number}\0{choice}".encode(), digest_size=16).digest()

    return min(choices, key=lot)
