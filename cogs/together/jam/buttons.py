"""The presses below a round: votes, words, help, end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import discord

from bot.client import Interaction
from bot.discord_calls import NO_MENTIONS
from bot.policy.policy import PolicyDenied
from bot.policy.sessions import (
    can_moderate_session,
    log_session_moderation,
    participant_from,
    require_participant,
)
from bot.ui.dynamic_items import JOB_PATTERN, PersistentItem, persistent_view, selected_values
from bot.ui.errors import respond_ephemeral
from bot.ui.i18n import audience, tr
from bot.ui.modals import ModalValues, PersistentModal, modals
from bot.ui.prompt_block import format_prompt_block
from bot.ui.text import escape_markdown, truncate
from cogs.together.bell import bell_button
from cogs.together.jam import messages
from cogs.together.jam.handler import ASLEEP, DRAWING, FINALE, OPEN_PHASES, JamHandler
from cogs.together.jam.messages import MAX_WORDS, PREFIX
from cogs.together.jam.rules import AGAIN, AS_THEY_ARE, MOVE, MOVES, TILE, WORDS, move_label, reworded
from db.together.ballots import Ballot, Suggestion
from db.together.sessions import ENDED, Round, Session
from generation.errors import UserError
from generation.job import Action, Job
from generation.params import TILE_PATTERN, Tile
from generation.prompt import PromptError

SUGGESTION_PAUSE_S = 10.0  # between two suggestions of one person
MODAL = "jam_words"
MAX_DROPPABLE = 25


@dataclass(frozen=True, slots=True)
class OpenRound:
    """A round that can be voted on, as a press finds it."""

    handler: JamHandler
    session: Session
    made: Round
    job: Job


async def find_jam(interaction: Interaction, job_id: str) -> tuple[JamHandler, Session, Round]:
    """Return the jam and the round that a job belongs to; raise UserError if there is none here."""
    handler = interaction.client.sessions.handler(JamHandler)
    made = await handler.sessions.find_round(job_id)
    session = await handler.sessions.get(made.session_id) if made else None
    if made is None or session is None or session.guild_id != interaction.guild_id:
        raise UserError(tr("I no longer know this jam."))
    return handler, session, made


async def require_open(interaction: Interaction, job_id: str) -> OpenRound:
    """Return the round of a press; raise UserError if it is over, or the person may not take part."""
    handler, session, made = await find_jam(interaction, job_id)
    await require_voter(interaction, session)
    if session.phase not in OPEN_PHASES or session.round != made.number:
        raise UserError(await _why_closed(handler, session, made))
    record = await interaction.client.services.db.jobs.get(job_id)
    if record is None:
        raise UserError(tr("I no longer know this jam."))
    return OpenRound(handler, session, made, record.job)


async def require_voter(interaction: Interaction, session: Session) -> None:
    """Raise PolicyDenied if the person may not take part in this jam."""
    services = interaction.client.services
    participant = participant_from(interaction, services.clock())
    await require_participant(services.policy, participant)
    role = session.settings.get("role")
    if role and role not in participant.context.role_ids and interaction.user.id != session.host_id:
        raise PolicyDenied(tr("Only {whom} may join in this jam.", whom=f"<@&{role}>"))


async def _why_closed(handler: JamHandler, session: Session, made: Round) -> str:
    following = await handler.sessions.round(session.id, made.number + 1)
    if following is not None and following.facts.get("again"):
        return tr("This round is over: it is drawn again.")
    if following is not None and "parent" in following.facts:
        number = Tile.parse(str(following.facts["parent"])).index + 1
        return tr("This round is over: picture {number} won.", number=number)
    if session.phase == ASLEEP:
        return tr("The jam sleeps: press 💤 to wake it.")
    return tr("This round is over.")


async def show_round(interaction: Interaction, round_: OpenRound) -> None:
    """Respond to a press by updating the message of its round."""
    turnout = await round_.handler.ballots.turnout(round_.session.id, round_.made.number)
    due_at = await round_.handler.hurry(round_.session, turnout)
    now = interaction.client.services.clock()
    with audience(private=False):
        standing = await round_.handler.standing(round_.session, round_.made, round_.job, due_at or now, turnout)
        text, view = messages.round_text(standing), messages.round_view(standing)
    await interaction.response.edit_message(content=text, view=view, allowed_mentions=NO_MENTIONS)


async def vote(interaction: Interaction, job_id: str, kind: str, choice: str) -> OpenRound:
    """Store a vote; raise UserError if the round is over or the person may not vote."""
    round_ = await require_open(interaction, job_id)
    ballot = Ballot(
        session_id=round_.session.id,
        round=round_.made.number,
        person_id=interaction.user.id,
        kind=kind,
        choice=choice,
        at=interaction.client.services.clock(),
    )
    if not await round_.handler.ballots.vote(ballot, round_.session.phase):
        session = await round_.handler.sessions.get(round_.session.id) or round_.session
        raise UserError(await _why_closed(round_.handler, session, round_.made))
    return round_


class TileVote(PersistentItem, template=rf"{PREFIX}:{TILE}:{TILE_PATTERN}"):
    """Votes for a tile."""

    async def run(self, interaction: Interaction) -> None:
        await show_round(interaction, await vote(interaction, self.job_id, TILE, self.match["index"]))


class AgainVote(PersistentItem, template=rf"{PREFIX}:{AGAIN}:{JOB_PATTERN}"):
    """Votes for drawing the round again."""

    async def run(self, interaction: Interaction) -> None:
        await show_round(interaction, await vote(interaction, self.job_id, TILE, AGAIN))


class MoveVote(PersistentItem, template=rf"{PREFIX}:{MOVE}:{JOB_PATTERN}"):
    """Votes for what happens to the picture."""

    async def run(self, interaction: Interaction) -> None:
        await show_round(interaction, await vote(interaction, self.job_id, MOVE, selected_values(interaction)[0]))


class WordsVote(PersistentItem, template=rf"{PREFIX}:{WORDS}:{JOB_PATTERN}:(?P<page>\d+)"):
    """Votes for words, or opens the next page of them privately."""

    async def run(self, interaction: Interaction) -> None:
        chosen = selected_values(interaction)[0]
        if chosen.startswith("page:"):
            await self._show_page(interaction, int(chosen.removeprefix("page:")))
            return
        round_ = await require_open(interaction, self.job_id)
        offered = {str(each.person_id): each.words for each in await self._suggestions(round_)}
        if chosen != AS_THEY_ARE and chosen not in offered:
            raise UserError(tr("These words are no longer on offer."))
        await vote(interaction, self.job_id, WORDS, chosen)
        if self.match["page"] == "0":
            await show_round(interaction, round_)
            return
        text = tr('You voted for the words "{words}".', words=escape_markdown(offered.get(chosen, "")))
        await interaction.response.edit_message(content=text, allowed_mentions=NO_MENTIONS)

    async def _show_page(self, interaction: Interaction, page: int) -> None:
        round_ = await require_open(interaction, self.job_id)
        standing = await round_.handler.standing(round_.session, round_.made, round_.job, 0.0)
        view = persistent_view(messages.words_select(standing, page))
        if self.match["page"] == "0":
            await interaction.response.send_message(tr("More words:"), view=view, ephemeral=True)
        else:
            await interaction.response.edit_message(content=tr("More words:"), view=view)

    async def _suggestions(self, round_: OpenRound) -> list[Suggestion]:
        return await round_.handler.ballots.suggestions(round_.session.id)


class SuggestButton(PersistentItem, template=rf"{PREFIX}:suggest:{JOB_PATTERN}"):
    """Opens the modal for words."""

    async def run(self, interaction: Interaction) -> None:
        round_ = await require_open(interaction, self.job_id)
        own = next(
            (
                each.words
                for each in await round_.handler.ballots.suggestions(round_.session.id)
                if each.person_id == interaction.user.id
            ),
            "",
        )
        field = discord.ui.TextInput[Any](
            custom_id="words", default=own, max_length=MAX_WORDS, placeholder=tr("at night, with fireflies")
        )
        label = discord.ui.Label(text=tr("Words to add to the prompt"), component=field)
        await interaction.response.send_modal(PersistentModal(f"{MODAL}:{self.job_id}", tr("Suggest words"), label))


@modals.route(MODAL)
async def on_words(interaction: Interaction, job_id: str, values: ModalValues) -> None:
    """Store the words that somebody suggests; refuse blocked words privately, and give the words back."""
    round_ = await require_open(interaction, job_id)
    words = " ".join(values.texts.get("words", "").split())[:MAX_WORDS]
    if not words:
        raise UserError(tr("Type at least one word."))
    services, session = interaction.client.services, round_.session
    try:
        await services.policy.check_words(session.guild_id, reworded(round_.job.params, words))
    except PromptError as error:
        content, files = format_prompt_block("\n".join(error.problems), words)
        await respond_ephemeral(interaction, content, files=files)
        return
    suggestion = Suggestion(
        session_id=session.id,
        person_id=interaction.user.id,
        round=session.round,
        name=truncate(interaction.user.display_name, 30),
        words=words,
        at=services.clock(),
    )
    if not await round_.handler.ballots.suggest(suggestion, session.phase, SUGGESTION_PAUSE_S):
        raise UserError(tr("Please wait a few seconds before you suggest other words."))
    await vote(interaction, job_id, WORDS, str(interaction.user.id))
    await show_round(interaction, round_)


class HelpButton(PersistentItem, template=rf"{PREFIX}:help:{JOB_PATTERN}"):
    """Answers privately with the rules and one's own votes; moderators can drop suggestions here."""

    async def run(self, interaction: Interaction) -> None:
        handler, session, made = await find_jam(interaction, self.job_id)
        suggestions = await handler.ballots.suggestions(session.id)
        own = await handler.ballots.of_person(session.id, made.number, interaction.user.id)
        text = f"{messages.rules_text(int(session.settings.get('minutes', 0)))}\n{_own_votes(own, suggestions)}"
        items: list[discord.ui.Item[Any]] = []
        if session.ended_at is None:
            items.append(await bell_button(interaction, session.id))
        if suggestions and can_moderate_session(interaction, session):
            items.append(_drop_select(self.job_id, suggestions))
        view = persistent_view(*items)
        await interaction.response.send_message(text, view=view, ephemeral=True, allowed_mentions=NO_MENTIONS)


