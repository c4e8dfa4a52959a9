"""How many jobs may wait and run, and the errors of a queue that is full."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from generation.errors import UserError
from generation.job import Job
from generation.text import Text


class QueueFull(UserError):
    """The queue has reached its limit of waiting jobs of all people together."""


class PersonQueueFull(UserError):
    """One person has reached the limit of waiting jobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """How many jobs may wait, to be drawn or to be posted, and run at the same time."""

    waiting_per_person: int = 10
    running_per_person: int = 3
    waiting_in_all: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLimits:
    """How many jobs one person may have waiting and running in one guild; None leaves only the QueueLimits."""

    waiting: int | None = None
    running: int | None = None


NO_MEMBER_LIMITS = MemberLimits()

LimitKey = tuple[int | None, ...]


def limit_keys(job: Job) -> tuple[LimitKey, LimitKey]:
    """Return the keys under which a job is counted: its owner, and its owner in one guild."""
    return (job.requester.id,), (job.requester.id, job.destination.guild_id)


def require_below_person_limit(limit: int, waiting: int, jobs: int) -> None:
    """Raise PersonQueueFull if a person with `waiting` jobs may not add `jobs` more."""
    _require_below(limit, waiting, jobs, _over_person_limit)


def require_below_role_limit(limit: int, waiting: int, jobs: int) -> None:
    """Raise PersonQueueFull if a person's roles in a guild do not allow `jobs` more beside `waiting` jobs."""
    _require_below(limit, waiting, jobs, _over_role_limit)


def require_room_in_queue(limit: int, waiting: int, jobs: int) -> None:
    """Raise QueueFull if `jobs` more jobs do not fit beside the `waiting` ones."""
    if waiting + jobs > limit:
        raise QueueFull(
            Text.plural(
                "The queue is full: {n} job waiting, and the limit is {limit}. Try again later.",
                "The queue is full: {n} jobs waiting, and the limit is {limit}. Try again later.",
                waiting,
                limit=limit,
            )
        )


def _require_below(limit: int, waiting: int, jobs: int, problem: Callable[[int, int, int], Text]) -> None:
    if waiting + jobs > limit:
        raise PersonQueueFull(
            Text(
                "{problem} Try again a little later, or cancel one.",
                problem=problem(waiting, jobs, limit),
            )
        )


def _over_person_limit(waiting: int, jobs: int, limit: int) -> Text:
    if jobs > 1:
        return Text.plural(
            "You already have {n} job waiting, and {jobs} more would exceed the limit of {limit} per person.",
            "You already have {n} jobs waiting, and {jobs} more would exceed the limit of {limit} per person.",
            waiting,
            jobs=jobs,
            limit=limit,
        )
    return Text.plural(
        "You already have {n} job waiting, and the limit is {limit} per person.",
        "You already have {n} jobs waiting, and the limit is {limit} per person.",
        waiting,
        limit=limit,
    )


def _over_role_limit(waiting: int, jobs: int, limit: int) -> Text:
    if jobs > 1:
        return Text.plural(
            "You already have {n} job waiting, and {jobs} more would exceed the limit of {limit} for your roles in "
            "this server.",
            "You already have {n} jobs waiting, and {jobs} more would exceed the limit of {limit} for your roles in "
            "this server.",
            waiting,
            jobs=jobs,
            limit=limit,
        )
    return Text.plural(
        "You already have {n} job waiting, and the limit is {limit} for your roles in this server.",
        "You already have {n} jobs waiting, and the limit is {limit} for your roles in this server.",
        waiting,
        limit=limit,
    )
