"""Reports of images: post them to the log channel, with buttons for moderators."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

import discord
from discord.ext import commands

from bot.client import Client, Interaction
from bot.discord_calls import NO_MENTIONS, TRANSPORT_ERRORS
from bot.jobs.deletion import delete_job
from bot.services import Services
from bot.ui.dynamic_items import PersistentItem, persistent_view
from bot.ui.i18n import audience, tr, trn
from bot.ui.job_text import mention
from bot.ui.text import escape_markdown, jump_url, truncate
from cogs.config.audit import format_details
from db.guilds import AuditEntry, Block
from db.jobs import JobRecord, JobState
from db.privacy import ERASED_PERSON_ID
from db.reports import Report
from generation.errors import UserError
from generation.prompt import format_prompt

log = logging.getLogger(__name__)

MAX_PROMPT_LENGTH = 300  # characters
OUTCOMES = {  # the button's style, and the text that is stored
    "delete": (discord.ButtonStyle.danger, "deleted the picture"),
    "block": (discord.ButtonStyle.danger, "deleted the picture and blocked its owner"),
    "dismiss": (discord.ButtonStyle.secondary, "dismissed the report"),
}
BUTTON_LABELS = {"delete": "Delete the picture", "block": "Delete and block", "dismiss": "Dismiss"}
OUTCOME_TEXTS = {
    "delete": "{moderator} deleted the picture.",
    "block": "{moderator} deleted the picture and blocked its owner.",
    "dismiss": "{moderator} dismissed the report.",
}


class ReportButton(PersistentItem, template=r"report:(?P<outcome>delete|block|dismiss):(?P<report_id>\d+)"):
    """A moderator's decision on a report."""

    async def run(self, interaction: Interaction) -> None:
        if not (interaction.permissions.manage_messages or interaction.permissions.manage_guild):
            raise UserError(tr("Only moderators who may delete messages here can deal with reports."))
        await _resolve_report(interaction, self.match["outcome"], int(self.match["report_id"]))


