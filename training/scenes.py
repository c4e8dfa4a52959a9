"""Scenes: a place with a sky, at a time of day and in a weather."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np

from training.canvas import Canvas, Point, Stops, ellipse_outline, wave
from training.palette import Rgb, darken, lighten, mix, tint

Light = tuple[float, float, float]


@dataclass(frozen=True)
class TimeOfDay:
    """A time of day: the sky's colours from top to horizon, and the light on the landscape."""

    sky: tuple[Rgb, Rgb, Rgb]
    light: Light
    sun: Rgb


TIMES_OF_DAY: dict[str, TimeOfDay] = {
    "day": TimeOfDay(((70, 158, 236), (128, 196, 246), (204, 234, 250)), (1.0, 1.0, 1.0), (255, 232, 110)),
    "sunset": TimeOfDay(((92, 56, 136), (236, 96, 96), (255, 186, 92)), (0.82, 0.6, 0.66), (255, 236, 150)),
    "night": TimeOfDay(((12, 16, 54), (24, 36, 92), (52, 72, 140)), (0.36, 0.42, 0.74), (250, 244, 214)),
    "dawn": TimeOfDay(((150, 170, 226), (236, 190, 220), (255, 222, 202)), (0.92, 0.8, 0.9), (255, 246, 226)),
    "golden hour": TimeOfDay(((240, 176, 84), (252, 204, 112), (255, 232, 164)), (1.06, 0.88, 0.58), (255, 250, 206)),
}
WEATHERS = ("clear", "clouds", "rain", "snowfall", "fog", "stars", "moon", "sun")
LAYOUTS = 5
# The horizon's distance from the top, as a share of the height.
HORIZONS = (0.5, 0.58, 0.66)
RAIN_SKY: Rgb = (112, 124, 142)


@dataclass
class Scene:
    """A canvas with the settings shared by everything painted on it."""

    canvas: Canvas
    rng: random.Random
    time: str
    weather: str
    horizon: float

    @property
    def time_of_day(self) -> TimeOfDay:
        """Return the palette of the time of day."""
        return TIMES_OF_DAY[self.time]

    def lit(self, colour: Rgb, share: float = 1.0) -> Rgb:
        """Return a colour under the scene's light; a share below 1 keeps more of the original colour."""
        shown = mix(colour, tint(colour, self.time_of_day.light), share)
        return mix(shown, self.hazy(RAIN_SKY), 0.06) if self.weather == "rain" else shown

    def hazy(self, colour: Rgb) -> Rgb:
        """Return a weather's colour, darkened at sunset and night."""
        return tint(colour, self.time_of_day.light) if self.time in ("night", "sunset") else colour


def paint_sky(scene: Scene) -> None:
    """Paint the sky down to the horizon, with its stars, moon, sun and clouds."""
    canvas, weather = scene.canvas, scene.weather
    top, middle, low = scene.time_of_day.sky
    if weather in ("rain", "snowfall", "fog"):
        grey = scene.hazy(RAIN_SKY if weather == "rain" else (214, 220, 230))
        share = 0.42 if weather == "rain" else 0.6
        top, middle, low = mix(top, grey, share), mix(middle, grey, share), mix(low, lighten(grey, 0.2), share)
    edge = scene.horizon / (scene.horizon + 0.15)
    canvas.gradient([(0, top), (0.55 * edge, middle), (edge, low), (1, low)], 0, scene.horizon + 0.15)
    if weather == "stars" or (scene.time == "night" and weather in ("clear", "moon")):
        paint_stars(scene, 15 if weather == "stars" else 6)
    if weather == "moon":
        paint_moon(scene)
    elif weather == "sun" or (scene.time in ("sunset", "golden hour", "dawn") and weather == "clear"):
        paint_sun(scene)
    if weather in ("clouds", "rain"):
        paint_clouds(scene)


