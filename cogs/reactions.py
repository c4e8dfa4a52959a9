"""Reactions of a result's owner: ✉️ sends its images by direct message, ❌ cancels or deletes it."""

from __future__ import annotations

import logging
from contextlib import suppress

import discord
from discord.ext import commands

from bot.client import Client
from bot.jobs.deletion import delete_job
from bot.ui.errors import user_message
from bot.ui.i18n import ENGLISH, set_locale, tr
from bot.ui.job_views import job_ids
from cogs.direct_messages import send_images
from db.jobs import JobRecord, JobState
from generation.errors import UserError
from generation.job import Job

log = logging.getLogger(__name__)

ENVELOPE, CROSS = "✉", "❌"  # Discord may add a variation selector to the first
REPLY_TTL_S = 60.0  # seconds until a reply to a reaction is deleted: everyone in the channel sees it


class Reactions(commands.Cog):
    """Handle the reactions of a result's owner."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.services = client.services
        self._busy: set[str] = set()

    @commands.Cog.listener()
    async def on_raw_reaction_add(self, reaction: discord.RawReactionActionEvent) -> None:
        emoji = reaction.emoji.name.removesuffix("\ufe0f")
        if emoji not in (ENVELOPE, CROSS) or not self._is_own_message(reaction):
            return
        record = await self._find_record(reaction)
        if record is None or record.job.requester.id != reaction.user_id or record.job.id in self._busy:
            return
        self._busy.add(record.job.id)  # someone who removes and repeats the reaction gets one reply
        await self._set_locale(reaction, record.job)
        try:
            await (self._send_images(record) if emoji == ENVELOPE else self._cancel_or_delete(record, reaction))
        except discord.Forbidden:
            await self._reply(reaction, _dms_closed())
        except Exception as error:
            await self._reply(reaction, user_message(error))
        finally:
            self._busy.discard(record.job.id)

    async def _set_locale(self, reaction: discord.RawReactionActionEvent, job: Job) -> None:
        # A reaction does not name a locale.
        settings = await self.services.policy.settings(reaction.guild_id)
        guild = self.client.get_guild(reaction.guild_id) if reaction.guild_id is not None else None
        of_server = str(guild.preferred_locale).partition("-")[0] if guild else ""
        set_locale(settings.language or of_server or job.locale or ENGLISH)

    async def _send_images(self, record: JobRecord) -> None:
        if record.suffix is None:
            raise UserError(tr("This is not drawn yet. React again when it is finished."))
        await send_images(self.client, record, record.job.requester.id)

    async def _cancel_or_delete(self, record: JobRecord, reaction: discord.RawReactionActionEvent) -> None:
        if record.state in (JobState.WAITING, JobState.RUNNING):
            cancelled, end_message = await self.client.jobs.cancel(record.job.id, record.job.requester.id)
            await self.client.jobs.runner.report_end(cancelled.job, cancelled.status_message_id, end_message)
        elif record.state is JobState.POSTED:
            await delete_job(self.client.services, self.client.delivery, record)
            if reaction.message_id != record.result_message_id:  # /show posted this copy
                with suppress(discord.NotFound):
                    await self._channel(reaction).get_partial_message(reaction.message_id).delete()

    def _is_own_message(self, reaction: discord.RawReactionActionEvent) -> bool:
        return self.client.user is not None and reaction.message_author_id == self.client.user.id

    async def _find_record(self, reaction: discord.RawReactionActionEvent) -> JobRecord | None:
        job_id = await self.services.db.search.by_message(reaction.message_id) or await self._job_id_from_buttons(
            reaction
        )
        return await self.services.db.jobs.get(job_id) if job_id else None

    async def _job_id_from_buttons(self, reaction: discord.RawReactionActionEvent) -> str | None:
        """Return the job of a message that is neither its status nor its result message, such as a copy from /show."""
        try:
            message = await self._channel(reaction).fetch_message(reaction.message_id)
        except discord.HTTPException:
            return None
        return next(iter(job_ids(message)), None)

    async def _reply(self, reaction: discord.RawReactionActionEvent, text: str) -> None:
        person = discord.Object(reaction.user_id)
        mentions = discord.AllowedMentions(everyone=False, roles=False, users=[person], replied_user=False)
        message = self._channel(reaction).get_partial_message(reaction.message_id)
        try:
            await message.reply(f"<@{person.id}> {text}", allowed_mentions=mentions, delete_after=REPLY_TTL_S)
        except discord.HTTPException as error:
            log.info("a reaction to message %s could not be answered: %s", reaction.message_id, error)

    def _channel(self, reaction: discord.RawReactionActionEvent) -> discord.PartialMessageable:
        return self.client.get_partial_messageable(reaction.channel_id, guild_id=reaction.guild_id)


def _dms_closed() -> str:
    allow = tr("I cannot send you direct messages. Allow them in this server's privacy settings.")
    return f"{allow} {tr('Or choose *Apps → DM results* in the message menu: it can answer you privately.')}"


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this."""
    await client.add_cog(Reactions(client))
