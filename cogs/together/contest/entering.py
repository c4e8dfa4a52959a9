"""Entering a contest: which pictures may be entered, and one's own entries."""

from __future__ import annotations

import discord

from bot.client import Interaction
from bot.discord_calls import NO_MENTIONS
from bot.policy.policy import PolicyDenied
from bot.policy.sessions import participant_from, require_participant, require_public
from bot.policy.visibility import allows_nsfw, can_everybody_view, nsfw_message
from bot.ui.dynamic_items import PersistentItem, persistent_view, selected_values
from bot.ui.i18n import tr, trn
from bot.ui.text import escape_markdown
from cogs.together.contest import messages
from cogs.together.contest.finding import FoundContest, find_contest, require_current
from cogs.together.contest.messages import PREFIX, SESSION, Button, Select
from cogs.together.contest.phases import ENTRY_PHASES, MAX_EACH, MAX_ENTRIES
from db.jobs import JobRecord, JobState
from db.together.contests import Entry
from generation.errors import UserError
from generation.job import Action
from generation.params import TILE_PATTERN, Tile

MAX_OPTIONS = 25
MAX_LABEL = 100  # characters of an option
MAX_LOOKED_AT = 100  # of a person's newest pictures


async def require_enterable(interaction: Interaction, found: FoundContest, tile: Tile) -> None:
    """Raise UserError if the person may not enter a picture."""
    record = await interaction.client.services.db.jobs.get(tile.job_id)
    if record is None:
        raise UserError(tr("This picture is no longer stored."))
    await _require_enterable(interaction, found, record, tile.index)


async def _require_enterable(interaction: Interaction, found: FoundContest, record: JobRecord, index: int) -> None:
    if record.deleted or record.state is not JobState.POSTED:
        raise UserError(tr("This picture is no longer stored."))
    require_public(record.job)
    if record.job.destination.guild_id != found.session.guild_id:
        raise PolicyDenied(tr("Only pictures of this server can be entered."))
    is_own = record.job.requester.id == interaction.user.id
    if not is_own and not (await _had_a_part(interaction, record) and can_everybody_view(interaction, record.job)):
        raise PolicyDenied(tr("You can enter your own pictures only, and those of sessions that you took part in."))
    if record.job.params.count != 1 or index:
        raise UserError(tr("Take one picture out of the grid first, with U1 to U4."))
    if record.sensitive and not allows_nsfw(interaction.client, found.session.channel_id):
        raise PolicyDenied(nsfw_message())
    await interaction.client.services.policy.check_words(found.session.guild_id, record.job.params)


async def _had_a_part(interaction: Interaction, record: JobRecord) -> bool:
    db = interaction.client.services.db
    if await db.sessions.find_round(record.job.id) is None:
        return False
    return interaction.user.id in {each.person_id for each in await db.lineage.credits(record.job.id)}


async def enter(interaction: Interaction, found: FoundContest, tile: Tile) -> None:
    """Store an entry; raise UserError if that is not possible."""
    await _require_open(interaction, found)
    await require_enterable(interaction, found, tile)
    await _require_another(interaction, found, tile)
    contests = interaction.client.services.db.contests
    entry = Entry(
        id=0,
        session_id=found.session.id,
        person_id=interaction.user.id,
        tile=tile,
        at=interaction.client.services.clock(),
    )
    if not await contests.enter(entry, ENTRY_PHASES, each=MAX_EACH, most=MAX_ENTRIES):
        raise UserError(await _why_not_entered(interaction, found, tile))


async def _require_another(interaction: Interaction, found: FoundContest, tile: Tile) -> None:
    """Raise UserError if a person has entered the same tile of the same grid, taken out of it twice."""
    services = interaction.client.services
    entries = await services.db.contests.entries(found.session.id)
    own = [each.tile.job_id for each in entries if each.person_id == interaction.user.id]
    records = await services.db.jobs.get_many({tile.job_id, *own})
    taken_out = {name: each.job.parent for name, each in records.items() if each.job.action is Action.PICK}
    parent = taken_out.pop(tile.job_id, None)
    if parent is not None and parent in taken_out.values():
        raise UserError(tr("This picture is entered already."))


async def _why_not_entered(interaction: Interaction, found: FoundContest, tile: Tile) -> str:
    entries = await interaction.client.services.db.contests.entries(found.session.id)
    if any(each.tile == tile for each in entries):
        return tr("This picture is entered already.")
    if sum(each.person_id == interaction.user.id for each in entries) >= MAX_EACH:
        return trn(
            "You have entered {n} picture already: take one back first.",
            "You have entered {n} pictures already: take one back first.",
            MAX_EACH,
        )
    if len(entries) >= MAX_ENTRIES:
        return tr("This contest is full.")
    return tr("Entries are closed.")


async def _require_open(interaction: Interaction, found: FoundContest) -> None:
    services = interaction.client.services
    await require_participant(services.policy, participant_from(interaction, services.clock()))
    if found.session.phase not in ENTRY_PHASES:
        raise UserError(tr("Entries are closed."))


