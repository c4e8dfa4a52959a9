"""Go on with what an earlier life of the bot left open."""

from __future__ import annotations

from discord.ext import commands

from bot.client import Client
from bot.discord_calls import retry_until_available
from bot.ui.i18n import ENGLISH, set_locale
from cogs.jobs import JobService
from db.jobs import JobRecord, JobState
from generation.errors import UserError

MAX_ATTEMPTS = 3  # over all lives of the bot: a job that keeps ending them must not be taken up for ever


class JobRecovery(commands.Cog):
    """Bring every job that was not at its end back to the place on its road where it stopped."""

    def __init__(self, client: Client, jobs: JobService) -> None:
        self.client = client
        self.jobs = jobs
        self.services = client.services
        self.delivery = client.delivery

    @commands.Cog.listener()
    async def on_connect(self) -> None:
        self.resume_unfinished_jobs()

    def resume_unfinished_jobs(self) -> None:
        """Go on with everything that an earlier life of the bot left open; a second call finds nothing to do."""
        while self.client.unfinished_jobs:
            record = self.client.unfinished_jobs.pop(0)
            self.services.spawn(record.job.id, self._resume(record))

    async def _resume(self, record: JobRecord) -> None:
        try:
            set_locale((await self.services.policy.settings(record.job.destination.guild_id)).language or ENGLISH)
            await self._resume_from_state(record)
        except Exception as error:
            await self.jobs.fail(record.job, record.status_message_id, error)

    async def _resume_from_state(self, record: JobRecord) -> None:
        job, status_message_id = record.job, record.status_message_id
        match record.state:
            case JobState.WAITING if status_message_id is None:
                await self.jobs.run(job, await retry_until_available(lambda: self.delivery.find_status_message(job)))
            case JobState.WAITING | JobState.RUNNING if record.attempts >= MAX_ATTEMPTS:
                await self.jobs.fail(
                    job, status_message_id, UserError("I was interrupted too often while drawing this.")
                )
            case JobState.WAITING | JobState.RUNNING:
                await self.jobs.run(job, status_message_id)
            case JobState.GENERATED:
                await self._repost_or_finish(record)
            case JobState.POSTED:
                await self.jobs.finish(job, status_message_id, record.result_message_id)
            case JobState.FAILED | JobState.CANCELLED:
                failed = record.state is JobState.FAILED
                await self.jobs.report_end(job, status_message_id, record.end_message or "", failed=failed)

    async def _repost_or_finish(self, record: JobRecord) -> None:
        job, suffix = record.job, record.suffix or ""
        result_message_id = await self.delivery.find_result(job, record.status_message_id)
        if result_message_id is None:
            sheet = await self.services.images.read_grid(job.id, suffix)
            await self.jobs.post_result(job, record.status_message_id, sheet, suffix)
        else:
            await self.services.store.mark_posted(job.id, result_message_id)
            await self.jobs.finish(job, record.status_message_id, result_message_id)


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this, after the road's."""
    jobs = client.get_cog("JobService")
    assert isinstance(jobs, JobService)
    await client.add_cog(JobRecovery(client, jobs))
