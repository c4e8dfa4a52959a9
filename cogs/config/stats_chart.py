"""The chart of /config stats: bars on a dark or light background, with text large enough for a phone."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from bot.images.fonts import load_font, printable
from bot.ui.i18n import tr
from db.stats import Breakdown, Percentiles, Statistics
from generation.job import Action

WIDTH, MARGIN = 1080, 56
LARGE, MEDIUM, SMALL = 68, 38, 32  # font height in pixels; a phone shows it at about a third
LABEL_WIDTH, VALUE_WIDTH = 320, 270  # pixels before and after a bar
MAX_TICKS = 7  # labels below the bars over time


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a chart."""

    background: str
    panel: str
    text: str
    muted_text: str
    bar: str
    muted_bar: str


PALETTES = {  # Discord does not say which theme a person uses
    "dark": Palette("#1e1f22", "#2b2d31", "#f2f3f5", "#b5bac1", "#7aa2f7", "#3d4f7c"),
    "light": Palette("#ffffff", "#ebedef", "#060607", "#4e5058", "#3358b8", "#b7c6ee"),
}

ACTION_LABELS: dict[str, str] = {
    Action.IMAGINE: "imagine",
    Action.BLEND: "blend",
    Action.REROLL: "reroll",
    Action.PICK: "pick",
    Action.UPSCALE_SUBTLE: "upscale",
    Action.UPSCALE_CREATIVE: "upscale creative",
    Action.UPSCALE_CREATIVE_4: "upscale creative 4",
    Action.VARY_SUBTLE: "vary subtle",
    Action.VARY_STRONG: "vary strong",
    Action.VARY_REGION: "vary region",
    Action.ZOOM_2: "zoom 2",
    Action.ZOOM_1_5: "zoom 1 5",
    Action.ZOOM_CUSTOM: "zoom custom",
    Action.PAN_LEFT: "pan left",
    Action.PAN_RIGHT: "pan right",
    Action.PAN_UP: "pan up",
    Action.PAN_DOWN: "pan down",
    Action.MAKE_SQUARE: "make square",
    Action.REMIX_SUBTLE: "remix subtle",
    Action.REMIX_STRONG: "remix strong",
    Action.ZOOM_FILM: "zoom film",
    Action.SHORTEN: "shorten",
    Action.DESCRIBE: "describe",
    Action.WALK: "walk",
    Action.EDIT_WORDS: "edit words",
    Action.CLEAN_UP: "clean up",
    Action.COLOUR: "colour",
    Action.EDIT: "edit",
}


@dataclass(frozen=True, slots=True)
class ChartLabels:
    """The chart's title, the heading of the bars over time, and a label for each of them."""

    title: str
    jobs_over_time: str
    ticks: Sequence[str]


def draw_chart(statistics: Statistics, labels: ChartLabels, palette: Palette = PALETTES["dark"]) -> bytes:
    """Return the chart as a PNG; run it in a thread, because it takes a moment."""
    chart = _Chart(palette)
    chart.heading(labels.title, LARGE)
    chart.figures(_figures(statistics))
    chart.heading(labels.jobs_over_time)
    chart.columns(statistics.over_time, labels)
    chart.heading(tr("Median · 90th percentile"))
    chart.times({tr("Waiting"): statistics.queue_time, tr("Drawing"): statistics.generation_time})
    chart.heading(tr("Drawing time by person"))
    chart.bars(_bar_row(breakdown, breakdown.name or tr("somebody"), statistics) for breakdown in statistics.by_person)
    chart.heading(tr("Drawing time by action"))
    chart.bars(_bar_row(share, _action_label(share.name), statistics) for share in statistics.by_action)
    if statistics.by_model:
        chart.heading(tr("Jobs by model"))
        chart.bars(_model_rows(statistics))
    return chart.png()


