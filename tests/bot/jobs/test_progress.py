"""How often status messages change, and what they show."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from bot.jobs.progress import JobProgress
from bot.jobs.status_message import EDIT_INTERVAL_S
from generation.job import Requester
from generation.messages import Loading, Progress, Ready
from generation.models.registry import ModelRegistry
from generation.queue.limits import QueueLimits
from generation.queue.queue import Queue, QueuePosition
from generation.worker.worker import Restarting
from tests.bot.ui.test_job_text import JOB, MODEL, REGISTRY
from tests.support.bot_harness import eventually

SECONDS = 120
STARTING = SimpleNamespace(
    state=Loading("unet", 1, 2, "m"), loading=Loading("unet", 1, 2, "m"), registry=REGISTRY, draining=False
)
SECONDS_PER_JOB = 2


@pytest.mark.parametrize(("token_expires_at", "most_a_second"), [(1e9, 10), (0.0, 1.5)])
async def test_200_status_messages_are_not_edited_all_at_once(token_expires_at, most_a_second):
    now = 1000.0
    queue = Queue([], QueueLimits(), clock=lambda: now)
    services = SimpleNamespace(registry=REGISTRY, queue=queue, fleet=SimpleNamespace(workers=[STARTING]))
    services.clock = lambda: now
    to = replace(JOB.destination, token_expires_at=token_expires_at)
    jobs = [replace(JOB, id=f"{n:012x}", requester=Requester(n, "a"), asked_at=n, destination=to) for n in range(200)]
    for job in jobs:
        queue.enqueue(job)
    waiting = {job.id: JobProgress(services, job) for job in jobs}
    shown = {job_id: standing.render() for job_id, standing in waiting.items()}
    edits = 0
    for tick in range(int(SECONDS / EDIT_INTERVAL_S)):
        now = 1000 + tick * EDIT_INTERVAL_S
        for job in jobs[: int(tick * EDIT_INTERVAL_S / SECONDS_PER_JOB)]:
            queue.remove(job.id)
            waiting.pop(job.id, None)
        for job_id, standing in waiting.items():
            frame = standing.render()
            edits += frame != shown[job_id]
            shown[job_id] = frame
    assert 0 < edits / SECONDS < most_a_second
    first = jobs[int((tick * EDIT_INTERVAL_S) / SECONDS_PER_JOB)]
    assert "next in line" in shown[first.id].content


async def test_a_clock_that_is_set_back_does_not_keep_an_old_position():
    now, position = 5000.0, 9
    services = SimpleNamespace(registry=REGISTRY, clock=lambda: now, fleet=SimpleNamespace(workers=[STARTING]))
    services.queue = SimpleNamespace(position=lambda job_id: QueuePosition(position, None))
    progress = JobProgress(services, JOB)
    before = progress.render()
    now, position = 1000.0, 1
    assert progress.render() != before


async def test_a_clock_that_is_set_changes_no_estimate_of_the_queue(harness):
    offset = 0.0
    async with harness.bot(clock=lambda: harness.server.world.clock.time() + offset) as services:
        await harness.imagine("a slow fox")
        await eventually(lambda: services.queue.running)
        (job,) = services.queue.running
        offset = 1e9
        harness.release_slow_jobs()
        await eventually(lambda: not services.queue.running)
        assert 0 < services.queue.estimate_seconds(job.params) < 1e6


@pytest.mark.parametrize(
    ("seconds", "by_channel", "is_told"),
    [(60, False, False), (1200, False, True), (1200, True, False), (None, False, False)],
)
def test_a_wait_longer_than_the_interaction_token_is_announced_at_once(seconds, by_channel, is_told):
    services = SimpleNamespace(registry=REGISTRY, clock=lambda: 1000.0, fleet=SimpleNamespace(workers=[STARTING]))
    services.queue = SimpleNamespace(position=lambda job_id: QueuePosition(9, seconds))
    to = replace(JOB.destination, token_expires_at=1900.0, by_channel=by_channel)
    assert ("direct message" in JobProgress(services, replace(JOB, destination=to)).render().content) is is_told


@pytest.mark.parametrize(
    ("wanted", "state", "loading", "shown"),
    [
        ("Dreams", Ready(MODEL, "cpu"), Loading("unet", 2, 5, "Dreams"), "loading Dreams (3 of 5)"),
        ("", Ready(MODEL, "cpu"), Loading("unet", 2, 5, "Dreams"), None),
        ("", Ready(MODEL, "cpu"), Loading("unet", 2, 5, "m"), "loading m (3 of 5)"),
        ("Dreams", Restarting("died"), Loading("unet", 2, 5, "m"), "the drawing process is being started again"),
    ],
)
@pytest.mark.parametrize("has_turn", [False, True])
def test_a_job_that_waits_for_its_model_shows_the_progress_of_loading(wanted, state, loading, shown, has_turn):
    here = ModelRegistry((MODEL, replace(MODEL, name="Dreams")))
    worker = SimpleNamespace(
        state=state, loading=loading, registry=here, loaded_models=frozenset({MODEL.name}), draining=False
    )
    services = SimpleNamespace(registry=here, clock=lambda: 1000.0, fleet=SimpleNamespace(workers=[worker]))
    services.queue = SimpleNamespace(position=lambda job_id: QueuePosition(1, None))
    standing = JobProgress(services, replace(JOB, params=replace(JOB.params, model=wanted)))
    standing.worker = worker if has_turn else None
    text = standing.render().content
    assert text.endswith(shown) if shown else "loading" not in text


@pytest.mark.parametrize(
    ("held", "loading", "waiting"),
    [
        (set(), None, "(Starting)\n-# waiting until there is room in memory for Dreams \\_XL"),
        (set(), Loading("unet", 2, 5, "Other"), "(Starting)\n-# waiting until Other is loaded"),
        ({"Dreams _XL"}, None, "(Starting)"),
        ({"Dreams _XL"}, Loading("unet", 2, 5, "Other"), "(Starting)"),
    ],
)
def test_a_job_with_a_slot_but_no_loading_model_says_what_it_waits_for(held, loading, waiting):
    here = ModelRegistry((MODEL, replace(MODEL, name="Dreams _XL"), replace(MODEL, name="Other")))
    worker = SimpleNamespace(
        state=Ready(MODEL, "cpu"),
        loading=loading,
        registry=here,
        loaded_models=frozenset({MODEL.name, *held}),
        draining=False,
    )
    services = SimpleNamespace(registry=here, clock=lambda: 1000.0, fleet=SimpleNamespace(workers=[worker]))
    services.queue = SimpleNamespace(position=lambda job_id: QueuePosition(1, None))
    standing = JobProgress(services, replace(JOB, params=replace(JOB.params, model="Dreams _XL")))
    assert "waiting" not in standing.render().content, "before its turn it waits for that alone"
    standing.worker = worker
    assert standing.render().content.endswith(waiting)
    standing.update(Progress(JOB.id, 0, 25))
    assert standing.render().content.endswith("(0%)")
