"""A captioner describes pictures beside the models; where it fails, the drawing model does."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from generation.engine.output.captioner import load_captioner
from generation.engine.serving.captions import Captions
from generation.engine.serving.model_loader import ModelLoader
from generation.engine.serving.multi_model_engine import MultiModelEngine
from generation.messages import Event, Failed, FailureReason, Generate, Progress, Read
from generation.models.registry import ModelRegistry
from generation.params import Params, PromptPart, ReadingKind, Upload
from generation.planning.descriptions import DESCRIPTIONS
from tests.support.timing import TIMEOUT_S
from tests.support.tiny_captioner import build_tiny_blip


def _png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "PNG")
    return file.getvalue()


def _request(job_id: str, reading: ReadingKind | None = ReadingKind.DESCRIBE, source: bytes = _png()) -> Generate:
    params = Params(
        parts=(PromptPart(""),), width=64, height=64, seed=0, num_inference_steps=1, guidance_scale=1, count=0,
        source=Upload("ab"), reading=reading,
    )  # fmt: skip
    return Generate(job_id, params, 0, 0, source)


class SlowCaptioner:
    """Says what it sees once it may."""

    def __init__(self) -> None:
        self.may_speak = threading.Event()
        self.said = 0

    def captions(self, image: Image.Image, seed: int) -> Iterator[str]:
        assert self.may_speak.wait(TIMEOUT_S)
        for text in ("a red square", "a red square", "red"):
            self.said += 1
            yield text


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def captioner() -> SlowCaptioner:
    return SlowCaptioner()


@pytest.fixture
def captions(captioner: SlowCaptioner, events: list[Event]) -> Iterator[Captions]:
    captions = Captions(captioner, events.append, threading.Event())  # type: ignore[arg-type]
    yield captions
    captioner.may_speak.set()
    captions.close()


def _finish(captions: Captions) -> list[Generate]:
    deadline, failed = time.monotonic() + TIMEOUT_S, list[Generate]()
    while captions.busy and time.monotonic() < deadline:
        failed += captions.poll()
        time.sleep(0.01)
    assert not captions.busy
    return failed


def test_a_picture_is_described_in_different_sentences(
    captions: Captions, captioner: SlowCaptioner, events: list[Event]
) -> None:
    assert captions.add(_request("a"))
    captioner.may_speak.set()
    assert _finish(captions) == []
    assert [event.step for event in events if isinstance(event, Progress)] == [1, 2, 3]
    (read,) = [event for event in events if isinstance(event, Read)]
    assert read.reading.texts == ("a red square", "red")


def test_other_jobs_go_to_the_models(captions: Captions, events: list[Event]) -> None:
    assert not captions.add(_request("a", ReadingKind.SHORTEN))
    assert not captions.add(_request("b", None))
    assert not Captions(None, events.append, threading.Event()).add(_request("c"))


def test_a_cancelled_job_ends_at_once_and_says_nothing_more(
    captions: Captions, captioner: SlowCaptioner, events: list[Event]
) -> None:
    captions.add(_request("a"))
    captions.add(_request("b"))
    assert captions.cancel("a") and not captions.cancel("a")
    captioner.may_speak.set()
    _finish(captions)
    ends = [event for event in events if isinstance(event, Read | Failed)]
    assert [(type(end), end.job_id) for end in ends] == [(Failed, "a"), (Read, "b")]
    assert isinstance(ends[0], Failed) and ends[0].reason is FailureReason.CANCELLED
    assert captioner.said <= 5


def test_what_it_cannot_describe_is_left_to_the_drawing_model(
    captions: Captions, captioner: SlowCaptioner, events: list[Event]
) -> None:
    captions.add(_request("a", source=b"no picture"))
    captioner.may_speak.set()
    assert [request.job_id for request in _finish(captions)] == ["a"]
    assert events == []


class BrokenCaptioner:
    """Fails with every picture."""

    def captions(self, image: Image.Image, seed: int) -> Iterator[str]:
        raise RuntimeError("out of words")


@pytest.mark.parametrize("broken", [False, True])
def test_the_engine_describes_with_a_captioner_and_else_with_its_model(
    tiny_model: Path, tmp_path: Path, events: list[Event], broken: bool
) -> None:
    captioner: Any = BrokenCaptioner() if broken else load_captioner(str(build_tiny_blip(tmp_path)))
    registry = ModelRegistry.from_refs([str(tiny_model)])
    engine = MultiModelEngine(registry, ModelLoader("cpu"), events.append, 10**9, captioner=captioner)
    engine.add(_request("a"))
    while engine.busy:
        engine.step()
    engine.close()
    (end,) = [event for event in events if isinstance(event, Read | Failed)]
    if broken:
        assert isinstance(end, Failed) and "cannot describe pictures" in end.text
    else:
        assert isinstance(end, Read) and 1 <= len(end.reading.texts) <= DESCRIPTIONS