def duration(seconds: float) -> str:
    """Return a duration with about two significant digits."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            number = seconds / size
            return _localize(f"{number:,.0f} {unit}" if number >= 10 else f"{number:.1f} {unit}")
    return _localize(f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s")


def _localize(number: str) -> str:
    """Return a formatted number with the separators of the current language."""
    return number.translate({ord("."): tr("."), ord(","): tr(",")})


def _figures(statistics: Statistics) -> dict[str, str]:
    return {
        tr("jobs"): _localize(f"{statistics.jobs:,}"),
        tr("people"): _localize(f"{statistics.people:,}"),
        tr("drawing time"): duration(statistics.seconds),
        tr("failed"): _percent(statistics.failed, statistics.jobs),
    }


def _action_label(name: str) -> str:
    return tr(ACTION_LABELS.get(name, name))


def _percent(part: float, whole: float) -> str:
    percent = 100 * part / whole if whole else 0.0
    return _localize(f"{percent:.1f} %" if 0 < percent < 10 else f"{percent:.0f} %")


def _bar_row(breakdown: Breakdown, name: str, statistics: Statistics) -> tuple[str, float, str]:
    return name, breakdown.seconds, _percent(breakdown.seconds, statistics.seconds)


def _model_rows(statistics: Statistics) -> list[tuple[str, float, str]]:
    """Return the jobs of each model, of none and of all others, so that they add up to all jobs."""
    named = [(share.name, share.jobs) for share in statistics.by_model if share.name]
    unfinished = sum(share.jobs for share in statistics.by_model if not share.name)
    others = statistics.jobs - unfinished - sum(jobs for _, jobs in named)
    rows = [*named, (tr("other models"), others), (tr("not finished"), unfinished)]
    return [(name, jobs, _localize(f"{jobs:,}")) for name, jobs in rows if jobs > 0]


class _Chart:
    """An image that is filled from top to bottom."""

    def __init__(self, palette: Palette) -> None:
        self._palette = palette
        self._image = Image.new("RGB", (WIDTH, 3000), palette.background)
        self._canvas = ImageDraw.Draw(self._image)
        self._y = MARGIN

    def heading(self, text: str, size: int = MEDIUM) -> None:
        """Add a heading."""
        self._y += 16
        self._write(MARGIN, text, size, self._palette.text)
        self._y += size + 24

    def figures(self, figures: dict[str, str]) -> None:
        """Add large numbers side by side, each with its label below."""
        room, gap = (WIDTH - 2 * MARGIN + 16) // len(figures), 16
        for number, (what, figure) in enumerate(figures.items()):
            x, box = MARGIN + number * room, 164
            self._canvas.rounded_rectangle((x, self._y, x + room - gap, self._y + box), 16, self._palette.panel)
            size = next(size for size in range(58, 20, -2) if _text_width(figure, size) <= room - 56 or size == 22)
            self._write(x + 20, figure, size, self._palette.text, self._y + 26)
            self._write(x + 20, what, SMALL, self._palette.muted_text, self._y + 104)
        self._y += 188

    def columns(self, values: Sequence[int], labels: ChartLabels) -> None:
        """Add a column for each value, between lines at 0 and at the highest value."""
        height, highest = 240, max((*values, 1))
        scale = [_localize(f"{value:,}") for value in (0, highest)]
        axis = MARGIN + 16 + max(_text_width(number, SMALL) for number in scale)
        width = (WIDTH - MARGIN - axis) / len(values)
        floor = self._y + height + 24
        for label, y in zip(scale, (floor, floor - height), strict=True):
            self._write(axis - 16 - _text_width(label, SMALL), label, SMALL, self._palette.muted_text, y - SMALL / 2)
            self._canvas.line((axis, y + 2, WIDTH - MARGIN, y + 2), self._palette.muted_bar, 3)
        for number, value in enumerate(values):
            left, tall = axis + number * width, height * value / highest
            if value:
                self._canvas.rectangle((left + 2, floor - max(tall, 3), left + width - 2, floor), self._palette.bar)
        step = math.ceil(len(values) / MAX_TICKS)
        for number in range(0, len(values), step):
            self._centre(axis + (number + 0.5) * width, labels.ticks[number], floor + 14)
        self._y = floor + 74

    def times(self, times: dict[str, Percentiles | None]) -> None:
        """Add a bar for each kind of time: the median in front of the 90th percentile."""
        longest = max((each.p90 for each in times.values() if each), default=0.0) or 1.0
        for name, each in times.items():
            if each is None:
                self._bar(name, 0.0, 0.0, tr("none"))
            else:
                self._bar(
                    name, each.median / longest, each.p90 / longest, f"{duration(each.median)} · {duration(each.p90)}"
                )

    def bars(self, rows: Iterable[tuple[str, float, str]]) -> None:
        """Add a bar for each row, scaled so that the largest takes the full width, with its value after it."""
        rows = list(rows)
        largest = max((value for _, value, _ in rows), default=0.0) or 1.0
        for name, value, value_text in rows:
            self._bar(name, value / largest, 0.0, value_text)
        if not rows:
            self._bar(tr("nothing yet"), 0.0, 0.0, "")

    def png(self) -> bytes:
        """Return the chart as a PNG, cropped to its content."""
        file = io.BytesIO()
        # Without `optimize`, which takes four times as long for 5 % fewer bytes.
        self._image.crop((0, 0, WIDTH, self._y + MARGIN // 2)).save(file, "PNG")
        return file.getvalue()

    def _bar(self, name: str, fraction: float, background_fraction: float, value_text: str) -> None:
        left = MARGIN + LABEL_WIDTH
        room = WIDTH - MARGIN - left - VALUE_WIDTH
        self._write(MARGIN, _truncate(name, left - MARGIN - 20), SMALL, self._palette.muted_text, self._y + 2)
        for part, colour in ((background_fraction, self._palette.muted_bar), (fraction, self._palette.bar)):
            if part > 0:
                self._canvas.rounded_rectangle((left, self._y, left + max(8, room * part), self._y + 40), 6, colour)
        self._write(WIDTH - MARGIN - _text_width(value_text, SMALL), value_text, SMALL, self._palette.text, self._y + 2)
        self._y += 58

    def _centre(self, x: float, text: str, y: float) -> None:
        left = x - _text_width(text, SMALL) / 2
        self._write(
            min(max(left, MARGIN), WIDTH - MARGIN - _text_width(text, SMALL)), text, SMALL, self._palette.muted_text, y
        )

    def _write(self, x: float, text: str, size: int, colour: str, y: float | None = None) -> None:
        font = load_font(size)
        self._canvas.text((x, self._y if y is None else y), printable(text, font), colour, font)


def _text_width(text: str, size: int) -> float:
    font = load_font(size)
    return font.getlength(printable(text, font))


def _truncate(text: str, max_width: float) -> str:
    if _text_width(text, SMALL) <= max_width:
        return text
    while text and _text_width(f"{text}…", SMALL) > max_width:
        text = text[:-1]
    return f"{text}…"
