"""Authorize jobs: every command, button, modal and menu calls `Policy.authorize`, and nothing else decides."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from bot.policy import settings as guild_settings
from bot.policy.settings import GuildSettings, RoleLimits
from bot.policy.word_filter import WordFilter, check_prompt, check_text
from bot.ui.i18n import tr, trn
from bot.ui.text import escape_markdown
from db.guilds import Block, GuildStore, VersionedSettings
from db.usage import Usage, UsageTotals
from generation.errors import UserError
from generation.job import Action, Job, Speed
from generation.params import Params
from generation.planning.film_pictures import grids_of

DAY_S = 86_400.0  # seconds
RESTRICTED_UPSCALES = (Action.UPSCALE_CREATIVE_4,)


class PolicyDenied(UserError):
    """A rule of the server or of the bot operator forbids the request; the text names the rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """Who makes a request, and where, as ids. `channel_ids` are the channel, a thread's parent, and the category."""

    guild_id: int | None
    channel_ids: frozenset[int]
    person_id: int
    role_ids: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A request to authorize; `jobs` counts the jobs it makes, through `--repeat` or choices in braces.

    It is `private` if it asks for that. A picture that is picked from a private grid, which draws nothing, does not.

    An explicit speed (`speed_is_explicit`, typed in the prompt) is refused if it is not allowed. Otherwise the job gets
    an allowed speed.
    """

    action: Action
    params: Params
    speed: Speed = Speed.FAST
    speed_is_explicit: bool = False
    private: bool = False
    jobs: int = 1
    repeated: bool = False
    permuted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The terms of an authorized request: the server's settings, the person's limits and speed, and a warning."""

    settings: GuildSettings
    limits: RoleLimits
    speed: Speed
    warning: str | None = None


