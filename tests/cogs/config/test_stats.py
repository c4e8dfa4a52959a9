"""/config stats: a readable chart and the same numbers as text."""

from __future__ import annotations

import io

import pytest
from PIL import Image, ImageDraw

from bot.images import fonts
from bot.ui.i18n import tr
from cogs.config.stats import _chart_labels, summary_text
from cogs.config.stats_chart import PALETTES, WIDTH, _model_rows, draw_chart, duration
from db.stats import Breakdown, Percentiles, Statistics
from generation.job import Action
from tests.support.languages import run_in


async def open_stats(harness, period):
    """Run the command and return its response."""
    message = await (
        await harness.person(harness.mod).command("config stats", harness.channel, period=period)
    ).message()
    assert message.ephemeral
    return message


async def test_statistics_come_as_a_chart_and_as_text(harness):
    async with harness.bot():
        await harness.imagine("a fox")
        await harness.person(harness.ben).press(await harness.result(), "V1")
        await harness.result(text="Variations")
        await harness.imagine("a fox of death")
        await harness.status_message("gave up")
        for period in ("day", "week", "month"):
            message = await open_stats(harness, period)
            assert f"**The last {period}:** 3 jobs by 2 people" in message.content
            assert "1 failed, 0 cancelled" in message.content
            assert "ended twice while it drew this" in message.content
            (attachment,) = message.attachments
            assert attachment.description.startswith(f"The last {period}: 3 jobs by 2 people")
            assert "**" not in attachment.description and "-# " not in attachment.description
            image = Image.open(io.BytesIO(harness.server.core.files.get(attachment.id)))
            assert image.format == "PNG"
            assert image.width == WIDTH


async def test_a_server_without_jobs_gets_a_chart_too(harness):
    async with harness.bot():
        message = await open_stats(harness, "day")
    assert "0 jobs by 0 people" in message.content
    assert len(message.attachments) == 1


async def test_config_stats_needs_manage_server(harness):
    async with harness.bot():
        assert "config" not in {command["name"] for command in harness.person(harness.ada).commands(harness.channel)}


def make_statistics(**changes):
    plain = {
        "jobs": 10,
        "people": 2,
        "seconds": 100.0,
        "failed": 1,
        "cancelled": 0,
        "queue_time": Percentiles(1.0, 2.0),
        "generation_time": Percentiles(3.0, 4.0),
        "by_person": [Breakdown("ada", 6, 60.0)],
        "by_action": [Breakdown("imagine", 10, 100.0)],
        "by_model": [Breakdown("Painter", 10, 100.0)],
        "over_time": [1, 2, 3, 4],
        "failures": {},
    }
    return Statistics(**{**plain, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"jobs": 123_456_789, "people": 1_000_000, "seconds": 1e9, "failed": 123_456_788},
        {
            "by_person": [Breakdown("w" * 32, 6, 60.0)] * 6,
            "by_model": [Breakdown("A model with a very long name" * 3, 1, 1.0)],
        },
        {"by_person": [Breakdown("", 1, 0.0)], "seconds": 0.0, "over_time": [0] * 30},
        {"queue_time": Percentiles(0.0, 0.0), "generation_time": None},
    ],
    ids=["plain", "large numbers", "long names", "nothing drawn", "no times"],
)
@pytest.mark.parametrize("language", ["en", "de"])
def test_nothing_overflows_the_chart(language, changes):
    labels = run_in(language, _chart_labels, "month", 1_795_000_000.0)
    data = run_in(language, draw_chart, make_statistics(**changes), labels)
    image = Image.open(io.BytesIO(data)).convert("RGB")
    ground = Image.new("RGB", (1, 1), PALETTES["dark"].background).getpixel((0, 0))
    for left in (0, WIDTH - 20):
        assert [colour for _, colour in image.crop((left, 0, left + 20, image.height)).getcolors()] == [ground]


