"""Take the README's screenshot of the preview: `python -m tests.support.screenshot docs/preview.webp [PROMPT]`.

It runs unattended: the preview with the embedded model in a new folder, and headless Chromium. Without a prompt, it is
the first of the examples in the model's `atelier.json`. An existing screenshot is replaced only when all went well.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.async_api import async_playwright, expect

from generation.models.model import EMBEDDED
from tests.support.preview_page import (
    CHROMIUM_FLAGS,
    ROOT,
    PreviewProcess,
    chromium,
    find_grids,
    find_messages,
    send_command,
    visit,
)

SEED = 3
SIZE = (1280, 900)
MAX_BYTES = 400_000
QUALITIES = range(88, 60, -4)
GENERATION_TIMEOUT_MS = 900_000  # for a busy machine


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
        async with visit(browser, address, size=SIZE, device_scale_factor=1.5) as page:
            await send_command(page, "imagine", prompt)
            grid = find_grids(page, prompt.partition(" --")[0])
            await grid.wait_for(timeout=GENERATION_TIMEOUT_MS)
            await expect(find_messages(page, "%)")).to_have_count(0)
            await grid.locator("img.shown").evaluate("image => image.decode()")
            await page.evaluate("document.activeElement.blur()")
            await page.mouse.move(2, 2)
            await expect(page.locator("#pending li")).to_have_count(0)
            png = await page.screenshot(animations="disabled", caret="hide")
        await browser.close()
    return png


def write_webp(png: bytes, target: Path) -> None:
    """Write the screenshot as WebP, small enough for a README."""
    image = Image.open(io.BytesIO(png))
    for quality in QUALITIES:
        out = io.BytesIO()
        image.save(out, "WEBP", quality=quality, method=6)
        if out.tell() <= MAX_BYTES:
            target.write_bytes(out.getvalue())
            print(f"{target}: {out.tell()} bytes, quality {quality}")
            return
    sys.exit(f"{target} would have more than {MAX_BYTES} bytes")


def default_prompt() -> str:
    """Return the first prompt that the embedded model's folder recommends."""
    examples = json.loads(Path(EMBEDDED, "atelier.json").read_text())["examples"]
    return f"{examples[0]} --seed {SEED}"


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), " ".join(sys.argv[2:]) or default_prompt()))
