"""Helpers for tests of the page in headless Chromium; without Chromium the tests are skipped."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, Response, async_playwright, expect

from preview import FakeDiscord
from tests.support.fake_bot import make_model
from tests.support.timing import TIMEOUT_S

ROOT = Path(__file__).parents[2]
UNUSED_FEATURES = [
    # Each window would load two pages for the suggestions under its address bar.
    *("WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup"),
    # The last list counts, so these are Playwright's.
    *("AimEnabled", "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades"),
    *("HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "NetworkTimeServiceQuerying"),
    *("OptimizationHints", "PaintHolding", "PreconnectToSearch", "ThirdPartyStoragePartitioning"),
]
CHROMIUM_FLAGS = [
    "--no-sandbox",
    f"--disable-features={','.join(UNUSED_FEATURES)}",
    # Fewer processes do the same work in less time.
    "--in-process-gpu",
    "--no-zygote",
    "--renderer-process-limit=1",
    "--disable-site-isolation-trials",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
BLANK = "about:blank"
WIDE = (1280, 720)
TIMEOUT_MS = 1000 * TIMEOUT_S
expect.set_options(timeout=TIMEOUT_MS)


def chromium() -> str:
    """Return the path of Chromium, without its windows where there is that; skip the test if there is none."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    return found or pytest.skip("there is no Chromium: apt-get install chromium-headless-shell")


class PreviewProcess:
    """A preview in its own process."""

    def __init__(self, folder: Path, *command: str, model: str = "") -> None:
        self.folder, self.command = folder, command
        self.model = model or str(folder / "model")
        self.port = "0"
        self.start()

    def start(self) -> None:
        """Start the preview on the same port as before, and wait for its address."""
        environment = os.environ | {"MODEL": self.model, "LOG_LEVEL": "WARNING"}
        command = [sys.executable, *(part.format(port=self.port) for part in self.command)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        match = re.search(r"http://127\.0\.0\.1:(\d+)/", self.process.stdout.readline())
        assert match, "the preview did not start"
        self.address, self.port = match[0], match[1]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop the preview and return its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(TIMEOUT_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def children(self) -> list[Any]:
        """Return the preview's child processes, the bot first."""
        import psutil

        return psutil.Process(self.process.pid).children(recursive=True)


@pytest.fixture(scope="module")
def preview(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreviewProcess]:
    """Run a preview with the fake bot."""
    chromium()
    folder = tmp_path_factory.mktemp("preview")
    make_model(folder / "model")
    preview = PreviewProcess(folder, "-m", "tests.support.preview_app", str(folder / "data"), "{port}")
    yield preview
    assert preview.stop() == 0


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Run headless Chromium, once for all modules. Its loop must be that of the tests which use it."""
    path = chromium()
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        await browser.close()


class PageErrors(list[str]):
    """The console errors, exceptions and requests of a page."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        self.refused: list[str] = []
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("console", lambda message: self.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: self.append(f"fetched {request.url}"))
        page.on("response", self._explain)

    def _explain(self, response: Response) -> None:
        """Note what was asked where the browser's own message has the status only."""
        if response.status >= 400:
            self.refused.append(f"{response.status} {response.request.url} {response.request.post_data}")

    def unexpected(self, address: str, ignore: str) -> list[str]:
        """Return the errors, without the page's own requests and without those that contain `ignore`."""
        own = tuple(f"fetched {start}" for start in (address.split("?")[0], "data:", "blob:", "about:"))
        return [each for each in self if not each.startswith(own) and (not ignore or ignore not in each)]


@asynccontextmanager
async def visit(
    browser: Browser, address: str, *, ignore: str = "", size: tuple[int, int] = WIDE, **context: Any
) -> AsyncIterator[Page]:
    """Open an address in its own tab. Any unexpected error of the page fails the test, except `ignore`."""
    async with blank_tab(browser, size=size, **context) as page:
        errors = PageErrors(page)
        await page.goto(address)
        await wait_until_ready(page)
        yield page
    unexpected = errors.unexpected(address, ignore)
    assert not unexpected, (unexpected, errors.refused)


@asynccontextmanager
async def blank_tab(browser: Browser, *, size: tuple[int, int] = WIDE, **context: Any) -> AsyncIterator[Page]:
    """Lend an empty tab, without cookies; one with a `context` is closed afterwards.

    The others are used again, because opening one takes longer than most tests.
    """
    page = None if context else next((each for each in open_tabs(browser) if each.url == BLANK), None)
    if page is None:
        # Endless animations would be painted by the processor, all the time.
        profile = await browser.new_context(reduced_motion="reduce", **context)
        profile.set_default_timeout(TIMEOUT_MS)
        page = await profile.new_page()
    await page.set_viewport_size({"width": size[0], "height": size[1]})
    yield page
    if context:
        await page.context.close()
    else:
        await page.goto(BLANK)
        await page.context.clear_cookies()


def open_tabs(browser: Browser) -> list[Page]:
    """Return the open tabs."""
    return [page for profile in browser.contexts for page in profile.pages]


async def wait_until_ready(page: Page) -> None:
    """Wait until the bot is online and the channel's messages are shown."""
    await page.locator(".bot.online").wait_for()
    await page.locator("#messages[aria-busy=false]").wait_for(state="attached")


async def run_command(server: FakeDiscord, page: Page, command: str, **given: Any) -> Locator:
    """Use a command as the page's user, without typing, and return the message that it produces on the page."""
    shown = parse_qs(urlsplit(page.url).query)
    user = next(each for each in server.world.users.values() if each.name == shown["as"][0])
    interaction = await server.person(user).command(command, server.world.channels[int(shown["in"][0])], **given)
    await interaction.response()
    assert interaction.original is not None
    message = page.locator(f"#message-{interaction.original.id}")
    await message.wait_for()
    return message


async def send_command(page: Page, command: str, text: str = "") -> None:
    """Type a command and send it."""
    line = find_composer(page)
    await line.fill(f"/{command}")
    await expect(page.get_by_role("option").first).to_contain_text(f"/{command}")
    await line.press("Enter")
    if text:
        await page.locator(".command textarea").first.fill(text)
    await page.keyboard.press("Enter")


def find_composer(page: Page) -> Locator:
    """Return the text area for messages, which is a combobox while it has a list of suggestions."""
    plain = page.get_by_role("textbox", name="Message", exact=True)
    return plain.or_(page.get_by_role("combobox", name="Message", exact=True))


def find_messages(page: Page, text: str | re.Pattern[str]) -> Locator:
    """Return the messages that contain a text."""
    return page.locator("li.message", has=page.locator(".content", has_text=text))


def find_grids(page: Page, text: str) -> Locator:
    """Return the grids whose message contains a text."""
    return find_messages(page, text).filter(has=page.get_by_role("button", name="U1", exact=True))
