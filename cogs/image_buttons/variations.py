"""U, V, upscale, zoom, pan and reroll: buttons that submit a new job from a tile."""

from __future__ import annotations

from bot.client import Client, Interaction
from bot.ui.dynamic_items import JOB_PATTERN, PersistentItem
from cogs.image_buttons.action_params import ACTION_PARAMS, REMIXABLE, params_for
from cogs.image_buttons.remix import open_remix_modal
from generation.job import Action
from generation.params import TILE_PATTERN, Tile
from generation.planning import actions


class TileButton(PersistentItem, template=rf"(?P<action>{'|'.join((Action.PICK, *ACTION_PARAMS))}):{TILE_PATTERN}"):
    """A button that submits a new job from one tile."""

    async def run(self, interaction: Interaction) -> None:
        await run_action(interaction, Action(self.match["action"]), self.tile)


class RerollButton(PersistentItem, template=rf"{Action.REROLL}:{JOB_PATTERN}"):
    """🔄: the same prompt with a new seed."""

    async def run(self, interaction: Interaction) -> None:
        await run_action(interaction, Action.REROLL, Tile(self.job_id, 0))


async def run_action(interaction: Interaction, action: Action, tile: Tile) -> None:
    """Submit a new job from a tile, or open the remix modal if the user prefers it."""
    jobs, services = interaction.client.jobs, interaction.client.services
    parent = await jobs.require_parent(tile)
    preferred = await services.db.preferences.get(interaction.user.id)
    pressed = f"{action}:{tile}"
    if action is Action.VARY_STRONG and parent.params.count > 1 and not preferred.high_variation:
        action = Action.VARY_SUBTLE
    if preferred.remix and action in REMIXABLE and await open_remix_modal(interaction, action, parent, tile):
        return
    if action is Action.PICK:  # needs no model, so the model may be removed
        params = actions.pick(parent.params, tile)
    else:
        model = services.registry.resolve(parent.params)
        params = params_for(action, parent.params, tile, model, actions.new_seed())
    await jobs.submit(interaction, action, params, tile, pressed=pressed)


async def setup(client: Client) -> None:
    """Add the buttons; discord.py calls this."""
    client.add_dynamic_items(TileButton, RerollButton)
