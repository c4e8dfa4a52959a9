"""The processor keeps step with the GPU that draws, whichever it is."""

from __future__ import annotations

import pytest
import torch

from generation.engine.device.gpu_sync import StepThrottle


class Event:
    """Stands for a GPU's event: notes the stream, and who waited."""

    made: list[Event]

    def __init__(self) -> None:
        self.stream, self.was_awaited = "", False
        self.made.append(self)

    def record(self, stream: str = "of the first GPU") -> None:
        self.stream = stream

    def synchronize(self) -> None:
        self.was_awaited = True


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    monkeypatch.setattr(Event, "made", [], raising=False)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"of {device}")
    return Event.made


def test_a_step_waits_for_the_one_before_on_the_gpu_that_draws(events: list[Event]) -> None:
    pace = StepThrottle(torch.device("cuda:1"))
    for _ in range(3):
        pace.wait()
    assert [event.stream for event in events] == ["of cuda:1"] * 3
    assert [event.was_awaited for event in events] == [True, True, False]


def test_without_a_gpu_there_is_nothing_to_wait_for(events: list[Event]) -> None:
    StepThrottle(torch.device("cpu")).wait()
    assert events == []
