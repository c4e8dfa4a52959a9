"""A job's message copied into a new prompt: the text around the prompt is stripped."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bot.ui import job_text
from bot.ui.i18n import CATALOGUES
from generation.job import Action, Destination, Job, Requester, Speed
from generation.messages import Loading, Progress, Ready
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.params import Params, Tile
from generation.prompt import parse_params, parse_prompt
from generation.queue.queue import QueuePosition
from tests.support.languages import run_in

MODEL = Model(name="storybook", ref="m")
REGISTRY = ModelRegistry((MODEL,))
PROMPTS = (
    "a fox",
    "a fox --ar 3:2 --tile --no snow, ice --seed 5",
    "hot:: dog::2 --raw",
    r"2\*3 = 6, a_b, <x>, # one, `code`, \{a, b\} --chaos 5",
    "ثعلب أحمر --ar 2:3",
    "mail @everyone or fox@example.org (fast)",
    "https\\://example.org/fox.png - Image #2 is what I mean",
    "",
)
STATES = (Ready(MODEL, "cpu"), Loading("unet", 2, 5))


def read(prompt: str) -> Params:
    """Parse a prompt with two pictures, which need no text."""
    return parse_prompt(prompt, REGISTRY, attached=2).params


def job(params: Params, action: Action, *, private: bool = False, speed: Speed = Speed.FAST) -> Job:
    to = Destination(
        guild_id=1,
        channel_id=2,
        by_channel=True,
        token="t",
        token_expires_at=9e9,
        upload_limit=10**7,
        private=private,
    )
    return Job(
        id="0123456789ab",
        action=action,
        params=params,
        requester=Requester(11, "ada"),
        destination=to,
        parent=None if action is Action.IMAGINE else Tile("ba9876543210", 2),
        asked_at=0.0,
        speed=speed,
    )


def messages_about(job: Job) -> list[str]:
    """Return all messages about a job, from its first to its last."""
    places, steps = (None, QueuePosition(1, None), QueuePosition(3, 60.0)), (None, Progress(job.id, 7, 25))
    return [
        *(job_text.waiting(job, REGISTRY, place, state) for place in places for state in STATES),
        *(job_text.running(job, REGISTRY, progress, state) for progress in steps for state in STATES),
        job_text.waiting_for_disk(job, REGISTRY),
        job_text.with_token_warning(job_text.running(job, REGISTRY, None, STATES[0])),
        *(job_text.finished(job, REGISTRY, credit) for credit in (None, Requester(12, "ben"))),
        job_text.with_dm_reason(job_text.finished(job, REGISTRY, None), job),
        job_text.failed_or_cancelled(job, REGISTRY, "Cancelled by <@11>."),
    ]


def rendered_text(message: str) -> str:
    """Return a message's headline as rendered: a mention is a name, and bold text has no asterisks."""
    headline, *_ = message.replace("<@11>", "@ada").split("\n")
    bold, rest = re.fullmatch(r"\*\*(.*)\*\*( - .*?)", headline).groups()
    return re.sub(r"\\(.)", r"\1", bold) + rest


@pytest.mark.parametrize("action", Action)
def test_a_copied_message_source_parses_to_the_prompt(action):
    for params in (replace(read(prompt), seed=7) for prompt in PROMPTS):
        jobs = [job(params, action, private=private, speed=speed) for speed in Speed for private in (False, True)]
        for message in {message for each in jobs for message in messages_about(each)}:
            if not message.startswith("<@"):  # without a prompt, the mention could also be the subject of a prompt
                assert replace(read(message), seed=7) == params


@pytest.mark.parametrize("action", Action)
def test_a_rendered_message_parses_to_the_prompt(action):
    params = parse_params("a fox --ar 3:2 --tile --seed 5", REGISTRY)
    for message in messages_about(job(params, action)):
        seen = rendered_text(message)
        if not seen.endswith("- @ada"):  # as in "a mural - @banksy", where the name is part of the prompt
            assert replace(parse_params(seen, REGISTRY), seed=5) == params


@pytest.mark.parametrize("language", CATALOGUES)
@pytest.mark.parametrize("action", Action)
def test_a_message_in_another_language_parses_to_the_prompt(action, language):
    params = replace(read("a fox --ar 3:2 --tile"), seed=7)
    jobs = [job(params, action, speed=speed) for speed in Speed]
    messages = {message for each in jobs for message in run_in(language, messages_about, each)}
    seen = {rendered_text(message) for message in messages}
    for text in messages | {text for text in seen if not text.endswith("- @ada")}:
        assert replace(read(text), seed=7) == params


def test_text_that_merely_resembles_a_message_stays():
    typed = "**a fox** - not <@11>"
    assert parse_params(typed, REGISTRY).parts[0].text == "a fox - not <@11>"
