"""The composer: mentions, edits, who is typing, the order of the commands, and channels where one cannot write."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page, expect

from tests.support.preview_page import find_composer, find_messages, send_command, visit

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def send(page: Page, text: str) -> None:
    line = find_composer(page)
    await line.fill(text)
    await line.press("Enter")


async def test_a_person_is_mentioned_by_name(showcase, page):
    line = find_composer(page)
    await line.press_sequentially("hi @pri")
    await expect(page.get_by_role("option")).to_have_text(["@Priya priya"])
    await line.press("Tab")
    await expect(line).to_have_value("hi @Priya ")
    await line.press_sequentially("not@Priya, @Priyanka")
    await line.press("Enter")
    sent = find_messages(page, "hi").last
    await expect(sent.locator(".mention")).to_have_text("@Priya")
    await expect(sent.locator(".text")).to_have_text("hi @Priya not@Priya, @Priyanka")
    priya = next(each for each in showcase.server.world.users.values() if each.name == "priya")
    assert [ping.user_id for ping in showcase.server.pings][-1:] == [priya.id]


async def test_the_arrow_key_edits_the_last_own_message(showcase, browser, page):
    await send(page, "frist @Jonas words")
    await find_messages(page, "frist").last.wait_for()
    line = find_composer(page)
    await line.press("ArrowUp")
    await expect(line).to_have_value("frist @Jonas words")
    await expect(page.get_by_text("Editing your message")).to_be_visible()
    await line.fill("first @Jonas words")
    await line.press("Enter")
    edited = find_messages(page, "first").last
    await expect(edited.locator(".text")).to_have_text("first @Jonas words (edited)")
    await expect(line).to_have_value("")
    await line.press("ArrowUp")
    await line.press("Escape")
    await expect(line).to_have_value("")
    async with visit(browser, showcase.address + "?as=priya", ignore="422") as hers:
        await find_messages(hers, "first").last.click(button="right")
        await expect(hers.get_by_role("menuitem", name="Reply")).to_be_visible()
        await expect(hers.get_by_role("menuitem", name="Edit message")).to_have_count(0)


async def test_others_see_who_is_typing_until_the_message_arrives(showcase, browser, page):
    async with visit(browser, showcase.address + "?as=priya") as hers:
        await find_composer(page).press_sequentially("hm")
        await expect(hers.locator("#typing")).to_have_text("Mira is typing…")
        await page.keyboard.press("Enter")
        await expect(hers.locator("#typing")).to_have_text("")


async def test_a_closed_channel_says_why_and_offers_nothing(showcase, browser):
    async with visit(browser, showcase.address + "?as=jonas") as his:
        await his.locator('[data-channel="read-only"]').click()
        line = find_composer(his)
        await expect(line).to_have_attribute("placeholder", re.compile("do not have permission to send messages"))
        await expect(his.locator(".welcome")).to_contain_text("You may not write in this channel")
        await expect(his.locator(".welcome .example")).to_have_count(0)
        await his.keyboard.press("/")
        await his.keyboard.type("hello")
        await his.keyboard.press("Enter")
        await expect(line).to_have_value("")
        await expect(his.get_by_role("alert").filter(has_text="do not have permission")).to_have_count(1)


async def test_frequent_commands_come_first_in_the_menu(page):
    ranked = """async (names) => {
      const { sortByUse } = await import(new URL("uses.js", document.scripts[0].src));
      return sortByUse(names.map((name) => ({ name }))).map((each) => each.name);
    }"""
    names = ["blend", "config log", "imagine", "say", "shelf show", "zebra"]
    await send_command(page, "shelf")
    await find_messages(page, "row 1 of the shelf").last.wait_for()
    order = await page.evaluate(ranked, names)
    assert order[0] == "imagine"
    assert order.index("shelf show") < order.index("blend") < order.index("zebra")
    await find_composer(page).fill("/")
    await expect(page.get_by_role("option").first).not_to_contain_text("/choose")


async def test_a_command_that_was_begun_takes_the_words_behind_it(page):
    line = find_composer(page)
    await line.fill("/sa two words")
    await expect(page.get_by_role("option")).to_contain_text(["/say"])
    await line.press("Enter")
    await page.get_by_role("button", name="Use /say").press("Enter")
    await find_messages(page, "two words").last.wait_for()


async def test_what_is_no_command_is_said_to_be_sent_as_a_message(page):
    line = find_composer(page)
    note = page.get_by_text("There is no command like /wibble. Enter sends it as a message.")
    await line.fill("/wibble")
    await expect(note).to_be_visible()
    await line.press("Escape")
    await expect(note).to_be_hidden()
    await line.press_sequentially("s")
    await line.press("Enter")
    await find_messages(page, "/wibbles").last.wait_for()
    await expect(page.get_by_text("There is no command like")).to_be_hidden()
