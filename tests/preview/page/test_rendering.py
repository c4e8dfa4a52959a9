"""Every kind of message and component, rendered and used in headless Chromium."""

from __future__ import annotations

import re

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.support.preview_page import find_composer, find_messages, run_command, send_command, visit

pytestmark = pytest.mark.asyncio(loop_scope="session")


MARKDOWN = [
    ("**bold *both* bold**", "strong em", "both"),
    ("_it_ and snake_case_name", "em", "it"),
    ("__under__", "u", "under"),
    ("~~gone~~", "s", "gone"),
    ("`code **raw**`", "code.inline", "code **raw**"),
    ("```py\nprint(1)\n```", "pre.code", "print(1)"),
    ("# One\nrest", ".heading.level1", "One"),
    ("-# small", ".subtext", "small"),
    ("> said", "blockquote", "said"),
    (">>> all\nof it", "blockquote", "all\nof it"),
    ("- a\n  - b", "ul ul li", "b"),
    ("3. c", "ol[start='3'] li", "c"),
    ("[words](https://example.org/)", "a[href='https://example.org/']", "words"),
    ("see https://example.org/a_(b).", "a", "https://example.org/a_(b)"),
    ("<https://example.org/x>", "a", "https://example.org/x"),
    ("<t:1700000000:D>", "time.stamp", re.compile("2023")),
    ("@everyone", ".mention", "@everyone"),
    ("<:fox:1234>", ".custom-emoji", ":fox:"),
    (r"\*plain\*", "p", "*plain*"),
    ("[no](javascript:alert(1))", "p", "[no](javascript:alert(1))"),
    ("**open", "p", "**open"),
    ("2 * 3 * 4", "p", "2 * 3 * 4"),
    ("_a_b *c* __d_e__", "u", "d_e"),
    ("_open _a_b and _closed_", "em", "open _a_b and _closed"),
    ("_a *b _c_", "em", "a *b _c"),
    ("||**open|| and **shut**", ".spoiled", "**open"),
    ("https://example.org/...!?", "a", "https://example.org/"),
]


@pytest.mark.parametrize(("source", "selector", "text"), MARKDOWN)
async def test_markdown_is_shown_as_discord_shows_it(showcase, tab, source, selector, text):
    mira = next(each for each in showcase.server.world.users.values() if each.name == "mira")
    channel = next(each for each in showcase.server.world.channels.values() if each.name == "gallery")
    sent = await showcase.server.person(mira).send(channel, source)
    shown = tab.locator(f"#message-{sent.id} .content {selector}").first
    await expect(shown).to_have_text(text)


HOSTILE_TEXTS = re.findall(
    r"\S+",
    r"a_ _a_b *a _a ~~a ||a **a __a `a ``a [a [a](b [a](<b <http://a http://a.,. <t:1:F> <@1> @here \\ > - # a|| ![a]("
    r" **a_b __a*b _* *_ *** ____ ~~~ ||||| `` ``` ```` ()",
)
SHOW_MARKDOWN = """async (text) => {
  const { markdown } = await import(new URL("markdown.js", document.scripts[0].src));
  markdown(text);
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def measure_ms(page):
    """Return a function that tells how long the page's thread has worked; that it waits for others does not count."""
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")

    async def measure() -> float:
        metrics = (await session.send("Performance.getMetrics"))["metrics"]
        return next(each["value"] for each in metrics if each["name"] == "ThreadTime") * 1000

    yield measure
    await session.detach()


async def time_markdown(page, measure_ms, text):
    """Return how long a text takes at best: it is tried three times."""
    times = []
    for _ in range(3):
        start = await measure_ms()
        await page.evaluate(SHOW_MARKDOWN, text)
        times.append(await measure_ms() - start)
    return min(times)


