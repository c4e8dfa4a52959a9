"""Resume jobs that were unfinished when the bot stopped."""

from __future__ import annotations

from bot.jobs.runner import JobRunner
from bot.ui.i18n import ENGLISH, set_locale, tr
from db.jobs import JobRecord, JobState
from generation.errors import UserError

MAX_ATTEMPTS = 3  # over all starts of the bot: a job that crashes it each time must not be resumed forever


def resume_unfinished_jobs(runner: JobRunner, records: list[JobRecord]) -> None:
    """Resume every job of `records` and empty the list, so that a second call resumes nothing twice."""
    while records:
        record = records.pop(0)
        runner.tasks.spawn(record.job.id, _resume(runner, record))


async def _resume(runner: JobRunner, record: JobRecord) -> None:
    try:
        settings = await runner.services.policy.settings(record.job.destination.guild_id)
        set_locale(settings.language or record.job.locale or ENGLISH)
        await _continue_from_state(runner, record)
    except Exception as error:
        await runner.fail(record.job, record.status_message_id, error)


async def _continue_from_state(runner: JobRunner, record: JobRecord) -> None:
    job, status_message_id = record.job, record.status_message_id
    # A kill may have come between Discord's response and its record. A session's job that is held has no such message.
    if status_message_id is None and not job.destination.is_held:
        status_message_id = await runner.find_status_message(job)
    match record.state:
        case JobState.WAITING | JobState.RUNNING if record.attempts >= MAX_ATTEMPTS:
            error = UserError(tr("I was interrupted too often while drawing this."))
            await runner.fail(job, status_message_id, error)
        case JobState.WAITING | JobState.RUNNING:
            await runner.run(job, status_message_id)
        case JobState.GENERATED if job.destination.is_held:
            pass  # its session posts it when it shows it
        case JobState.GENERATED:
            with runner.services.queue.posting(job):
                await post_unless_found(runner, record, status_message_id)
        case JobState.POSTED if job.params.reading is not None:
            await runner.readings.show(job, status_message_id)
        case JobState.POSTED:
            await runner.finish(job, status_message_id, record.result_message_id)
        case JobState.FAILED | JobState.CANCELLED:
            failed = record.state is JobState.FAILED
            await runner.report_end(job, status_message_id, record.end_message or "", failed=failed)


async def post_unless_found(runner: JobRunner, record: JobRecord, status_message_id: int | None) -> None:
    """Post a generated result, unless it reached Discord before the bot stopped."""
    job, suffix = record.job, record.suffix or ""
    posted = await runner.delivery.find_result(job)
    if posted is None:
        image = await runner.services.images.files.read_grid(job.id, suffix)
        await runner.post_result(job, status_message_id, image, suffix)
    else:
        await runner.mark_posted(job, status_message_id, posted)
