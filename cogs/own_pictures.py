"""Name one of one's own results in a command: by its id, or by words of its prompt that are suggested."""

from __future__ import annotations

import re
from collections.abc import Iterable

from discord import app_commands

from bot.client import Interaction
from bot.ui.i18n import tr, trn
from bot.ui.text import truncate
from db.finding.search import SearchHit
from db.jobs import JobRecord
from generation.errors import UserError
from generation.job import Action
from generation.models.registry import ModelRegistry
from generation.prompt import format_prompt

MAX_CHOICE_LENGTH = 100  # characters, by Discord's rules


async def find_own(interaction: Interaction, typed: str) -> JobRecord:
    """Return a job by its id, or the user's newest with these words in its prompt; raise UserError otherwise."""
    return await resolve(interaction, typed, await _own(interaction, typed))


async def suggest_own(interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    """Suggest the user's jobs with these words in their prompts."""
    return as_choices(interaction, await _own(interaction, typed))


async def resolve(interaction: Interaction, typed: str, hits: list[SearchHit]) -> JobRecord:
    """Return the chosen job, or the first hit if the user typed without choosing."""
    job_id = typed.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{12}", job_id) and hits:
        job_id = hits[0].job_id
    record = await interaction.client.services.db.jobs.get(job_id)
    if record is None or record.suffix is None or record.job.destination.is_held:
        raise not_found()
    return record


def as_choices(interaction: Interaction, hits: Iterable[SearchHit]) -> list[app_commands.Choice[str]]:
    """Return jobs as the choices of a parameter."""
    services = interaction.client.services
    now, registry = services.clock(), services.registry
    return [app_commands.Choice(name=_choice_name(each, registry, now), value=each.job_id) for each in hits]


def not_found() -> UserError:
    """Return the error for a name that no visible result has."""
    return UserError(
        tr("I found no picture with this name that you may see. Pick one from the list that appears as you type.")
    )


async def _own(interaction: Interaction, typed: str) -> list[SearchHit]:
    return await interaction.client.services.db.search.by_prompt(interaction.user.id, typed)


def _choice_name(hit: SearchHit, registry: ModelRegistry, now: float) -> str:
    """Return the name of a choice: the prompt, the action and the age of a job."""
    what = "" if hit.action is Action.IMAGINE else f" · {hit.action.replace('_', ' ')}"
    end = f"{what} · {_format_age(now - hit.asked_at)}"
    prompt = " ".join(format_prompt(hit.params, registry).split())
    return truncate(prompt or tr("(pictures)"), MAX_CHOICE_LENGTH - len(end)) + end


def _format_age(seconds: float) -> str:
    minutes = max(0, int(seconds)) // 60
    if minutes < 1:
        return tr("just now")
    if minutes < 60:
        return tr("{minutes} min ago", minutes=minutes)
    if minutes < 48 * 60:
        return tr("{hours} h ago", hours=minutes // 60)
    return trn("{n} day ago", "{n} days ago", minutes // (24 * 60))
