"""Check pages with axe-core, which is put into a page once."""

from __future__ import annotations

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

SCRIPT = Axe().axe_script
# "minor" is left out: axe forbids a text area the role of a combobox, which screen readers need while it has a list.
IMPACTS = ["moderate", "serious", "critical"]
FIND = """async ([part, impacts]) => {
  const { violations } = await axe.run(part ?? document, { resultTypes: ["violations"] });
  return violations
    .filter((each) => impacts.includes(each.impact))
    .flatMap((each) => each.nodes.map((node) => `${each.id}: ${node.html.slice(0, 200)}`));
}"""


async def assert_accessible(page: Page, part: str | None = None) -> None:
    """Wait until nothing moves, and check the page or one part of it."""
    await page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished.catch(() => {})))")
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(SCRIPT)
    assert await page.evaluate(FIND, [part, IMPACTS]) == []
