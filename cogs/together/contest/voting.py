"""Voting: two entries at a time, each answered by the next pair."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import discord

from bot.client import Interaction
from bot.discord_calls import NO_MENTIONS
from bot.policy.policy import PolicyDenied
from bot.policy.sessions import participant_from, require_participant
from bot.policy.visibility import allows_nsfw
from bot.ui.dynamic_items import PersistentItem, persistent_view
from bot.ui.i18n import tr, trn
from cogs.together.contest import messages
from cogs.together.contest.finding import FoundContest, find_contest
from cogs.together.contest.handler import ContestHandler
from cogs.together.contest.messages import PREFIX, SESSION
from cogs.together.contest.pairing import next_pair
from cogs.together.contest.phases import PAIRS_EACH, VOTE_PHASES
from db.together.ballots import Ballot
from db.together.contests import SKIPPED, Entry, pair_kind
from generation.errors import UserError

BOTH = "both"
_CHOICES: dict[str, Callable[[int, int], str]] = {
    "left": lambda left, _: str(left),
    "right": lambda _, right: str(right),
    "both": lambda *_: BOTH,
    "skip": lambda *_: SKIPPED,
}


async def require_open_vote(interaction: Interaction, found: FoundContest) -> None:
    """Raise UserError if there is no vote now, or the person may not take part."""
    services = interaction.client.services
    await require_participant(services.policy, participant_from(interaction, services.clock()))
    if found.session.phase not in VOTE_PHASES:
        raise UserError(tr("There is no vote now."))
    channel_id, client = found.session.channel_id, interaction.client
    if allows_nsfw(client, channel_id) and not allows_nsfw(client, interaction.channel_id):
        raise PolicyDenied(tr("This contest is age-restricted: vote in {channel}.", channel=f"<#{channel_id}>"))


async def show_next_pair(interaction: Interaction, found: FoundContest, *, answers: bool) -> None:
    """Respond with the next pair; with `answers`, in place of the pair that was answered."""
    contests, session = found.handler.contests, found.session
    answered = await contests.answered(session.id, session.round, interaction.user.id)
    entries = await contests.entries(session.id)
    strengths = found.handler.strengths(session)
    pair, picture = None, None
    if len(answered) < PAIRS_EACH:
        pair = next_pair(interaction.user.id, entries, answered, strengths)
    while pair is not None and picture is None:
        left_out = await _withheld(found, pair)
        picture = await _picture(found.handler, pair) if not left_out else None
        if picture is None:  # one of them is being deleted, or may not be shown any more
            entries = [each for each in entries if each not in (left_out or pair)]
            pair = next_pair(interaction.user.id, entries, answered, strengths)
    if pair is None or picture is None:
        await _thank(interaction, len(answered), answers=answers)
        return
    text = messages.pair_text(await found.handler.show(session), len(answered) + 1)
    view = messages.pair_view(session, pair[0].id, pair[1].id)
    file = discord.File(io.BytesIO(picture), "pair.webp", description=tr("Two pictures, numbered 1 and 2"))
    await _respond(interaction, text, view, [file], answers=answers)


async def _withheld(found: FoundContest, pair: tuple[Entry, Entry]) -> list[Entry]:
    """Return the entries that the channel may not show: it was age-restricted when they were entered."""
    if allows_nsfw(found.handler.client, found.session.channel_id):
        return []
    records = await found.handler.services.db.jobs.get_many(each.tile.job_id for each in pair)
    flagged = {job_id for job_id, record in records.items() if record.sensitive}
    return [each for each in pair if each.tile.job_id in flagged]


async def _picture(handler: ContestHandler, pair: tuple[Entry, Entry]) -> bytes | None:
    try:
        return await handler.pictures.draw(pair[0].tile, pair[1].tile)
    except (OSError, UserError):  # deleted, or damaged
        return None


async def _thank(interaction: Interaction, number: int, *, answers: bool) -> None:
    text = trn(
        "Thank you: you have compared {n} pair. There is nothing more to compare.",
        "Thank you: you have compared {n} pairs. There is nothing more to compare.",
        number,
    )
    await _respond(interaction, text, persistent_view(), [], answers=answers)


async def _respond(
    interaction: Interaction, text: str, view: discord.ui.View, files: list[discord.File], *, answers: bool
) -> None:
    if answers:
        fields: dict[str, Any] = {"content": text, "view": view, "attachments": files}
        await interaction.response.edit_message(**fields, allowed_mentions=NO_MENTIONS)
    else:
        await interaction.response.send_message(
            text, view=view, files=files, ephemeral=True, allowed_mentions=NO_MENTIONS
        )


class VoteButton(PersistentItem, template=rf"{PREFIX}:vote:{SESSION}"):
    """Shows the first pair privately."""

    async def run(self, interaction: Interaction) -> None:
        found = await find_contest(interaction, self.match["session"])
        await require_open_vote(interaction, found)
        await show_next_pair(interaction, found, answers=False)


class PickButton(
    PersistentItem,
    template=rf"{PREFIX}:pick:{SESSION}:(?P<left>\d+):(?P<right>\d+):(?P<answer>left|right|both|skip)",
):
    """Answers a pair; a pair that was answered already, or lost an entry, counts no more."""

    async def run(self, interaction: Interaction) -> None:
        found = await find_contest(interaction, self.match["session"])
        await require_open_vote(interaction, found)
        left, right = int(self.match["left"]), int(self.match["right"])
        entries = {each.id: each for each in await found.handler.contests.entries(found.session.id)}
        pair = [entries[each] for each in (left, right) if each in entries]
        if len(pair) == 2 and all(each.person_id != interaction.user.id for each in pair):
            await self._store(interaction, found, left, right)
        await show_next_pair(interaction, found, answers=True)

    async def _store(self, interaction: Interaction, found: FoundContest, left: int, right: int) -> None:
        ballot = Ballot(
            session_id=found.session.id,
            round=found.session.round,
            person_id=interaction.user.id,
            kind=pair_kind(left, right),
            choice=_CHOICES[self.match["answer"]](left, right),
            at=interaction.client.services.clock(),
        )
        await found.handler.contests.answer(ballot, (left, right), VOTE_PHASES, PAIRS_EACH)
