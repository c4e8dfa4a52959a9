"""The preview from end to end: its own processes, the real bot, and people in headless Chromium."""

from __future__ import annotations

import os
import re
import signal

import pytest
from playwright.async_api import expect

from tests.page.conftest import Preview, message, result, use, visit

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

HOSTILE = (
    '<img src=x onerror="document.title=1"> <script>document.title=2</script> '
    "[a](javascript:alert(1)) ![b](http://127.0.0.1:9/x) "
    "||`**_~~> # -# <@1> <#2> @everyone \u202etfel ot thgir\u202c \u2066 https://example.org/?<b> ``` "
)


async def test_a_prompt_is_drawn_before_ones_eyes_and_its_buttons_go_on_from_there(preview, browser):
    (preview.folder / "model" / "go").unlink(missing_ok=True)
    async with visit(browser, preview.address) as page:
        await expect(page.locator(".banner")).to_contain_text("not Discord")
        await page.get_by_role("button", name="a red boat on the sea").click()
        await page.locator(".command textarea").fill("a slow boat")
        await page.keyboard.press("Enter")
        waiting = message(page, re.compile(r"a slow boat.*\((Waiting to start|\d+%)\)"))
        await expect(waiting).to_contain_text("(25%)")
        (preview.folder / "model" / "go").touch()
        grid = result(page, "a slow boat - @Mira")
        await grid.wait_for()
        await expect(waiting).to_have_count(0)
        await expect(grid.get_by_role("button", name="V1")).to_be_in_viewport()
        assert await grid.locator("img.shown").evaluate("image => image.decode().then(() => image.naturalWidth)") == 128
        await grid.get_by_role("button", name="U2").click()
        upscaled = message(page, "Image #2")
        await upscaled.get_by_role("button", name="Vary (Subtle)").wait_for()
        await expect(grid.get_by_role("button", name="U2")).to_have_class(re.compile("primary"))
        await grid.get_by_role("button", name="V3").click()
        await result(page, "Variations (Strong) of image #3").wait_for()
        await grid.get_by_role("button", name="🔄").click()
        await result(page, "Drawn again").wait_for()
        await upscaled.get_by_role("button", name=re.compile("Go to the message this answers")).click()
        await expect(grid).to_be_focused()


async def test_a_picture_opens_large_and_closes_again(preview, browser):
    async with visit(browser, preview.address) as page:
        await use(page, "imagine", "a wide lake --ar 2:1")
        await result(page, "a wide lake").get_by_role("button", name=re.compile("Open picture")).click()
        large = page.get_by_role("dialog", name="Picture")
        await expect(large.locator("img")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(large).to_have_count(0)


async def test_a_job_is_cancelled_by_its_owner_and_not_by_a_member(preview, browser):
    (preview.folder / "model" / "go").unlink(missing_ok=True)
    async with (
        visit(browser, preview.address + "?as=jonas") as mine,
        visit(browser, preview.address + "?as=priya") as hers,
    ):
        await use(mine, "imagine", "a slow whale")
        await message(hers, "a slow whale").get_by_role("button", name="Cancel").click()
        refusal = message(hers, "or a moderator can cancel")
        await expect(refusal).to_contain_text("Only you can see this")
        await expect(message(mine, "or a moderator can cancel")).to_have_count(0)
        await refusal.get_by_role("button", name="Dismiss").click()
        await expect(refusal).to_have_count(0)
        await message(mine, "a slow whale").get_by_role("button", name="Cancel").click()
        await expect(message(hers, "a slow whale")).to_contain_text("Cancelled by @Jonas")
    (preview.folder / "model" / "go").touch()


async def test_a_mistake_is_told_to_the_one_who_made_it_and_outlives_a_reload(preview, browser):
    async with visit(browser, preview.address) as mine, visit(browser, preview.address + "?as=jonas") as his:
        await use(mine, "imagine", "a fox --ar none")
        await expect(message(mine, "a fox --ar none")).to_contain_text("Only you can see this")
        await mine.reload()
        await expect(message(mine, "a fox --ar none")).to_contain_text("Only you can see this")
        await expect(message(his, "a fox --ar none")).to_have_count(0)


async def test_another_person_presses_a_button_and_is_credited(preview, browser):
    async with visit(browser, preview.address) as mine, visit(browser, preview.address + "?as=priya") as hers:
        await use(mine, "imagine", "a shared owl")
        await result(hers, "a shared owl").get_by_role("button", name="V1").click()
        made = result(mine, "Variations (Strong) of image #1 by @Priya")
        await expect(made).to_contain_text("after a picture by @Mira")


async def test_somebody_in_another_server_sees_nothing_of_it(preview, browser):
    async with visit(browser, preview.address) as mine, visit(browser, preview.address + "?as=teo") as theirs:
        await use(mine, "imagine", "a house for us")
        await result(mine, "a house for us").wait_for()
        await expect(theirs.get_by_role("heading", name="Harbour Prints")).to_be_visible()
        await expect(theirs.get_by_text("Lantern Studio", exact=True)).to_have_count(0)
        await expect(theirs.get_by_text("a house for us")).to_have_count(0)


async def test_the_bot_draws_in_a_direct_message(preview, browser):
    async with visit(browser, preview.address + "?as=teo") as page:
        await page.locator('[data-channel="Atelier"]').click()
        await use(page, "imagine", "a private heart")
        await result(page, "a private heart").wait_for()


async def test_the_bot_draws_where_only_the_person_has_it_and_for_nobody_else(preview, browser):
    there = preview.address + "?as={}"
    async with visit(browser, there.format("priya")) as hers, visit(browser, there.format("jonas")) as his:
        for page in (hers, his):
            await page.locator('[data-channel="chat"]').click()
        await his.get_by_label("Message", exact=True).fill("/")
        await expect(his.get_by_text("No commands are on offer here.")).to_be_visible()
        await use(hers, "imagine", "a book")
        await result(his, "a book").wait_for()


async def test_the_person_is_changed_by_keyboard_and_remembered_by_the_address(preview, browser):
    async with visit(browser, preview.address) as page:
        await page.get_by_role("radio", name=re.compile("Mira")).focus()
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("radio", name=re.compile("Jonas"))).to_be_checked()
        await page.reload()
        await expect(page.get_by_role("radio", name=re.compile("Jonas"))).to_be_checked()


