"""May this person do this, here, now? Every door asks `Policy.admit`, and nothing else decides."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from bot.language import tr
from bot.policy import settings as guild_settings
from bot.policy.settings import Bounds, GuildSettings
from bot.policy.words import Words, judge
from db.guilds import Block, GuildStore
from db.usage import Usage, UsageTotals
from generation.errors import UserError
from generation.job import Action, Job, Speed
from generation.params import Params

DAY = 86_400.0  # seconds
BIG_UPSCALES = (Action.UPSCALE_CREATIVE_4,)


class Refused(UserError):
    """A rule of the server, or of whoever runs the bot, is against it; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Who asks, and where: ids only. `places` are the channel, the one that a thread is in, and the category."""

    guild_id: int | None
    places: frozenset[int]
    person_id: int
    role_ids: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is asked for; `jobs` counts the jobs of one request, by `--repeat` or by choices in braces.

    Who has `insisted` on a speed, by typing it, is told when it may not be used; others get the one that may.
    """

    action: Action
    params: Params
    speed: Speed = Speed.FAST
    insisted: bool = False
    private: bool = False
    jobs: int = 1
    repeated: bool = False
    permuted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms somebody may go on: what the owners set, their bounds and speed, and a word of warning."""

    settings: GuildSettings
    bounds: Bounds
    speed: Speed
    warning: str | None = None


class Policy:
    """Apply a guild's rules and, above them, those of whoever runs the bot."""

    def __init__(
        self,
        guilds: GuildStore,
        usage: Usage,
        clock: Callable[[], float] = time.time,
        refusal: Callable[[int | None], str | None] = lambda guild_id: None,
    ) -> None:
        self._guilds, self._usage, self._clock, self._refusal = guilds, usage, clock, refusal
        self._words: dict[int, tuple[int, Words]] = {}
        self._admissions: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def settings(self, guild_id: int | None) -> GuildSettings:
        """Give what the owners of a guild have set; the defaults in direct messages."""
        if guild_id is None:
            return GuildSettings()
        return guild_settings.from_dict((await self._guilds.settings(guild_id)).values)

    @asynccontextmanager
    async def admission(self, who: Situation, ask: Ask) -> AsyncIterator[Terms]:
        """Admit, and let nothing else of this person's be judged until the block has put the jobs into the store.

        Without that, ten presses in one moment would each see the bounds as they were before the first.
        """
        async with self._admissions.setdefault(who.person_id, asyncio.Lock()):
            yield await self.admit(who, ask)

    async def admit(self, who: Situation, ask: Ask) -> Terms:
        """Say on what terms `ask` is granted; raises Refused, or PromptFaults for a blocked word."""
        await self.welcome(who)
        if who.guild_id is None:
            return Terms(settings=GuildSettings(), bounds=Bounds(), speed=ask.speed)
        settings = await self.settings(who.guild_id)
        bounds = settings.bounds_of(who.guild_id, who.role_ids)
        if ask.action is not Action.PICK:
            _refuse_model(ask.params.model, settings)
        _refuse_features(who, ask, settings)
        _refuse_size(ask.params, bounds)
        await self._refuse_overuse(who, ask, bounds)
        warning = judge(await self._words_of(who.guild_id), ask.params)
        return Terms(settings=settings, bounds=bounds, speed=_speed(who, ask, settings), warning=warning)

    async def welcome(self, who: Situation) -> None:
        """Raise Refused for whom nothing is done here whatever they ask for, so that nothing is fetched for them."""
        if refusal := self._refusal(who.guild_id):
            raise Refused(refusal)
        if who.guild_id is not None:
            await self._refuse_blocked(who.guild_id, who.person_id)
            _refuse_elsewhere(who, await self.settings(who.guild_id))

    async def used(self, who: Situation) -> tuple[UsageTotals, Bounds]:
        """Give what somebody has used of a guild in the last 24 hours, and the bounds that hold for them there."""
        if who.guild_id is None:
            return UsageTotals(jobs=0, seconds=0.0, last_asked_at=None), Bounds()
        bounds = (await self.settings(who.guild_id)).bounds_of(who.guild_id, who.role_ids)
        return await self._usage.totals(who.person_id, who.guild_id, self._clock() - DAY), bounds

    async def still_admit(self, job: Job) -> None:
        """Look again at a job that has waited, or comes from before a restart; raises as `admit` does.

        What could only be asked of the interaction, such as the person's roles, is not asked twice.
        """
        guild_id = job.destination.guild_id
        if refusal := self._refusal(guild_id):
            raise Refused(refusal)
        if guild_id is None:
            return
        if await self._guilds.active_block(
            guild_id, job.requester.id
        ):  # why is not for everybody, who may read the notice
            raise Refused(tr("The moderators have blocked you from using me in this server") + ".")
        judge(await self._words_of(guild_id), job.params)

    async def _refuse_blocked(self, guild_id: int, person_id: int) -> None:
        if block := await self._guilds.active_block(guild_id, person_id):
            raise Refused(_blocked(block))

    async def _refuse_overuse(self, who: Situation, ask: Ask, bounds: Bounds) -> None:
        if ask.action is Action.PICK or who.guild_id is None:
            return
        if bounds.jobs_a_day is None and bounds.gpu_seconds_a_day is None and not bounds.cooldown:
            return
        now = self._clock()
        used = await self._usage.totals(who.person_id, who.guild_id, now - DAY)
        if bounds.jobs_a_day is not None and used.jobs + ask.jobs > bounds.jobs_a_day:
            more = tr(" This would be {number} more.", number=ask.jobs) if ask.jobs > 1 else ""
            most = _jobs(bounds.jobs_a_day)
            raise Refused(tr("You may have {most} in 24 hours here, and had {used}.", most=most, used=used.jobs) + more)
        if bounds.gpu_seconds_a_day is not None and used.seconds >= bounds.gpu_seconds_a_day:
            most, spent = _seconds(bounds.gpu_seconds_a_day), f"{used.seconds:.0f}"
            raise Refused(
                tr("You may use {most} of drawing time in 24 hours here, and used {used}.", most=most, used=spent)
            )
        wait = (used.last_asked_at or 0.0) + (bounds.cooldown or 0) - now
        if wait > 0:
            raise Refused(tr("Please wait {time}: there is a pause between jobs here.", time=_seconds(int(wait) + 1)))

    async def _words_of(self, guild_id: int) -> Words:
        version = (await self._guilds.settings(guild_id)).version
        known = self._words.get(guild_id)
        if known is None or known[0] != version:
            phrases = await self._guilds.blocked_words(guild_id)
            words = await asyncio.to_thread(Words, phrases)  # ten thousand take a while
            known = self._words[guild_id] = version, words
        return known[1]


