"""Naming the theme: by the winner of the last contest, or by suggestions and votes of the room."""

from __future__ import annotations

from typing import Any

import discord

from bot.client import Interaction
from bot.discord_calls import NO_MENTIONS
from bot.policy.policy import PolicyDenied
from bot.policy.sessions import participant_from, require_participant
from bot.ui.dynamic_items import PersistentItem, persistent_view, selected_values
from bot.ui.errors import respond_ephemeral
from bot.ui.i18n import audience, tr
from bot.ui.modals import ModalValues, PersistentModal, modals
from bot.ui.prompt_block import format_prompt_block
from bot.ui.text import escape_markdown, truncate
from cogs.together.contest import messages
from cogs.together.contest.finding import FoundContest, find_contest
from cogs.together.contest.handler import THEME_VOTE
from cogs.together.contest.messages import PREFIX, SESSION
from cogs.together.contest.phases import MAX_THEME, NAMING_PHASES
from cogs.together.offers import PAGE_PREFIX
from db.together.ballots import Ballot, Suggestion
from generation.errors import UserError
from generation.prompt import PromptError

MODAL = "contest_theme"
SUGGESTION_PAUSE_S = 10.0  # between two suggestions of one person


async def _require_naming(interaction: Interaction, found: FoundContest) -> bool:
    """Return whether the room names the theme; raise UserError if the person may not name it."""
    services = interaction.client.services
    await require_participant(services.policy, participant_from(interaction, services.clock()))
    show = await found.handler.show(found.session)
    if found.session.phase not in NAMING_PHASES:
        raise UserError(tr("The theme is named already."))
    if not show.by_room and show.round.worded_by != interaction.user.id:
        whom = f"<@{show.round.worded_by}>" if show.round.worded_by else tr("somebody")
        raise PolicyDenied(tr("Only {whom} names the theme this time.", whom=whom))
    return show.by_room


class ThemeButton(PersistentItem, template=rf"{PREFIX}:theme:{SESSION}"):
    """Opens the modal for a theme."""

    async def run(self, interaction: Interaction) -> None:
        found = await find_contest(interaction, self.match["session"])
        by_room = await _require_naming(interaction, found)
        field = discord.ui.TextInput[Any](
            custom_id="theme", max_length=MAX_THEME, placeholder=tr("castles by the sea"), required=True
        )
        title = tr("Suggest a theme") if by_room else tr("Name the theme")
        label = discord.ui.Label(text=tr("The theme of the contest"), component=field)
        await interaction.response.send_modal(PersistentModal(f"{MODAL}:{found.session.id}", title, label))


@modals.route(MODAL)
async def on_theme(interaction: Interaction, session_id: str, values: ModalValues) -> None:
    """Take a theme; refuse blocked words privately, and give the words back."""
    found = await find_contest(interaction, session_id)
    by_room = await _require_naming(interaction, found)
    theme = " ".join(values.texts.get("theme", "").split())[:MAX_THEME]
    if not theme:
        raise UserError(tr("Type at least one word."))
    try:
        await interaction.client.services.policy.check_text(found.session.guild_id, theme)
    except PromptError as error:
        content, files = format_prompt_block("\n".join(error.problems), theme)
        await respond_ephemeral(interaction, content, files=files)
        return
    if by_room:
        await _suggest(interaction, found, theme)
    else:
        await _name(interaction, found, theme)


async def _name(interaction: Interaction, found: FoundContest, theme: str) -> None:
    await interaction.response.defer()
    with audience(private=False):
        named = await found.handler.start_entries(found.session, theme, giver=interaction.user.id)
    if not named:
        raise UserError(tr("The theme is named already."))


async def _suggest(interaction: Interaction, found: FoundContest, theme: str) -> None:
    """Offer a theme to the room, and vote for it."""
    offer = Suggestion(
        session_id=found.session.id,
        person_id=interaction.user.id,
        round=found.session.round,
        name=truncate(interaction.user.display_name, 30),
        words=theme,
        at=interaction.client.services.clock(),
    )
    if not await found.handler.ballots.suggest(offer, found.session.phase, SUGGESTION_PAUSE_S):
        raise UserError(tr("Please wait a few seconds before you suggest another theme."))
    await _vote(interaction, found, str(interaction.user.id))
    await _show_phase(interaction, found)


async def _vote(interaction: Interaction, found: FoundContest, choice: str) -> None:
    """Store a vote for a theme."""
    ballot = Ballot(
        session_id=found.session.id,
        round=found.session.round,
        person_id=interaction.user.id,
        kind=THEME_VOTE,
        choice=choice,
        at=interaction.client.services.clock(),
    )
    if not await found.handler.ballots.vote(ballot, found.session.phase):
        raise UserError(tr("The theme is named already."))


async def _show_phase(interaction: Interaction, found: FoundContest) -> None:
    """Respond to a press on the message of the phase by updating it."""
    with audience(private=False):
        show = await found.handler.show(found.session)
        text, view = messages.phase_text(show), messages.phase_view(show)
    await interaction.response.edit_message(content=text, view=view, allowed_mentions=NO_MENTIONS)


class ThemeSelect(PersistentItem, template=rf"{PREFIX}:themes:{SESSION}:(?P<page>\d+)"):
    """Votes for a theme, or opens the next page of them privately."""

    async def run(self, interaction: Interaction) -> None:
        found = await find_contest(interaction, self.match["session"])
        await _require_naming(interaction, found)
        chosen = selected_values(interaction)[0]
        offers = await found.handler.ballots.suggestions(found.session.id)
        if chosen.startswith(PAGE_PREFIX):
            page = int(chosen.removeprefix(PAGE_PREFIX))
            view = persistent_view(messages.theme_select(found.session.id, offers, page))
            if self.match["page"] == "0":
                await interaction.response.send_message(tr("More themes:"), view=view, ephemeral=True)
            else:
                await interaction.response.edit_message(content=tr("More themes:"), view=view)
            return
        offered = {str(each.person_id): each.words for each in offers}
        if chosen not in offered:
            raise UserError(tr("This theme is no longer on offer."))
        await _vote(interaction, found, chosen)
        if self.match["page"] == "0":
            await _show_phase(interaction, found)
            return
        text = tr('You voted for the theme "{theme}".', theme=escape_markdown(offered[chosen]))
        await interaction.response.edit_message(content=text, view=None, allowed_mentions=NO_MENTIONS)
        with audience(private=False):
            await found.handler.show_again(found.session)
