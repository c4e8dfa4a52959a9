"""The owners' settings in words, as /config shows them."""

from __future__ import annotations

from collections.abc import Sequence

from bot.policy.settings import BOUND_RANGES, Bounds, Delivery, GuildSettings, Sensitive

LONGEST = 1850  # characters of an overview; a message holds 2000
MOST_SHOWN = (15, 8, 4, 2, 1)  # names of each list: as many as there is room for
DELIVERIES = {
    Delivery.HERE: "the same channel",
    Delivery.THREAD_OF_PERSON: "a thread for each person",
    Delivery.THREAD_OF_JOB: "a thread for each job",
    Delivery.GALLERY: "a gallery",
}
LANGUAGES = {"en": "English", "de": "Deutsch"}
BOUND_WORDS = {
    "running": "{} running",
    "waiting": "{} waiting",
    "jobs_a_day": "{} jobs a day",
    "gpu_seconds_a_day": "{} seconds of drawing a day",
    "cooldown": "{} seconds between jobs",
    "longest_side": "at most {} pixels long",
    "steps": "at most {} steps",
}


def bounds_in_words(bounds: Bounds) -> str:
    """Give the bounds that are set, with commas between them."""
    given = ((name, getattr(bounds, name)) for name in BOUND_RANGES)
    return ", ".join(BOUND_WORDS[name].format(value) for name, value in given if value is not None)


def kept_for(days: int, otherwise: int) -> str:
    """Say how long pictures are kept; `otherwise` is the most that whoever runs the bot allows, and 0 is for ever."""
    if days and (not otherwise or days <= otherwise):
        return f"{days} days"
    return f"{otherwise} days, as whoever runs me has it" if otherwise else "for ever"


def overview(settings: GuildSettings, guild_id: int, words: int, retention_days: int = 0) -> str:
    """Give everything that holds in a guild, a line a setting, short enough for one message.

    `retention_days` is what whoever runs the bot has set, for where the owners set nothing.
    """
    texts = ["\n".join(_lines(settings, guild_id, words, retention_days, most)) for most in MOST_SHOWN]
    return next((text for text in texts if len(text) <= LONGEST), texts[-1])


def _lines(settings: GuildSettings, guild_id: int, words: int, retention_days: int, most: int) -> list[str]:
    lines = [
        f"**Defaults:** {f'`{settings.defaults}`' if settings.defaults else 'those of the model'}",
        f"**Models:** {_listed(settings.models, 'whichever I draw with', most)}",
        f"**Channels:** {_listed([f'<#{channel}>' for channel in settings.channels], 'everywhere', most)}",
        f"**Results:** {_results(settings)}",
        f"**Fast mode:** {_roles(settings.fast_roles, most)}",
        f"**Big upscales:** {_roles(settings.upscale_roles, most)}",
        f"**`--repeat`:** {_roles(settings.repeat_roles, most)}",
        f"**Choices in braces:** {_roles(settings.permutation_roles, most)}, "
        f"up to {settings.permutations} jobs at once",
        f"**Private pictures:** {'allowed' if settings.stealth else 'not allowed'}",
        f"**Pictures are kept:** {kept_for(settings.retention_days, retention_days)}",
        f"**Sensitive pictures:** {_sensitive(settings.sensitive)}",
        f"**Language:** {LANGUAGES.get(settings.language, 'as the server has it at Discord')}",
        f"**Blocked words:** {words}",
        f"**Log channel:** {f'<#{settings.log_channel}>' if settings.log_channel else 'none'}",
    ]
    limits = [
        f"{'@everyone' if role == guild_id else f'<@&{role}>'}: {bounds_in_words(bounds)}"
        for role, bounds in settings.bounds.items()
    ]
    return lines + _limits(limits, most)


def _limits(limits: list[str], most: int) -> list[str]:
    if not limits:
        return ["**Limits:** those of whoever runs the bot"]
    shown = [f"- {limit}" for limit in limits[:most]]
    more = [f"-# and {len(limits) - most} more roles"] if len(limits) > most else []
    return ["**Limits:**", *shown, *more]


def _results(settings: GuildSettings) -> str:
    if settings.delivery is Delivery.GALLERY:
        return f"in the gallery <#{settings.gallery}>"
    return f"in {DELIVERIES[settings.delivery]}"


def _sensitive(sensitive: Sensitive) -> str:
    return "hidden behind a spoiler" if sensitive is Sensitive.SPOILER else "withheld"


def _roles(roles: tuple[int, ...], most: int) -> str:
    return _listed([f"<@&{role}>" for role in roles], "everybody", most)


def _listed(names: Sequence[str], none: str, most: int) -> str:
    shown = ", ".join(names[:most]) or none
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