def paint_stars(scene: Scene, count: int) -> None:
    """Paint round and four-pointed stars, large enough to survive encoding."""
    canvas, rng = scene.canvas, scene.rng
    for i, (x, y) in enumerate(scatter_points(scene, round(count * canvas.width * canvas.height), scene.horizon)):
        if i % 2:
            canvas.circle(x, y, rng.uniform(0.013, 0.016), (255, 246, 206))
            continue
        size = rng.uniform(0.034, 0.044)
        arms = [
            (x + r * math.cos(math.pi * k / 4 - math.pi / 2), y + r * math.sin(math.pi * k / 4 - math.pi / 2))
            for k, r in enumerate((size, 0.45 * size) * 4)
        ]
        canvas.polygon(arms, (255, 246, 206))


def scatter_points(scene: Scene, count: int, low: float) -> list[Point]:
    """Return about `count` points above `low`, one in each cell of a grid, so that they do not cluster."""
    columns = max(1, round(math.sqrt(count * scene.canvas.width / low)))
    rows = max(1, round(count / columns))
    width, height = scene.canvas.width / columns, low / rows
    cells = [(i, k) for k in range(rows) for i in range(columns)]
    scene.rng.shuffle(cells)
    jitter = scene.rng.uniform
    return [((i + jitter(0.2, 0.8)) * width, (k + jitter(0.2, 0.8)) * height) for i, k in cells]


def paint_moon(scene: Scene) -> None:
    """Paint a large full moon, always on the right: with both sides, a short training learns to draw two moons."""
    canvas, rng = scene.canvas, scene.rng
    r = rng.uniform(0.13, 0.14)
    x, y = 0.75 * canvas.width, 0.22
    canvas.glow(x, y, r * 2.4, lighten(scene.time_of_day.sky[1], 0.5), 0.6)
    canvas.circle(x, y, r, (254, 246, 206))
    for dx, dy, k in ((-0.34, -0.22, 0.26), (0.32, 0.3, 0.32)):
        canvas.circle(x + dx * r, y + dy * r, k * r, (234, 220, 170))


def paint_sun(scene: Scene) -> None:
    """Paint the sun: high on the left by day, near the horizon at other times."""
    canvas, rng = scene.canvas, scene.rng
    r = rng.uniform(0.13, 0.15)
    low = scene.time in ("sunset", "dawn", "golden hour")
    x = (rng.choice((0.25, 0.75)) if low else 0.25) * canvas.width + rng.uniform(-0.03, 0.03)
    y = scene.horizon - rng.uniform(0.1, 0.18) if low else 0.21
    canvas.glow(x, y, r * 2.8, lighten(scene.time_of_day.sun, 0.4), 0.75)
    canvas.circle(x, y, r, scene.time_of_day.sun)


def paint_clouds(scene: Scene) -> None:
    """Paint a few round clouds."""
    canvas, rng = scene.canvas, scene.rng
    base = {"night": (96, 108, 160), "sunset": (250, 176, 160), "dawn": (255, 240, 240)}.get(
        scene.time, (255, 255, 252)
    )
    if scene.weather == "rain":
        base = scene.hazy((150, 160, 178))
    count = round(2 * max(1.0, canvas.width))
    for i in range(count):
        x = (i + rng.uniform(0.3, 0.7)) * canvas.width / count
        paint_cloud(canvas, x, rng.uniform(0.13, 0.28), rng.uniform(0.18, 0.27), base)


def paint_cloud(canvas: Canvas, x: float, y: float, size: float, base: Rgb) -> None:
    """Draw one cloud of round puffs with a flat base."""
    under = darken(base, 0.1)
    puffs = ((-0.62, 0.0, 0.3), (-0.22, -0.22, 0.4), (0.26, -0.14, 0.38), (0.66, 0.02, 0.27))
    for tone, drop in ((under, 0.08), (base, 0.0)):
        for dx, dy, r in puffs:
            canvas.circle(x + dx * size, y + (dy + drop) * size, r * size, tone)
        canvas.rectangle(x - 0.9 * size, y + drop * size, x + 0.92 * size, y + (0.26 + drop) * size, tone, 0.13 * size)


def paint_weather_behind(scene: Scene) -> None:
    """Paint the weather that lies behind the object."""
    if scene.weather == "fog":
        paint_fog(scene)


