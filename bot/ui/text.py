"""Prepare user-provided text for messages and file names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_MESSAGE_LENGTH = 2000  # characters, by Discord's rules
BAR_LENGTH = 10  # characters
MAX_SLUG_LENGTH = 40
MAX_READ_FOR_SLUG = 1000  # characters of a text; the rest cannot matter to so short a name
MAX_SLUG_BYTES = 100  # two slugs and an id stay below the 255 bytes of a file name

# Characters to escape in Discord's markdown; colon and slash only where they would make a link.
_MARKDOWN = re.compile(r"[\\*_~`|<>\[\]#]|:(?=//)|(?<=\.gg)/|/(?=invite/)|^[-+](?=\s)|(?<=^\d)\.(?=\s)", re.IGNORECASE)
# Each alternative begins with its mark, so that text without marks is passed over quickly.
_EMPHASIS = re.compile(r"\*\*+|__+|~~|\|\||`+|[*_](?=\S)(?<!\w[*_])|[*_](?<=\S[*_])(?!\w)")
_ESCAPE = re.compile(r"\\(?=[^\w\s])")
_LINE_START = re.compile(r"^(?:-# |#{1,3} |>{1,3} |[-*] )", re.MULTILINE)
_MASS_MENTION = re.compile(r"@(?=everyone|here)", re.IGNORECASE)
_DIRECTION_MARKS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_RIGHT_TO_LEFT = ("R", "AL", "AN")
_JOINERS = "\u200c\u200d"
_LATIN_TRANSLITERATION = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "þ": "th", "ð": "d", "ı": "i"}
)


def jump_url(guild_id: int | None, channel_id: int, message_id: int | None) -> str:
    """Return the address of a message in Discord; a `guild_id` of None stands for direct messages."""
    return f"https://discord.com/channels/{guild_id or '@me'}/{channel_id}/{message_id}"


def pluralize(number: int, noun: str) -> str:
    """Return a number with its noun: `1 job`, `2,000 jobs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def progress_bar(fraction: float) -> str:
    """Return a bar of ten characters, filled from the left."""
    filled = round(BAR_LENGTH * min(max(fraction, 0.0), 1.0))
    return "▰" * filled + "▱" * (BAR_LENGTH - filled)


def escape_markdown(text: str) -> str:
    """Return `text` as one line without markdown, mentions or links; right-to-left text is isolated."""
    plain = " ".join(_DIRECTION_MARKS.sub("", text).split())
    plain = _MASS_MENTION.sub("@\u200b", _MARKDOWN.sub(r"\\\g<0>", plain))
    if any(unicodedata.bidirectional(char) in _RIGHT_TO_LEFT for char in plain):
        return f"\u2068{plain}\u2069"  # isolated, so that the rest of the line keeps its order
    return plain


def strip_markdown(text: str) -> str:
    """Return `text` as one line without the marks of Markdown, for places that show them as they are."""
    return " ".join(_EMPHASIS.sub("", _ESCAPE.sub("", _LINE_START.sub("", text))).split())


def truncate(text: str, limit: int) -> str:
    """Cut `text` to at most `limit` characters, between words if possible, and never inside a visible character."""
    if len(text) <= limit:
        return text
    end = max(limit - 1, 0)
    while end > 0 and _inside_character(text, end):
        end -= 1
    end = end or max(limit - 1, 0)
    word_end = text.rfind(" ", 0, end + 1)
    return text[: word_end if word_end > end // 2 else end].rstrip(" " + _JOINERS) + "…"[:limit]


def fit_lines(lines: Iterable[str]) -> str:
    """Return lines as the text of a message, without the last ones if they do not fit."""
    kept, length = list[str](), 0
    for line in lines:
        length += len(line) + 1
        if length > MAX_MESSAGE_LENGTH - 2:  # leaves room for the dots
            return "\n".join([*kept, "…"])
        kept.append(line)
    return "\n".join(kept)


def slugify(text: str) -> str:
    """Return `text` as part of a file name: lower-case letters and digits of any script, Latin without accents."""
    words = _words(text[:MAX_READ_FOR_SLUG])
    kept = words[0][:MAX_SLUG_LENGTH] if words else "picture"
    while not _fits(kept):
        kept = kept[:-1]
    for word in words[1:]:
        if not _fits(longer := f"{kept}_{word}"):
            break
        kept = longer
    return kept


def _inside_character(text: str, at: int) -> bool:
    before, after = text[at - 1], text[at]
    if _is_flag_letter(before) and _is_flag_letter(after):
        letters = next((n for n in range(at) if not _is_flag_letter(text[at - 1 - n])), at)
        return letters % 2 == 1
    return (
        unicodedata.category(after).startswith("M")
        or _JOINERS[1] in (before, after)
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= after <= "\U000e007f"  # the letters of flags of regions
    )


def _is_flag_letter(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _words(text: str) -> list[str]:
    kept: list[str] = []
    for char in unicodedata.normalize("NFKD", text.lower().translate(_LATIN_TRANSLITERATION)):
        is_mark = unicodedata.category(char).startswith("M")
        if char in "'’" or char in _JOINERS or (is_mark and kept and kept[-1].isascii()):
            continue
        kept.append(char if char.isalnum() or is_mark else "_")
    return [word for word in unicodedata.normalize("NFC", "".join(kept)).split("_") if word]


def _fits(name: str) -> bool:
    return len(name) <= MAX_SLUG_LENGTH and len(name.encode()) <= MAX_SLUG_BYTES
