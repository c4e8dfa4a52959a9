"""Texts about jobs fit into a message, are correct, and show the prompt as typed."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.jobs.family_line import family_line
from bot.ui import job_text
from db.lineage import Ancestor
from generation.job import Action, Destination, Job, Requester, Speed
from generation.messages import Loading, Progress, Ready
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.models.words.vocabulary import Vocabulary
from generation.params import Params, PromptPart, Tile
from generation.planning.walks import walk
from generation.prompt import PromptError, parse_params
from generation.queue.queue import QueuePosition
from generation.worker.fleet import NO_WORKER
from generation.worker.worker import Broken, Restarting
from tests.support.growth import assert_grows_linearly
from tests.support.jobs import make_job

MODEL = Model(name="m", ref="m")
REGISTRY = ModelRegistry((MODEL,))
READY = Ready(MODEL, "cpu")
LOADING = Loading("text encoder", 1, 5, "Dreams _XL")
STATES = (READY, LOADING, Restarting("CUDA error"), Broken("no such file"))
MAX_MESSAGE_LENGTH = 2000  # characters of a message
JOB = Job(
    id="0123456789ab",
    action=Action.IMAGINE,
    params=Params(
        parts=(PromptPart("a red fox"),), width=512, height=512, seed=7, num_inference_steps=25, guidance_scale=7.5
    ),
    requester=Requester(11, "ada"),
    destination=Destination(
        guild_id=1, channel_id=2, by_channel=True, token="t", token_expires_at=900.0, upload_limit=10**7
    ),
    parent=None,
    asked_at=0.0,
)
LONGEST = max(Action, key=lambda action: len(job_text.finished(replace(JOB, action=action), REGISTRY, None)))
BUTTONS = [action for action in Action if action is not Action.IMAGINE]


def make_derived(action: Action, index: int = 0, job: Job = JOB) -> Job:
    return replace(job, action=action, parent=Tile("ba9876543210", index))


def with_prompt(text: str) -> Job:
    to = replace(JOB.destination, channel_id=2**63)
    return replace(
        JOB, destination=to, params=replace(JOB.params, parts=(PromptPart(text),)), requester=Requester(2**63, "x" * 32)
    )


def all_texts(job: Job) -> list[str]:
    """Return every text about a job, at its longest."""
    places = (None, QueuePosition(100_000, 0.0), QueuePosition(100_000, 85.0))
    texts = [job_text.waiting(job, REGISTRY, place, state) for place in places for state in STATES]
    texts += [
        job_text.running(job, REGISTRY, progress, state)
        for progress in (None, Progress(job.id, 7, 25))
        for state in STATES
    ]
    texts += [job_text.with_token_warning(text) for text in texts]
    ends = [job_text.failed_or_cancelled(job, REGISTRY, ending) for ending in ("Out of paint.", "so sorry " * 500)]
    ends += [job_text.finished(job, REGISTRY, credit) for credit in (None, Requester(2**63, "y"))]
    return texts + ends + [job_text.with_dm_reason(text, job) for text in ends]


@pytest.mark.parametrize(
    ("place", "state", "expected"),
    [
        (None, READY, "**a red fox** - <@11> (Waiting to start)"),
        (QueuePosition(1, None), READY, "**a red fox** - <@11> (Waiting to start)\n-# next in line, 10–60 seconds"),
        (
            QueuePosition(3, 4.0),
            READY,
            "**a red fox** - <@11> (Waiting to start)\n-# 3rd in line, a few seconds",
        ),
        (
            QueuePosition(2, 61.0),
            LOADING,
            "**a red fox** - <@11> (Waiting to start)\n"
            "-# 2nd in line, about 60 seconds · loading Dreams \\_XL (2 of 5)",
        ),
    ],
)
def test_a_waiting_job_shows_position_estimate_and_reason(place, state, expected):
    assert job_text.waiting(JOB, REGISTRY, place, state) == expected


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (LOADING, "loading Dreams \\_XL (2 of 5)"),
        (Restarting("CUDA error"), "the drawing process is being started again"),
        (Broken("no such file"), "the model cannot be loaded at the moment"),
        (NO_WORKER, "no GPU is in use at the moment"),
    ],
)
def test_a_job_that_waits_for_the_process_shows_why_without_its_errors(state, words):
    for text in (
        job_text.waiting(JOB, REGISTRY, QueuePosition(1, None), state),
        job_text.running(JOB, REGISTRY, None, state),
    ):
        assert words in text
        assert "CUDA" not in text
        assert "no such file" not in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "a few seconds"),
        (9.99, "a few seconds"),
        (10, "about 10 seconds"),
        (14.9, "about 10 seconds"),
        (55.1, "about 60 seconds"),
        (89.9, "about 90 seconds"),
        (90, "about 2 minutes"),
        (149, "about 2 minutes"),
        (3600, "about 60 minutes"),
        (5400, "about 2 hours"),
        (86400, "about 24 hours"),
    ],
)
def test_an_estimate_is_rounded_to_a_suitable_unit(seconds, words):
    assert job_text.waiting(JOB, REGISTRY, QueuePosition(2, seconds), READY).endswith(f"2nd in line, {words}")


@pytest.mark.parametrize(
    ("position", "place"),
    [(1, "next"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (21, "21st"), (113, "113th")],
)
def test_a_place_in_the_queue_is_an_english_ordinal(position, place):
    assert job_text.format_queue_position(QueuePosition(position, 0.0), is_ready=True).startswith(f"{place} in line")


@pytest.mark.parametrize(
    ("position", "wait"), [(1, "10–60 seconds"), (2, "20–120 seconds"), (12, "2–12 minutes"), (200, "33–200 minutes")]
)
def test_the_wait_is_a_range_until_a_job_was_measured(position, wait):
    assert job_text.format_wait(QueuePosition(position, None), is_ready=True) == wait
    assert job_text.format_wait(QueuePosition(position, None), is_ready=False) == ""


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("torch", "the drawing engine is starting"),
        ("unet", "loading Dreams (1 of 5)"),
        ("unet, 312 MB", "loading Dreams (1 of 5, 312 MB downloaded)"),
    ],
)
def test_what_is_loading_is_told_in_words_of_people(part, words):
    text = job_text.running(JOB, REGISTRY, None, Loading(part, 0, 5, "Dreams"))
    assert text.endswith(f"-# {words}")


@given(st.floats(0, 1e7))
def test_an_estimate_is_never_far_off(seconds):
    said = job_text.waiting(JOB, REGISTRY, QueuePosition(2, seconds), READY).rpartition(", ")[2]
    if said == "a few seconds":
        assert seconds < 10
        return
    number, unit = re.fullmatch(r"about (\d+) (seconds|minutes|hours)", said).groups()
    told = int(number) * {"seconds": 1, "minutes": 60, "hours": 3600}[unit]
    assert int(number) > 1
    assert told / 1.51 <= seconds <= told * 1.51


@pytest.mark.parametrize(
    ("progress", "state", "end"),
    [
        (None, READY, "<@11> (Starting)"),
        (None, LOADING, "<@11> (Starting)\n-# loading Dreams \\_XL (2 of 5)"),
        (Progress("x", 0, 25), READY, "<@11> (0%)"),
        (Progress("x", 1, 3), READY, "<@11> (33%)"),
        (Progress("x", 149, 150), READY, "<@11> (99%)"),
        (Progress("x", 25, 25), READY, "<@11> (100%)"),
    ],
)
def test_a_running_job_shows_its_progress(progress, state, end):
    assert job_text.running(JOB, REGISTRY, progress, state) == f"**a red fox** - {end}"


@pytest.mark.parametrize(
    ("action", "label"),
    [
        (Action.IMAGINE, ""),
        (Action.PICK, "Image #3 "),
        (Action.UPSCALE_SUBTLE, "Upscaled (Subtle) by "),
        (Action.VARY_SUBTLE, "Variations (Subtle) by "),
        (Action.VARY_STRONG, "Variations (Strong) by "),
        (Action.REROLL, "Rerolled by "),
    ],
)
def test_a_result_shows_its_prompt_the_action_and_the_requester(action, label):
    job = JOB if action is Action.IMAGINE else make_derived(action, 2)
    assert job_text.finished(job, REGISTRY, None) == f"**a red fox** - {label}<@11>"


def test_every_action_has_its_own_label():
    said = [job_text.finished(make_derived(action), REGISTRY, None) for action in BUTTONS]
    assert len({*said, job_text.finished(JOB, REGISTRY, None)}) == len(Action)


def test_the_owner_of_the_parent_image_is_credited():
    text = job_text.finished(make_derived(Action.UPSCALE_SUBTLE), REGISTRY, Requester(12, "ben"))
    assert text.endswith("<@11>\n-# after a picture by <@12>")


SMALL = replace(
    MODEL, vocabulary=Vocabulary.from_json({"things": ["red"]}, {}), examples=("a red _boat_ " * 4, "the sea " * 6)
)


def test_a_result_says_which_words_the_model_does_not_know():
    text = job_text.finished(JOB, ModelRegistry((SMALL,)), Requester(12, "ben"))
    assert text.splitlines()[1] == "-# after a picture by <@12>"
    assert text.splitlines()[2].startswith("-# m does not know “fox”. What it draws well: a red \\_boat\\_")


def test_a_result_of_a_button_does_not_repeat_the_unknown_words():
    registry = ModelRegistry((SMALL,))
    assert "know" not in job_text.finished(make_derived(Action.UPSCALE_SUBTLE), registry, None)
    assert "know" not in job_text.finished(JOB, REGISTRY, None)


@pytest.mark.parametrize(
    "prompt", ["*_~" * 500, "_fox_and_" * 500, "x, " * 500, "_a* " * 300, "🦊 _, " * 300, "狐" * 1500, "_" * 1500]
)
def test_a_result_with_unknown_words_and_a_family_fits_into_a_message(prompt):
    job = replace(with_prompt(prompt), action=Action.REMIX_SUBTLE, speed=Speed.RELAX)
    text = job_text.finished(job, ModelRegistry((SMALL,)), Requester(2**63, "y"))
    people = [2**63 + number % 5 for number in range(100)]
    guild_id = job.destination.guild_id
    text += family_line([Ancestor(job_id="x", person_id=each, guild_id=guild_id) for each in people], job)
    assert "🌳" in text
    assert len(job_text.with_dm_reason(text, job)) <= MAX_MESSAGE_LENGTH


@pytest.mark.parametrize("letter", ["_", "*", "x", "狐"])
def test_a_film_with_long_words_at_both_ends_fits_into_a_message(letter):
    first, last = (letter * 3000 for _ in range(2))
    params = walk(with_prompt(first).params, (PromptPart(f"{last}y"),), 5, 24, f"{last}y")
    job = replace(JOB, action=Action.WALK, params=params)
    text = job_text.finished(job, ModelRegistry((SMALL,)), Requester(2**63, "y"))
    assert len(job_text.with_dm_reason(text, job)) <= MAX_MESSAGE_LENGTH


def test_a_job_without_a_result_still_shows_its_prompt():
    assert (
        job_text.failed_or_cancelled(JOB, REGISTRY, "Cancelled by <@11>.")
        == "**a red fox** - <@11>\nCancelled by <@11>."
    )


def test_the_prompt_is_shown_with_the_typed_parameters():
    job = replace(JOB, params=replace(JOB.params, aspect=(3, 2), no=("text",), num_inference_steps=12))
    assert job_text.finished(job, REGISTRY, None) == "**a red fox --ar 3:2 --no text --steps 12** - <@11>"


HOSTILE_PROMPTS = [
    "**bold** __under__ ~~strike~~ ||spoiler|| `code` ```block```",
    "@everyone @here <@12> <@&34> <#56> </imagine:78> <:emoji:90>",
    "https://example.com/x [text](https://example.com) discord.gg/abc",
    "line\n# heading\n> quote\n- list\n-# small",
    "ends with a backslash \\",
    "שלום עולם",
    "👩‍👩‍👧‍👦🇫🇷👍🏽",
]


@pytest.mark.parametrize("prompt", HOSTILE_PROMPTS)
def test_a_prompt_cannot_ping_link_or_break_the_line(prompt):
    for text in all_texts(with_prompt(prompt)):
        first, *_ = text.split("\n")
        assert first.startswith("**")
        assert set(re.findall(r"(?<!\\)<@!?&?\d+>", first)) <= {f"<@{2**63}>"}
        assert "@everyone" not in text
        assert "@here" not in text
        assert "://" not in re.sub(r"\\.", "", text)


def test_the_bold_heading_is_closed_whatever_the_prompt_ends_with():
    for prompt in ("x\\", "x*", "x\\\\", "*", "x **"):
        headline = job_text.finished(with_prompt(prompt), REGISTRY, None)
        inside = headline.removeprefix("**").rpartition("** - <@")[0]
        assert re.sub(r"\\.", "", inside).count("*") == 0
        assert not re.sub(r"\\\\", "", inside).endswith("\\")


@pytest.mark.parametrize(
    "letter", ["*", "x", "x ", "_", "<", "\\", "@everyone ", "://", "ש*", "🦊", "👩‍👩‍👧‍👦", "e\u0301"]
)
def test_the_longest_prompt_fits_into_a_message_with_every_other_text(letter):
    job = make_derived(LONGEST, 3, with_prompt((letter * 6000)[:6000]))
    assert max(len(text) for text in all_texts(job)) <= MAX_MESSAGE_LENGTH


@given(st.text(max_size=2000))
def test_every_text_fits_and_is_not_empty_for_any_prompt(prompt):
    for text in all_texts(make_derived(LONGEST, 3, with_prompt(prompt))):
        assert 0 < len(text) <= MAX_MESSAGE_LENGTH


def test_only_a_long_end_message_is_truncated():
    short = "It is in the log as `0123abcd`."
    assert job_text.failed_or_cancelled(JOB, REGISTRY, short).endswith(short)
    assert len(job_text.failed_or_cancelled(JOB, REGISTRY, "x" * 5000)) < 400


@pytest.mark.parametrize(
    "repeated", ["-", "--", "- a ", "{", "\\", "a::", "<", "–", "@everyone", " - @", "://", "ש*", "*"]
)
def test_no_prompt_blocks_the_event_loop(repeated):
    def parse_and_describe(typed: str) -> None:
        with suppress(PromptError):
            params = parse_params(typed, REGISTRY)
            job_text.running(replace(JOB, params=params), REGISTRY, None, READY)

    assert_grows_linearly(parse_and_describe, repeated)


def test_a_picture_that_an_erased_person_left_is_somebodys():
    assert job_text.attribution(make_job(requester=Requester(0, ""))) == "Drawn for somebody"
