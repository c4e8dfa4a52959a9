"""Describe a picture in the words that a model knows, kind by kind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from itertools import product

from generation.models.words.vocabulary import Vocabulary

DESCRIPTIONS = 4  # that a result has
KEPT = 3  # candidates of a kind that are compared with all noises
RETRIED_SETTINGS = 4  # settings that are compared again, with each time of day
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


def with_settings(known: Description, vocabulary: Vocabulary) -> list[Description]:
    """Return a description in each place, and before each plain background."""
    bare = replace(known, place="", background="", time="", weather="")
    places = [replace(bare, place=word) for word in _words(vocabulary, "places")]
    return [*places, *(replace(bare, background=word) for word in _words(vocabulary, "colours"))]


def with_things(known: Description, vocabulary: Vocabulary) -> list[Description]:
    """Return a description with each thing, and with none."""
    return [replace(known, thing=word) for word in ("", *_words(vocabulary, "things"))]


def with_colours(known: Description, vocabulary: Vocabulary) -> list[Description]:
    """Return a description with each colour of its thing; as it is without a thing."""
    return [replace(known, colour=word) for word in _words(vocabulary, "colours")] if known.thing else [known]


def with_times(known: Iterable[Description], vocabulary: Vocabulary) -> list[Description]:
    """Return descriptions at each time of day; a plain background has none."""
    return [
        replace(each, time=time)
        for each, time in product(known, ("", *_words(vocabulary, "times")))
        if each.place or not time
    ]


def with_weathers(known: Description, vocabulary: Vocabulary) -> list[Description]:
    """Return a description in each weather, and in none."""
    weathers = ("", *_words(vocabulary, "weather")) if known.place else ("",)
    return [replace(known, weather=word) for word in weathers]


def with_words_of(known: Description, others: Iterable[Description]) -> list[Description]:
    """Return a description with what each of the others says of the thing; itself first."""
    found = [known, *(replace(known, thing=other.thing) for other in others)]
    return list(dict.fromkeys(found))


def description_rows(vocabulary: Vocabulary | None, probes: int) -> int:
    """Return about how many rows of the UNet a description takes."""
    if vocabulary is None:
        return ROWS_UNKNOWN
    colours, settings = len(_words(vocabulary, "colours")), len(with_settings(Description(), vocabulary))
    times = RETRIED_SETTINGS * (1 + len(_words(vocabulary, "times")))
    kinds = (1 + len(_words(vocabulary, "styles")), settings, 1 + len(_words(vocabulary, "things")), colours, times)
    weathers = 1 + len(_words(vocabulary, "weather"))
    return sum(sum(halvings(count, probes)) for count in (*kinds, weathers, KEPT + 1, KEPT))


def halvings(count: int, probes: int) -> Iterator[int]:
    """Yield how many candidates are compared with each noise: half of those before it, but at least a few."""
    for _ in range(probes if count > 1 else 0):
        yield count
        count = min(count, max(KEPT, (count + 1) // 2))


def differing_kind(one: Description, other: Description) -> str:
    """Return the first kind in which two descriptions differ."""
    return next((each.name for each in fields(one) if getattr(one, each.name) != getattr(other, each.name)), "")


def _words(vocabulary: Vocabulary, kind: str) -> tuple[str, ...]:
    return dict(vocabulary.kinds).get(kind, ())


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
