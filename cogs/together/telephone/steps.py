"""The pictures of a telephone that may be shown, in order."""

from __future__ import annotations

from dataclasses import dataclass

from bot.services import Services
from cogs.together.telephone.phases import ROBOT, WORDS
from db.jobs import JobRecord, JobState
from db.together.sessions import Round, Session
from generation.params import Tile

SHOWN_STATES = (JobState.GENERATED, JobState.POSTED)


@dataclass(frozen=True, slots=True)
class Step:
    """A turn that has led to a picture."""

    made: Round
    record: JobRecord

    @property
    def person_id(self) -> int | None:
        """Return whose turn it was; None if they had their data erased."""
        return self.made.worded_by

    @property
    def words(self) -> str:
        """Return the words that were drawn."""
        return str(self.made.facts.get(WORDS, "")) or self.record.job.params.parts[0].text

    @property
    def is_robot(self) -> bool:
        """Return whether the model wrote them for somebody who was away."""
        return bool(self.made.facts.get(ROBOT))

    @property
    def tile(self) -> Tile:
        """Return the picture."""
        return Tile(self.record.job.id, 0)


async def live_steps(services: Services, session: Session) -> list[Step]:
    """Return the pictures of a game, without deleted ones and those of people who are blocked by now."""
    rounds = [each for each in await services.db.sessions.rounds(session.id) if each.facts.get(WORDS)]
    records = await services.db.jobs.get_many(each.job_id for each in rounds)
    blocked = await services.db.guilds.blocked_among(session.guild_id, (each.worded_by or 0 for each in rounds))
    steps = [Step(each, records[each.job_id]) for each in rounds if each.job_id in records]
    return [step for step in steps if _is_live(step) and step.person_id and step.person_id not in blocked]


def _is_live(step: Step) -> bool:
    return step.record.state in SHOWN_STATES and not step.record.deleted
