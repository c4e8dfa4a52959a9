"""Progress travels seldom and newest only; everything else at once and in order."""

from __future__ import annotations

import threading
import time

from generation.cluster import event_merger
from generation.cluster.event_merger import EventMerger
from generation.messages import Failed, FailureReason, Progress, Unloaded


def ended(job):
    return Failed(job, FailureReason.CANCELLED, "")


def batches_of(*events):
    merger = EventMerger()
    for event in events:
        merger.emit(event)
    merger.close()
    return list(merger.batches())


def test_of_a_jobs_progress_the_newest_step_and_the_newest_preview_travel():
    events = [Progress("a", 1, 9, b"old"), Progress("b", 1, 9), Progress("a", 3, 9), Progress("a", 2, 9, b"new")]
    assert batches_of(*events) == [(Progress("a", 3, 9, b"new"), Progress("b", 1, 9))]


def test_the_end_of_a_job_stays_behind_its_progress():
    events = [Progress("a", 1, 9), Unloaded("model"), Progress("a", 2, 9), ended("a")]
    assert batches_of(*events) == [(Progress("a", 2, 9), Unloaded("model"), ended("a"))]


def test_an_end_does_not_wait_for_more_progress_to_merge(monkeypatch):
    monkeypatch.setattr(event_merger, "PROGRESS_INTERVAL_S", 600.0)
    merger = EventMerger()
    merger.emit(Progress("a", 1, 9))
    threading.Timer(0.05, merger.emit, [ended("a")]).start()
    since = time.monotonic()
    assert next(merger.batches()) == (Progress("a", 1, 9), ended("a"))
    assert time.monotonic() - since < 60


def test_nothing_is_lost_and_nothing_comes_after_the_end():
    merger = EventMerger()
    threads = [threading.Thread(target=merger.emit, args=[ended(str(number))]) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    merger.close()
    assert sorted(int(event.job_id) for batch in merger.batches() for event in batch) == list(range(50))
