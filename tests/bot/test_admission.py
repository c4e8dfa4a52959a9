"""Under overload, as many interactions as possible are answered in time, and the rest is dropped."""

from __future__ import annotations

import asyncio

import pytest

from bot.admission import MAX_UNANSWERED, Admission

EPOCH_MS = 1420070400000


class Interactions:
    """Interactions that arrive at a clock set by hand, and the ones that were started."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.admission = Admission(lambda: self.now)
        self.started: list[int] = []
        self.release = asyncio.Event()

    def snowflake(self, created_at: float) -> int:
        return (int(created_at * 1000) + 10**12 - EPOCH_MS) << 22 | len(self.started)

    def arrive(self, created_at: float) -> int:
        number = self.snowflake(created_at)

        def start() -> None:
            self.started.append(number)
            asyncio.get_running_loop().create_task(self.release.wait())

        self.admission.submit(number, start)
        return number


@pytest.fixture
async def interactions():
    interactions = Interactions()
    interactions.arrive(interactions.now)
    interactions.admission.answered(interactions.started.pop())
    yield interactions
    interactions.release.set()


async def test_only_some_dozens_are_answered_at_a_time_oldest_first(interactions):
    numbers = [interactions.arrive(1000.0 + each / 1000) for each in range(100)]
    assert interactions.started == numbers[:MAX_UNANSWERED]
    for number in numbers[:10]:
        interactions.admission.answered(number)
    assert interactions.started == numbers[: MAX_UNANSWERED + 10]


async def test_what_cannot_be_answered_in_time_is_dropped(interactions, caplog):
    numbers = [interactions.arrive(1000.0 + each / 1000) for each in range(100)]
    interactions.now = 1002.9
    fresh = interactions.arrive(1002.8)
    for number in numbers[:MAX_UNANSWERED]:
        interactions.admission.answered(number)
    assert interactions.started == [*numbers[:MAX_UNANSWERED], fresh]
    await asyncio.sleep(1.1)
    assert caplog.text.count(f"dropped {100 - MAX_UNANSWERED} interactions") == 1


async def test_an_old_interaction_is_dropped_on_arrival(interactions):
    interactions.now = 1010.0
    interactions.arrive(1006.5)
    assert interactions.started == []
    interactions.arrive(1009.5)
    assert len(interactions.started) == 1


@pytest.mark.parametrize("wrong_by", [-3600.0, 3600.0])
async def test_a_wrong_clock_drops_nothing(wrong_by):
    interactions = Interactions()
    for _ in range(10):
        interactions.now += 1
        interactions.arrive(interactions.now + wrong_by)
    assert len(interactions.started) == 10
    interactions.release.set()


async def test_interactions_that_never_answer_do_not_block_others(interactions, monkeypatch):
    monkeypatch.setattr("bot.admission.RESPONSE_LIMIT_S", 0.3)
    for each in range(MAX_UNANSWERED):
        interactions.arrive(1000.0 + each / 1000)
    await asyncio.sleep(0.5)
    monkeypatch.undo()
    interactions.arrive(1000.0)
    assert len(interactions.started) == MAX_UNANSWERED + 1


async def test_nothing_starts_after_the_end_and_tasks_are_cancelled(interactions):
    for each in range(MAX_UNANSWERED + 5):
        interactions.arrive(1000.0 + each / 1000)
    tasks = interactions.admission.close()
    assert len(tasks) >= MAX_UNANSWERED
    await asyncio.wait(tasks)
    await asyncio.sleep(0)
    assert len(interactions.started) == MAX_UNANSWERED


async def test_a_stall_does_not_make_the_bot_deaf(interactions):
    for each in range(MAX_UNANSWERED):
        interactions.arrive(1000.0 + each / 1000)
    interactions.now = 1010.0
    for number in interactions.started:
        interactions.admission.answered(number)  # ten seconds each: no response seems possible in time
    interactions.started.clear()
    for second in range(20):
        interactions.now = 1020.0 + second
        interactions.admission.answered(interactions.arrive(interactions.now))
    assert len(interactions.started) == 20
    both = [interactions.arrive(interactions.now) for _ in range(2)]
    assert interactions.started[20:] == both  # the time that responses take is known again


async def test_clocks_that_drift_apart_drop_nothing():
    interactions = Interactions()
    for minute in range(48 * 60):
        interactions.now = 1000.0 + 60 * minute
        interactions.admission.answered(interactions.arrive(interactions.now * (1 - 1e-4)))
    assert len(interactions.started) == 48 * 60
    interactions.now += 10 * 3600  # a quiet night
    interactions.arrive(interactions.now * (1 - 1e-4))
    assert len(interactions.started) == 48 * 60 + 1
    interactions.release.set()
