"""The numbered buttons below a result of /shorten or /describe: each opens its prompt, to be drawn."""

from __future__ import annotations

from bot.client import Client, Interaction
from bot.policy.context import context_from
from bot.ui.dynamic_items import JOB_PATTERN, PersistentItem
from bot.ui.errors import respond_ephemeral
from bot.ui.i18n import tr
from bot.ui.modals import MAX_TEXT_LENGTH
from bot.ui.prompt_block import format_prompt_block
from bot.ui.reading_text import READING
from cogs.prompt_modal import PromptTarget, open_prompt_modal
from db.readings import StoredReading
from generation.errors import UserError
from generation.job import Action


class ReadingPromptButton(PersistentItem, template=rf"{READING}:{JOB_PATTERN}:(?P<number>[1-9])"):
    """Opens the form with a prompt that was found."""

    async def run(self, interaction: Interaction) -> None:
        await interaction.client.services.policy.check_access(context_from(interaction))
        stored = await require_reading(interaction, self.job_id)
        prompt = stored.prompts[min(int(self.match["number"]), len(stored.prompts)) - 1]
        if len(prompt) <= MAX_TEXT_LENGTH:
            await open_prompt_modal(interaction, PromptTarget(Action.IMAGINE), prompt)
            return
        text = tr("This prompt is too long for a form: give it to `/imagine`.")
        content, files = format_prompt_block(text, prompt)
        await respond_ephemeral(interaction, content, files=files)


async def require_reading(interaction: Interaction, job_id: str) -> StoredReading:
    """Return a result that the user may see; raise UserError if it is no longer kept."""
    services = interaction.client.services
    record, stored = await services.db.jobs.get(job_id), await services.db.readings.get(job_id)
    is_hidden = record is not None and record.job.destination.private and record.job.requester.id != interaction.user.id
    if record is None or stored is None or not stored.prompts or is_hidden:
        raise UserError(tr("These prompts are not kept any more: use the command again."))
    return stored


async def setup(client: Client) -> None:
    """Add the buttons; discord.py calls this."""
    client.add_dynamic_items(ReadingPromptButton)
