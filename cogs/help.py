"""/help: short pages, by what somebody wants to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.ui.dynamic_items import PersistentItem, persistent_view, selected_values
from bot.ui.text import escape_markdown, truncate
from generation.models.adapters import is_compatible, target_family
from generation.models.lora import Lora
from generation.models.registry import ModelRegistry
from generation.models.textual_inversion import TextualInversion
from generation.prompt.parameters import PARAMETERS
from generation.prompt.preferences import MAX_OPTIONS

JOB_PARAMETERS = ("repeat", "fast", "relax", "turbo", "stealth", "public")
MAX_MODELS_SHOWN, MAX_NAME_LENGTH = 12, 40  # models, and characters of each
MAX_LORAS_SHOWN, MAX_EMBEDDINGS_SHOWN = 8, 6
ADVANCED_PARAMETERS = ("weird", "stop", "steps", "cfg", "sampler", "negative", "seed", "sameseed")


class Help(commands.Cog):
    """Explain the studio."""

    def __init__(self, client: Client) -> None:
        self.services = client.services

    @app_commands.command(description="How to draw, change and find pictures")
    async def help(self, interaction: Interaction) -> None:
        first = next(iter(PAGES))
        view = help_view(first)
        await interaction.response.send_message(PAGES[first](self.services.registry), view=view, ephemeral=True)


class HelpSelect(PersistentItem, template="help:page"):
    """Turns to another page."""

    async def run(self, interaction: Interaction) -> None:
        selected = selected_values(interaction)[0]
        page = selected if selected in PAGES else next(iter(PAGES))
        text = PAGES[page](interaction.client.services.registry)
        await interaction.response.edit_message(content=text, view=help_view(page))


def help_view(page: str) -> discord.ui.View:
    """Return the select that turns the pages."""
    options = [discord.SelectOption(label=name, default=name == page) for name in PAGES]
    return persistent_view(discord.ui.Select(custom_id="help:page", options=options))


def _start(registry: ModelRegistry) -> str:
    examples = registry.default.examples
    example = examples[0] if examples else "a red fox in the snow, oil painting"
    return (
        "## Draw something\n"
        f"Type `/imagine` and say what you want to see, such as\n> {escape_markdown(example)}\n"
        "You get four pictures. Below them:\n"
        "- **U1–U4** take one picture out, with more buttons\n"
        "- **V1–V4** make four variations of one\n"
        "- **🔄** draws all four again\n"
        "Parameters stand at the end: `--ar 3:2` makes it wide, `--no people` keeps people out.\n"
        "Begin with links to pictures, or attach one, to start from them; `/blend` mixes two to five.\n"
        "`{red, blue} fox` makes one prompt of each choice. `fox:: snow::2` weighs parts of a prompt."
    )


def _change(registry: ModelRegistry) -> str:
    return (
        "## Change a picture\n"
        "Take one out with **U1–U4** first. Then:\n"
        "- **Upscale** makes it larger: *Subtle* keeps the details, *Creative* invents new ones\n"
        "- **Vary** makes four like it, near (*Subtle*) or far (*Strong*), or draws a part anew (*Region*)\n"
        "- **Zoom Out**, **⬅️ ➡️ ⬆️ ⬇️** and **Make Square** draw what lies around it\n"
        "- **Remix** lets you change the words\n"
        "- **❤️** keeps it among your favourites, **Details** tells how to make it again, **Delete** removes it\n"
        "Anybody may press; who presses owns the new picture.\n"
        "In a message's menu (long press or right click → *Apps*): *Cancel job*, *DM results*, *Use as image prompt*, "
        "*Remix this*, *Report*. React to your own result with ✉️ to get its pictures by direct message, with ❌ to "
        "cancel or delete it."
    )


def _parameters(title: str, is_included: Callable[[str], bool], footer: str) -> Callable[[ModelRegistry], str]:
    lines = [
        f"- `--{parameter.name}{f' {parameter.example}' if parameter.example else ''}` {parameter.help}"
        for parameter in PARAMETERS
        if is_included(parameter.name)
    ]
    text = "\n".join([f"## {title}", *lines, footer])
    return lambda here: text


def _settings(registry: ModelRegistry) -> str:
    return (
        "## What holds for all your prompts\n"
        "- `/settings` shows everything in one place: model, style, speed, who sees your pictures, remix\n"
        f"{_models(registry)}"
        "- `/prefer suffix` adds parameters to every prompt\n"
        "- `/prefer option set` gives text and parameters a name: `--mine` in a prompt then stands for them "
        f"(up to {MAX_OPTIONS})\n"
        "- `/prefer remix`, `variability`, `auto_dm` switch one thing on or off\n"
        "- `/fast`, `/relax`, `/turbo` say how urgent your jobs are. Relaxed ones wait for the others, though never "
        "for ever\n"
        "What a prompt says itself comes first, then your settings, then the server's, then the model's."
    )


def _models(registry: ModelRegistry) -> str:
    """Name the models, where there is a choice."""
    if len(registry.models) == 1:
        return ""
    names = ", ".join(
        escape_markdown(truncate(model.name, MAX_NAME_LENGTH)) for model in registry.models[:MAX_MODELS_SHOWN]
    )
    more = f" and {len(registry.models) - MAX_MODELS_SHOWN} more" if len(registry.models) > MAX_MODELS_SHOWN else ""
    return f"- `/prefer model`, or `--model` for one prompt, chooses which model draws: {names}{more}\n"


def _adapters(registry: ModelRegistry) -> str:
    loras = [lora for lora in registry.adapters.loras if _is_compatible(lora, registry)]
    embeddings = [word for word in registry.adapters.embeddings if _is_compatible(word, registry)]
    return "\n".join(
        [
            "## LoRAs and learnt words",
            "A LoRA changes how a model draws: `--lora ink:0.8` in a prompt, or the option `lora` of `/imagine`, which "
            "shows them all, draws with the one called ink, at that weight. Some want to be brought out by their own "
            "words, which stand beside them here.",
            *(_lora_line(lora) for lora in loras[:MAX_LORAS_SHOWN]),
            *([f"- … and {len(loras) - MAX_LORAS_SHOWN} more"] if len(loras) > MAX_LORAS_SHOWN else []),
            *([] if loras else ["There are none here."]),
            *_embedding_lines(embeddings),
        ]
    )


def _is_compatible(adapter: Lora | TextualInversion, registry: ModelRegistry) -> bool:
    return any(is_compatible(adapter, model) for model in registry.models)


def _lora_line(lora: Lora) -> str:
    details = filter(None, [escape_markdown(truncate(lora.trigger_words, MAX_NAME_LENGTH)), target_family(lora)])
    return " · ".join([f"- `{truncate(lora.name, MAX_NAME_LENGTH)}`", *details])


def _embedding_lines(embeddings: Sequence[TextualInversion]) -> list[str]:
    if not embeddings:
        return []
    names = ", ".join(f"`<{truncate(word.name, MAX_NAME_LENGTH)}>`" for word in embeddings[:MAX_EMBEDDINGS_SHOWN])
    more = f" and {len(embeddings) - MAX_EMBEDDINGS_SHOWN} more" if len(embeddings) > MAX_EMBEDDINGS_SHOWN else ""
    return [f"A learnt word stands among the others, in its brackets: {names}{more}"]


def _search(registry: ModelRegistry) -> str:
    return (
        "## Find a picture again\n"
        "- `/show` offers your earlier results as you type words of the prompt, and posts one again with its buttons. "
        "It also takes a job's id\n"
        "- `/favourites` does so for what you marked with ❤️\n"
        "- `/info` lists your jobs in the queue, with a way to cancel each; `/queue` shows everybody's\n"
        "- **Details** below a picture tells its seed, its id, its parameters and what it was made from\n"
        "Every file carries its prompt and seed, too."
    )


def _privacy(registry: ModelRegistry) -> str:
    return (
        "## Who sees what\n"
        "In a channel, everybody there sees your prompts and pictures, and may press the buttons.\n"
        "`/stealth` changes that: my answers are private, nobody else can `/show` the pictures, and nothing made from "
        "them names them. `--stealth` does it for one prompt, `/public` and `--public` the opposite. Discord lets me "
        "answer privately for 15 minutes; what takes longer comes as a direct message.\n"
        "In direct messages with me, only you see anything.\n"
        "**Delete** below a picture removes message and files for good. `/privacy` shows what is kept about you, gives "
        "you all of it, or deletes it. Who runs this studio can see what is kept here."
    )


PAGES: dict[str, Callable[[ModelRegistry], str]] = {
    "Start": _start,
    "Change a picture": _change,
    "Parameters": _parameters(
        "Parameters", lambda name: name not in JOB_PARAMETERS + ADVANCED_PARAMETERS, "More of them: the next two pages."
    ),
    "Parameters for one job": _parameters(
        "For one job", lambda name: name in JOB_PARAMETERS, "Without them, your `/settings` hold."
    ),
    "Parameters for experts": _parameters(
        "For those who know diffusion",
        lambda name: name in ADVANCED_PARAMETERS,
        "Who leaves them out gets the model's own.",
    ),
    "LoRAs and learnt words": _adapters,
    "Settings": _settings,
    "Find a picture again": _search,
    "Privacy": _privacy,
}


async def setup(client: Client) -> None:
    """Add the cog and its select; discord.py calls this."""
    await client.add_cog(Help(client))
    client.add_dynamic_items(HelpSelect)
