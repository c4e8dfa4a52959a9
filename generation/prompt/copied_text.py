"""The text that is copied along with a prompt: a message's signature, the command, quotation and code marks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from generation.prompt.characters import COLONS, lone_quote, remove_invisible, unquote
from generation.prompt.copied_markup import undo_markup
from generation.prompt.syntax import MASKED, PARAMETER_START, mask

MAX_WRAPPINGS = 5  # of a command, quotation marks and bold around each other

# As Midjourney and bot/ui/job_text.py write them in English.
_LABELS = (
    "Image #[1-9](?: for)?",
    "(?:Variations?|Remix|Upscaled|Zoom Out|Pan|Blend|Made square|Drawn again|Rerolled)[^@<>]{0,40} by",
)
_MODES = ("fast", "relax", "turbo", "stealth", "public", "waiting", "starting", "queued", "paused", r"\d+ ?%")
_SUBTEXT = r"(?:\s-#\s.{1,500})?"
# With the commands of other bots.
COMMANDS = "[/!](?:imagine|draw|dream)"
# What a chat's answer says before a prompt.
PREFACE = (
    rf"(?:(?:sure|certainly|of course|absolutely|okay)\b[^\w{COLONS}]{{1,3}})?here(?:['’]s|\sis|\sare)\s"
    rf"[^{COLONS}]{{0,60}}?\bprompts?\b[^{COLONS}]{{0,60}}[{COLONS}](?![{COLONS}])"
)
_COMMAND = re.compile(
    rf"^(?:(?:{COMMANDS}\b(?:[{COLONS}]++(?=[\s\w]))?\s?(?:prompt\b\s?[{COLONS}]*+)?"
    rf"|(?:imagine\s)?prompt\s?(?:#?\d{{1,2}}\s?)?[{COLONS}](?![{COLONS}])|--prompt(?:\s|=)|{PREFACE})\s?)+",
    re.IGNORECASE,
)
# What Discord does not show: bold, italic (not a product, `2*3*4`), underlined (not a name, `__init__`), a spoiler.
_EMPHASIS = re.compile(
    r"\*{2,3}(?=[^\s*])([^*]+)(?<=\S)\*{2,3}"
    rf"|(?<![\w*{MASKED}])\*(?=[^\s*])([^*]+)(?<=[^\s{MASKED}])\*(?![\w*{MASKED}])"
    rf"|(?<![\w{MASKED}])__(?=[^\s_][^_\s]*\s)([^_]+)(?<=\S)__(?!\w)|\|\|(?=[^\s|])([^|]+)(?<=\S)\|\|"
)
_AROUND_ALL = re.compile(r"(__|_|~~)(?=\S)(.+)(?<=\S)\1|(\|\|)\s?(.+?)\s?\3", re.DOTALL)
_HEADING = re.compile(r"[\W\d_]*+(?:(?:image|final|full) )?prompt(?: \d{1,2})?[*_ ]*\n(?=.)", re.IGNORECASE)
# Of a heading or a list. `1. Mai` and `2. Weltkrieg` are names, so a number with a stop counts before an article only.
_ARTICLE = "(?:an?|the|eine?|une?|una?|el|las?|les?|los|der|die|das|il|uma?)"
_FIRST_MARK = re.compile(
    rf"\A(?:(?:#{{1,6}}|-#|[-*•]|\d{{1,2}}\)|\d{{1,2}}\.(?=\s{_ARTICLE}\s))\s(?=\S))+", re.IGNORECASE
)
_LINK = re.compile(r"<(https?://[^<>\s]+)>", re.IGNORECASE)
_MARKDOWN_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
# The language of a code block stands alone on its first line; a chat's answer announces the block.
_FENCE = re.compile(r"(?:[^`]{0,200}:)?\s*```(?:[\w+-]*[^\S\n]*\n)?(.*)```\s*", re.DOTALL)
# Discord's quotation: lines have the mark, or the first has the one for all lines.
_BLANKS = r"[^\S\n]*+"
_QUOTE_MARK = re.compile(rf"^{_BLANKS}>(?:>>)?\s", re.MULTILINE)
_QUOTE_START = re.compile(r"\s*+>(?:>>)?\s")
_BRACKETS = re.compile(r"\((?P<round>[^()]+)\)|\[(?P<square>[^\[\]]+)\]")
_CODED_PARAMETERS = re.compile(r"(?<!\S)[`\"“](--[^`\"“”]+)[`\"”](?!\S)")


@dataclass(frozen=True, slots=True)
class MessagePatterns:
    """The patterns of a job's message: its whole source, the signature after a prompt, and that signature's start."""

    message: re.Pattern[str]
    signature: re.Pattern[str]
    signature_start: str


@cache
def _patterns(labels: tuple[str, ...], modes: tuple[str, ...]) -> MessagePatterns:
    label, mode = rf"(?:{'|'.join(labels)})\s", rf"\s?\((?:{'|'.join(modes)})[^()]{{0,60}}\)"
    # A message's source, as *Copy Text* copies it: the prompt is the bold text, if any, whatever follows the mention.
    message = rf"(?:\*\*(.*?)\*\*\s-\s(?:{label})?|{label})<@!?\d+>.{{0,1000}}"
    by_id = rf"(?P<id><@!?\d+>)(?:{mode}){{0,4}}{_SUBTEXT}"
    name = r"@(?:[^()@]|\([^()@]{1,40}\)){1,60}"
    signature = rf"(?:^|\s)-\s(?:(?:{label})?(?:{by_id}|{name}?(?:{mode}){{1,4}})|{label}{name})$"
    return MessagePatterns(
        re.compile(message, re.IGNORECASE),
        re.compile(signature, re.IGNORECASE),
        rf"-\s(?:{label})?<?@|\A{label}<@",
    )


_known: tuple[tuple[str, ...], tuple[str, ...]] = (_LABELS, _MODES)


def recognize_messages(labels: Iterable[str], modes: Iterable[str]) -> None:
    """Recognise the labels and modes of messages in another language; `{whom}` and `{number}` are placeholders."""
    global _known
    more = (re.escape(label.partition("{whom}")[0].strip()) for label in labels)
    numbered = (label.replace(r"\{number\}", "[1-9]") for label in more if label)
    plain = (re.escape(mode.strip(" ()")) for mode in modes)
    _known = tuple(dict.fromkeys([*_known[0], *numbered])), tuple(dict.fromkeys([*_known[1], *filter(None, plain)]))


def message_patterns() -> MessagePatterns:
    """Return the patterns of the messages in all languages that are known."""
    return _patterns(*_known)


def strip_copied_text(text: str) -> str:
    """Return the prompt without the text copied along with it, normalised, with its escaped characters masked."""
    text = remove_invisible(undo_markup(text))
    if _QUOTE_START.match(text):
        text = _QUOTE_MARK.sub("", text)
    if heading := _HEADING.match(text):
        text = text[heading.end() :]
    if fence := _FENCE.fullmatch(text):
        text = fence[1] if "```" not in fence[1] else text
    text = mask(_strip_signature(" ".join(text.split())))
    for _ in range(MAX_WRAPPINGS):
        before, text = text, _LINK.sub(r"\1", _EMPHASIS.sub(lambda match: match[match.lastindex or 0], text))
        text = _without_marks(_without_brackets(text))
        start = PARAMETER_START.search(text)
        if start and (words := text[: start.start()].strip()):
            text = f"{_without_marks(words)} {text[start.start() :]}"
        text = _COMMAND.sub("", _FIRST_MARK.sub("", text, count=1)).strip()
        if text == before:
            break
    return _CODED_PARAMETERS.sub(r"\1", text)


def _without_marks(text: str) -> str:
    """Return the text without the quotation, code or markdown marks around the whole of it."""
    around = _AROUND_ALL.fullmatch(text)
    mark, inner = (around[1] or around[3], around[2] or around[4]) if around else ("", "")
    return _without_lone_quote(unquote(inner if mark and mark not in inner else text))


def _without_lone_quote(text: str) -> str:
    """Return the text without a quotation mark that has lost its other half."""
    place = lone_quote(text)
    return text if place is None else (text[:place] + text[place + 1 :]).strip()


def _without_brackets(text: str) -> str:
    """Return the text without the brackets around a prompt and its parameters; others give a word more weight."""
    brackets = _BRACKETS.fullmatch(text)
    inner = brackets["round"] or brackets["square"] if brackets else ""
    return inner if PARAMETER_START.search(inner) else text


def _strip_signature(text: str) -> str:
    patterns = message_patterns()
    if message := patterns.message.fullmatch(text):
        return _strip_markdown_escapes((message[1] or "").strip())
    signature = patterns.signature.search(text)
    if signature is None:
        return text
    text = text[: signature.start()].strip()
    return _strip_markdown_escapes(text) if signature["id"] else text


def _strip_markdown_escapes(source: str) -> str:
    # Called if the signature has `<@id>`: then the message's source was copied, with its markdown escapes.
    return _MARKDOWN_ESCAPE.sub(r"\1", source)