def paint_weather_front(scene: Scene) -> None:
    """Paint the weather in front of the finished scene: rain, snow or mist."""
    canvas, rng = scene.canvas, scene.rng
    area = canvas.width * canvas.height
    if scene.weather == "rain":
        drop = {"night": (124, 146, 204), "sunset": (206, 184, 212)}.get(scene.time, (206, 224, 242))
        for x, y in scatter_points(scene, round(10 * area), canvas.height):
            canvas.line([(x + 0.03, y - 0.07), (x - 0.03, y + 0.07)], 0.032, drop)
    elif scene.weather == "snowfall":
        for x, y in scatter_points(scene, round(20 * area), canvas.height):
            canvas.circle(x, y, rng.uniform(0.02, 0.032), (255, 255, 255))
    elif scene.weather == "fog":
        paint_mist(scene, canvas.height - 0.04)


def paint_fog(scene: Scene) -> None:
    """Make the landscape pale and paint banks of mist with gaps between them, so that it stays recognisable."""
    h = scene.horizon / scene.canvas.height
    places = (0.0, max(0.0, h - 0.2), min(1.0, h + 0.1), 1.0)
    scene.canvas.veil(fog_tone(scene), list(zip(places, (0.1, 0.3, 0.34, 0.2), strict=True)))
    depth = scene.canvas.height - scene.horizon
    for y in (scene.horizon - 0.24, scene.horizon + 0.04, scene.horizon + 0.56 * depth):
        paint_mist(scene, y)


def fog_tone(scene: Scene) -> Rgb:
    """Return the colour of fog, which is pale even at night, so that it is visible."""
    white = (236, 240, 244)
    return mix(white, tint(white, scene.time_of_day.light), 0.45 if scene.time == "night" else 0.25)


def paint_mist(scene: Scene, y: float) -> None:
    """Paint flat banks of mist side by side at a height."""
    canvas, rng = scene.canvas, scene.rng
    count = round(1.6 * max(1.0, canvas.width))
    for i in range(count):
        x = (i + rng.uniform(0.2, 0.8)) * canvas.width / count
        canvas.glow(x, y + rng.uniform(-0.02, 0.02), rng.uniform(0.42, 0.5), fog_tone(scene), 0.9, 0.16)


def ridge(scene: Scene, y: float, amplitude: float, period: float) -> list[tuple[float, float]]:
    """Return a polygon from a rolling skyline to the bottom of the image."""
    canvas = scene.canvas
    line = wave(-0.05, canvas.width + 0.05, y, amplitude, period, scene.rng.uniform(0, 6.28))
    return [*line, (canvas.width + 0.05, canvas.height + 0.1), (-0.05, canvas.height + 0.1)]


def paint_meadow(scene: Scene) -> None:
    """Paint a flat flowering meadow."""
    canvas, rng, y = scene.canvas, scene.rng, scene.horizon
    canvas.shaded_polygon(ridge(scene, y - 0.02, 0.012, 1.4), scene.lit((112, 190, 96)), scene.lit((96, 176, 80)))
    canvas.shaded_polygon(ridge(scene, y + 0.06, 0.012, 1.1), scene.lit((136, 206, 88)), scene.lit((84, 166, 66)))
    depth = canvas.height - y - 0.1
    for _ in range(round(10 * canvas.width)):
        t = rng.random()
        x, fy, r = rng.uniform(0, canvas.width), y + 0.12 + depth * t, 0.018 + 0.016 * t
        canvas.circle(x, fy, r, scene.lit(rng.choice([(255, 255, 250), (255, 222, 84), (250, 150, 180)])))


def paint_hills(scene: Scene) -> None:
    """Paint three rows of steep round hills, dark and light by turns, so that they are not taken for a meadow."""
    y = scene.horizon - 0.03
    drop = (scene.canvas.height - y) / 3
    for i, tone in enumerate(((66, 148, 108), (150, 212, 96), (58, 144, 72))):
        hill = ridge(scene, y + i * drop, 0.13 - 0.03 * i, scene.rng.uniform(0.56, 0.66))
        scene.canvas.shaded_polygon(hill, scene.lit(lighten(tone, 0.18)), scene.lit(darken(tone, 0.08)))