async def test_no_text_takes_the_page_50_ms(page, measure_ms):
    texts = [(part + gap) * (4000 // len(part + gap)) for part in HOSTILE_TEXTS for gap in ("", "x ")]
    texts += [
        f"http://{'.' * 3900}a",
        f"- {' ' * 3900}\u2028",
        f"{'> ' * 1900}",
        f"{'```a```' * 570}",
        f"{'_' * 3999}a",
    ]
    times = [await time_markdown(page, measure_ms, text) for text in texts]
    slow = {text[:20]: each for text, each in zip(texts, times, strict=True) if each > 50}
    assert not slow


async def test_users_and_channels_are_mentioned_by_name(showcase, page):
    world = showcase.server.world
    jonas = next(each for each in world.users.values() if each.name == "jonas")
    sketches = next(each for each in world.channels.values() if each.name == "sketches")
    said = await run_command(showcase.server, page, "say", text=f"<@{jonas.id}> look at <#{sketches.id}>")
    await expect(said.locator(".content .mention").first).to_have_text("@Jonas")
    await said.get_by_role("button", name="#sketches").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("# sketches")


async def test_a_spoiler_is_hidden_until_it_is_pressed(showcase, page):
    cover = (await run_command(showcase.server, page, "say", text="the end is ||near||")).locator(".spoiler")
    await expect(cover.locator(".spoiled")).to_have_css("visibility", "hidden")
    await cover.press("Enter")
    await expect(cover.locator(".spoiled")).to_have_css("visibility", "visible")


async def test_a_modal_is_filled_in_and_submitted_with_a_file(showcase, page):
    sent = await run_command(showcase.server, page, "form")
    await expect(sent.get_by_role("button", name="Keep")).to_be_disabled()
    await expect(sent.get_by_role("link", name="Manual")).to_have_attribute("href", "https://example.org/manual")
    await sent.get_by_role("button", name="Remix…").click()
    form = page.get_by_role("dialog", name="Remix")
    await form.get_by_label("New words").fill("ab")
    await form.get_by_role("button", name="Submit").click()
    await expect(form.get_by_text("At least 3 characters")).to_be_visible()
    await form.get_by_label("New words").fill("two owls")
    await form.get_by_role("button", name="Size").click()
    await page.get_by_role("option", name="large").click()
    await form.get_by_label("Mask").set_input_files({"name": "m.png", "mimeType": "image/png", "buffer": b"12345"})
    await form.get_by_role("radio", name="wild").check()
    await form.get_by_role("button", name="Submit").click()
    await expect(form).to_have_count(0)
    await find_messages(page, "got ['two owls', '', 'large'] ['m.png:5'] wild").wait_for()


def end_response_time(server):
    """End the time that the bot has to respond to the last interaction."""
    last = server.interactions[-1]
    server.person(last.user)._fail_unanswered(last)


async def test_a_button_without_a_response_shows_an_error(showcase, page):
    sent = await run_command(showcase.server, page, "form")
    before = len(showcase.server.interactions)
    await sent.get_by_role("button", name="Delete").click()
    await showcase.server.wait_until(lambda: len(showcase.server.interactions) > before)
    end_response_time(showcase.server)
    await expect(sent.get_by_role("alert")).to_contain_text("the application did not respond")


async def test_a_command_without_a_response_shows_an_error(showcase, page):
    await send_command(page, "silent")
    await expect(page.locator("#pending")).to_contain_text("Sending /silent")
    await showcase.server.wait_until(lambda: showcase.server.interactions[-1].name == "silent")
    end_response_time(showcase.server)
    error = page.get_by_role("alert").filter(has_text="/silent: the application did not respond")
    await expect(error).to_be_visible()
    await error.get_by_role("button", name="Dismiss").click()
    await expect(error).to_have_count(0)


async def test_a_deferred_response_replaces_is_thinking(showcase, page):
    showcase.bot.finish_thinking.clear()
    said = await run_command(showcase.server, page, "think")
    await expect(said).to_contain_text("Atelier is thinking…")
    showcase.bot.finish_thinking.set()
    await expect(said.locator(".content")).to_have_text("thought through")


async def test_components_v2_are_shown_with_their_pictures(showcase, page):
    box = (await run_command(showcase.server, page, "gallery")).locator(".container")
    await expect(box.get_by_role("heading", name="Four pictures")).to_be_visible()
    await expect(box.locator(".mosaic.of3 img")).to_have_count(3)
    await expect(box.get_by_role("button", name="Open picture: gold")).to_be_visible()
    await box.get_by_role("button", name="Open picture: red").click()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("dialog", name="Picture")).to_contain_text("gold · 2 of 3")


async def test_several_options_of_a_select_are_chosen_by_keyboard(showcase, page):
    said = await run_command(showcase.server, page, "choose")
    await said.get_by_role("button", name="Pick fruit").press("Enter")
    for key in ("Enter", "ArrowDown", "ArrowDown", "Enter"):
        await page.keyboard.press(key)
    await page.get_by_role("button", name="Done").click()
    await expect(said).to_contain_text("you picked apple and banana")
    await said.get_by_role("button", name="Pick a member").click()
    await page.get_by_role("option", name="Priya").click()
    await expect(said).to_contain_text("you picked @Priya")


async def test_an_ephemeral_embed_is_private_and_can_be_dismissed(showcase, browser, page):
    async with visit(browser, showcase.address + "?as=jonas") as his:
        card = await run_command(showcase.server, page, "embed")
        await expect(card.get_by_role("link", name="Your credits")).to_be_visible()
        await expect(card.locator("img")).to_have_count(1)
        await expect(his.locator(".embed")).to_have_count(0)
        await card.get_by_role("button", name="Dismiss").click()
        await expect(card).to_have_count(0)


async def test_options_are_shown_completed_checked_and_sent(page):
    await find_composer(page).fill("/options ")
    form = page.get_by_role("form", name="/options")
    await form.get_by_role("combobox", name="shape").press_sequentially("wi")
    await form.get_by_role("option", name="wide").click()
    for name in ("steps", "fruit", "loud", "friend", "image"):
        await form.get_by_role("button", name=name, exact=True).click()
    await form.get_by_label("steps", exact=True).fill("51")
    await form.get_by_role("combobox", name="fruit").press_sequentially("ap")
    await form.get_by_role("option", name="a ripe apricot").click()
    await form.get_by_role("combobox", name="loud").click()
    await form.get_by_role("option", name="True").click()
    await form.get_by_role("combobox", name="friend").press_sequentially("jo")
    await page.keyboard.press("Enter")
    await form.get_by_label("image", exact=True).set_input_files(
        {"name": "f.png", "mimeType": "image/png", "buffer": b"123"}
    )
    await form.get_by_role("combobox", name="fruit").fill("ap")
    await form.get_by_role("option", name="a ripe apricot").click()  # it is offered beside a file too
    await form.get_by_role("button", name="Use /options").click()
    await expect(form.get_by_text("It must be between 1 and 50.")).to_be_visible()
    await form.get_by_label("steps", exact=True).fill("50")
    await page.keyboard.press("Enter")
    await find_messages(page, "wide 50 apricot True jonas f.png 3").wait_for()


FILE_EVENTS = {
    "drop": "new DragEvent('drop', { dataTransfer: data, bubbles: true })",
    "paste": "new ClipboardEvent('paste', { clipboardData: data, bubbles: true })",
}


@pytest.mark.parametrize("way", FILE_EVENTS)
async def test_a_dropped_or_pasted_picture_goes_into_the_command(page, way):
    await find_composer(page).fill("/options ")
    await page.get_by_role("form", name="/options").wait_for()
    await page.evaluate(f"""() => {{
      const data = new DataTransfer();
      data.items.add(new File(["1234"], "{way}ed.png", {{ type: "image/png" }}));
      document.body.dispatchEvent({FILE_EVENTS[way]});
    }}""")
    await expect(page.locator(".file-preview")).to_contain_text(f"{way}ed.png")
    await page.get_by_role("combobox", name="shape").fill("tall")
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Use /options").click()
    await find_messages(page, f"tall 20  False None {way}ed.png 4").wait_for()


async def test_subcommands_are_typed_as_words(page):
    await find_composer(page).fill("/shelf show ")
    await page.get_by_role("button", name="row").click()
    await page.keyboard.type("3")
    await page.keyboard.press("Enter")
    await find_messages(page, "row 3 of the shelf").wait_for()


async def test_context_menus_of_messages_and_users_have_the_bots_commands(showcase, page):
    said = await run_command(showcase.server, page, "say", text="with a menu")
    await said.click(button="right")
    await page.get_by_role("menuitem", name="Describe").click()
    await find_messages(page, "It has 0 files").wait_for()
    await said.hover()
    await said.get_by_role("button", name="More for this message").click()
    await page.keyboard.press("Escape")
    await said.locator(".head .name").click()
    await page.get_by_role("menuitem", name="Praise").click()
    await find_messages(page, "Well done, @Atelier!").wait_for()


async def test_a_menu_opens_when_the_button_is_released_and_at_once_by_the_menu_key(showcase, page):
    said = await run_command(showcase.server, page, "say", text="pressed slowly")
    menu = page.get_by_role("menu")
    await said.hover()
    await page.mouse.down(button="right")
    await page.mouse.down(button="right")
    await expect(menu).to_have_count(0)
    await page.mouse.up(button="right")
    await expect(menu).to_have_count(1)
    await expect(menu.get_by_role("menuitem").first).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(menu).to_have_count(0)
    await said.dispatch_event("contextmenu", {"buttons": 0, "bubbles": True})
    await expect(menu).to_have_count(1)


async def test_a_reaction_is_added_seen_by_others_and_removed(showcase, browser, page):
    said = await run_command(showcase.server, page, "say", text="react to this")
    await said.hover()
    await said.get_by_role("button", name="Add a reaction").click()
    await page.get_by_role("button", name="🎨").click()
    mine = said.get_by_role("button", name="🎨, 1 reaction, including yours")
    await expect(mine).to_have_attribute("aria-pressed", "true")
    async with visit(browser, showcase.address + "?as=priya") as hers:
        await find_messages(hers, "react to this").last.get_by_role("button", name="🎨, 1 reaction").click()
        await said.get_by_role("button", name="🎨, 2 reactions").click()
        await expect(
            find_messages(hers, "react to this").last.get_by_role("button", name="🎨, 1 reaction, including yours")
        ).to_be_visible()


async def test_a_plain_message_can_reply_have_a_file_and_be_deleted(page):
    line = find_composer(page)
    await line.fill("first words")
    await line.press("Enter")
    first = find_messages(page, "first words").last
    await first.click(button="right")
    await page.get_by_role("menuitem", name="Reply").click()
    await page.locator(".composer input[type=file]").set_input_files(
        {"name": "n.txt", "mimeType": "text/plain", "buffer": b"12"}
    )
    await line.fill("second words")
    await line.press("Enter")
    second = find_messages(page, "second words").last
    await expect(second.locator(".origin")).to_contain_text("first words")
    await expect(second.get_by_role("link", name=re.compile("n.txt"))).to_contain_text("2 bytes")
    await first.click(button="right")
    await page.get_by_role("menuitem", name="Delete message").click()
    await expect(first).to_have_count(0)
    await expect(second.locator(".origin")).to_contain_text("was deleted")


async def test_many_messages_are_fetched_page_by_page(showcase, page):
    world = showcase.server.world
    teo = next(each for each in world.users.values() if each.name == "teo")
    channel = world.dm_channel(teo)
    for number in range(120):
        await showcase.server.person(teo).send(channel, f"number {number}")
    await page.goto(showcase.address + f"?as=teo&in={channel.id}")
    await expect(page.locator("li.message")).to_have_count(50)
    await expect(find_messages(page, "number 119")).to_be_in_viewport()
    for count in (100, 120):
        await page.get_by_role("button", name="Show earlier messages").click()
        await expect(page.locator("li.message")).to_have_count(count)
    await expect(page.get_by_role("button", name="Show earlier messages")).to_have_count(0)


async def test_at_phone_width_nothing_is_cut_off(showcase, browser):
    async with visit(browser, showcase.address, size=(360, 740), has_touch=True) as page:
        await run_command(showcase.server, page, "gallery")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
        await page.get_by_role("button", name=re.compile("You are Mira")).click()
        await page.get_by_role("radio", name=re.compile("Teo")).click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("# prints")


async def test_a_private_answer_out_of_sight_is_announced_with_a_jump(showcase, browser):
    async with visit(browser, showcase.address, size=(900, 500)) as page:
        vote = await run_command(showcase.server, page, "vote")
        for _ in range(3):
            await run_command(showcase.server, page, "gallery")
        await vote.get_by_role("button", name="yes").scroll_into_view_if_needed()
        await vote.get_by_role("button", name="yes").click()
        answer = find_messages(page, "Your vote is counted").last
        await expect(answer).not_to_be_in_viewport()
        await page.get_by_role("button", name="Answered below").click()
        await expect(answer).to_be_in_viewport()
        await expect(answer).to_be_focused()


async def test_friends_press_a_chosen_button_or_any(showcase, page):
    vote = await run_command(showcase.server, page, "vote")
    before = await page.get_by_text("Your vote is counted").count()
    await vote.hover()
    await vote.get_by_role("button", name="Let friends press").click()
    panel = page.get_by_role("dialog", name="Let friends press")
    await panel.get_by_label("Button").select_option("no")
    await panel.get_by_role("button", name="Priya").click()
    await expect(vote.locator(".content")).to_contain_text("priya: no")
    await expect(panel.get_by_role("status")).to_have_text("Priya pressed it.")
    await panel.get_by_role("button", name="All press something at random").click()
    await expect(vote.locator(".content")).to_contain_text(re.compile("jonas: (yes|no)"))
    await expect(panel.get_by_role("status")).to_have_text("Jonas and Priya pressed something.")
    await page.keyboard.press("Escape")
    await expect(page.get_by_text("Your vote is counted")).to_have_count(before)


async def test_a_friends_form_is_filled_in_for_the_friend(showcase, page):
    sent = await run_command(showcase.server, page, "form")
    await sent.hover()
    await sent.get_by_role("button", name="Let friends press").click()
    await page.get_by_role("dialog", name="Let friends press").get_by_role("button", name="Jonas").click()
    form = page.get_by_role("dialog", name="Remix (as Jonas)")
    await form.get_by_role("button", name="Size").click()
    await page.get_by_role("option", name="small").click()
    await form.get_by_role("button", name="Submit").click()
    await expect(form).to_have_count(0)
    await find_messages(page, "got ['a fox', '', 'small']").last.wait_for()
    assert showcase.server.interactions[-1].user.name == "jonas"
    choose = await run_command(showcase.server, page, "choose")
    await choose.hover()
    await choose.get_by_role("button", name="Let friends press").click()
    panel = page.get_by_role("dialog", name="Let friends press")
    await panel.get_by_label("Button").select_option("Pick fruit: banana")
    await panel.get_by_role("button", name="Priya").click()
    await expect(choose).to_contain_text("you picked banana")


async def test_pictures_are_described_limited_and_small_ones_enlarged_on_wide_screens(showcase, browser):
    async with visit(browser, showcase.address, size=(1920, 1080)) as page:
        shown = (await run_command(showcase.server, page, "embed")).get_by_role("button", name="Open picture")
        await expect(shown).to_have_attribute("style", re.compile("--width: 320"))  # once the picture is loaded
        assert (await shown.bounding_box())["width"] > 500  # 320 pixels at twice their size, in an embed
        await page.set_viewport_size({"width": 1280, "height": 400})
        assert (await shown.bounding_box())["height"] <= 0.55 * 400 + 1
        sent = await run_command(showcase.server, page, "poster")
        await expect(sent.get_by_role("img", name="all blue")).to_be_visible()
        assert (await sent.get_by_role("img", name="all blue").bounding_box())["height"] <= 0.55 * 400 + 1
        await expect(sent.get_by_role("button", name="V1")).to_be_in_viewport()


async def test_emoji_are_drawn_without_a_font_and_stay_in_the_text(showcase, page):
    said = await run_command(showcase.server, page, "say", text="**press** 🔄 or ❤️, not 👍🏽")
    await expect(said.locator(".content .drawn")).to_have_text(["🔄", "❤️"])
    await expect(said.locator(".content .text")).to_have_text("press 🔄 or ❤️, not 👍🏽")
    drawn = """async () => {
      const file = await (await fetch("/page/emoji.svg")).text();
      const { DRAWN, withEmoji } = await import(new URL("emoji.js", document.scripts[0].src));
      const uses = [...DRAWN].flatMap(withEmoji).map((each) => each.querySelector("use").getAttribute("href"));
      return uses.filter((each) => !file.includes(`id="${each.split("#")[1]}"`));
    }"""
    assert await page.evaluate(drawn) == []


async def test_no_words_are_glued_together(showcase, page):
    said = await run_command(showcase.server, page, "say", text="# One\\ntwo\\n-# three")
    await said.click(button="right")
    await page.get_by_role("menuitem", name="Reply").click()
    await find_composer(page).fill("four")
    await page.keyboard.press("Enter")
    reply = find_messages(page, "four").last
    await expect(reply.locator(".snippet")).to_have_text("One · two · three")
    await expect(said.locator(".origin-line")).to_have_text("Mira used /say")
    await expect(said.locator(".head")).to_have_text(re.compile(r"Atelier app \d"))


async def test_a_menu_is_not_cut_off_while_there_is_room(showcase, page):
    said = await run_command(showcase.server, page, "say", text="menu")
    await said.click(button="right")
    menu = page.get_by_role("menu")
    assert await menu.evaluate("each => each.scrollHeight <= each.clientHeight")
