"""/contest: where the contest stands, entering a picture, and voting."""

from __future__ import annotations

import logging

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.discord_calls import NO_MENTIONS
from cogs.own_pictures import find_own, suggest_own
from cogs.together.contest import messages
from cogs.together.contest.entering import enter, entries_panel, respond_with_panel
from cogs.together.contest.finding import require_current
from cogs.together.contest.handler import ContestHandler
from cogs.together.contest.moderation import own_part
from cogs.together.contest.voting import require_open_vote, show_next_pair
from cogs.together.server_group import server_group
from db.guilds import AuditEntry
from generation.params import Tile

log = logging.getLogger(__name__)


class ContestCommand(commands.Cog):
    """Take part in the contest of a server."""

    contest = server_group("contest", "The contest of this server: one theme, anonymous pictures, and the room decides")

    def __init__(self, client: Client) -> None:
        self.client = client
        self.handler = ContestHandler(client)

    async def cog_load(self) -> None:
        """Take the steps of contests from now on, and follow changes of settings."""
        self.client.sessions.register(self.handler)
        self.client.services.db.guilds.subscribe(self._on_audit)

    async def cog_unload(self) -> None:
        """Leave the store, which outlives this client."""
        self.client.services.db.guilds.unsubscribe(self._on_audit)

    @commands.Cog.listener()
    async def on_ready(self) -> None:
        """Begin or end contests as the settings say: a crash may have come first."""
        for guild in self.client.guilds:
            await self._ensure(guild.id)

    @commands.Cog.listener("on_guild_available")
    @commands.Cog.listener("on_guild_join")
    async def on_guild_seen(self, guild: discord.Guild) -> None:
        """Begin the contest of a server that the bot could not see when the last one ended."""
        await self._ensure(guild.id)

    def _on_audit(self, entry: AuditEntry) -> None:
        failure = f"the contest of server {entry.guild_id} could not be begun or ended"
        self.client.sessions.spawn(self.handler.ensure(entry.guild_id), failure)

    async def _ensure(self, guild_id: int) -> None:
        try:
            await self.handler.ensure(guild_id)
        except Exception:
            log.exception("the contest of server %s could not be begun or ended", guild_id)

    @contest.command(description="Where the contest stands, and your part in it")
    async def state(self, interaction: Interaction) -> None:
        found = await require_current(interaction)
        show = await found.handler.show(found.session)
        text = "\n".join([messages.phase_text(show), await own_part(interaction, found)])
        await interaction.response.send_message(
            text, view=messages.phase_view(show), ephemeral=True, allowed_mentions=NO_MENTIONS
        )

    @contest.command(name="enter", description="Enter one of your pictures, or take one back")
    @app_commands.describe(picture="Words of the prompt, or the job's id; without it, choose from your newest")
    async def enter_picture(
        self, interaction: Interaction, picture: app_commands.Range[str, 1, 100] | None = None
    ) -> None:
        found = await require_current(interaction)
        if picture is None:
            await respond_with_panel(interaction, found)
            return
        record = await find_own(interaction, picture)
        await enter(interaction, found, Tile(record.job.id, 0))
        text, view = await entries_panel(interaction, found)
        await interaction.response.send_message(text, view=view, ephemeral=True, allowed_mentions=NO_MENTIONS)

    @enter_picture.autocomplete("picture")
    async def _complete(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return await suggest_own(interaction, typed)

    @contest.command(description="Compare two pictures at a time")
    async def vote(self, interaction: Interaction) -> None:
        found = await require_current(interaction)
        await require_open_vote(interaction, found)
        await show_next_pair(interaction, found, answers=False)
