"""The texts about jobs that users see."""

from __future__ import annotations

import re
from dataclasses import replace

from bot.ui.i18n import CATALOGUES, render, tr
from bot.ui.text import escape_markdown, jump_url, strip_markdown, truncate
from generation.job import Action, Job, Requester, Speed
from generation.messages import Loading, Progress, Ready
from generation.models.registry import ModelRegistry
from generation.models.words.unknown_words import unknown_words_note
from generation.params import FilmKind, PromptPart
from generation.planning.film_pictures import film_texts
from generation.prompt import format_prompt
from generation.prompt.copied_text import recognize_messages
from generation.queue.queue import QueuePosition
from generation.worker.fleet import NO_WORKER
from generation.worker.worker import STARTING_PART, Broken, WorkerState

MAX_PROMPT_LENGTH = 740  # characters shown; escaping may double them, and a message holds 2000
MAX_END_MESSAGE_LENGTH = 250
MAX_FILM_WORDS_LENGTH = 300
MAX_DESCRIPTION_LENGTH = 1024  # of an attachment, by Discord's rules
MAX_MODEL_NAME_LENGTH = 60
UNMEASURED_JOB_S = (10, 60)  # seconds that a job may take before one was measured: a large GPU, a small one

_DOWNLOADED = re.compile(r", (\d+) MB$")  # at the end of `Loading.part` while files are downloaded


def waiting(job: Job, registry: ModelRegistry, queue_position: QueuePosition | None, state: WorkerState) -> str:
    """Return the status of a job that waits for a slot."""
    headline = f"{_headline(job, registry)} ({tr('Waiting to start')})"
    if queue_position is None:
        return headline
    is_ready = isinstance(state, Ready)
    reason = "" if is_ready else f" · {_loading(state)}"
    return f"{headline}\n-# {format_queue_position(queue_position, is_ready=is_ready)}{reason}"


def format_queue_position(queue_position: QueuePosition, *, is_ready: bool) -> str:
    """Return the position of a job in the queue, with the estimated wait."""
    wait = format_wait(queue_position, is_ready=is_ready)
    return f"{_place(queue_position.position)}{f', {wait}' if wait else ''}"


def format_wait(queue_position: QueuePosition, *, is_ready: bool) -> str:
    """Return the estimated wait: a range until a job was measured, and nothing while no worker `is_ready`."""
    if queue_position.seconds is not None:
        return format_duration(queue_position.seconds)
    return _unmeasured_wait(queue_position.position) if is_ready else ""


def _unmeasured_wait(jobs: int) -> str:
    low, high = (seconds * jobs for seconds in UNMEASURED_JOB_S)
    if high <= 120:
        return tr("{low}–{high} seconds", low=low, high=high)
    return tr("{low}–{high} minutes", low=max(1, round(low / 60)), high=round(high / 60))


def _place(position: int) -> str:
    if position == 1:
        return tr("next in line")
    match 0 if position % 100 in (11, 12, 13) else position % 10:
        case 1:
            return tr("{number}st in line", number=position)
        case 2:
            return tr("{number}nd in line", number=position)
        case 3:
            return tr("{number}rd in line", number=position)
    return tr("{number}th in line", number=position)


def running(
    job: Job, registry: ModelRegistry, progress: Progress | None, state: WorkerState, *, model_is_absent: bool = False
) -> str:
    """Return the progress of a job that has a slot; before its first step, what it waits for.

    `model_is_absent` means that its model is neither loaded nor loading; `state` is then about another model.
    """
    if progress is not None:
        return f"{_headline(job, registry)} ({100 * progress.step // progress.total}%)"
    starting = f"{_headline(job, registry)} ({tr('Starting')})"
    if model_is_absent:
        return f"{starting}\n-# {_waiting_for_memory(registry.model_name(job.params), state)}"
    return starting if isinstance(state, Ready) else f"{starting}\n-# {_loading(state)}"


def waiting_for_disk(job: Job, registry: ModelRegistry) -> str:
    """Return the status of a job that is drawn, but cannot be stored yet."""
    reason = tr("My disk is full or busy: I keep the picture, and post it as soon as I can store it.")
    return f"{_headline(job, registry)} ({tr('Drawn')})\n-# {reason}"


def with_token_warning(text: str) -> str:
    """Add to a status message that Discord soon allows no more edits."""
    reason = tr("Discord lets me write here for 15 minutes only: I will send the result as a direct message.")
    return f"{text}\n-# {reason}"


