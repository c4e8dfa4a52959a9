"""The texts of jobs that read a prompt or a picture."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby

import discord

from bot.ui.dynamic_items import persistent_view
from bot.ui.i18n import tr
from bot.ui.text import MAX_MESSAGE_LENGTH, escape_markdown, truncate
from db.readings import StoredReading
from generation.job import Job
from generation.params import Word
from generation.planning.shortening import IMPORTANT, WEAK
from generation.prompt.weights import format_number

DESCRIBE_AGAIN, DRAW_ALL = "describe_again", "describe_all"
READING = "reading"  # the custom_id prefix of the buttons with a number
MAX_SHOWN_WORDS = 60  # of all parts of the prompt
MAX_SHOWN_LENGTH = 700  # characters of the prompt without its marks, which escaping may double
MAX_PROMPT_LENGTH = 150  # characters of each numbered prompt
MAX_LISTED_WEIGHTS = 8
SHARES = (1, 2, 4, 8)  # the limits are divided by these, in this order, until a text fits into a message
_CORE = re.compile(r"(?s)(\s*)(.*?)([\s,.;:!?、。，；]*)")


def shortened(job: Job, reading: StoredReading) -> str:
    """Return the text of a shortened prompt: its words by importance, then the shorter prompts."""
    texts = [_shortened(job, reading, share) for share in SHARES]
    return next((text for text in texts if len(text) <= MAX_MESSAGE_LENGTH), texts[-1])


def _shortened(job: Job, reading: StoredReading, share: int) -> str:
    weights = [part.weight for part in job.params.parts]
    marked = _marked_parts(list(zip(reading.words, weights, strict=True)), share)
    numbered = _numbered(reading.prompts, MAX_PROMPT_LENGTH // share)
    lines = [tr("Shortened for {whom}", whom=f"<@{job.requester.id}>"), f"> {marked}", *numbered]
    lines += [f"-# {_weights(reading.words, MAX_PROMPT_LENGTH // 4 // share)}"] if any(reading.words) else []
    lines.append(f"-# {tr('Bold words decide what the picture shows, struck ones hardly change it.')}")
    return "\n".join(lines)


def described(job: Job, reading: StoredReading) -> str:
    """Return the text of a described picture: its prompts, the true one first and marked."""
    lines = [tr("Described for {whom}", whom=f"<@{job.requester.id}>"), *_numbered(reading.prompts)]
    is_known = any(any(part.texts) for part in job.params.parts)
    if is_known:
        lines.append(f"-# {tr('1 is the prompt that the picture was drawn with.')}")
    if len(reading.prompts) > is_known:
        lines.append(f"-# {tr('Prompts that no file tells are guesses from the picture itself.')}")
    return "\n".join(lines)


def described_view(job: Job, reading: StoredReading) -> discord.ui.View:
    """Return the buttons below a described picture."""
    again: discord.ui.Button[discord.ui.View] = discord.ui.Button(emoji="🔄", custom_id=f"{DESCRIBE_AGAIN}:{job.id}")
    all_of_them: discord.ui.Button[discord.ui.View] = discord.ui.Button(
        label=tr("All"), custom_id=f"{DRAW_ALL}:{job.id}", row=1
    )
    return persistent_view(*number_buttons(job, reading), again, all_of_them)


def number_buttons(job: Job, reading: StoredReading) -> list[discord.ui.Button[discord.ui.View]]:
    """Return a button for each prompt, which opens it to be drawn."""
    return [
        discord.ui.Button(label=str(number), custom_id=f"{READING}:{job.id}:{number}")
        for number in range(1, len(reading.prompts) + 1)
    ]


def shortened_view(job: Job, reading: StoredReading) -> discord.ui.View:
    """Return the buttons below a shortened prompt."""
    return persistent_view(*number_buttons(job, reading))


def _numbered(prompts: Iterable[str], limit: int = MAX_PROMPT_LENGTH) -> list[str]:
    return [
        f"{number}\\. {escape_markdown(truncate(' '.join(prompt.split()), limit))}"
        for number, prompt in enumerate(prompts, 1)
    ]


def _marked_parts(parts: Sequence[tuple[Sequence[Word], float]], share: int) -> str:
    """Return the parts of a prompt, as far as they fit, with important words in bold and weak ones struck."""
    texts, most, length = list[str](), MAX_SHOWN_WORDS // share, MAX_SHOWN_LENGTH // share
    for words, weight in parts:
        shown = _fitting(words[:most], length)
        most, length = most - len(shown), length - sum(len(word.text) for word in shown)
        is_cut = len(shown) < len(words)
        texts.append(_marked(shown) + ("…" if is_cut else "") + ("" if weight == 1 else f" ::{format_number(weight)}"))
        if is_cut:
            break
    return " ".join(texts)


def _fitting(words: Sequence[Word], limit: int) -> list[Word]:
    ends = accumulate(len(word.text) for word in words)
    return [word for word, end in zip(words, ends, strict=True) if end <= limit]


def _marked(words: Sequence[Word]) -> str:
    runs = [_run("".join(word.text for word in run), mark) for mark, run in groupby(words, _mark_of)]
    return "".join(runs).strip()


def _mark_of(word: Word) -> str:
    return "**" if word.weight >= IMPORTANT else "~~" if word.weight <= WEAK else ""


def _run(text: str, mark: str) -> str:
    """Return neighbouring words with their mark; punctuation and spaces after them stay outside."""
    match = _CORE.fullmatch(text)
    assert match is not None, "matches everything"
    before, core, after = match.groups()
    marked = f"{mark}{escape_markdown(core)}{mark}" if core else ""
    return f"{before}{marked}{after}"


def _weights(parts: Iterable[Sequence[Word]], limit: int) -> str:
    """Return the weightiest words with their weights."""
    ranked = sorted((word for part in parts for word in part if word.weight > WEAK), key=lambda word: -word.weight)
    names = [(_CORE.fullmatch(word.text), word.weight) for word in ranked[:MAX_LISTED_WEIGHTS]]
    return " · ".join(
        f"{escape_markdown(truncate(match[2], limit))} {round(100 * weight)}"
        for match, weight in names
        if match is not None
    )
