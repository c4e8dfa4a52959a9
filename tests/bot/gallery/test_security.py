"""Other sites, other hosts, paths, scripts in prompts: nothing gets through."""

from __future__ import annotations

import json

import pytest

from tests.support.gallery import open_gallery

SCRIPTS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title><svg onload=alert(1)>",
    "javascript:x",
]


async def test_pages_carry_headers_that_forbid_foreign_scripts_and_frames(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        for path in ("/", "/mine", "/find", "/p/0123456789ab-0", "/static/app.js", "/api/me", "/nothing"):
            answer = await ben.get(path)
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost"])
async def test_another_host_is_refused(harness, host):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        assert (await ben.get("/", headers={"Host": host})).status == 421


@pytest.mark.parametrize("path", ["/logout", "/api/favourite", "/api/delete", "/api/find", "/zip"])
async def test_a_request_of_another_site_is_refused(harness, path):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        await ben.log_in(harness.ben)
        evil = {"Origin": "https://evil.example"}
        assert (await ben.post(path, headers=evil)).status == 403
        assert (await ben.post(path, headers={"Origin": "null"})).status == 403
        assert (await ben.post(path, headers={"Sec-Fetch-Site": "cross-site"})).status == 403
        assert (await ben.post(path, headers={"Sec-Fetch-Site": "same-site"})).status == 403
        assert (await ben._send("POST", path, headers={"X-Atelier-CSRF": ben.csrf})).status == 403
        wrong = await ben.post(path, headers={"X-Atelier-CSRF": "wrong"}, data={"csrf": "wrong", "tiles": "x"})
        assert wrong.status in (400, 403)
        assert (await ben.json("/api/me"))["person"] is not None


async def test_data_and_pictures_are_closed_to_other_sites_but_links_work(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        tile, _ = await gallery.draw("a fox")
        await ben.log_in(harness.ben)
        embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
        assert (await ben.get(f"/pictures/{tile}.png", headers=embedded)).status == 403
        assert (await ben.get("/api/me", headers=embedded)).status == 403
        linked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        assert (await ben.get(f"/p/{tile}", headers=linked)).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/..%2fserver.py",
        "/static/%2e%2e/server.py",
        "/static/../server.py",
        "/thumbnails/..%2f..%2fatelier.sqlite3",
        "/pictures/0123456789ab-0.png%2f..",
        "/thumbnails/0123456789ab-9.webp",
        "/api/pictures?guild=x",
        "/api/pictures?guild=1&before=x",
        "/api/tree/xyz",
    ],
)
async def test_odd_paths_and_values_are_refused(harness, path):
    async with open_gallery(harness, login=False) as gallery, gallery.visitor() as ben:
        answer = await ben.get(path)
        assert answer.status in (400, 403, 404)
        assert b"import" not in answer.body


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"tile": "../../x", "on": true}', b'{"tile": null}', b"\xff"])
async def test_malformed_bodies_are_refused(harness, body):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        await ben.log_in(harness.ben)
        assert (await ben.post("/api/favourite", data=body)).status in (400, 404, 422)


async def test_prompts_and_names_reach_the_pages_as_data_only(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        await ben.log_in(harness.ben)
        for script in SCRIPTS:
            tile, _ = await gallery.draw(f"a fox {script}")
            answer = await ben.get(f"/api/pictures/{tile}")
            assert answer.headers["Content-Type"].startswith("application/json")
            assert script in json.loads(answer.body)["prompt"]
            page = await ben.get(f"/p/{tile}")
            assert script not in page.text


async def test_search_text_is_never_query_syntax(harness):
    async with open_gallery(harness) as gallery, gallery.visitor() as ben:
        await gallery.draw("a fox")
        await ben.log_in(harness.ben)
        for typed in ('" OR 1', "fox*)(", "NEAR(", 'place:"g1"', "fox AND", "^fox", "by:", "since:soon", "by:%", "'"):
            answer = await ben.get("/api/pictures", params={"guild": str(harness.guild.id), "q": typed})
            assert answer.status in (200, 422), typed
