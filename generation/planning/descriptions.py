"""Describe a picture in the words that a model knows, kind by kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace

from generation.models.words.vocabulary import Vocabulary

DESCRIPTIONS = 4  # that a result has
KEPT = 3  # candidates of a kind that are compared with all noises
COLOURED_THINGS = 2  # things that are compared in each colour
RETRIED_SETTINGS = 2  # places and backgrounds that are compared again once the thing is known
RETRIED_THINGS = 4  # things with a colour that are compared at the end, with more noises
ROWS_UNKNOWN = 300  # estimated for a model whose vocabulary is not known


@dataclass(frozen=True, slots=True)
class Description:
    """What a picture shows, by kind; an empty word leaves the kind out.

    A picture has a `place` with a time and a weather, or a plain `background` of a colour.
    """

    thing: str = ""
    colour: str = ""
    background: str = ""
    place: str = ""
    time: str = ""
    weather: str = ""
    style: str = ""

    def text(self, vocabulary: Vocabulary) -> str:
        """Return the description as a prompt."""
        noun = " ".join(filter(None, (self.colour if self.thing else "", vocabulary.wording(self.thing))))
        parts = [_with_article(noun)] if noun else []
        if self.background:
            ground = f"{self.background} background"
            parts.append(f"on {_with_article(ground)}" if noun else ground)
        parts += [vocabulary.wording(word) for word in (self.place, self.time, self.weather) if word]
        return ", ".join(filter(None, (" ".join(parts), vocabulary.wording(self.style))))


def can_describe(vocabulary: Vocabulary | None) -> bool:
    """Return whether pictures can be described in a vocabulary."""
    return vocabulary is not None and bool(_words(vocabulary, "things"))


def with_styles(known: Description, vocabulary: Vocabulary) -> list[Description]:
    """Return a description in each style, and in none."""
    return [replace(known, style=word) for word in ("", *_words(vocabulary, "styles"))]


def with_times(known: Description, vocabulary: Vocabulary) -> list[Description]:
    """Return a description at each time of day, and at none."""
    return [replace(known, time=word) for word in ("", *_words(vocabulary, "times"))]


def with_settings(known: Description, vocabulary: Vocabulary) -> list[Description]:
    """Return a description in each place, at its time or at none, and before each plain background.

    A plain background is tried without the style too: brown looks like sepia, and grey like black and white.
    """
    bare = replace(known, time="")
    times, styles = dict.fromkeys([known.time, ""]), dict.fromkeys([known.style, ""])
    places = [replace(bare, place=word, time=time) for word in _words(vocabulary, "places") for time in times]
    colours = _words(vocabulary, "colours")
    plain = [replace(bare, background=word, style=style) for word in colours for style in styles]
    return [*places, *plain] or [bare]


def with_settings_of(known: Description, others: Sequence[Description], vocabulary: Vocabulary) -> list[Description]:
    """Return a description in the first places of others, at each time of day, and before their first backgrounds."""
    settings = list(dict.fromkeys(replace(other, time="") for other in others))
    places, plain = [each for each in settings if each.place], [each for each in settings if not each.place]
    found = [*places[:RETRIED_SETTINGS], *plain[:RETRIED_SETTINGS]]
    moved = [replace(each, thing=known.thing, colour=known.colour) for each in found]
    return [timed for each in moved for timed in (with_times(each, vocabulary) if each.place else (each,))]


def with_things(known: Description, vocabulary: Vocabulary) -> list[Description]:
    """Return a description with each thing, and with none."""
    return [replace(known, thing=word) for word in ("", *_words(vocabulary, "things"))]


def with_colours(known: Iterable[Description], vocabulary: Vocabulary) -> list[Description]:
    """Return descriptions with each colour of their thing; as they are without a thing."""
    colours = _words(vocabulary, "colours")
    return [replace(each, colour=colour) for each in known for colour in (colours if each.thing and colours else ("",))]


def with_weathers(known: Description, vocabulary: Vocabulary) -> list[Description]:
    """Return a description in each weather, and in none."""
    weathers = ("", *_words(vocabulary, "weather")) if known.place else ("",)
    return [replace(known, weather=word) for word in weathers]


def with_things_of(known: Description, others: Iterable[Description]) -> list[Description]:
    """Return a description with the things of others, in their colours."""
    return [replace(known, thing=other.thing, colour=other.colour) for other in others]


def description_rows(vocabulary: Vocabulary | None, probes: int, last_probes: int) -> int:
    """Return about how many rows of the UNet a description takes; at the end, more noises are used."""
    if vocabulary is None:
        return ROWS_UNKNOWN
    colours, styles, times, things, weathers, places = (
        len(_words(vocabulary, kind)) for kind in ("colours", "styles", "times", "things", "weather", "places")
    )
    first = (1 + styles, 1 + times, 2 * places + 2 * colours, 1 + things, COLOURED_THINGS * colours)
    again = (RETRIED_SETTINGS * (2 + times), 1 + weathers)
    return sum(sum(halvings(count, probes)) for count in (*first, *again)) + sum(halvings(RETRIED_THINGS, last_probes))


def halvings(count: int, probes: int) -> Iterator[int]:
    """Yield how many candidates are compared with each noise: half of those before it, but at least a few."""
    for _ in range(probes if count > 1 else 0):
        yield count
        count = min(count, max(KEPT, (count + 1) // 2))


def difference(one: Description, other: Description) -> dict[str, str]:
    """Return the words of the other description that differ, by kind."""
    names = [each.name for each in fields(one)]
    return {name: getattr(other, name) for name in names if getattr(one, name) != getattr(other, name)}


def _words(vocabulary: Vocabulary, kind: str) -> tuple[str, ...]:
    return dict(vocabulary.kinds).get(kind, ())


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