async def entries_panel(interaction: Interaction, found: FoundContest) -> tuple[str, discord.ui.View]:
    """Return a person's entries, and selects to enter a picture or to take one back."""
    services = interaction.client.services
    entries = await services.db.contests.entries(found.session.id)
    own = [each for each in entries if each.person_id == interaction.user.id]
    records = await services.db.jobs.get_many(each.tile.job_id for each in own)
    lines = [f"- **{_prompt(records[each.tile.job_id])}**" for each in own if each.tile.job_id in records]
    heading = trn("You have entered {n} picture.", "You have entered {n} pictures.", len(own))
    items: list[discord.ui.Item[discord.ui.View]] = []
    if len(own) < MAX_EACH:
        choices = await _choices(interaction, found, {each.tile.job_id for each in entries})
        if choices:
            items.append(_enter_select(found, choices))
        elif not own:
            lines.append(tr("Nothing of yours fits: draw something and take it out of its grid, with U1 to U4."))
    if own:
        items.append(_back_select(found, own, records))
    title = messages.title(await found.handler.show(found.session))
    return "\n".join([title, heading, *lines]), persistent_view(*items)


async def _choices(interaction: Interaction, found: FoundContest, entered: set[str]) -> list[JobRecord]:
    services = interaction.client.services
    ids = await services.db.contests.own_pictures(found.session.guild_id, interaction.user.id, MAX_LOOKED_AT)
    records = await services.db.jobs.get_many(each for each in ids if each not in entered)
    choices: list[JobRecord] = []
    for job_id in ids:
        record = records.get(job_id)
        if record is not None and record.job.params.count == 1 and len(choices) < MAX_OPTIONS:
            try:
                await _require_enterable(interaction, found, record, 0)
            except UserError:
                continue
            choices.append(record)
    return choices


def _enter_select(found: FoundContest, choices: list[JobRecord]) -> Select:
    select = Select(placeholder=tr("Enter a picture…"), custom_id=f"{PREFIX}:entry:{found.session.id}", row=0)
    for record in choices:
        select.add_option(label=_label(record), value=str(Tile(record.job.id, 0)), description=record.job.id)
    return select


def _back_select(found: FoundContest, own: list[Entry], records: dict[str, JobRecord]) -> Select:
    select = Select(placeholder=tr("Take one back…"), custom_id=f"{PREFIX}:back:{found.session.id}", row=1)
    for each in own:
        record = records.get(each.tile.job_id)
        select.add_option(label=_label(record) if record else "…", value=str(each.id), description=each.tile.job_id)
    return select


def _label(record: JobRecord) -> str:
    return messages.prompt_words(record.job, MAX_LABEL)


def _prompt(record: JobRecord) -> str:
    return escape_markdown(_label(record))


async def respond_with_panel(interaction: Interaction, found: FoundContest) -> None:
    """Respond privately with a person's entries."""
    await _require_open(interaction, found)
    text, view = await entries_panel(interaction, found)
    await interaction.response.send_message(text, view=view, ephemeral=True, allowed_mentions=NO_MENTIONS)


async def _update_panel(interaction: Interaction, found: FoundContest) -> None:
    text, view = await entries_panel(interaction, found)
    await interaction.response.edit_message(content=text, view=view, allowed_mentions=NO_MENTIONS)


class EnterButton(PersistentItem, template=rf"{PREFIX}:enter:{SESSION}"):
    """Opens one's entries."""

    async def run(self, interaction: Interaction) -> None:
        await respond_with_panel(interaction, await find_contest(interaction, self.match["session"]))


class EntrySelect(PersistentItem, template=rf"{PREFIX}:entry:{SESSION}"):
    """Enters a picture."""

    async def run(self, interaction: Interaction) -> None:
        found = await find_contest(interaction, self.match["session"])
        await enter(interaction, found, Tile.parse(selected_values(interaction)[0]))
        await _update_panel(interaction, found)


class BackSelect(PersistentItem, template=rf"{PREFIX}:back:{SESSION}"):
    """Takes an entry back."""

    async def run(self, interaction: Interaction) -> None:
        found = await find_contest(interaction, self.match["session"])
        await _require_open(interaction, found)
        entry_id = int(selected_values(interaction)[0])
        await interaction.client.services.db.contests.withdraw(found.session.id, entry_id, interaction.user.id)
        await _update_panel(interaction, found)


class EnterThisButton(PersistentItem, template=rf"{PREFIX}:this:{TILE_PATTERN}"):
    """Enters the picture whose details are shown."""

    async def run(self, interaction: Interaction) -> None:
        found = await require_current(interaction)
        await enter(interaction, found, self.tile)
        text, view = await entries_panel(interaction, found)
        await interaction.response.send_message(text, view=view, ephemeral=True, allowed_mentions=NO_MENTIONS)


async def enter_this_button(interaction: Interaction, record: JobRecord) -> list[Button]:
    """Return the button that enters a picture, if that is possible now."""
    tile = Tile(record.job.id, 0)
    try:
        found = await require_current(interaction)
        await _require_open(interaction, found)
        await require_enterable(interaction, found, tile)
    except UserError:
        return []
    return [Button(label=tr("Enter the contest"), emoji="🖼️", custom_id=f"{PREFIX}:this:{tile}")]
