"""The result of a contest: places by comparisons, the podium, and credits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.client import Client
from bot.images.contest_pictures import PODIUM_SIDES, Winner, draw_podium
from bot.policy.visibility import allows_nsfw
from bot.services import Services
from bot.ui.i18n import tr, trn
from bot.ui.text import escape_markdown, jump_url
from cogs.together.contest.messages import Show, prompt_words, title
from db.jobs import JobRecord
from db.together.contests import Comparison, Entry
from db.together.sessions import Session
from generation.errors import UserError

MEDALS = ("🥇", "🥈", "🥉")
MAX_PROMPT = 150  # characters; escaping may double them


@dataclass(frozen=True, slots=True)
class Result:
    """A decided contest: its entries, the best one first, and the comparisons that decided it."""

    entries: Sequence[Entry]
    comparisons: Sequence[Comparison]

    @property
    def voters(self) -> int:
        """Return how many people have compared pictures."""
        return len({each.person_id for each in self.comparisons})


async def strengths_of(services: Services, session: Session, vote_round: int) -> dict[int, float]:
    """Return how strong the entries seem so far."""
    entries = [entry.id for entry in await services.db.contests.entries(session.id)]
    comparisons = await services.db.contests.comparisons(session.id, vote_round)
    return await asyncio.to_thread(_strengths, session.id, entries, comparisons)


def _strengths(session_id: str, entries: Sequence[int], comparisons: Sequence[Comparison]) -> dict[int, float]:
    from cogs.together.contest.ranking import rank  # numpy is imported only where there is a vote

    return dict(rank(session_id, entries, comparisons).strengths)


def _places(session_id: str, entries: Sequence[int], comparisons: Sequence[Comparison]) -> dict[int, tuple[int, int]]:
    from cogs.together.contest.ranking import rank  # as above

    return rank(session_id, entries, comparisons).places()


async def decide(services: Services, session: Session, vote_round: int) -> Result:
    """Store and return the result. It depends on the votes alone, so that deciding again changes nothing."""
    entries = await services.db.contests.entries(session.id)
    comparisons = await services.db.contests.comparisons(session.id, vote_round)
    if not comparisons:
        return Result([], [])
    places = await asyncio.to_thread(_places, session.id, [entry.id for entry in entries], comparisons)
    await services.db.contests.set_result(session.id, places)
    ranked = [replace(entry, place=places[entry.id][0], rank=places[entry.id][1]) for entry in entries]
    return Result(sorted(ranked, key=lambda entry: entry.rank or 0), comparisons)


async def podium_left(services: Services, session: Session, vote_round: int) -> Result:
    """Return what is left of the podium of a decided contest: nobody moves up to the place of a deleted picture."""
    entries = await services.db.contests.entries(session.id)
    best = [entry for entry in entries if entry.rank is not None and entry.rank <= len(PODIUM_SIDES)]
    comparisons = await services.db.contests.comparisons(session.id, vote_round)
    return Result(sorted(best, key=lambda entry: entry.rank or 0), comparisons)


def named_winners(result: Result) -> list[int]:
    """Return the winners whom the text names: hundreds may share a place, and Discord pings at most a hundred."""
    best = result.entries[: len(PODIUM_SIDES)]
    return [entry.person_id for entry in best if entry.place == 1 and entry.person_id]


async def result_text(services: Services, show: Show, result: Result) -> str:
    """Return the text of the result, with the authors of the best pictures."""
    if not result.entries and not result.comparisons:
        return "\n".join([title(show), tr("Nobody voted, so nobody won.")])
    records = await services.db.jobs.get_many(entry.tile.job_id for entry in result.entries[: len(PODIUM_SIDES)])
    lines = [
        await _winner_line(services, show.session, entry, records[entry.tile.job_id])
        for entry in result.entries[: len(PODIUM_SIDES)]
        if entry.tile.job_id in records
    ]
    people = trn("{n} person voted", "{n} people voted", result.voters)
    compared = trn("{n} comparison", "{n} comparisons", len(result.comparisons))
    note = tr("Who shares a place could not be told apart.")
    ties = [note] if len({entry.place for entry in result.entries}) < len(result.entries) else []
    return "\n".join([title(show), *lines, f"-# {' · '.join([people, compared, *ties])}"])


async def _winner_line(services: Services, session: Session, entry: Entry, record: JobRecord) -> str:
    medal = MEDALS[min(entry.place or 1, 3) - 1]
    prompt = escape_markdown(prompt_words(record.job, MAX_PROMPT))
    origin = await _origin(services, session, entry)
    destination = record.job.destination
    link = ""
    if record.result_message_id is not None and not record.deleted and entry.person_id:
        url = jump_url(destination.guild_id, destination.result_channel_id, record.result_message_id)
        link = f" · [{tr('go there')}]({url})"
    return f"{medal} **{prompt}** · {whom(entry.person_id)}{origin}{link}"


def whom(person_id: int) -> str:
    """Return the mention of a person, or a word for somebody who had their data erased."""
    return f"<@{person_id}>" if person_id else tr("somebody")


async def _origin(services: Services, session: Session, entry: Entry) -> str:
    """Return whose picture an entry was made from, if that was somebody else's."""
    line = (await services.db.lineage.line(entry.tile.job_id))[1:]
    others = [
        each.person_id
        for each in line
        if each.person_id
        and each.person_id != entry.person_id
        and not each.private
        and each.guild_id == session.guild_id
    ]
    gone = {
        *await services.db.guilds.blocked_among(session.guild_id, others),
        *await services.db.personal_data.pending_erasures(),  # their jobs are there for a while
    }
    found = next((person for person in others if person not in gone), None)
    return f" · {tr('after a picture by {whom}', whom=whom(found))}" if found else ""


async def podium(client: Client, session: Session, result: Result) -> bytes | None:
    """Return the picture of the three best entries that its channel may show; None if there is none."""
    services, winners = client.services, list[Winner]()
    for entry in result.entries:
        record = await services.db.jobs.get(entry.tile.job_id)
        if record is not None and record.sensitive and not allows_nsfw(client, session.channel_id):
            continue  # its channel was age-restricted when it was entered
        try:
            image = await services.images.files.read(entry.tile)
        except (OSError, UserError):  # deleted, or damaged
            continue
        name = record.job.requester.name if record and entry.person_id == record.job.requester.id else ""
        winners.append(Winner(image, entry.place or 1, name or tr("somebody")))
        if len(winners) == len(PODIUM_SIDES):
            break
    return await asyncio.to_thread(draw_podium, winners) if winners else None
