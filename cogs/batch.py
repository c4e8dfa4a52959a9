"""Several jobs from one prompt: all or none are submitted, after a confirmation."""

from __future__ import annotations

import discord

from bot.client import Client, Interaction
from bot.jobs.batch import submit_batch
from bot.jobs.destination import is_private
from bot.jobs.requests import infer_action, left_out_note
from bot.policy.policy import JobRequest
from bot.ui.dynamic_items import PersistentItem, persistent_view
from bot.ui.errors import respond_ephemeral
from bot.ui.i18n import tr
from bot.ui.prompt_block import extract_prompt, format_prompt_block
from bot.ui.text import escape_markdown, truncate
from cogs.prompt_modal import TARGET_PATTERN, PromptTarget, edit_prompt_button, reject_prompt
from generation.params import Params, Upload
from generation.prompt import PromptRequest, format_prompt
from generation.prompt.preferences import Preferences

CONFIRM_LABEL = "Draw all"
MAX_SHOWN = 3
MAX_SHOWN_LENGTH = 100  # characters of each


async def confirm_batch(
    interaction: Interaction, target: PromptTarget, prompt: str, requests: list[PromptRequest]
) -> None:
    """Ask privately whether to submit all jobs of a prompt."""
    content, files = format_prompt_block(_question(interaction, requests), prompt)
    view = persistent_view(_confirm_button(f"all:{target}"), edit_prompt_button(target, tr("Edit")), _dismiss_button())
    await respond_ephemeral(interaction, content, files=files, view=view)


async def confirm_requests(interaction: Interaction, custom_id: str, requests: list[PromptRequest]) -> None:
    """Ask privately whether to submit several jobs; the button with this custom_id does so with `submit_requests`."""
    view = persistent_view(_confirm_button(custom_id), _dismiss_button())
    await respond_ephemeral(interaction, _question(interaction, requests), view=view)


def _question(interaction: Interaction, requests: list[PromptRequest]) -> str:
    shown = [f"{number}. {_prompt_preview(each, interaction)}" for number, each in enumerate(requests[:MAX_SHOWN], 1)]
    more = [tr("-# … and {number} more", number=len(requests) - MAX_SHOWN)] if len(requests) > MAX_SHOWN else []
    more += [f"-# {left_out_note(requests[0].left_out)}"] if requests[0].left_out else []
    heading = tr("This makes {number} jobs:", number=len(requests))
    return "\n".join([heading, *shown, *more])


def _confirm_button(custom_id: str) -> discord.ui.Button[discord.ui.View]:
    return discord.ui.Button(label=tr(CONFIRM_LABEL), custom_id=custom_id, style=discord.ButtonStyle.primary)


def _dismiss_button() -> discord.ui.Button[discord.ui.View]:
    return discord.ui.Button(label=tr("Cancel"), custom_id="drop")


class ConfirmBatchButton(PersistentItem, template=rf"all:{TARGET_PATTERN}"):
    """Draw all: submits every job of the prompt in the message."""

    async def run(self, interaction: Interaction) -> None:
        assert interaction.message is not None
        target, prompt = PromptTarget.from_match(self.match), await extract_prompt(interaction.message)
        try:
            await _submit_all(interaction, target, prompt, interaction.message.id)
        except Exception as error:
            await reject_prompt(interaction, error, target, prompt)


class DismissButton(PersistentItem, template="drop"):
    """Cancel: deletes the confirmation."""

    async def run(self, interaction: Interaction) -> None:
        await interaction.response.defer()
        await interaction.delete_original_response()


async def _submit_all(interaction: Interaction, target: PromptTarget, prompt: str, question_id: int) -> None:
    image = Upload(target.payload) if target.payload else None
    requests = await interaction.client.prompts.parse(interaction, prompt, with_image=image is not None)
    await submit_requests(interaction, requests, image, question_id)


async def submit_requests(
    interaction: Interaction, requests: list[PromptRequest], image: Upload | None, question_id: int
) -> None:
    """Submit the jobs that the message `question_id` asks about: all of them once, or none."""
    client = interaction.client
    await interaction.response.defer()
    params_list = await client.prompts.resolve_images(interaction, requests, image)
    preferred = await client.services.db.preferences.get(interaction.user.id)
    job_requests = [
        _job_request(interaction, params, request, len(requests), preferred)
        for params, request in zip(params_list, requests, strict=True)
    ]
    if not await submit_batch(client.jobs, interaction, job_requests, key=str(question_id)):
        await respond_ephemeral(interaction, tr("You have confirmed this before."))


def _job_request(
    interaction: Interaction, params: Params, request: PromptRequest, jobs: int, preferred: Preferences
) -> JobRequest:
    return JobRequest(
        action=infer_action(params),
        params=params,
        speed=request.speed or preferred.speed,
        speed_is_explicit=request.speed is not None,
        private=is_private(interaction, request.private, preferred),
        jobs=jobs,
        repeated=request.repeat > 1,
        permuted=jobs > request.repeat,
    )


def _prompt_preview(request: PromptRequest, interaction: Interaction) -> str:
    prompt = format_prompt(request.params, interaction.client.services.registry)
    return escape_markdown(truncate(prompt, MAX_SHOWN_LENGTH))


async def setup(client: Client) -> None:
    """Add the buttons of the confirmation; discord.py calls this."""
    client.add_dynamic_items(ConfirmBatchButton, DismissButton)
