r"""The special characters of a prompt: escapes, copied text, and the start of a parameter.

A backslash escapes: `\::` is two colons, `\--` two dashes, `\{` a brace, `\\` a backslash. During parsing an escaped
character is replaced by a Unicode noncharacter, so that no rule treats it as syntax. A backslash before any other
character is a plain backslash: `\(` stays as it is.
"""

from __future__ import annotations

import re

COMMAS = ",，、،"  # of the Latin, Chinese, Japanese and Arabic keyboards
SYNTAX_CHARS = "\\-–—:：*<>{}@/" + COMMAS

_MASKED = {mark: chr(0xFDD0 + index) for index, mark in enumerate(SYNTAX_CHARS)}
_UNMASK = str.maketrans({hidden: mark for mark, hidden in _MASKED.items()})
_UNMASK_ESCAPED = str.maketrans({hidden: "\\" + mark for mark, hidden in _MASKED.items()})
_ESCAPED = re.compile(rf"\\([{re.escape(SYNTAX_CHARS)}])")
_SYNTAX_CHAR = re.compile(rf"[{re.escape(SYNTAX_CHARS)}]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # control characters that are not white space
    "\u200b\u2060\ufeff"  # zero-width characters: pasted from web pages, or inserted to disable a mention
    "\u200e\u200f\u202a-\u202e\u2066-\u2069"  # change the direction of the text after them
    "\ud800-\udfff\ufdd0-\ufdef]"
)


def normalize_text(text: str) -> str:
    """Remove invisible characters and collapse white space to single spaces."""
    return " ".join(_INVISIBLE.sub("", text).split())


def mask(text: str) -> str:
    """Replace escaped characters by noncharacters, which no rule matches."""
    return _ESCAPED.sub(lambda match: _MASKED[match[1]], text) if "\\" in text else text


def unmask(text: str) -> str:
    """Restore masked characters without their backslashes."""
    return text.translate(_UNMASK)


def unmask_escaped(text: str) -> str:
    """Restore masked characters with their backslashes."""
    return text.translate(_UNMASK_ESCAPED)


def escape_all(text: str) -> str:
    """Put a backslash before each special character in `text`."""
    return _SYNTAX_CHAR.sub(r"\\\g<0>", text)


# Text copied from messages, as bot/ui/job_text.py and Midjourney write them.
MESSAGE_LABELS = (
    "Image #[1-9](?: for)?",
    "(?:Variations?|Remix|Upscaled|Zoom Out|Pan|Blend|Made square|Drawn again|Rerolled)[^@<>]{0,40} by",
)
MESSAGE_MODES = ("fast", "relax", "turbo", "stealth", "public", "waiting", "starting", "queued", "paused", r"\d+ ?%")
_LABEL = rf"(?:{'|'.join(MESSAGE_LABELS)})\s"
_MODE = rf"\s?\((?:{'|'.join(MESSAGE_MODES)})[^()]{{0,60}}\)"
_SUBTEXT = r"(?:\s-#\s.{1,500})?"
SIGNATURE_START = rf"-\s(?:{_LABEL})?<?@|\A{_LABEL}<@"
_SIGNATURE = re.compile(
    rf"(?:^|\s)-\s(?:(?:{_LABEL})?(?:(?P<id><@!?\d+>)(?:{_MODE}){{0,4}}{_SUBTEXT}|@[^()@]{{1,60}}?(?:{_MODE}){{1,4}})"
    rf"|{_LABEL}@[^()@]{{1,60}})$",
    re.IGNORECASE,
)
# A message's source, as *Copy Text* copies it: the prompt is the bold text, if any, whatever follows the mention.
_MESSAGE = re.compile(rf"(?:\*\*(.*?)\*\*\s-\s(?:{_LABEL})?|{_LABEL})<@!?\d+>.{{0,1000}}", re.IGNORECASE)
_COMMAND = re.compile(r"^(?:(?:/imagine\b\s?(?:prompt\b\s?:?)?|prompt\s?:(?!:))\s?)+", re.IGNORECASE)
_BOLD = re.compile(r"\*{2,3}(?=[^\s*])([^*]+)(?<=\S)\*{2,3}")
_LINK = re.compile(r"<(https?://[^<>\s]+)>", re.IGNORECASE)
_MARKDOWN_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def strip_copied_text(text: str) -> str:
    """Return the prompt without the text copied along with it, normalised, with its escaped characters masked."""
    text = mask(_strip_signature(normalize_text(text)))
    text = _LINK.sub(r"\1", _BOLD.sub(r"\1", text))
    return _COMMAND.sub("", text).strip()


def _strip_signature(text: str) -> str:
    if message := _MESSAGE.fullmatch(text):
        return _strip_markdown_escapes((message[1] or "").strip())
    signature = _SIGNATURE.search(text)
    if signature is None:
        return text
    text = text[: signature.start()].strip()
    return _strip_markdown_escapes(text) if signature["id"] else text


def _strip_markdown_escapes(source: str) -> str:
    # Called if the signature has `<@id>`: then the message's source was copied, with its markdown escapes.
    return _MARKDOWN_ESCAPE.sub(r"\1", source)


# Phones turn `--` into a dash. In prose a dash is between spaces or between words, so there it stays text.
_START = r"(?<!\S)(?:--+(?=\w)|(?!-[^-–—])[-–—]+(?=[A-Za-z]))"
PARAMETER_START = re.compile(_START)
SEPARATORS = f" ;.。{COMMAS}"  # what people put between parameters
PERMUTATION_GROUP = re.compile(rf"\{{([^{{}}{COMMAS}]*)[^{{}}]*\}}")
LEADING_LINKS = re.compile(r"^(?:https?://\S+\s?)+", re.IGNORECASE)
IMAGE_LINK = re.compile(r"https?://[^\s/?#]+/[^\s?#]*\.(?:png|jpe?g|webp|gif)(?:[?#]\S*)?", re.IGNORECASE)
_SPECIAL = re.compile(
    rf"{_START}|(?<!-)--+(?=\w)|(?<!\S)(?:--+|[–—])(?=\s[a-z]+\s[.\d])|::|：：|\*\*|[{{}}]|<(?=https?:|lora:)|{SIGNATURE_START}"
    rf"|\A/imagine|(?<=\Aprompt):|(?<=\Aprompt\s):|\Ahttps?:|\\(?=[{re.escape(SYNTAX_CHARS)}]|\Z)",
    re.IGNORECASE,
)


def escape(text: str) -> str:
    """Escape `text` so that parsing returns it unchanged."""
    return _SPECIAL.sub(lambda match: escape_all(match[0]), text)