def finished(job: Job, registry: ModelRegistry, credit: Requester | None) -> str:
    """Return the text of a result; `credit` is the requester of the parent job, if that is another user."""
    thanks = tr("after a picture by {whom}", whom=f"<@{credit.id}>") if credit and credit.id else ""
    notes = (_film_words(job), thanks, _unknown_words(job, registry))
    return "\n-# ".join([_headline(job, registry), *filter(None, notes)])


def _film_words(job: Job) -> str:
    """Return the words that a film passes through, if they differ from its prompt."""
    return escape_markdown(truncate(" → ".join(film_texts(job.params)), MAX_FILM_WORDS_LENGTH))


def _unknown_words(job: Job, registry: ModelRegistry) -> str:
    """Return which words of a prompt the model does not know, and what it draws instead; empty if it knows all."""
    model = registry.find(job.params.model)
    film = film_texts(job.params)
    if model is None or (job.action not in _ACTIONS_WITH_NEW_PROMPT and not film):
        return ""
    params = replace(job.params, parts=tuple(map(PromptPart, film))) if film else job.params
    note = unknown_words_note(model, params)
    return escape_markdown(render(note)) if note else ""


def posted_elsewhere(job: Job, registry: ModelRegistry, result_message_id: int | None) -> str:
    """Return the status message that links to a result in a thread or gallery."""
    to = job.destination
    return f"{_headline(job, registry)}\n{jump_url(to.guild_id, to.result_channel_id, result_message_id)}"


def failed_or_cancelled(job: Job, registry: ModelRegistry, end_message: str) -> str:
    """Return the status message of a job without a result: its prompt and the reason."""
    return f"{_headline(job, registry)}\n{truncate(end_message, MAX_END_MESSAGE_LENGTH)}"


def with_dm_reason(text: str, job: Job) -> str:
    """Add to a direct message why it does not appear in the channel."""
    return f"{text}\n-# {tr('I could not answer in {where}.', where=f'<#{job.destination.channel_id}>')}"


def attribution(job: Job) -> str:
    """Return the action of a job and its requester."""
    return made_how(job, mention(job.requester))


def mention(requester: Requester) -> str:
    """Return the mention of a requester, or a word for one who had their data erased and left the picture."""
    return f"<@{requester.id}>" if requester.id else tr("somebody")


def made_how(job: Job, whom: str) -> str:
    """Return how somebody made a picture."""
    return _action_label(job, whom) if job.action is not Action.IMAGINE else tr("Drawn for {whom}", whom=whom)


def image_description(job: Job, registry: ModelRegistry) -> str:
    """Return the alternative text of a job's image: its prompt, without Markdown."""
    prompt = strip_markdown(format_prompt(job.params, registry)) or tr("A blend of pictures, without words")
    if job.params.film is not None and job.action is not Action.PICK:
        words = " → ".join((prompt, *film_texts(job.params)))
        prompt = tr(_FILM_DESCRIPTIONS[job.params.film.kind], words=words)
    return truncate(prompt, MAX_DESCRIPTION_LENGTH)


def _headline(job: Job, registry: ModelRegistry) -> str:
    most = MAX_PROMPT_LENGTH - (MAX_FILM_WORDS_LENGTH if film_texts(job.params) else 0)
    prompt = escape_markdown(truncate(format_prompt(job.params, registry), most))
    title = f"**{prompt}** - " if prompt else ""  # images can be blended without text
    return f"{title}{_action_label(job, mention(job.requester))}{tr(_SPEED_LABELS.get(job.speed, ''))}"


def _action_label(job: Job, whom: str) -> str:
    if job.action is Action.PICK and job.parent is None:
        return tr("Painted together, started by {whom}", whom=whom)
    label = _ACTION_LABELS.get(job.action)
    return tr(label, number=job.parent.index + 1 if job.parent else 0, whom=whom) if label else whom


