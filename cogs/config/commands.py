"""The subcommands of /config: each answers with the new value and logs the change in the audit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import discord
from discord import app_commands

from bot.client import Interaction
from bot.discord_calls import NO_MENTIONS
from bot.policy.settings import GuildSettings, NsfwMode, ResultPlacement, RoleLimits, check_limit
from bot.policy.summary import LANGUAGE_NAMES, PLACEMENT_LABELS, format_limits, format_retention, placement_label
from bot.policy.updates import Actor, update_settings
from bot.services import Services
from bot.ui.i18n import tr
from bot.ui.text import MAX_MESSAGE_LENGTH
from cogs.autocomplete import choices
from cogs.config import panel, stats
from cogs.config.audit import format_details, in_english
from cogs.config.panel_fields import DRAWING_CHANNEL_TYPES
from cogs.config.reports import show_open_report
from cogs.config.validation import (
    MAX_CHANNELS,
    MAX_JOBS_PER_PROMPT,
    MAX_MODELS,
    MAX_RETENTION_DAYS,
    MAX_ROLES,
    add_item,
    known_model_names,
    parse_defaults,
    refuse_together,
    remove_item,
    require_any,
    require_postable,
    resolve_model_name,
)
from db.guilds import AuditEntry
from generation.errors import UserError
from generation.models.catalogue import normalize_name

SettingsUpdate = Callable[[GuildSettings], GuildSettings]

FEATURE_FIELDS = {
    "fast mode": "fast_roles",
    "big upscales": "upscale_roles",
    "--repeat": "repeat_roles",
    "choices in braces": "permutation_roles",
}


class ChannelOrCategoryTransformer(app_commands.Transformer):
    """A command option that takes a channel where the bot can be used, or a category of such channels."""

    @property
    def type(self) -> discord.AppCommandOptionType:
        return discord.AppCommandOptionType.channel

    @property
    def channel_types(self) -> list[discord.ChannelType]:
        return DRAWING_CHANNEL_TYPES

    async def transform(self, interaction: discord.Interaction[Any], value: Any, /) -> app_commands.AppCommandChannel:
        channel: app_commands.AppCommandChannel = value
        return channel


ChannelOrCategory = app_commands.Transform[app_commands.AppCommandChannel, ChannelOrCategoryTransformer]


class ConfigGroup(app_commands.Group):
    """The /config command. Discord's permission for the command decides who can use it."""

    def __init__(self, services: Services) -> None:
        super().__init__(
            name="config",
            description="Settings of this server: what I may do here",
            # `guild_only` alone would leave it in direct messages, because the client's default contexts override it.
            allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
            default_permissions=discord.Permissions(manage_guild=True),
        )
        self.services = services

    @app_commands.command(description="Default parameters for everybody; without an option, see which")
    @app_commands.describe(parameters="As in a prompt, such as --ar 3:2 --s 250", clear="Set no default parameters")
    async def defaults(
        self, interaction: Interaction, parameters: app_commands.Range[str, 1, 500] = "", clear: bool = False
    ) -> None:
        before = (await self.services.policy.settings(interaction.guild_id)).defaults
        if not parameters.strip() and not clear:
            shown = tr("Default parameters: {parameters}", parameters=before or tr("none"))
            await _show(interaction, shown, tr("-# `clear: True` removes them.") if before else "")
            return
        refuse_together("parameters", "clear", parameters.strip(), clear)
        text = parse_defaults(self.services, parameters)
        await self._update(
            interaction,
            lambda: _format_defaults(text, before),
            lambda now: replace(now, defaults=text),
        )

    @app_commands.command(description="Models allowed here; an empty list allows all")
    @app_commands.describe(add="Allow this one", remove="Remove this one", every="Allow all models")
    async def models(
        self,
        interaction: Interaction,
        add: app_commands.Range[str, 1, 100] | None = None,
        remove: app_commands.Range[str, 1, 100] | None = None,
        every: bool = False,
    ) -> None:
        require_any(add or remove or every)
        refuse_together("add", "every", add, every)
        added = resolve_model_name(self.services, add) if add else None
        # A model that is no longer installed can still be removed from the list.
        listed = (await self.services.policy.settings(interaction.guild_id)).models
        removed = resolve_model_name(self.services, remove, listed) if remove else None

        def change(now: GuildSettings) -> GuildSettings:
            kept = () if every else remove_item(now.models, removed)
            return replace(now, models=add_item(kept, added, MAX_MODELS))

        def describe() -> str:
            return tr("models: {changes}", changes=_format_changes(added, removed, tr("all") if every else ""))

        await self._update(interaction, describe, change)

    @models.autocomplete("add")
    async def known_models(self, _: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        """Suggest the known models."""
        return choices(
            name for name in known_model_names(self.services) if normalize_name(typed) in normalize_name(name)
        )

    @models.autocomplete("remove")
    async def listed_models(self, interaction: Interaction, typed: str) -> list[app_commands.Choice[str]]:
        """Suggest the models on the list."""
        listed = (await self.services.policy.settings(interaction.guild_id)).models
        return choices(name for name in listed if normalize_name(typed) in normalize_name(name))

    @app_commands.command(description="Channels to draw in; a category includes its channels, a channel its threads")
    @app_commands.describe(add="Allow this one", remove="Remove this one", everywhere="Allow all channels")
    async def channels(
        self,
        interaction: Interaction,
        add: ChannelOrCategory | None = None,
        remove: ChannelOrCategory | None = None,
        everywhere: bool = False,
    ) -> None:
        def change(now: GuildSettings) -> GuildSettings:
            kept = () if everywhere else remove_item(now.channels, remove.id if remove else None)
            return replace(now, channels=add_item(kept, add.id if add else None, MAX_CHANNELS))

        def describe() -> str:
            changes = _format_changes(
                add.mention if add else None, remove.mention if remove else None, tr("everywhere") if everywhere else ""
            )
            return tr("channels: {changes}", changes=changes)

        require_any(add or remove or everywhere)
        refuse_together("add", "everywhere", add, everywhere)
        await self._update(interaction, describe, change)

    @app_commands.command(description="Where results are posted")
    @app_commands.describe(where="Where results go", gallery="The channel of the gallery")
    @app_commands.choices(
        where=[app_commands.Choice(name=label, value=delivery.value) for delivery, label in PLACEMENT_LABELS.items()]
    )
    async def results(self, interaction: Interaction, where: str, gallery: discord.TextChannel | None = None) -> None:
        placement = ResultPlacement(where)
        if (placement is ResultPlacement.GALLERY) != (gallery is not None):
            raise UserError(tr("A gallery needs a channel: set both `where: a gallery` and `gallery`."))
        require_postable(interaction.guild, gallery.id if gallery else None, files=True)
        shown = f" {gallery.mention}" if gallery else ""
        await self._update(
            interaction,
            lambda: tr("results: {where}", where=f"{placement_label(placement)}{shown}"),
            lambda now: replace(now, delivery=placement, gallery=gallery.id if gallery else None),
        )

    @app_commands.command(description="Roles that may use a feature; an empty list allows everybody")
    @app_commands.describe(
        feature="The feature",
        add="Allow this role",
        remove="Remove this role",
        everybody="Allow everybody",
    )
    async def feature(
        self,
        interaction: Interaction,
        feature: Literal["fast mode", "big upscales", "--repeat", "choices in braces"],
        add: discord.Role | None = None,
        remove: discord.Role | None = None,
        everybody: bool = False,
    ) -> None:
        name = FEATURE_FIELDS[feature]

        def change(now: GuildSettings) -> GuildSettings:
            kept = () if everybody else remove_item(getattr(now, name), remove.id if remove else None)
            changed: dict[str, Any] = {name: add_item(kept, add.id if add else None, MAX_ROLES)}
            return replace(now, **changed)

        def describe() -> str:
            changes = _format_changes(
                add.mention if add else None, remove.mention if remove else None, tr("everybody") if everybody else ""
            )
            return f"{tr(feature)}: {changes}"

        require_any(add or remove or everybody)
        refuse_together("add", "everybody", add, everybody)
        await self._update(interaction, describe, change)

    @app_commands.command(
        description="Limits for a role; with several roles, the most generous value of each limit applies"
    )
    @app_commands.describe(
        role="The role; @everyone for all members",
        running="Jobs running at the same time",
        waiting="Jobs waiting at the same time",
        jobs_a_day="Jobs in 24 hours",
        gpu_seconds_a_day="Seconds of drawing time in 24 hours",
        cooldown="Seconds from one job to the next",
        longest_side="Longer side of a picture, in pixels",
        steps="Denoising steps",
        clear="Clear all limits of this role first",
    )
    async def limits(
        self,
        interaction: Interaction,
        role: discord.Role,
        running: int | None = None,
        waiting: int | None = None,
        jobs_a_day: int | None = None,
        gpu_seconds_a_day: int | None = None,
        cooldown: int | None = None,
        longest_side: int | None = None,
        steps: int | None = None,
        clear: bool = False,
    ) -> None:
        given = {
            "running": running,
            "waiting": waiting,
            "jobs_a_day": jobs_a_day,
            "gpu_seconds_a_day": gpu_seconds_a_day,
            "cooldown": cooldown,
            "longest_side": longest_side,
            "steps": steps,
        }
        wanted = {name: check_limit(name, value) for name, value in given.items() if value is not None}
        require_any(wanted or clear)

        def change(now: GuildSettings) -> GuildSettings:
            before = RoleLimits() if clear else now.bounds.get(role.id, RoleLimits())
            bounds = {**now.bounds, role.id: replace(before, **wanted)}
            kept = {of: each for of, each in bounds.items() if each != RoleLimits()}
            return replace(now, bounds=kept)

        def describe() -> str:
            limits = format_limits(RoleLimits(**wanted)) or tr("none")
            if clear:
                return tr("limits of {role}: cleared, {limits}", role=role.mention, limits=limits)
            return tr("limits of {role}: {limits}", role=role.mention, limits=limits)

        await self._update(interaction, describe, change)

    @app_commands.command(description="How many jobs one prompt may make, with --repeat or choices in braces")
    @app_commands.describe(most="A prompt that makes more jobs is refused")
    async def permutations(
        self, interaction: Interaction, most: app_commands.Range[int, 1, MAX_JOBS_PER_PROMPT]
    ) -> None:
        await self._update(
            interaction,
            lambda: tr("jobs of one prompt: {number}", number=most),
            lambda now: replace(now, permutations=most),
        )

    @app_commands.command(description="Whether people may draw privately (--stealth)")
    @app_commands.describe(allowed="If off, everything is public")
    async def stealth(self, interaction: Interaction, allowed: bool) -> None:
        await self._update(
            interaction,
            lambda: tr("private pictures: allowed") if allowed else tr("private pictures: not allowed"),
            lambda now: replace(now, stealth=allowed),
        )

    @app_commands.command(description="Days until pictures are deleted; 0 uses the bot operator's setting")
    @app_commands.describe(days="Counted from the day a picture was drawn")
    async def retention(self, interaction: Interaction, days: app_commands.Range[int, 0, MAX_RETENTION_DAYS]) -> None:
        await self._update(
            interaction,
            lambda: tr("picture retention: {time}", time=format_retention(days, self.services.config.retention_days)),
            lambda now: replace(now, retention_days=days),
        )

    @app_commands.command(description="Channel for reports and changes of settings; without an option, see which")
    @app_commands.describe(channel="Pick a channel only moderators can see", clear="Log to no channel")
    async def log(
        self, interaction: Interaction, channel: discord.TextChannel | None = None, clear: bool = False
    ) -> None:
        if channel is None and not clear:
            before = (await self.services.policy.settings(interaction.guild_id)).log_channel
            shown = tr("Log channel: {channel}", channel=f"<#{before}>" if before else tr("none"))
            await _show(interaction, shown, tr("-# `clear: True` switches the log off.") if before else "")
            return
        refuse_together("channel", "clear", channel, clear)
        require_postable(interaction.guild, channel.id if channel else None, files=False)
        await self._update(
            interaction,
            lambda: tr("log channel: {channel}", channel=channel.mention) if channel else tr("log channel: none"),
            lambda now: replace(now, log_channel=channel.id if channel else None),
        )

    @app_commands.command(description="Language of my messages in this server")
    @app_commands.describe(language="The server's Discord language is in its community settings")
    async def language(
        self, interaction: Interaction, language: Literal["same as the server's Discord language", "English", "Deutsch"]
    ) -> None:
        name = next((name for name, words in LANGUAGE_NAMES.items() if words == language), "")
        await self._update(
            interaction,
            lambda: (
                tr("language: {language}", language=language)
                if name
                else tr("language: same as the server's Discord language")
            ),
            lambda now: replace(now, language=name),
        )

    @app_commands.command(description="What happens to sensitive pictures outside age-restricted channels")
    @app_commands.describe(pictures="What happens to them")
    async def sensitive(
        self, interaction: Interaction, pictures: Literal["hidden behind a spoiler", "withheld"]
    ) -> None:
        chosen = NsfwMode.WITHHOLD if pictures == "withheld" else NsfwMode.SPOILER
        await self._update(
            interaction,
            lambda: (
                tr("sensitive pictures: withheld")
                if chosen is NsfwMode.WITHHOLD
                else tr("sensitive pictures: hidden behind a spoiler")
            ),
            lambda now: replace(now, sensitive=chosen),
        )

    @app_commands.command(description="All current settings, with controls to change them")
    async def panel(self, interaction: Interaction) -> None:
        await panel.show_panel(interaction)

    @app_commands.command(description="Jobs, people, times and failures, as a chart")
    @app_commands.describe(period="How far to look back", theme="The chart's background")
    async def stats(
        self,
        interaction: Interaction,
        period: Literal["day", "week", "month"] = "week",
        theme: Literal["dark", "light"] = "dark",
    ) -> None:
        await stats.send_stats(interaction, self.services, period, theme)

    @app_commands.command(description="The oldest open report, with buttons to deal with it")
    async def reports(self, interaction: Interaction) -> None:
        await show_open_report(interaction, self.services)

    @app_commands.command(description="Who changed what, newest first")
    @app_commands.describe(page="Older entries are on later pages")
    async def audit(self, interaction: Interaction, page: app_commands.Range[int, 1, 1000] = 1) -> None:
        assert interaction.guild_id is not None
        entries = await self.services.db.guilds.audit_entries(
            interaction.guild_id, offset=(page - 1) * AUDIT_PAGE_SIZE, limit=AUDIT_PAGE_SIZE
        )
        texts = [_audit_text(entries, limit) for limit in DETAILS_LENGTHS]
        empty = tr("Nothing has been changed yet.") if page == 1 else tr("There are no older entries.")
        text = next((text for text in texts if len(text) <= MAX_MESSAGE_LENGTH), texts[-1]) or empty
        await interaction.response.send_message(text, ephemeral=True, allowed_mentions=NO_MENTIONS)

    async def _update(self, interaction: Interaction, describe: Callable[[], str], update: SettingsUpdate) -> None:
        assert interaction.guild_id is not None
        actor = Actor(interaction.guild_id, interaction.user.id)
        await update_settings(self.services.db.guilds, actor, in_english(describe), update, self.services.clock)
        changed = describe()
        note = tr("-# Applies from the next job on. `/config panel` shows all current settings.")
        await interaction.response.send_message(
            f"{changed[:1].upper()}{changed[1:]}.\n{note}",
            ephemeral=True,
            allowed_mentions=NO_MENTIONS,
        )


AUDIT_PAGE_SIZE = 15
DETAILS_LENGTHS = (90, 40)  # characters of an entry, tried in this order until a page fits: escaping may double them


def _audit_text(entries: Sequence[AuditEntry], limit: int) -> str:
    return "\n".join(f"<t:{int(entry.at)}:f> <@{entry.person_id}> {format_details(entry, limit)}" for entry in entries)


async def _show(interaction: Interaction, text: str, hint: str) -> None:
    """Respond with a setting that was not changed."""
    await interaction.response.send_message(
        "\n".join(filter(None, (text, hint))), ephemeral=True, allowed_mentions=NO_MENTIONS
    )


def _format_defaults(now: str, before: str) -> str:
    if now:
        return tr("defaults: {parameters}", parameters=now)
    return tr("defaults: none, until now {parameters}", parameters=before) if before else tr("defaults: none")


def _format_changes(added: str | None, removed: str | None, everything: str) -> str:
    add = tr("add {item}", item=added) if added else ""
    remove = tr("remove {item}", item=removed) if removed else ""
    return ", ".join(filter(None, (add, remove, everything)))
