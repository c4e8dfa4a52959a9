"""Messages between the bot and the GPU process: frozen values, no live objects, no exceptions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from generation.models.model import Model
from generation.params import Params, Word


@dataclass(frozen=True, slots=True)
class Generate:
    """Generate `params` for a job; `source`, `mask`, `blended` and those at the end are encoded images.

    `upload_limit` is the maximum size of the grid image in bytes. `order` is the job's slot number: if more rows wait
    for a step than fit into a batch, the lowest order goes first. With the `trail` of a finished job, its steps are
    decoded instead: the tiles of the result are then a sheet for each step. With `places`, each tile is drawn at its
    place between the two ends of a walk, which is in the params.
    """

    job_id: str
    params: Params
    order: int
    upload_limit: int
    source: bytes | None = None
    mask: bytes | None = None
    blended: tuple[bytes, ...] = ()
    trail: bytes = b""
    places: tuple[float, ...] = ()
    style: bytes | None = None
    control: bytes | None = None
    character: bytes | None = None
    image_prompts: tuple[bytes, ...] = ()
    original: bytes | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop a job within one denoising step; ignored for a job that is unknown or finished."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End the process; running jobs are dropped."""


@dataclass(frozen=True, slots=True)
class Loading:
    """The model named `model` is being loaded: `done` of `total` parts; `part` is the next one."""

    part: str
    done: int
    total: int
    model: str = ""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model was loaded in `seconds`; `model` is its description, corrected by the loaded weights."""

    model: Model
    seconds: float


@dataclass(frozen=True, slots=True)
class Unloaded:
    """The model named `model` was evicted or could not be loaded."""

    model: str


@dataclass(frozen=True, slots=True)
class Offered:
    """What a machine of the cluster can generate with, by name: it is sent no jobs for anything else.

    `controls` and `image_adapters` are the keys of ControlNets and IP-Adapters, and `captioner` says whether it has the
    bot's. `capacity` is the number of jobs worth sending at once, 0 if that depends on the device.
    """

    models: frozenset[str]
    loras: frozenset[str]
    missing_embeddings: frozenset[str]
    capacity: int = 0
    controls: frozenset[str] = frozenset()
    image_adapters: frozenset[str] = frozenset()
    captioner: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """The default model is loaded; jobs for all models are accepted."""

    model: Model
    device: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A job has done `step` of `total` steps; `preview` is a JPEG grid of the predicted clean images, or None."""

    job_id: str
    step: int
    total: int
    preview: bytes | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """The result of a job: its tiles as PNG files with the generation parameters, and the grid image to post.

    `suffix` is the grid image's file extension ("png", "webp", "jpg"); `seconds` is the time from start to result.
    `sensitive` is the classifier's verdict. `trail` holds the clean latents that the steps of a video predicted.
    `thumbnails` are those of the tiles, or none: then the bot makes them when they are needed.
    """

    tiles: tuple[bytes, ...]
    image: bytes
    suffix: str
    seconds: float
    sensitive: bool = False
    trail: bytes = b""
    thumbnails: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of a job that reads a prompt or a picture, in `seconds`.

    `words` are those of each part of a prompt; `texts` are prompts that describe a picture, the likeliest first.
    """

    seconds: float
    words: tuple[tuple[Word, ...], ...] = ()
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Read:
    """A `Generate` request for a reading has succeeded."""

    job_id: str
    reading: Reading


@dataclass(frozen=True, slots=True)
class Finished:
    """A `Generate` request has succeeded."""

    job_id: str
    grid: Grid


class FailureReason(StrEnum):
    """Why a job failed; decides what happens next."""

    USER_ERROR = "complaint"  # `text` may be shown to the user
    CANCELLED = "cancelled"
    OUT_OF_MEMORY = "out of memory"  # `text` may be shown; the worker keeps running
    INTERNAL = "internal"  # `text` is for the log


@dataclass(frozen=True, slots=True)
class Failed:
    """A `Generate` request has failed or was cancelled."""

    job_id: str
    reason: FailureReason
    text: str


@dataclass(frozen=True, slots=True)
class Crashed:
    """The last message of a process that cannot continue; `text` is one line for the log.

    `permanent` says that a restart would fail in the same way, `lost` that a machine or the line to it went away.
    """

    text: str
    permanent: bool = False
    lost: bool = False


Inbound = Generate | Cancel | Stop
Event = Loading | Loaded | Unloaded | Offered | Ready | Progress | Finished | Read | Failed | Crashed
