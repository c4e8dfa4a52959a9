"""A server's settings as text, as /config shows them."""

from __future__ import annotations

from collections.abc import Sequence

from bot.policy.settings import LIMIT_RANGES, GuildSettings, NsfwMode, ResultPlacement, RoleLimits

MAX_LENGTH = 1850  # characters of the summary; a message has at most 2000
LIST_LIMITS = (15, 8, 4, 2, 1)  # names shown of each list, tried in this order until the text fits
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
    """Return the limits that are set, separated by commas."""
    given = ((name, getattr(limits, name)) for name in LIMIT_RANGES)
    return ", ".join(LIMIT_LABELS[name].format(value) for name, value in given if value is not None)


def format_retention(days: int, otherwise: int) -> str:
    """Return how long images are kept; `otherwise` is the bot operator's maximum in days, 0 for no limit."""
    if days and (not otherwise or days <= otherwise):
        return f"{days} days"
    return f"{otherwise} days (the bot operator's limit)" if otherwise else "forever"


def settings_summary(settings: GuildSettings, guild_id: int, words: int, retention_days: int = 0) -> str:
    """Return all current settings of a guild, one per line, short enough for one message.

    `words` is the number of blocked words, `retention_days` the bot operator's setting.
    """
    texts = ["\n".join(_lines(settings, guild_id, words, retention_days, list_limit)) for list_limit in LIST_LIMITS]
    return next((text for text in texts if len(text) <= MAX_LENGTH), texts[-1])


def _lines(settings: GuildSettings, guild_id: int, words: int, retention_days: int, list_limit: int) -> list[str]:
    defaults = f"`{settings.defaults}`" if settings.defaults else "the model's own"
    channels = [f"<#{channel}>" for channel in settings.channels]
    language = LANGUAGE_NAMES.get(settings.language, "same as the server's Discord language")
    lines = [
        f"**Defaults:** {defaults}",
        f"**Models:** {_shortened_list(settings.models, 'all', list_limit)}",
        f"**Channels:** {_shortened_list(channels, 'all', list_limit)}",
        f"**Results:** {_results(settings)}",
        f"**Fast mode:** {_role_list(settings.fast_roles, list_limit)}",
        f"**Big upscales:** {_role_list(settings.upscale_roles, list_limit)}",
        f"**`--repeat`:** {_role_list(settings.repeat_roles, list_limit)}",
        f"**Choices in braces:** {_role_list(settings.permutation_roles, list_limit)}, "
        f"up to {settings.permutations} jobs at once",
        f"**Private pictures:** {'allowed' if settings.stealth else 'not allowed'}",
        f"**Picture retention:** {format_retention(settings.retention_days, retention_days)}",
        f"**Sensitive pictures:** {_nsfw_text(settings.sensitive)}",
        f"**Language:** {language}",
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
        return ["**Limits:** the bot operator's"]
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
