"""Time every function that reads text from outside on hostile text of full length: `python -m benchmarks.hostile_text`.

Each line has the longest time of one function, in milliseconds of processor time, and the text that took it. Functions
named as arguments are timed alone.
"""

from __future__ import annotations

import string
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path

from bot.policy.word_filter import WordFilter
from bot.ui.text import escape_markdown, slugify, strip_markdown, truncate
from generation.errors import UserError
from generation.models.adapters import Adapters
from generation.models.files.lora import Lora
from generation.models.model import Model
from generation.models.registry import ModelRegistry
from generation.prompt import convert_infotext, format_prompt, permute, read_prompt, without_model
from generation.prompt.characters import COLONS, COMMAS, DASHES, QUOTES, STOPS
from generation.prompt.copied_text import strip_copied_text
from generation.prompt.escaping import escape

LENGTH = 6000  # characters of the longest prompt
LIMIT_MS = 50  # of the event loop, for one text
REGISTRY = ModelRegistry(
    (Model(name="storybook", ref="m"),), Adapters(tuple(Lora(f"ink{n}", Path("ink.safetensors")) for n in range(50)))
)
PHRASES = {f"word{n}": "refuse" for n in range(1000)} | dict.fromkeys(("gore", "nake*", "血", "two words"), "refuse")
# Words that begin and end alike, and phrases that one word repeats.
NESTED = [unit * number + end for unit in ("a", "ab", "字", "a ") for number in range(2, 50) for end in ("", "x", "*")]
NO_WORDS, WORDS, NESTED_WORDS = WordFilter({}), WordFilter(PHRASES), WordFilter(dict.fromkeys(NESTED, "refuse"))
UNITS = (
    *(*string.punctuation, *DASHES, *COLONS, *COMMAS, *STOPS, *QUOTES),
    *("ﷺ", "\u0301", "e\u0301", "\u200d", "\u200b", "\ufe0f", "\u3164", "👩\u200d", "🇩", "ا", "ー", "字", "ᾨ", "İ"),
    *("@a", "a_", "_a", "a@", "a.", "a b ", "g o r e ", "g  o    ", "**a ", "*a*", "~~a", "||a", "<a", "<@1>", "`a"),
    *(" - @a (fast)", "**a** - <@1> ", "Image #1 @a ", " -# a", "/imagine ", "prompt: ", 'prompt:"', "[a](b)"),
    *("https://", "https://a/b.png,", "https://a/b.png ", "<https://a", "--", "--a ", "--no a-- ", "—no ", "—a "),
    *("—no a— ", "a--ar ", "-- ar 1 ", "--ar 3:2 ", "--wibble ", "::", "a::2 ", "::-.5", "：：", "{a", "{a,", "{a, b}"),
    *("{{a}", "\\-", '"a', '"a" ', "“a” ", "<lora:", "<lora:ink1:1>", "--lora ink1, ", "<lyco:a>", "Steps: 1, "),
    *("Steps: 1 ", "Negative prompt: a ", "Model: a, ", "a: b, ", "Sampler: a ", 'a: "', "a: [1,", '{"a":"', "-s 1 "),
    *("&lt;", "<br>", "<b ", "</p>", "\\n", "\\r\\n", "__a ", "*a ", "||a", "— no ", "—no one ", "—fast a ", "::5% "),
    *(
        "{'a':(",
        "prompt='",
        "a='b', ",
        "(Steps: 1 ",
        "Steps：1，",
        "Steps: 1\n",
        "Ｓｔｅｐｓ：１",
        "Foo: bar\n",
        "gore gore",
    ),
    *(" AND ", ", Atelier: ", "1,", "a1", "aa ", "g0re", "g*re ", "aabb ", "&amp;", "&#103;", "\n", " ", "\0"),
)
PREFIXES = (
    "",
    '"',
    "{",
    "prompt='a', ",
    "a\nSteps: 1\n",
    "--no ",
    "--negative ",
    "--ar ",
    "--lora ",
    "https://a/b.png ",
    "Steps: 1, Seed: 2, ",
)
SUFFIXES = ("", '"', " --ar 3:2")


def hostile_texts(length: int = LENGTH) -> Iterator[str]:
    """Yield texts of one unit repeated, with a beginning and an end that let it mean something."""
    for prefix, unit, suffix in product(PREFIXES, UNITS, SUFFIXES):
        body = unit * (length // len(unit) + 1)
        yield (prefix + body)[: length - len(suffix)] + suffix


def _permute(text: str) -> None:
    with suppress(UserError):
        permute(text, 10)


def _format(text: str) -> None:
    if request := read_prompt(text, REGISTRY).request:
        format_prompt(request.params, REGISTRY, seed=True)


FUNCTIONS: dict[str, Callable[[str], object]] = {
    "convert_infotext": lambda text: convert_infotext(text, REGISTRY),
    "strip_copied_text": strip_copied_text,
    "permute": _permute,
    "read_prompt": lambda text: read_prompt(text, REGISTRY, options={"mine": "a --ar 3:2"}, defaults=("--s 50",)),
    "without_model": without_model,
    "format_prompt": _format,
    "escape": escape,
    "WordFilter.find, no words": NO_WORDS.find,
    "WordFilter.find": WORDS.find,
    "WordFilter.find, nested words": NESTED_WORDS.find,
    "escape_markdown": escape_markdown,
    "strip_markdown": strip_markdown,
    "truncate": lambda text: truncate(text, 800),
    "slugify": slugify,
    "ModelRegistry.match": REGISTRY.match,
    "Adapters.match_loras": REGISTRY.adapters.match_loras,
}


def milliseconds(function: Callable[[str], object], text: str) -> float:
    """Return the processor time of one call."""
    start = time.process_time()
    function(text)
    return (time.process_time() - start) * 1000


def main() -> None:
    """Print the longest time of each function, and how many texts take longer than the limit."""
    for name in sys.argv[1:] or FUNCTIONS:
        times = [(milliseconds(FUNCTIONS[name], text), text) for text in hostile_texts()]
        longest, text = max(times)
        over = sum(taken > LIMIT_MS for taken, _ in times)
        print(f"{longest:6.1f} ms  {name:26} {over} of {len(times)} over {LIMIT_MS} ms  {text[:40]!a}", flush=True)


if __name__ == "__main__":
    main()
