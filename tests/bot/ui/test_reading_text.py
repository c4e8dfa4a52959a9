"""Texts about prompts and pictures that were read fit into a message."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.ui import reading_text
from db.readings import StoredReading
from generation.params import PromptPart, Word
from tests.support.jobs import make_job

MAX_MESSAGE_LENGTH = 2000  # characters of a message


def shortened(words, parts):
    """Return the text for a prompt of parts with these words, every second one important, and five shorter prompts."""
    weighed = tuple(Word(f"{word} ", 1.0 if number % 2 else 0.0) for number, word in enumerate(words))
    job = make_job()
    job = replace(job, params=replace(job.params, parts=(PromptPart("x", 1.5),) * parts))
    prompts = tuple(" ".join(words) for _ in range(5))
    return reading_text.shortened(job, StoredReading(prompts, (weighed,) * parts))


@pytest.mark.parametrize("parts", [1, 2, 4, 300])
@pytest.mark.parametrize("word", ["fox", "fairytale", "_*", "*" * 300])
def test_a_shortened_prompt_fits_into_a_message(word, parts):
    assert len(shortened([word] * 80, parts)) <= MAX_MESSAGE_LENGTH


def test_all_parts_of_a_prompt_are_shown_as_far_as_they_fit():
    _, marked, *_ = shortened(["fox", "owl"], 2).splitlines()
    assert marked == "> ~~fox~~ **owl** ::1.5 ~~fox~~ **owl** ::1.5"
    _, marked, *_ = shortened(["fox", "owl"] * 20, 3).splitlines()
    assert marked.count("fox") == 30
    assert marked.endswith("**owl**… ::1.5")
