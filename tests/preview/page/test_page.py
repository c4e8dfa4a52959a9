"""The preview from end to end: its own processes, the real bot, and users in headless Chromium."""

from __future__ import annotations

import os
import re
import signal

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.support.preview_page import PreviewProcess, find_composer, find_grids, find_messages, send_command, visit

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOSTILE = (
    '<img src=x onerror="document.title=1"> <script>document.title=2</script> '
    "[a](javascript:alert(1)) ![b](http://127.0.0.1:9/x) "
    "||`**_~~> # -# <@1> <#2> @everyone \u202etfel ot thgir\u202c \u2066 https://example.org/?<b> ``` "
)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tab(preview, browser):
    """Open one tab for all tests; it loses its connection when the preview restarts."""
    async with visit(browser, preview.address, ignore="/feed") as page:
        yield page


async def test_a_prompt_is_generated_with_live_previews_and_working_buttons(preview, page):
    (preview.folder / "model" / "go").unlink(missing_ok=True)
    await expect(page.locator(".banner")).to_contain_text("not Discord")
    await page.get_by_role("button", name="a red boat on the sea").click()
    await page.locator(".command textarea").fill("a slow boat")
    await page.keyboard.press("Enter")
    waiting = find_messages(page, re.compile(r"a slow boat.*\((Waiting to start|\d+%)\)"))
    await expect(waiting).to_contain_text("(25%)")
    (preview.folder / "model" / "go").touch()
    grid = find_grids(page, "a slow boat - @Mira")
    await grid.wait_for()
    await expect(waiting).to_have_count(0)
    await expect(grid.get_by_role("button", name="V1")).to_be_in_viewport()
    assert await grid.locator("img.shown").evaluate("image => image.decode().then(() => image.naturalWidth)") == 128
    await grid.get_by_role("button", name="U2").click()
    upscaled = find_messages(page, "Image #2")
    await upscaled.get_by_role("button", name="Vary (Subtle)").wait_for()
    await expect(grid.get_by_role("button", name="U2")).to_have_class(re.compile("primary"))
    await grid.get_by_role("button", name="V3").click()
    await find_grids(page, "a slow boat - Variations (Strong)").wait_for()
    await grid.get_by_role("button", name="🔄").click()
    await find_grids(page, "Rerolled").wait_for()
    await upscaled.get_by_role("button", name=re.compile("Go to the message this replies to")).click()
    await expect(grid).to_be_focused()


async def test_a_picture_opens_in_the_lightbox_and_closes(page):
    await send_command(page, "imagine", "a wide lake --ar 2:1")
    await find_grids(page, "a wide lake").get_by_role("button", name=re.compile("Open picture")).click()
    large = page.get_by_role("dialog", name="Picture")
    await expect(large.locator("img")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(large).to_have_count(0)


async def test_the_region_picker_stands_beside_its_numbered_picture(page):
    await send_command(page, "imagine", "a wide garden")
    await find_grids(page, "a wide garden").get_by_role("button", name="U1").click()
    await find_messages(page, re.compile("a wide garden - Image #1")).get_by_role("button", name="Region").click()
    picker = find_messages(page, "Which part should be redrawn").last
    first = picker.get_by_role("button", name=re.compile("^1 "))
    await expect(first).to_be_in_viewport()
    picture = await picker.get_by_role("button", name="Open picture").bounding_box()
    assert picture["x"] + picture["width"] < (await first.bounding_box())["x"]
    await expect(picker.locator(".head")).to_be_in_viewport()


async def test_a_job_is_cancelled_by_its_owner_and_not_by_a_member(preview, browser):
    (preview.folder / "model" / "go").unlink(missing_ok=True)
    async with (
        visit(browser, preview.address + "?as=jonas") as mine,
        visit(browser, preview.address + "?as=priya") as hers,
    ):
        await send_command(mine, "imagine", "a slow whale")
        await find_messages(hers, "a slow whale").get_by_role("button", name="Cancel").click()
        refusal = find_messages(hers, "or a moderator can cancel")
        await expect(refusal).to_contain_text("Only you can see this")
        await expect(find_messages(mine, "or a moderator can cancel")).to_have_count(0)
        await refusal.get_by_role("button", name="Dismiss").click()
        await expect(refusal).to_have_count(0)
        await find_messages(mine, "a slow whale").get_by_role("button", name="Cancel").click()
        await expect(find_messages(hers, "a slow whale")).to_contain_text("Cancelled by @Jonas")
    (preview.folder / "model" / "go").touch()


async def test_an_error_is_shown_only_to_its_user_and_survives_a_reload(preview, browser, page):
    async with visit(browser, preview.address + "?as=jonas") as his:
        await send_command(page, "imagine", "a fox --ar none")
        await expect(find_messages(page, "a fox --ar none")).to_contain_text("Only you can see this")
        await page.reload()
        await expect(find_messages(page, "a fox --ar none")).to_contain_text("Only you can see this")
        await expect(find_messages(his, "a fox --ar none")).to_have_count(0)


async def test_another_user_presses_a_button_and_is_credited(preview, browser, page):
    async with visit(browser, preview.address + "?as=priya") as hers:
        await send_command(page, "imagine", "a shared owl")
        await find_grids(hers, "a shared owl").get_by_role("button", name="V1").click()
        variations = find_grids(page, "Variations (Strong) by @Priya")
        await expect(variations).to_contain_text("after a picture by @Mira")


async def test_users_of_another_server_do_not_see_the_messages(preview, browser, page):
    async with visit(browser, preview.address + "?as=teo") as theirs:
        await send_command(page, "imagine", "a house for us")
        await find_grids(page, "a house for us").wait_for()
        await expect(theirs.get_by_role("heading", name="Harbour Prints")).to_be_visible()
        await expect(theirs.get_by_text("Lantern Studio", exact=True)).to_have_count(0)
        await expect(theirs.get_by_text("a house for us")).to_have_count(0)


async def test_the_bot_generates_in_a_direct_message(preview, browser):
    async with visit(browser, preview.address + "?as=teo") as page:
        await page.locator('[data-channel="Atelier"]').click()
        await send_command(page, "imagine", "a private heart")
        await find_grids(page, "a private heart").wait_for()


async def test_a_user_installed_bot_generates_only_for_its_user(preview, browser):
    async with (
        visit(browser, preview.address + "?as=priya") as hers,
        visit(browser, preview.address + "?as=jonas") as his,
    ):
        for page in (hers, his):
            await page.locator('[data-channel="chat"]').click()
        await find_composer(his).fill("/")
        await expect(his.get_by_text("No commands are available here.")).to_be_visible()
        await send_command(hers, "imagine", "a book")
        await find_grids(his, "a book").wait_for()


async def test_the_user_is_switched_by_keyboard_and_kept_in_the_address(page):
    await page.get_by_role("radio", name=re.compile("Mira")).focus()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("radio", name=re.compile("Jonas"))).to_be_checked()
    await page.reload()
    await expect(page.get_by_role("radio", name=re.compile("Jonas"))).to_be_checked()