def paint_mountains(scene: Scene) -> None:
    """Paint snow-capped peaks behind green foothills."""
    canvas, rng, y = scene.canvas, scene.rng, scene.horizon
    count = max(2, round(2.4 * canvas.width))
    tall = min(0.5, y - 0.1)
    order = sorted(range(count), key=lambda _: rng.random())
    for i in order:
        x = (i + rng.uniform(0.3, 0.7)) * canvas.width / count
        peak = y + 0.04 - tall * rng.uniform(0.75, 1.0)
        paint_peak(scene, x, peak, y + 0.08, rng.uniform(0.36, 0.46))
    canvas.shaded_polygon(ridge(scene, y + 0.045, 0.025, 1.2), scene.lit((120, 186, 116)), scene.lit((72, 144, 82)))


def paint_peak(scene: Scene, x: float, top: float, foot: float, half: float) -> None:
    """Draw one mountain with a shaded side and a snow cap."""
    canvas, h = scene.canvas, foot - top
    rock, snow = scene.lit((122, 132, 164)), scene.lit((250, 250, 255), 0.85)
    canvas.polygon([(x - half, foot), (x, top), (x + half, foot)], rock)
    canvas.polygon([(x, top), (x + half, foot), (x + half * 0.12, foot)], darken(rock, 0.22))
    k = 0.46
    canvas.polygon(
        [
            (x, top),
            (x - half * k, top + h * k),
            (x - half * 0.2, top + h * 0.38),
            (x, top + h * 0.52),
            (x + half * 0.22, top + h * 0.38),
            (x + half * k, top + h * k),
        ],
        snow,
    )
    canvas.polygon(
        [(x, top), (x + half * k, top + h * k), (x + half * 0.22, top + h * 0.38), (x + half * 0.07, top + h * 0.47)],
        darken(snow, 0.14),
    )


def paint_pine(scene: Scene, x: float, foot: float, size: float, green: Rgb) -> None:
    """Draw a pine with three tiers."""
    canvas = scene.canvas
    canvas.rectangle(x - 0.05 * size, foot - 0.2 * size, x + 0.05 * size, foot, scene.lit((112, 74, 50)))
    for i in range(3):
        half, low = (0.32 - 0.07 * i) * size, foot - (0.14 + 0.25 * i) * size
        tip = low - 0.38 * size
        canvas.polygon([(x - half, low), (x, tip), (x + half, low)], green)
        canvas.polygon([(x, tip), (x + half, low), (x + 0.06 * size, low)], darken(green, 0.16))


def paint_forest(scene: Scene) -> None:
    """Paint rows of pines, the nearest ones darkest."""
    canvas, rng, y = scene.canvas, scene.rng, scene.horizon
    canvas.shaded_polygon(ridge(scene, y, 0.015, 1.0), scene.lit((118, 184, 104)), scene.lit((66, 136, 66)))
    for row, (tone, size) in enumerate((((116, 180, 132), 0.42), ((48, 124, 78), 0.54))):
        step = size * 0.56
        x = rng.uniform(-step, 0)
        while x < canvas.width + step:
            paint_pine(scene, x, y + 0.03 + 0.09 * row, size * rng.uniform(0.85, 1.1), scene.lit(tone))
            x += step * rng.uniform(0.85, 1.25)


def paint_water(scene: Scene, top: float, bottom: float | None = None) -> None:
    """Paint water with bands of light."""
    canvas, rng = scene.canvas, scene.rng
    high, deep = water_tones(scene)
    last = canvas.height if bottom is None else bottom
    canvas.gradient([(0, high), (1, deep)], top, last)
    for _ in range(round(4 * canvas.width)):
        y = rng.uniform(top + 0.04, last - 0.02)
        x, half = rng.uniform(0, canvas.width), rng.uniform(0.08, 0.14)
        canvas.line([(x - half, y), (x + half, y)], 0.018, lighten(mix(high, deep, (y - top) / (last - top)), 0.28))


def water_tones(scene: Scene) -> tuple[Rgb, Rgb]:
    """Return the water's colours at the horizon and at the bottom."""
    if scene.time in ("sunset", "golden hour", "dawn"):
        top, middle, low = scene.time_of_day.sky
        return mix(middle, low, 0.6), mix(darken(top, 0.12), (70, 90, 170), 0.3)
    return scene.lit((92, 190, 226)), scene.lit((26, 104, 186))


