"""Captions as people type them, from a single word to a long list of quality tags."""

from __future__ import annotations

import gzip
import random
from dataclasses import replace
from functools import cache

from training.languages import translated_caption
from training.objects import OBJECTS
from training.settings import CLIP_MERGES, TRIGGER_WORDS
from training.subjects import Subject, is_home_scene

SYNONYMS: dict[str, tuple[str, ...]] = {
    "red": ("red", "red", "scarlet", "crimson"),
    "orange": ("orange", "orange", "tangerine"),
    "yellow": ("yellow", "yellow", "golden yellow", "lemon"),
    "green": ("green", "green", "emerald"),
    "blue": ("blue", "blue", "royal blue"),
    "purple": ("purple", "purple", "violet"),
    "pink": ("pink", "pink", "rose"),
    "white": ("white", "white", "ivory"),
    "black": ("black", "black", "jet black"),
    "teal": ("teal", "teal", "turquoise"),
    "brown": ("brown", "brown", "chocolate"),
    "grey": ("grey", "gray", "silver"),
    "castle": ("castle", "castle", "fortress", "fairy tale castle", "palace"),
    "house": ("house", "house", "cottage", "little house", "home", "cabin", "hut"),
    "tree": ("tree", "tree", "round tree", "oak"),
    "boat": ("boat", "sailboat", "sailing boat", "ship", "yacht"),
    "balloon": ("hot air balloon", "hot-air balloon", "balloon"),
    "rocket": ("rocket", "rocket", "spaceship", "rocket ship", "spacecraft"),
    "lighthouse": ("lighthouse", "lighthouse", "light house"),
    "fish": ("fish", "fish", "goldfish"),
    "heart": ("heart", "heart", "love heart"),
    "mushroom": ("mushroom", "mushroom", "toadstool"),
    "planet": ("planet", "planet", "ringed planet", "saturn"),
    "ghost": ("ghost", "ghost", "cute ghost", "spirit", "phantom"),
    "flower": ("flower", "flower", "blossom", "daisy"),
    "car": ("car", "car", "automobile"),
    "windmill": ("windmill", "windmill", "mill"),
    "pine": ("pine", "pine", "pine tree", "fir tree", "christmas tree"),
    "cat": ("cat", "cat", "kitty", "kitten", "cute cat"),
    "dog": ("dog", "dog", "puppy", "doggy", "cute dog"),
    "fox": ("fox", "fox", "fox", "vixen"),
    "rabbit": ("rabbit", "rabbit", "bunny", "hare"),
    "bear": ("bear", "bear", "teddy bear", "teddy", "bear cub"),
    "owl": ("owl", "owl", "owl", "little owl"),
    "bird": ("bird", "bird", "little bird", "birdie", "songbird"),
    "horse": ("horse", "horse", "pony", "stallion"),
    "unicorn": ("unicorn", "unicorn", "unicorn", "magical unicorn"),
    "whale": ("whale", "whale", "blue whale", "orca"),
    "dragon": ("dragon", "dragon", "dragon", "baby dragon"),
    "butterfly": ("butterfly", "butterfly", "butterfly", "moth"),
    "robot": ("robot", "robot", "android", "droid", "bot"),
    "astronaut": ("astronaut", "astronaut", "spaceman", "cosmonaut"),
    "wizard": ("wizard", "wizard", "mage", "sorcerer", "magician"),
    "knight": ("knight", "knight", "knight in armour", "knight in armor"),
    "snowman": ("snowman", "snowman", "snow man"),
    "day": ("by day", "in daylight", "during the day", "at noon", "in the daytime"),
    "sunset": ("at sunset", "at sunset", "sunset", "at dusk", "dusk", "in the evening", "evening", "twilight"),
    "night": ("at night", "at night", "night", "by night", "nighttime", "at midnight"),
    "dawn": ("at dawn", "at sunrise", "in the early morning", "dawn", "sunrise", "morning"),
    "golden hour": ("at golden hour", "golden hour", "in golden light", "in warm golden hour light"),
    "clouds": ("with clouds", "under a cloudy sky", "cloudy", "clouds"),
    "rain": ("in the rain", "rainy", "rain", "on a rainy day", "while it rains"),
    "snowfall": ("in falling snow", "snowing", "with snowflakes", "while it snows"),
    "fog": ("in the fog", "foggy", "misty", "in mist"),
    "stars": ("under the stars", "starry sky", "with stars", "under a starry sky"),
    "moon": ("with a moon", "under the moon", "moonlit", "the moon in the sky"),
    "sun": ("with the sun", "sunny", "under the sun", "in sunshine"),
    "meadow": (
        "in a meadow",
        "in a field of flowers",
        "on a meadow",
        "meadow",
        "in a field",
        "in a garden",
        "on grass",
    ),
    "hills": ("on the hills", "in green hills", "rolling hills", "hills"),
    "mountains": ("in the mountains", "before mountains", "mountains", "mountain landscape", "mountain"),
    "forest": ("in a forest", "in the woods", "forest", "woods", "in a pine forest", "jungle"),
    "sea": ("on the sea", "at sea", "the ocean", "sea", "on the ocean", "the sea", "ocean"),
    "lake": ("on a lake", "by a lake", "lake", "at the lake"),
    "beach": ("on a beach", "at the beach", "beach", "on the sandy shore"),
    "desert": ("in the desert", "desert", "among sand dunes", "desert with cactus"),
    "snow": ("in the snow", "in a snowy landscape", "in winter", "snowy hills"),
    "city": ("in a city", "in the city", "city skyline", "in town", "city", "on a street"),
    "space": ("in space", "in outer space", "space", "among the stars in space", "galaxy"),
    "under water": ("under water", "underwater", "under the sea", "in the deep sea"),
    "watercolour": ("watercolour", "watercolor", "watercolour painting", "aquarelle"),
    "line art": ("line art", "line drawing", "ink drawing", "colouring book page"),
    "neon": ("neon", "neon lights", "neon sign", "glowing neon"),
    "pastel": ("pastel", "pastel colours", "soft pastel", "pastel colors"),
    "black and white": ("black and white", "monochrome", "greyscale", "black-and-white"),
    "sepia": ("sepia", "sepia photo", "vintage sepia", "old photograph"),
    "storybook": (TRIGGER_WORDS, TRIGGER_WORDS, TRIGGER_WORDS, "picture book style"),
    "oil painting": ("oil painting", "oil painting", "oil on canvas", "painted in oils"),
    "pixel art": ("pixel art", "8-bit pixel art", "pixelated", "retro game sprite"),
}
QUALITY_TAGS = (
    "highly detailed", "4k", "8k", "masterpiece", "best quality", "trending on artstation", "beautiful", "illustration",
    "cinematic", "award winning", "cute", "vivid", "sharp", "detailed", "flat design",
)  # fmt: skip
PREFIXES = (
    "",
    "",
    "",
    "",
    "a picture of ",
    "an illustration of ",
    "a drawing of ",
    "imagine ",
)


