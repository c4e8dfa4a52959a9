"""The end of a jam as a film: the pictures that won, in order."""

from __future__ import annotations

from bot.client import Client
from bot.ui import job_text
from bot.ui.i18n import tr
from cogs.together.film import ResultFilm, attach_film, attach_film_again
from db.together.sessions import Session
from generation.job import Action, Job
from generation.params import Tile


async def attach_jam_film(client: Client, session: Session, last: Job, message_id: int) -> None:
    """Add the film of a jam to the message with its `last` picture, unless it has one."""
    await attach_film(client, await _film(client, session, last, message_id))


async def redraw_jam_film(client: Client, session: Session, last: Job, message_id: int) -> None:
    """Make the film of a jam again, without pictures that were deleted; raises an error of Discord."""
    await attach_film_again(client, await _film(client, session, last, message_id))


async def _film(client: Client, session: Session, last: Job, message_id: int) -> ResultFilm:
    picture = job_text.image_description(last, client.services.registry)
    to = last.destination
    return ResultFilm(
        guild_id=session.guild_id,
        channel_id=to.result_channel_id,
        message_id=message_id,
        tiles=await _winning_tiles(client, session, last),
        params=last.params,
        description=tr("Film: the pictures that won each round, in order. The last one: {picture}", picture=picture),
        upload_limit=to.upload_limit,
    )


async def _winning_tiles(client: Client, session: Session, last: Job) -> list[Tile]:
    """Return the tile that won each round, and the last picture if that is another one."""
    rounds = await client.services.db.sessions.rounds(session.id)
    won = [made.facts for made in rounds if "parent" in made.facts and not made.facts.get("again")]
    tiles = [Tile.parse(str(facts["parent"])) for facts in won]
    return tiles if last.action is Action.PICK else [*tiles, Tile(last.id, 0)]
