"""The phases of contests: theme, entries, vote, result; every step is safe to repeat after a crash."""

from __future__ import annotations

import io
import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import discord

from bot.client import Client
from bot.discord_calls import NO_MENTIONS, post_once
from bot.policy.settings import ThemeBy
from bot.sessions.names import take_names_out
from bot.ui.i18n import tr
from cogs.together.bell import bell_line, pinged_people
from cogs.together.contest import messages, results
from cogs.together.contest.event import follow
from cogs.together.contest.film import attach_podium_film
from cogs.together.contest.messages import PREFIX, Show
from cogs.together.contest.phases import (
    ASLEEP,
    BEGUN_AT,
    DAY_S,
    ENTRIES,
    ENTRIES_MORE,
    ENTRY_PHASES,
    EXTRA_S,
    MIN_ENTRIES,
    NAMING_PHASES,
    NAMING_S,
    RESULT,
    SECOND,
    THEME,
    VOTE_PHASES,
    VOTING,
    VOTING_MORE,
    begun_at,
    entries_due,
    listed_theme,
    longer,
    next_phase,
    number_of,
    phase_round,
)
from cogs.together.contest.pictures import PairPictures
from cogs.together.contest.results import Result
from db.together.ballots import winner
from db.together.sessions import Move, Round, Session, SessionKind
from generation.prompt import PromptError

log = logging.getLogger(__name__)