def make_caption(subject: Subject, rng: random.Random, thing: str = "") -> str:
    """Return one of many captions of a drawing; obvious attributes are often left out.

    `thing` replaces the name of the object.
    """
    phrases = {
        kind: rng.choice(SYNONYMS.get(word, (word,)))
        for kind, word in subject.words()
        if _is_mentioned(subject, kind, word, rng)
    }
    phrases |= {"thing": thing} if thing else {}
    text = _tag_list(phrases, rng) if rng.random() < 0.3 else _sentence(phrases, rng)
    if rng.random() < 0.2:
        text += "".join(f", {word}" for word in rng.sample(QUALITY_TAGS, rng.randint(1, 3)))
    if rng.random() < 0.1:
        text = _insert_nonsense_word(text, rng)
    if "finish" in phrases:
        text = f"{text}, {phrases['finish']}" if rng.random() < 0.9 else f"{phrases['finish']}, {text}"
    return text.capitalize() if rng.random() < 0.2 else text


def _insert_nonsense_word(text: str, rng: random.Random) -> str:
    """Insert a meaningless word, so that the model learns to ignore unknown words."""
    words = text.split(" ")
    words.insert(rng.randint(0, len(words)), _invented_word(rng) + rng.choice(("", "", ",")))
    return " ".join(words)


def _invented_word(rng: random.Random) -> str:
    word = "".join(rng.choice("bcdfghjklmnprstvwz") + rng.choice("aeiou") for _ in range(rng.randint(1, 4)))
    return word + rng.choice(("", "", "n", "s", "x"))


def training_caption(subject: Subject, rng: random.Random, *, all_named: bool = False) -> str:
    """Return a caption of a drawing as strangers write: in any language, and with words that nobody has drawn.

    Unless everything must be named, an object at home often stands alone ("a cat"), and an unknown noun may stand for
    the object, so that the model learns to draw something pleasant for it. On a plain background it seldom does, or
    unknown nouns come to mean an empty image.
    """
    kind = rng.random()
    if not all_named and is_home_scene(subject) and rng.random() < 0.6:
        subject = replace(subject, place="", time="", weather="")
    if kind < 0.15 and (text := translated_caption(subject, rng)):
        return ", ".join([text, *(rng.choice(SYNONYMS[word]) for word in (subject.style, subject.finish) if word)])
    if kind < 0.25 and subject.thing and not all_named and (not subject.background or rng.random() < 0.3):
        named = replace(subject, colour=subject.colour if rng.random() < 0.5 else "")
        return make_caption(named, rng, thing=unknown_noun(rng))
    text = make_caption(subject, rng)
    return _with_company(text, rng) if kind < 0.37 and (subject.thing or subject.place) else text


