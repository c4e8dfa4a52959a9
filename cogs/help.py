"""/help: short pages, one for each task."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import discord
from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.ui.dynamic_items import PersistentItem, persistent_view, selected_values
from bot.ui.i18n import tr
from bot.ui.text import escape_markdown, truncate
from generation.models.adapters import Adapter, is_compatible, target_family
from generation.models.files.lora import Lora
from generation.models.files.textual_inversion import TextualInversion
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.prompt.parameters import PARAMETERS
from generation.prompt.preferences import MAX_OPTIONS

PICTURE_PARAMETERS = ("iw", "mix", "colour", "sref", "sw", "cref", "cw", "control", "keep", "hold", "retouch")
JOB_PARAMETERS = ("repeat", "fast", "relax", "turbo", "stealth", "public")
MAX_MODELS_SHOWN, MAX_NAME_LENGTH = 12, 40  # models, and characters of each
MAX_VOCABULARY_LENGTH = 700  # characters of the known words
MAX_LORAS_SHOWN, MAX_EMBEDDINGS_SHOWN, MAX_CONTROLS_SHOWN = 8, 6, 12
ADVANCED_PARAMETERS = ("weird", "stop", "steps", "cfg", "sampler", "negative", "seed", "sameseed")


class Help(commands.Cog):
    """Explain the bot to its users."""

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
    options = [discord.SelectOption(label=tr(name), value=name, default=name == page) for name in PAGES]
    return persistent_view(discord.ui.Select(custom_id="help:page", options=options))


def _start(registry: ModelRegistry) -> str:
    examples = registry.default.examples
    example = examples[0] if examples else "a red boat on the sea, watercolour"
    return "\n".join(
        [
            tr("## Draw something"),
            tr("Type `/imagine` and what you want to see, for example:"),
            f"> {escape_markdown(example)}",
            tr("You get four pictures. Below them:"),
            tr("- **U1–U4** take one picture out of the grid, with more buttons"),
            tr("- **V1–V4** make four variations of one"),
            tr("- **🔄** draws all four again"),
            tr("Parameters go at the end: `--ar 3:2` makes the picture wide, `--no people` keeps people out."),
            tr("`/jam start` lets the whole room draw one picture together, round by round."),
            tr(
                "`/contest enter` enters one of your pictures in the contest of this server, and `/contest vote` "
                "compares two."
            ),
            tr("`/canvas start` begins one large picture that everybody paints, piece by piece."),
            tr("`/telephone start` passes a picture on: each player sees only the last one, and writes what it is."),
            tr("To draw from pictures, start with links to them or attach one; `/blend` mixes two to five."),
            tr("`{red, blue} boat` makes one prompt of each choice. `boat:: snow::2` weights the parts of a prompt."),
            tr("`/shorten` shows which words of a prompt matter; `/describe` finds prompts for a picture."),
            *_vocabulary_lines(registry.default),
        ]
    )


def _vocabulary_lines(model: Model) -> list[str]:
    """Return the line with the words that the model knows, if it does not know all."""
    if model.vocabulary is None:
        return []
    words = truncate(escape_markdown(", ".join(model.vocabulary.words())), MAX_VOCABULARY_LENGTH)
    name = escape_markdown(truncate(model.name, MAX_NAME_LENGTH))
    return [tr("{model} is a small model, which knows these words: {words}.", model=name, words=words)]


def _change(registry: ModelRegistry) -> str:
    return "\n".join(
        [
            tr("## Change a picture"),
            tr("Take one out with **U1–U4** first. Then:"),
            tr("- **Upscale** enlarges it: *Subtle* keeps the details, *Creative* invents new ones"),
            tr("- **Vary** makes four like it, close to it (*Subtle*) or not (*Strong*), or redraws a part (*Region*)"),
            tr("- **Zoom Out**, **⬅️ ➡️ ⬆️ ⬇️** and **Make Square** draw its surroundings"),
            tr("- **Remix** lets you change the prompt"),
            tr("- `/edit` changes it as your words say, with a model for that"),
            tr("- **Animate** makes a film out of it; **Walk** and `/walk` make one from a picture to another"),
            tr("- **❤️** adds it to your favourites"),
            tr("- **Details** shows how to make it again"),
            tr("- **Delete** removes it"),
            tr("Anyone can press a button; the new picture belongs to the person who pressed it."),
            tr(
                "In a message's menu (long press or right click → *Apps*): *Cancel job*, *DM results*, "
                "*Use this picture…*, *Remix this*, *Report*."
            ),
            tr(
                "React to your own result with ✉️ to get its pictures by direct message, or with ❌ to cancel or "
                "delete it."
            ),
        ]
    )


def _parameters(registry: ModelRegistry) -> str:
    others = PICTURE_PARAMETERS + JOB_PARAMETERS + ADVANCED_PARAMETERS
    lines = _parameter_lines(registry, lambda name: name not in others)
    return "\n".join([tr("## Parameters"), *lines, tr("More of them: the next pages.")])


def _picture_parameters(registry: ModelRegistry) -> str:
    lines = _parameter_lines(registry, lambda name: name in PICTURE_PARAMETERS)
    return "\n".join([tr("## With a picture"), *lines, tr("Attach pictures, or link to them.")])


def _job_parameters(registry: ModelRegistry) -> str:
    lines = _parameter_lines(registry, lambda name: name in JOB_PARAMETERS)
    return "\n".join([tr("## For one job"), *lines, tr("Without them, your `/settings` apply.")])


def _advanced_parameters(registry: ModelRegistry) -> str:
    lines = _parameter_lines(registry, lambda name: name in ADVANCED_PARAMETERS)
    return "\n".join([tr("## For those who know diffusion"), *lines, tr("The defaults are those of the model.")])


def _parameter_lines(registry: ModelRegistry, is_included: Callable[[str], bool]) -> list[str]:
    """Return a line for each parameter that a model here supports."""
    return [
        f"- `--{parameter.name}{f' {parameter.example}' if parameter.example else ''}` {tr(parameter.help)}"
        for parameter in PARAMETERS
        if is_included(parameter.name) and (parameter.requires is None or registry.with_capability(parameter.requires))
    ]


def _settings(registry: ModelRegistry) -> str:
    return "\n".join(
        [
            tr("## Your defaults"),
            tr("- `/settings` shows them all in one place: model, style, speed, visibility, remix"),
            *_model_lines(registry),
            tr("- `/prefer suffix` adds parameters to every prompt"),
            tr(
                "- `/prefer option set` gives text and parameters a name: `--mine` in a prompt then stands for them "
                "(up to {most})",
                most=MAX_OPTIONS,
            ),
            tr("- `/prefer remix`, `variability` and `auto_dm` turn one setting on or off"),
            tr(
                "- `/fast`, `/relax` and `/turbo` set how urgent your jobs are. Relaxed jobs wait for the others, but "
                "never for ever"
            ),
            tr("A prompt's own parameters come first, then your settings, the server's and the model's."),
        ]
    )


def _model_lines(registry: ModelRegistry) -> list[str]:
    """Return the line that lists the models, if there is a choice."""
    if len(registry.models) == 1:
        return []
    names = ", ".join(
        escape_markdown(truncate(model.name, MAX_NAME_LENGTH)) for model in registry.models[:MAX_MODELS_SHOWN]
    )
    names = _with_more(names, len(registry.models) - MAX_MODELS_SHOWN)
    return [tr("- `/prefer model`, or `--model` for one prompt, chooses the model: {names}", names=names)]


def _with_more(names: str, hidden: int) -> str:
    return tr("{named} and {number} more", named=names, number=hidden) if hidden > 0 else names


def _adapters(registry: ModelRegistry) -> str:
    loras = [lora for lora in registry.adapters.loras if _is_compatible(lora, registry)]
    embeddings = [embedding for embedding in registry.adapters.embeddings if _is_compatible(embedding, registry)]
    hidden = len(loras) - MAX_LORAS_SHOWN
    return "\n".join(
        [
            tr("## LoRAs and embeddings"),
            tr("A LoRA changes how a model draws. `--lora ink:0.8` in a prompt applies the LoRA `ink` at weight 0.8."),
            tr("The option `lora` of `/imagine` lists all LoRAs. Some need their trigger words, which are shown here."),
            *(_lora_line(lora) for lora in loras[:MAX_LORAS_SHOWN]),
            *([tr("- … and {number} more", number=hidden)] if hidden > 0 else []),
            *([] if loras else [tr("No LoRAs are installed here.")]),
            *_embedding_lines(embeddings),
            *_control_lines(registry),
            *_character_lines(registry),
        ]
    )


def _is_compatible(adapter: Adapter, registry: ModelRegistry) -> bool:
    return any(is_compatible(adapter, model) for model in registry.models)


def _lora_line(lora: Lora) -> str:
    details = filter(None, [escape_markdown(truncate(lora.trigger_words, MAX_NAME_LENGTH)), target_family(lora)])
    return " · ".join([f"- `{truncate(lora.name, MAX_NAME_LENGTH)}`", *details])


def _control_lines(registry: ModelRegistry) -> list[str]:
    names = {control.name: None for control in registry.adapters.controls if _is_compatible(control, registry)}
    if not names:
        return []
    shown = ", ".join(f"`{truncate(name, MAX_NAME_LENGTH)}`" for name in list(names)[:MAX_CONTROLS_SHOWN])
    shown = _with_more(shown, len(names) - MAX_CONTROLS_SHOWN)
    return [
        tr("`--control canny:0.8` with a picture (option `control`) follows it by a ControlNet: {names}", names=shown)
    ]


def _character_lines(registry: ModelRegistry) -> list[str]:
    if not any(_is_compatible(adapter, registry) for adapter in registry.adapters.images):
        return []
    return [tr("`--cref` with a picture (option `character`) draws its character; `--cw 60` makes it count less.")]


def _embedding_lines(embeddings: Sequence[TextualInversion]) -> list[str]:
    if not embeddings:
        return []
    names = ", ".join(f"`<{truncate(each.name, MAX_NAME_LENGTH)}>`" for each in embeddings[:MAX_EMBEDDINGS_SHOWN])
    names = _with_more(names, len(embeddings) - MAX_EMBEDDINGS_SHOWN)
    return [tr("Write an embedding in the prompt text, with its brackets: {names}", names=names)]


def _search(registry: ModelRegistry) -> str:
    return "\n".join(
        [
            tr("## Find a picture again"),
            tr("- `/show` posts an earlier result again with its buttons. Type words of its prompt, or the job's id"),
            tr("- `/find` finds pictures of this server by their words, or the job of a picture that you have"),
            tr("- `/favourites` does the same for pictures that you marked with ❤️"),
            tr("- `/tree` shows what a picture was made from, and what others made from it"),
            tr("- `/info` lists your queued jobs and lets you cancel them; `/queue` shows everyone's"),
            tr("- **Details** below a picture shows its seed, id, parameters and the pictures that it was made from"),
            tr("Every file contains its seed, and its prompt unless the bot operator leaves prompts out."),
        ]
    )


def _privacy(registry: ModelRegistry) -> str:
    return "\n".join(
        [
            tr("## Who sees what"),
            tr("In a channel, everyone there sees your prompts and pictures, and can press the buttons."),
            tr(
                "`/stealth` changes that: I answer privately, nobody else can `/show` the pictures, and pictures made "
                "from them do not name them."
            ),
            tr("`--stealth` does this for one prompt; `/public` and `--public` do the opposite."),
            tr("Discord lets me answer privately for 15 minutes. Later results come by direct message."),
            tr("In direct messages with me, only you see anything."),
            tr("**Delete** below a picture permanently deletes the message and the files."),
            tr("`/privacy` shows what is stored about you, lets you download it, or deletes it."),
            tr("The bot operator can see everything that is stored here."),
        ]
    )


PAGES: dict[str, Callable[[ModelRegistry], str]] = {  # by title, which is also the select's value
    "Start": _start,
    "Change a picture": _change,
    "Parameters": _parameters,
    "Parameters for pictures": _picture_parameters,
    "Parameters for one job": _job_parameters,
    "Parameters for experts": _advanced_parameters,
    "LoRAs and embeddings": _adapters,
    "Settings": _settings,
    "Find a picture again": _search,
    "Privacy": _privacy,
}


async def setup(client: Client) -> None:
    """Add the cog and its select; discord.py calls this."""
    await client.add_cog(Help(client))
    client.add_dynamic_items(HelpSelect)
