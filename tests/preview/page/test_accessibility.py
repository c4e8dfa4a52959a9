"""The page's states are checked by axe-core, and every function works by keyboard and with a finger."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from playwright.async_api import Page, expect

from tests.support.accessibility import assert_accessible
from tests.support.preview_page import find_composer, find_messages, run_command, visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

SMALL_TARGETS = """() => [...document.querySelectorAll("button, a, [role=option], select")]
  .filter((each) => each.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
  .filter((each) => !each.matches(".name, .mention, .text a, .origin-line, .embed-title a, .picture"))
  .map((each) => [each.outerHTML.slice(0, 120), each.getBoundingClientRect()])
  .filter(([, box]) => box.width && (box.width < 44 || box.height < 43.9))
  .map(([html, box]) => `${box.width}x${box.height} ${html}`)"""


async def fill_channel(showcase: SimpleNamespace, page: Page) -> None:
    """Post a message of every kind."""
    words = "## Words\\n❤️ **b** <@1> [l](https://example.org) ||s|| `c` <t:1:D>\\n> q\\n-# small"
    await run_command(showcase.server, page, "say", text=words)
    for command in ("gallery", "form", "embed", "choose"):
        await run_command(showcase.server, page, command)


OPENED = {
    "menu": ("More for this message", "menu"),
    "reactions": ("Add a reaction", "dialog"),
    "friends": ("Let friends press", "dialog"),
    "form": ("Remix…", "dialog"),
}


async def test_axe_finds_nothing_in_the_channel_and_what_opens_from_it(showcase, browser):
    async with visit(browser, showcase.address) as page:
        await assert_accessible(page)
        await fill_channel(showcase, page)
        await assert_accessible(page)
        await page.emulate_media(color_scheme="dark")
        await assert_accessible(page)
        said = find_messages(page, "Press one").last
        for button, role in OPENED.values():
            await said.get_by_role("button", name=button).first.focus()
            await page.keyboard.press("Enter")
            await page.get_by_role(role).filter(visible=True).wait_for()
            await assert_accessible(page, ".popup, dialog")
            await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Pick fruit").last.press("Enter")
        await assert_accessible(page, ".popup")
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="About this preview").press("Enter")
        await assert_accessible(page, "dialog")
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Open picture: gold").last.press("Enter")
        await assert_accessible(page, "dialog")


async def test_axe_finds_nothing_in_the_composer_and_a_closed_channel(showcase, browser):
    async with visit(browser, showcase.address + "?as=jonas") as page:
        line = find_composer(page)
        for text in ("/", "/wibble", "hi @", "/options "):
            await line.fill(text)
            await assert_accessible(page, ".composer")
        await page.get_by_role("button", name="steps", exact=True).press("Enter")
        await page.get_by_role("button", name="Use /options").press("Enter")
        await assert_accessible(page, ".composer")
        await page.locator('[data-channel="read-only"]').press("Enter")
        await line.press("h")
        await assert_accessible(page)


async def test_a_phone_has_a_menu_button_and_targets_for_fingers(showcase, browser):
    async with visit(browser, showcase.address, size=(390, 844), has_touch=True) as page:
        await fill_channel(showcase, page)
        said = find_messages(page, "Press one").last
        await said.get_by_role("button", name="More for this message").click()
        await page.get_by_role("menuitem", name="Add a reaction").click()
        await page.get_by_role("button", name="🎨").click()
        await said.get_by_role("button", name="🎨, 1 reaction").wait_for()
        assert await page.evaluate(SMALL_TARGETS) == []
        await page.get_by_role("button", name=re.compile("You are Mira")).click()
        await expect(page.get_by_role("radio", name=re.compile("Mira"))).to_be_focused()
        await assert_accessible(page)
        assert await page.evaluate(SMALL_TARGETS) == []
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("button", name=re.compile("You are Mira"))).to_be_focused()
        await page.locator("#scroller").evaluate("each => each.scrollTo(0, 0)")
        newest = page.get_by_role("button", name="Newest messages")
        assert (await newest.bounding_box())["height"] < 50


async def test_a_message_is_reached_and_its_menu_used_by_keyboard(showcase, page):
    said = await run_command(showcase.server, page, "say", text="by keyboard")
    await page.locator("#messages").focus()
    await page.keyboard.press("ArrowUp")
    await expect(said).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("menuitem").first).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(said).to_be_focused()
    for name in ("Atelier", "Add a reaction", "More for this message"):
        await page.keyboard.press("Tab")
        await expect(said.get_by_role("button", name=name)).to_be_focused()
    await expect(said.locator(".tools")).to_have_css("opacity", "1")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert await page.evaluate(outline) == "solid"


async def test_a_picture_is_zoomed_and_a_spoiler_shown_by_keyboard(showcase, page):
    box = await run_command(showcase.server, page, "gallery")
    await box.get_by_role("button", name="Open picture: red").press("Enter")
    large = page.get_by_role("dialog", name="Picture").locator("img")
    before = (await large.bounding_box())["width"]
    assert before > 320  # small originals are enlarged
    await page.get_by_role("button", name="Zoom in").press("Enter")
    assert (await large.bounding_box())["width"] == pytest.approx(2 * before, rel=0.02)
    await page.keyboard.press("Escape")
    secret = await run_command(showcase.server, page, "secret")
    assert await secret.locator("[inert]").count() == 2
    await secret.get_by_role("button", name="Show spoiler").press("Enter")
    await expect(secret.locator("[inert]")).to_have_count(0)
    await expect(secret.get_by_role("button", name="Inside")).to_be_visible()
