"""Subjects of drawings: sample them, and draw them."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, fields
from itertools import combinations
from typing import Any
from zlib import crc32

from PIL import Image

from training.canvas import Canvas
from training.objects import OBJECTS, DrawableObject, DrawFunction
from training.palette import COLOURS, Rgb, darken
from training.pen import Pen
from training.scenes import TIMES_OF_DAY, Scene, layout_rng, paint_place, paint_plain_background, paint_weather_front
from training.settings import (
    ASPECTS,
    FINISH_PROBABILITY,
    HELD_OUT_SHARE,
    HOME_PROBABILITY,
    NEW_OBJECT_PROBABILITY,
    NEW_OBJECTS,
    SECOND_SHAPE_PROBABILITY,
    TRAINED_OBJECTS,
    TRAINED_PLACES,
    TRAINED_STYLES,
    TRAINED_WEATHERS,
    UNCONDITIONAL_PLACES,
    UNCONDITIONAL_TIMES,
    UNCONDITIONAL_WEATHERS,
)
from training.styles import FINISHES, STYLES

TIMES = tuple(TIMES_OF_DAY)
# Coloured light would turn these into other colours, so objects keep more of their own.
LIGHT_SENSITIVE_COLOURS = ("grey", "brown", "black", "white")
WATER_PLACES = ("sea", "lake")
STANDING = ("ground", "clearing", "anywhere")
OBJECT_PLACES: dict[str, tuple[str, ...]] = {
    "ground": ("meadow", "hills", "mountains", "forest", "desert", "snow", "beach", "city"),
    # Not the forest: a pine cannot be seen among pines.
    "clearing": ("meadow", "hills", "mountains", "desert", "snow", "beach", "city"),
    "water": WATER_PLACES,
    "shore": ("sea", "beach", "lake", "hills"),
    "deep": ("under water",),
    "air": ("meadow", "hills", "mountains", "forest", "sea", "desert", "snow", "city", "beach", "lake", "space"),
    "sky": ("space",),
    "swimming": ("sea", "under water"),
    "flying": ("meadow", "hills", "forest", "beach", "lake", "city"),
    "anywhere": ("meadow", "hills", "mountains", "desert", "snow", "beach", "city", "space"),
}
# Where a caption that names no place has its object, by placement: a bare "a cat" is a whole scene.
HOME_BY_PLACEMENT = {
    "ground": "meadow",
    "clearing": "meadow",
    "water": "sea",
    "shore": "sea",
    "deep": "under water",
    "air": "mountains",
    "sky": "space",
    "swimming": "sea",
    "flying": "meadow",
    "anywhere": "meadow",
}
HOME_BY_THING = {"snowman": "snow", "astronaut": "space", "rocket": "space"}
HOME_WEATHERS = ("clear", "clear", "clouds", "sun")


@dataclass(frozen=True)
class Subject:
    """Everything a caption may name; an empty string means that the drawing has no such element.

    The field names are stored in shards of latents.
    """

    thing: str = ""
    colour: str = ""
    background: str = ""
    place: str = ""
    time: str = ""
    weather: str = ""
    style: str = ""
    finish: str = ""

    def words(self) -> list[tuple[str, str]]:
        """Return the elements that are present as (kind, word) pairs."""
        return [(f.name, getattr(self, f.name)) for f in fields(self) if getattr(self, f.name)]

    def as_dict(self) -> dict[str, str]:
        """Return plain values for a file."""
        return asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Subject:
        """Return the subject that `as_dict` wrote."""
        return Subject(**{f.name: str(values.get(f.name, "")) for f in fields(Subject)})


def is_held_out(subject: Subject) -> bool:
    """Return whether a subject combines two words that training never sees together."""
    return any(_pair_is_held_out(a, b) for a, b in combinations(subject.words(), 2))


def _pair_is_held_out(first: tuple[str, str], second: tuple[str, str]) -> bool:
    kinds = (first[0], second[0])
    if kinds not in {
        ("thing", "colour"),
        ("colour", "background"),
        ("thing", "place"),
        ("place", "time"),
        ("place", "style"),
    }:
        return False
    if kinds == ("thing", "place") and second[1] == home_place(first[1]):
        return False
    if kinds == ("thing", "place") and len(OBJECT_PLACES[OBJECTS[first[1]].placement]) < 3:
        return False
    if kinds == ("thing", "colour") and first[1] in ("tree", "pine", "lighthouse") and second[1] in ("green", "red"):
        return False
    return crc32(repr((first, second)).encode()) % 1000 < HELD_OUT_SHARE * 1000


def home_place(thing: str) -> str:
    """Return the place that an object is drawn in where a caption names none."""
    return HOME_BY_THING.get(thing) or HOME_BY_PLACEMENT[OBJECTS[thing].placement]


def is_home_scene(subject: Subject) -> bool:
    """Return whether a subject is its object at home by day, so that a caption may leave out the place."""
    at_home = bool(subject.thing) and subject.place == home_place(subject.thing)
    return at_home and subject.time in ("", "day") and subject.weather in ("", *HOME_WEATHERS)


def is_trained(subject: Subject) -> bool:
    """Return whether all elements of a subject are in the lists of what is trained."""
    lists = {"thing": TRAINED_OBJECTS, "place": TRAINED_PLACES, "weather": TRAINED_WEATHERS, "style": TRAINED_STYLES}
    return all(word in lists[kind] for kind, word in subject.words() if kind in lists)


def is_unconditional_scene(subject: Subject) -> bool:
    """Return whether a subject is one of the scenes for samples without a caption."""
    return (
        subject.place in UNCONDITIONAL_PLACES
        and subject.time in UNCONDITIONAL_TIMES
        and subject.weather in UNCONDITIONAL_WEATHERS
        and not subject.style
        and not subject.thing
    )


def sample_subject(rng: random.Random, held: bool | None = False) -> Subject:
    """Return a random subject: without held-out pairs of words, with one (`held=True`), or either (`held=None`)."""
    while True:
        subject = _sample_subject(rng)
        if held is None or is_held_out(subject) == held:
            return subject


def _sample_subject(rng: random.Random) -> Subject:
    kind = rng.random()
    style = rng.choice(TRAINED_STYLES) if rng.random() < 0.26 else ""
    finish = rng.choice(list(FINISHES)) if rng.random() < FINISH_PROBABILITY else ""
    if rng.random() < HOME_PROBABILITY:
        return _sample_home_scene(rng, style, finish)
    if kind < 0.05:
        return Subject(background=rng.choice(list(COLOURS)), finish=finish)
    if kind < 0.4:
        thing, background = _sample_thing(rng), rng.choice(list(COLOURS))
        colour = _sample_colour(thing, rng)
        while colour == background:
            background = rng.choice(list(COLOURS))
        return Subject(thing=thing, colour=colour, background=background, style=style, finish=finish)
    thing = _sample_thing(rng) if kind < 0.77 else ""
    place = rng.choice(_places_for(thing))
    time, weather = _sample_time_and_weather(rng, place)
    return Subject(thing, _sample_colour(thing, rng), "", place, time, weather, style, finish)


def _sample_home_scene(rng: random.Random, style: str, finish: str) -> Subject:
    thing = rng.choice(TRAINED_OBJECTS)
    place = home_place(thing)
    time = "" if place == "space" else "day"
    weather = rng.choice(HOME_WEATHERS) if place not in ("space", "under water") else ""
    return Subject(thing, _sample_colour(thing, rng), "", place, time, weather, style, finish)


def _sample_thing(rng: random.Random) -> str:
    return rng.choice(NEW_OBJECTS if rng.random() < NEW_OBJECT_PROBABILITY else TRAINED_OBJECTS)


def _sample_colour(thing: str, rng: random.Random) -> str:
    if not thing:
        return ""
    return rng.choice(OBJECTS[thing].default_colours) if rng.random() < 0.35 else rng.choice(list(COLOURS))


def _places_for(thing: str) -> list[str]:
    possible = OBJECT_PLACES[OBJECTS[thing].placement] if thing else TRAINED_PLACES
    return [place for place in possible if place in TRAINED_PLACES]


def _sample_time_and_weather(rng: random.Random, place: str) -> tuple[str, str]:
    if place == "space":
        return "", ""
    time = "day" if rng.random() < 0.4 else rng.choice(TIMES[1:])
    if place == "under water":
        return ("night" if time == "night" else "day"), ""
    weather = rng.choice(TRAINED_WEATHERS[1:]) if rng.random() < 0.5 else "clear"
    if weather == "stars":
        time = "night"
    if weather == "moon" and time in ("day", "golden hour", "dawn"):
        time = "night"
    if weather == "sun":
        time = "day"  # at sunset, dawn and golden hour a clear sky shows the sun anyway
    return time, weather


def draw(subject: Subject, size: tuple[int, int], seed: int) -> Image.Image:
    """Draw a subject; the same seed gives the same image."""
    rng = random.Random(seed)
    canvas = Canvas(*size)
    if subject.place:
        scene = paint_place(canvas, rng, subject.place, subject.time or "day", subject.weather or "clear")
        if subject.thing:
            _draw_object_in_scene(scene, subject, rng)
        paint_weather_front(scene)
    else:
        paint_plain_background(canvas, _jitter_colour(COLOURS[subject.background or "white"], rng))
        if subject.thing:
            _draw_object_alone(canvas, rng, subject)
    image = canvas.downsample()
    styled = STYLES[subject.style](image, layout_rng(subject.style, rng)) if subject.style else image
    return FINISHES[subject.finish](styled, rng) if subject.finish else styled


def _jitter_colour(colour: Rgb, rng: random.Random) -> Rgb:
    shifts = [rng.randint(-6, 6) for _ in colour]
    if max(colour) - min(colour) < 10:
        shifts = [shifts[0]] * 3  # keeps greys neutral
    r, g, b = (min(255, max(0, c + shift)) for c, shift in zip(colour, shifts, strict=True))
    return (r, g, b)


def _draw_object_in_scene(scene: Scene, subject: Subject, rng: random.Random) -> None:
    canvas, thing = scene.canvas, OBJECTS[subject.thing]
    size = thing.size * rng.choice((0.84, 1.08))
    x = canvas.width * rng.choice((0.375, 0.5, 0.625))
    depth = canvas.height - scene.horizon
    feet = {
        "ground": scene.horizon + depth * 0.64,
        "clearing": scene.horizon + depth * 0.64,
        "shore": scene.horizon + depth * 0.4,
        "water": scene.horizon + depth * 0.5,
        "deep": canvas.height * 0.46,
        "sky": canvas.height * 0.5,
        "air": canvas.height * 0.43,
        "flying": canvas.height * 0.5,
        "swimming": canvas.height * 0.46 if subject.place == "under water" else scene.horizon + depth * 0.4,
        "anywhere": canvas.height * 0.5 + 0.46 * size if subject.place == "space" else scene.horizon + depth * 0.64,
    }
    centred = subject.place == "space" and thing.placement != "anywhere"
    y = canvas.height * 0.5 if centred else feet[thing.placement]
    if thing.placement in STANDING and subject.place != "space":
        shadow = darken(
            scene.lit((110, 140, 90))
            if subject.place not in ("snow", "desert", "beach")
            else scene.lit((190, 180, 170)),
            0.25,
        )
        canvas.ellipse(x + 0.04 * size, y, size * 0.5, size * 0.06, shadow)
    share = 0.0 if subject.place == "space" else 0.12 if subject.colour in LIGHT_SENSITIVE_COLOURS else 0.33

    def lit(colour: Rgb) -> Rgb:
        return scene.lit(colour, share) if share else colour

    pen = Pen(canvas, x, y, size, lit, thing.mirrorable and rng.random() < 0.5)
    _choose_shape(thing, rng)(pen, _jitter_colour(COLOURS[subject.colour], rng))
    if thing.placement == "water":
        canvas.line(
            [(x - 0.5 * size, y + 0.07 * size), (x + 0.5 * size, y + 0.07 * size)],
            0.018,
            scene.lit((214, 240, 250), 0.8),
        )


def _choose_shape(thing: DrawableObject, rng: random.Random) -> DrawFunction:
    """Return one of an object's silhouettes, the second one less often: where both fit, a UNet prefers it."""
    return thing.second_shape if thing.second_shape and rng.random() < SECOND_SHAPE_PROBABILITY else thing.draw


def _draw_object_alone(canvas: Canvas, rng: random.Random, subject: Subject) -> None:
    thing = OBJECTS[subject.thing]
    size = thing.size * rng.choice((1.0, 1.3))
    x = canvas.width * rng.choice((0.4375, 0.5, 0.5625))
    standing = thing.placement in (*STANDING, "shore", "water")
    y = canvas.height / 2 + (0.46 * size if standing else 0.0)
    pen = Pen(canvas, x, y, size, lambda colour: colour, thing.mirrorable and rng.random() < 0.5)
    _choose_shape(thing, rng)(pen, _jitter_colour(COLOURS[subject.colour], rng))


def sample_size(rng: random.Random) -> tuple[int, int]:
    """Return a random image size; square ones are the most frequent."""
    sizes, weights = zip(*ASPECTS, strict=True)
    size: tuple[int, int] = rng.choices(sizes, weights)[0]
    return size
