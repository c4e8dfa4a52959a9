"""The end of a telephone: the pictures one by one, then all of them in a strip and a film."""

from __future__ import annotations

import asyncio
import io
import logging
from dataclasses import dataclass, replace

import discord

from bot.client import Client
from bot.discord_calls import NO_MENTIONS, TRANSPORT_ERRORS, IsPosted, find_message, post_once
from bot.images.telephone_strip import StripPicture, draw_strip
from bot.jobs.delivery import ResultMessage
from bot.jobs.recovery import post_unless_found
from bot.policy.visibility import allows_nsfw, is_nsfw_withheld
from bot.sessions.jobs import round_job_id
from bot.ui.i18n import tr
from bot.ui.job_views import result_view
from cogs.together.bell import pinged_people
from cogs.together.film import ResultFilm, attach_film
from cogs.together.telephone import messages
from cogs.together.telephone.left_over import drop_left_over
from cogs.together.telephone.phases import FINALE, FINALE_ROUND, REVEAL, suspense_of
from cogs.together.telephone.steps import Step, live_steps
from db.jobs import JobState
from db.together.sessions import Round, Session, SessionKind
from generation.errors import UserError
from generation.job import Job

log = logging.getLogger(__name__)

MAX_PINGED = 20
BUTTONS_IN_ROW = 5  # at most, by Discord's rules


@dataclass(frozen=True, slots=True)
class Strip:
    """All pictures of a telephone in one; None if there are none left."""

    data: bytes | None
    spoiler: bool

    def files(self) -> list[discord.File]:
        """Return the strip as a new file, because discord.py can send a file only once."""
        if self.data is None:
            return []
        description = tr("All pictures of the telephone in order, with their words")
        return [discord.File(io.BytesIO(self.data), "telephone.webp", spoiler=self.spoiler, description=description)]


