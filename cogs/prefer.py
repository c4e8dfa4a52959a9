"""/prefer: default parameters, custom options and switches."""

from __future__ import annotations

from discord import app_commands
from discord.ext import commands

from bot.client import Client, Interaction
from bot.services import Services
from bot.ui.i18n import tr
from bot.ui.text import escape_markdown, truncate
from cogs.autocomplete import MAX_CHOICE_LENGTH, complete_model, resolve_model
from cogs.config.validation import refuse_together
from generation.prompt.preferences import (
    MAX_OPTION_LENGTH,
    MAX_OPTIONS,
    MAX_SUFFIX_LENGTH,
    Preferences,
    check_option,
    check_suffix,
    to_option_name,
)

MAX_LIST_LENGTH = 1900
MAX_VALUE_LENGTH = 600  # characters shown


class Prefer(commands.GroupCog, name="prefer", description="Parameters for all your prompts, and custom options"):
    """Change a user's suffix, options and switches."""

    option = app_commands.Group(name="option", description="Your own names for text and parameters")

    def __init__(self, services: Services) -> None:
        self.services = services

    @app_commands.command(description="Add parameters to all your prompts; without an option, see which")
    @app_commands.describe(parameters="For example --ar 3:2 --no text", clear="Add nothing from now on")
    async def suffix(
        self,
        interaction: Interaction,
        parameters: app_commands.Range[str, 0, MAX_SUFFIX_LENGTH] = "",
        clear: bool = False,
    ) -> None:
        refuse_together("parameters", "clear", parameters.strip(), clear)
        preferences = self.services.db.preferences
        before = escape_markdown((await preferences.get(interaction.user.id)).suffix or "")
        if parameters.strip():
            suffix = check_suffix(parameters, self.services.registry)
            await preferences.update(interaction.user.id, suffix=suffix)
            text = tr("Added to all your prompts: {suffix}", suffix=escape_markdown(suffix))
        elif not before:
            text = tr("Nothing is added to your prompts.")
        elif clear:
            await preferences.update(interaction.user.id, suffix=None)
            text = tr("Nothing is added to your prompts any more. Until now it was: {suffix}", suffix=before)
        else:
            text = tr("Added to all your prompts: {suffix}", suffix=before)
            text += "\n" + tr("-# `/prefer suffix clear: True` removes it.")
        await _respond(interaction, text)

    @app_commands.command(description="Choose the model for your prompts; without an option, see which")
    @app_commands.describe(name="The model for prompts without --model", clear="Use the server's model from now on")
    async def model(
        self, interaction: Interaction, name: app_commands.Range[str, 0, MAX_CHOICE_LENGTH] = "", clear: bool = False
    ) -> None:
        refuse_together("name", "clear", name.strip(), clear)
        preferences = self.services.db.preferences
        before = escape_markdown((await preferences.get(interaction.user.id)).model or "")
        if name.strip():
            wanted = await resolve_model(self.services, interaction.guild_id, name)
            await preferences.update(interaction.user.id, model=wanted.name)
            text = tr("Your prompts use **{model}** from now on.", model=escape_markdown(wanted.name))
            if len(self.services.registry.models) > 1:
                text += " " + tr("Servers that do not allow it use their own model.")
        elif not before:
            text = tr("Your prompts use the server's model.")
        elif clear:
            await preferences.update(interaction.user.id, model=None)
            text = tr("Your prompts use the server's model now. Until now it was **{model}**.", model=before)
        else:
            text = tr("Your prompts use **{model}**.", model=before)
            text += "\n" + tr("-# `/prefer model clear: True` goes back to the server's model.")
        await _respond(interaction, text)

    @model.autocomplete("name")
    async def _complete_model(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        return await complete_model(self.services, interaction.guild_id, typed)

    @option.command(name="set", description="Give text and parameters a name; without a value, see what it stands for")
    @app_commands.describe(
        name="One word; --name in a prompt then stands for the value",
        value="The text and parameters that it stands for",
        delete="Delete this option",
    )
    async def set_option(
        self,
        interaction: Interaction,
        name: app_commands.Range[str, 1, 40],
        value: app_commands.Range[str, 0, MAX_OPTION_LENGTH] = "",
        delete: bool = False,
    ) -> None:
        name, value = to_option_name(name), value.strip()
        refuse_together("value", "delete", value, delete)
        if value:  # without one, the name may be a parameter's by now
            name, value = check_option(name, value, self.services.registry)
        preferences, user_id = self.services.db.preferences, interaction.user.id
        before = (await preferences.options(user_id)).get(name)
        shown = escape_markdown(truncate(value or before or "", MAX_VALUE_LENGTH))
        if value:
            await preferences.set_option(user_id, name, value)
            text = tr("`--{name}` now stands for: {value}", name=name, value=shown)
        elif before is None:
            text = tr("You have no option `--{name}`.", name=name)
        elif delete:
            await preferences.remove_option(user_id, name)
            text = tr("`--{name}` is deleted. It stood for: {value}", name=name, value=shown)
        else:
            text = tr("`--{name}` stands for: {value}", name=name, value=shown)
            text += "\n" + tr("-# `delete: True` deletes it.")
        await _respond(interaction, text)

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
            await _respond(interaction, tr("You have no options yet. `/prefer option set` makes one."))
            return
        shown = MAX_LIST_LENGTH // len(options) // 2 - 40  # escaping may double the characters
        lines = [f"`--{name}` {escape_markdown(truncate(value, shown))}" for name, value in options.items()]
        heading = tr("**Your options** ({number} of {most})", number=len(options), most=MAX_OPTIONS)
        await _respond(interaction, "\n".join([heading, *lines]))

    @app_commands.command(description="Turn remix on or off: edit the prompt before a variation is drawn")
    async def remix(self, interaction: Interaction) -> None:
        now = await self._toggle(interaction, "remix")
        await _respond(interaction, tr("Remix is **on**.") if now.remix else tr("Remix is **off**."))

    @app_commands.command(description="Switch between high and low variation")
    async def variability(self, interaction: Interaction) -> None:
        now = await self._toggle(interaction, "high_variation")
        strong, subtle = tr("V1–V4 now make **strong** variations."), tr("V1–V4 now make **subtle** variations.")
        await _respond(interaction, strong if now.high_variation else subtle)

    @app_commands.command(description="Turn direct messages of your results on or off")
    async def auto_dm(self, interaction: Interaction) -> None:
        now = await self._toggle(interaction, "auto_dm")
        on = tr("Results by direct message are **on**, if you accept direct messages from members of this server.")
        await _respond(interaction, on if now.auto_dm else tr("Results by direct message are **off**."))

    @app_commands.command(description="Turn news on or off: a message when others carried on from your pictures")
    async def news(self, interaction: Interaction) -> None:
        is_on = await self.services.db.news.toggle(interaction.user.id, self.services.clock())
        on = tr("News is **on**: at most once a day, I write to you how many people carried on from your pictures.")
        await _respond(interaction, on if is_on else tr("News is **off**."))

    async def _toggle(self, interaction: Interaction, name: str) -> Preferences:
        preferences, user_id = self.services.db.preferences, interaction.user.id
        return await preferences.update(user_id, **{name: not getattr(await preferences.get(user_id), name)})


async def _respond(interaction: Interaction, text: str) -> None:
    await interaction.response.send_message(text, ephemeral=True, suppress_embeds=True)


async def setup(client: Client) -> None:
    """Add the cog; discord.py calls this."""
    await client.add_cog(Prefer(client.services))
