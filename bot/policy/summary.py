"""A server's settings as text, as /config shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from bot.policy.settings import LIMIT_RANGES, GuildSettings, NsfwMode, ResultPlacement, RoleLimits
from bot.ui.i18n import tr, trn

MAX_LENGTH = 1850  # characters of the summary; a message has at most 2000
LIST_LIMITS = (15, 8, 4, 2, 1)  # names shown of each list, tried in this order until the text fits
PLACEMENT_LABELS = {
    ResultPlacement.HERE: "the same channel",
    ResultPlacement.THREAD_OF_PERSON: "a thread for each person",
    ResultPlacement.THREAD_OF_JOB: "a thread for each job",
    ResultPlacement.GALLERY: "a gallery",
}
LANGUAGE_NAMES = {"en": "English", "de": "Deutsch"}


def format_limits(limits: RoleLimits) -> str:
    """Return the limits that are set, separated by commas."""
    given = ((name, getattr(limits, name)) for name in LIMIT_RANGES)
    return ", ".join(_format_limit(name, value) for name, value in given if value is not None)


def _format_limit(name: str, value: int) -> str:
    match name:
        case "running":
            return trn("{n} running", "{n} running", value)
        case "waiting":
            return trn("{n} waiting", "{n} waiting", value)
        case "jobs_a_day":
            return trn("{n} job a day", "{n} jobs a day", value)
        case "gpu_seconds_a_day":
            return trn("{n} second of drawing a day", "{n} seconds of drawing a day", value)
        case "cooldown":
            return trn("{n} second between jobs", "{n} seconds between jobs", value)
        case "longest_side":
            return trn("at most {n} pixel long", "at most {n} pixels long", value)
        case "steps":
            return trn("at most {n} step", "at most {n} steps", value)
    raise AssertionError(f"a limit without a text: {name}")


def placement_label(placement: ResultPlacement) -> str:
    """Return the name of a result placement."""
    return tr(PLACEMENT_LABELS[placement])


def format_retention(days: int, otherwise: int) -> str:
    """Return how long images are kept; `otherwise` is the bot operator's maximum in days, 0 for no limit."""
    if days and (not otherwise or days <= otherwise):
        return trn("{n} day", "{n} days", days)
    if not otherwise:
        return tr("forever")
    return trn("{n} day (the bot operator's limit)", "{n} days (the bot operator's limit)", otherwise)


def settings_summary(settings: GuildSettings, guild_id: int, words: int, retention_days: int = 0) -> str:
    """Return all current settings of a guild, one per line, short enough for one message.

    `words` is the number of blocked words, `retention_days` the bot operator's setting.
    """
    texts = ["\n".join(_lines(settings, guild_id, words, retention_days, list_limit)) for list_limit in LIST_LIMITS]
    return next((text for text in texts if len(text) <= MAX_LENGTH), texts[-1])


def _lines(settings: GuildSettings, guild_id: int, words: int, retention_days: int, list_limit: int) -> list[str]:
    channels = [f"<#{channel}>" for channel in settings.channels]
    return [
        _defaults(settings.defaults),
        tr("**Models:** {models}", models=_shortened_list(settings.models, tr("all"), list_limit)),
        tr("**Channels:** {channels}", channels=_shortened_list(channels, tr("all"), list_limit)),
        tr("**Results:** {where}", where=_results(settings)),
        tr("**Fast mode:** {roles}", roles=_role_list(settings.fast_roles, list_limit)),
        tr("**Big upscales:** {roles}", roles=_role_list(settings.upscale_roles, list_limit)),
        tr("**`--repeat`:** {roles}", roles=_role_list(settings.repeat_roles, list_limit)),
        trn(
            "**Choices in braces:** {roles}, up to {n} job at once",
            "**Choices in braces:** {roles}, up to {n} jobs at once",
            settings.permutations,
            roles=_role_list(settings.permutation_roles, list_limit),
        ),
        tr("**Private pictures:** allowed") if settings.stealth else tr("**Private pictures:** not allowed"),
        tr("**Picture retention:** {time}", time=format_retention(settings.retention_days, retention_days)),
        _nsfw_line(settings.sensitive),
        _language_line(settings.language),
        tr("**Blocked words:** {number}", number=words),
        *_session_lines(settings, list_limit),
        *_gallery_lines(settings, list_limit),
        _log_channel(settings.log_channel),
        *_limits(settings.bounds, guild_id, list_limit),
    ]