def _refuse_elsewhere(who: Situation, settings: GuildSettings) -> None:
    if settings.channels and not who.places.intersection(settings.channels):
        named = ", ".join(f"<#{channel}>" for channel in settings.channels[:5])
        left_out = len(settings.channels) - 5
        where = named if left_out <= 0 else tr("{named} and {number} more", named=named, number=left_out)
        raise Refused(tr("I do not draw in this channel. Go to {where}.", where=where))


def _refuse_model(model: str, settings: GuildSettings) -> None:
    if not settings.allows(model):
        named = ", ".join(settings.models)
        raise Refused(tr("The owners of this server allow {models} only, not {model}.", models=named, model=model))


def _refuse_features(who: Situation, ask: Ask, settings: GuildSettings) -> None:
    if ask.private and not settings.stealth:
        raise Refused(
            tr("Private pictures (`--stealth`) are switched off in this server: add `--public`, or use `/public`.")
        )
    if ask.insisted and ask.speed is not Speed.RELAX:
        what = tr("Only {whom} may use fast mode here: leave it out, and the job is relaxed.")
        _refuse_without(who, settings.fast_roles, what)
    if ask.action in BIG_UPSCALES:
        _refuse_without(who, settings.upscale_roles, tr("Only {whom} may enlarge pictures this much here."))
    if ask.repeated:
        _refuse_without(who, settings.repeat_roles, tr("Only {whom} may use `--repeat` here."))
    if ask.permuted:
        _refuse_without(who, settings.permutation_roles, tr("Only {whom} may use choices in braces here."))
    if ask.jobs > settings.permutations:
        most = settings.permutations
        raise Refused(tr("This makes {jobs} jobs, and {most} are allowed at once here.", jobs=ask.jobs, most=most))


def _refuse_without(who: Situation, roles: tuple[int, ...], says: str) -> None:
    if roles and not who.role_ids.intersection(roles):
        raise Refused(says.format(whom=", ".join(f"<@&{role}>" for role in roles[:5])))


def _speed(who: Situation, ask: Ask, settings: GuildSettings) -> Speed:
    allowed = not settings.fast_roles or who.role_ids.intersection(settings.fast_roles)
    return ask.speed if allowed else Speed.RELAX


def _refuse_size(params: Params, bounds: Bounds) -> None:
    longest = max(params.width, params.height) * (2 if params.hd else 1)
    if bounds.longest_side is not None and longest > bounds.longest_side:
        most = bounds.longest_side
        raise Refused(
            tr("This would be {side} pixels long, and {most} is the most for you here.", side=longest, most=most)
        )
    if bounds.steps is not None and params.num_inference_steps > bounds.steps:
        steps, most = params.num_inference_steps, bounds.steps
        raise Refused(tr("This takes {steps} steps, and {most} is the most for you here.", steps=steps, most=most))


def _blocked(block: Block) -> str:
    says = tr("The moderators have blocked you from using me in this server")
    until = tr(" until {time}", time=f"<t:{int(block.until)}:f>") if block.until is not None else ""
    return f"{says}{until}: {block.reason}" if block.reason else f"{says}{until}."


def _jobs(number: int) -> str:
    return tr("1 job") if number == 1 else tr("{number} jobs", number=f"{number:,}")


def _seconds(number: int) -> str:
    return tr("1 second") if number == 1 else tr("{number} seconds", number=f"{number:,}")
