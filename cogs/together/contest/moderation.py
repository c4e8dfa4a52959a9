"""The rules of a contest on request, and what moderators can do: take out an entry or a theme, end, wake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import discord

from bot.client import Interaction
from bot.discord_calls import NO_MENTIONS
from bot.policy.policy import PolicyDenied
from bot.policy.sessions import can_moderate_session, log_session_moderation, participant_from, require_participant
from bot.ui.dynamic_items import PersistentItem, persistent_view, selected_values
from bot.ui.errors import respond_ephemeral
from bot.ui.i18n import audience, tr, trn
from cogs.together.bell import bell_button
from cogs.together.contest import messages
from cogs.together.contest.finding import FoundContest, find_any_contest, find_contest
from cogs.together.contest.messages import PREFIX, SESSION, Button, Select, Show
from cogs.together.contest.phases import ENTRY_PHASES, NAMING_PHASES, VOTE_PHASES
from cogs.together.offers import PAGE_PREFIX, add_offers
from db.together.contests import Entry
from generation.errors import UserError

PAGE_SIZE = 24  # entries in a select, beside "more"
MAX_LABEL = 100  # characters of an option


class HelpButton(PersistentItem, template=rf"{PREFIX}:help:{SESSION}:(?P<number>\d+)"):
    """Answers privately with the rules and one's own part; moderators find their tools here."""

    async def run(self, interaction: Interaction) -> None:
        found = await find_any_contest(interaction, self.match["session"])
        show = await found.handler.show(found.session)
        items: list[discord.ui.Item[Any]] = []
        if found.session.ended_at is None:
            if can_moderate_session(interaction, found.session):
                items = await _moderators_items(interaction, found, show)
            items.append(await bell_button(interaction, found.session.id))
        text = "\n".join([messages.rules_text(show), await own_part(interaction, found)])
        await interaction.response.send_message(
            text, view=persistent_view(*items), ephemeral=True, allowed_mentions=NO_MENTIONS
        )


async def own_part(interaction: Interaction, found: FoundContest) -> str:
    """Return what a person has entered and compared."""
    session, contests = found.session, found.handler.contests
    own = [each for each in await contests.entries(session.id) if each.person_id == interaction.user.id]
    text = trn("You have entered {n} picture.", "You have entered {n} pictures.", len(own))
    if session.phase in VOTE_PHASES:
        compared = len(await contests.answered(session.id, session.round, interaction.user.id))
        text += " " + trn("You have compared {n} pair.", "You have compared {n} pairs.", compared)
    return text


async def _moderators_items(interaction: Interaction, found: FoundContest, show: Show) -> list[discord.ui.Item[Any]]:
    items: list[discord.ui.Item[Any]] = []
    if found.session.phase in (*ENTRY_PHASES, *VOTE_PHASES):
        items += await _out_select(interaction, found, 0)
    elif show.offers:
        select = Select(placeholder=tr("Take out a theme…"), custom_id=f"{PREFIX}:unsay:{found.session.id}", row=0)
        add_offers(select, show.offers, 0)
        items.append(select)
    if found.session.due_at is not None:
        custom_id = f"{PREFIX}:go_on:{found.session.id}:{show.round.number}"
        items.append(Button(label=tr("Go on now"), emoji="⏭️", custom_id=custom_id, row=1))
    items.append(
        Button(
            label=tr("End"),
            emoji="⏹️",
            style=discord.ButtonStyle.danger,
            custom_id=f"{PREFIX}:end:{found.session.id}",
            row=1,
        )
    )
    return items


async def _out_select(interaction: Interaction, found: FoundContest, page: int) -> list[discord.ui.Item[Any]]:
    """Return one page of the entries, by their prompts: their authors stay unknown until the result."""
    entries: Sequence[Entry] = await found.handler.contests.entries(found.session.id)
    shown = entries[page * PAGE_SIZE : (page + 1) * PAGE_SIZE]
    records = await interaction.client.services.db.jobs.get_many(each.tile.job_id for each in shown)
    select = Select(placeholder=tr("Take out an entry…"), custom_id=f"{PREFIX}:out:{found.session.id}", row=0)
    for each in shown:
        record = records.get(each.tile.job_id)
        prompt = messages.prompt_words(record.job, MAX_LABEL) if record else "…"
        select.add_option(label=prompt, value=str(each.id), description=each.tile.job_id)
    if len(entries) > (page + 1) * PAGE_SIZE:
        select.add_option(label=tr("More…"), value=f"{PAGE_PREFIX}{page + 1}")
    return [select] if shown else []


