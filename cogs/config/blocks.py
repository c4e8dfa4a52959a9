"""/config block: people who may not use the bot in a server."""

from __future__ import annotations

import discord
from discord import app_commands

from bot.client import Interaction
from bot.discord_calls import NO_MENTIONS
from bot.services import Services
from bot.ui.i18n import tr
from bot.ui.text import escape_markdown
from cogs.config.audit import audit_entry
from db.guilds import Block
from generation.errors import UserError

MAX_BLOCK_HOURS = 24 * 365  # hours
MAX_SHOWN = 20


class BlockGroup(app_commands.Group):
    """Block people, with a reason and a duration, and unblock them."""

    def __init__(self, services: Services) -> None:
        super().__init__(name="block", description="People blocked from using me in this server")
        self.services = services

    @app_commands.command(description="Block somebody from using me here")
    @app_commands.describe(
        person="The person to block", reason="Shown to them", hours="Hours; leave empty for a permanent block"
    )
    async def add(
        self,
        interaction: Interaction,
        person: discord.Member,
        reason: app_commands.Range[str, 1, 200],
        hours: app_commands.Range[int, 1, MAX_BLOCK_HOURS] | None = None,
    ) -> None:
        if person.guild_permissions.manage_guild:
            raise UserError(tr("{person} manages this server and cannot be blocked.", person=person.mention))
        now = self.services.clock()
        until = now + 3600 * hours if hours else None
        term = f"until {_timestamp(until)}" if until else "permanently"
        entry = audit_entry(interaction, "block", f"blocked {person.mention} {term}: {reason}")
        block = Block(
            guild_id=entry.guild_id, person_id=person.id, reason=reason, until=until, by_id=interaction.user.id, at=now
        )
        await self.services.db.guilds.block(entry, block)
        values = {"person": person.mention, "reason": escape_markdown(reason)}
        if until:
            blocked = tr("{person} is blocked until {time}: {reason}", time=_timestamp(until), **values)
        else:
            blocked = tr("{person} is blocked permanently: {reason}", **values)
        await _respond(interaction, blocked)

    @app_commands.command(description="Unblock somebody")
    @app_commands.describe(person="The person to unblock")
    async def remove(self, interaction: Interaction, person: discord.User) -> None:
        if not await self.services.db.guilds.unblock(
            audit_entry(interaction, "unblock", f"unblocked {person.mention}"), person.id
        ):
            raise UserError(tr("{person} is not blocked.", person=person.mention))
        await _respond(interaction, tr("{person} can use me again.", person=person.mention))

    @app_commands.command(name="list", description="Who is blocked, why and until when")
    async def show(self, interaction: Interaction) -> None:
        assert interaction.guild_id is not None
        blocks = await self.services.db.guilds.active_blocks(interaction.guild_id)
        lines = [_line(block) for block in blocks[:MAX_SHOWN]]
        left_out = len(blocks) - MAX_SHOWN
        more = [tr("-# and {number} more", number=left_out)] if left_out > 0 else []
        await _respond(interaction, "\n".join(lines + more)[:2000] or tr("Nobody is blocked."))


def _line(block: Block) -> str:
    values = {
        "person": f"<@{block.person_id}>",
        "moderator": f"<@{block.by_id}>",
        "reason": escape_markdown(block.reason[:60]),
    }
    if block.until:
        return tr("{person} until {time}, by {moderator}: {reason}", time=_timestamp(block.until), **values)
    return tr("{person} permanently, by {moderator}: {reason}", **values)


def _timestamp(at: float) -> str:
    return f"<t:{int(at)}:f>"


async def _respond(interaction: Interaction, text: str) -> None:
    await interaction.response.send_message(text, ephemeral=True, allowed_mentions=NO_MENTIONS)
