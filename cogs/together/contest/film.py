"""The podium of a contest as a film: the third, the second, then the winner."""

from __future__ import annotations

from bot.client import Client
from bot.images.contest_pictures import PODIUM_SIDES
from bot.ui.i18n import tr
from cogs.together.contest.messages import prompt_words
from cogs.together.contest.results import MAX_PROMPT, Result
from cogs.together.film import ResultFilm, attach_film
from db.together.sessions import Session


async def attach_podium_film(client: Client, session: Session, result: Result, message_id: int) -> None:
    """Add the film of the best pictures to the message with a contest's result, unless it has one."""
    best = result.entries[: len(PODIUM_SIDES)]
    winner = await client.services.db.jobs.get(best[0].tile.job_id) if best else None
    if winner is None:
        return
    words = prompt_words(winner.job, MAX_PROMPT)
    film = ResultFilm(
        guild_id=session.guild_id,
        channel_id=session.channel_id,
        message_id=message_id,
        tiles=[entry.tile for entry in reversed(best)],
        params=winner.job.params,
        description=tr("Film: the best pictures, from the third place to the first: {picture}", picture=words),
    )
    await attach_film(client, film)
