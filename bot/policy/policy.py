"""May this person do this, here, now? Every door asks `Policy.admit`, and nothing else decides."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from bot.policy import settings as guild_settings
from bot.policy.settings import Bounds, GuildSettings
from bot.policy.words import Words, judge
from db.guilds import Block, Guilds
from db.usage import Usage, Used
from generation.errors import Complaint
from generation.job import Action, Job, Speed
from generation.params import Params

DAY = 86_400.0  # seconds
BIG_UPSCALES = (Action.UPSCALE_CREATIVE_4,)


class Refused(Complaint):
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
        guilds: Guilds,
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
        if refusal := self._refusal(who.guild_id):
            raise Refused(refusal)
        if who.guild_id is None:
            return Terms(settings=GuildSettings(), bounds=Bounds(), speed=ask.speed)
        settings = await self.settings(who.guild_id)
        bounds = settings.bounds_of(who.guild_id, who.role_ids)
        await self._refuse_blocked(who.guild_id, who.person_id)
        _refuse_elsewhere(who, settings)
        _refuse_features(who, ask, settings)
        _refuse_size(ask.params, bounds)
        await self._refuse_overuse(who, ask, bounds)
        warning = judge(await self._words_of(who.guild_id), ask.params)
        return Terms(settings=settings, bounds=bounds, speed=_speed(who, ask, settings), warning=warning)

    async def used(self, who: Situation) -> tuple[Used, Bounds]:
        """Give what somebody has used of a guild in the last 24 hours, and the bounds that hold for them there."""
        if who.guild_id is None:
            return Used(jobs=0, seconds=0.0, last_asked_at=None), Bounds()
        bounds = (await self.settings(who.guild_id)).bounds_of(who.guild_id, who.role_ids)
        return await self._usage.of(who.person_id, who.guild_id, self._clock() - DAY), bounds

    async def still_admit(self, job: Job) -> None:
        """Look again at a job that has waited, or comes from before a restart; raises as `admit` does.

        What could only be asked of the interaction, such as the person's roles, is not asked twice.
        """
        guild_id = job.destination.guild_id
        if refusal := self._refusal(guild_id):
            raise Refused(refusal)
        if guild_id is None:
            return
        await self._refuse_blocked(guild_id, job.asker.id)
        judge(await self._words_of(guild_id), job.params)

    async def _refuse_blocked(self, guild_id: int, person_id: int) -> None:
        if block := await self._guilds.block_of(guild_id, person_id):
            raise Refused(_blocked(block))

    async def _refuse_overuse(self, who: Situation, ask: Ask, bounds: Bounds) -> None:
        if ask.action is Action.PICK or who.guild_id is None:
            return
        if bounds.jobs_a_day is None and bounds.gpu_seconds_a_day is None and not bounds.cooldown:
            return
        now = self._clock()
        used = await self._usage.of(who.person_id, who.guild_id, now - DAY)
        if bounds.jobs_a_day is not None and used.jobs + ask.jobs > bounds.jobs_a_day:
            raise Refused(
                f"You may have {_count(bounds.jobs_a_day, 'job')} in 24 hours here, and had {used.jobs}"
                + (f"; this would be {ask.jobs} more." if ask.jobs > 1 else ".")
            )
        if bounds.gpu_seconds_a_day is not None and used.seconds >= bounds.gpu_seconds_a_day:
            raise Refused(
                f"You may use {_count(bounds.gpu_seconds_a_day, 'second')} of drawing time in 24 hours here, "
                f"and used {used.seconds:.0f}."
            )
        wait = (used.last_asked_at or 0.0) + (bounds.cooldown or 0) - now
        if wait > 0:
            raise Refused(f"Please wait {_count(int(wait) + 1, 'second')}: there is a pause between jobs here.")

    async def _words_of(self, guild_id: int) -> Words:
        version = (await self._guilds.settings(guild_id)).version
        known = self._words.get(guild_id)
        if known is None or known[0] != version:
            phrases = await self._guilds.words(guild_id)
            known = self._words[guild_id] = (
                version,
                await asyncio.to_thread(Words, phrases),
            )  # ten thousand take a while
        return known[1]


def _refuse_elsewhere(who: Situation, settings: GuildSettings) -> None:
    if settings.channels and not who.places.intersection(settings.channels):
        named = ", ".join(f"<#{channel}>" for channel in settings.channels[:5])
        more = f" and {len(settings.channels) - 5} more" if len(settings.channels) > 5 else ""
        raise Refused(f"I do not draw in this channel. Go to {named}{more}.")


def _refuse_features(who: Situation, ask: Ask, settings: GuildSettings) -> None:
    if ask.private and not settings.stealth:
        raise Refused("Private pictures (`--stealth`) are switched off in this server.")
    if ask.insisted and ask.speed is not Speed.RELAX:
        _refuse_without(who, settings.fast_roles, "use fast mode here: leave it out, and the job is relaxed")
    if ask.action in BIG_UPSCALES:
        _refuse_without(who, settings.upscale_roles, "enlarge pictures this much here")
    if ask.repeated:
        _refuse_without(who, settings.repeat_roles, "use `--repeat` here")
    if ask.permuted:
        _refuse_without(who, settings.permutation_roles, "use choices in braces here")
    if ask.jobs > settings.permutations:
        raise Refused(f"This makes {ask.jobs} jobs, and {settings.permutations} are allowed at once here.")


def _refuse_without(who: Situation, roles: tuple[int, ...], feature: str) -> None:
    if roles and not who.role_ids.intersection(roles):
        named = ", ".join(f"<@&{role}>" for role in roles[:5])
        raise Refused(f"Only {named} may {feature}.")


def _speed(who: Situation, ask: Ask, settings: GuildSettings) -> Speed:
    allowed = not settings.fast_roles or who.role_ids.intersection(settings.fast_roles)
    return ask.speed if allowed else Speed.RELAX


def _refuse_size(params: Params, bounds: Bounds) -> None:
    longest = max(params.width, params.height) * (2 if params.hd else 1)
    if bounds.longest_side is not None and longest > bounds.longest_side:
        raise Refused(f"This would be {longest} pixels long, and {bounds.longest_side} is the most for you here.")
    if bounds.steps is not None and params.num_inference_steps > bounds.steps:
        raise Refused(f"This takes {params.num_inference_steps} steps, and {bounds.steps} is the most for you here.")


def _blocked(block: Block) -> str:
    until = f" until <t:{int(block.until)}:f>" if block.until is not None else ""
    reason = f": {block.reason}" if block.reason else "."
    return f"The moderators have blocked you from using me in this server{until}{reason}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
