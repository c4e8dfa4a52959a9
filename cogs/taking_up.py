"""Go on with what an earlier life of the bot left open."""

from __future__ import annotations

from discord.ext import commands

from bot.client import Client
from bot.discord_calls import retry_until_available
from bot.ui.i18n import ENGLISH, set_locale
from cogs.road import Road
from db.jobs import JobRecord, JobState
from generation.errors import UserError

MOST_ATTEMPTS = 3  # over all lives of the bot: a job that keeps ending them must not be taken up for ever


class TakingUp(commands.Cog):
    """Bring every job that was not at its end back to the place on its road where it stopped."""

    def __init__(self, client: Client, road: Road) -> None:
        self.client = client
        self.road = road
        self.studio = client.services
        self.delivery = client.delivery

    @commands.Cog.listener()
    async def on_connect(self) -> None:
        self.take_up()

    def take_up(self) -> None:
        """Go on with everything that an earlier life of the bot left open; a second call finds nothing to do."""
        while self.client.unfinished_jobs:
            record = self.client.unfinished_jobs.pop(0)
            self.studio.spawn(record.job.id, self._take_up(record))

    async def _take_up(self, record: JobRecord) -> None:
        try:
            set_locale((await self.studio.policy.settings(record.job.destination.guild_id)).language or ENGLISH)
            await self._go_on(record)
        except Exception as error:
            await self.road.give_up(record.job, record.status_message_id, error)

    async def _go_on(self, record: JobRecord) -> None:
        job, notice_id = record.job, record.status_message_id
        match record.state:
            case JobState.WAITING if notice_id is None:
                await self.road.deliver(
                    job, await retry_until_available(lambda: self.delivery.find_status_message(job))
                )
            case JobState.WAITING | JobState.RUNNING if record.attempts >= MOST_ATTEMPTS:
                await self.road.give_up(job, notice_id, UserError("I was interrupted too often while drawing this."))
            case JobState.WAITING | JobState.RUNNING:
                await self.road.deliver(job, notice_id)
            case JobState.GENERATED:
                await self._answer_once(record)
            case JobState.POSTED:
                await self.road.settle(job, notice_id, record.result_message_id)
            case JobState.FAILED | JobState.CANCELLED:
                failed = record.state is JobState.FAILED
                await self.road.tell_ending(job, notice_id, record.end_message or "", failed=failed)

    async def _answer_once(self, record: JobRecord) -> None:
        job, suffix = record.job, record.suffix or ""
        posted = await self.delivery.find_result(job, record.status_message_id)
        if posted is None:
            sheet = await self.studio.images.read_grid(job.id, suffix)
            await self.road.answer(job, record.status_message_id, sheet, suffix)
        else:
            await self.studio.store.mark_posted(job.id, posted)
            await self.road.settle(job, record.status_message_id, posted)


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this, after the road's."""
    road = client.get_cog("Road")
    assert isinstance(road, Road)
    await client.add_cog(TakingUp(client, road))
