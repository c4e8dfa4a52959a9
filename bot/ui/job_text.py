"""Every sentence about a job that people see, and nothing else."""

from __future__ import annotations

from bot.ui.i18n import tr
from bot.ui.text import escape_markdown, jump_url, truncate
from generation.job import Action, Job, Requester, Speed
from generation.messages import Loading, Progress, Ready
from generation.models.registry import ModelRegistry
from generation.prompt import format_prompt
from generation.queue.queue import QueuePosition
from generation.worker.worker import Broken, WorkerState

MAX_PROMPT_LENGTH = 800  # characters shown; escaping may double them, and a message holds 2000
MAX_END_MESSAGE_LENGTH = 250
MAX_MODEL_NAME_LENGTH = 60


def waiting(job: Job, registry: ModelRegistry, queue_position: QueuePosition | None, state: WorkerState) -> str:
    """Say where a job stands before it has its turn."""
    headline = f"{_headline(job, registry)} ({tr('Waiting to start')})"
    if queue_position is None:
        return headline
    return f"{headline}\n-# {format_queue_position(queue_position)}" + (
        "" if isinstance(state, Ready) else f" · {_loading(state)}"
    )


def format_queue_position(queue_position: QueuePosition) -> str:
    """Say where in the queue a job stands, and about how long it will be."""
    estimate = f", {format_duration(queue_position.seconds)}" if queue_position.seconds is not None else ""
    return tr("{place} in the queue", place=_ordinal(queue_position.position)) + estimate


def running(
    job: Job, registry: ModelRegistry, progress: Progress | None, state: WorkerState, *, model_is_absent: bool = False
) -> str:
    """Say how far a job is once it has its turn; before its first step, what it waits for.

    Its model `is_absent` while it is not held and not on its way either: `state` is then about another.
    """
    if progress is not None:
        return f"{_headline(job, registry)} ({100 * progress.step // progress.total}%)"
    starting = f"{_headline(job, registry)} ({tr('Starting')})"
    if model_is_absent:
        return f"{starting}\n-# {_waiting_for_memory(registry.model_name(job.params), state)}"
    return starting if isinstance(state, Ready) else f"{starting}\n-# {_loading(state)}"


def with_token_warning(text: str) -> str:
    """Add to a notice that Discord will soon not let it be edited any more."""
    reason = tr("Discord lets me write here for 15 minutes only: I will send the result as a direct message.")
    return f"{text}\n-# {reason}"


def finished(job: Job, registry: ModelRegistry, credit: Requester | None) -> str:
    """Head a result; `credit` is the owner of the picture it descends from, when that is somebody else."""
    thanks = tr("after a picture by {whom}", whom=f"<@{credit.id}>") if credit else ""
    return f"{_headline(job, registry)}\n-# {thanks}" if thanks else _headline(job, registry)


def posted_elsewhere(job: Job, registry: ModelRegistry, result_message_id: int | None) -> str:
    """Lead from the notice to the result, where the owners want results elsewhere."""
    to = job.destination
    return f"{_headline(job, registry)}\n{jump_url(to.guild_id, to.result_channel_id, result_message_id)}"


def failed_or_cancelled(job: Job, registry: ModelRegistry, end_message: str) -> str:
    """Say why there is no result; what the person typed stays readable."""
    return f"{_headline(job, registry)}\n{truncate(end_message, MAX_END_MESSAGE_LENGTH)}"


def with_dm_reason(text: str, job: Job) -> str:
    """Add to what is sent by direct message why it does not come where it was asked for."""
    return f"{text}\n-# {tr('I could not answer in {where}.', where=f'<#{job.destination.channel_id}>')}"


def attribution(job: Job) -> str:
    """Say what was done for a job, and by whom."""
    return f"{_label(job) or tr('Drawn for ')}<@{job.requester.id}>"


def _headline(job: Job, registry: ModelRegistry) -> str:
    prompt = escape_markdown(truncate(format_prompt(job.params, registry), MAX_PROMPT_LENGTH))
    title = f"**{prompt}** - " if prompt else ""  # pictures can be blended without a word
    return f"{title}{_label(job)}<@{job.requester.id}>{tr(_SPEED_LABELS.get(job.speed, ''))}"


def _label(job: Job) -> str:
    return tr(_ACTION_LABELS[job.action], number=job.parent.index + 1 if job.parent else 0)


_SPEED_LABELS = {Speed.TURBO: " (turbo)", Speed.RELAX: " (relaxed)"}  # fast is what nobody needs to be told
_ACTION_LABELS = {
    Action.IMAGINE: "",
    Action.BLEND: "Blended by ",
    Action.REROLL: "Drawn again by ",
    Action.PICK: "Image #{number} ",
    Action.UPSCALE_SUBTLE: "Upscaled (Subtle) by ",
    Action.UPSCALE_CREATIVE: "Upscaled (Creative) by ",
    Action.UPSCALE_CREATIVE_4: "Upscaled (Creative, 4×) by ",
    Action.VARY_SUBTLE: "Variations (Subtle) of image #{number} by ",
    Action.VARY_STRONG: "Variations (Strong) of image #{number} by ",
    Action.VARY_REGION: "Variations (Region) by ",
    Action.ZOOM_2: "Zoom Out (2×) by ",
    Action.ZOOM_1_5: "Zoom Out (1.5×) by ",
    Action.ZOOM_CUSTOM: "Zoom Out by ",
    Action.PAN_LEFT: "Pan Left by ",
    Action.PAN_RIGHT: "Pan Right by ",
    Action.PAN_UP: "Pan Up by ",
    Action.PAN_DOWN: "Pan Down by ",
    Action.MAKE_SQUARE: "Made square by ",
    Action.REMIX_SUBTLE: "Remix (Subtle) by ",
    Action.REMIX_STRONG: "Remix (Strong) by ",
}


def _waiting_for_memory(name: str, state: WorkerState) -> str:
    if isinstance(state, Loading):
        return tr("waiting until {model} is loaded", model=_model_name(state.model))
    return tr("waiting until there is room in memory for {model}", model=_model_name(name))


def _model_name(name: str) -> str:
    return escape_markdown(truncate(name, MAX_MODEL_NAME_LENGTH))


def _loading(state: WorkerState) -> str:
    if isinstance(state, Loading):
        model, number = _model_name(state.model), state.done + 1
        return tr(
            "loading {model} ({number} of {of}: {part})", model=model, number=number, of=state.total, part=state.part
        )
    if isinstance(state, Broken):
        return tr("the model cannot be loaded at the moment")
    return tr("the drawing process is being started again")


def _ordinal(position: int) -> str:
    return tr("next") if position == 1 else tr("number {position}", position=position)


def format_duration(seconds: float) -> str:
    """Give a time as one says it."""
    if seconds < 10:
        return tr("a few seconds")
    if seconds < 90:
        return tr("about {number} seconds", number=round(seconds / 10) * 10)
    if seconds < 90 * 60:
        return tr("about {number} minutes", number=round(seconds / 60))
    return tr("about {number} hours", number=round(seconds / 3600))