class Policy:
    """Apply a guild's rules and, above them, the bot operator's."""

    def __init__(
        self,
        guilds: GuildStore,
        usage: Usage,
        clock: Callable[[], float] = time.time,
        denial_message: Callable[[int | None], str | None] = lambda guild_id: None,
    ) -> None:
        self._guilds, self._usage, self._clock, self._denial_message = guilds, usage, clock, denial_message
        self._word_filters: dict[int, tuple[int, WordFilter]] = {}
        self._settings: dict[int, tuple[VersionedSettings, GuildSettings]] = {}
        self._authorization_locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def settings(self, guild_id: int | None) -> GuildSettings:
        """Return a guild's settings; the defaults in direct messages."""
        if guild_id is None:
            return GuildSettings()
        stored = await self._guilds.settings(guild_id)
        known = self._settings.get(guild_id)
        if known is None or known[0] != stored:
            known = self._settings[guild_id] = stored, guild_settings.from_dict(stored.values)
        return known[1]

    @asynccontextmanager
    async def authorized(self, context: RequestContext, request: JobRequest) -> AsyncIterator[Grant]:
        """Authorize a request and hold the person's lock until the block has stored the jobs.

        Without the lock, ten simultaneous button presses would each see the usage from before the first.
        """
        async with self._authorization_locks.setdefault(context.person_id, asyncio.Lock()):
            yield await self.authorize(context, request)

    async def authorize(self, context: RequestContext, request: JobRequest) -> Grant:
        """Return the grant for `request`; raises PolicyDenied, or PromptError for a blocked word."""
        settings = await self.check_access(context)
        if context.guild_id is None:
            return Grant(settings=settings, limits=RoleLimits(), speed=request.speed)
        limits = settings.limits_for(context.guild_id, context.role_ids)
        if request.action is not Action.PICK:
            _require_allowed_model(request.params.model, settings)
        _require_allowed_features(context, request, settings)
        _require_allowed_size(request.params, limits)
        await self._require_quota(context, request, limits)
        warning = check_prompt(await self._word_filter(context.guild_id), request.params)
        return Grant(
            settings=settings, limits=limits, speed=_granted_speed(context, request, settings), warning=warning
        )

    async def check_access(self, context: RequestContext) -> GuildSettings:
        """Return the guild's settings; raise PolicyDenied if this person may not use the bot here.

        Call it before fetching anything for them.
        """
        if denial := self._denial_message(context.guild_id):
            raise PolicyDenied(denial)
        settings = await self.settings(context.guild_id)
        if context.guild_id is not None:
            await self._require_unblocked(context.guild_id, context.person_id)
            _require_allowed_channel(context, settings)
        return settings

    async def usage(self, context: RequestContext) -> tuple[UsageTotals, RoleLimits]:
        """Return a person's usage in a guild over the last 24 hours, and their limits there."""
        if context.guild_id is None:
            return UsageTotals(jobs=0, seconds=0.0, last_asked_at=None), RoleLimits()
        limits = (await self.settings(context.guild_id)).limits_for(context.guild_id, context.role_ids)
        return await self._usage.totals(context.person_id, context.guild_id, self._clock() - DAY_S), limits

    async def check_words(self, guild_id: int, params: Params) -> str | None:
        """Return the warning about the words of `params`, if there is one; raises PromptError for a blocked word."""
        return check_prompt(await self._word_filter(guild_id), params)

    async def check_text(self, guild_id: int, text: str) -> None:
        """Raise PromptError if a text that everybody will read has a blocked word."""
        check_text(await self._word_filter(guild_id), text)

    async def reauthorize(self, job: Job, worded_by: Collection[int] = ()) -> None:
        """Check a job again that has waited or was resumed after a restart; raises like `authorize`.

        `worded_by` are the people whose words it draws: none of them may be blocked either.

        Rules that need the interaction, such as role limits, are not checked again.
        """
        guild_id = job.destination.guild_id
        if denial := self._denial_message(guild_id):
            raise PolicyDenied(denial)
        if guild_id is None:
            return
        if await self._guilds.active_block(guild_id, job.requester.id):
            # Without the reason: everybody in the channel can read the status message.
            raise PolicyDenied(tr("The moderators have blocked you from using me in this server."))
        for person_id in set(worded_by) - {job.requester.id}:
            if await self._guilds.active_block(guild_id, person_id):
                raise PolicyDenied(tr("These are the words of somebody whom the moderators have blocked."))
        check_prompt(await self._word_filter(guild_id), job.params)

    async def _require_unblocked(self, guild_id: int, person_id: int) -> None:
        if block := await self._guilds.active_block(guild_id, person_id):
            raise PolicyDenied(_blocked_message(block))

    async def _require_quota(self, context: RequestContext, request: JobRequest, limits: RoleLimits) -> None:
        if request.action is Action.PICK or context.guild_id is None:
            return
        if limits.jobs_a_day is None and limits.gpu_seconds_a_day is None and not limits.cooldown:
            return
        now = self._clock()
        usage = await self._usage.totals(context.person_id, context.guild_id, now - DAY_S)
        jobs = request.jobs * grids_of(request.params)
        if limits.jobs_a_day is not None and usage.jobs + jobs > limits.jobs_a_day:
            most = _format_jobs(limits.jobs_a_day)
            sentences = [
                tr("Your limit here is {most} in 24 hours, and you have used {used}.", most=most, used=usage.jobs)
            ]
            if jobs > 1:
                sentences.append(tr("This request adds {number} more.", number=jobs))
            raise PolicyDenied(" ".join(sentences))
        if limits.gpu_seconds_a_day is not None and usage.seconds >= limits.gpu_seconds_a_day:
            most, spent = _format_seconds(limits.gpu_seconds_a_day), f"{usage.seconds:.0f}"
            text = tr(
                "Your limit here is {most} of drawing time in 24 hours, and you have used {used}.",
                most=most,
                used=spent,
            )
            raise PolicyDenied(text)
        wait = (usage.last_asked_at or 0.0) + (limits.cooldown or 0) - now
        if wait > 0:
            raise PolicyDenied(
                tr("Please wait {time}: this server has a cooldown between jobs.", time=_format_seconds(int(wait) + 1))
            )

    async def _word_filter(self, guild_id: int) -> WordFilter:
        version = (await self._guilds.settings(guild_id)).version
        known = self._word_filters.get(guild_id)
        if known is None or known[0] != version:
            phrases = await self._guilds.blocked_words(guild_id)
            word_filter = await asyncio.to_thread(WordFilter, phrases)  # 10,000 phrases would block the event loop
            known = self._word_filters[guild_id] = version, word_filter
        return known[1]