def _own_votes(own: dict[str, str], suggestions: list[Suggestion]) -> str:
    if not own:
        return tr("You have not voted in this round.")
    words = {str(each.person_id): each.words for each in suggestions}
    parts = []
    if TILE in own:
        parts.append(tr("draw it again") if own[TILE] == AGAIN else tr("picture {number}", number=int(own[TILE]) + 1))
    if own.get(MOVE) in MOVES:
        parts.append(move_label(Action(own[MOVE])))
    if own.get(WORDS) in words:
        parts.append(f'"{escape_markdown(words[own[WORDS]])}"')
    return tr("Your votes: {votes}", votes=" · ".join(parts) or tr("none"))


def _drop_select(job_id: str, suggestions: list[Suggestion]) -> discord.ui.Select[discord.ui.View]:
    select = discord.ui.Select[discord.ui.View](placeholder=tr("Take out words…"), custom_id=f"{PREFIX}:drop:{job_id}")
    for each in suggestions[-MAX_DROPPABLE:]:
        select.add_option(label=truncate(f'"{each.words}" — {each.name}', 100), value=str(each.person_id))
    return select


class DropSelect(PersistentItem, template=rf"{PREFIX}:drop:{JOB_PATTERN}"):
    """Lets a moderator take out somebody's words."""

    async def run(self, interaction: Interaction) -> None:
        handler, session, made = await find_jam(interaction, self.job_id)
        if not can_moderate_session(interaction, session):
            raise PolicyDenied(tr("Only a moderator can take out words."))
        person_id, services = int(selected_values(interaction)[0]), interaction.client.services
        if not await handler.ballots.drop_suggestion(session.id, person_id):
            raise UserError(tr("These words are no longer on offer."))
        action = f"took out words of <@{person_id}>"
        await log_session_moderation(services.db.guilds, session, interaction.user.id, action, services.clock())
        text = tr("The words of {whom} are taken out.", whom=f"<@{person_id}>")
        await interaction.response.edit_message(content=text, view=None, allowed_mentions=NO_MENTIONS)
        with audience(private=False):
            await handler.show_again(session, made)


