"""✉️ and ❌ from the owner of a result: send its pictures by direct message; cancel or delete it."""

from __future__ import annotations

import logging
from contextlib import suppress

import discord
from discord.ext import commands

from bot.client import Client
from bot.ui.errors import user_message
from cogs.buttons import job_ids
from cogs.deleting import Deleting, deleting_of
from cogs.road import Road, road_of
from cogs.sending import Sending, sending_of
from db.jobs import JobRecord, JobState
from generation.errors import UserError

log = logging.getLogger(__name__)

ENVELOPE, CROSS = "✉", "❌"  # Discord may add a variation selector to the first
SHOWN_FOR = 60.0  # seconds that an answer to a reaction stays: it can be given to everybody only
CLOSED = (
    "I may not send you direct messages. Allow them in this server's privacy settings, or choose *Apps → DM results* "
    "in the message's menu, which can also answer you privately."
)


class Reactions(commands.Cog):
    """Do what the owner of a result asks for by a reaction."""

    def __init__(self, client: Client, road: Road, sending: Sending, deleting: Deleting) -> None:
        self.client = client
        self.studio = client.services
        self.road, self.sending, self.deleting = road, sending, deleting
        self._busy: set[str] = set()

    @commands.Cog.listener()
    async def on_raw_reaction_add(self, reaction: discord.RawReactionActionEvent) -> None:
        emoji = reaction.emoji.name.removesuffix("\ufe0f")
        if emoji not in (ENVELOPE, CROSS) or not self._is_mine(reaction):
            return
        record = await self._record(reaction)
        if record is None or record.job.requester.id != reaction.user_id or record.job.id in self._busy:
            return
        self._busy.add(record.job.id)  # whoever takes a reaction back and gives it again gets one answer, not many
        try:
            await (self._send(record) if emoji == ENVELOPE else self._end(record, reaction))
        except discord.Forbidden:
            await self._answer(reaction, CLOSED)
        except Exception as error:
            await self._answer(reaction, user_message(error))
        finally:
            self._busy.discard(record.job.id)

    async def _send(self, record: JobRecord) -> None:
        if record.suffix is None:
            raise UserError("This is not drawn yet: react again when it is.")
        await self.sending.send(record, record.job.requester.id)

    async def _end(self, record: JobRecord, reaction: discord.RawReactionActionEvent) -> None:
        if record.state in (JobState.WAITING, JobState.RUNNING):
            cancelled, ending = await self.road.call_off(record.job.id, record.job.requester.id)
            await self.road.tell_ending(cancelled.job, cancelled.status_message_id, ending)
        elif record.state is JobState.POSTED:
            await self.deleting.delete(record)
            if reaction.message_id != record.result_message_id:  # it was posted again, by /show
                with suppress(discord.NotFound):
                    await self._place(reaction).get_partial_message(reaction.message_id).delete()

    def _is_mine(self, reaction: discord.RawReactionActionEvent) -> bool:
        return self.client.user is not None and reaction.message_author_id == self.client.user.id

    async def _record(self, reaction: discord.RawReactionActionEvent) -> JobRecord | None:
        job_id = await self.studio.search.by_message(reaction.message_id) or await self._by_buttons(reaction)
        return await self.studio.store.get(job_id) if job_id else None

    async def _by_buttons(self, reaction: discord.RawReactionActionEvent) -> str | None:
        """Read a job's id off a message that is neither its notice nor its result, such as one that /show posted."""
        try:
            message = await self._place(reaction).fetch_message(reaction.message_id)
        except discord.HTTPException:
            return None
        return next(iter(job_ids(message)), None)

    async def _answer(self, reaction: discord.RawReactionActionEvent, text: str) -> None:
        person = discord.Object(reaction.user_id)
        mentions = discord.AllowedMentions(everyone=False, roles=False, users=[person], replied_user=False)
        message = self._place(reaction).get_partial_message(reaction.message_id)
        try:
            await message.reply(f"<@{person.id}> {text}", allowed_mentions=mentions, delete_after=SHOWN_FOR)
        except discord.HTTPException as error:
            log.info("a reaction to message %s could not be answered: %s", reaction.message_id, error)

    def _place(self, reaction: discord.RawReactionActionEvent) -> discord.PartialMessageable:
        return self.client.get_partial_messageable(reaction.channel_id, guild_id=reaction.guild_id)


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this, after those that it needs."""
    await client.add_cog(Reactions(client, road_of(client), sending_of(client), deleting_of(client)))