def paint_sea(scene: Scene) -> None:
    """Paint the open sea."""
    canvas, rng = scene.canvas, scene.rng
    paint_water(scene, scene.horizon)
    high, deep = water_tones(scene)
    for i in range(2):
        y = scene.horizon + (canvas.height - scene.horizon) * (0.45 + 0.3 * i)
        crest = wave(-0.05, canvas.width + 0.05, y, 0.016, rng.uniform(0.3, 0.4), rng.uniform(0, 6.28))
        canvas.line(crest, 0.02, lighten(high, 0.45))
        canvas.polygon(
            [*crest, (canvas.width + 0.05, canvas.height + 0.1), (-0.05, canvas.height + 0.1)],
            mix(high, deep, 0.55 + 0.35 * i),
        )


def paint_lake(scene: Scene) -> None:
    """Paint a lake among hills, with a near shore."""
    canvas, y = scene.canvas, scene.horizon
    hill = (112, 182, 120)
    canvas.shaded_polygon(ridge(scene, y - 0.03, 0.05, 0.9), scene.lit(lighten(hill, 0.15)), scene.lit(hill))
    low = y + (canvas.height - y) * 0.68
    paint_water(scene, y + 0.05, low + 0.08)
    canvas.shaded_polygon(ridge(scene, low + 0.04, 0.02, 0.9), scene.lit((140, 202, 98)), scene.lit((84, 160, 70)))


def paint_beach(scene: Scene) -> None:
    """Paint sand before the sea."""
    canvas, rng, y = scene.canvas, scene.rng, scene.horizon
    shore = y + (canvas.height - y) * rng.uniform(0.36, 0.46)
    paint_water(scene, y, shore + 0.06)
    foam, sand = ridge(scene, shore, 0.016, 0.7), (248, 222, 160)
    canvas.polygon(foam, scene.lit((250, 252, 252)))
    canvas.shaded_polygon([(x, fy + 0.035) for x, fy in foam], scene.lit(sand), scene.lit(darken(sand, 0.1)))


def paint_desert(scene: Scene) -> None:
    """Paint dunes and a few cacti."""
    canvas, rng, y = scene.canvas, scene.rng, scene.horizon
    drop = (canvas.height - y) / 3
    for i, tone in enumerate(((238, 190, 122), (244, 202, 126), (232, 176, 98))):
        dune = ridge(scene, y + drop * i, 0.04 - 0.006 * i, rng.uniform(0.9, 1.3))
        canvas.shaded_polygon(dune, scene.lit(lighten(tone, 0.2)), scene.lit(tone))
        if i == 0 and rng.random() < 0.7:
            paint_cactus(scene, rng.choice((0.15, 0.85)) * canvas.width, y + drop * 0.8, 0.26)


def paint_cactus(scene: Scene, x: float, foot: float, size: float) -> None:
    """Draw a cactus with two arms."""
    canvas, green, w = scene.canvas, scene.lit((70, 150, 86)), 0.2 * size
    canvas.line([(x, foot), (x, foot - size)], w, green)
    canvas.line(
        [(x, foot - 0.4 * size), (x - 0.34 * size, foot - 0.4 * size), (x - 0.34 * size, foot - 0.72 * size)],
        w * 0.8,
        green,
    )
    canvas.line(
        [(x, foot - 0.3 * size), (x + 0.34 * size, foot - 0.3 * size), (x + 0.34 * size, foot - 0.6 * size)],
        w * 0.8,
        green,
    )


