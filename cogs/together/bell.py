"""🔔: being told when the next round or vote of a session begins."""

from __future__ import annotations

from collections.abc import Iterable

import discord

from bot.client import Client, Interaction
from bot.policy.sessions import participant_from, require_participant
from bot.services import Services
from bot.ui.dynamic_items import PersistentItem
from bot.ui.i18n import tr
from db.together.sessions import Session
from generation.errors import UserError

PREFIX = "bell"
MAX_PINGED = 20  # in one message; nobody else is promised to be told


async def pinged_people(services: Services, session: Session) -> tuple[int, ...]:
    """Return who is to be told now; nobody who is blocked."""
    people = await services.db.bells.people(session.id)
    blocked = await services.db.guilds.blocked_among(session.guild_id, people)
    return tuple(person for person in people if person not in blocked)[:MAX_PINGED]


def bell_line(pinged: Iterable[int]) -> list[str]:
    """Return the line that pings people, or nothing."""
    mentions = " ".join(f"<@{person}>" for person in pinged)
    return [f"-# 🔔 {mentions}"] if mentions else []


async def bell_button(interaction: Interaction, session_id: str) -> discord.ui.Button[discord.ui.View]:
    """Return the button that switches a person's bell, as it stands now."""
    is_on = await interaction.client.services.db.bells.is_on(session_id, interaction.user.id)
    return _button(session_id, is_on=is_on)


def _button(session_id: str, *, is_on: bool) -> discord.ui.Button[discord.ui.View]:
    return discord.ui.Button(
        label=tr("You will be told when it goes on") if is_on else tr("Tell me when it goes on"),
        emoji="🔔",
        style=discord.ButtonStyle.success if is_on else discord.ButtonStyle.secondary,
        custom_id=f"{PREFIX}:{session_id}",
    )


class BellButton(PersistentItem, template=rf"{PREFIX}:(?P<session>[0-9a-f]{{12}})"):
    """Switches a person's bell, and shows so in their private message."""

    async def run(self, interaction: Interaction) -> None:
        services, session_id = interaction.client.services, self.match["session"]
        session = await services.db.sessions.get(session_id)
        if session is None or session.ended_at is not None or session.guild_id != interaction.guild_id:
            raise UserError(tr("This has ended already."))
        await require_participant(services.policy, participant_from(interaction, services.clock()))
        bells, person_id = services.db.bells, interaction.user.id
        was_on = await bells.is_on(session_id, person_id)
        is_on = await bells.toggle(session_id, person_id, MAX_PINGED)
        if not was_on and not is_on and len(await bells.people(session_id)) >= MAX_PINGED:
            raise UserError(tr("{n} people are told already, and I can tell no more.", n=MAX_PINGED))
        view = discord.ui.View.from_message(interaction.message) if interaction.message else discord.ui.View()
        changed = _button(session_id, is_on=is_on)
        for item in view.children:
            if isinstance(item, discord.ui.Button) and item.custom_id == changed.custom_id:
                item.label, item.style = changed.label, changed.style
        view.stop()  # otherwise discord.py would dispatch presses to these copies
        await interaction.response.edit_message(view=view)


async def setup(client: Client) -> None:
    """Add the button; discord.py calls this."""
    client.add_dynamic_items(BellButton)