async def test_a_hostile_prompt_is_shown_as_text(preview, browser):
    prompt = (HOSTILE * 40)[:5990]
    async with visit(browser, preview.address) as page:
        title = await page.title()
        await use(page, "imagine", prompt)
        shown = message(page, "onerror").last
        await shown.wait_for()
        assert await page.title() == title
        assert not await page.locator("#messages img[src=x], #messages script, #messages a[href^=javascript]").count()
        widths = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert widths[0] <= widths[1]
        line = page.get_by_label("Message", exact=True)
        await line.fill(HOSTILE)
        await line.press("Enter")
        said = page.locator("li.message", has_text="tfel ot thgir").last
        await expect(said).to_contain_text('<img src=x onerror="document.title=1">')
        assert not await page.locator("#messages img[src=x], #messages script, #messages a[href^=javascript]").count()
        assert await page.title() == title


async def test_a_bot_that_dies_is_started_again_and_goes_on_with_what_it_was_drawing(preview: Preview, browser):
    go = preview.folder / "model" / "go"
    go.unlink(missing_ok=True)
    async with visit(browser, preview.address) as page:
        await use(page, "imagine", "a slow tower")
        await expect(message(page, "a slow tower")).to_contain_text("25%")
        os.kill(preview.children()[0].pid, signal.SIGKILL)
        await expect(page.locator("#trouble")).to_contain_text("The bot has stopped")
        go.touch()
        await page.locator(".bot.well").wait_for()
        await result(page, "a slow tower").wait_for()


async def test_the_page_comes_back_with_a_preview_that_is_started_again(preview: Preview, browser):
    async with visit(browser, preview.address, may_lose="/feed") as page:
        await use(page, "imagine", "a lasting star")
        await result(page, "a lasting star").wait_for()
        go = preview.folder / "model" / "go"
        go.unlink(missing_ok=True)
        await use(page, "imagine", "a slow comet")
        await expect(message(page, "a slow comet")).to_contain_text("25%")
        below = preview.children()
        assert preview.stop() == 0
        assert not [each for each in below if each.is_running() and each.status() != "zombie"]
        await expect(page.locator("#offline")).to_be_visible()
        preview.start()
        await expect(page.locator("#offline")).to_be_hidden()
        await page.locator(".bot.well").wait_for()
        go.touch()
        await result(page, "a slow comet").wait_for()
        await expect(message(page, "a slow comet")).to_have_count(1)
        picture = result(page, "a lasting star").locator("img.shown")
        assert await picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 128
        await result(page, "a lasting star").get_by_role("button", name="V4").click()
        await result(page, "Variations (Strong) of image #4").wait_for()
