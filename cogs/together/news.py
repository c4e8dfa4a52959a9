"""Tell people, at most once a day, that others carried on from their pictures; /prefer news switches this on."""

from __future__ import annotations

import asyncio
import logging

import discord
from discord.ext import commands

from bot.client import Client
from bot.discord_calls import NO_MENTIONS
from bot.ui.i18n import tr, trn
from bot.ui.text import escape_markdown, jump_url, truncate
from db.jobs import JobRecord
from db.together.news import Continued
from generation.prompt import format_prompt

log = logging.getLogger(__name__)

CHECK_S = 3600.0
DAY_S = 24 * 3600.0
MAX_PICTURES = 5
MAX_PROMPT = 100  # characters; escaping may double them


class News(commands.Cog):
    """Send the news."""

    def __init__(self, client: Client) -> None:
        self.client, self.services = client, client.services
        self._task: asyncio.Task[None] | None = None

    @commands.Cog.listener()
    async def on_ready(self) -> None:
        """Look for news from now on; a later call changes nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="news")

    async def cog_unload(self) -> None:
        """Look for no more news."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            try:
                await self.tell_all()
            except Exception:
                log.exception("the news could not be sent")
            await asyncio.sleep(CHECK_S)

    async def tell_all(self) -> None:
        """Tell everybody for whom there is something new, unless they were told in the last day."""
        for person_id in await self.services.db.news.due(self.services.clock() - DAY_S):
            await self._tell(person_id)

    async def _tell(self, person_id: int) -> None:
        news, now = self.services.db.news, self.services.clock()
        untold = await news.untold(person_id, now, MAX_PICTURES)
        records = await self.services.db.jobs.get_many(each.job_id for each in untold)
        if not records:
            await news.forget(person_id)
            return
        # Stored before it is sent: news that is lost is better than news that comes again and again.
        if await news.mark_told(person_id, now):
            await self._send(person_id, untold, records)

    async def _send(self, person_id: int, untold: list[Continued], records: dict[str, JobRecord]) -> None:
        newest = max(records.values(), key=lambda record: record.job.asked_at)
        await self.client.sessions.set_locale(newest.job.destination.guild_id or 0)
        lines = [self._line(records[each.job_id], each.people) for each in untold if each.job_id in records]
        text = "\n".join(
            [tr("🌳 Others carried on from your pictures:"), *lines, tr("-# `/prefer news` switches this off.")]
        )
        try:
            person = await self.client.fetch_user(person_id)
            await person.send(text, allowed_mentions=NO_MENTIONS, suppress_embeds=True)
        except discord.HTTPException as error:
            log.info("person %s could not be told the news: %s", person_id, error)

    def _line(self, record: JobRecord, people: int) -> str:
        destination, prompt = record.job.destination, format_prompt(record.job.params, self.services.registry)
        shown = escape_markdown(truncate(" ".join(prompt.split()) or tr("(pictures)"), MAX_PROMPT))
        line = f"- **{shown}** · {trn('{n} person', '{n} people', people)}"
        if record.result_message_id is None or destination.private:
            return line
        url = jump_url(destination.guild_id, destination.result_channel_id, record.result_message_id)
        return f"{line} · [{tr('go there')}]({url})"


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this."""
    await client.add_cog(News(client))
