"""The jobs that have a slot, counted by person, guild and worker."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from generation.job import Job
from generation.queue.fair_order import QueuedJob, Slot
from generation.queue.limits import LimitKey
from generation.worker.worker import Worker


@dataclass(frozen=True, slots=True, eq=False)
class RunningJob:
    """A job with its slot; `needs_loading` says whether its model was not loaded when it got the slot."""

    queued: QueuedJob
    slot: Slot
    since: float
    needs_loading: bool

    @property
    def job(self) -> Job:
        return self.queued.job

    @property
    def model(self) -> str:
        return self.queued.model


class RunningJobs:
    """Keeps the counts that limits, capacities and the fair order need, instead of counting again for each."""

    def __init__(self) -> None:
        self._jobs: dict[str, RunningJob] = {}
        self.counts = Counter[LimitKey]()  # by `limit_keys`
        self._of_worker: dict[Worker, dict[str, RunningJob]] = {}  # only those with jobs: machines come and go
        self._slot_orders: defaultdict[int, dict[str, int]] = defaultdict(dict)

    def __iter__(self) -> Iterator[RunningJob]:
        return iter(self._jobs.values())

    def __getitem__(self, job_id: str) -> RunningJob:
        return self._jobs[job_id]

    def add(self, running: RunningJob) -> None:
        """Add a job that has got its slot."""
        job_id = running.job.id
        self._jobs[job_id] = running
        self.counts.update(running.queued.limit_keys)
        self._of_worker.setdefault(running.slot.worker, {})[job_id] = running
        self._slot_orders[running.job.requester.id][job_id] = running.slot.order

    def remove(self, job_id: str) -> RunningJob | None:
        """Remove and return a job; None if it has no slot."""
        running = self._jobs.pop(job_id, None)
        if running is not None:
            self.counts.subtract(running.queued.limit_keys)
            del self._of_worker[running.slot.worker][job_id]
            if not self._of_worker[running.slot.worker]:
                del self._of_worker[running.slot.worker]
            orders = self._slot_orders[running.job.requester.id]
            del orders[job_id]
            if not orders:
                del self._slot_orders[running.job.requester.id]
        return running

    def of_worker(self, worker: Worker) -> list[RunningJob]:
        """Return the jobs of a worker, oldest slot first."""
        return list(self._of_worker.get(worker, {}).values())

    def free_capacity(self, worker: Worker) -> int:
        """Return how many more jobs a worker takes."""
        return worker.capacity - len(self._of_worker.get(worker, {}))

    def newest_slot(self, person_id: int) -> int:
        """Return the number of a person's newest slot, 0 without one."""
        return max(self._slot_orders[person_id].values()) if person_id in self._slot_orders else 0
