"""The pages speak the visitor's language: the scripts use the texts that the server sends, and no others."""

from __future__ import annotations

import re

import pytest

from bot.gallery.server import STATIC_FOLDER
from bot.gallery.session_pages import KINDS
from bot.gallery.texts import language_of, page_texts
from bot.ui.i18n import set_locale
from tests.support.gallery import open_gallery

NAMED = {
    "title": ["newest", "together", "mine", "find", "picture", "tree", *KINDS.split("|")],
    "tab": ["families", *KINDS.split("|")],
    "kind": ["history", "favourites", "private"],
}


def test_the_scripts_use_every_text_and_no_other():
    used = {f"{group}_{name}" for group, names in NAMED.items() for name in names}
    for path in STATIC_FOLDER.iterdir():
        source = path.read_text(encoding="utf-8")
        used |= set(re.findall(r'data-(?:text|label)="(\w+)"', source))
        for call in re.findall(r"(?<![\w.])t\(([^()]*)", source):
            used |= set(re.findall(r'"(\w+)"', call))
    assert used == set(page_texts())


@pytest.mark.parametrize(
    ("accepted", "at_discord", "language"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", "", "de"),
        ("fr, de;q=0.5, en;q=0.7", "", "en"),
        ("de;q=0, en", "", "en"),
        ("fr", "de", "de"),
        ("", "de", "de"),
        ("en", "de", "en"),
        ("", "", "en"),
        (";q=x,,;q=,\u00e4;q=nan", "xx", "en"),
    ],
)
def test_the_language_is_the_browsers_or_else_that_of_discord(accepted, at_discord, language):
    assert language_of(accepted, at_discord) == language


async def test_pages_and_errors_are_german_for_a_german(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        tile, _ = await gallery.draw("a mosaic fox")
        await ben.log_in(harness.ben)
        german = {"Accept-Language": "de-AT,de;q=0.9"}
        known = (await ben.get("/api/me", headers=german)).text
        assert '"language": "de"' in known
        assert "Neueste" in known
        refused = await ben.get("/api/pictures/000000000000-0", headers=german)
        assert refused.status == 404
        assert "Bild" in refused.text
        assert "Gezeichnet" in (await ben.get(f"/api/pictures/{tile}", headers=german)).text
        assert '"language": "en"' in (await ben.get("/api/me")).text


async def test_without_a_known_language_of_the_browser_discords_counts(harness):
    harness.ben.locale = "de"
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        await ben.log_in(harness.ben)
        assert (await ben.json("/api/me"))["language"] == "de"


@pytest.fixture(autouse=True)
def english():
    set_locale("en")
    yield
    set_locale("en")
