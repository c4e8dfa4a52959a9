"""What gets into a prompt by copying it from a message."""

from __future__ import annotations

import re

from generation.prompt.escapes import mask, normalize_text

# As bot/wording.py writes them, and as Midjourney does.
MESSAGE_LABELS = (
    "Image #[1-9](?: for)?",
    "(?:Variations?|Remix|Upscaled|Zoom Out|Pan|Blend|Made square|Drawn again)[^@<>]{0,40} by",
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
# A message's source, as *Copy Text* gives it: whatever follows the mention, the prompt is what is bold, if anything is.
_MESSAGE = re.compile(rf"(?:\*\*(.*?)\*\*\s-\s(?:{_LABEL})?|{_LABEL})<@!?\d+>.{{0,1000}}", re.IGNORECASE)
_COMMAND = re.compile(r"^(?:(?:/imagine\b\s?(?:prompt\b\s?:?)?|prompt\s?:(?!:))\s?)+", re.IGNORECASE)
_BOLD = re.compile(r"\*{2,3}(?=[^\s*])([^*]+)(?<=\S)\*{2,3}")
_LINK = re.compile(r"<(https?://[^<>\s]+)>", re.IGNORECASE)
_MARKDOWN_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def strip_copied_text(text: str) -> str:
    """Give the prompt alone, cleaned, with its escaped characters hidden."""
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
    # With `<@id>` in the signature it is the message's source that was copied, markdown escapes and all.
    return _MARKDOWN_ESCAPE.sub(r"\1", source)