VOTE_ROUND = "vote_round"  # among the facts of a result: the round in which people compared pictures
THEME_VOTE = "theme"  # what the room votes about; stored with the ballots
RETRY_S = 3600.0  # before a result that could not be posted is posted again
GIVE_UP_S = 30 * DAY_S  # after which a result is not posted any more
REFRESH_S = 3600.0  # strengths for choosing pairs are so old at most: a few people cannot steer what comes next
GIVERS = 2  # the winner and the second may name the next theme


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A message of a contest."""

    content: str
    view: discord.ui.View
    mentions: discord.AllowedMentions
    picture: bytes | None = None

    def files(self) -> list[discord.File]:
        """Return the picture as a new file, because discord.py can send a file only once."""
        if self.picture is None:
            return []
        return [discord.File(io.BytesIO(self.picture), "result.webp", description=tr("The best pictures"))]


class ContestHandler:
    """Take the steps of contests."""

    kind = SessionKind.CONTEST

    def __init__(self, client: Client) -> None:
        self.client, self.services = client, client.services
        self.sessions, self.ballots = client.services.db.sessions, client.services.db.ballots
        self.contests = client.services.db.contests
        self._strengths: dict[str, tuple[float, dict[int, float]]] = {}
        self.pictures = PairPictures(client.services.images.files)

    async def step(self, session: Session) -> None:
        """Take the step that is due."""
        if session.phase in NAMING_PHASES:
            await self._end_naming(session)
        elif session.phase in ENTRY_PHASES:
            await self._close_entries(session)
        elif session.phase in VOTE_PHASES:
            await self._close_vote(session)
        elif session.phase == RESULT:
            await self._publish(session)

    async def resume(self, session: Session) -> None:
        """Post the message of the present phase if a crash came first."""
        made = await self._round(session)
        if session.phase != RESULT and made.message_id is None and not made.facts.get("silent"):
            await self._announce(session, made)
        await follow(self.client, await self.show(session))

    async def close(self, session: Session, reason: str) -> None:
        """Say why a contest has ended, and begin the next one if the owners still want contests."""
        await self.client.sessions.say(session, f"🏆 {reason}")
        if (ended := await self.sessions.get(session.id)) is not None:
            await follow(self.client, await self.show(ended))
        await self.begin(session.guild_id)

    async def redraw(self, session: Session) -> bool:
        """Show what is left: in the result, or as the present state."""
        made = await self._round(session)
        goes_on = session.ended_at is None
        if made.message_id is None and goes_on and not made.facts.get("silent"):
            return False
        is_drawn = VOTE_ROUND in made.facts or goes_on
        await take_names_out(self.client, self.services, session, drawn=made.message_id if is_drawn else None)
        if VOTE_ROUND in made.facts and made.message_id is not None:
            await self._edit_result(session, made, made.message_id)
        elif goes_on:
            await self._edit_phase(session)
        return True

    # --- the show

    async def ensure(self, guild_id: int) -> None:
        """Begin contests where the owners have chosen a channel, and end them where they have taken it away."""
        settings = await self.services.policy.settings(guild_id)
        current = await self.current(guild_id)
        if settings.contest_channel is None and current is not None:
            await self.client.sessions.set_locale(guild_id)
            await self.client.sessions.end(current, tr("The contest ends: the owners of this server stopped it."))
        elif settings.contest_channel is not None and current is None:
            await self.begin(guild_id)

    async def current(self, guild_id: int) -> Session | None:
        """Return the contest that goes on in a server."""
        latest = await self.sessions.latest(guild_id, SessionKind.CONTEST)
        return latest if latest is not None and latest.ended_at is None else None

    async def begin(self, guild_id: int) -> None:
        """Begin the next contest, unless one goes on or the owners want none."""
        settings = await self.services.policy.settings(guild_id)
        channel = settings.contest_channel
        if channel is None or self.client.get_channel(channel) is None:
            return
        await self.client.sessions.set_locale(guild_id)
        previous = await self.sessions.latest(guild_id, SessionKind.CONTEST)
        givers = await self._givers(previous) if settings.contest_theme_by is ThemeBy.WINNER else []
        waits = bool(givers) or settings.contest_theme_by is ThemeBy.ROOM
        now = self.services.clock()
        session = Session(
            id=secrets.token_hex(6),
            kind=SessionKind.CONTEST,
            guild_id=guild_id,
            channel_id=channel,
            host_id=0,  # nobody's: the server's
            phase=THEME,
            round=1,
            due_at=now + NAMING_S if waits else now,
            made_at=now,
            settings={
                "number": number_of(previous) + 1 if previous else 1,
                "previous": previous.id if previous else None,
                "theme_by": settings.contest_theme_by,
                "days": settings.contest_days,
                "vote_days": settings.contest_vote_days,
            },
        )
        first = phase_round(session.id, 1, {} if waits else {"silent": True}, giver=givers[0] if givers else None)
        if await self.sessions.add_only(session, first) and waits:
            await self._announce(session, first)
        self.client.sessions.timer.wake()

    async def _givers(self, previous: Session | None) -> list[int]:
        """Return who may name the next theme: the authors of the best two pictures, unless they are blocked."""
        if previous is None:
            return []
        entries = [each for each in await self.contests.entries(previous.id) if each.rank is not None]
        ranked = sorted(entries, key=lambda entry: entry.rank or 0)
        people = list(dict.fromkeys(entry.person_id for entry in ranked if entry.person_id))
        blocked = await self.services.db.guilds.blocked_among(previous.guild_id, people)
        return [person for person in people if person not in blocked][:GIVERS]

    # --- the theme

    async def _end_naming(self, session: Session) -> None:
        """Let the second one name the theme, or take it from the room's votes or the owners' list."""
        if session.settings.get("theme_by") == ThemeBy.ROOM:
            await self.start_entries(session, await self._room_theme(session))
            return
        made = await self._round(session)
        others = [person for person in await self._givers(await self._previous(session)) if person != made.worded_by]
        if session.phase == THEME and others and not made.facts.get("silent"):
            await self._advance(session, SECOND, self.services.clock() + NAMING_S, {}, giver=others[0])
        else:
            await self.start_entries(session, await self._listed_theme(session))

    async def _previous(self, session: Session) -> Session | None:
        previous = session.settings.get("previous")
        return await self.sessions.get(str(previous)) if previous else None

    async def _room_theme(self, session: Session) -> str:
        tally = (await self.ballots.tallies(session.id, session.round)).get(THEME_VOTE, {})
        offers = await self._allowed_offers(session)
        chosen = winner(
            session.id, session.round, {choice: votes for choice, votes in tally.items() if choice in offers}
        )
        return offers[chosen] if chosen is not None else await self._listed_theme(session)

    async def _allowed_offers(self, session: Session) -> dict[str, str]:
        """Return the themes on offer without those whose words the owners have blocked since."""
        allowed: dict[str, str] = {}
        for offer in await self.ballots.suggestions(session.id):
            with suppress(PromptError):
                await self.services.policy.check_text(session.guild_id, offer.words)
                allowed[str(offer.person_id)] = offer.words
        return allowed

    async def _listed_theme(self, session: Session) -> str:
        settings = await self.services.policy.settings(session.guild_id)
        return listed_theme(settings.contest_themes, number_of(session))

    async def start_entries(self, session: Session, theme: str, giver: int | None = None) -> bool:
        """Open the contest for entries; returns False if somebody else was faster."""
        due_at = entries_due(session, self.services.clock())
        return await self._advance(session, ENTRIES, due_at, {"theme": theme}, giver=giver)

    # --- entries and the vote

    async def _close_entries(self, session: Session) -> None:
        if len(await self.contests.entries(session.id)) >= MIN_ENTRIES:
            due_at = self.services.clock() + int(session.settings["vote_days"]) * DAY_S
            await self._advance(session, VOTING, due_at, await self._theme_facts(session))
        elif session.phase == ENTRIES:
            more = self._more_time()
            text = tr("There are too few pictures. Entries end {when}.", when=f"<t:{int(more)}:R>")
            await self._extend(session, ENTRIES_MORE, more, text)
        else:
            await self._advance(session, ASLEEP, None, await self._theme_facts(session))

    async def _close_vote(self, session: Session) -> None:
        if not await self.contests.comparisons(session.id, session.round) and session.phase == VOTING:
            more = self._more_time()
            text = tr("Nobody has voted yet. The vote ends {when}.", when=f"<t:{int(more)}:R>")
            await self._extend(session, VOTING_MORE, more, text)
            return
        facts = await self._theme_facts(session) | {VOTE_ROUND: session.round}
        now = self.services.clock()
        if await self._advance(session, RESULT, now, facts, announces=False):
            await self._step_again(session)

    async def _step_again(self, session: Session) -> None:
        moved = await self.sessions.get(session.id)
        if moved is not None:
            await self.step(moved)

    def _more_time(self) -> float:
        return self.services.clock() + EXTRA_S

    async def _extend(self, session: Session, phase: str, due_at: float, text: str) -> None:
        if not await self.sessions.move(longer(session, phase, due_at)):
            return
        await self.client.sessions.say(session, f"🏆 {text}")
        if (moved := await self.sessions.get(session.id)) is not None:
            await self.show_again(moved)
            await follow(self.client, await self.show(moved))

    async def _theme_facts(self, session: Session) -> dict[str, object]:
        made = await self._round(session)
        return {"theme": made.facts.get("theme", "")}

    async def end_phase(self, session: Session) -> bool:
        """End the present phase at once; returns False if there is too little to go on with."""
        if session.phase in ENTRY_PHASES and len(await self.contests.entries(session.id)) < MIN_ENTRIES:
            return False
        if session.phase in VOTE_PHASES and not await self.contests.comparisons(session.id, session.round):
            return False
        is_early = session.due_at is not None and await self.sessions.postpone(session, self.services.clock())
        self.client.sessions.timer.wake()
        return is_early

    def strengths(self, session: Session) -> dict[int, float]:
        """Return how strong the entries seemed a while ago, to compare those that are near each other.

        Nobody waits for an estimate: numpy may have to be imported for it, and a press must be answered in seconds.
        """
        at, known = self._strengths.get(session.id, (float("-inf"), {}))
        now = self.services.clock()
        if now - at >= REFRESH_S:
            self._strengths[session.id] = (now, known)
            failure = f"session {session.id}: the strengths of its entries could not be estimated"
            self.client.sessions.spawn(self._estimate(session, now), failure)
        return known

    async def _estimate(self, session: Session, now: float) -> None:
        self._strengths[session.id] = (now, await results.strengths_of(self.services, session, session.round))

    # --- the result

    async def _publish(self, session: Session) -> None:
        """Post the result once, end the contest, and begin the next one.

        If the bot may not post in the channel, the result is posted when it may again.
        """
        made = await self._round(session)
        now = self.services.clock()
        if made.message_id is None and not await self._announce(session, made):
            if now < begun_at(session, made) + GIVE_UP_S:
                await self.sessions.postpone(session, now + RETRY_S)
                return
            log.warning("session %s: its result is given up", session.id)
        self._strengths.pop(session.id, None)
        self.pictures.forget()
        if await self.sessions.end(session.id, self.services.clock()):
            await self.begin(session.guild_id)

    async def wake(self, session: Session) -> bool:
        """Begin a new contest in place of one that sleeps; returns False if it does not sleep."""
        if session.phase != ASLEEP or not await self.sessions.end(session.id, self.services.clock()):
            return False
        await self.begin(session.guild_id)
        return True

    # --- messages

    async def _advance(
        self,
        session: Session,
        phase: str,
        due_at: float | None,
        facts: dict[str, object],
        *,
        giver: int | None = None,
        announces: bool = True,
    ) -> bool:
        """Take the step to a phase and post its message; returns False if a rival took a step first."""
        move: Move = next_phase(session, phase, due_at)
        made = phase_round(session.id, move.to_round, facts | {BEGUN_AT: self.services.clock()}, giver)
        if not await self.sessions.move_to_round(move, made):
            return False
        moved = await self.sessions.get(session.id)
        if announces and moved is not None:
            await self._announce(moved, made)
        if moved is not None:
            await follow(self.client, await self.show(moved))
        self.client.sessions.timer.wake()
        return True

    async def _round(self, session: Session) -> Round:
        made = await self.sessions.round(session.id, session.round)
        assert made is not None, "stored together with the step"
        return made

    async def show(self, session: Session) -> Show:
        """Return everything that the message of the present phase shows."""
        made = await self._round(session)
        tallies = await self.ballots.tallies(session.id, session.round) if session.phase in NAMING_PHASES else {}
        return Show(
            session=session,
            round=made,
            entries=len(await self.contests.entries(session.id)),
            votes=tallies.get(THEME_VOTE, {}),
            offers=await self.ballots.suggestions(session.id) if session.phase in NAMING_PHASES else (),
        )

    async def _announce(self, session: Session, made: Round) -> bool:
        """Post the message of a phase, unless it is found in the channel; returns False if that is not possible."""
        result = await results.decide(self.services, session, _vote_round(made)) if session.phase == RESULT else None
        post = await (self._phase_post(session) if result is None else self._result_post(session, result))
        channel = self.client.get_partial_messageable(session.channel_id, guild_id=session.guild_id)

        async def send() -> int:
            sent = await channel.send(
                post.content, files=post.files(), view=post.view, allowed_mentions=post.mentions, nonce=made.job_id
            )
            return sent.id

        def is_posted(message: discord.Message) -> bool:
            return f"{PREFIX}:help:{session.id}:{made.number}" in _custom_ids(message)

        try:
            message_id = await post_once(channel, begun_at(session, made), is_posted, send, search_first=True)
        except discord.HTTPException as error:
            log.info("session %s: could not post in its channel: %s", session.id, error)
            return False
        if result is not None:  # first: a restart announces it again until its message is stored
            await attach_podium_film(self.client, session, result, message_id)
        await self.sessions.set_round_message(session.id, made.number, message_id)
        return True

    async def show_again(self, session: Session) -> None:
        """Show the present state in the message of the phase, such as without a theme that was taken out."""
        try:
            await self._edit_phase(session)
        except discord.HTTPException as error:
            log.info("session %s: the message of its phase could not be updated: %s", session.id, error)

    async def _edit_phase(self, session: Session) -> None:
        show = await self.show(session)
        if show.round.message_id is None:
            return
        channel = self.client.get_partial_messageable(session.channel_id, guild_id=session.guild_id)
        await channel.get_partial_message(show.round.message_id).edit(
            content=messages.phase_text(show), view=messages.phase_view(show), allowed_mentions=NO_MENTIONS
        )

    async def _edit_result(self, session: Session, made: Round, message_id: int) -> None:
        result = await results.podium_left(self.services, session, _vote_round(made))
        post = await self._result_post(session, result)
        channel = self.client.get_partial_messageable(session.channel_id, guild_id=session.guild_id)
        await channel.get_partial_message(message_id).edit(
            content=post.content, attachments=post.files(), allowed_mentions=NO_MENTIONS
        )
        await attach_podium_film(self.client, session, result, message_id)

    async def _phase_post(self, session: Session) -> Post:
        show = await self.show(session)
        pinged = await pinged_people(self.services, session)
        settings = await self.services.policy.settings(session.guild_id)
        role = settings.contest_role if session.phase in (ENTRIES, VOTING) else None
        lines = [messages.phase_text(show), *bell_line(pinged), *([f"-# <@&{role}>"] if role else [])]
        users = [*pinged, *([show.round.worded_by] if session.phase in NAMING_PHASES and show.round.worded_by else [])]
        return Post(content="\n".join(lines), view=messages.phase_view(show), mentions=_mentions(users, role))

    async def _result_post(self, session: Session, result: Result) -> Post:
        show = await self.show(session)
        return Post(
            content=await results.result_text(self.services, show, result),
            view=messages.phase_view(show),
            mentions=_mentions(results.named_winners(result)),
            picture=await results.podium(self.client, session, result),
        )


def _vote_round(made: Round) -> int:
    return int(str(made.facts[VOTE_ROUND]))


def _mentions(users: list[int], role: int | None = None) -> discord.AllowedMentions:
    roles = [discord.Object(role)] if role else False
    people = dict.fromkeys(users)  # Discord refuses a list that names somebody twice
    return discord.AllowedMentions(everyone=False, users=[discord.Object(user) for user in people], roles=roles)


def _custom_ids(message: discord.Message) -> list[Any]:
    rows = (row for row in message.components if isinstance(row, discord.ActionRow))
    return [getattr(item, "custom_id", None) for row in rows for item in row.children]
