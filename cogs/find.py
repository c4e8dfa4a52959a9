"""/find: find pictures of this server by words or by a picture, privately, five at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.discord_calls import NO_MENTIONS
from bot.finding.finder import Match, Verdict
from bot.finding.query import parse_query
from bot.finding.views import view_of
from bot.images.picture_zip import ZippedPicture, write_zip
from bot.policy.context import context_from
from bot.policy.visibility import is_nsfw_withheld
from bot.ui.dynamic_items import PersistentItem, persistent_view, selected_values
from bot.ui.i18n import tr, trn
from bot.ui.text import escape_markdown, jump_url, truncate
from cogs.contact_sheet import contact_sheet
from cogs.show import repost
from db.finding.gallery import PictureQuery
from db.finding.search import words_of
from db.jobs import JobRecord
from generation.errors import UserError
from generation.params import Tile, Upload
from generation.prompt import format_prompt

PAGE_SIZE = 5
MAX_PAGES = 40
MAX_ZIP_JOBS = 125  # results of a zip, four pictures each
MAX_ZIP_BYTES = 24 * 2**20  # Discord takes requests of 25 MiB
MAX_WORDS_LENGTH = 70  # characters, so that the buttons' custom_ids hold them
MAX_PROMPT_LENGTH = 90
MAX_OPTION_LENGTH = 100  # characters, by Discord's rules
POST = "find_post"


@dataclass(frozen=True, slots=True)
class Search:
    """A search and a page of its results: `kind` is w (words), i (an uploaded image) or l (like a tile)."""

    kind: str
    query: str
    page: int = 0

    @classmethod
    def by_picture(cls, upload: Upload, named_job: str | None = None) -> Search:
        """Return the search for the job of an uploaded picture, whose file may name one."""
        return cls("i", f"{upload.digest}~{named_job}" if named_job else upload.digest)

    @property
    def custom_id(self) -> str:
        """Return the custom_id of a button that shows this page."""
        return f"find:{self.kind}:{self.page}:{self.query}"


@dataclass(frozen=True, slots=True)
class Found:
    """The results of a page: the jobs, the tile to show of each, if it is one tile, and whether there are more."""

    job_ids: tuple[str, ...]
    tiles: dict[str, Tile]
    has_more: bool
    best: Verdict | None = None


class Find(commands.Cog):
    """Find pictures again."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @app_commands.command(description="Find pictures of this server by their words, or the job of a picture you have")
    @app_commands.describe(
        words="Words of the prompt; also by:mira, model:name, since:7d, jam:castle or ♥ for your favourites",
        image="A copy, screenshot or part of a picture: who made it, and what looks like it",
    )
    async def find(
        self,
        interaction: Interaction,
        words: app_commands.Range[str, 1, MAX_WORDS_LENGTH] | None = None,
        image: discord.Attachment | None = None,
    ) -> None:
        if image is None:
            await start_search(interaction, Search("w", words or ""))
            return
        if words is not None:
            raise UserError(tr("Type words or attach a picture, not both."))
        await self.client.services.policy.check_access(context_from(interaction))
        await self.client.deferrals.defer(interaction, ephemeral=True)
        upload, named_job = await self.client.services.images.uploads.import_named_attachment(image)
        await show_page(interaction, Search.by_picture(upload, named_job))


class PageButton(PersistentItem, template=r"find:(?P<kind>[wil]):(?P<page>\d{1,3}):(?P<query>[^\n]*)"):
    """Shows another page of a search."""

    async def run(self, interaction: Interaction) -> None:
        await interaction.client.services.policy.check_access(context_from(interaction))
        await interaction.response.defer()
        await show_page(interaction, Search(self.match["kind"], self.match["query"], int(self.match["page"])))


class PostSelect(PersistentItem, template=POST):
    """Posts a picture that was found, for everybody if everybody here may see it."""

    async def run(self, interaction: Interaction) -> None:
        services, job_id = interaction.client.services, selected_values(interaction)[0]
        record = await services.db.jobs.get(job_id)
        if record is None or record.deleted or not await is_visible(interaction, record):
            raise UserError(tr("This picture is no longer stored."))
        if await _anonymous(interaction, [job_id]):
            raise UserError(tr("This picture is in a contest. It can be posted once the contest is decided."))
        await repost(interaction, record, found=True)


