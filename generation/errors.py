"""The errors that can end a job."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text; some libraries add pages below it."""
    return next(iter(str(error).splitlines()), "")


class UserError(Exception):
    """An error whose text may be shown to the user who caused it."""


class OutOfMemoryError(UserError):
    """There was not enough memory for this job; the worker keeps running."""


class WorkerCrashed(Exception):
    """The GPU process ended during a job; the job itself is not at fault."""


class JobCancelled(Exception):
    """The job was cancelled by its owner or a moderator before it was finished."""
