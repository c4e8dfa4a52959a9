"""The rounds of a jam: draw, vote, decide; every step is safe to repeat after a crash."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any

import discord

from bot.client import Client
from bot.discord_calls import NO_MENTIONS, retry_until_available
from bot.jobs.delivery import ResultMessage
from bot.jobs.thread_names import rename_own_thread
from bot.policy.policy import JobRequest
from bot.policy.sessions import without_blocked
from bot.sessions.jobs import host_context, round_job_id, session_destination
from bot.sessions.names import take_names_out
from bot.ui.errors import user_message
from bot.ui.i18n import tr, trn
from cogs.together.bell import bell_line, pinged_people
from cogs.together.jam import messages
from cogs.together.jam.film import attach_jam_film, redraw_jam_film
from cogs.together.jam.messages import Standing, thread_name
from cogs.together.jam.rules import (
    AGAIN,
    FINISH,
    MIN_VOTERS,
    TILE,
    Decision,
    decide,
    job_action,
    next_params,
    possible_moves,
    seed_for,
)
from db.jobs import JobRecord, JobState
from db.lineage import Credit
from db.together.ballots import Turnout
from db.together.sessions import Round, Session, SessionKind
from generation.errors import UserError
from generation.job import Action, Job, Requester, Speed
from generation.params import Params, Tile, from_dict
from generation.prompt import PromptError

log = logging.getLogger(__name__)

DRAWING, VOTING, EXTENDED, ASLEEP, FINALE = "drawing", "voting", "extended", "asleep", "finale"
OPEN_PHASES = (VOTING, EXTENDED)
POSTPONE_S = 120.0  # when the host is at a limit
GRACE_S = 10.0  # after everybody has voted, to change one's mind
ASLEEP_S = 24 * 3600.0  # before a jam that nobody wakes ends
MAX_ATTEMPTS = 2  # the second one draws without the new words


class JamHandler:
    """Take the steps of jams."""

    kind = SessionKind.JAM

    def __init__(self, client: Client) -> None:
        self.client, self.services = client, client.services
        self.sessions, self.ballots = client.services.db.sessions, client.services.db.ballots

    async def step(self, session: Session) -> None:
        """Take the step that is due."""
        if session.phase in OPEN_PHASES:
            await self.close_round(session)
        elif session.phase in (DRAWING, FINALE):
            await self.draw(session)
        else:
            await self.client.sessions.end(session, tr("Nobody woke the jam, so it ends here."))

    async def resume(self, session: Session) -> None:
        """Submit the job of a round if a crash came first, and take notice of its end."""
        if session.phase not in (DRAWING, FINALE):
            return
        made = await self.sessions.round(session.id, session.round)
        record = await self.services.db.jobs.get(made.job_id) if made else None
        await (self.draw(session) if record is None else self._take_notice(record))

    async def close(self, session: Session, reason: str) -> None:
        """Say why a jam has ended."""
        await self.client.sessions.say(session, f"🎷 {reason}")

    async def redraw(self, session: Session) -> bool:
        """Show the names and words that are left, and in the end a film of the pictures that are left."""
        if session.phase in (DRAWING, FINALE):
            return False
        await take_names_out(self.client, self.services, session)
        if not session.host_id and session.message_id is not None:
            await self._delete_announcement(session, session.message_id)
        if not session.host_id and session.thread_id is not None:
            await rename_own_thread(self.client, session.thread_id, thread_name(tr("Jam")))
        made = await self.sessions.round(session.id, session.round)
        record = await self.services.db.jobs.get(made.job_id) if made else None
        if made is None or made.message_id is None or record is None or record.deleted:
            return True
        if session.phase in (*OPEN_PHASES, ASLEEP):
            await self._edit_round(session, made, record.job)
        elif session.ended_at is not None:
            await redraw_jam_film(self.client, session, record.job, made.message_id)
        return True

    async def _delete_announcement(self, session: Session, message_id: int) -> None:
        """Delete the first message, which quotes a host who had their data erased."""
        channel = self.client.get_partial_messageable(session.channel_id, guild_id=session.guild_id)
        with suppress(discord.NotFound):
            await channel.get_partial_message(message_id).delete()

    # --- drawing

    async def draw(self, session: Session) -> None:
        """Submit the job of the present round, or say why that has to wait."""
        made = await self.sessions.round(session.id, session.round)
        assert made is not None, "stored together with the step"
        try:
            job, request, credited = await self._job_for(session, made)
            await self.client.jobs.submit_for(host_context(session), request, job, credited)
        except UserError as error:
            if not (isinstance(error, PromptError) and await self._draw_plainly(session, made)):
                await self._postpone(session, error)
        else:
            await self.sessions.postpone(session, None)

    async def _draw_plainly(self, session: Session, made: Round) -> bool:
        """Draw a round without its new words, which are refused; returns False if it has none."""
        attempt = int(made.facts.get("attempt", 0)) + 1
        if not made.facts.get("words") or attempt >= MAX_ATTEMPTS:
            return False
        await self.sessions.add_round(
            Round(
                session_id=session.id,
                number=made.number,
                job_id=round_job_id(session.id, made.number, attempt),
                facts={**made.facts, "words": "", "attempt": attempt},
            )
        )
        await self.draw(session)
        return True

    async def _postpone(self, session: Session, error: UserError) -> None:
        if await self.services.db.guilds.active_block(session.guild_id, session.host_id):
            await self.client.sessions.end(session, tr("The jam ends: who started it may not use me here any more."))
            return
        if session.due_at is None:
            reason = user_message(error)
            text = tr("The next round has to wait, and I try again in a while: {reason}", reason=reason)
            await self.client.sessions.say(session, f"⏳ {text}")
        await self.sessions.postpone(session, self.services.clock() + POSTPONE_S)
        self.client.sessions.timer.wake()

    async def _job_for(self, session: Session, made: Round) -> tuple[Job, JobRequest, list[Credit]]:
        settings, facts = session.settings, made.facts
        previous = await self.sessions.round(session.id, made.number - 1)
        parent = Tile.parse(facts["parent"]) if "parent" in facts else None
        action, words = Action(facts.get("action", Action.IMAGINE)), str(facts.get("words", ""))
        params = await self._params(session, made, parent, action, words)
        job = Job(
            id=made.job_id,
            action=job_action(action, words),
            params=params,
            requester=Requester(session.host_id, settings["host_name"]),
            destination=session_destination(session, reply_to=previous.message_id if previous else None),
            parent=parent,
            asked_at=self.services.clock(),
        )
        speed = Speed(settings["speed"])
        request = JobRequest(action=job.action, params=params, speed=speed)  # relaxed if the host may not use it
        return job, request, await self._credits(session, made, parent)

    async def _params(self, session: Session, made: Round, parent: Tile | None, action: Action, words: str) -> Params:
        if parent is None:
            return from_dict(session.settings["params"])
        origin = await self.client.jobs.require_parent(parent)
        model = self.services.registry.resolve(origin.params)
        seed = seed_for(session.id, made.number, int(made.facts.get("attempt", 0)))
        return next_params(origin.params, parent, action, words, model, seed)

    async def _credits(self, session: Session, made: Round, parent: Tile | None) -> list[Credit]:
        if parent is None:
            return [Credit(person_id=session.host_id, part="worded")]
        choice = AGAIN if made.facts.get("again") else str(parent.index)
        choosers = await self.ballots.voters_for(session.id, made.number - 1, TILE, choice)
        worded = [Credit(person_id=made.worded_by, part="worded")] if made.worded_by else []
        return [*worded, *(Credit(person_id=person, part="chose") for person in choosers)]

    # --- what becomes of the job

    async def present(self, job: Job, message: ResultMessage) -> ResultMessage:
        """Give a round's grid its votes, and the last picture the credits of the whole jam."""
        made, session = await self._jam_of(job)
        if made is None or session is None or session.ended_at is not None:
            return message
        if session.phase == FINALE:
            return replace(message, content=messages.finale_text(job, await self._all_credits(session)))
        due_at = self.services.clock() + 60 * int(session.settings["minutes"])
        standing = await self.standing(session, made, job, due_at)
        pinged = await pinged_people(self.services, session)
        text = "\n".join([messages.round_text(standing), *bell_line(pinged)])
        return replace(message, content=text, view=messages.round_view(standing), pinged=pinged)

    async def _jam_of(self, job: Job) -> tuple[Round | None, Session | None]:
        """Return the round that a job draws, and its jam; None if it belongs to no jam."""
        made = await self.sessions.find_round(job.id)
        session = await self.sessions.get(made.session_id) if made else None
        return made, session if session is not None and session.kind is SessionKind.JAM else None

    async def standing(
        self, session: Session, made: Round, job: Job, due_at: float, turnout: Turnout | None = None
    ) -> Standing:
        """Return everything that a round's message shows."""
        turnout = turnout or await self.ballots.turnout(session.id, made.number)
        return Standing(
            session=session,
            round=made,
            job=job,
            moves=possible_moves(job.params, self.services.registry.find(job.params.model)),
            due_at=due_at,
            credits=await self._credits_of(session, made) if made.number > 1 else (),
            tallies=await self.ballots.tallies(session.id, made.number),
            suggestions=await self.ballots.suggestions(session.id),
            voters=turnout.voters,
        )

    async def show_again(self, session: Session, made: Round) -> None:
        """Show the present state in the message of a round, such as without words that were taken out."""
        record = await self.services.db.jobs.get(made.job_id)
        is_present = session.phase in (*OPEN_PHASES, ASLEEP) and session.round == made.number
        if record is None or made.message_id is None or not is_present or session.ended_at is not None:
            return
        try:
            await self._edit_round(session, made, record.job)
        except discord.HTTPException as error:
            log.info("session %s: the message of its round could not be updated: %s", session.id, error)

    async def _edit_round(self, session: Session, made: Round, job: Job) -> None:
        assert made.message_id is not None, "otherwise nothing is shown"
        standing = await self.standing(session, made, job, session.due_at or self.services.clock())
        channel = self.client.get_partial_messageable(session.place_id, guild_id=session.guild_id)
        await channel.get_partial_message(made.message_id).edit(
            content=messages.round_text(standing),
            view=messages.round_view(standing),
            allowed_mentions=NO_MENTIONS,
        )

    async def _all_credits(self, session: Session) -> list[Credit]:
        found: list[Credit] = []
        for made in await self.sessions.rounds(session.id):
            found += await self._credits_of(session, made)
        return found

    async def _credits_of(self, session: Session, made: Round) -> list[Credit]:
        given = await self.services.db.lineage.credits(made.job_id)
        return await without_blocked(self.services.db.guilds, session.guild_id, given)

    async def on_posted(self, job: Job, message_id: int) -> None:
        """Open the vote on a round that was just posted, or end the jam after its last picture."""
        made, session = await self._jam_of(job)
        if made is None or session is None or session.round != made.number:
            return
        await self.sessions.set_round_message(session.id, made.number, message_id)
        if session.phase == FINALE:
            await attach_jam_film(self.client, session, job, message_id)  # first: a restart goes on until it is ended
            await self.sessions.end(session.id, self.services.clock())
        elif session.phase == DRAWING:
            await self._open_vote(session)

    async def _open_vote(self, session: Session) -> None:
        due_at = self.services.clock() + 60 * int(session.settings["minutes"])
        await self.sessions.move(session.step_to(VOTING, session.round, due_at))
        self.client.sessions.timer.wake()

    def on_state_change(self, job_id: str, state: JobState) -> None:
        """Take notice of a round's job that was posted, failed or was cancelled."""
        if state in (JobState.POSTED, JobState.FAILED, JobState.CANCELLED):
            self.client.sessions.spawn(self._look_after(job_id), f"the end of job {job_id} could not be handled")

    async def _look_after(self, job_id: str) -> None:
        record = await self.services.db.jobs.get(job_id)
        if record is not None and not record.job.destination.has_interaction:
            await self._take_notice(record)

    async def _take_notice(self, record: JobRecord) -> None:
        if record.state is JobState.POSTED and record.result_message_id is not None:
            await self.on_posted(record.job, record.result_message_id)
        elif record.state in (JobState.FAILED, JobState.CANCELLED):
            await self.on_ended(record)

    async def on_ended(self, record: JobRecord) -> None:
        """Draw a round again without its new words, or end the jam, when its job came to nothing."""
        made, session = await self._jam_of(record.job)
        if made is None or session is None or session.round != made.number or session.phase not in (DRAWING, FINALE):
            return
        await self.client.sessions.set_locale(session.guild_id)
        host_is_blocked = await self.services.db.guilds.active_block(session.guild_id, session.host_id)
        has_failed = record.state is JobState.FAILED and not host_is_blocked
        if has_failed and await self._draw_plainly(session, made):
            return
        reason = tr("The jam ends here: {reason}", reason=record.end_message or "")
        await self.client.sessions.end(session, reason)

    # --- the end of a vote

    async def close_round(self, session: Session) -> None:
        """Decide a round, and begin the next one or the finale; without two voters, wait."""
        made = await self.sessions.round(session.id, session.round)
        record = await self.services.db.jobs.get(made.job_id) if made else None
        if record is None or record.deleted:
            await self.client.sessions.end(session, tr("The jam ends here: its picture was deleted."))
            return
        if (await self.ballots.turnout(session.id, session.round)).voters < MIN_VOTERS:
            await self._wait(session, record.job)
        else:
            await self.go_on(session, record.job, final=session.round >= int(session.settings["rounds"]))

    async def go_on(self, session: Session, job: Job, *, final: bool, reason: str = "") -> None:
        """Take the step that the votes have decided, if no rival has, and say the `reason` of an early end."""
        tallies = await self.ballots.tallies(session.id, session.round)
        suggestions = await self.ballots.suggestions(session.id)
        moves = possible_moves(job.params, self.services.registry.find(job.params.model))
        decision = decide(session.id, session.round, _without_again(tallies) if final else tallies, suggestions, moves)
        is_finale = final or (decision.tile is not None and decision.action is FINISH)
        made = _next_round(session, job, decision, final=final, is_finale=is_finale)
        step = session.step_to(FINALE if is_finale else DRAWING, made.number, None)
        if not await self.sessions.move_to_round(step, made):
            return
        if reason:
            await self.client.sessions.say(session, f"🎷 {reason}")
        if decision.worded_by is not None and not is_finale:
            await self.ballots.drop_suggestion(session.id, decision.worded_by)
        moved = await self.sessions.get(session.id)
        if moved is not None:
            await self.draw(moved)

    async def _wait(self, session: Session, job: Job) -> None:
        """Extend a round that too few people voted in once, then let the jam sleep: nothing is drawn for nobody."""
        minutes = int(session.settings["minutes"])
        if session.phase == VOTING:
            due_at = self.services.clock() + 60 * minutes
            if await self.sessions.move(session.step_to(EXTENDED, session.round, due_at)):
                text = tr("Two people have to vote. The round ends {when}.", when=f"<t:{int(due_at)}:R>")
                await self.client.sessions.say(session, text)
        elif await self.sessions.move(session.step_to(ASLEEP, session.round, self.services.clock() + ASLEEP_S)):
            await self._say_asleep(session, job)

    async def _say_asleep(self, session: Session, job: Job) -> None:
        place = self.client.get_partial_messageable(session.place_id, guild_id=session.guild_id)
        text, view = tr("💤 Nobody votes, so the jam sleeps."), messages.asleep_view(job.id)
        try:
            await retry_until_available(lambda: place.send(text, view=view, allowed_mentions=NO_MENTIONS))
        except discord.HTTPException:
            log.info("session %s: could not say that it sleeps", session.id)

    async def wake(self, session: Session) -> bool:
        """Open the vote of a sleeping jam again; returns False if it does not sleep."""
        if session.phase != ASLEEP:  # one that has ended may have lost its settings
            return False
        due_at = self.services.clock() + 60 * int(session.settings["minutes"])
        woken = await self.sessions.move(session.step_to(VOTING, session.round, due_at))
        self.client.sessions.timer.wake()
        return woken

    async def hurry(self, session: Session, turnout: Turnout) -> float | None:
        """End the round soon if everybody who voted in the last one has voted; returns the new end."""
        soon = self.services.clock() + GRACE_S
        if turnout.voters < MIN_VOTERS or not turnout.is_complete:
            return session.due_at
        if session.due_at is not None and session.due_at <= soon:
            return session.due_at
        await self.sessions.postpone(session, soon)
        self.client.sessions.timer.wake()
        return soon

    async def finish(self, session: Session, reason: str) -> None:
        """End a jam on request: with the picture that leads, or with a word if nobody has voted."""
        made = await self.sessions.round(session.id, session.round)
        record = await self.services.db.jobs.get(made.job_id) if made else None
        has_votes = (await self.ballots.turnout(session.id, session.round)).voters > 0
        if session.phase in (*OPEN_PHASES, ASLEEP) and record is not None and has_votes:
            await self.go_on(session, record.job, final=True, reason=reason)
        else:
            await self.client.sessions.end(session, reason)


def progress_text(session: Session) -> str:
    """Return where a jam stands, for lists."""
    rounds = int(session.settings.get("rounds", 0))
    number = tr("round {number} of {rounds}", number=session.round, rounds=rounds)
    left = trn("up to {n} more job", "up to {n} more jobs", max(0, rounds - session.round))
    return f"🎷 <#{session.place_id}> · {number} · {left}"


def _without_again(tallies: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    return tallies | {TILE: {choice: votes for choice, votes in tallies.get(TILE, {}).items() if choice != AGAIN}}


def _next_round(session: Session, job: Job, decision: Decision, *, final: bool, is_finale: bool) -> Round:
    number = session.round + 1
    facts: dict[str, Any] = {
        "parent": str(Tile(job.id, decision.tile or 0)),
        "action": Action.PICK if final else decision.action,
        "votes": decision.votes,
        "words": "" if is_finale else decision.words,
        "again": decision.tile is None,
    }
    return Round(
        session_id=session.id,
        number=number,
        job_id=round_job_id(session.id, number),
        facts=facts,
        worded_by=None if is_finale else decision.worded_by,
    )
