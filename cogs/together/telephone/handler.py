"""The turns of a picture telephone; every step is safe to repeat after a crash."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import discord

from bot.client import Client
from bot.discord_calls import NO_MENTIONS, post_once
from bot.jobs.delivery import ResultMessage
from bot.policy.policy import JobRequest
from bot.sessions.jobs import person_context, session_destination
from bot.sessions.names import take_names_out
from bot.ui.i18n import tr
from cogs.together.jam.rules import seed_for
from cogs.together.telephone import messages
from cogs.together.telephone.absent import words_for_absent
from cogs.together.telephone.left_over import drop_left_over
from cogs.together.telephone.messages import PREFIX
from cogs.together.telephone.phases import (
    BEGUN_AT,
    DRAWING,
    FINALE,
    JOINING,
    LOT,
    MAX_ATTEMPTS,
    MIN_PLAYERS,
    REVEAL,
    ROBOT,
    TURN,
    WORDS,
    attempts,
    seconds_of,
    suspense_of,
    turn_again,
    turn_of,
    written,
)
from cogs.together.telephone.reveal import Reveal
from cogs.together.telephone.steps import Step, live_steps
from db.jobs import JobRecord, JobState
from db.lineage import Credit
from db.together.sessions import Round, Session, SessionKind
from db.together.telephones import Player
from generation.errors import UserError
from generation.job import Action, Job, Requester
from generation.params import Params, PromptPart, from_dict

log = logging.getLogger(__name__)


class TelephoneHandler:
    """Take the steps of telephones."""

    kind = SessionKind.TELEPHONE

    def __init__(self, client: Client) -> None:
        self.client, self.services = client, client.services
        self.sessions, self.telephones = client.services.db.sessions, client.services.db.telephones
        self.reveal = Reveal(client)

    async def step(self, session: Session) -> None:
        """Take the step that is due."""
        match session.phase:
            case phase if phase == JOINING:
                await self._end_joining(session)
            case phase if phase == TURN:
                await self._end_turn(session)
            case phase if phase == REVEAL:
                await self.reveal.go_on(session)
            case _:
                await self.resume(session)

    async def resume(self, session: Session) -> None:
        """Do what the present phase needs and a crash may have left undone."""
        if session.phase == JOINING and session.message_id is None:
            await self._post_lobby(session)
        elif session.phase == TURN:
            await self._announce(session, await self._round(session))
        elif session.phase == DRAWING:
            await self.draw(session)
        elif session.phase == REVEAL:
            await self.reveal.show(session)
        elif session.phase == FINALE:
            await self.reveal.finish(session)

    async def close(self, session: Session, reason: str) -> None:
        """Say why a game has ended, and give up the pictures that were not shown."""
        await self.client.sessions.say(session, f"📞 {reason}")
        await drop_left_over(self.client, session)

    async def redraw(self, session: Session) -> bool:
        """Show who is left of the players, or what is left of the pictures; returns False before these are posted."""
        if session.phase == FINALE:
            return False
        await take_names_out(self.client, self.services, session)
        if session.ended_at is not None:
            await self.reveal.redraw(session)
        elif session.phase == JOINING and session.message_id is not None:
            players = await self.telephones.players(session.id)
            await self._edit_lobby(session, session.message_id, messages.lobby_view(session, players))
        return True

    # --- players

    async def join(self, session: Session, player: Player) -> bool:
        """Add a player; returns False if that is not possible any more, or they play already."""
        return await self.telephones.join(player, JOINING, int(session.settings["players"]))

    async def begin_if_full(self, session: Session) -> None:
        """Begin a game all of whose places are taken."""
        players = await self.telephones.players(session.id)
        if len(players) >= int(session.settings["players"]):
            await self.begin(session)

    async def begin(self, session: Session) -> bool:
        """Begin the first turn; returns False if there are too few players, or a rival was faster."""
        if session.phase != JOINING or len(await self.telephones.players(session.id)) < MIN_PLAYERS:
            return False
        return await self._next_turn(session)

    async def _end_joining(self, session: Session) -> None:
        if not await self.begin(session):
            await self.client.sessions.end(session, tr("Too few people joined, so the telephone ends here."))

    async def _post_lobby(self, session: Session) -> None:
        """Post the message of a game for which a crash came before the response."""
        players = await self.telephones.players(session.id)
        text, view = messages.lobby_text(session, players), messages.lobby_view(session, players)
        message_id = await self._post(session, session.made_at, f"{PREFIX}:join:{session.id}", text, view, session.id)
        await self.sessions.set_place(session.id, session.thread_id, message_id)

    async def show_lobby_again(self, session: Session) -> None:
        """Take the buttons off the message that looked for players, once the game has begun."""
        if session.message_id is None:
            return
        try:
            await self._edit_lobby(replace(session, due_at=None), session.message_id, None)
        except discord.HTTPException as error:
            log.info("session %s: its first message could not be updated: %s", session.id, error)

    async def _edit_lobby(self, session: Session, message_id: int, view: discord.ui.View | None) -> None:
        channel = self.client.get_partial_messageable(session.channel_id, guild_id=session.guild_id)
        text = messages.lobby_text(session, await self.telephones.players(session.id))
        await channel.get_partial_message(message_id).edit(content=text, view=view, allowed_mentions=NO_MENTIONS)

    # --- turns

    async def _next_turn(self, session: Session) -> bool:
        """Give the turn to the next player, or begin the reveal; returns False if a rival was faster."""
        made = await self.sessions.round(session.id, session.round)
        lot = str(made.facts[LOT]) if made else ""
        player = next((each for each in await self.telephones.players(session.id) if each.lot > lot), None)
        if player is None:
            await self.end_turns(session)
            return True
        now = self.services.clock()
        move = session.step_to(TURN, session.round + 1, now + seconds_of(session))
        begun = turn_of(player, move.to_round, now)
        if not await self.sessions.move_to_round(move, begun):
            return False
        await self._announce_moved(session, begun)
        if session.phase == JOINING:
            await self.show_lobby_again(session)
        return True

    async def end_turns(self, session: Session) -> None:
        """Show what was drawn, or end the game if that is nothing."""
        steps = await live_steps(self.services, session)
        if not steps:
            await self.client.sessions.end(session, tr("Nobody wrote anything, so the telephone ends here."))
            return
        due_at = self.services.clock() + suspense_of(session)
        if await self.sessions.move(session.step_to(REVEAL, steps[0].made.number, due_at)):
            self.client.sessions.timer.wake()
            await self._drop_drawing(session)
            if (moved := await self.sessions.get(session.id)) is not None:
                await self.reveal.show(moved)

    async def _drop_drawing(self, session: Session) -> None:
        """Cancel the picture that is being drawn when the turns are ended before their time."""
        made = await self.sessions.round(session.id, session.round)
        if made is not None and await self.services.db.jobs.cancel(made.job_id, tr("The telephone has ended.")):
            await self.client.tasks.cancel(made.job_id)

    async def _end_turn(self, session: Session) -> None:
        """Let the model write for a player who is away, if it can; otherwise the next one has their turn."""
        made, last = await self._round(session), await self.last_picture(session)
        player = await self._player(session, made)
        words = None
        if player is not None and last is not None:
            words = await words_for_absent(self.services, self.job_for(session, made, player), last.tile)
        if (await self._round(session)).job_id != made.job_id:  # they wrote meanwhile, and are asked once more
            return
        if words is None:
            await self._next_turn(session)
        else:
            await self.write(session, written(made, words, robot=True))

    async def _player(self, session: Session, made: Round) -> Player | None:
        """Return whose turn it is; None if they had their data erased."""
        players = await self.telephones.players(session.id)
        return next((each for each in players if each.person_id == made.worded_by), None)

    async def last_picture(self, session: Session) -> Step | None:
        """Return the picture that the present player writes about; None for the first one."""
        steps = await live_steps(self.services, session)
        return next((each for each in reversed(steps) if each.made.number < session.round), None)

    async def skip(self, session: Session) -> bool:
        """End a turn at once; returns False if it has ended already."""
        is_skipped = session.phase == TURN and await self.sessions.postpone(session, self.services.clock())
        self.client.sessions.timer.wake()
        return is_skipped

    async def write(self, session: Session, made: Round) -> bool:
        """Have what was written in a turn drawn; returns False if the turn is over."""
        if session.phase != TURN or not await self.sessions.move_in_round(
            session.step_to(DRAWING, session.round, None), made
        ):
            return False
        if (moved := await self.sessions.get(session.id)) is not None:
            await self.draw(moved)
        return True

    # --- drawing

    async def draw(self, session: Session) -> None:
        """Submit the job of the present turn; if it is there already, take notice of its end."""
        made = await self._round(session)
        record = await self.services.db.jobs.get(made.job_id)
        if record is not None:
            await self._take_notice(record)
            return
        player = await self._player(session, made)
        try:
            if player is None or not made.facts.get(WORDS):
                raise UserError("the player is gone")
            job = self.job_for(session, made, player)
            request = JobRequest(action=job.action, params=job.params, speed=job.speed)
            credited = [] if made.facts.get(ROBOT) else [Credit(person_id=player.person_id, part="worded")]
            context = person_context(session, player.person_id, player.roles)
            await self.client.jobs.submit_for(context, request, job, credited)
        except UserError as error:
            log.info("session %s: turn %s cannot be drawn: %s", session.id, made.number, error)
            await self._take_turn_again(session, made)

    def job_for(self, session: Session, made: Round, player: Player) -> Job:
        """Return the job that draws what was written in a turn: in the name of the player, and kept from everybody."""
        return Job(
            id=made.job_id,
            action=Action.IMAGINE,
            params=params_for(session, made),
            requester=Requester(player.person_id, player.name),
            destination=session_destination(session, private=True),
            parent=None,
            asked_at=self.services.clock(),
        )

    def on_state_change(self, job_id: str, state: JobState) -> None:
        """Take notice of a turn's job that was drawn, failed or was cancelled."""
        if state in (JobState.GENERATED, JobState.FAILED, JobState.CANCELLED):
            self.client.sessions.spawn(self._look_after(job_id), f"the end of job {job_id} could not be handled")

    async def _look_after(self, job_id: str) -> None:
        record = await self.services.db.jobs.get(job_id)
        if record is not None and record.job.destination.is_held:
            await self._take_notice(record)

    async def _take_notice(self, record: JobRecord) -> None:
        made = await self.sessions.find_round(record.job.id)
        session = await self.sessions.get(made.session_id) if made else None
        if made is None or session is None or session.kind is not SessionKind.TELEPHONE:
            return
        if session.phase != DRAWING or session.round != made.number:
            return
        await self.client.sessions.set_locale(session.guild_id)
        if record.state is JobState.GENERATED:
            await self._next_turn(session)
        elif record.state in (JobState.FAILED, JobState.CANCELLED):
            await self._take_turn_again(session, made)

    async def _take_turn_again(self, session: Session, made: Round) -> None:
        """Let a player write something else, once; then the next one has their turn."""
        now = self.services.clock()
        again = turn_again(made, now)
        if attempts(again) >= MAX_ATTEMPTS or await self._player(session, made) is None:
            await self._next_turn(session)
            return
        move = session.step_to(TURN, session.round, now + seconds_of(session))
        if await self.sessions.move_in_round(move, again):
            await self._announce_moved(session, again)

    # --- messages

    async def _announce_moved(self, session: Session, made: Round) -> None:
        self.client.sessions.timer.wake()
        if (moved := await self.sessions.get(session.id)) is not None:
            await self._announce(moved, made)

    async def _announce(self, session: Session, made: Round) -> None:
        """Post the message of a turn, unless that is done; it pings the player."""
        if made.message_id is not None:
            return
        players = await self.telephones.players(session.id)
        text, view = messages.turn_text(session, made, players), messages.turn_view(made)
        custom_id = f"{PREFIX}:turn:{session.id}:{made.number}:{attempts(made)}"
        since = float(made.facts.get(BEGUN_AT, session.made_at))
        writer = [made.worded_by] if made.worded_by else []
        message_id = await self._post(session, since, custom_id, text, view, f"turn-{made.job_id}", writer)
        if message_id is not None:
            await self.sessions.set_round_message(session.id, made.number, message_id)

    async def _post(
        self,
        session: Session,
        since: float,
        custom_id: str,
        text: str,
        view: discord.ui.View,
        nonce: str,
        pinged: Iterable[int] = (),
    ) -> int | None:
        """Post a message once, also after a crash: it is known by one of its custom_ids. None if that is impossible."""
        channel = self.client.get_partial_messageable(session.place_id, guild_id=session.guild_id)
        mentions = discord.AllowedMentions(
            everyone=False, roles=False, users=[discord.Object(person) for person in pinged]
        )

        async def send() -> int:
            return (await channel.send(text, view=view, allowed_mentions=mentions, nonce=nonce)).id

        def is_posted(message: discord.Message) -> bool:
            return custom_id in custom_ids(message)

        try:
            return await post_once(channel, since, is_posted, send, search_first=True)
        except discord.HTTPException as error:
            log.info("session %s: could not post in its channel: %s", session.id, error)
            return None

    async def present(self, job: Job, message: ResultMessage) -> ResultMessage:
        """Give a picture of the reveal its words, its author and the button for the next one."""
        return await self.reveal.present(job, message)

    async def _round(self, session: Session) -> Round:
        made = await self.sessions.round(session.id, session.round)
        assert made is not None, "stored together with the step"
        return made


def params_for(session: Session, made: Round) -> Params:
    """Return what draws the words of a turn: they are text, not parameters."""
    params = from_dict(dict(session.settings["params"]))
    words = str(made.facts.get(WORDS, ""))
    return replace(
        params, parts=(PromptPart(words, 1.0),), count=1, seed=seed_for(session.id, made.number, attempts(made))
    )


def custom_ids(message: discord.Message) -> list[Any]:
    """Return the custom_ids of a message's buttons."""
    rows = (row for row in message.components if isinstance(row, discord.ActionRow))
    return [getattr(item, "custom_id", None) for row in rows for item in row.children]
