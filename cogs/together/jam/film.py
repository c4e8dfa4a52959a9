"""The end of a jam as a film: the pictures that won, in order, attached to the message with the last one."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass

import discord

from bot.client import Client
from bot.discord_calls import NO_MENTIONS, TRANSPORT_ERRORS, retry_until_available
from bot.images.films import FilmNotMade
from bot.policy.visibility import allows_nsfw, is_nsfw_withheld
from bot.ui import job_text
from bot.ui.i18n import tr
from bot.ui.text import truncate
from db.sessions import Session
from generation.errors import UserError
from generation.films.order import FilmOrder
from generation.job import Action, Job
from generation.params import Tile

MIN_PICTURES = 2
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Winners:
    """The pictures that won and still exist, in order; `sensitive` if the classifier flagged one of them."""

    pictures: tuple[bytes, ...]
    sensitive: bool


async def attach_film(client: Client, session: Session, last: Job, message_id: int) -> None:
    """Add the film of a jam to the message with its `last` picture, unless it has one: it is deleted with that.

    A jam ends without a film if none can be made.
    """
    to = last.destination
    place = client.get_partial_messageable(to.result_channel_id, guild_id=to.guild_id)
    try:
        message = await retry_until_available(lambda: place.fetch_message(message_id))
        if any(attachment.filename.endswith(_filename(last)) for attachment in message.attachments):
            return
        film = await _film(client, session, last)
        if film is not None:
            await message.edit(attachments=[*message.attachments, film], allowed_mentions=NO_MENTIONS)
    except (FilmNotMade, UserError, *TRANSPORT_ERRORS) as error:
        log.warning("session %s ends without a film: %s", session.id, error)


async def _film(client: Client, session: Session, last: Job) -> discord.File | None:
    winners = await _winners(client, session, last)
    if len(winners.pictures) < MIN_PICTURES:
        return None
    order = FilmOrder(winners.pictures, last.destination.upload_limit)
    film = await client.services.images.films.make(order, last.params)
    spoiler = winners.sensitive and not allows_nsfw(client, last.destination.result_channel_id)
    return discord.File(io.BytesIO(film), _filename(last), spoiler=spoiler, description=_description(client, last))


def _filename(last: Job) -> str:
    return f"film_{last.id}.webp"


def _description(client: Client, last: Job) -> str:
    picture = job_text.image_description(last, client.services.registry)
    text = tr("Film: the pictures that won each round, in order. The last one: {picture}", picture=picture)
    return truncate(text, job_text.MAX_DESCRIPTION_LENGTH)


async def _winners(client: Client, session: Session, last: Job) -> Winners:
    services, to = client.services, last.destination
    withheld = await is_nsfw_withheld(services.policy, client, to.guild_id, to.result_channel_id)
    pictures, any_sensitive = list[bytes](), False
    for tile in await _winning_tiles(client, session, last):
        record = await services.db.jobs.get(tile.job_id)
        if record is None or record.deleted or (record.sensitive and withheld):
            continue
        try:
            pictures.append(await services.images.files.read(tile))
        except FileNotFoundError:
            continue
        any_sensitive |= record.sensitive
    return Winners(tuple(pictures), any_sensitive)


async def _winning_tiles(client: Client, session: Session, last: Job) -> list[Tile]:
    """Return the tile that won each round, and the last picture if that is another one."""
    rounds = await client.services.db.sessions.rounds(session.id)
    won = [made.facts for made in rounds if "parent" in made.facts and not made.facts.get("again")]
    tiles = [Tile.parse(str(facts["parent"])) for facts in won]
    return tiles if last.action is Action.PICK else [*tiles, Tile(last.id, 0)]