class Reveal:
    """Show the pictures of telephones."""

    def __init__(self, client: Client) -> None:
        self.client, self.services = client, client.services
        self.sessions = client.services.db.sessions

    async def go_on(self, session: Session, *, button_is_off: bool = False) -> bool:
        """Show the next picture, or all of them after the last one; returns False if a rival was faster."""
        following = await self._next(session)
        due_at = self.services.clock() + suspense_of(session) if following else None
        phase, number = (REVEAL, following.made.number) if following else (FINALE, session.round)
        if session.phase != REVEAL or not await self.sessions.move(session.step_to(phase, number, due_at)):
            return False
        self.client.sessions.timer.wake()
        moved = await self.sessions.get(session.id)
        if moved is not None:
            if not button_is_off:
                await self._take_next_button_off(session)
            await (self.show(moved) if following else self.finish(moved))
        return True

    async def _next(self, session: Session) -> Step | None:
        steps = await live_steps(self.services, session)
        return next((each for each in steps if each.made.number > session.round), None)

    async def show(self, session: Session) -> None:
        """Post the present picture, unless that is done; it becomes an ordinary result, with all its buttons."""
        steps = await live_steps(self.services, session)
        step = next((each for each in steps if each.made.number == session.round), None)
        if step is None:  # deleted meanwhile
            await self.go_on(session)
            return
        if step.record.state is JobState.POSTED:
            return
        earlier = [each.record.result_message_id for each in steps if each.made.number < session.round]
        job_id = step.record.job.id
        await self.services.db.jobs.release(job_id, earlier[-1] if earlier else None)
        record = await self.services.db.jobs.get(job_id)
        if record is None or record.state is not JobState.GENERATED:
            return
        try:
            await post_unless_found(self.client.jobs.runner, record, None)
        except Exception as error:
            await self.client.jobs.runner.fail(record.job, None, error)
            await self.go_on(session)

    async def present(self, job: Job, message: ResultMessage) -> ResultMessage:
        """Give a picture its words, its author, and the button for the next one."""
        made = await self.sessions.find_round(job.id)
        session = await self.sessions.get(made.session_id) if made else None
        if made is None or session is None or session.kind is not SessionKind.TELEPHONE:
            return message
        steps = await live_steps(self.services, session)
        place = next((place for place, each in enumerate(steps) if each.made.number == made.number), None)
        if place is None:
            return message
        pinged = await self._pinged(session, steps) if place == 0 else ()
        text = messages.step_text(steps[place], place + 1, len(steps), pinged)
        view = self._view(job, session, made.number)
        return replace(message, content=text, view=view, pinged=pinged)

    def _view(self, job: Job, session: Session, number: int) -> discord.ui.View:
        view, ordinary = discord.ui.View(timeout=None), self.ordinary_view(job).children
        is_full = sum(item.row == 0 for item in ordinary) == BUTTONS_IN_ROW  # with *Colour*, the first one is
        view.add_item(messages.next_button(session.id, number, row=1 if is_full else 0))
        for item in ordinary:
            view.add_item(item)
        view.stop()
        return view

    def ordinary_view(self, job: Job) -> discord.ui.View:
        """Return the buttons of a picture without the one for the next picture."""
        return result_view(job, self.services.registry.find(job.params.model))

    async def _pinged(self, session: Session, steps: list[Step]) -> tuple[int, ...]:
        """Return who is told that the pictures are shown: the authors, and who pressed the bell."""
        authors = [each.person_id for each in steps if each.person_id]
        return tuple(dict.fromkeys([*authors, *await pinged_people(self.services, session)]))[:MAX_PINGED]

    async def _take_next_button_off(self, session: Session) -> None:
        """Leave the ordinary buttons below the picture that was shown last."""
        made = await self.sessions.round(session.id, session.round)
        record = await self.services.db.jobs.get(made.job_id) if made else None
        if record is None or record.result_message_id is None or record.deleted:
            return
        view = self.ordinary_view(record.job)
        try:
            await self._channel(session).get_partial_message(record.result_message_id).edit(view=view)
        except discord.HTTPException as error:
            log.info("session %s: the button of a picture could not be removed: %s", session.id, error)

    # --- the last message

    async def finish(self, session: Session) -> None:
        """Post the strip and the film once, and end the game."""
        steps = await live_steps(self.services, session)
        if steps:
            try:
                message_id = await self._post_strip(session, steps)
            except TRANSPORT_ERRORS as error:
                log.info("session %s: could not post in its channel: %s", session.id, error)
            else:
                await self._attach_film(session, steps, message_id)
        if await self.sessions.end(session.id, self.services.clock()):
            await drop_left_over(self.client, session)

    async def _post_strip(self, session: Session, steps: list[Step]) -> int:
        channel = self._channel(session)
        text, view = messages.finale_text(steps), messages.finale_view(session.id)
        strip = await self._strip(session, steps)

        async def send() -> int:
            sent = await channel.send(
                text, files=strip.files(), view=view, allowed_mentions=NO_MENTIONS, nonce=f"{session.id}-end"
            )
            return sent.id

        message_id = await post_once(channel, session.made_at, _is_finale_of(session), send, search_first=True)
        made = Round(session_id=session.id, number=FINALE_ROUND, job_id=round_job_id(session.id, FINALE_ROUND))
        await self.sessions.add_round(made)
        await self.sessions.set_round_message(session.id, FINALE_ROUND, message_id)
        return message_id

    async def redraw(self, session: Session) -> None:
        """Leave only what may still be shown in the last message; delete it if that is nothing."""
        message_id, steps = await self._find_finale(session), await live_steps(self.services, session)
        if message_id is None:
            return
        message = self._channel(session).get_partial_message(message_id)
        if not steps:
            await message.delete()
            return
        files = (await self._strip(session, steps)).files()
        await message.edit(content=messages.finale_text(steps), attachments=files, allowed_mentions=NO_MENTIONS)
        await self._attach_film(session, steps, message_id)

    async def _find_finale(self, session: Session) -> int | None:
        made = await self.sessions.round(session.id, FINALE_ROUND)
        if made is not None:
            return made.message_id
        return await find_message(self._channel(session), session.made_at, _is_finale_of(session))

    def _channel(self, session: Session) -> discord.PartialMessageable:
        return self.client.get_partial_messageable(session.place_id, guild_id=session.guild_id)

    async def _strip(self, session: Session, steps: list[Step]) -> Strip:
        withheld = await is_nsfw_withheld(self.services.policy, self.client, session.guild_id, session.place_id)
        shown = [each for each in steps if not (each.record.sensitive and withheld)]
        pictures: list[StripPicture] = []
        for step in shown:
            try:
                image = await self.services.images.files.read(step.tile)
            except (OSError, UserError):  # deleted meanwhile, or damaged
                continue
            name = step.record.job.requester.name
            pictures.append(StripPicture(image, step.words, f"🤖 {name}" if step.is_robot else name))
        strip = await asyncio.to_thread(draw_strip, pictures) if pictures else None
        is_sensitive = any(each.record.sensitive for each in shown)
        return Strip(strip, is_sensitive and not allows_nsfw(self.client, session.place_id))

    async def _attach_film(self, session: Session, steps: list[Step], message_id: int) -> None:
        film = ResultFilm(
            guild_id=session.guild_id,
            channel_id=session.place_id,
            message_id=message_id,
            tiles=[each.tile for each in steps],
            params=steps[-1].record.job.params,
            description=tr("Film: all pictures of the telephone in order"),
            upload_limit=int(session.settings.get("upload_limit", 0)) or steps[-1].record.job.destination.upload_limit,
        )
        await attach_film(self.client, film)


def _is_finale_of(session: Session) -> IsPosted:
    """Return a test for the last message of a game, which has its button to play again."""
    again = messages.again_button(session.id).custom_id

    def is_finale(message: discord.Message) -> bool:
        rows = (row for row in message.components if isinstance(row, discord.ActionRow))
        return again in [getattr(item, "custom_id", None) for row in rows for item in row.children]

    return is_finale
