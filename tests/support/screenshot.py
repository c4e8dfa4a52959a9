"""Take the README's screenshot of the preview: `python -m tests.support.screenshot docs/preview.webp [PROMPT]`."""

from __future__ import annotations

import asyncio
import io
import os
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.async_api import async_playwright, expect

from generation.models.model import EMBEDDED
from tests.support.preview_page import CHROMIUM_FLAGS, ROOT, PreviewProcess, chromium, find_grids, send_command, visit

PROMPT = "a hot air balloon over mountains at dawn --seed 3"
SIZE = {"width": 1280, "height": 900}
MAX_BYTES = 400_000


async def main(target: Path, prompt: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"DATA_DIR": folder, "MODEL": EMBEDDED}
        command = (str(ROOT / "main.py"), "preview", "--no-browser", "--port", "{port}")
        preview = await asyncio.to_thread(PreviewProcess, Path(folder), *command, model=EMBEDDED)
        try:
            png = await capture(preview.address, prompt)
        finally:
            await asyncio.to_thread(preview.stop)
    await asyncio.to_thread(write_webp, png, target)


async def capture(address: str, prompt: str) -> bytes:
    """Generate a grid on the page as a user would, and return a screenshot as PNG."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS)
        async with visit(browser, address, viewport=SIZE, device_scale_factor=1.5) as page:
            await send_command(page, "imagine", prompt)
            grid = find_grids(page, prompt.partition(" --")[0])
            await grid.wait_for(timeout=180_000)
            await grid.locator("img.shown").evaluate("image => image.decode()")
            await page.evaluate("document.activeElement.blur()")
            await page.mouse.move(2, 2)
            await expect(page.locator("#pending li")).to_have_count(0)
            png = await page.screenshot(animations="disabled", caret="hide")
        await browser.close()
    return png


def write_webp(png: bytes, target: Path) -> None:
    """Write the screenshot as WebP, small enough for a README."""
    Image.open(io.BytesIO(png)).save(target, quality=86, method=6)
    size = target.stat().st_size
    assert size <= MAX_BYTES, f"{target} has {size} bytes"
    print(f"{target}: {size} bytes")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), " ".join(sys.argv[2:]) or PROMPT))
