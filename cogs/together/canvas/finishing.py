"""The end of a canvas: the whole picture as a job that draws nothing, with credits, a map, a zip and a film."""

from __future__ import annotations

import asyncio
import csv
import io
import logging
import zipfile
from dataclasses import replace
from typing import Any

import discord

from bot.client import Client
from bot.discord_calls import NO_MENTIONS, TRANSPORT_ERRORS, retry_until_available
from bot.images.films import FilmNotMade
from bot.jobs.delivery import ResultMessage
from bot.policy.policy import JobRequest
from bot.policy.visibility import allows_nsfw
from bot.sessions.jobs import host_context, round_job_id, session_destination
from bot.ui.errors import user_message
from bot.ui.i18n import tr
from bot.ui.job_text import MAX_DESCRIPTION_LENGTH, image_description
from bot.ui.text import truncate
from cogs.together.canvas import messages
from cogs.together.canvas.messages import Standing
from cogs.together.canvas.pictures import CanvasPictures
from cogs.together.canvas.standing import StandingMessage, needs_spoiler
from db.jobs import JobRecord, JobState
from db.lineage import Credit
from db.together.sessions import Round, Session, SessionKind
from generation.errors import UserError
from generation.files.infotext import infotext
from generation.films.order import FilmOrder
from generation.job import Action, Job, Requester
from generation.messages import Grid
from generation.params import Params, Tile, from_dict
from generation.planning.canvas import finished_canvas

FINISHING = "finishing"
REASON = "reason"  # why a canvas ended unfinished, among the facts of its round
PICTURE_NAME = "canvas.png"
COLUMNS = ("piece", "column", "row", "words", "author")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet would run
log = logging.getLogger(__name__)


