"""The presses of a telephone outside the turns: join, leave, begin, help, end, and the reveal."""

from __future__ import annotations

from typing import Any

import discord

from bot.client import Interaction
from bot.discord_calls import NO_MENTIONS
from bot.policy.policy import PolicyDenied
from bot.policy.sessions import can_moderate_session, log_session_moderation
from bot.ui.dynamic_items import PersistentItem, persistent_view
from bot.ui.errors import respond_ephemeral
from bot.ui.i18n import audience, tr
from cogs.together.bell import bell_button
from cogs.together.telephone import messages
from cogs.together.telephone.finding import (
    FoundTelephone,
    find_any_telephone,
    find_telephone,
    require_member,
)
from cogs.together.telephone.messages import PREFIX, SESSION, Button
from cogs.together.telephone.phases import DRAWING, JOINING, MIN_PLAYERS, REVEAL, TURN
from db.together.sessions import Session
from db.together.telephones import Player
from generation.errors import UserError


async def show_lobby(interaction: Interaction, found: FoundTelephone) -> None:
    """Respond to a press by updating the message that looks for players."""
    players = await found.handler.telephones.players(found.session.id)
    with audience(private=False):
        text, view = messages.lobby_text(found.session, players), messages.lobby_view(found.session, players)
    await interaction.response.edit_message(content=text, view=view, allowed_mentions=NO_MENTIONS)


async def _find_lobby(interaction: Interaction, session_id: str) -> FoundTelephone:
    found = await find_telephone(interaction, session_id)
    if found.session.phase != JOINING:
        raise UserError(tr("This telephone has begun already."))
    return found


class JoinButton(PersistentItem, template=rf"{PREFIX}:join:{SESSION}"):
    """Adds a player; the game begins when all places are taken."""

    async def run(self, interaction: Interaction) -> None:
        found = await _find_lobby(interaction, self.match["session"])
        participant = await require_member(interaction, found.session)
        player = Player(
            session_id=found.session.id,
            person_id=interaction.user.id,
            name=interaction.user.name,
            roles=tuple(sorted(participant.context.role_ids)),
        )
        if not await found.handler.join(found.session, player):
            raise UserError(await self._why_not(interaction, found))
        await show_lobby(interaction, found)
        with audience(private=False):
            await found.handler.begin_if_full(found.session)

    async def _why_not(self, interaction: Interaction, found: FoundTelephone) -> str:
        players = await found.handler.telephones.players(found.session.id)
        if any(each.person_id == interaction.user.id for each in players):
            return tr("You play already.")
        return tr("All places are taken.")


class LeaveButton(PersistentItem, template=rf"{PREFIX}:leave:{SESSION}"):
    """Removes a player before the game begins."""

    async def run(self, interaction: Interaction) -> None:
        found = await _find_lobby(interaction, self.match["session"])
        if not await found.handler.telephones.leave(found.session.id, interaction.user.id, JOINING):
            raise UserError(tr("You do not play."))
        await show_lobby(interaction, found)


class BeginButton(PersistentItem, template=rf"{PREFIX}:begin:{SESSION}"):
    """Begins before all places are taken, for the host and moderators."""

    async def run(self, interaction: Interaction) -> None:
        found = await _find_lobby(interaction, self.match["session"])
        _require_host(interaction, found.session)
        players = await found.handler.telephones.players(found.session.id)
        if len(players) < MIN_PLAYERS:
            raise UserError(tr("A telephone needs at least {n} players.", n=MIN_PLAYERS))
        await interaction.response.defer()
        with audience(private=False):
            await found.handler.begin(found.session)


def _require_host(interaction: Interaction, session: Session) -> None:
    if interaction.user.id != session.host_id and not can_moderate_session(interaction, session):
        raise PolicyDenied(tr("Only {whom} or a moderator can do this.", whom=messages.whom(session.host_id)))


class HelpButton(PersistentItem, template=rf"{PREFIX}:help:{SESSION}"):
    """Answers privately with the rules; the host and moderators find *End* here."""

    async def run(self, interaction: Interaction) -> None:
        found = await find_any_telephone(interaction, self.match["session"])
        session, items = found.session, list[discord.ui.Item[Any]]()
        if session.ended_at is None:
            items.append(await bell_button(interaction, session.id))
            is_moderator = can_moderate_session(interaction, session)
            if session.phase == TURN and is_moderator:
                custom_id = f"{PREFIX}:skip:{session.id}:{session.round}"
                items.append(Button(label=tr("Skip this turn"), emoji="⏭️", custom_id=custom_id))
            if is_moderator or interaction.user.id == session.host_id:
                style, custom_id = discord.ButtonStyle.danger, f"{PREFIX}:end:{session.id}"
                items.append(Button(label=tr("End"), emoji="⏹️", style=style, custom_id=custom_id))
        await interaction.response.send_message(
            messages.rules_text(session), view=persistent_view(*items), ephemeral=True, allowed_mentions=NO_MENTIONS
        )


class SkipButton(PersistentItem, template=rf"{PREFIX}:skip:{SESSION}:(?P<number>\d+)"):
    """Ends the turn of somebody who is away, for moderators."""

    async def run(self, interaction: Interaction) -> None:
        found = await find_telephone(interaction, self.match["session"])
        if not can_moderate_session(interaction, found.session):
            raise PolicyDenied(tr("Only a moderator can do this."))
        if found.session.round != int(self.match["number"]) or not await found.handler.skip(found.session):
            raise UserError(tr("This turn is over."))
        await _log(interaction, found.session, f"skipped turn {found.session.round}")
        await interaction.response.edit_message(content=tr("The turn is skipped."), view=None)


class EndButton(PersistentItem, template=rf"{PREFIX}:end:{SESSION}"):
    """Ends the turns and shows what was drawn, for the host and moderators."""

    async def run(self, interaction: Interaction) -> None:
        await end_telephone(interaction, await find_telephone(interaction, self.match["session"]))


async def end_telephone(interaction: Interaction, found: FoundTelephone) -> None:
    """End a telephone for somebody who may, and respond privately."""
    session = found.session
    _require_host(interaction, session)
    await respond_ephemeral(interaction, tr("The telephone ends."))
    if can_moderate_session(interaction, session):
        await _log(interaction, session, "ended it")
    with audience(private=False):
        if session.phase in (TURN, DRAWING):
            await found.handler.end_turns(session)
        else:
            reason = tr("{whom} ends the telephone.", whom=f"<@{interaction.user.id}>")
            await interaction.client.sessions.end(session, reason)


async def _log(interaction: Interaction, session: Session, action: str) -> None:
    services = interaction.client.services
    await log_session_moderation(services.db.guilds, session, interaction.user.id, action, services.clock())


class NextButton(PersistentItem, template=rf"{PREFIX}:next:{SESSION}:(?P<number>\d+)"):
    """Shows the next picture, for everybody who may take part in the server."""

    async def run(self, interaction: Interaction) -> None:
        found = await find_telephone(interaction, self.match["session"])
        await require_member(interaction, found.session)
        if found.session.phase != REVEAL or found.session.round != int(self.match["number"]):
            raise UserError(tr("The next picture is shown already."))
        made = await found.handler.sessions.round(found.session.id, found.session.round)
        record = await found.handler.services.db.jobs.get(made.job_id) if made else None
        with audience(private=False):
            view = found.handler.reveal.ordinary_view(record.job) if record else None
            await interaction.response.edit_message(view=view)
            await found.handler.reveal.go_on(found.session, button_is_off=True)