class ZipButton(PersistentItem, template=r"find_zip:(?P<kind>[wil]):(?P<query>[^\n]*)"):
    """Sends all pictures that a search finds as a zip, as many as fit into a file."""

    async def run(self, interaction: Interaction) -> None:
        client = interaction.client
        await client.services.policy.check_access(context_from(interaction))
        await client.deferrals.defer(interaction, ephemeral=True)
        pictures = await _zipped(interaction, Search(self.match["kind"], self.match["query"]))
        limit = min(interaction.filesize_limit, MAX_ZIP_BYTES)
        with tempfile.TemporaryDirectory(prefix="atelier-") as folder:
            path = Path(folder) / "pictures.zip"
            number = await write_zip(client.services.images.files, pictures, limit, path)
            if not number:
                raise UserError(tr("None of these pictures fits into a file that Discord takes, or is still stored."))
            text = trn(
                "{n:,} picture, with its prompt in `prompts.csv`.",
                "{n:,} pictures, with their prompts in `prompts.csv`.",
                number,
            )
            if number < len(pictures):
                text += "\n" + tr("-# More does not fit into one file: search for fewer.")
            await interaction.edit_original_response(content=text, attachments=[discord.File(path)])


async def start_search(interaction: Interaction, search: Search) -> None:
    """Answer a command or a form privately with the first page of a search."""
    await interaction.client.services.policy.check_access(context_from(interaction))
    await interaction.client.deferrals.defer(interaction, ephemeral=True)
    await show_page(interaction, search)


async def show_page(interaction: Interaction, search: Search) -> None:
    """Show a page of a search in the deferred response."""
    found = await _search(interaction, search)
    records = await interaction.client.services.db.jobs.get_many(found.job_ids)
    shown = [records[job_id] for job_id in found.job_ids if job_id in records]
    if not shown:
        await interaction.edit_original_response(content=_nothing_found(search), attachments=[], view=None)
        return
    anonymous = await _anonymous(interaction, found.job_ids)
    lines = [
        _line(interaction, number, record, is_anonymous=record.job.id in anonymous)
        for number, record in enumerate(shown, 1)
    ]
    sheet = await contact_sheet(interaction, [record.job.id for record in shown], found.tiles)
    await interaction.edit_original_response(
        content="\n".join([_heading(search, found), *lines]),
        attachments=[sheet],
        view=_view(interaction, search, shown, has_more=found.has_more),
        allowed_mentions=NO_MENTIONS,
    )


async def is_visible(interaction: Interaction, record: JobRecord) -> bool:
    """Return whether the user may see a result: their own, or one in a channel that they may view."""
    if record.job.requester.id == interaction.user.id:
        return True
    view = view_of(interaction)
    return view is not None and bool(await interaction.client.services.db.gallery.visible(view, [record.job.id]))


async def _search(interaction: Interaction, search: Search, page_size: int = PAGE_SIZE) -> Found:
    client = interaction.client
    if search.kind == "w":
        return await _search_words(interaction, search, page_size)
    view, person_id = view_of(interaction), interaction.user.id
    if search.kind == "l":
        matches = await client.finder.like(Tile.parse(search.query), view, person_id)
        return _page_of(search, matches, page_size)
    digest, _, named_job = search.query.partition("~")
    try:
        png = await client.services.images.files.read(Upload(digest))
    except FileNotFoundError:
        raise UserError(tr("The picture to search for is not kept any more: send it again.")) from None
    return _page_of(search, await client.finder.find(png, view, person_id, named_job or None), page_size)


def _page_of(search: Search, matches: Sequence[Match], page_size: int) -> Found:
    """Return a page of matches, each job once with the tile that matches best."""
    best: dict[str, Tile] = {}
    for match in matches:
        best.setdefault(match.tile.job_id, match.tile)
    job_ids = list(best)[search.page * page_size :]
    shown = tuple(job_ids[:page_size])
    verdict = matches[0].verdict if matches else None
    return Found(shown, {job_id: best[job_id] for job_id in shown}, len(job_ids) > page_size, verdict)


async def _search_words(interaction: Interaction, search: Search, page_size: int) -> Found:
    """Search what the user may see here; where there is nothing to see, and after that, their own pictures."""
    gallery, person_id = interaction.client.services.db.gallery, interaction.user.id
    query = parse_query(search.query, interaction.client.services.clock())
    needed = (search.page + 1) * page_size + 1
    view = view_of(interaction)
    found = list((await gallery.page(view, query, None, needed)).job_ids) if view is not None else []
    if len(found) < needed and _may_be_own(query):
        if query.words:
            own = await gallery.own_by_words(person_id, query.words, None, needed)
        else:
            own = await gallery.own(person_id, None, needed)
        found += [job_id for job_id in own.job_ids if job_id not in found]
    rest = found[search.page * page_size :]
    return Found(tuple(rest[:page_size]), {}, len(rest) > page_size)


