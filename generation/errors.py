"""How drawing can end other than with a picture."""


def first_line(error: BaseException) -> str:
    """Give the first line of what an error says; libraries write pages below it."""
    return next(iter(str(error).splitlines()), "")


class UserError(Exception):
    """Say what was wrong in words that may be shown to the person who caused it."""


class OutOfMemoryError(UserError):
    """There was not enough memory to draw this; the worker lives on."""


class WorkerCrashed(Exception):
    """The GPU process ended while it held a job; the job itself did nothing wrong."""


class JobCancelled(Exception):
    """The job was cancelled, by its owner or by a moderator, before it was finished."""
