"""The picture of /config stats: bars on a dark ground, in letters that a phone can show."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from db.stats import Breakdown, Percentiles, Statistics

WIDTH, MARGIN = 1080, 56
GROUND, PANEL, WORDS, QUIET, BAR, FAINT = "#1e1f22", "#2b2d31", "#f2f3f5", "#b5bac1", "#7aa2f7", "#3d4f7c"
BIG, USUAL, SMALL = 68, 38, 32  # pixels of height; a phone shows about a third of them
NAMES, ENDS = 320, 270  # pixels for what stands before and behind a bar


@dataclass(frozen=True, slots=True)
class Period:
    """What is drawn: its title, what each bar stands for, and what is written below the first and the last one."""

    title: str
    each: str
    first: str
    last: str


def draw(statistics: Statistics, period: Period) -> bytes:
    """Give the numbers as a PNG; this takes a moment, so it is for a thread."""
    page = _Page()
    page.heading(period.title, BIG)
    page.figures(_figures(statistics))
    page.heading(f"Jobs {period.each}")
    page.columns(statistics.over_time, period)
    page.heading("Half of them within · nine of ten within")
    page.times({"Waiting": statistics.queue_time, "Drawing": statistics.generation_time})
    page.heading("Drawing time by person")
    page.bars(_of_all(share, share.name or "somebody", statistics) for share in statistics.by_person)
    page.heading("Drawing time by action")
    page.bars(_of_all(share, share.name.replace("_", " "), statistics) for share in statistics.by_action)
    if statistics.by_model:
        page.heading("Jobs by model")
        page.bars((share.name, share.jobs, f"{share.jobs:,}") for share in statistics.by_model)
    return page.png()


def duration(seconds: float) -> str:
    """Give a time in the two digits that matter."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            number = seconds / size
            return f"{number:,.0f} {unit}" if number >= 10 else f"{number:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def _figures(statistics: Statistics) -> dict[str, str]:
    return {
        "jobs": f"{statistics.jobs:,}",
        "people": f"{statistics.people:,}",
        "of drawing": duration(statistics.seconds),
        "failed": _percent(statistics.failed, statistics.jobs),
    }


def _percent(part: float, whole: float) -> str:
    share = 100 * part / whole if whole else 0.0
    return f"{share:.1f} %" if 0 < share < 10 else f"{share:.0f} %"


def _of_all(share: Breakdown, name: str, statistics: Statistics) -> tuple[str, float, str]:
    return name, share.seconds, _percent(share.seconds, statistics.seconds)


class _Page:
    """A canvas that is filled from top to bottom."""

    def __init__(self) -> None:
        self._image = Image.new("RGB", (WIDTH, 3000), GROUND)
        self._canvas = ImageDraw.Draw(self._image)
        self._y = MARGIN

    def heading(self, text: str, size: int = USUAL) -> None:
        """Write a line above what follows."""
        self._y += 16
        self._write(MARGIN, text, size, WORDS)
        self._y += size + 24

    def figures(self, figures: dict[str, str]) -> None:
        """Put large numbers side by side, each with what it counts below it."""
        room, gap = (WIDTH - 2 * MARGIN + 16) // len(figures), 16
        for number, (what, figure) in enumerate(figures.items()):
            x, box = MARGIN + number * room, 164
            self._canvas.rounded_rectangle((x, self._y, x + room - gap, self._y + box), 16, PANEL)
            size = next(size for size in range(58, 20, -2) if _length(figure, size) <= room - 56 or size == 22)
            self._write(x + 20, figure, size, WORDS, self._y + 26)
            self._write(x + 20, what, SMALL, QUIET, self._y + 104)
        self._y += 188

    def columns(self, values: Sequence[int], period: Period) -> None:
        """Put a bar for each value side by side, with the highest value named."""
        height, most = 240, max((*values, 1))
        width = (WIDTH - 2 * MARGIN) / len(values)
        floor = self._y + height + 44
        for number, value in enumerate(values):
            left, tall = MARGIN + number * width, height * value / most
            if value:
                self._canvas.rectangle((left + 2, floor - max(tall, 3), left + width - 2, floor), BAR)
        self._canvas.line((MARGIN, floor + 2, WIDTH - MARGIN, floor + 2), FAINT, 3)
        top = values.index(max(values))
        self._centre(MARGIN + (top + 0.5) * width, f"{max(values):,}", floor - height - 44)
        self._write(MARGIN, period.first, SMALL, QUIET, floor + 14)
        self._write(WIDTH - MARGIN - _length(period.last, SMALL), period.last, SMALL, QUIET, floor + 14)
        self._y = floor + 74

    def times(self, times: dict[str, Percentiles | None]) -> None:
        """Put a bar for nine of ten behind one for half of them, for each kind of time."""
        most = max((each.p90 for each in times.values() if each), default=0.0) or 1.0
        for name, each in times.items():
            if each is None:
                self._bar(name, 0.0, 0.0, "none")
            else:
                self._bar(name, each.median / most, each.p90 / most, f"{duration(each.median)} · {duration(each.p90)}")

    def bars(self, rows: Iterable[tuple[str, float, str]]) -> None:
        """Put a bar for each row, the largest over the whole width, with a word at its end."""
        rows = list(rows)
        most = max((value for _, value, _ in rows), default=0.0) or 1.0
        for name, value, word in rows:
            self._bar(name, value / most, 0.0, word)
        if not rows:
            self._bar("nothing yet", 0.0, 0.0, "")

    def png(self) -> bytes:
        """Give what was drawn, cut where it ends."""
        file = io.BytesIO()
        self._image.crop((0, 0, WIDTH, self._y + MARGIN // 2)).save(file, "PNG", optimize=True)
        return file.getvalue()

    def _bar(self, name: str, share: float, behind: float, word: str) -> None:
        left = MARGIN + NAMES
        room = WIDTH - MARGIN - left - ENDS
        self._write(MARGIN, _cut(name, left - MARGIN - 20), SMALL, QUIET, self._y + 2)
        for part, colour in ((behind, FAINT), (share, BAR)):
            if part > 0:
                self._canvas.rounded_rectangle((left, self._y, left + max(8, room * part), self._y + 40), 6, colour)
        self._write(WIDTH - MARGIN - _length(word, SMALL), word, SMALL, WORDS, self._y + 2)
        self._y += 58

    def _centre(self, x: float, text: str, y: float) -> None:
        left = x - _length(text, SMALL) / 2
        self._write(min(max(left, MARGIN), WIDTH - MARGIN - _length(text, SMALL)), text, SMALL, WORDS, y)

    def _write(self, x: float, text: str, size: int, colour: str, y: float | None = None) -> None:
        self._canvas.text((x, self._y if y is None else y), text, colour, ImageFont.load_default(size))


def _length(text: str, size: int) -> float:
    return ImageFont.load_default(size).getlength(text)


def _cut(text: str, room: float) -> str:
    if _length(text, SMALL) <= room:
        return text
    while text and _length(f"{text}…", SMALL) > room:
        text = text[:-1]
    return f"{text}…"