async def test_a_hostile_prompt_is_shown_as_text(page):
    prompt = (HOSTILE * 40)[:5990]
    title = await page.title()
    await send_command(page, "imagine", prompt)
    shown = find_messages(page, "onerror").last
    await shown.wait_for()
    assert await page.title() == title
    assert not await page.locator("#messages img[src=x], #messages script, #messages a[href^=javascript]").count()
    widths = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1]
    line = find_composer(page)
    await line.fill(HOSTILE)
    await line.press("Enter")
    sent = page.locator("li.message", has_text="tfel ot thgir").last
    await expect(sent).to_contain_text('<img src=x onerror="document.title=1">')
    assert not await page.locator("#messages img[src=x], #messages script, #messages a[href^=javascript]").count()
    assert await page.title() == title


async def test_a_killed_bot_restarts_and_resumes_its_job(preview: PreviewProcess, page):
    go = preview.folder / "model" / "go"
    go.unlink(missing_ok=True)
    await send_command(page, "imagine", "a slow tower")
    await expect(find_messages(page, "a slow tower")).to_contain_text("25%")
    os.kill(preview.children()[0].pid, signal.SIGKILL)
    await expect(page.locator("#trouble")).to_contain_text("The bot has stopped")
    go.touch()
    await page.locator(".bot.online").wait_for()
    await find_grids(page, "a slow tower").wait_for()


async def test_the_page_reconnects_when_the_preview_restarts(preview: PreviewProcess, page):
    await send_command(page, "imagine", "a lasting star")
    await find_grids(page, "a lasting star").wait_for()
    go = preview.folder / "model" / "go"
    go.unlink(missing_ok=True)
    await send_command(page, "imagine", "a slow comet")
    await expect(find_messages(page, "a slow comet")).to_contain_text("25%")
    children = preview.children()
    assert preview.stop() == 0
    assert not [each for each in children if each.is_running() and each.status() != "zombie"]
    await expect(page.locator("#offline")).to_be_visible()
    preview.start()
    await expect(page.locator("#offline")).to_be_hidden()
    await page.locator(".bot.online").wait_for()
    go.touch()
    await find_grids(page, "a slow comet").wait_for()
    await expect(find_messages(page, "a slow comet")).to_have_count(1)
    picture = find_grids(page, "a lasting star").locator("img.shown")
    assert await picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 128
    await find_grids(page, "a lasting star").get_by_role("button", name="V4").click()
    await find_grids(page, "a lasting star - Variations (Strong)").wait_for()
