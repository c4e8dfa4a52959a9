"""/prefer: what is added to prompts, names for parts of them, and switches."""

from __future__ import annotations

from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.services import Services
from bot.ui.text import escape_markdown, truncate
from cogs.autocomplete import MAX_CHOICE_LENGTH, complete_model, resolve_model
from generation.prompt.preferences import (
    MAX_OPTION_LENGTH,
    MAX_OPTIONS,
    MAX_SUFFIX_LENGTH,
    Preferences,
    check_option,
    check_suffix,
)

MAX_LIST_LENGTH = 1900
MAX_VALUE_LENGTH = 600  # characters shown


class Prefer(commands.GroupCog, name="prefer", description="Parameters for all your prompts, and names for your own"):
    """Change a person's suffix, options and switches."""

    option = app_commands.Group(name="option", description="Names of your own for text and parameters")

    def __init__(self, services: Services) -> None:
        self.services = services

    @app_commands.command(description="Add parameters to all your prompts; leave it empty to add none")
    @app_commands.describe(parameters="Such as --ar 3:2 --no text")
    async def suffix(
        self, interaction: Interaction, parameters: app_commands.Range[str, 0, MAX_SUFFIX_LENGTH] = ""
    ) -> None:
        suffix = check_suffix(parameters, self.services.registry) if parameters.strip() else None
        await self.services.db.preferences.update(interaction.user.id, suffix=suffix)
        if suffix is None:
            await _respond(interaction, "Nothing is added to your prompts any more.")
        else:
            await _respond(interaction, f"Added to all your prompts: {escape_markdown(suffix)}")

    @app_commands.command(description="Choose the model that draws for you; leave it empty for the server's")
    @app_commands.describe(name="Which model draws where a prompt names none")
    async def model(self, interaction: Interaction, name: app_commands.Range[str, 0, MAX_CHOICE_LENGTH] = "") -> None:
        wanted = await resolve_model(self.services, interaction.guild_id, name) if name.strip() else None
        await self.services.db.preferences.update(interaction.user.id, model=wanted and wanted.name)
        if wanted is None:
            await _respond(interaction, "The server's model draws for you.")
        else:
            where = " wherever it may" if len(self.services.registry.models) > 1 else ""
            await _respond(interaction, f"**{escape_markdown(wanted.name)}** draws for you from now on{where}.")

    @model.autocomplete("name")
    async def _complete_model(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return await complete_model(self.services, interaction.guild_id, typed)

    @option.command(name="set", description="Give text and parameters a name; leave the value empty to forget it")
    @app_commands.describe(name="One word; --name in a prompt then stands for the value", value="What it stands for")
    async def set_option(
        self,
        interaction: Interaction,
        name: app_commands.Range[str, 1, 40],
        value: app_commands.Range[str, 0, MAX_OPTION_LENGTH] = "",
    ) -> None:
        name, value = check_option(name, value, self.services.registry)
        if value:
            await self.services.db.preferences.set_option(interaction.user.id, name, value)
            await _respond(
                interaction, f"`--{name}` now stands for: {escape_markdown(truncate(value, MAX_VALUE_LENGTH))}"
            )
        elif await self.services.db.preferences.remove_option(interaction.user.id, name):
            await _respond(interaction, f"`--{name}` is forgotten.")
        else:
            await _respond(interaction, f"You have no option `--{name}`, so there is nothing to forget.")

    @set_option.autocomplete("name")
    async def _complete_option(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        start = typed.strip().removeprefix("--").lower()
        names = [
            name for name in await self.services.db.preferences.options(interaction.user.id) if name.startswith(start)
        ]
        return [app_commands.Choice(name=name, value=name) for name in names]

    @option.command(name="list", description="See your options")
    async def list_options(self, interaction: Interaction) -> None:
        options = await self.services.db.preferences.options(interaction.user.id)
        if not options:
            await _respond(interaction, "You have no options yet. `/prefer option set` makes one.")
            return
        shown = MAX_LIST_LENGTH // len(options) // 2 - 40  # escaping may double the characters
        lines = [f"`--{name}` {escape_markdown(truncate(value, shown))}" for name, value in options.items()]
        await _respond(interaction, "\n".join([f"**Your options** ({len(options)} of {MAX_OPTIONS})", *lines]))

    @app_commands.command(description="Switch remix on or off: be asked for other words before a variation is drawn")
    async def remix(self, interaction: Interaction) -> None:
        now = await self._toggle(interaction, "remix")
        await _respond(interaction, f"Remix is **{_on_off(now.remix)}**.")

    @app_commands.command(description="Switch between high and low variation")
    async def variability(self, interaction: Interaction) -> None:
        now = await self._toggle(interaction, "high_variation")
        await _respond(interaction, f"V1–V4 now make **{'strong' if now.high_variation else 'subtle'}** variations.")

    @app_commands.command(description="Switch on or off that your results are also sent to you")
    async def auto_dm(self, interaction: Interaction) -> None:
        now = await self._toggle(interaction, "auto_dm")
        more = ", if you take direct messages from people of this server" if now.auto_dm else ""
        await _respond(interaction, f"Results by direct message are **{_on_off(now.auto_dm)}**{more}.")

    async def _toggle(self, interaction: Interaction, name: str) -> Preferences:
        people, person = self.services.db.preferences, interaction.user.id
        return await people.update(person, **{name: not getattr(await people.get(person), name)})


async def _respond(interaction: Interaction, text: str) -> None:
    await interaction.response.send_message(text, ephemeral=True, suppress_embeds=True)


def _on_off(is_on: bool) -> str:
    return "on" if is_on else "off"


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this."""
    await client.add_cog(Prefer(client.services))
