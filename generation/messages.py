"""What crosses the process boundary: frozen values, no live objects, no exceptions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from generation.models.model import Model
from generation.params import Params


@dataclass(frozen=True, slots=True)
class Generate:
    """Draw `params` for a job; `source`, `mask` and `blended` are encoded pictures, `upload_limit` bounds the sheet.

    `order` is the job's place in the queue's order: when more rows want a step than fit, the lowest steps.
    """

    job_id: str
    params: Params
    order: int
    upload_limit: int
    source: bytes | None = None
    mask: bytes | None = None
    blended: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop a job within one denoising step; harmless for a job that is unknown or done."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End the process; jobs that still run are dropped."""


@dataclass(frozen=True, slots=True)
class Loading:
    """A model is being loaded: `done` of `of` parts, the next one named; `model` is its name."""

    part: str
    done: int
    total: int
    model: str = ""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model is held from now on: as it really is, after `seconds` of loading."""

    model: Model
    seconds: float


@dataclass(frozen=True, slots=True)
class Unloaded:
    """The model of this name is not held any more, or could not be loaded."""

    model: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The default model is loaded and jobs are taken, also for the others."""

    model: Model
    device: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A job has made `step` of its `of` steps; `preview` is a JPEG sheet of the predicted clean picture, or None."""

    job_id: str
    step: int
    total: int
    preview: bytes | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """The result of a job: its tiles as PNG with the generation parameters, and the sheet that is posted.

    `suffix` is the sheet's file name ending ("png", "webp", "jpg"); `seconds` is the time from start to result.
    `sensitive` is what the classifier found.
    """

    tiles: tuple[bytes, ...]
    image: bytes
    suffix: str
    seconds: float
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """The one happy end of a `Generate`."""

    job_id: str
    grid: Grid


class FailureReason(StrEnum):
    """Why a job failed, as far as it matters to what happens next."""

    USER_ERROR = "complaint"  # `text` may be shown to the person
    CANCELLED = "cancelled"
    OUT_OF_MEMORY = "out of memory"  # `text` may be shown; the worker lives on
    INTERNAL = "internal"  # `text` is for the log


@dataclass(frozen=True, slots=True)
class Failed:
    """The one sad end of a `Generate`."""

    job_id: str
    reason: FailureReason
    text: str


@dataclass(frozen=True, slots=True)
class Crashed:
    """The last words of a process that cannot go on; `text` is one line for the log.

    `hopeless` says that another try would end the same.
    """

    text: str
    permanent: bool = False


Inbound = Generate | Cancel | Stop
Event = Loading | Loaded | Unloaded | Ready | Progress | Finished | Failed | Crashed
