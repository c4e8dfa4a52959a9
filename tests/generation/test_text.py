"""A Text is an English sentence that keeps what a translation needs."""

from __future__ import annotations

import copy
import pickle

from generation.errors import UserError
from generation.messages import Failed, FailureReason
from generation.text import Text

REASON = Text("it is made for {family}", family="SDXL")
TEXT = Text("Cannot use {embedding} with {model}: {reason}", embedding="`<x>`", model="{Flux}", reason=REASON)
JOBS = Text.plural("{n} job of {most}", "{n} jobs of {most}", 2, most=9)


def test_a_text_is_the_english_sentence():
    assert TEXT == "Cannot use `<x>` with {Flux}: it is made for SDXL"
    assert {TEXT} == {str.__str__(TEXT)}
    assert JOBS == "2 jobs of 9"
    assert Text.plural("{n} job", "{n} jobs", 1) == "1 job"
    assert Text("a plain {brace") == "a plain {brace"


def test_a_text_keeps_its_template_and_values_through_a_process_boundary():
    for text in (TEXT, JOBS, REASON):
        for same in (pickle.loads(pickle.dumps(text)), copy.deepcopy(text)):
            assert type(same) is Text
            assert same == text
            assert (same.template, same.plural_template, same.number) == (
                text.template,
                text.plural_template,
                text.number,
            )
            assert same.values == text.values
    failed = pickle.loads(pickle.dumps(Failed("a", FailureReason.USER_ERROR, TEXT)))
    assert failed.text.values["reason"].template == "it is made for {family}"


def test_the_text_of_an_error_is_still_a_text():
    assert str(UserError(TEXT)) is TEXT
    assert str(UserError("plain")) == "plain"
