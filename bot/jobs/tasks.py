"""The asyncio tasks of unfinished jobs, by job id."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any

from db.jobs import JobStore
from generation import logs

CANCEL_TIMEOUT_S = 1.0  # for a job to end, within the three seconds for the response to the cancelling user
STOP_TIMEOUT_S = 1.0  # for all tasks to end when the bot stops


class TaskRegistry:
    """Run jobs as tasks, one at a time per job id; it outlives a client that lost its connection."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.stopping = False

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._tasks

    def __getitem__(self, job_id: str) -> asyncio.Task[None]:
        return self._tasks[job_id]

    def spawn(self, job_id: str, work: Coroutine[None, None, None]) -> None:
        """Run `work` once earlier work on the same job has ended.

        A job that was accepted while the bot stops is in the store, and the next start resumes it.
        """
        if self.stopping:
            work.close()
            return
        task = asyncio.create_task(self._run_after(self._tasks.get(job_id), job_id, work), name=f"job {job_id}")
        self._tasks[job_id] = task
        task.add_done_callback(lambda _: self._discard(job_id, task))
        task.add_done_callback(lambda _: work.close())  # a task cancelled before its first step has not started it

    async def cancel(self, job_id: str) -> None:
        """Cancel a job's task, if there is one, and wait up to a second for its end."""
        if task := self._tasks.get(job_id):
            task.cancel()
            await asyncio.wait({task}, timeout=CANCEL_TIMEOUT_S)

    async def cancel_all(self, others: Sequence[asyncio.Task[Any]] = ()) -> None:
        """Cancel all tasks and start no more; unfinished jobs stay unfinished in the store.

        `others` are cancelled already, and awaited together with the jobs.

        It does not wait for a step that takes long or hangs: closing the worker ends that step.
        """
        self.stopping = True
        tasks = [*others, *self._tasks.values()]
        for task in self._tasks.values():
            task.cancel()
        await self._jobs.undo_attempts()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_TIMEOUT_S)

    def resume(self) -> None:
        """Allow new work again, for the next client."""
        self.stopping = False

    async def _run_after(
        self, earlier: asyncio.Task[None] | None, job_id: str, work: Coroutine[None, None, None]
    ) -> None:
        if earlier is not None:
            await asyncio.wait({earlier})
        with logs.log_context(job=job_id, **await self._log_fields(job_id)):
            await work

    async def _log_fields(self, job_id: str) -> dict[str, int | None]:
        """Return the requester and the guild for the log, unless the interaction has set them."""
        if "person" in logs.current_context() or (record := await self._jobs.get(job_id)) is None:
            return {}
        return {"guild": record.job.destination.guild_id, "person": record.job.requester.id}

    def _discard(self, job_id: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(job_id) is task:
            del self._tasks[job_id]
