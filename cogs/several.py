"""Several jobs from one prompt: a question first, and then all of them or none."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self, cast

import discord

from bot.client import Client
from bot.discord_calls import TRANSPORT_ERRORS
from bot.jobs.destination import is_private
from bot.policy.context import context_from
from bot.policy.policy import JobRequest
from bot.ui.errors import report_errors, respond_ephemeral
from bot.ui.prompt_block import extract_prompt, format_prompt_block
from bot.ui.text import escape_markdown, truncate
from cogs.prompting import PATTERN, EditButton, Purpose, refuse
from cogs.road import Interaction, Road, road_of
from generation.errors import UserError
from generation.job import Action, Job
from generation.params import Params, Upload
from generation.prompt import PromptRequest, format_prompt
from generation.prompt.preferences import Preferences
from generation.queue.queue import MemberLimits

if TYPE_CHECKING:
    from cogs.imagine import Imagine

log = logging.getLogger(__name__)

MOST_FOLLOWUPS = 5  # that Discord allows where only the person has installed the bot
MOST_SHOWN = 3
LONGEST_SHOWN = 100  # characters of each


async def ask_whether(interaction: Interaction, purpose: Purpose, prompt: str, wishes: list[PromptRequest]) -> None:
    """Ask privately whether all the jobs are meant that a prompt makes."""
    shown = [f"{number}. {_shown(wish, interaction)}" for number, wish in enumerate(wishes[:MOST_SHOWN], start=1)]
    more = [f"-# … and {len(wishes) - MOST_SHOWN} more"] if len(wishes) > MOST_SHOWN else []
    content, files = format_prompt_block("\n".join([f"This makes {len(wishes)} jobs:", *shown, *more]), prompt)
    view = discord.ui.View(timeout=None)
    view.add_item(DrawAllButton(purpose))
    view.add_item(EditButton(purpose, "Edit"))
    view.add_item(DropButton())
    await respond_ephemeral(interaction, content, files=files, view=view)


class DrawAllButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=rf"all:{PATTERN}"):
    """Draw all: asks for every job of the prompt that stands in the message."""

    def __init__(self, purpose: Purpose) -> None:
        self.purpose = purpose
        style = discord.ButtonStyle.primary
        super().__init__(discord.ui.Button(label="Draw all", custom_id=f"all:{purpose}", style=style))

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], match: re.Match[str]) -> Self:
        return cls(Purpose.of(match))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            assert interaction.message is not None
            prompt = await extract_prompt(interaction.message)
            try:
                await self._draw_all(interaction, prompt, interaction.message.id)
            except Exception as error:
                await refuse(interaction, error, self.purpose, prompt)

    async def _draw_all(self, interaction: Interaction, prompt: str, question_id: int) -> None:
        imagine = cast("Imagine", interaction.client.get_cog("Imagine"))
        image = Upload(self.purpose.besides) if self.purpose.besides else None
        wishes = await imagine.read(interaction, prompt, with_picture=image is not None)
        await interaction.response.defer()
        several = await imagine.with_pictures(wishes, image)
        preferred = await interaction.client.services.preferences.get(interaction.user.id)
        asks = [
            _asked(interaction, params, wish, len(wishes), preferred)
            for params, wish in zip(several, wishes, strict=True)
        ]
        if not await ask_all(interaction, asks, key=str(question_id)):
            await respond_ephemeral(interaction, "You have confirmed this before.")


class DropButton(discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template="drop"):
    """Cancel, below the question whether several jobs are meant."""

    def __init__(self) -> None:
        super().__init__(discord.ui.Button(label="Cancel", custom_id="drop"))

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: discord.ui.Item[Any], ___: re.Match[str]) -> Self:
        return cls()

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        async with report_errors(interaction):
            await interaction.response.defer()
            await interaction.delete_original_response()


async def ask_all(interaction: Interaction, asks: Sequence[JobRequest], *, key: str) -> bool:
    """Accept several jobs together, or raise Complaint; False when they were accepted before, by the same `key`.

    The interaction must be answered already, by a deferred change of the question that these jobs confirm.
    """
    road, warnings = road_of(interaction.client), list[str]()
    jobs = await _accept(interaction, road, asks, key, warnings)
    if not jobs:
        return False
    with suppress(*TRANSPORT_ERRORS):  # the jobs are accepted, and go on whatever can be said of them
        said = f"{len(jobs)} jobs are on their way."
        await interaction.edit_original_response(content=said, attachments=[], view=None)
    for job in jobs:
        await road.go_on_with(job, await _notice(interaction, road, job))
    for warning in dict.fromkeys(warnings):
        await respond_ephemeral(interaction, warning)
    return True


async def _accept(
    interaction: Interaction, road: Road, asks: Sequence[JobRequest], key: str, warnings: list[str]
) -> list[Job]:
    who, jobs = context_from(interaction), list[Job]()
    policy, queue, store = road.studio.policy, road.studio.queue, road.studio.store
    async with policy.authorized(who, asks[0]) as terms:
        if await store.get(_numbered(key, 0)):
            return []
        for number, ask in enumerate(asks):
            terms = await policy.authorize(who, ask)
            warnings += [terms.warning] if terms.warning else []
            job = road.job(interaction, ask.action, ask.params, None, terms.speed, ask.private)
            jobs.append(dataclasses.replace(job, id=_numbered(key, number)))
        if len(jobs) > MOST_FOLLOWUPS and not (interaction.context.dm_channel or interaction.is_guild_integration()):
            raise UserError(f"Discord lets me answer with {MOST_FOLLOWUPS} jobs at once here, not with {len(jobs)}.")
        allowance = MemberLimits(waiting=terms.limits.waiting, running=terms.limits.running)
        queue.check_limits(who.person_id, who.guild_id, allowance, len(jobs))
        return jobs if await _keep(road, jobs, allowance) else []


async def _keep(road: Road, jobs: list[Job], allowance: MemberLimits) -> bool:
    kept = False
    for job in jobs:
        road.studio.queue.enqueue(job, allowance)
    try:
        kept = await road.studio.store.add_jobs(jobs)
    finally:
        for job in () if kept else jobs:
            road.studio.queue.remove(job.id)
    return kept


async def _notice(interaction: Interaction, road: Road, job: Job) -> int | None:
    try:
        return await road.say_that_it_waits(interaction, job)
    except TRANSPORT_ERRORS:  # the job was confirmed, and goes on without
        log.warning("job %s: it has no notice", job.id, exc_info=True)
        return None


def _asked(
    interaction: Interaction, params: Params, wish: PromptRequest, jobs: int, preferred: Preferences
) -> JobRequest:
    return JobRequest(
        action=action_of(params),
        params=params,
        speed=wish.speed or preferred.speed,
        speed_is_explicit=wish.speed is not None,
        private=is_private(interaction, wish.private, preferred),
        jobs=jobs,
        repeated=wish.repeat > 1,
        permuted=jobs > wish.repeat,
    )


def action_of(params: Params) -> Action:
    """Tell drawing from words from blending pictures without any."""
    return Action.IMAGINE if any(part.text for part in params.parts) else Action.BLEND


def _numbered(key: str, number: int) -> str:
    """Give a job the same id whenever it is asked for by the same key, so that it is accepted once."""
    return hashlib.sha256(f"{key}:{number}".encode()).hexdigest()[:12]


def _shown(wish: PromptRequest, interaction: Interaction) -> str:
    return escape_markdown(truncate(format_prompt(wish.params, interaction.client.services.registry), LONGEST_SHOWN))


async def setup(client: Client) -> None:
    """Add the question's buttons; discord.py calls this."""
    client.add_dynamic_items(DrawAllButton, DropButton)
