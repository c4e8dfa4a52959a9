"""The owners' settings in words, as /config shows them."""

from __future__ import annotations

from collections.abc import Sequence

from bot.policy.settings import LIMIT_RANGES, GuildSettings, NsfwMode, ResultPlacement, RoleLimits

MAX_LENGTH = 1850  # characters of an overview; a message holds 2000
LIST_LIMITS = (15, 8, 4, 2, 1)  # names of each list: as many as there is room for
PLACEMENT_LABELS = {
    ResultPlacement.HERE: "the same channel",
    ResultPlacement.THREAD_OF_PERSON: "a thread for each person",
    ResultPlacement.THREAD_OF_JOB: "a thread for each job",
    ResultPlacement.GALLERY: "a gallery",
}
LANGUAGE_NAMES = {"en": "English", "de": "Deutsch"}
LIMIT_LABELS = {
    "running": "{} running",
    "waiting": "{} waiting",
    "jobs_a_day": "{} jobs a day",
    "gpu_seconds_a_day": "{} seconds of drawing a day",
    "cooldown": "{} seconds between jobs",
    "longest_side": "at most {} pixels long",
    "steps": "at most {} steps",
}


def format_limits(limits: RoleLimits) -> str:
    """Give the bounds that are set, with commas between them."""
    given = ((name, getattr(limits, name)) for name in LIMIT_RANGES)
    return ", ".join(LIMIT_LABELS[name].format(value) for name, value in given if value is not None)


def format_retention(days: int, otherwise: int) -> str:
    """Say how long pictures are kept; `otherwise` is the most that whoever runs the bot allows, and 0 is for ever."""
    if days and (not otherwise or days <= otherwise):
        return f"{days} days"
    return f"{otherwise} days, as whoever runs me has it" if otherwise else "for ever"


def settings_summary(settings: GuildSettings, guild_id: int, words: int, retention_days: int = 0) -> str:
    """Give everything that holds in a guild, a line a setting, short enough for one message.

    `retention_days` is what whoever runs the bot has set, for where the owners set nothing.
    """
    texts = ["\n".join(_lines(settings, guild_id, words, retention_days, list_limit)) for list_limit in LIST_LIMITS]
    return next((text for text in texts if len(text) <= MAX_LENGTH), texts[-1])


def _lines(settings: GuildSettings, guild_id: int, words: int, retention_days: int, list_limit: int) -> list[str]:
    channels = [f"<#{channel}>" for channel in settings.channels]
    lines = [
        f"**Defaults:** {f'`{settings.defaults}`' if settings.defaults else 'those of the model'}",
        f"**Models:** {_shortened_list(settings.models, 'whichever I draw with', list_limit)}",
        f"**Channels:** {_shortened_list(channels, 'everywhere', list_limit)}",
        f"**Results:** {_results(settings)}",
        f"**Fast mode:** {_role_list(settings.fast_roles, list_limit)}",
        f"**Big upscales:** {_role_list(settings.upscale_roles, list_limit)}",
        f"**`--repeat`:** {_role_list(settings.repeat_roles, list_limit)}",
        f"**Choices in braces:** {_role_list(settings.permutation_roles, list_limit)}, "
        f"up to {settings.permutations} jobs at once",
        f"**Private pictures:** {'allowed' if settings.stealth else 'not allowed'}",
        f"**Pictures are kept:** {format_retention(settings.retention_days, retention_days)}",
        f"**Sensitive pictures:** {_nsfw_text(settings.sensitive)}",
        f"**Language:** {LANGUAGE_NAMES.get(settings.language, 'as the server has it at Discord')}",
        f"**Blocked words:** {words}",
        f"**Log channel:** {f'<#{settings.log_channel}>' if settings.log_channel else 'none'}",
    ]
    limits = [
        f"{'@everyone' if role == guild_id else f'<@&{role}>'}: {format_limits(role_limits)}"
        for role, role_limits in settings.bounds.items()
    ]
    return lines + _limits(limits, list_limit)


def _limits(limits: list[str], list_limit: int) -> list[str]:
    if not limits:
        return ["**Limits:** those of whoever runs the bot"]
    shown = [f"- {limit}" for limit in limits[:list_limit]]
    more = [f"-# and {len(limits) - list_limit} more roles"] if len(limits) > list_limit else []
    return ["**Limits:**", *shown, *more]


def _results(settings: GuildSettings) -> str:
    if settings.delivery is ResultPlacement.GALLERY:
        return f"in the gallery <#{settings.gallery}>"
    return f"in {PLACEMENT_LABELS[settings.delivery]}"


def _nsfw_text(mode: NsfwMode) -> str:
    return "hidden behind a spoiler" if mode is NsfwMode.SPOILER else "withheld"


def _role_list(roles: tuple[int, ...], list_limit: int) -> str:
    return _shortened_list([f"<@&{role}>" for role in roles], "everybody", list_limit)


def _shortened_list(names: Sequence[str], if_empty: str, list_limit: int) -> str:
    shown = ", ".join(names[:list_limit]) or if_empty
    return f"{shown} and {len(names) - list_limit} more" if len(names) > list_limit else shown
