"""The errors that can end a job."""

from __future__ import annotations

from collections.abc import Callable


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text; some libraries add pages below it."""
    return next(iter(str(error).splitlines()), "")


class UserError(Exception):
    """An error whose text may be shown to the user who caused it."""

    def translated(self, translate: Callable[[str], str]) -> str:
        """Return the text of the error, its sentences passed through `translate`."""
        return translate(str(self))


class OutOfMemoryError(UserError):
    """There was not enough memory for this job; the worker keeps running."""


class ModelUnreachable(OSError):
    """A model is not on this machine and cannot be downloaded now; a later try may succeed."""


class WorkerCrashed(Exception):
    """The GPU process ended during a job; the job itself is not at fault."""


class WorkerLost(WorkerCrashed):
    """The worker went away during a job, but not by an error of its own: it was killed, or its machine is gone."""


class MachineLost(WorkerLost):
    """A machine of the cluster went away during a job, or the line to it: no job can be the cause."""


class JobCancelled(Exception):
    """The job was cancelled by its owner or a moderator before it was finished."""
