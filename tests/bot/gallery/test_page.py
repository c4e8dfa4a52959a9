"""The gallery in headless Chromium: on a phone and a large screen, by keyboard, in both colour schemes."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.support.accessibility import assert_accessible
from tests.support.bot_harness import open_harness
from tests.support.gallery import open_gallery
from tests.support.preview_page import PageErrors, blank_tab, browser

__all__ = ["browser"]
pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the one Chromium for all tests
SIZES = {"phone": (390, 844), "tablet": (820, 1180), "desktop": (1440, 900)}
SMALL_TARGETS = """() => [...document.querySelectorAll("button, a.button, nav a, select, input[type=checkbox]")]
  .filter((each) => each.checkVisibility({ visibilityProperty: true }))
  .map((each) => [each.outerHTML.slice(0, 100), each.getBoundingClientRect()])
  .filter(([, box]) => box.width && (box.width < 43.9 || box.height < 43.9))
  .map(([html, box]) => `${box.width}x${box.height} ${html}`)"""


# The pages forbid `eval`, which waiting for a function uses. Images far below are loaded once somebody scrolls there.
IMAGES_ARE_LOADED = """() => Promise.all(
  [...document.images].filter((each) => each.loading !== "lazy").map((each) => each.decode().catch(() => null)))"""


@pytest_asyncio.fixture(loop_scope="session")
async def harness(tmp_path, monkeypatch, fork_server, make_database):
    async with open_harness(tmp_path, monkeypatch, fork_server, make_database) as harness:
        yield harness


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser):
    """Return what opens a tab; an error of the page, or of a request, fails the test."""

    @asynccontextmanager
    async def open_tab(**context):
        async with blank_tab(browser, **context) as page:
            errors = PageErrors(page)
            yield page
        assert [each for each in errors if not each.startswith("fetched ")] == []

    return open_tab


async def log_in(page, gallery, name):
    """Press *Log in* and agree on Discord's page."""
    await page.goto(gallery.url)
    await page.get_by_role("link", name="Log in with Discord").click()
    await page.get_by_role("button", name=name, exact=True).click()
    await expect(page.get_by_role("button", name="Log out")).to_be_visible()


async def sign_in(page, gallery, user):
    """Give the tab the cookies of somebody who is logged in already, and open the gallery."""
    async with gallery.visitor() as visitor:
        await visitor.log_in(user)
        cookies = [{"name": each.key, "value": each.value, "url": gallery.url} for each in visitor.http.cookie_jar]
    await page.context.add_cookies(cookies)
    await page.goto(gallery.url)
    await expect(page.get_by_role("button", name="Log out")).to_be_visible()


async def assert_fits(page, path):
    """Check the open page on a phone, a tablet, and a large screen in the dark."""
    await page.locator("main[aria-busy=false]").wait_for()
    await page.evaluate(IMAGES_ARE_LOADED)
    for name, (width, height) in SIZES.items():
        await page.set_viewport_size({"width": width, "height": height})
        await page.emulate_media(color_scheme="dark" if name == "desktop" else "light")
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, (name, path)
        assert await page.evaluate(SMALL_TARGETS) == [], (name, path)
        await assert_accessible(page)


async def test_every_page_fits_its_screen_and_is_accessible(harness, open_page):
    async with open_gallery(harness) as gallery, open_page() as page:
        tile, _ = await gallery.draw(
            "a mosaic of a fox with <b>bold</b> words and averylongwordwithoutanyspace" + "x" * 90
        )
        owl, _ = await gallery.draw("a mosaic owl", harness.ben)
        sessions = await gallery.store_sessions(tile, owl)
        await page.goto(gallery.url)
        await expect(page.get_by_role("link", name="Log in with Discord")).to_be_visible()
        await assert_fits(page, "without a login")
        await sign_in(page, gallery, harness.ben)
        together = [f"/together?kind={kind}" for kind in (*sessions, "families")]
        made = [f"/{kind}/{session_id}" for kind, session_id in sessions.items()]
        for path in ("/", "/?q=fox", f"/p/{tile}", "/mine", "/find", f"/tree/{tile.job_id}", *together, *made):
            await page.goto(gallery.url + path)
            await assert_fits(page, path)