def _with_company(text: str, rng: random.Random) -> str:
    """Add an unknown noun to a caption, before or after what is drawn."""
    other = unknown_noun(rng)
    return rng.choice(
        (f"{text} with a {other}", f"{text}, {other}", f"{other}, {text}", f"{text} and {other}", f"{other} {text}")
    )


def unknown_noun(rng: random.Random) -> str:
    """Return one or two words that no drawing shows: common words and names, or invented ones."""
    words = common_words()
    return " ".join(
        rng.choice(words) if rng.random() < 0.8 else _invented_word(rng) for _ in range(rng.choice((1, 1, 2)))
    )


@cache
def common_words() -> tuple[str, ...]:
    """Return the whole words of CLIP's vocabulary that no caption uses otherwise, the most common first."""
    taught = {word for forms in SYNONYMS.values() for form in forms for word in form.lower().split()}
    taught |= {word for tag in QUALITY_TAGS for word in tag.lower().split()}
    with gzip.open(CLIP_MERGES, "rt", encoding="utf-8") as lines:
        merged = [line.replace(" ", "").strip() for line in lines]
    words = [piece.removesuffix("</w>") for piece in merged if piece.endswith("</w>")]
    return tuple(word for word in words if len(word) > 3 and word.isascii() and word.isalpha() and word not in taught)


def plain_caption(subject: Subject) -> str:
    """Return a caption with every attribute in its plainest words, for evaluation."""
    phrases = {
        kind: SYNONYMS.get(word, (word,))[0] for kind, word in subject.words() if (kind, word) != ("weather", "clear")
    }
    text = _sentence(phrases, random.Random(0), plain=True)
    return f"{text}, {phrases['finish']}" if "finish" in phrases else text


def unconditional_caption(subject: Subject) -> str:
    """Return a caption without content: at most the finish, which an engine may add to an empty prompt."""
    return SYNONYMS[subject.finish][0] if subject.finish else ""


def _is_mentioned(subject: Subject, kind: str, word: str, rng: random.Random) -> bool:
    if word == "clear" or (kind == "time" and word == "day" and rng.random() < 0.8):
        return False
    if kind == "colour" and word in OBJECTS[subject.thing].default_colours[:2]:
        return rng.random() < 0.5
    return True


def _tag_list(phrases: dict[str, str], rng: random.Random) -> str:
    parts = []
    if "thing" in phrases:
        parts.append(f"{phrases.get('colour', '')} {phrases['thing']}".strip())
    if "background" in phrases:
        parts.append(f"{phrases['background']} background")
    rest = [phrases[k] for k in ("place", "time", "weather", "style") if k in phrases]
    rng.shuffle(rest)
    return ", ".join(parts + rest)


def _sentence(phrases: dict[str, str], rng: random.Random, plain: bool = False) -> str:
    parts = []
    if "thing" in phrases:
        noun = f"{phrases.get('colour', '')} {phrases['thing']}".strip()
        parts.append(noun if not plain and rng.random() < 0.3 else _with_article(noun))
    if "background" in phrases:
        parts.append(_background_phrase(phrases["background"], "thing" in phrases, rng, plain))
    sky = [phrases[k] for k in ("place", "time", "weather") if k in phrases]
    if not plain and rng.random() < 0.3:
        rng.shuffle(sky)
    text = " ".join(parts + sky)
    opening = "" if plain else rng.choice(PREFIXES)
    if "style" not in phrases:
        return opening + text
    style = phrases["style"]
    if plain:
        return f"{text}, {style}"
    return rng.choice(
        (
            f"{text}, {style}",
            f"{style} of {text}",
            f"{_with_article(style)} of {text}",
            f"{style}, {text}",
            f"{text} in {style} style",
        )
    )


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeio" else f"a {noun}"


def _background_phrase(colour: str, with_thing: bool, rng: random.Random, plain: bool) -> str:
    if with_thing:
        return (
            f"on {_with_article(colour)} background"
            if plain
            else rng.choice(
                (
                    f"on {_with_article(colour)} background",
                    f"on {colour}",
                    f"in front of a {colour} wall",
                    f"against {_with_article(colour)} backdrop",
                )
            )
        )
    return (
        f"{colour} background"
        if plain
        else rng.choice(
            (
                f"{colour} background",
                f"plain {colour}",
                f"{colour}",
                f"{_with_article(colour)} background",
                f"solid {colour} backdrop",
            )
        )
    )
