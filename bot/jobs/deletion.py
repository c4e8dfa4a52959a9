"""Delete a result: its files, then its message; a restart resumes what was interrupted."""

from __future__ import annotations

import logging

from bot.jobs.delivery import Delivery
from bot.services import Services
from db.jobs import JobRecord

log = logging.getLogger(__name__)


async def delete_job(services: Services, delivery: Delivery, record: JobRecord) -> None:
    """Delete a job's files and its result message."""
    await delete_files(services, record)
    await delete_result_message(delivery, record)
    await services.db.jobs.mark_purged(record.job.id)


async def delete_files(services: Services, record: JobRecord) -> None:
    """Delete a job's files, after it is marked as deleted."""
    await services.db.jobs.mark_deleted(record.job.id)
    await services.images.files.delete(record.job.id)
    log.info("job %s: deleted", record.job.id)


async def delete_result_message(delivery: Delivery, record: JobRecord) -> None:
    """Delete a job's result message, if it was posted."""
    if record.result_message_id is not None:
        await delivery.delete_result(record.job, record.result_message_id)
