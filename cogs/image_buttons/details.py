"""Details: everything that is needed to make an image again."""

from __future__ import annotations

from dataclasses import replace

from bot.client import Client, Interaction
from bot.discord_calls import NO_MENTIONS
from bot.images.inputs import is_masked
from bot.ui import job_text
from bot.ui.dynamic_items import PersistentItem, persistent_view
from bot.ui.i18n import tr
from bot.ui.job_views import DETAILS, family_tree_view
from bot.ui.prompt_block import format_prompt_block
from bot.ui.text import escape_markdown, jump_url, truncate
from cogs.together.contest.entering import enter_this_button
from db.jobs import JobRecord, JobStore
from db.lineage import LineageStore
from generation.errors import UserError
from generation.job import Action
from generation.models.registry import ModelRegistry
from generation.params import TILE_PATTERN, Params, PromptPart, Upload
from generation.planning.actions import size_of
from generation.planning.style import has_style_adapter
from generation.prompt import format_prompt

MAX_ANCESTORS = 4  # shown; an image may have a hundred
MAX_PARAMETERS_LENGTH = 500  # characters


class DetailsButton(PersistentItem, template=rf"{DETAILS}:{TILE_PATTERN}"):
    """Responds privately with everything about an image."""

    async def run(self, interaction: Interaction) -> None:
        services = interaction.client.services
        record = await services.db.jobs.get(self.job_id)
        if record is None:
            raise UserError(tr("I no longer know this picture."))
        ancestors = await _ancestors(services.db.jobs, record)
        drawn = next((each for each in (record, *ancestors) if each.job.action is not Action.PICK), record)
        lines = [*fact_lines(record, services.registry), *_picture_lines(drawn.job.params)]
        text = "\n".join([*lines, *_lineage(ancestors, interaction.user.id, interaction.guild_id)])
        content, files = format_prompt_block(text, format_prompt(record.job.params, services.registry, seed=True))
        view = (
            family_tree_view(self.job_id) if await _has_family(services.db.lineage, self.job_id) else persistent_view()
        )
        for button in await enter_this_button(interaction, record):
            view.add_item(button)
        await interaction.response.send_message(
            content, files=files, view=view, ephemeral=True, allowed_mentions=NO_MENTIONS, suppress_embeds=True
        )


async def _has_family(lineage: LineageStore, job_id: str) -> bool:
    return bool(await lineage.parents([job_id]) or await lineage.children(job_id, 1))


async def _ancestors(jobs: JobStore, record: JobRecord) -> list[JobRecord]:
    """Return a job's ancestors, the nearest first, and one more than is shown."""
    ancestors: list[JobRecord] = []
    parent = record.job.parent
    while parent is not None and len(ancestors) <= MAX_ANCESTORS:
        ancestor = await jobs.get(parent.job_id)
        if ancestor is None:
            break
        ancestors.append(ancestor)
        parent = ancestor.job.parent
    return ancestors


def fact_lines(record: JobRecord, registry: ModelRegistry) -> list[str]:
    """Return the lines about an image, without its prompt."""
    job, (width, height) = record.job, size_of(record.job.params)
    model = registry.model_name(job.params)
    is_drawn = job.action is not Action.PICK and record.seconds is not None
    facts = [
        tr("Job `{job_id}`", job_id=job.id),
        tr("seed {seed}", seed=job.params.seed),
        f"{width} × {height}",
        escape_markdown(model),
        *([tr("drawn in {seconds:.1f} s", seconds=record.seconds)] if is_drawn else []),
    ]
    parameters = format_prompt(replace(job.params, parts=(PromptPart(""),), model=""), None)  # shown in the line above
    return [
        f"{job_text.attribution(job)} <t:{job.asked_at:.0f}:R>",
        " · ".join(facts),
        f"-# {escape_markdown(truncate(parameters, MAX_PARAMETERS_LENGTH))}",
    ]


def _picture_lines(params: Params) -> list[str]:
    """Return the line that says how the pictures act that people gave, if any."""
    ways = []
    if isinstance(params.source, Upload) and not is_masked(params):
        ways.append(tr("starts from the picture (img2img)"))
    if params.image_prompts:
        ways.append(tr("picture as a prompt by {adapter}", adapter=escape_markdown(params.image_adapter)))
    if params.character is not None:
        ways.append(tr("character by {adapter}", adapter=escape_markdown(params.character_adapter)))
    if has_style_adapter(params):
        ways.append(tr("style by {adapter}", adapter=escape_markdown(params.style_adapter)))
    return [f"-# {' · '.join(ways)}"] if ways else []


def _lineage(ancestors: list[JobRecord], person_id: int, guild_id: int | None) -> list[str]:
    """Return a line for each ancestor; nobody is named in a server for a picture of another one, or a private one."""
    lines = [f"-# ↳ {_ancestor_line(record, person_id, guild_id)}" for record in ancestors[:MAX_ANCESTORS]]
    return lines + ["-# ↳ …"] * (len(ancestors) > MAX_ANCESTORS)


def _ancestor_line(record: JobRecord, person_id: int, guild_id: int | None) -> str:
    destination, origin = record.job.destination, job_text.attribution(record.job)
    is_elsewhere = guild_id is not None and destination.guild_id != guild_id
    if record.job.requester.id != person_id and (destination.private or is_elsewhere):
        return job_text.made_how(record.job, tr("somebody"))
    if record.result_message_id is None:
        return origin
    url = jump_url(destination.guild_id, destination.result_channel_id, record.result_message_id)
    link = tr("go there")
    return f"{origin} · [{link}]({url})"


async def setup(client: Client) -> None:
    """Add the button; discord.py calls this."""
    client.add_dynamic_items(DetailsButton)