def paint_snow(scene: Scene) -> None:
    """Paint snow-covered hills with white-dusted pines."""
    canvas, rng, y = scene.canvas, scene.rng, scene.horizon
    drop = (canvas.height - y) / 3
    for i, tone in enumerate(((206, 224, 244), (226, 238, 250), (244, 249, 255))):
        hill = ridge(scene, y + i * drop, 0.05 - 0.008 * i, rng.uniform(0.8, 1.2))
        canvas.shaded_polygon(hill, scene.lit(lighten(tone, 0.5), 0.8), scene.lit(tone, 0.8))
        for _ in range(rng.randint(1, 2) if i < 2 else 0):
            x, size = rng.uniform(0, canvas.width), rng.uniform(0.28, 0.36)
            paint_pine(scene, x, y + i * drop + 0.06, size, scene.lit((84, 146, 128)))
            tip = y + i * drop + 0.06 - 1.02 * size
            snow = scene.lit((250, 252, 255), 0.8)
            canvas.polygon([(x, tip), (x - 0.1 * size, tip + 0.2 * size), (x + 0.1 * size, tip + 0.2 * size)], snow)


def paint_city(scene: Scene) -> None:
    """Paint a row of houses with large windows, lit in the evening, before the pale shapes of towers."""
    canvas, rng, y = scene.canvas, scene.rng, scene.horizon
    lamps = scene.time in ("night", "sunset")
    walls = ((150, 172, 204), (206, 146, 140), (120, 140, 176), (224, 190, 146), (164, 138, 184))
    foot = y + (canvas.height - y) * 0.5
    far = scene.lit((176, 190, 214))
    canvas.rectangle(-0.1, y, canvas.width + 0.1, foot, far)
    for x in np.arange(rng.uniform(0.02, 0.12), canvas.width, 0.31):
        canvas.rectangle(x, foot - rng.uniform(0.5, 0.62), x + 0.17, foot, far)
    x, last = rng.uniform(-0.2, -0.05), -1
    while x < canvas.width:
        width, stories = 0.27, rng.choice((2, 3))
        last = (last + rng.randint(1, len(walls) - 1)) % len(walls)
        paint_town_house(scene, (x, foot - 0.08 - 0.13 * stories, x + width, foot), scene.lit(walls[last]), lamps)
        x += width + rng.choice((0.0, 0.05))
    canvas.gradient([(0, scene.lit((128, 132, 146))), (1, scene.lit((98, 102, 118)))], foot)
    canvas.rectangle(-0.1, foot, canvas.width + 0.1, foot + 0.03, scene.lit((188, 190, 198)))


def paint_town_house(scene: Scene, box: tuple[float, float, float, float], wall: Rgb, lamps: bool) -> None:
    """Draw one flat-roofed house with two large windows on each floor."""
    canvas, (left, top, right, bottom) = scene.canvas, box
    canvas.rectangle(left, top, right, bottom, wall)
    canvas.rectangle(right - 0.035, top, right, bottom, darken(wall, 0.15))
    canvas.rectangle(left - 0.012, top, right + 0.012, top + 0.03, darken(wall, 0.25))
    glass = (255, 222, 120) if lamps else darken(wall, 0.4)
    y = top + 0.07
    while y < bottom - 0.1:
        for x in (left + 0.07, left + 0.17):
            canvas.rectangle(x - 0.033, y, x + 0.033, y + 0.085, glass)
        y += 0.13


def paint_space(scene: Scene) -> None:
    """Paint the dark of space with clouds of light, stars and a small far planet."""
    canvas, rng = scene.canvas, scene.rng
    canvas.gradient([(0, (14, 10, 40)), (0.5, (34, 20, 74)), (1, (16, 14, 50))])
    for _ in range(2):
        colour = rng.choice([(120, 60, 170), (50, 90, 190), (190, 70, 150)])
        canvas.glow(rng.uniform(0, canvas.width), rng.uniform(0, canvas.height), rng.uniform(0.3, 0.5), colour, 0.5)
    scene.horizon = canvas.height
    paint_stars(scene, 14)
    if rng.random() < 0.5:
        colour = rng.choice([(240, 150, 90), (110, 190, 200), (220, 120, 150)])
        x, y = rng.choice((0.13, canvas.width - 0.13)), rng.choice((0.15, canvas.height - 0.15))
        r = rng.uniform(0.08, 0.1)
        canvas.circle(x, y, r, colour)
        canvas.crescent(ellipse_outline(x, y, r, r), (-r * 0.4, -r * 0.3), darken(colour, 0.35))


