"""Take the screenshots of docs/gallery.md: `python -m tests.support.gallery_screenshots`.

It runs unattended: the preview with the embedded model in a new folder, some prompts, and headless Chromium at the
sizes of a desktop, a tablet and a phone.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import tempfile
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, async_playwright, expect

from generation.models.model import EMBEDDED
from tests.support.preview_page import CHROMIUM_FLAGS, ROOT, PreviewProcess, chromium, find_grids, send_command, visit

PROMPTS = (
    "a red fox under the moon --seed 4",
    "a sailing boat on the sea at sunset --seed 8",
    "a snowy mountain with pine trees --seed 2",
    "a small house in a meadow --seed 6",
    "a lighthouse in the fog --seed 3",
)
GENERATION_TIMEOUT_MS = 900_000  # for a busy machine
SHOTS = (
    ("newest", "/", (1280, 860), "light"),
    ("picture", "", (820, 1180), "dark"),
    ("phone", "/?q=sea", (390, 780), "light"),
)
MAX_BYTES = 250_000


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DATA_DIR"] = folder
        command = (str(ROOT / "main.py"), "preview", "--no-browser", "--port", "{port}")
        preview = PreviewProcess(Path(folder), *command, model=EMBEDDED)
        assert preview.process.stdout is not None
        match = re.search(r"http://127\.0\.0\.1:\d+", preview.process.stdout.readline())
        assert match, "the preview has no gallery"
        try:
            async with async_playwright() as driver:
                browser = await driver.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
                await _draw(browser, preview.address)
                for name, path, size, scheme in SHOTS:
                    await _shoot(browser, match[0], name, path, size, scheme)
                await browser.close()
        finally:
            preview.stop()


async def _draw(browser: Browser, address: str) -> None:
    async with visit(browser, address, size=(1280, 900)) as page:
        for prompt in PROMPTS:
            await send_command(page, "imagine", prompt)
            await find_grids(page, prompt.partition(" --")[0]).wait_for(timeout=GENERATION_TIMEOUT_MS)


async def _shoot(browser: Browser, gallery: str, name: str, path: str, size: tuple[int, int], scheme: str) -> None:
    viewport = {"width": size[0], "height": size[1]}
    profile = await browser.new_context(viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type]
    page = await profile.new_page()
    await page.goto(gallery)
    await page.get_by_role("link", name="Log in with Discord").click()
    await page.get_by_role("button", name="Jonas").click()
    await expect(page.locator(".cell").nth(7)).to_be_visible(timeout=60_000)
    if path:
        await page.goto(gallery + path)
    else:
        await page.locator(".cell a").nth(9).click()
    await _settled(page)
    _save(await page.screenshot(), ROOT / "docs" / f"gallery-{name}.webp")
    await profile.close()


async def _settled(page: Page) -> None:
    await page.locator("main[aria-busy=false]").wait_for()
    await page.wait_for_load_state("networkidle")


def _save(png: bytes, target: Path) -> None:
    image = Image.open(io.BytesIO(png)).convert("RGB")
    for quality in range(88, 50, -6):
        file = io.BytesIO()
        image.save(file, "WEBP", quality=quality, method=6)
        if len(file.getvalue()) <= MAX_BYTES:
            target.write_bytes(file.getvalue())
            return
    raise ValueError(f"{target} does not fit into {MAX_BYTES} bytes")


if __name__ == "__main__":
    asyncio.run(main())