class EndButton(PersistentItem, template=rf"{PREFIX}:end:{JOB_PATTERN}"):
    """Ends the jam: for its host and moderators, and for everybody who may vote while it sleeps."""

    async def run(self, interaction: Interaction) -> None:
        handler, session, _ = await find_jam(interaction, self.job_id)
        await end_jam(interaction, handler, session)


async def end_jam(interaction: Interaction, handler: JamHandler, session: Session) -> None:
    """End a jam for somebody who may, and respond privately."""
    services, person_id = interaction.client.services, interaction.user.id
    is_moderator = can_moderate_session(interaction, session)
    if session.phase in (ENDED, FINALE) or not session.host_id:  # a host without data: the timer is about to end it
        raise UserError(tr("The jam has ended already."))
    if person_id != session.host_id and not is_moderator:
        if session.phase != ASLEEP:
            whom = f"<@{session.host_id}>"
            raise PolicyDenied(tr("Only {whom} or a moderator can end the jam.", whom=whom))
        await require_voter(interaction, session)
    await respond_ephemeral(interaction, tr("The jam ends."))
    if is_moderator:
        await log_session_moderation(services.db.guilds, session, person_id, "ended it", services.clock())
    with audience(private=False):
        await handler.finish(session, tr("{whom} ends the jam.", whom=f"<@{person_id}>"))
        if session.phase == DRAWING:
            await _cancel_drawing(interaction, handler, session)


async def _cancel_drawing(interaction: Interaction, handler: JamHandler, session: Session) -> None:
    """Cancel the job of the present round, once the session has ended, so that its end is not reported twice."""
    made = await handler.sessions.round(session.id, session.round)
    record = await interaction.client.services.db.jobs.get(made.job_id) if made else None
    if record is not None:
        message = tr("Cancelled: the jam has ended.")
        if await interaction.client.services.db.jobs.cancel(record.job.id, message):
            await interaction.client.tasks.cancel(record.job.id)
            await interaction.client.jobs.runner.report_end(record.job, record.status_message_id, message)


class WakeButton(PersistentItem, template=rf"{PREFIX}:wake:{JOB_PATTERN}"):
    """Opens the vote of a sleeping jam again."""

    async def run(self, interaction: Interaction) -> None:
        handler, session, _ = await find_jam(interaction, self.job_id)
        await require_voter(interaction, session)
        if not await handler.wake(session):
            raise UserError(tr("The jam does not sleep."))
        with audience(private=False):
            text = tr("{whom} woke the jam: vote on.", whom=f"<@{interaction.user.id}>")
        await interaction.response.edit_message(content=text, view=None, allowed_mentions=NO_MENTIONS)


ITEMS = (
    TileVote,
    AgainVote,
    MoveVote,
    WordsVote,
    SuggestButton,
    HelpButton,
    DropSelect,
    EndButton,
    WakeButton,
)