def _require_allowed_channel(context: RequestContext, settings: GuildSettings) -> None:
    if settings.channels and not context.channel_ids.intersection(settings.channels):
        named = ", ".join(f"<#{channel}>" for channel in settings.channels[:5])
        left_out = len(settings.channels) - 5
        where = named if left_out <= 0 else tr("{named} and {number} more", named=named, number=left_out)
        raise PolicyDenied(tr("I do not draw in this channel. Go to {where}.", where=where))


def _require_allowed_model(model: str, settings: GuildSettings) -> None:
    if not settings.allows(model):
        named = ", ".join(settings.models)
        raise PolicyDenied(tr("The owners of this server allow {models} only, not {model}.", models=named, model=model))


def _require_allowed_features(context: RequestContext, request: JobRequest, settings: GuildSettings) -> None:
    if request.private and not settings.stealth:
        raise PolicyDenied(
            tr(
                "Private pictures (`--stealth`) are switched off in this server: add `--public`, or use `/public`. "
                "From a private picture, *Remix* with `--public` makes a public one."
            )
        )
    if request.speed_is_explicit and request.speed is not Speed.RELAX:
        message = tr("Only {whom} may use fast mode here. Leave it out to run the job relaxed.")
        _require_role(context, settings.fast_roles, message)
    if request.action in RESTRICTED_UPSCALES:
        _require_role(context, settings.upscale_roles, tr("Only {whom} may upscale this much here."))
    if request.repeated:
        _require_role(context, settings.repeat_roles, tr("Only {whom} may use `--repeat` here."))
    if request.permuted:
        _require_role(context, settings.permutation_roles, tr("Only {whom} may use choices in braces here."))
    if request.jobs > settings.permutations:
        most = settings.permutations
        raise PolicyDenied(
            trn(
                "This makes {jobs} jobs, but only {n} is allowed at once here.",
                "This makes {jobs} jobs, but only {n} are allowed at once here.",
                most,
                jobs=request.jobs,
            )
        )


def _require_role(context: RequestContext, roles: tuple[int, ...], message: str) -> None:
    if roles and not context.role_ids.intersection(roles):
        raise PolicyDenied(message.format(whom=", ".join(f"<@&{role}>" for role in roles[:5])))


def _granted_speed(context: RequestContext, request: JobRequest, settings: GuildSettings) -> Speed:
    allowed = not settings.fast_roles or context.role_ids.intersection(settings.fast_roles)
    return request.speed if allowed else Speed.RELAX


def _require_allowed_size(params: Params, limits: RoleLimits) -> None:
    longest = max(params.width, params.height) * (2 if params.hd else 1)
    if limits.longest_side is not None and longest > limits.longest_side:
        most = limits.longest_side
        raise PolicyDenied(
            tr("The longer side would be {side} pixels, and your limit here is {most}.", side=longest, most=most)
        )
    if limits.steps is not None and params.num_inference_steps > limits.steps:
        steps, most = params.num_inference_steps, limits.steps
        raise PolicyDenied(tr("This takes {steps} steps, and your limit here is {most}.", steps=steps, most=most))


def _blocked_message(block: Block) -> str:
    reason = escape_markdown(block.reason)  # it may quote a report, which anyone can write
    if block.until is None:
        if not reason:
            return tr("The moderators have blocked you from using me in this server.")
        return tr("The moderators have blocked you from using me in this server: {reason}", reason=reason)
    until = f"<t:{int(block.until)}:f>"
    if not reason:
        return tr("The moderators have blocked you from using me in this server until {time}.", time=until)
    return tr(
        "The moderators have blocked you from using me in this server until {time}: {reason}",
        time=until,
        reason=reason,
    )


def _format_jobs(number: int) -> str:
    return trn("{n:,} job", "{n:,} jobs", number)


def _format_seconds(number: int) -> str:
    return trn("{n:,} second", "{n:,} seconds", number)