async def _require_moderator(interaction: Interaction, session_id: str) -> FoundContest:
    found = await find_contest(interaction, session_id)
    if not can_moderate_session(interaction, found.session):
        raise PolicyDenied(tr("Only a moderator can do this."))
    return found


async def _log(interaction: Interaction, found: FoundContest, action: str) -> None:
    services = interaction.client.services
    await log_session_moderation(services.db.guilds, found.session, interaction.user.id, action, services.clock())


class OutSelect(PersistentItem, template=rf"{PREFIX}:out:{SESSION}"):
    """Takes out an entry, or shows the next page of them."""

    async def run(self, interaction: Interaction) -> None:
        found = await _require_moderator(interaction, self.match["session"])
        chosen = selected_values(interaction)[0]
        if chosen.startswith(PAGE_PREFIX):
            page = await _out_select(interaction, found, int(chosen.removeprefix(PAGE_PREFIX)))
            await interaction.response.edit_message(view=persistent_view(*page))
            return
        entries = {str(each.id): each for each in await found.handler.contests.entries(found.session.id)}
        entry = entries.get(chosen)
        if entry is None or not await found.handler.contests.withdraw(found.session.id, entry.id):
            raise UserError(tr("This entry is no longer in the contest."))
        await _log(interaction, found, f"took out picture {entry.tile.job_id}")
        await interaction.response.edit_message(content=tr("The entry is taken out."), view=None)


class UnsaySelect(PersistentItem, template=rf"{PREFIX}:unsay:{SESSION}"):
    """Takes out a theme that somebody offers, or shows the next page of them."""

    async def run(self, interaction: Interaction) -> None:
        found = await _require_moderator(interaction, self.match["session"])
        chosen = selected_values(interaction)[0]
        if chosen.startswith(PAGE_PREFIX):
            select = Select(placeholder=tr("Take out a theme…"), custom_id=f"{PREFIX}:unsay:{found.session.id}")
            offers = await found.handler.ballots.suggestions(found.session.id)
            add_offers(select, offers, int(chosen.removeprefix(PAGE_PREFIX)))
            await interaction.response.edit_message(view=persistent_view(select))
            return
        is_open = found.session.phase in NAMING_PHASES
        if not is_open or not await found.handler.ballots.drop_suggestion(found.session.id, int(chosen)):
            raise UserError(tr("This theme is no longer on offer."))
        await _log(interaction, found, f"took out the theme of <@{chosen}>")
        await interaction.response.edit_message(content=tr("The theme is taken out."), view=None)
        with audience(private=False):
            await found.handler.show_again(found.session)


class GoOnButton(PersistentItem, template=rf"{PREFIX}:go_on:{SESSION}:(?P<number>\d+)"):
    """Ends the phase for which it was shown now, for moderators."""

    async def run(self, interaction: Interaction) -> None:
        found = await _require_moderator(interaction, self.match["session"])
        if found.session.round != int(self.match["number"]):
            raise UserError(tr("The contest has gone on already."))
        if not await found.handler.end_phase(found.session):
            raise UserError(tr("There are too few pictures or votes to go on with."))
        await _log(interaction, found, f"ended phase {found.session.phase}")
        await interaction.response.edit_message(content=tr("The contest goes on."), view=None)


class EndButton(PersistentItem, template=rf"{PREFIX}:end:{SESSION}"):
    """Ends the contest without a result, for moderators."""

    async def run(self, interaction: Interaction) -> None:
        found = await _require_moderator(interaction, self.match["session"])
        await respond_ephemeral(interaction, tr("The contest ends without a result."))
        await _log(interaction, found, "ended it")
        with audience(private=False):
            reason = tr("{whom} ends the contest.", whom=f"<@{interaction.user.id}>")
            await interaction.client.sessions.end(found.session, reason)


class WakeButton(PersistentItem, template=rf"{PREFIX}:wake:{SESSION}"):
    """Begins a new contest in place of one that sleeps."""

    async def run(self, interaction: Interaction) -> None:
        found = await find_contest(interaction, self.match["session"])
        services = interaction.client.services
        await require_participant(services.policy, participant_from(interaction, services.clock()))
        with audience(private=False):
            text = tr("{whom} woke the contest.", whom=f"<@{interaction.user.id}>")
            if not await found.handler.wake(found.session):
                raise UserError(tr("The contest does not sleep."))
        await interaction.response.edit_message(content=text, view=None, allowed_mentions=NO_MENTIONS)
