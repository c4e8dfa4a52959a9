"""Only this computer and only the page itself can reach the preview."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator

import aiohttp
import pytest

from preview import FakeDiscord
from preview.page import site
from preview.page.site import Page
from preview.seed_data import make_world

PATHS = ("/", "/page/app.js", "/feed", "/do/send", "/api/v10/gateway", "/gateway")


@pytest.fixture
async def address() -> AsyncIterator[str]:
    server = FakeDiscord(make_world(), limits=())
    Page(server, {"model": "none", "known": {}, "examples": []}, lambda: {"alive": True, "words": ""})
    async with server:
        yield server.core.base_url
    assert not server.crashes


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("Host", "evil.example", 421),
        ("Host", "127.0.0.1.evil.example:80", 421),
        ("Origin", "https://evil.example", 403),
        ("Origin", "null", 403),
        ("Sec-Fetch-Site", "cross-site", 403),
        ("Sec-Fetch-Site", "same-site", 403),
    ],
)
async def test_foreign_hosts_and_other_sites_are_refused(address, session, path, header, value, status):
    method = "POST" if path.startswith("/do/") else "GET"
    async with session.request(method, address + path, headers={header: value}) as answer:
        assert answer.status == status


async def test_a_websocket_from_another_site_is_refused(address, session):
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await session.ws_connect(f"{address}/feed", origin="http://127.0.0.1:1")
    assert refusal.value.status == 403


async def test_the_page_cannot_run_or_fetch_anything_from_other_sites(address, session):
    async with session.get(address + "/") as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


async def test_the_pages_files_are_fetched_once_and_edits_show_on_reload(address, session, monkeypatch, tmp_path):
    async def addresses() -> list[str]:
        async with session.get(address + "/") as answer:
            assert answer.headers["Cache-Control"] == "no-cache"
            return re.findall(r'"(/page/[^"]*[.](?:js|css|svg))"', await answer.text())

    async def cached(path: str) -> str:
        async with session.get(address + path) as answer:
            assert answer.status == 200
            return answer.headers["Cache-Control"]

    before = await addresses()
    assert len(before) > 8
    assert {await cached(path) for path in before} == {"private, max-age=31536000, immutable"}
    assert await addresses() == before
    monkeypatch.setattr(site, "STATIC_FOLDER", shutil.copytree(site.STATIC_FOLDER, tmp_path / "static"))
    (tmp_path / "static" / "dom.js").write_text("edited", encoding="utf-8")
    assert not set(await addresses()) & set(before)
    assert {await cached(path) for path in before} == {"no-cache"}


async def test_an_address_with_a_version_never_answers_with_another(address, session, monkeypatch, tmp_path):
    async def dom_script() -> str:
        async with session.get(address + "/") as page, session.get(address + _dom_address(await page.text())) as answer:
            return await answer.text()

    folder = shutil.copytree(site.STATIC_FOLDER, tmp_path / "static")
    monkeypatch.setattr(site, "STATIC_FOLDER", folder)
    (folder / ".#dom.js").symlink_to("somebody@machine")  # as Emacs marks a file that is being edited
    async with session.get(address + "/") as page:
        dom_address = _dom_address(await page.text())
    original = (folder / "dom.js").read_text(encoding="utf-8")
    (folder / "dom.js").write_text("edited", encoding="utf-8")
    async with session.get(address + dom_address) as answer:  # the page is still loading
        assert await answer.text() == original
        assert "immutable" in answer.headers["Cache-Control"]
    assert await dom_script() == "edited"
    (folder / "dom.js").write_text(original, encoding="utf-8")
    assert await dom_script() == original


def _dom_address(page: str) -> str:
    return str(re.findall(r'"(/page/[^"]*)app[.]js"', page)[0]) + "dom.js"


@pytest.mark.parametrize("path", ["/page/../site.py", "/page/%2e%2e/site.py", "/page/nothing.js", "/page/index.html"])
async def test_only_the_pages_own_files_are_served(address, session, path):
    async with session.get(address + path) as answer:
        assert answer.status == 404


@pytest.mark.parametrize(
    ("action", "given", "status"),
    [
        ("send", "not json", 400),
        ("dance", "{}", 404),
        ("send", '{"channel": "1", "text": "x"}', 422),
        ("send", '{"as": "mira"}', 422),
        ("command", '{"as": "mira", "name": 5, "channel": "x"}', 422),
        ("press", '{"as": "mira", "message": "99", "custom_id": "x"}', 422),
        ("submit", '{"as": "mira", "interaction": "1", "values": {}}', 422),
        ("select", '{"as": "mira", "chosen": [{"user": "1"}]}', 422),
    ],
)
async def test_an_invalid_action_is_refused_with_a_reason(address, session, action, given, status):
    form = aiohttp.FormData({"json": given}, default_to_multipart=True)
    async with session.post(f"{address}/do/{action}", data=form) as answer:
        assert answer.status == status
        if status == 422:
            assert (await answer.json())["error"]