def paint_under_water(scene: Scene) -> None:
    """Paint an underwater scene with rays of light, bubbles, seaweed and sand."""
    canvas, rng = scene.canvas, scene.rng
    canvas.gradient(
        [(0, scene.lit((96, 206, 222), 0.6)), (0.6, scene.lit((30, 132, 190), 0.6)), (1, scene.lit((18, 84, 150), 0.6))]
    )
    for _ in range(round(2 * canvas.width)):
        x, width = rng.uniform(-0.1, canvas.width), rng.uniform(0.09, 0.15)
        canvas.translucent(
            [(x, -0.02), (x + width, -0.02), (x + width * 2 - 0.15, 0.8), (x - 0.25, 0.8)], (220, 250, 250), 0.16
        )
    floor = canvas.height - 0.14
    canvas.shaded_polygon(
        ridge(scene, floor, 0.02, 0.9), scene.lit((226, 206, 150), 0.6), scene.lit((176, 156, 120), 0.6)
    )
    for _ in range(round(4 * canvas.width)):
        paint_weed(scene, rng.uniform(0, canvas.width), floor + 0.06, rng.uniform(0.22, 0.34))
    for _ in range(round(5 * canvas.width)):
        x, y, r = rng.uniform(0, canvas.width), rng.uniform(0.05, floor), rng.uniform(0.018, 0.032)
        canvas.circle(x, y, r, (206, 242, 248))
        canvas.circle(x + r * 0.2, y + r * 0.2, r * 0.6, (120, 200, 226))


def paint_weed(scene: Scene, x: float, foot: float, size: float) -> None:
    """Draw a swaying blade of seaweed or a coral."""
    canvas, rng = scene.canvas, scene.rng
    if rng.random() < 0.3:
        coral = scene.lit(rng.choice([(240, 110, 120), (246, 160, 90), (220, 120, 190)]), 0.5)
        for dx in (-0.3, 0.0, 0.3):
            canvas.line([(x, foot), (x + dx * size * 0.8, foot - size * (0.6 - abs(dx) * 0.4))], 0.05, coral)
        return
    phase = rng.uniform(0, 6.28)
    blade = [(x + 0.02 * math.sin(phase + 7 * t / 10), foot - size * t / 10) for t in range(11)]
    canvas.line(blade, 0.042, scene.lit(rng.choice([(54, 160, 100), (40, 130, 96), (110, 176, 80)]), 0.5))


PLACE_PAINTERS = {
    "meadow": paint_meadow,
    "hills": paint_hills,
    "mountains": paint_mountains,
    "forest": paint_forest,
    "sea": paint_sea,
    "lake": paint_lake,
    "beach": paint_beach,
    "desert": paint_desert,
    "snow": paint_snow,
    "city": paint_city,
    "space": paint_space,
    "under water": paint_under_water,
}
PLACES = tuple(PLACE_PAINTERS)
PLACES_WITHOUT_SKY = ("space", "under water")


def layout_rng(name: str, rng: random.Random) -> random.Random:
    """Return the random generator of one of a few layouts; repeated layouts are learnt faster and more sharply."""
    return random.Random(f"{name}, {rng.randrange(LAYOUTS)}")


def paint_place(canvas: Canvas, rng: random.Random, place: str, time: str, weather: str) -> Scene:
    """Paint a place at a time of day and in a weather, except for the weather in front of it."""
    horizon = canvas.height * rng.choice(HORIZONS)
    scene = Scene(canvas, layout_rng(f"sky, {weather}", rng), time, weather, horizon)
    if place not in PLACES_WITHOUT_SKY:
        paint_sky(scene)
    scene.rng = layout_rng(place, rng)
    PLACE_PAINTERS[place](scene)
    scene.horizon, scene.rng = horizon, layout_rng(f"behind, {weather}", rng) if weather == "fog" else scene.rng
    paint_weather_behind(scene)
    scene.rng = layout_rng(f"front, {weather}", rng)
    return scene


def paint_plain_background(canvas: Canvas, colour: Rgb) -> None:
    """Fill the canvas with one colour, slightly lighter at the top."""
    stops: Stops = [(0, lighten(colour, 0.07)), (1, darken(colour, 0.05))]
    canvas.gradient(stops)
