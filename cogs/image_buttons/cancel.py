"""The Cancel button below a status message."""

from __future__ import annotations

from bot.client import Client, Interaction
from bot.ui.dynamic_items import JOB_PATTERN, PersistentItem


class CancelButton(PersistentItem, template=rf"cancel:{JOB_PATTERN}"):
    """Cancels the job of the status message."""

    async def run(self, interaction: Interaction) -> None:
        await interaction.client.jobs.cancel_from_button(interaction, self.job_id)


async def setup(client: Client) -> None:
    """Add the button; discord.py calls this."""
    client.add_dynamic_items(CancelButton)
