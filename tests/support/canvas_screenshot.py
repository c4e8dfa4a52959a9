"""Take the screenshot of a canvas in docs/gallery.md: `python -m tests.support.canvas_screenshot`.

It runs unattended: a bot with the embedded model, two people who paint beside each other, and headless Chromium. Set
`ATELIER_TEST_TIMEOUT_SCALE` on a slow machine: a piece takes as long as a grid.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from discord.http import Route
from playwright.async_api import async_playwright, expect

from generation.models.model import EMBEDDED
from generation.worker.engine_loader import load_engine
from preview import FakeDiscord, World
from tests.cogs.together.canvas.test_canvas import Painting
from tests.support import fake_engine
from tests.support.bot_harness import BotHarness
from tests.support.gallery import GalleryHarness, open_gallery
from tests.support.gallery_screenshots import ROOT, _save, _settled
from tests.support.preview_page import CHROMIUM_FLAGS, chromium

THEME = "a village by the sea --steps 8"
PIECES = ("a lighthouse", "a small house", "a sailing boat", "pine trees", "a red fox")


async def main() -> None:
    fake_engine.load = load_engine
    with tempfile.TemporaryDirectory() as folder:
        async with FakeDiscord(World(), limits=()) as server:
            Route.BASE = server.api_url
            harness = BotHarness(server, Path(folder))
            async with open_gallery(harness, models=(EMBEDDED,)) as gallery:
                await _shoot(gallery, await _paint(harness, gallery))


async def _paint(harness: BotHarness, gallery: GalleryHarness) -> str:
    painting = await Painting.start(harness, gallery.services, THEME, width=4, height=3)
    for number, words in enumerate(PIECES):
        await painting.paint((harness.ada, harness.ben)[number % 2], words)
        painting.pass_time()
        print(words, flush=True)
    await harness.person(harness.ada).command("canvas finish", harness.channel)
    await painting.until(lambda session: session.ended_at is not None)
    return str(painting.id)


async def _shoot(gallery: GalleryHarness, canvas: str) -> None:
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        await page.goto(gallery.url)
        await page.get_by_role("link", name="Log in with Discord").click()
        await page.get_by_role("button", name="ben", exact=True).click()
        await expect(page.get_by_role("button", name="Log out")).to_be_visible()
        await page.goto(f"{gallery.url}/canvas/{canvas}")
        await page.get_by_role("button", name=PIECES[2]).click()
        await _settled(page)
        _save(await page.screenshot(), ROOT / "docs" / "gallery-canvas.webp")
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