class Finishing:
    """Finishes canvases."""

    def __init__(self, client: Client, pictures: CanvasPictures, message: StandingMessage) -> None:
        self._client, self._services = client, client.services
        self._sessions, self._canvases = client.services.db.sessions, client.services.db.canvases
        self._pictures, self._message = pictures, message
        self._posting = set[str]()  # the canvases whose end is being posted

    async def begin(self, session: Session) -> bool:
        """Take the step that ends the painting; returns False if it was taken already."""
        made = Round(session_id=session.id, number=1, job_id=round_job_id(session.id, 1))
        if not await self._sessions.move_to_round(session.step_to(FINISHING, 1), made):
            return False
        moved = await self._sessions.get(session.id)
        if moved is not None:
            await self.submit(moved)
        return True

    async def submit(self, session: Session) -> None:
        """Submit the job that puts the picture together; without a host who may, only show the picture."""
        standing = await self._message.standing(session)
        if standing is None:
            await self._sessions.end(session.id, self._services.clock())
            return
        job = self._job(session, standing)
        request = JobRequest(action=Action.PICK, params=from_dict(session.settings["params"]))
        try:
            await self._client.jobs.submit_for(host_context(session), request, job, _credits(standing))
        except UserError as error:
            await self._client.sessions.end(session, user_message(error))

    async def resume(self, session: Session) -> None:
        """Submit the job if a crash came first, and take notice of its end."""
        record = await self._services.db.jobs.get(round_job_id(session.id, 1))
        await (self.submit(session) if record is None else self._take_notice(session, record))

    async def look_after(self, job_id: str) -> None:
        """End the canvas whose picture a job has put together."""
        found = await self._find(job_id)
        record = await self._services.db.jobs.get(job_id) if found else None
        if found is not None and record is not None:
            await self._take_notice(found, record)

    async def _find(self, job_id: str) -> Session | None:
        made = await self._sessions.find_round(job_id)
        session = await self._sessions.get(made.session_id) if made else None
        return session if session is not None and session.kind is SessionKind.CANVAS else None

    async def _take_notice(self, session: Session, record: JobRecord) -> None:
        if session.phase != FINISHING:
            return
        if record.state is JobState.POSTED and record.result_message_id is not None:
            await self._sessions.set_round_message(session.id, 1, record.result_message_id)
            await self._client.sessions.set_locale(session.guild_id)
            try:
                await self._attach_extras(session, record)  # first: a restart goes on until it is ended
            except (UserError, *TRANSPORT_ERRORS) as error:
                log.warning("canvas %s gets no film: %s", session.id, error)
            await self._sessions.end(session.id, self._services.clock())
            self._message.refresh(session.id)
        elif record.state in (JobState.FAILED, JobState.CANCELLED):
            await self._client.sessions.end(session, record.end_message or "")

    def _job(self, session: Session, standing: Standing) -> Job:
        canvas, settings = standing.canvas, session.settings
        params = finished_canvas(from_dict(settings["params"]), canvas.columns, canvas.rows, canvas.cell)
        return Job(
            id=round_job_id(session.id, 1),
            action=Action.PICK,
            params=params,
            requester=Requester(session.host_id, settings["host_name"]),
            destination=session_destination(session),
            parent=None,
            asked_at=self._services.clock(),
        )

    async def compose(self, job: Job) -> tuple[bytes, bool] | None:
        """Return the whole picture as PNG, and whether a piece of it is sensitive; None for another job."""
        session = await self._find(job.id)
        standing = await self._message.standing(session) if session is not None else None
        if standing is None:
            return None
        return await self._whole(standing, job.params), any(piece.sensitive for piece in standing.pieces)

    async def _whole(self, standing: Standing, params: Params) -> bytes:
        picture = await self._pictures.whole(standing.canvas, standing.cells)
        model, job_id = self._services.registry.find(params.model), round_job_id(standing.session.id, 1)
        with_prompt = not self._services.config.pictures_without_prompts
        text = infotext(params, model, 0, job_id=job_id, with_prompt=with_prompt) if model is not None else ""

        def encode() -> bytes:
            from generation.files.png_encoder import encode_png  # numpy is imported only where it is needed

            return encode_png(picture, text)

        return await self._services.images.resizer.sign(await asyncio.to_thread(encode), "png", params, job_id)

    async def present(self, job: Job, message: ResultMessage) -> ResultMessage:
        """Give the finished picture its credits."""
        session = await self._find(job.id)
        standing = await self._message.standing(session) if session is not None else None
        if standing is None:
            return message
        return replace(message, content=messages.finale_text(standing))

    # --- what comes with the picture

    async def _attach_extras(self, session: Session, record: JobRecord, main: discord.File | None = None) -> None:
        """Add the map, the zip and the film to the picture's message, unless it has them; `main` replaces all."""
        to, standing = record.job.destination, await self._message.standing(session)
        assert record.result_message_id is not None
        place = self._client.get_partial_messageable(to.result_channel_id, guild_id=to.guild_id)
        message = await retry_until_available(lambda: place.fetch_message(record.result_message_id or 0))
        if standing is None or (len(message.attachments) > 1 and main is None):
            return
        shown: list[Any] = [main] if main is not None else list(message.attachments)
        files = [*shown, *await self._extras(standing, record.job)]
        content = messages.finale_text(standing)
        await message.edit(content=content, attachments=files, allowed_mentions=NO_MENTIONS)

    async def _extras(self, standing: Standing, job: Job) -> list[discord.File]:
        canvas, theme = standing.canvas, str(standing.session.settings.get("theme", ""))
        names, limit = standing.names(), job.destination.upload_limit
        hidden = needs_spoiler(self._client, standing)
        credit_map = await self._pictures.credit_map(canvas, standing.cells, standing.pieces, names)
        files = [_file(credit_map, f"credits_{job.id}.webp", tr("Who painted what, in colours"), spoiler=hidden)]
        packed = await self._zip(standing, job)
        if packed is not None and len(packed) <= limit:
            files.append(_file(packed, f"canvas_{job.id}.zip", tr("The picture and the list of its pieces")))
        film = await self._film(standing, job)
        if film is not None:
            description = tr("Film: how the canvas grew, piece by piece: {theme}", theme=theme)
            files.append(_file(film, f"film_{job.id}.webp", description, spoiler=hidden))
        return files

    async def _film(self, standing: Standing, job: Job) -> bytes | None:
        frames = await self._pictures.frames(standing.canvas, standing.cells)
        if len(frames) < 2:
            return None
        order = FilmOrder(tuple(frames), job.destination.upload_limit)
        try:
            return await self._services.images.films.make(order, job.params)
        except FilmNotMade as error:
            log.warning("job %s gets no film: %s", job.id, error)
            return None

    async def _zip(self, standing: Standing, job: Job) -> bytes | None:
        try:
            picture = await self._services.images.files.read(Tile(job.id, 0))
        except FileNotFoundError:
            return None
        return await asyncio.to_thread(_packed, picture, _table(standing))

    async def redraw(self, session: Session) -> bool:
        """Put the last picture together again, of which pieces are gone; returns False while it is being posted."""
        if session.id in self._posting:
            return False
        record = await self._services.db.jobs.get(round_job_id(session.id, 1))
        standing = await self._message.standing(session)
        if standing is None or (record is not None and record.deleted):
            return True
        if record is not None and record.result_message_id is not None:
            await self._redraw_finished(standing, record)
        else:
            await self._redraw_farewell(standing)
        return True

    async def _redraw_finished(self, standing: Standing, record: JobRecord) -> None:
        job, files = record.job, self._services.images.files
        picture, limit = await self._whole(standing, job.params), job.destination.upload_limit
        image, suffix = picture, "png"
        if record.suffix != suffix or len(picture) > limit:  # it was too large before, too
            image, suffix = await asyncio.to_thread(
                self._services.images.resizer.shrink, picture, limit, job.params, job.id
            )
        await files.delete_thumbnail(Tile(job.id, 0))
        await files.save(job.id, Grid((picture,), image, suffix, 0.0))
        await self._services.db.picture_index.index_again(job.id)
        hidden = record.sensitive and not allows_nsfw(self._client, job.destination.result_channel_id)
        description = image_description(job, self._services.registry)
        await self._attach_extras(
            standing.session, record, _file(image, f"canvas_{job.id}.{suffix}", description, spoiler=hidden)
        )

    async def say_farewell(self, session: Session, reason: str) -> None:
        """Post why a canvas ends, with its picture as far as it was painted."""
        standing = await self._message.standing(session)
        if standing is None:
            await self._client.sessions.say(session, f"🖼️ {reason}")
            return
        made = Round(session_id=session.id, number=1, job_id=round_job_id(session.id, 1), facts={REASON: reason})
        await self._sessions.add_round(made)
        self._posting.add(session.id)
        try:
            await self._post_farewell(standing, made)
        except TRANSPORT_ERRORS as error:
            log.info("canvas %s: could not post its end: %s", session.id, error)
        finally:
            self._posting.discard(session.id)

    async def _post_farewell(self, standing: Standing, made: Round) -> None:
        session = standing.session
        place = self._client.get_partial_messageable(session.place_id, guild_id=session.guild_id)
        text, files = await self._farewell(standing, made)
        message = await retry_until_available(lambda: place.send(text, files=files, allowed_mentions=NO_MENTIONS))
        await self._sessions.set_round_message(session.id, 1, message.id)

    async def _farewell(self, standing: Standing, made: Round) -> tuple[str, list[discord.File]]:
        text = f"🖼️ {made.facts[REASON]}"
        if not standing.pieces or needs_spoiler(self._client, standing):
            return text, []
        return "\n".join([text, messages.credits_line(standing.counts())]), [await self._message.picture(standing)]

    async def _redraw_farewell(self, standing: Standing) -> None:
        session = standing.session
        made = await self._sessions.round(session.id, 1)
        if made is None or made.message_id is None or REASON not in made.facts:
            return
        place = self._client.get_partial_messageable(session.place_id, guild_id=session.guild_id)
        text, files = await self._farewell(standing, made)
        message = place.get_partial_message(made.message_id)
        await message.edit(content=text, attachments=files, allowed_mentions=NO_MENTIONS)


def _file(data: bytes, name: str, description: str, *, spoiler: bool = False) -> discord.File:
    text = truncate(description, MAX_DESCRIPTION_LENGTH)
    return discord.File(io.BytesIO(data), name, spoiler=spoiler, description=text)


def _packed(picture: bytes, table: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as packed:
        packed.writestr(PICTURE_NAME, picture)
        packed.writestr("pieces.csv", "\ufeff" + table)
    return file.getvalue()


def _table(standing: Standing) -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for number, piece in enumerate(standing.pieces, start=1):
        author = piece.name if standing.author(piece) else ""
        row = (number, piece.x + 1, piece.y + 1, piece.words, author)
        writer.writerow([f"'{each}" if str(each).startswith(_FORMULA) else each for each in row])
    return file.getvalue()


def _credits(standing: Standing) -> list[Credit]:
    placed = [
        Credit(person_id=person, part="placed", weight=float(number)) for person, number in standing.counts().items()
    ]
    return [Credit(person_id=standing.session.host_id, part="worded"), *placed]