class ReportLog(commands.Cog):
    """Posts reports and audit entries to the log channel."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.services = client.services

    async def cog_load(self) -> None:
        self.services.db.guilds.subscribe(self._dispatch)

    async def cog_unload(self) -> None:
        self.services.db.guilds.unsubscribe(self._dispatch)

    def _dispatch(self, entry: AuditEntry) -> None:
        self.client.dispatch("audit", entry)

    @commands.Cog.listener()
    async def on_reported(self, report: Report) -> None:
        """Post a new report."""
        with audience(private=False):
            content = await describe_report(self.services, report)
            await self._post_to_log(report.guild_id, content, report_view(report))

    @commands.Cog.listener()
    async def on_audit(self, entry: AuditEntry) -> None:
        """Post an audit entry of an owner or moderator."""
        await self._post_to_log(entry.guild_id, f"-# <@{entry.person_id}>: {format_details(entry, 1500)}", None)

    async def _post_to_log(self, guild_id: int, content: str, view: discord.ui.View | None) -> None:
        channel_id = (await self.services.policy.settings(guild_id)).log_channel
        if channel_id is None:
            return
        channel = self.client.get_partial_messageable(channel_id, guild_id=guild_id)
        more: dict[str, Any] = {"view": view} if view else {}
        try:
            await channel.send(content, allowed_mentions=NO_MENTIONS, **more)
        except TRANSPORT_ERRORS as error:
            log.warning("guild %s: the log channel cannot be used: %s", guild_id, error)


async def describe_report(services: Services, report: Report) -> str:
    """Return a report as text: the reporter, the reason, the prompt and the link."""
    record = await services.db.jobs.get(report.job_id)
    reporter = tr("somebody") if report.person_id == ERASED_PERSON_ID else f"<@{report.person_id}>"
    head = tr("**Report** by {reporter}: {reason}", reporter=reporter, reason=escape_markdown(report.reason))
    return f"{head}\n{tr('The picture is no longer kept.') if record is None else _image_line(record)}"


def report_view(report: Report) -> discord.ui.View:
    """Return the buttons below a report."""
    return persistent_view(
        *(
            discord.ui.Button(label=tr(BUTTON_LABELS[outcome]), style=style, custom_id=f"report:{outcome}:{report.id}")
            for outcome, (style, _) in OUTCOMES.items()
        )
    )


async def show_open_report(interaction: Interaction, services: Services) -> None:
    """Respond with the oldest open report."""
    assert interaction.guild_id is not None
    reports = await services.db.reports.list_open(interaction.guild_id)
    if not reports:
        await interaction.response.send_message(tr("There are no open reports."), ephemeral=True)
        return
    content = await describe_report(services, reports[0])
    if len(reports) > 1:
        more = trn("-# {n} more after this one", "-# {n} more after this one", len(reports) - 1)
        content = f"{content}\n{more}"
    view = report_view(reports[0])
    await interaction.response.send_message(content, view=view, ephemeral=True, allowed_mentions=NO_MENTIONS)


async def _resolve_report(interaction: Interaction, outcome: str, report_id: int) -> None:
    services = interaction.client.services
    report = await services.db.reports.find(report_id)
    if report is None or report.guild_id != interaction.guild_id:
        raise UserError(tr("This report no longer exists."))
    record = await services.db.jobs.get(report.job_id)
    if outcome == "block":
        await _require_blockable(interaction, record)
    done = OUTCOMES[outcome][1]
    if not await services.db.reports.close(report_id, done):
        raise UserError(tr("Somebody has already dealt with this report."))
    entry = AuditEntry(
        guild_id=report.guild_id,
        person_id=interaction.user.id,
        act="report",
        details=f"{done} (job {report.job_id}, reported by <@{report.person_id}>)",
        at=services.clock(),
    )
    if outcome == "block" and record is not None:
        await services.db.guilds.block(entry, _block(interaction, record, report, entry.at))
    else:
        await services.db.guilds.add_audit_entry(entry)
    with audience(private=interaction.message is not None and interaction.message.flags.ephemeral):
        decision = tr(OUTCOME_TEXTS[outcome], moderator=f"<@{interaction.user.id}>")
        content = f"{await describe_report(services, report)}\n{decision}"
    try:
        await interaction.response.edit_message(content=content, view=None, allowed_mentions=NO_MENTIONS)
    finally:  # the decision is stored, so carry it out even if the reply fails
        if outcome != "dismiss" and record is not None:
            await _delete_or_cancel(interaction, record)


async def _delete_or_cancel(interaction: Interaction, record: JobRecord) -> None:
    """Delete a job's image, or cancel the job if it is unfinished."""
    if record.state in (JobState.WAITING, JobState.RUNNING):
        jobs = interaction.client.jobs
        with suppress(UserError):  # it is generated by now
            cancelled, end_message = await jobs.cancel(record.job.id, interaction.user.id, lambda job: True)
            await jobs.runner.report_end(cancelled.job, cancelled.status_message_id, end_message)
            return
    await delete_job(interaction.client.services, interaction.client.delivery, record)


async def _require_blockable(interaction: discord.Interaction[Any], record: JobRecord | None) -> None:
    """Raise UserError if the image's owner is unknown, or must keep access: the moderator or a server manager."""
    if record is None:
        raise UserError(tr("The picture is no longer kept, so I do not know who to block. Use `/config block add`."))
    person_id = record.job.requester.id
    if person_id == ERASED_PERSON_ID:
        raise UserError(tr("Whoever drew this picture had their data deleted, so there is nobody to block."))
    if person_id == interaction.user.id or (
        interaction.guild and await _can_manage_guild(interaction.guild, person_id)
    ):
        raise UserError(tr("{person} cannot be blocked.", person=f"<@{person_id}>"))


async def _can_manage_guild(guild: discord.Guild, person_id: int) -> bool:
    try:
        member = await guild.fetch_member(person_id)
    except discord.NotFound:
        return False
    return member.guild_permissions.manage_guild


def _block(interaction: discord.Interaction[Any], record: JobRecord, report: Report, now: float) -> Block:
    return Block(
        guild_id=report.guild_id,
        person_id=record.job.requester.id,
        reason=f"reported: {report.reason}"[:200],
        until=None,
        by_id=interaction.user.id,
        at=now,
    )


def _image_line(record: JobRecord) -> str:
    to = record.job.destination
    prompt = escape_markdown(truncate(format_prompt(record.job.params, None), MAX_PROMPT_LENGTH))
    url = (
        f"\n{jump_url(to.guild_id, to.result_channel_id, record.result_message_id)}" if record.result_message_id else ""
    )
    return f"**{prompt}** - {mention(record.job.requester)}{url}"