async def _zipped(interaction: Interaction, search: Search) -> list[ZippedPicture]:
    """Return everything that a search finds, one tile of each result if a picture was searched for.

    Sensitive pictures that the server withholds here are left out.
    """
    client, services = interaction.client, interaction.client.services
    withheld = await is_nsfw_withheld(services.policy, client, interaction.guild_id, interaction.channel_id)
    found = await _search(interaction, search, page_size=MAX_ZIP_JOBS)
    records = await services.db.jobs.get_many(found.job_ids)
    anonymous = await _anonymous(interaction, found.job_ids)
    return [
        ZippedPicture.of(record.job, tile, services.registry, with_name=job_id not in anonymous)
        for job_id in found.job_ids
        if (record := records.get(job_id)) is not None and not (withheld and record.sensitive)
        for tile in ([found.tiles[job_id]] if job_id in found.tiles else _tiles(record))
    ]


async def _anonymous(interaction: Interaction, job_ids: Iterable[str]) -> set[str]:
    """Return the jobs whose requester may not be named to the user: others' entries of open contests."""
    records = await interaction.client.services.db.jobs.get_many(job_ids)
    others = [job_id for job_id, record in records.items() if record.job.requester.id != interaction.user.id]
    return await interaction.client.services.db.gallery.anonymous(interaction.user.id, others)


def _tiles(record: JobRecord) -> list[Tile]:
    return [Tile(record.job.id, index) for index in range(record.job.params.count)]


def _may_be_own(query: PictureQuery) -> bool:
    return query == replace(PictureQuery(), words=query.words)


def _nothing_found(search: Search) -> str:
    match search.kind:
        case "w" if not search.query.strip():
            return tr("There is no picture here yet that you may see.")
        case "w":
            return tr("I found no picture with these words that you may see.")
        case "i":
            return tr("I found no picture of mine that looks like this one and that you may see.")
        case _:
            return tr("I found no other picture like this one that you may see.")


def _heading(search: Search, found: Found) -> str:
    match search.kind, found.best:
        case "w", _ if words_of(search.query):
            return tr("**Pictures found for** {words}", words=escape_markdown(search.query))
        case "w", _:
            return tr("**The newest pictures that you may see**")
        case "i", Verdict.SAME:
            return tr("**This is it:** the first of these made your picture.")
        case "i", _:
            return tr("**These look like it,** but I am not sure that one of them made your picture.")
        case _:
            return tr("**These look like it**")


def _line(interaction: Interaction, number: int, record: JobRecord, *, is_anonymous: bool) -> str:
    job, to = record.job, record.job.destination
    prompt = " ".join(format_prompt(job.params, interaction.client.services.registry).split())
    text = escape_markdown(truncate(prompt or tr("(pictures)"), MAX_PROMPT_LENGTH))
    if is_anonymous:  # its message names the author, so there is no link either
        return f"{number}. {text} · {tr('by somebody, until the contest is decided')}"
    parts = [f"<@{job.requester.id}>", f"<t:{job.asked_at:.0f}:R>"]
    if record.result_message_id is not None and not to.private:
        url = jump_url(to.guild_id, to.result_channel_id, record.result_message_id)
        parts.append(f"[{tr('go there')}]({url})")
    return f"{number}. {text} · {' · '.join(parts)}"


def _view(interaction: Interaction, search: Search, shown: Sequence[JobRecord], *, has_more: bool) -> discord.ui.View:
    select = discord.ui.Select[discord.ui.View](placeholder=tr("Post…"), custom_id=POST, row=0)
    for number, record in enumerate(shown, 1):
        prompt = " ".join(format_prompt(record.job.params, interaction.client.services.registry).split())
        label = truncate(f"{number}. {prompt or tr('(pictures)')}", MAX_OPTION_LENGTH)
        select.add_option(label=label, value=record.job.id)
    items: list[discord.ui.Item[discord.ui.View]] = [select]
    if search.page > 0:
        items.append(_page_button("◀️", replace(search, page=search.page - 1)))
    if has_more and search.page + 1 < MAX_PAGES:
        items.append(_page_button("▶️", replace(search, page=search.page + 1)))
    items.append(discord.ui.Button(label=tr("Zip"), custom_id=f"find_zip:{search.kind}:{search.query}", row=1))
    return persistent_view(*items)


def _page_button(emoji: str, search: Search) -> discord.ui.Button[discord.ui.View]:
    return discord.ui.Button(emoji=emoji, custom_id=search.custom_id, row=1)


async def setup(client: Client) -> None:
    """Add the cog and its components; discord.py calls this."""
    await client.add_cog(Find(client))
    client.add_dynamic_items(PageButton, PostSelect, ZipButton)
