"""U, V, upscale, zoom, pan and reroll: buttons that submit a new job from a tile."""

from __future__ import annotations

from bot.client import Client, Interaction
from bot.ui.dynamic_items import JOB_PATTERN, PersistentItem
from cogs.image_buttons.action_params import ACTION_PARAMS, REMIXABLE, params_for
from cogs.image_buttons.remix import open_remix_modal
from generation.job import Action
from generation.params import TILE_PATTERN, Tile
from generation.planning import actions

DOUBLE_PRESS_S = 2.0  # seconds in which a second press of the same button is part of a double click


class TileButton(PersistentItem, template=rf"(?P<action>{'|'.join((Action.PICK, *ACTION_PARAMS))}):{TILE_PATTERN}"):
    """A button that submits a new job from one tile."""

    async def run(self, interaction: Interaction) -> None:
        await run_action(interaction, Action(self.match["action"]), self.tile)


class RerollButton(PersistentItem, template=rf"{Action.REROLL}:{JOB_PATTERN}"):
    """🔄: the same prompt with a new seed."""

    async def run(self, interaction: Interaction) -> None:
        await run_action(interaction, Action.REROLL, Tile(self.job_id, 0))


class RecentPresses:
    """The presses of the last moments, by person and button: a double click means one press."""

    def __init__(self) -> None:
        self._pressed_at: dict[tuple[int, str], float] = {}

    def repeats(self, person_id: int, custom_id: str, now: float) -> bool:
        """Remember a press; return whether this person pressed the same button a moment ago."""
        recent = {press: at for press, at in self._pressed_at.items() if 0 <= now - at < DOUBLE_PRESS_S}
        self._pressed_at = {(person_id, custom_id): now} | recent
        return (person_id, custom_id) in recent

    def forget(self, person_id: int, custom_id: str) -> None:
        """Forget a press that had no effect."""
        self._pressed_at.pop((person_id, custom_id), None)


_presses = RecentPresses()


async def run_action(interaction: Interaction, action: Action, tile: Tile) -> None:
    """Submit a new job from a tile, or open the remix modal if the user prefers it; ignore a double click."""
    person_id, custom_id = interaction.user.id, f"{action}:{tile}"
    if _presses.repeats(person_id, custom_id, interaction.client.services.clock()):
        await interaction.response.defer()
        return
    try:
        await _run_once(interaction, action, tile)
    except BaseException:
        _presses.forget(person_id, custom_id)
        raise


async def _run_once(interaction: Interaction, action: Action, tile: Tile) -> None:
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
