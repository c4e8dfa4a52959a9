"""🌳: the family tree of a picture, with buttons to walk through it."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.discord_calls import NO_MENTIONS
from bot.policy.context import context_from
from bot.policy.visibility import allows_nsfw, can_everybody_view, can_view_job
from bot.ui.dynamic_items import JOB_PATTERN, PersistentItem, persistent_view, selected_values
from bot.ui.i18n import audience, tr, trn
from bot.ui.job_views import FAMILY_TREE
from bot.ui.text import escape_markdown, jump_url, truncate
from cogs.own_pictures import find_own, suggest_own
from cogs.show import repost
from cogs.together.family import Family, collect_family, draw_family, verb
from db.jobs import JobRecord
from generation.errors import UserError
from generation.job import Job
from generation.prompt import format_prompt

MAX_OPTIONS = 25
MAX_OPTION_LENGTH = 100  # characters
PLACE = rf"{JOB_PATTERN}:(?P<focus>[0-9a-f]{{12}})"  # the asked picture, and the one in the middle


class TreeCommand(commands.Cog):
    """Show a family tree."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @app_commands.command(description="The family tree of a picture: what it was made from, and what came of it")
    @app_commands.describe(picture="Words of the prompt, or the job's id")
    async def tree(self, interaction: Interaction, picture: app_commands.Range[str, 1, 100]) -> None:
        record = await find_own(interaction, picture)
        await open_tree(interaction, record.job.id)

    @tree.autocomplete("picture")
    async def _complete(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return await suggest_own(interaction, typed)


async def open_tree(interaction: Interaction, job_id: str) -> None:
    """Answer privately with the family tree around a picture."""
    await interaction.client.services.policy.check_access(context_from(interaction))
    await interaction.client.deferrals.defer(interaction, ephemeral=True)
    await _show_tree(interaction, job_id, job_id)


class TreeButton(PersistentItem, template=rf"{FAMILY_TREE}:{JOB_PATTERN}"):
    """Opens the tree from the details of a picture."""

    async def run(self, interaction: Interaction) -> None:
        await open_tree(interaction, self.job_id)


class WalkButton(PersistentItem, template=rf"{FAMILY_TREE}:{PLACE}"):
    """Moves the tree to an older or a younger picture."""

    async def run(self, interaction: Interaction) -> None:
        await interaction.response.defer()
        await _show_tree(interaction, self.job_id, self.match["focus"])


class ShareButton(PersistentItem, template=rf"{FAMILY_TREE}_share:{PLACE}"):
    """Posts the tree as everybody in the channel may see it."""

    async def run(self, interaction: Interaction) -> None:
        await interaction.client.services.policy.check_access(context_from(interaction))
        await interaction.client.deferrals.defer(interaction, ephemeral=False)
        family = await _collect(interaction, self.job_id, self.match["focus"], can_everybody_view)
        with audience(private=False):
            content = f"{_caption(family)}\n-# {tr('Shared by {whom}', whom=f'<@{interaction.user.id}>')}"
            file, view = await _file(interaction, family), _public_view(family)
        await interaction.edit_original_response(
            content=content, attachments=[file], view=view, allowed_mentions=NO_MENTIONS
        )


class GoToSelect(PersistentItem, template=rf"{FAMILY_TREE}_go:{PLACE}"):
    """Leads to a picture: by a link to its message, or by posting it again privately."""

    async def run(self, interaction: Interaction) -> None:
        record = await interaction.client.services.db.jobs.get(selected_values(interaction)[0])
        if record is None or record.deleted or not can_view_job(interaction, record.job):
            raise UserError(tr("This picture is no longer stored."))
        to = record.job.destination
        if to.private or record.result_message_id is None:
            await repost(interaction, record)
            return
        url = jump_url(to.guild_id, to.result_channel_id, record.result_message_id)
        words = _prompt(interaction, record) or tr("(pictures)")  # a blend has none
        prompt = escape_markdown(truncate(words, MAX_OPTION_LENGTH))
        await interaction.response.send_message(f"**{prompt}**\n{url}", ephemeral=True, allowed_mentions=NO_MENTIONS)


async def _show_tree(interaction: Interaction, asked: str, focus: str) -> None:
    family = await _collect(interaction, asked, focus, can_view_job)
    await interaction.edit_original_response(
        content=_caption(family),
        attachments=[await _file(interaction, family)],
        view=_view(interaction, family),
        allowed_mentions=NO_MENTIONS,
    )


async def _collect(
    interaction: Interaction, asked: str, focus: str, can_view: Callable[[Interaction, Job], bool]
) -> Family:
    client = interaction.client
    unknown = tr("I know no such picture that may be shown here.")
    record = await client.services.db.jobs.get(asked)
    if record is None or not can_view(interaction, record.job):
        raise UserError(unknown)
    show_sensitive = allows_nsfw(client, interaction.channel_id)
    family = await collect_family(
        client.services, partial(can_view, interaction), asked, focus, show_sensitive=show_sensitive
    )
    if not family.shown:  # it was deleted, and so was all that may be seen of its family
        raise UserError(unknown)
    return family


async def _file(interaction: Interaction, family: Family) -> discord.File:
    names = {record.job.id: _display_name(interaction, record) for record in family.shown}
    picture = await draw_family(interaction.client.services, family, names)
    return discord.File(io.BytesIO(picture), f"tree-{family.asked}.png", description=_alternative_text(family))


def _display_name(interaction: Interaction, record: JobRecord) -> str:
    requester = record.job.requester
    member = interaction.guild.get_member(requester.id) if interaction.guild else None
    return member.display_name if member else requester.name or tr("somebody")


def _caption(family: Family) -> str:
    shown = len(family.shown)
    return f"🌳 {trn('{n} picture of this family', '{n} pictures of this family', shown)}"


def _alternative_text(family: Family) -> str:
    return trn("A family tree with {n} picture", "A family tree with {n} pictures", len(family.shown))


def _view(interaction: Interaction, family: Family) -> discord.ui.View:
    buttons = [
        *_walk_buttons(family),
        discord.ui.Button[discord.ui.View](
            label=tr("Share"), custom_id=f"{FAMILY_TREE}_share:{family.asked}:{family.focus}", row=1
        ),
    ]
    return persistent_view(_go_to_select(interaction, family), *buttons)


def _public_view(family: Family) -> discord.ui.View:
    button = discord.ui.Button[discord.ui.View](
        label=tr("Look around"), emoji="🌳", custom_id=f"{FAMILY_TREE}:{family.asked}"
    )
    return persistent_view(button)


def _walk_buttons(family: Family) -> list[discord.ui.Button[discord.ui.View]]:
    steps = ((family.older(), "⬆️", tr("Older")), (family.younger(), "⬇️", tr("Younger")))
    return [
        discord.ui.Button(label=label, emoji=emoji, custom_id=f"{FAMILY_TREE}:{family.asked}:{focus}", row=1)
        for focus, emoji, label in steps
        if focus is not None
    ]


def _go_to_select(interaction: Interaction, family: Family) -> discord.ui.Select[discord.ui.View]:
    select = discord.ui.Select[discord.ui.View](
        placeholder=tr("Go to…"), custom_id=f"{FAMILY_TREE}_go:{family.asked}:{family.focus}", row=0
    )
    for record in family.shown[:MAX_OPTIONS]:
        kind = next((edge.kind for edge in family.edges if edge.child == record.job.id), None)
        how = f" · {verb(record.job.action, kind)}" if kind else ""
        select.add_option(
            label=truncate(f"{_display_name(interaction, record)}{how}", MAX_OPTION_LENGTH),
            description=truncate(_prompt(interaction, record), MAX_OPTION_LENGTH) or None,
            value=record.job.id,
        )
    return select


def _prompt(interaction: Interaction, record: JobRecord) -> str:
    return " ".join(format_prompt(record.job.params, interaction.client.services.registry).split())


async def setup(client: Client) -> None:
    """Add the command and the tree's components; discord.py calls this."""
    await client.add_cog(TreeCommand(client))
    client.add_dynamic_items(TreeButton, WalkButton, ShareButton, GoToSelect)
