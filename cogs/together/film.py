"""Films of what people made together, attached to the message with the result: they are deleted with that."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import discord

from bot.client import Client
from bot.discord_calls import NO_MENTIONS, TRANSPORT_ERRORS, retry_until_available
from bot.images.films import MAX_BYTES, FilmNotMade
from bot.policy.visibility import allows_nsfw, is_nsfw_withheld
from bot.ui.job_text import MAX_DESCRIPTION_LENGTH
from bot.ui.text import truncate
from generation.errors import UserError
from generation.films.order import FilmOrder
from generation.params import Params, Tile

MIN_PICTURES = 2
FILM_PREFIX = "film_"  # of the names of files
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFilm:
    """A film of `tiles` in order, the last one being the finished picture with its `params`, and where it belongs."""

    guild_id: int
    channel_id: int
    message_id: int
    tiles: Sequence[Tile]
    params: Params
    description: str
    upload_limit: int = MAX_BYTES


@dataclass(frozen=True, slots=True)
class _Pictures:
    """The pictures that still exist and may be shown; `sensitive` if the classifier flagged one of them."""

    files: tuple[bytes, ...]
    sensitive: bool


async def attach_film(client: Client, film: ResultFilm) -> None:
    """Add a film to its message, unless it has one or fewer than two of its pictures exist.

    The result does not depend on it: if no film can be made, that is logged.
    """
    try:
        message = await _fetch(client, film)
        if any(map(_is_film, message.attachments)):
            return
        file = await _make(client, film)
        if file is not None:
            await message.edit(attachments=[*message.attachments, file], allowed_mentions=NO_MENTIONS)
    except (FilmNotMade, UserError, *TRANSPORT_ERRORS) as error:
        log.warning("message %s gets no film: %s", film.message_id, error)


async def attach_film_again(client: Client, film: ResultFilm) -> None:
    """Make the film of a message, if it has one, again: without what is gone. Raises an error of Discord."""
    message = await _fetch(client, film)
    others = [each for each in message.attachments if not _is_film(each)]
    if len(others) < len(message.attachments):
        await message.edit(attachments=others, allowed_mentions=NO_MENTIONS)
        await attach_film(client, film)


def _is_film(attachment: discord.Attachment) -> bool:
    return attachment.filename.removeprefix("SPOILER_").startswith(FILM_PREFIX)


async def _fetch(client: Client, film: ResultFilm) -> discord.Message:
    place = client.get_partial_messageable(film.channel_id, guild_id=film.guild_id)
    return await retry_until_available(lambda: place.fetch_message(film.message_id))


async def _make(client: Client, film: ResultFilm) -> discord.File | None:
    pictures = await _pictures(client, film)
    if len(pictures.files) < MIN_PICTURES:
        return None
    data = await client.services.images.films.make(FilmOrder(pictures.files, film.upload_limit), film.params)
    return discord.File(
        io.BytesIO(data),
        f"{FILM_PREFIX}{film.tiles[-1].job_id}.webp",
        spoiler=pictures.sensitive and not allows_nsfw(client, film.channel_id),
        description=truncate(film.description, MAX_DESCRIPTION_LENGTH),
    )


async def _pictures(client: Client, film: ResultFilm) -> _Pictures:
    services, files, any_sensitive = client.services, list[bytes](), False
    withheld = await is_nsfw_withheld(services.policy, client, film.guild_id, film.channel_id)
    for tile in film.tiles:
        record = await services.db.jobs.get(tile.job_id)
        if record is None or record.deleted or (record.sensitive and withheld):
            continue
        try:
            files.append(await services.images.files.read(tile))
        except FileNotFoundError:
            continue
        any_sensitive |= record.sensitive
    return _Pictures(tuple(files), any_sensitive)
