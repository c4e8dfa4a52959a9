"""Edit and retry below a job that failed."""

from __future__ import annotations

from bot.client import Client, Interaction
from bot.ui.dynamic_items import JOB_PATTERN, PersistentItem
from bot.ui.i18n import tr
from bot.ui.job_views import RETRY
from cogs.image_buttons.edit_words import open_form
from cogs.image_buttons.remix import open_prompt
from generation.errors import UserError
from generation.job import Action
from generation.params import Tile


class RetryButton(PersistentItem, template=rf"{RETRY}:{JOB_PATTERN}"):
    """Opens the prompt of a job that failed, to be submitted again."""

    async def run(self, interaction: Interaction) -> None:
        record = await interaction.client.services.db.jobs.get(self.job_id)
        if record is None:
            raise UserError(tr("I no longer know this job: copy the prompt and use `/imagine`."))
        if record.job.requester.id != interaction.user.id:
            whom = f"<@{record.job.requester.id}>"
            raise UserError(tr("Only {whom} can retry this job: copy the prompt and use `/imagine`.", whom=whom))
        job = record.job
        if job.action is Action.EDIT_WORDS and job.parent is not None:
            kept = " --retouch" if job.params.retouch else " --hold" if job.params.hold else " --keep 0"
            await open_form(interaction, job.parent, job.params, kept)
        else:
            await open_prompt(interaction, Action.REROLL, Tile(job.id, 0))


async def setup(client: Client) -> None:
    """Add the button; discord.py calls this."""
    client.add_dynamic_items(RetryButton)
