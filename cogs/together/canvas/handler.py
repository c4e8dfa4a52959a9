"""The steps of a canvas: places are claimed, painted, placed and freed; every step is safe to repeat after a crash."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import discord

from bot.client import Client
from bot.jobs.delivery import ResultMessage
from bot.ui.i18n import tr
from cogs.together.canvas import messages
from cogs.together.canvas.finishing import FINISHING, Finishing
from cogs.together.canvas.geometry import Place, open_places, touch
from cogs.together.canvas.messages import Standing
from cogs.together.canvas.pictures import CanvasPictures
from cogs.together.canvas.standing import StandingMessage
from db.jobs import JobState
from db.together.canvases import PAINTING, Claim, Piece
from db.together.sessions import Session, SessionKind
from generation.job import Job
from generation.params import Tile

CLAIM_S = 600.0
MAX_CLAIM_S = 1800.0  # with candidates that were drawn again
LEAST_S = 180.0  # to choose, however long the candidates took
EXTENSION_S, MAX_DRAWING_S = 120.0, 3600.0  # while candidates are being drawn
PAUSE_S = 30.0  # between two pieces of one person
IDLE_S = 14 * 24 * 3600.0  # before a canvas that nobody paints is finished


class CanvasHandler:
    """Take the steps of canvases."""

    kind = SessionKind.CANVAS

    def __init__(self, client: Client) -> None:
        self.client, self.services = client, client.services
        self.sessions, self.canvases = client.services.db.sessions, client.services.db.canvases
        self.pictures = CanvasPictures(client.services.images.files)
        self.message = StandingMessage(client, self.pictures)
        self.finishing = Finishing(client, self.pictures, self.message)

    async def step(self, session: Session) -> None:
        """Free the places whose time is up; finish a canvas that nobody paints."""
        if session.phase == FINISHING:
            await self.finishing.submit(session)
            return
        now = self.services.clock()
        await self.canvases.free_expired(session.id, now, more=EXTENSION_S, most=MAX_DRAWING_S)
        pieces = await self.canvases.pieces(session.id)
        if (pieces[-1].placed_at if pieces else session.made_at) + IDLE_S <= now:
            await self.finish(session)
            return
        await self.changed(session.id)

    async def resume(self, session: Session) -> None:
        """Finish what a crash interrupted, free the places without a job, and show the present state."""
        if session.phase == FINISHING:
            await self.finishing.resume(session)
            return
        if await self.canvases.get(session.id) is None:  # the bot ended between the session and its canvas
            await self.sessions.end(session.id, self.services.clock())
            return
        for claim in await self.canvases.claims(session.id):
            record = await self.services.db.jobs.get(claim.job_id)
            is_lost = record is None and claim.at < self.services.clock() - LEAST_S
            if is_lost or (record is not None and record.state in (JobState.FAILED, JobState.CANCELLED)):
                await self.canvases.free(claim.job_id)
        await self.changed(session.id)

    async def close(self, session: Session, reason: str) -> None:
        """Say why a canvas has ended, with what was painted."""
        await self.canvases.free_all(session.id)
        await self.finishing.say_farewell(session, reason)
        self.message.refresh(session.id)

    async def changed(self, session_id: str) -> None:
        """Set when the next step is due, and show the present state."""
        await self.canvases.set_due(session_id, IDLE_S)
        self.client.sessions.timer.wake()
        self.message.refresh(session_id)

    # --- places and pieces

    def places(self, standing: Standing, person_id: int) -> list[Place]:
        """Return the places that a person may paint now."""
        canvas, painted = standing.canvas, {(cell.x, cell.y) for cell in standing.cells}
        busy = [(claim.x, claim.y) for claim in standing.claims]
        found = open_places(canvas.columns, canvas.rows, painted, busy)
        last = standing.pieces[-1] if standing.pieces else None
        if canvas.neighbours and last is not None and last.person_id == person_id:
            return [place for place in found if not touch(place, (last.x, last.y))]
        return found

    async def claim(self, claim: Claim) -> bool:
        """Give a place to a person; returns False if they cannot have it now."""
        return await self.canvases.claim(claim, PAUSE_S)

    async def let_go(self, claim: Claim) -> bool:
        """Give a place back; returns False if it was given back already."""
        freed = await self.canvases.free(claim.job_id)
        await self.changed(claim.session_id)
        return freed

    async def place(self, claim: Claim, index: int, *, sensitive: bool) -> Piece | None:
        """Place a candidate; returns None if its time is up. The cells are on the disk before they count."""
        canvas = await self.canvases.get(claim.session_id)
        if canvas is None:
            return None
        await self.pictures.cut(canvas, claim, Tile(claim.job_id, index))
        placed = await self.canvases.place(claim, index, self.services.clock(), sensitive=sensitive)
        if placed:
            await self.changed(claim.session_id)
            await self._finish_if_full(claim.session_id)
        piece = await self.canvases.piece_of_job(claim.job_id)
        return piece if placed else None

    async def _finish_if_full(self, session_id: str) -> None:
        session = await self.sessions.get(session_id)
        standing = await self.message.standing(session) if session is not None else None
        if session is not None and standing is not None and standing.is_full:
            await self.finish(session)

    async def finish(self, session: Session) -> bool:
        """Put the whole picture together; returns False if that has begun already."""
        await self.client.sessions.set_locale(session.guild_id)
        if not await self.canvases.pieces(session.id):
            return await self.client.sessions.end(session, tr("The canvas ends: nobody has painted anything."))
        begun = await self.finishing.begin(session)
        if begun:
            await self.canvases.free_all(session.id)
            self.message.refresh(session.id)
        return begun

    async def undo(self, piece: Piece) -> bool:
        """Take back a person's last piece; returns False if it is too late."""
        undone = await self.canvases.undo(piece, self.services.clock() - messages.UNDO_S)
        if undone:
            await self._tidy(piece.session_id)
            await self.changed(piece.session_id)
        return undone

    async def take_out(self, session: Session, number: int) -> bool:
        """Delete a piece for a moderator; returns False if it is not there any more."""
        if not await self.canvases.take_out(session.id, number):
            return False
        self.client.sessions.redrawer.wake()
        return True

    async def _tidy(self, session_id: str) -> None:
        await self.pictures.tidy(session_id, await self.canvases.cells(session_id))

    async def redraw(self, session: Session) -> bool:
        """Show the pieces that are left; returns False while the picture is being finished."""
        if session.ended_at is None and session.phase != PAINTING:
            return False
        await self._tidy(session.id)
        await self.canvases.set_due(session.id, IDLE_S)
        self.client.sessions.timer.wake()
        with suppress(discord.NotFound):  # its last picture may be there
            await self.message.show(session.id)
        return session.ended_at is None or await self.finishing.redraw(session)

    # --- jobs

    async def present(self, job: Job, message: ResultMessage) -> ResultMessage:
        """Give candidates their buttons, and the finished picture its credits."""
        claim = await self.canvases.claim_of_job(job.id)
        if claim is not None and job.destination.private:
            shown = replace(claim, until=await self._time_to_choose(claim))
            view = messages.candidates_view(shown, job.params.count)
            return replace(message, content=messages.candidates_text(shown), view=view)
        return await self.finishing.present(job, message)

    async def _time_to_choose(self, claim: Claim) -> float:
        now = self.services.clock()
        until = max(now + LEAST_S, min(now + CLAIM_S, claim.at + MAX_CLAIM_S))
        await self.canvases.set_until(claim.job_id, until)
        await self.canvases.set_due(claim.session_id, IDLE_S)
        self.client.sessions.timer.wake()
        return until

    def on_state_change(self, job_id: str, state: JobState) -> None:
        """Free a place whose candidates failed or were cancelled, and take notice of a finished picture."""
        if state in (JobState.POSTED, JobState.FAILED, JobState.CANCELLED):
            self.client.sessions.spawn(self._look_after(job_id, state), f"the end of job {job_id} could not be handled")

    async def _look_after(self, job_id: str, state: JobState) -> None:
        if state is not JobState.POSTED and (claim := await self.canvases.claim_of_job(job_id)):
            await self.let_go(claim)
        await self.finishing.look_after(job_id)

    async def stop(self) -> None:
        """Show nothing more."""
        await self.message.stop()


def newest_of(pieces: Sequence[Piece], person_id: int) -> Piece | None:
    """Return the last piece that a person has placed."""
    return next((piece for piece in reversed(pieces) if piece.person_id == person_id), None)
