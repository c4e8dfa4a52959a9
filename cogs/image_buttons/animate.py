"""Animate: a film that zooms out of a picture or into it; three to eight pictures are drawn around it."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import discord

from bot.client import Client, Interaction
from bot.policy.context import context_from
from bot.policy.visibility import allows_nsfw, is_nsfw_withheld, nsfw_message
from bot.ui import job_text
from bot.ui.dynamic_items import PersistentItem
from bot.ui.errors import respond_ephemeral, user_message
from bot.ui.i18n import tr, trn
from bot.ui.job_views import FILM_MP4
from bot.ui.modals import ModalValues, PersistentModal, modals
from bot.ui.prompt_block import format_prompt_block
from db.jobs import JobRecord
from generation.errors import UserError
from generation.films.mp4 import find_ffmpeg
from generation.job import Action
from generation.models.model import Model
from generation.params import TILE_PATTERN, FilmKind, FilmPlan, Params, Tile
from generation.planning import actions
from generation.planning.film_pictures import grids_of
from generation.planning.films import MAX_STEPS, MIN_STEPS, film_plan, zoom_film

MODAL = "film"
KIND, STEPS, WORDS = "kind", "steps", "words"  # the custom_ids of the modal's fields
DEFAULT_STEPS = 4
MAX_WORDS = 1000
KIND_LABELS = {
    FilmKind.ZOOM_OUT: "Zoom out",
    FilmKind.ZOOM_IN: "Zoom in",
    FilmKind.LOOP: "Loop: in and out again",
}


class AnimateButton(PersistentItem, template=rf"{Action.ZOOM_FILM}:{TILE_PATTERN}"):
    """Asks for the motion, the number of pictures and their words, and says what the film costs."""

    async def run(self, interaction: Interaction) -> None:
        parent, model = await _require_film_source(interaction, self.tile)
        base = zoom_film(parent, self.tile, model, 0, FilmPlan(FilmKind.ZOOM_OUT, MIN_STEPS))
        fields = (_kind_field(), _steps_field(interaction, base), _words_field())
        await interaction.response.send_modal(PersistentModal(f"{MODAL}:{self.tile}", tr("Animate"), *fields))


async def _require_film_source(interaction: Interaction, tile: Tile) -> tuple[Params, Model]:
    """Return a picture's params and its model; raise UserError if no film can be made from it."""
    parent = (await interaction.client.jobs.require_parent(tile)).params
    model = interaction.client.services.registry.resolve(parent)
    if Action.ZOOM_FILM not in actions.available_actions(parent, model):
        raise UserError(tr("This cannot be done with this picture."))
    return parent, model


def _kind_field() -> discord.ui.Label[Any]:
    options = [
        discord.SelectOption(label=tr(label), value=kind, default=kind is FilmKind.ZOOM_OUT)
        for kind, label in KIND_LABELS.items()
    ]
    return discord.ui.Label(text=tr("Motion"), component=discord.ui.Select[Any](custom_id=KIND, options=options))


def _steps_field(interaction: Interaction, base: Params) -> discord.ui.Label[Any]:
    options = [
        discord.SelectOption(
            label=trn("{n} picture", "{n} pictures", steps),
            value=str(steps),
            description=cost_note(interaction, base, steps),
            default=steps == DEFAULT_STEPS,
        )
        for steps in range(MIN_STEPS, MAX_STEPS + 1)
    ]
    select = discord.ui.Select[Any](custom_id=STEPS, options=options)
    return discord.ui.Label(
        text=tr("Pictures to draw"), description=tr("Each shows twice as much as the one before."), component=select
    )


def cost_note(interaction: Interaction, base: Params, steps: int) -> str:
    """Return what a film of so many pictures costs: the jobs that it counts as, and the time if that is known."""
    assert base.film is not None
    params = replace(base, film=replace(base.film, steps=steps))
    counts = trn("Counts as {n} job", "Counts as {n} jobs", grids_of(params))
    seconds = interaction.client.services.queue.estimate_seconds(params)
    return counts if seconds is None else f"{counts} · {job_text.format_duration(seconds)}"


def _words_field() -> discord.ui.Label[Any]:
    field = discord.ui.TextInput[Any](
        custom_id=WORDS,
        style=discord.TextStyle.paragraph,
        required=False,
        max_length=MAX_WORDS,
        placeholder=tr("castle | island | planet"),
    )
    description = tr("What each picture shows, separated by |. Left empty, all show what this one does.")
    return discord.ui.Label(text=tr("Words"), description=description, component=field)


@modals.route(MODAL)
async def on_film(interaction: Interaction, rest: str, values: ModalValues) -> None:
    """Submit the film of a picture, or return the words with what is wrong with them."""
    words = values.texts.get(WORDS, "")
    try:
        await _submit(interaction, Tile.parse(rest), values, words)
    except UserError as error:
        if not words.strip():
            raise
        content, files = format_prompt_block(user_message(error), words)
        await respond_ephemeral(interaction, content, files=files)


async def _submit(interaction: Interaction, tile: Tile, values: ModalValues, words: str) -> None:
    kind = FilmKind(values.selected.get(KIND, FilmKind.ZOOM_OUT))
    plan = film_plan(kind, int(values.selected.get(STEPS, DEFAULT_STEPS)), words)
    parent, model = await _require_film_source(interaction, tile)
    params = replace(zoom_film(parent, tile, model, actions.new_seed(), plan), model=model.name)
    await interaction.client.jobs.submit(
        interaction, Action.ZOOM_FILM, params, tile, pressed=f"{Action.ZOOM_FILM}:{tile}"
    )


class Mp4Button(PersistentItem, template=rf"{FILM_MP4}:{TILE_PATTERN}"):
    """Sends a film as an MP4, privately."""

    async def run(self, interaction: Interaction) -> None:
        record = await interaction.client.services.db.jobs.get(self.job_id)
        ffmpeg = find_ffmpeg()
        if record is None or record.job.params.film is None or record.deleted:
            raise UserError(tr("I no longer know this picture."))
        if ffmpeg is None:
            raise UserError(tr("I cannot make an MP4 any more: ffmpeg is not installed."))
        await interaction.client.services.policy.check_access(context_from(interaction))
        spoiler = await _is_spoiler(interaction, record)
        await interaction.response.defer(ephemeral=True, thinking=True)
        film = await interaction.client.jobs.runner.films.mp4(record.job, ffmpeg)
        description = job_text.image_description(record.job, interaction.client.services.registry)
        file = discord.File(io.BytesIO(film), f"{self.job_id}.mp4", spoiler=spoiler, description=description)
        await interaction.followup.send(file=file, ephemeral=True)


async def _is_spoiler(interaction: Interaction, record: JobRecord) -> bool:
    """Return whether a film is sent behind a spoiler; raise UserError if it is withheld in this channel."""
    client, channel_id = interaction.client, interaction.channel_id
    if not record.sensitive or allows_nsfw(client, channel_id):
        return False
    if await is_nsfw_withheld(client.services.policy, client, interaction.guild_id, channel_id):
        raise UserError(nsfw_message())
    return True


async def setup(client: Client) -> None:
    """Add the buttons; discord.py calls this."""
    client.add_dynamic_items(AnimateButton, Mp4Button)