# The buttons below a result draw the same prompt again, whose unknown words have been told.
_ACTIONS_WITH_NEW_PROMPT = (Action.IMAGINE, Action.BLEND, Action.EDIT, Action.REMIX_SUBTLE, Action.REMIX_STRONG)
_FILM_DESCRIPTIONS = {
    FilmKind.ZOOM_OUT: "Film that zooms out: {words}",
    FilmKind.ZOOM_IN: "Film that zooms in: {words}",
    FilmKind.LOOP: "Film that zooms in and out again: {words}",
    FilmKind.WALK: "Film that goes from one picture to another: {words}",
}
_SPEED_LABELS = {Speed.TURBO: " (turbo)", Speed.RELAX: " (relaxed)"}  # fast is the default and is not shown
_ACTION_LABELS = {
    Action.BLEND: "Blended by {whom}",
    Action.REROLL: "Rerolled by {whom}",
    Action.PICK: "Image #{number} {whom}",
    Action.UPSCALE_SUBTLE: "Upscaled (Subtle) by {whom}",
    Action.UPSCALE_CREATIVE: "Upscaled (Creative) by {whom}",
    Action.UPSCALE_CREATIVE_4: "Upscaled (Creative, 4×) by {whom}",
    Action.VARY_SUBTLE: "Variations (Subtle) by {whom}",
    Action.VARY_STRONG: "Variations (Strong) by {whom}",
    Action.VARY_REGION: "Variations (Region) by {whom}",
    Action.ZOOM_2: "Zoom Out (2×) by {whom}",
    Action.ZOOM_1_5: "Zoom Out (1.5×) by {whom}",
    Action.ZOOM_CUSTOM: "Zoom Out by {whom}",
    Action.PAN_LEFT: "Pan Left by {whom}",
    Action.PAN_RIGHT: "Pan Right by {whom}",
    Action.PAN_UP: "Pan Up by {whom}",
    Action.PAN_DOWN: "Pan Down by {whom}",
    Action.MAKE_SQUARE: "Made square by {whom}",
    Action.REMIX_SUBTLE: "Remix (Subtle) by {whom}",
    Action.REMIX_STRONG: "Remix (Strong) by {whom}",
    Action.ZOOM_FILM: "Animated by {whom}",
    Action.SHORTEN: "Shortened for {whom}",
    Action.DESCRIBE: "Described for {whom}",
    Action.WALK: "Walk by {whom}",
    Action.EDIT_WORDS: "Words edited by {whom}",
    Action.CLEAN_UP: "Cleaned up by {whom}",
    Action.COLOUR: "Coloured by {whom}",
    Action.EDIT: "Edited by {whom}",
}


def _recognize_own_messages() -> None:
    """Let prompts that are copied from a message in any language be read without the rest of the message."""
    modes = (*_SPEED_LABELS.values(), "Waiting to start", "Starting", "Drawn")
    recognize_messages(_ACTION_LABELS.values(), modes)
    for catalogue in CATALOGUES.values():
        recognize_messages(map(catalogue.gettext, _ACTION_LABELS.values()), map(catalogue.gettext, modes))


_recognize_own_messages()


def _waiting_for_memory(name: str, state: WorkerState) -> str:
    if isinstance(state, Loading):
        return tr("waiting until {model} is loaded", model=_model_name(state.model))
    return tr("waiting until there is room in memory for {model}", model=_model_name(name))


def _model_name(name: str) -> str:
    return escape_markdown(truncate(name, MAX_MODEL_NAME_LENGTH))


def _loading(state: WorkerState) -> str:
    if isinstance(state, Loading):
        return _loading_part(state)
    if isinstance(state, Broken):
        return tr("the model cannot be loaded at the moment")
    if state is NO_WORKER:
        return tr("no GPU is in use at the moment")
    return tr("the drawing process is being started again")


def _loading_part(now: Loading) -> str:
    """Return what is loading; the names of a model's parts mean something to programmers only."""
    if now.part == STARTING_PART:
        return tr("the drawing engine is starting")
    model, number, total = _model_name(now.model), now.done + 1, now.total
    if downloaded := _DOWNLOADED.search(now.part):
        return tr(
            "loading {model} ({number} of {total}, {megabytes} MB downloaded)",
            model=model,
            number=number,
            total=total,
            megabytes=downloaded[1],
        )
    return tr("loading {model} ({number} of {total})", model=model, number=number, total=total)


def format_duration(seconds: float) -> str:
    """Return a duration in words, rounded."""
    if seconds < 10:
        return tr("a few seconds")
    if seconds < 90:
        return tr("about {number} seconds", number=round(seconds / 10) * 10)
    if seconds < 90 * 60:
        return tr("about {number} minutes", number=round(seconds / 60))
    return tr("about {number} hours", number=round(seconds / 3600))
