"""Use this picture…: the form for a picture in any message, to draw from it, describe it or find it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import discord

from bot.client import Client, Interaction
from bot.images import inputs
from bot.jobs.describing import shape_of
from bot.jobs.prompt_defaults import load_prompt_defaults
from bot.policy.context import context_from
from bot.ui.i18n import tr
from bot.ui.job_views import job_ids
from bot.ui.modals import MAX_TEXT_LENGTH, ModalValues, PersistentModal, modals
from bot.ui.text import escape_markdown, truncate
from cogs.edit import submit_edit
from cogs.find import Search, start_search
from cogs.image_buttons.remix import submit_remix
from cogs.imagine import submit_prompt
from cogs.prompt_modal import PromptTarget, reject_prompt
from cogs.readings.describe import describe_upload
from cogs.references import References
from generation.errors import UserError
from generation.job import Action
from generation.models.capabilities import Capability
from generation.params import ImageRef, Tile, Upload
from generation.prompt import sets_field, with_parameter

MODAL = "use"  # the custom_id prefix of the form
PURPOSE_FIELD, PROMPT_FIELD = "purpose", "prompt"
MAX_NAME_LENGTH = 40
FETCH_TIMEOUT_S = 2.0  # to download an image before the form opens; Discord allows three seconds for both
TARGET = re.compile(r"(?P<digest>[0-9a-f]{64})(?::(?P<job_id>[0-9a-f]{12}))?(?:~(?P<named_job>[0-9a-f]{12}))?")


@dataclass(frozen=True, slots=True)
class UsedPicture:
    """The picture of a message, the job whose result the message is, if it is one, and the job that the file names."""

    upload: Upload
    job_id: str | None
    named_job: str | None = None

    def __str__(self) -> str:
        named = f"~{self.named_job}" if self.named_job else ""
        return ":".join(filter(None, (self.upload.digest, self.job_id))) + named


UseHandler = Callable[[Interaction, UsedPicture, str], Awaitable[None]]


async def draw_from_it(interaction: Interaction, picture: UsedPicture, prompt: str) -> None:
    """Draw with the picture as an image prompt."""
    await submit_prompt(interaction, prompt, picture.upload)


async def find_it(interaction: Interaction, picture: UsedPicture, _: str) -> None:
    """Find the job that made the picture."""
    await start_search(interaction, Search.by_picture(picture.upload, picture.named_job))


async def find_similar(interaction: Interaction, picture: UsedPicture, _: str) -> None:
    """Find pictures like it: like its first tile, if the bot made it."""
    is_known = picture.job_id is not None
    search = Search("l", str(Tile(picture.job_id or "", 0))) if is_known else Search.by_picture(picture.upload)
    await start_search(interaction, search)


async def take_its_style(interaction: Interaction, picture: UsedPicture, prompt: str) -> None:
    """Draw what the prompt says in the style of the picture; of its first tile, if the bot made it."""
    await submit_prompt(interaction, prompt, None, References(style=await _single(interaction, picture)))


async def follow_it(interaction: Interaction, picture: UsedPicture, prompt: str) -> None:
    """Draw what the prompt says along the lines of the picture, as the ControlNet of the prompt reads it."""
    await submit_prompt(interaction, prompt, None, References(control=await _single(interaction, picture)))


async def draw_its_character(interaction: Interaction, picture: UsedPicture, prompt: str) -> None:
    """Draw the character of the picture in what the prompt says."""
    await submit_prompt(interaction, prompt, None, References(character=await _single(interaction, picture)))


async def _single(interaction: Interaction, picture: UsedPicture) -> ImageRef:
    """Return the picture; its first tile, if it is a grid that the bot made and the user may use."""
    tile = Tile(picture.job_id, 0) if picture.job_id is not None else None
    is_tile = tile is not None and await interaction.client.prompts.styles.may_use(interaction, tile)
    return tile if tile is not None and is_tile else picture.upload


async def colour_it(interaction: Interaction, picture: UsedPicture, prompt: str) -> None:
    """Colour the picture in its own shape, as the prompt says; its first tile, if the bot made it."""
    image = await _single(interaction, picture)
    prompt = await _colouring_prompt(interaction, image, prompt)
    if not isinstance(image, Tile):
        await submit_prompt(interaction, prompt, image)
        return
    target = PromptTarget(Action.REMIX_STRONG, image)
    try:
        await submit_remix(interaction, target, prompt)
    except Exception as error:
        await reject_prompt(interaction, error, target, prompt)


async def _colouring_prompt(interaction: Interaction, image: ImageRef, prompt: str) -> str:
    """Return the prompt with the parameters that it lacks for colouring a picture."""
    services = interaction.client.services
    if not sets_field(prompt, "colourise"):
        prompt = with_parameter(prompt, "--colour")
    model = (await load_prompt_defaults(services, interaction)).model
    if Capability.ASPECT_RATIO in model.capabilities and not sets_field(prompt, "aspect"):
        width, height = await shape_of(services, image, model)
        prompt = with_parameter(prompt, f"--ar {width}:{height}")
    return prompt


async def edit_it(interaction: Interaction, picture: UsedPicture, prompt: str) -> None:
    """Change the picture as the prompt says; its first tile, if the bot made it."""
    await submit_edit(interaction, prompt, await _single(interaction, picture))


async def describe_it(interaction: Interaction, picture: UsedPicture, _: str) -> None:
    """Describe the picture in prompts."""
    await describe_upload(interaction, picture.upload)


# What a picture can be used for; the values are in forms that are open, so they never change.
PURPOSES: dict[str, UseHandler] = {
    "prompt": draw_from_it,
    "style": take_its_style,
    "character": draw_its_character,
    "control": follow_it,
    "colour": colour_it,
    "edit": edit_it,
    "describe": describe_it,
    "find": find_it,
    "like": find_similar,
}


def _labels() -> dict[str, tuple[str, str]]:
    """Return the name and the description of each purpose."""
    return {
        "prompt": (tr("Image prompt"), tr("Draw from it what the prompt below says")),
        "style": (tr("Style"), tr("Draw what the prompt below says in its style")),
        "character": (tr("Character"), tr("Draw its character in what the prompt below says")),
        "control": (tr("ControlNet"), tr("Draw what the prompt below says over its edges, depth or pose")),
        "colour": (tr("Colour"), tr("Colour a grey picture; the prompt below can say which colours")),
        "edit": (tr("Edit"), tr("Change it as the prompt below says")),
        "describe": (tr("Describe"), tr("Find prompts that could have drawn it")),
        "find": (tr("Which picture is this?"), tr("Find the job that made it: prompt, author, place")),
        "like": (tr("Pictures like this"), tr("Find pictures that look like it")),
    }


async def open_form(interaction: Interaction, message: discord.Message) -> None:
    """Open the form for the picture of a message; anyone may have written the message."""
    client = interaction.client
    await client.services.policy.check_access(context_from(interaction))
    try:
        async with asyncio.timeout(FETCH_TIMEOUT_S):
            upload, named = await _import_image(client, message, interaction.user.id)
    except TimeoutError:
        raise UserError(
            tr("This picture takes too long to download. Save it, then attach it to `/imagine` as `image`.")
        ) from None
    is_own = message.author == client.user
    picture = UsedPicture(upload, next(iter(job_ids(message)), None) if is_own else None, named)
    note = tr("From [the picture in this message]({url}) by {whom}", url=message.jump_url, whom=_author(message))
    fields = (discord.ui.TextDisplay[Any](note), _purpose_field(), _prompt_field())
    await interaction.response.send_modal(PersistentModal(f"{MODAL}:{picture}", tr("Use this picture"), *fields))


@modals.route(MODAL)
async def on_form(interaction: Interaction, rest: str, values: ModalValues) -> None:
    """Do with the picture what was chosen."""
    match = TARGET.fullmatch(rest)
    assert match is not None, "made by open_form"
    picture = UsedPicture(Upload(match["digest"]), match["job_id"], match["named_job"])
    handler = PURPOSES[values.selected[PURPOSE_FIELD]]
    await handler(interaction, picture, values.texts.get(PROMPT_FIELD, ""))


def _purpose_field() -> discord.ui.Label[Any]:
    options = [
        discord.SelectOption(label=label, description=description, value=value, default=value == "prompt")
        for value, (label, description) in _labels().items()
    ]
    select = discord.ui.Select[Any](custom_id=PURPOSE_FIELD, options=options)
    return discord.ui.Label(text=tr("What for?"), component=select)


def _prompt_field() -> discord.ui.Label[Any]:
    field = discord.ui.TextInput[Any](
        custom_id=PROMPT_FIELD,
        style=discord.TextStyle.paragraph,
        max_length=MAX_TEXT_LENGTH,
        required=False,
    )
    return discord.ui.Label(
        text=tr("Prompt"),
        description=tr("For an image prompt, a style, a character, a ControlNet or colours: say what to draw."),
        component=field,
    )


def _author(message: discord.Message) -> str:
    return escape_markdown(truncate(message.author.display_name, MAX_NAME_LENGTH))


async def _import_image(client: Client, message: discord.Message, person_id: int) -> tuple[Upload, str | None]:
    uploads = client.services.images.uploads
    for attachment in message.attachments:
        if _is_picture(attachment):
            return await uploads.import_named_attachment(attachment)
    for embed in message.embeds:
        if url := embed.image.url or embed.thumbnail.url:
            return await uploads.import_named_link(url, person_id)
    raise UserError(tr("There is no picture in this message."))


def _is_picture(attachment: discord.Attachment) -> bool:
    is_image = (attachment.content_type or "").startswith("image/")
    return is_image and not attachment.filename.startswith(inputs.FILENAME_PREFIX)


async def setup(client: Client) -> None:
    """Add the menu; discord.py calls this."""
    menu = discord.app_commands.ContextMenu(name="Use this picture…", callback=open_form)
    client.tree.add_command(menu)
