"""Fixtures: a fake Discord with its page and the showcase bot, and a tab for all tests of a module."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
import pytest_asyncio
from discord.http import Route

from preview import FakeDiscord
from preview.page.site import Page
from preview.seed_data import make_world
from tests.support.preview_page import find_composer, visit, wait_until_ready
from tests.support.showcase_bot import ShowcaseBot


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def showcase() -> AsyncIterator[SimpleNamespace]:
    """Run a fake Discord with its page, and the showcase bot."""
    server = FakeDiscord(make_world(), limits=())
    Page(server, {"model": "none", "known": {}, "examples": []}, lambda: {"alive": True, "words": ""})
    before = Route.BASE
    async with server:
        Route.BASE = server.api_url
        async with ShowcaseBot() as bot:
            running = asyncio.create_task(bot.start(server.world.application.token))
            await server.wait_connected()
            await server.wait_commands()
            yield SimpleNamespace(server=server, bot=bot, address=f"{server.core.base_url}/")
            await bot.close()
            await running
        Route.BASE = before
    assert not server.crashes
    assert not server.violations


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tab(showcase, browser):
    """Open one tab for all tests: opening one for each would take longer than the tests."""
    async with visit(browser, showcase.address) as page:
        yield page


@pytest.fixture(scope="module")
def home(tab) -> str:
    """Return the address of the first channel, in which the tab opens."""
    return tab.url


@pytest_asyncio.fixture(loop_scope="session")
async def page(tab, home):
    """Return the tab in the first channel, with nothing open and no unsent text."""
    opened = tab.locator("form.command, dialog, [popover]")
    if tab.url != home or await opened.count() or await find_composer(tab).input_value():
        await tab.goto(home)
        await wait_until_ready(tab)
    return tab