@pytest.mark.parametrize("system_fonts", [fonts.SYSTEM_FONTS, ()], ids=["the system's font", "Pillow's own font"])
def test_the_font_has_every_letter_of_the_german_chart(monkeypatch, system_fonts):
    written = []
    draw_text = ImageDraw.ImageDraw.text

    def record(canvas, position, text, colour, font):
        written.append((text, font))
        draw_text(canvas, position, text, colour, font)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", record)
    monkeypatch.setattr(fonts, "SYSTEM_FONTS", system_fonts)
    fonts.load_font.cache_clear()
    models = [Breakdown("größtes Modell", 1, 1.0)]
    statistics = make_statistics(by_model=models, by_action=[Breakdown(action, 1, 1.0) for action in Action])
    run_in("de", lambda: draw_chart(statistics, _chart_labels("week", 1_795_000_000.0)))
    run_in("de", lambda: draw_chart(make_statistics(by_action=[]), _chart_labels("day", 1_795_000_000.0)))
    fonts.load_font.cache_clear()
    letters = {(letter, font) for text, font in written for letter in text if letter != " "}
    missing = {letter for letter, font in letters if _is_missing(letter, font)}
    assert any(text.startswith("gr") for text, _ in written)
    assert missing == set()


def _is_missing(letter, font):
    return bytes(font.getmask(letter)) == bytes(font.getmask("\uffff"))


def test_numbers_and_times_are_german_in_a_german_server():
    text = run_in("de", summary_text, make_statistics(jobs=1, people=2), "week")
    assert text.startswith("**Die letzte Woche:** 1 Auftrag von 2 Personen, 100 s Zeichenzeit; 1 gescheitert")
    assert (run_in("de", duration, 9.94), run_in("de", duration, 1e9)) == ("9,9 s", "11.574 d")
    labels = run_in("de", _chart_labels, "month", 1_795_000_000.0)
    assert (labels.title, labels.ticks[0], labels.ticks[-1]) == ("Der letzte Monat", "19.10.", "17.11.")


def test_the_ends_of_a_day_have_different_labels():
    ticks = run_in("en", _chart_labels, "day", 1_795_000_000.0).ticks
    assert len(set(ticks)) == len(ticks) == 24


def test_the_jobs_by_model_add_up_to_all_jobs():
    models = [Breakdown("Painter", 5, 50.0), Breakdown("", 3, 0.0), Breakdown("Engraver", 2, 20.0)]
    assert run_in("en", _model_rows, make_statistics(jobs=13, by_model=models)) == [
        ("Painter", 5, "5"),
        ("Engraver", 2, "2"),
        ("other models", 3, "3"),
        ("not finished", 3, "3"),
    ]


def test_one_reason_in_several_languages_is_counted_once():
    def told(language, number):
        return run_in(language, tr, "Cancelled by {whom}.", whom=f"<@{number}>")

    failures = {told("en", 1): 2, told("de", 2): 3, "The paint is dry.": 4, told("en", 3): 1}
    english, german = (run_in(each, summary_text, make_statistics(failures=failures), "week") for each in ("en", "de"))
    assert english.splitlines()[2:] == ["-# 6 × Cancelled by ….", "-# 4 × The paint is dry."]
    assert german.splitlines()[2:] == ["-# 6 × Abgebrochen von ….", "-# 4 × The paint is dry."]


@pytest.mark.parametrize("theme", PALETTES)
def test_chart_text_has_enough_contrast(theme):
    palette = PALETTES[theme]
    for colour in (palette.text, palette.muted_text, palette.bar):
        assert contrast_ratio(colour, palette.background) >= 4.5  # WCAG 2.2, 1.4.3
    for colour in (palette.text, palette.muted_text):
        assert contrast_ratio(colour, palette.panel) >= 4.5


def contrast_ratio(one, other):
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour):
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "0.0 s"), (9.94, "9.9 s"), (59.0, "59 s"), (150.0, "2.5 min"), (7300.0, "2.0 h"), (1e9, "11,574 d")],
)
def test_durations_use_a_suitable_unit(seconds, words):
    assert duration(seconds) == words