async def test_a_visitor_searches_opens_and_marks_a_picture_by_keyboard(harness, open_page):
    async with open_gallery(harness) as gallery, open_page() as page:
        fox, _ = await gallery.draw("a mosaic fox")
        await gallery.draw("a mosaic owl", harness.ben)
        await log_in(page, gallery, "ben")
        await expect(page.locator(".cell")).to_have_count(8)
        await page.get_by_role("searchbox").fill("fox by:ada")
        await page.keyboard.press("Enter")
        await expect(page.locator(".cell")).to_have_count(4)
        await page.locator(f"[data-tile='{fox}']").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator(".prompt")).to_have_text("a mosaic fox")
        heart = page.get_by_role("button", name="Favourite")
        await heart.focus()
        await page.keyboard.press("Space")
        await expect(heart).to_have_attribute("aria-pressed", "true")
        assert await gallery.services.db.favourites.has_any(harness.ben.id, fox.job_id)
        discord = page.get_by_role("link", name="Open in Discord")
        assert f"/{harness.channel.id}/" in await discord.get_attribute("href")
        await page.go_back()
        await expect(page.get_by_role("searchbox")).to_have_value("fox by:ada")


async def test_own_pictures_are_selected_downloaded_and_deleted(harness, open_page):
    async with open_gallery(harness) as gallery, open_page() as page:
        tile, message = await gallery.draw("a mosaic owl", harness.ben)
        await sign_in(page, gallery, harness.ben)
        await page.get_by_role("link", name="Mine").click()
        await page.get_by_role("checkbox").first.check()
        async with page.expect_download() as download:
            await page.get_by_role("button", name="Download as zip").click()
        assert (await download.value).suggested_filename == "pictures.zip"
        await page.get_by_role("button", name="Delete", exact=True).click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Delete").click()
        await expect(page.locator(".cell")).to_have_count(0)
        await harness.server.wait_until(lambda: message.deleted)
        assert (await gallery.services.db.jobs.get(tile.job_id)).deleted


async def test_a_dropped_picture_is_found(harness, open_page):
    async with open_gallery(harness) as gallery, open_page() as page:
        tile, _ = await gallery.draw("a mosaic fox")
        copy = await gallery.services.images.files.read(tile)
        await sign_in(page, gallery, harness.ben)
        await page.get_by_role("link", name="Find").click()
        await page.locator("#file").set_input_files({"name": "copy.png", "mimeType": "image/png", "buffer": copy})
        await expect(page.get_by_role("heading", name="This is it:")).to_be_visible()
        await expect(page.locator(".cell").first.locator("a")).to_have_attribute("href", f"/p/{tile}")


async def test_a_canvas_is_enlarged_and_tells_who_painted_what_by_keyboard(harness, open_page):
    async with open_gallery(harness) as gallery, open_page() as page:
        tile, _ = await gallery.draw("a mosaic harbour")
        owl, _ = await gallery.draw("an owl")
        await gallery.store_sessions(tile, owl)
        await sign_in(page, gallery, harness.ben)
        await page.get_by_role("link", name="Together").click()
        await page.get_by_role("link", name="<b>the sea</b>").click()
        await expect(page.get_by_role("heading", name="<b>the sea</b>")).to_be_visible()
        piece = page.get_by_role("button", name="a <b>boat</b>")
        await piece.focus()
        await page.keyboard.press("Enter")
        await expect(piece).to_have_attribute("aria-pressed", "true")
        await expect(page.locator(".marks > div")).to_have_count(1)
        width = await page.locator(".sheet").evaluate("each => each.clientWidth")
        await page.get_by_role("button", name="Zoom in").click()
        assert await page.locator(".sheet").evaluate("each => each.clientWidth") > 1.4 * width
        await page.locator(".sheet img").click(position={"x": 5, "y": 5})
        await expect(piece).to_have_attribute("aria-pressed", "false")


async def test_the_pages_are_german_in_a_german_browser(harness, open_page):
    async with open_gallery(harness) as gallery, open_page(locale="de-DE") as page:
        await gallery.draw("a mosaic fox")
        await page.goto(gallery.url)
        await page.get_by_role("link", name="Mit Discord anmelden").click()
        await page.get_by_role("button", name="ben", exact=True).click()
        await expect(page.get_by_role("link", name="Neueste")).to_be_visible()
        await expect(page.get_by_role("button", name="Suchen")).to_be_visible()
        assert await page.evaluate("document.documentElement.lang") == "de"
        assert await page.title() == "Neueste · Galerie"


async def test_scripts_in_prompts_stay_text(harness, open_page):
    async with open_gallery(harness) as gallery, open_page() as page:
        tile, _ = await gallery.draw("a mosaic <img src=x onerror=document.title='hacked'> fox")
        await sign_in(page, gallery, harness.ben)
        await page.goto(f"{gallery.url}/p/{tile}")
        await expect(page.locator(".prompt")).to_contain_text("<img src=x")
        assert await page.locator("main img[src='x']").count() == 0
        assert "hacked" not in await page.title()
