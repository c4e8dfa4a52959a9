"""Words for a player who is away: what the model sees in the last picture."""

from __future__ import annotations

import logging

from bot.jobs.describing import describe_for
from bot.services import Services
from generation.errors import JobCancelled, OutOfMemoryError, UserError, WorkerCrashed
from generation.job import Job
from generation.params import Tile

log = logging.getLogger(__name__)


async def words_for_absent(services: Services, job: Job, tile: Tile) -> str | None:
    """Return what the model sees in a picture, for the `job` of a turn; None if the turn is skipped."""
    try:
        texts = await describe_for(services, job, tile)
    except (UserError, WorkerCrashed, OutOfMemoryError, JobCancelled) as error:
        log.info("job %s: nobody writes for the player who is away: %s", job.id, error)
        return None
    return texts[0] if texts else None
