"""Add jobs from a second process and print each stored id: `python -m tests.support.job_writer FILE COUNT`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from db.jobs import JobStore
from tests.support.jobs import BEN, make_job


async def add_jobs(path: Path, count: int) -> None:
    """Add `count` jobs, one after another."""
    async with JobStore.open(path) as store:
        for _ in range(count):
            job = make_job(requester=BEN)
            await store.add_job(job)
            print(job.id, flush=True)


if __name__ == "__main__":
    asyncio.run(add_jobs(Path(sys.argv[1]), int(sys.argv[2])))