def _session_lines(settings: GuildSettings, list_limit: int) -> list[str]:
    quiet, cost = [f"<#{channel}>" for channel in settings.quiet_channels], settings.session_cost
    return [
        tr(
            "**Sessions:** {roles}, {number} at once; accounts of {days}, members for {hours}",
            roles=_role_list(settings.host_roles, list_limit),
            number=settings.sessions_at_once,
            days=trn("{n} day", "{n} days", settings.min_account_days),
            hours=trn("{n} hour", "{n} hours", settings.min_member_hours),
        ),
        *([tr("**Grids of a session:** at most {n}", n=cost)] if cost != GuildSettings().session_cost else []),
        *([] if settings.canvases else [tr("**Canvases:** none")]),
        *_contest_line(settings),
        *([tr("**No sessions in:** {channels}", channels=_shortened_list(quiet, "", list_limit))] if quiet else []),
    ]


def _gallery_lines(settings: GuildSettings, list_limit: int) -> list[str]:
    if not settings.gallery_pages:
        return [tr("**Web gallery:** off")]
    lines = []
    if hidden := [f"<#{channel}>" for channel in settings.gallery_hidden]:
        lines.append(tr("**Not in the web gallery:** {channels}", channels=_shortened_list(hidden, "", list_limit)))
    if not settings.gallery_names:
        lines.append(tr("**Web gallery:** without names"))
    return lines


def _contest_line(settings: GuildSettings) -> list[str]:
    if settings.contest_channel is None:
        return []
    days = trn("every {n} day", "every {n} days", settings.contest_days)
    return [tr("**Contest:** {channel}, {days}", channel=f"<#{settings.contest_channel}>", days=days)]


def _defaults(parameters: str) -> str:
    return (
        tr("**Defaults:** `{parameters}`", parameters=parameters) if parameters else tr("**Defaults:** the model's own")
    )


def _results(settings: GuildSettings) -> str:
    match settings.delivery:
        case ResultPlacement.HERE:
            return tr("in the same channel")
        case ResultPlacement.THREAD_OF_PERSON:
            return tr("in a thread for each person")
        case ResultPlacement.THREAD_OF_JOB:
            return tr("in a thread for each job")
        case ResultPlacement.GALLERY:
            return tr("in the gallery {channel}", channel=f"<#{settings.gallery}>")


def _nsfw_line(mode: NsfwMode) -> str:
    if mode is NsfwMode.SPOILER:
        return tr("**Sensitive pictures:** hidden behind a spoiler")
    return tr("**Sensitive pictures:** withheld")


def _language_line(language: str) -> str:
    if language in LANGUAGE_NAMES:
        return tr("**Language:** {language}", language=LANGUAGE_NAMES[language])
    return tr("**Language:** same as the server's Discord language")


def _log_channel(channel: int | None) -> str:
    return tr("**Log channel:** {channel}", channel=f"<#{channel}>") if channel else tr("**Log channel:** none")


def _limits(bounds: Mapping[int, RoleLimits], guild_id: int, list_limit: int) -> list[str]:
    if not bounds:
        return [tr("**Limits:** the bot operator's")]
    shown = [
        f"- {'@everyone' if role == guild_id else f'<@&{role}>'}: {format_limits(limits)}"
        for role, limits in islice(bounds.items(), list_limit)
    ]
    left_out = len(bounds) - list_limit
    more = [trn("-# and {n} more role", "-# and {n} more roles", left_out)] if left_out > 0 else []
    return [tr("**Limits:**"), *shown, *more]


def _role_list(roles: tuple[int, ...], list_limit: int) -> str:
    return _shortened_list([f"<@&{role}>" for role in roles], tr("everybody"), list_limit)


def _shortened_list(names: Sequence[str], if_empty: str, list_limit: int) -> str:
    shown, left_out = ", ".join(names[:list_limit]) or if_empty, len(names) - list_limit
    return tr("{named} and {number} more", named=shown, number=left_out) if left_out > 0 else shown
