"""The CPU waits for the GPU in use, whichever it is."""

from __future__ import annotations

import pytest
import torch

from generation.engine.device.gpu_sync import StepThrottle


class FakeCudaEvent:
    """A fake CUDA event that records its stream and whether it was awaited."""

    instances: list[FakeCudaEvent]

    def __init__(self) -> None:
        self.stream, self.was_awaited = "", False
        self.instances.append(self)

    def record(self, stream: str = "of the first GPU") -> None:
        self.stream = stream

    def synchronize(self) -> None:
        self.was_awaited = True


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[FakeCudaEvent]:
    monkeypatch.setattr(FakeCudaEvent, "instances", [], raising=False)
    monkeypatch.setattr(torch.cuda, "Event", FakeCudaEvent)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"of {device}")
    return FakeCudaEvent.instances


def test_a_step_waits_for_the_one_before_on_the_gpu_in_use(events: list[FakeCudaEvent]) -> None:
    throttle = StepThrottle(torch.device("cuda:1"))
    for _ in range(3):
        throttle.wait()
    assert [event.stream for event in events] == ["of cuda:1"] * 3
    assert [event.was_awaited for event in events] == [True, True, False]


def test_without_a_gpu_there_is_nothing_to_wait_for(events: list[FakeCudaEvent]) -> None:
    StepThrottle(torch.device("cpu")).wait()
    assert events == []
